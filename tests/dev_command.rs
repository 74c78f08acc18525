//! `portcullis dev` as somebody runs it: what it prints can be pasted, it shares its folder with
//! nobody, and it ends when told.
#![cfg(test)]
#![cfg(feature = "dev")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// How long anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// A `portcullis dev`, killed when dropped.
struct Running {
    child: Child,
    guide: String,
    /// Gives the guide, and is closed when the process ends.
    output: mpsc::Receiver<String>,
}

/// How `portcullis dev` is called: by `program`, from `work`, on ports that are free.
fn command(program: &str, work: &Path, directory: &Path) -> Command {
    with_issuer_port(program, work, directory, 0)
}

fn with_issuer_port(program: &str, work: &Path, directory: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command.current_dir(work).arg("dev");
    for port in ["--port", "--vault-port", "--admin-port"] {
        command.args([port, "0"]);
    }
    command.args(["--issuer-port", &port.to_string()]);
    command.arg("--directory").arg(directory);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

fn spawn(mut command: Command) -> Running {
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (told, output) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        for line in lines.map_while(Result::ok) {
            text.push_str(&line);
            text.push('\n');
            if line.starts_with("Stop:") {
                let _ = told.send(std::mem::take(&mut text));
            }
        }
    });
    Running {
        child,
        guide: String::new(),
        output,
    }
}

fn start(command: Command) -> Running {
    let mut running = spawn(command);
    running.guide = running.output.recv_timeout(PATIENCE).expect("the guide");
    running
}

/// The one line of a start that fails.
fn refused(mut command: Command) -> String {
    let mut running = spawn({
        command.stderr(Stdio::piped());
        command
    });
    assert_eq!(running.ended().code(), Some(1));
    let mut errors = String::new();
    let mut stderr = running.child.stderr.take().unwrap();
    stderr.read_to_string(&mut errors).unwrap();
    assert_eq!(errors.lines().count(), 1, "{errors}");
    errors
}

impl Running {
    fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name])
            .arg(self.child.id().to_string())
            .status();
        assert!(sent.unwrap().success());
    }

    fn ended(&mut self) -> ExitStatus {
        let end = self.output.recv_timeout(PATIENCE);
        assert_eq!(end, Err(RecvTimeoutError::Disconnected), "it does not end");
        self.child.wait().unwrap()
    }

    /// What the guide has between two lines.
    fn between(&self, from: &str, to: &str) -> &str {
        let (_, rest) = self.guide.split_once(from).expect(from);
        rest.split_once(to).expect(to).0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pastes `text` into a shell in which `program` prints the CA it is to trust, its arguments and
/// its input, one a line.
fn paste(text: &str, program: &str) -> String {
    let shell = format!("{program}() {{ printf '%s\\n' \"$REQUESTS_CA_BUNDLE\" \"$@\"; cat; }}\n");
    let output = Command::new("sh")
        .args(["-c", &format!("{shell}{text}")])
        .current_dir("/")
        .env_remove("REQUESTS_CA_BUNDLE")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    assert_eq!(errors, "");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_it_prints_can_be_pasted_in_another_place() {
    let root = TempDir::new().unwrap();
    // A folder of the kind people have, and a program called by a path that is good here alone.
    let work = root.path().join("it's my $HOME");
    fs::create_dir(&work).unwrap();
    symlink(env!("CARGO_BIN_EXE_portcullis"), work.join("portcullis")).unwrap();
    let directory = work.join("dev \"1\"");
    let running = start(command("./portcullis", &work, &directory));
    let warning = "for tests and demos: it keeps everything in memory";
    assert!(running.guide.contains(warning), "{}", running.guide);

    let ca = directory.join("ca.pem").to_str().unwrap().to_owned();
    for (from, to) in [
        ("Allowed:\n", "\nRefused"),
        ("with the reason:\n", "\nRefused by"),
        ("which the answer names:\n", "\nPython"),
    ] {
        let printed = paste(running.between(from, to), "curl");
        let arguments: Vec<&str> = printed.lines().skip(1).collect();
        assert_eq!(arguments[..3], ["--cacert", &ca, "-H"]);
        let token = arguments[3].strip_prefix("Authorization: Bearer ").unwrap();
        assert_eq!(token.split('.').count(), 3, "{token}");
        assert!(arguments[4].starts_with("https://localhost:"));
    }
    assert!(fs::exists(&ca).unwrap());

    let printed = paste(
        running.between("keyvault-secrets):\n", "\nRole data"),
        "python3",
    );
    let (environment, script) = printed.split_once("\n-\n").unwrap();
    assert_eq!(environment, ca);
    // JSON's texts are Python's.
    let state = script.lines().find_map(|line| {
        let rest = line.split_once("open(")?.1;
        serde_json::from_str::<String>(rest.split_once(')')?.0).ok()
    });
    let state: serde_json::Value =
        serde_json::from_slice(&fs::read(state.unwrap()).unwrap()).unwrap();
    assert!(state["client_secret"].is_string());
}

#[test]
fn a_second_one_in_the_same_folder_is_refused_and_the_first_is_not_disturbed() {
    let root = TempDir::new().unwrap();
    let program = env!("CARGO_BIN_EXE_portcullis");
    let mut first = start(command(program, root.path(), root.path()));
    let contents = || {
        ["ca.pem", "dev.json", "proxy.crt", "roles/groups.json"]
            .map(|name| fs::read(root.path().join(name)).unwrap())
    };
    let before = contents();
    let errors = refused(command(program, root.path(), root.path()));
    assert!(errors.contains("already running"), "{errors}");
    assert!(errors.contains("--directory"), "{errors}");
    assert_eq!(contents(), before);

    // When the first is gone, and be it by force, the folder is free.
    first.signal("KILL");
    first.ended();
    let mut third = start(command(program, root.path(), root.path()));
    assert_ne!(contents(), before);
    third.signal("TERM");
    assert!(third.ended().success());
}

#[test]
fn a_port_that_is_taken_is_told_with_the_systems_words() {
    let root = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let program = env!("CARGO_BIN_EXE_portcullis");
    let errors = refused(with_issuer_port(program, root.path(), root.path(), port));
    let expected = format!("portcullis: cannot listen on 127.0.0.1:{port}: ");
    assert!(errors.starts_with(&expected), "{errors}");
}

#[test]
fn it_ends_when_told_and_takes_its_secret_along() {
    for signal in ["INT", "TERM"] {
        let root = TempDir::new().unwrap();
        let program = env!("CARGO_BIN_EXE_portcullis");
        let mut running = start(command(program, root.path(), root.path()));
        assert!(fs::exists(root.path().join("dev.json")).unwrap());
        running.signal(signal);
        assert_eq!(running.ended().code(), Some(0), "{signal}");
        // What is left is the folder, without the file that opened the issuer.
        let mut left: Vec<_> = fs::read_dir(root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let expected = [
            "ca.pem",
            "decisions.jsonl",
            "proxy.crt",
            "proxy.key",
            "roles",
        ];
        assert_eq!(left, expected);
    }
}
