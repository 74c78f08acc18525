//! What Portcullis takes before it does anything: its size, its memory, and the time until it is
//! ready.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::gates::{Surroundings, portcullis};
use crate::results::{Footprint, mebibytes, middle};
use crate::rounds::Plan;
use crate::site::Site;
use crate::{Failure, say};

/// How long memory settles after the start.
const SETTLING: Duration = Duration::from_secs(1);

/// Tenants as small as they come.
const SMALL: usize = 10;

/// Prints a table; the tenant has [`SMALL`] role assignments, and then those of `plan`.
pub(crate) fn run(plan: &Plan) -> Result<(), Failure> {
    let mut results = plan.results()?;
    let binary = mebibytes(fs::metadata(portcullis::program())?.len() / 1024);
    say(&format!("binary: {binary:.1} MiB"))?;
    say("\n| assignments | ready after | RSS | peak |\n|---|---|---|---|")?;
    results.footprint.clear();
    for assignments in [SMALL, plan.assignments] {
        let footprint = Footprint {
            binary,
            ..measure(plan, assignments)?
        };
        say(&format!(
            "| {assignments} | {:.0} ms | {:.1} MiB | {:.1} MiB |",
            footprint.ready_millis, footprint.rss, footprint.peak,
        ))?;
        results.footprint.push(footprint);
    }
    results.save(plan.out.as_deref())
}

/// The medians of as many starts as `plan` has rounds.
fn measure(plan: &Plan, assignments: usize) -> Result<Footprint, Failure> {
    let site = Site::new(assignments)?;
    let around = Surroundings::start(site, plan.placement()?, plan.workers)?;
    let (mut ready, mut rss, mut peak) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let started = portcullis::start(&around)?;
        ready.push(started.ready_after.as_secs_f64() * 1e3);
        thread::sleep(SETTLING);
        let memory = started.memory()?;
        rss.push(mebibytes(memory.rss));
        peak.push(mebibytes(memory.peak));
    }
    Ok(Footprint {
        assignments,
        ready_millis: middle(ready),
        rss: middle(rss),
        peak: middle(peak),
        binary: 0.0,
    })
}
