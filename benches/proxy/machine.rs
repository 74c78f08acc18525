//! What the kernel says about processes and the machine.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::Failure;

/// Ticks a second in `/proc`: `USER_HZ`, 100 on every architecture that is still sold.
const TICKS: u32 = 100;

/// A process's memory, KiB.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) rss: u64,
    /// Resident at most so far.
    pub(crate) peak: u64,
}

/// A process and its children, which some proxies have do the work.
#[derive(Clone, Debug)]
pub(crate) struct Family(Vec<u32>);

impl Family {
    /// The family of a process as it is now.
    pub(crate) fn of(pid: u32) -> Result<Self, Failure> {
        let mut family = vec![pid];
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(other) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // It may have ended by now.
            let parent = fields(other).ok().and_then(|(_, parent)| parent);
            if parent == Some(pid) {
                family.push(other);
            }
        }
        Ok(Self(family))
    }

    /// CPU time so far, of all threads, in seconds; steps of 10 ms.
    pub(crate) fn cpu(&self) -> Result<f64, Failure> {
        let mut sum = 0.0;
        for pid in &self.0 {
            sum += fields(*pid)?.0;
        }
        Ok(sum)
    }

    /// What it has in memory; what is shared counts for each.
    pub(crate) fn memory(&self) -> Result<Memory, Failure> {
        let mut sum = Memory::default();
        for pid in &self.0 {
            let one = memory(*pid)?;
            sum.rss += one.rss;
            sum.peak += one.peak;
        }
        Ok(sum)
    }
}

/// CPU time of a process in seconds, and its parent.
fn fields(pid: u32) -> Result<(f64, Option<u32>), Failure> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before it may hold anything, blanks included.
    let (_, fields) = text.rsplit_once(')').ok_or("an odd /proc/PID/stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let parent = fields.get(1).and_then(|parent| parent.parse().ok());
    let times = fields.into_iter().skip(11).take(2);
    Ok((seconds(times)?, parent))
}

/// CPU time that this core, or all of them, have worked so far, in seconds.
pub(crate) fn busy(core: Option<usize>) -> Result<f64, Failure> {
    let text = fs::read_to_string("/proc/stat")?;
    let name = core.map_or_else(|| "cpu ".to_owned(), |core| format!("cpu{core} "));
    let line = text.lines().find(|line| line.starts_with(&name));
    let line = line.ok_or("an odd /proc/stat")?;
    // user, nice, system, idle, iowait, irq, softirq, steal
    let times = line.split_whitespace().skip(1).take(8);
    let worked = times
        .enumerate()
        .filter(|(index, _)| !matches!(index, 3 | 4))
        .map(|(_, time)| time);
    seconds(worked)
}

fn seconds<'a>(times: impl Iterator<Item = &'a str>) -> Result<f64, Failure> {
    let mut ticks: u32 = 0;
    for time in times {
        ticks += time.parse::<u32>()?;
    }
    Ok(f64::from(ticks) / f64::from(TICKS))
}

fn memory(pid: u32) -> Result<Memory, Failure> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<u64, Failure> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        Ok(number.ok_or("an odd /proc/PID/status")?.parse()?)
    };
    Ok(Memory {
        rss: field("VmRSS:")?,
        peak: field("VmHWM:")?,
    })
}

/// The processor, the cores and the kernel, in one line.
pub(crate) fn describe() -> Result<String, Failure> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!("{model}, {cores} cores, Linux {}", kernel.trim()))
}
