//! What the process can no longer do once it has hardened itself, and what it still must. In a
//! process of its own, since nothing takes it back.

#![cfg(test)]
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use portcullis::config::{Config, Files};
use portcullis::hardening::confine;
use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};
use rustix::process::set_dumpable_behavior;
use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

/// A configuration whose files are in `directory`, with a vault and an issuer on these ports.
fn config(directory: &Path, vault: u16, issuer: u16) -> Config {
    let text = format!(
        r#"
[[listener]]
name = "main"
address = "127.0.0.1:0"
certificate_file = "tls/server.crt"
private_key_file = "tls/server.key"
[[listener]]
name = "socket"
address = "unix:run/kv.sock"
certificate_file = "tls/server.crt"
private_key_file = "tls/server.key"
[[vault]]
name = "kv-a"
resource_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-a"
authority = "kv-a.vault.azure.net"
connect_address = "127.0.0.1:{vault}"
issuer = "a"
[[issuer]]
name = "a"
tenant_id = "00000000-0000-0000-0000-000000000002"
issuers = ["https://sts.windows.net/00000000-0000-0000-0000-000000000002/"]
audiences = ["https://vault.azure.net"]
challenge_authority = "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000002"
challenge_resource = "https://vault.azure.net"
jwks_url = "https://localhost:{issuer}/keys"
[assignments]
paths = ["roles"]
max_staleness_seconds = 900
[audit]
sink = "file"
path = "records/decisions.jsonl"
[admin]
address = "127.0.0.1:0"
[process]
sandbox = "if_available"
"#
    );
    let path = directory.join("portcullis.toml");
    Config::parse(&text, &path, [], Files::NotChecked).unwrap()
}

struct Stage {
    directory: tempfile::TempDir,
    elsewhere: tempfile::TempDir,
    /// Where role data is that is linked to.
    _exports: tempfile::TempDir,
    vault: TcpListener,
    issuer: TcpListener,
    stranger: TcpListener,
    /// Ends when its standard input does.
    other: Child,
}

impl Stage {
    fn new() -> Self {
        let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["tls", "roles", "records", "run"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        for name in ["tls/server.crt", "tls/server.key", "roles/a.json"] {
            fs::write(directory.path().join(name), "old").unwrap();
        }
        fs::write(elsewhere.path().join("file"), "theirs").unwrap();
        let exports = tempfile::tempdir().unwrap();
        fs::write(exports.path().join("b.json"), "linked").unwrap();
        let link = directory.path().join("roles/b.json");
        std::os::unix::fs::symlink(exports.path().join("b.json"), link).unwrap();
        let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (vault, issuer, stranger) = (listener(), listener(), listener());
        Self {
            directory,
            elsewhere,
            _exports: exports,
            vault,
            issuer,
            stranger,
            other: Command::new("cat").stdin(Stdio::piped()).spawn().unwrap(),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn what_must_be_done_is_still_done(&self) {
        assert_eq!(fs::read(self.path("tls/server.crt")).unwrap(), b"old");
        assert_eq!(fs::read_dir(self.path("roles")).unwrap().count(), 2);
        assert_eq!(fs::read(self.path("roles/b.json")).unwrap(), b"linked");
        let (now, put_aside) = (self.path("records/d.jsonl"), self.path("records/d.jsonl.1"));
        fs::write(&now, "line").unwrap();
        let file = fs::OpenOptions::new().append(true).open(&now).unwrap();
        file.set_len(2).unwrap();
        fs::rename(&now, &put_aside).unwrap();
        assert_eq!(fs::read(&put_aside).unwrap(), b"li");
        fs::remove_file(&put_aside).unwrap();
        for wanted in [&self.vault, &self.issuer] {
            TcpStream::connect(wanted.local_addr().unwrap()).unwrap();
        }
        TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = self.path("run/kv.sock");
        UnixListener::bind(&socket).unwrap();
        fs::remove_file(&socket).unwrap();
        UdpSocket::bind("127.0.0.1:0").unwrap();
        UnixStream::pair().unwrap();
        assert!(("localhost", 1).to_socket_addrs().unwrap().count() > 0);
        assert_eq!(thread::spawn(|| 1).join().unwrap(), 1);
        assert!(!rustls_native_certs::load_native_certs().certs.is_empty());
    }

    fn nothing_else_is(&mut self) {
        let denied = |what: &str, error: Option<std::io::Error>| {
            let kind = error.map(|error| error.kind());
            assert_eq!(kind, Some(ErrorKind::PermissionDenied), "{what}");
        };
        let theirs = self.elsewhere.path().join("file");
        denied("reading", fs::read(&theirs).err());
        denied("listing", fs::read_dir(self.elsewhere.path()).err());
        denied("writing", fs::write(&theirs, "ours").err());
        denied("removing", fs::remove_file(&theirs).err());
        denied(
            "a key",
            fs::write(self.path("tls/server.key"), "ours").err(),
        );
        denied(
            "role data",
            fs::write(self.path("roles/b.json"), "ours").err(),
        );
        denied(
            "a directory",
            fs::create_dir(self.path("records/new")).err(),
        );
        let file = self.path("run/file");
        denied("a file beside a socket", fs::write(file, "ours").err());
        denied("memory", fs::read("/proc/self/environ").err());
        denied("a program", Command::new("/bin/true").spawn().err());
        // Older kernels know less.
        if kernel() >= (6, 7) {
            let stranger = self.stranger.local_addr().unwrap();
            denied("a port", TcpStream::connect(stranger).err());
            denied("a port, at once", open_fast(stranger).err());
            denied("a listener", TcpListener::bind("127.0.0.1:18443").err());
        }
        if kernel() >= (6, 12) {
            denied("a signal", self.other.kill().err());
        }
        for (what, kind, protocol) in [
            ("MPTCP", SocketType::STREAM, Some(ipproto::MPTCP)),
            ("SCTP", SocketType::SEQPACKET, None),
            ("ICMP", SocketType::DGRAM, Some(ipproto::ICMP)),
            ("raw sockets", SocketType::RAW, Some(ipproto::UDP)),
        ] {
            let socket = socket(AddressFamily::INET, kind, protocol);
            denied(what, socket.map_err(Into::into).err());
        }
        let dumpable = set_dumpable_behavior(DumpableBehavior::Dumpable);
        denied("dumps", dumpable.map_err(Into::into).err());
    }
}

/// Connects by sending.
fn open_fast(to: SocketAddr) -> std::io::Result<()> {
    const MSG_FASTOPEN: u32 = 0x2000_0000;
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let flags = SendFlags::from_bits_retain(MSG_FASTOPEN);
    sendto(&socket, b"", flags, &to)?;
    Ok(())
}

/// The version of the kernel, which says what Landlock there is.
fn kernel() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_str().unwrap();
    let mut numbers = release.split('.').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn a_confined_process_does_its_work_and_nothing_else() {
    let mut stage = Stage::new();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let config = config(
        stage.directory.path(),
        port(&stage.vault),
        port(&stage.issuer),
    );
    if kernel() < (5, 13) {
        writeln!(std::io::stderr(), "skipped: this kernel has no Landlock").unwrap();
        return;
    }
    confine(&config, &[]).unwrap();
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
    stage.what_must_be_done_is_still_done();
    stage.nothing_else_is();
    // The threads that come later are confined like the first.
    let mut stage = thread::spawn(move || {
        stage.nothing_else_is();
        stage.what_must_be_done_is_still_done();
        stage
    })
    .join()
    .unwrap();
    drop(stage.other.stdin.take());
    stage.other.wait().unwrap();
}
