//! The real binary, with everything it says.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;
use tokio::sync::watch;

use crate::ask::{Administration, soon};
use crate::surroundings::{Client, Surroundings, client};

/// `portcullis` with these arguments and no environment.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// How a process that ends by itself ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) async fn outcome(command: Command) -> Outcome {
    Process::spawn(command).end().await
}

/// The lines of one stream so far; closed at its end.
struct Lines(watch::Receiver<Vec<String>>);

impl Lines {
    /// Reads on a thread of its own, so that a full pipe never stops the process.
    fn read(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = watch::channel(Vec::new());
        thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let line = line.expect("UTF-8");
                sender.send_modify(|lines| lines.push(line));
            }
        });
        Self(receiver)
    }

    /// The first line `pick` takes, now or soon; the test fails if the stream ends before.
    async fn find<T>(&mut self, pick: impl Fn(&str) -> Option<T>) -> T {
        let found = async {
            loop {
                let found = self
                    .0
                    .borrow_and_update()
                    .iter()
                    .find_map(|line| pick(line));
                if let Some(found) = found {
                    return found;
                }
                let changed = self.0.changed().await;
                assert!(changed.is_ok(), "the stream ended: {:?}", self.0.borrow());
            }
        };
        soon(found).await
    }

    async fn all(&mut self) -> String {
        soon(async { while self.0.changed().await.is_ok() {} }).await;
        self.0
            .borrow()
            .iter()
            .map(|line| format!("{line}\n"))
            .collect()
    }
}

/// A running process; dropping it kills it.
pub(crate) struct Process {
    pub(crate) child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = Lines::read(child.stdout.take().unwrap());
        let stderr = Lines::read(child.stderr.take().unwrap());
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the signal of this name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.unwrap().success());
    }

    /// Waits until it has ended and everything it said is read.
    pub(crate) async fn end(mut self) -> Outcome {
        let (stdout, stderr) = (self.stdout.all().await, self.stderr.all().await);
        // Its pipes are closed: it is as good as gone.
        let code = self.child.wait().unwrap().code();
        Outcome {
            code,
            stdout,
            stderr,
        }
    }

    /// The first line of standard output that `pick` takes.
    pub(crate) async fn says<T>(&mut self, pick: impl Fn(&str) -> Option<T>) -> T {
        self.stdout.find(pick).await
    }

    /// The first event in the log, in its JSON form, with this message.
    pub(crate) async fn logs(&mut self, message: &str) -> Value {
        let event = |line: &str| {
            let event: Value = serde_json::from_str(line).expect("a JSON line");
            (event["fields"]["message"] == message).then_some(event)
        };
        self.stderr.find(event).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `portcullis run`, serving.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) administration: Administration,
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
}

pub(crate) fn run(config: &Path) -> Command {
    command(&["run", "--config", config.to_str().unwrap()])
}

impl Running {
    /// Starts it with a configuration that is written to a file, and waits until it is ready.
    pub(crate) async fn start(world: &Surroundings, toml: &str) -> Self {
        Self::spawn(world, run(&world.write(toml))).await
    }

    /// Starts `command`, a [`run`], and waits until it is ready.
    pub(crate) async fn spawn(world: &Surroundings, command: Command) -> Self {
        let mut process = Process::spawn(command);
        let administration = process.logs("administration").await;
        let administration = Administration(address(&administration));
        let address = address(&process.logs("serving").await);
        let running = Self {
            process,
            administration,
            address,
            client: client(&world.pki, address),
        };
        running.administration.readiness(|now| now.is_ready()).await;
        running
    }
}

/// The address that an event tells.
pub(crate) fn address(event: &Value) -> SocketAddr {
    event["fields"]["address"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// Says that a test was not done, and why.
pub(crate) fn skip(why: &str) {
    writeln!(std::io::stderr(), "skipped: {why}").unwrap();
}
