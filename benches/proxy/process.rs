//! The processes that are measured, and those that measure.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;

/// How long a process may take until it serves.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a process may take to end in order.
const GRACE: Duration = Duration::from_secs(10);

/// Where processes run, and before whom.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    /// The `taskset` program, if processes are pinned.
    taskset: Option<PathBuf>,
    /// The `chrt` program, if processes go before everything else on the machine.
    chrt: Option<PathBuf>,
}

/// Which core a process has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Core {
    /// The proxies'.
    Proxy,
    /// That of load and vault.
    Load,
}

impl Placement {
    /// Pins processes if that is wanted and possible here, and lets them go before all others.
    pub(crate) fn new(pinned: bool, first: bool) -> Result<Self, Failure> {
        let cores = thread::available_parallelism()?.get();
        Ok(Self {
            taskset: find("taskset").filter(|_| pinned && cores > 1),
            chrt: find("chrt").filter(|_| first),
        })
    }

    /// The core that proxies have to themselves, if they have one.
    pub(crate) fn proxy_core(&self) -> Option<usize> {
        self.taskset.as_ref().map(|_| 0)
    }

    /// What was decided, for the report.
    pub(crate) const fn describe(&self) -> &'static str {
        match (&self.taskset, &self.chrt) {
            (Some(_), None) => "proxies on core 0, load and vault on core 1",
            (Some(_), Some(_)) => "proxies on core 0, load and vault on core 1, before all others",
            (None, None) => "not pinned",
            (None, Some(_)) => "not pinned, before all others",
        }
    }

    /// A command on `core`, with nothing of our environment but the path.
    pub(crate) fn command(&self, core: Core, program: &Path) -> Command {
        // Each of them becomes the next one, so that the process is the program's in the end.
        let mut words: Vec<&OsStr> = Vec::new();
        if let Some(chrt) = &self.chrt {
            words.extend([chrt.as_os_str(), "-r".as_ref(), "1".as_ref()]);
        }
        if let Some(taskset) = &self.taskset {
            let core = match core {
                Core::Proxy => "0",
                Core::Load => "1",
            };
            words.extend([taskset.as_os_str(), "-c".as_ref(), core.as_ref()]);
        }
        words.push(program.as_os_str());
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command.env_clear().stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }
}

/// Where a program of this name is, looked for as a shell does, and in the directories for daemons.
pub(crate) fn find(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let program = Path::new(program.as_ref());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let known = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(known)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// A port that was free a moment ago, for programs that cannot say which one they were given.
pub(crate) fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// A running process; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

/// Which stream of a process is listened to; the other one is let through or thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

impl Process {
    /// Starts `command` and listens to `stream`.
    pub(crate) fn start(mut command: Command, stream: Stream) -> Result<Self, Failure> {
        match stream {
            Stream::Out => command.stdout(Stdio::piped()).stderr(Stdio::inherit()),
            Stream::Error => command.stdout(Stdio::null()).stderr(Stdio::piped()),
        };
        let mut child = command.spawn()?;
        let (out, error) = (child.stdout.take(), child.stderr.take());
        let (sender, lines) = mpsc::channel();
        let said: Option<Box<dyn Read + Send>> = match stream {
            Stream::Out => out.map(|out| Box::new(out) as _),
            Stream::Error => error.map(|error| Box::new(error) as _),
        };
        // On a thread of its own, so that a full pipe never stops the process.
        thread::spawn(move || {
            let lines = said
                .into_iter()
                .flat_map(|said| BufReader::new(said).lines());
            for line in lines.map_while(Result::ok) {
                // Nobody may be listening any more.
                let _heard = sender.send(line);
            }
        });
        Ok(Self { child, lines })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first line from here on that `pick` takes.
    pub(crate) fn says<T>(&self, pick: impl Fn(&str) -> Option<T>) -> Result<T, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut said = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let said = said.join("\n");
                return Err(format!("a process ended or said nothing useful: {said}").into());
            };
            if let Some(found) = pick(&line) {
                return Ok(found);
            }
            said.push(line);
        }
    }

    /// The address in the first line.
    pub(crate) fn address(&self) -> Result<SocketAddr, Failure> {
        self.says(|line| line.parse().ok())
    }

    /// Waits until something listens at `address`.
    pub(crate) fn listens(&mut self, address: SocketAddr) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                let said: Vec<String> = self.lines.try_iter().collect();
                return Err(format!("does not listen: {}", said.join("\n")).into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Process {
    /// Asks it to end, and whether it has.
    ///
    /// Not with a `SIGKILL`: nginx' workers would outlive their master.
    fn terminate(&mut self) -> bool {
        let kill = format!("kill -s TERM {}", self.child.id());
        let told = Command::new("sh").args(["-c", &kill]).status();
        if !told.is_ok_and(|status| status.success()) {
            return false;
        }
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to be told.
        let ended = matches!(self.child.try_wait(), Ok(Some(_)));
        if !ended && !self.terminate() {
            let _gone = self.child.kill();
            let _status = self.child.wait();
        }
    }
}
