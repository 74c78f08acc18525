//! Portcullis as it is shipped, with everything on: metrics, decision records in a file, role data
//! with conditions.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Surroundings;
use crate::Failure;
use crate::issuer::{AUDIENCE, ISSUER, TENANT};
use crate::machine::{Family, Memory};
use crate::process::{Process, Stream};

/// How long role data and keys may take to come in.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running Portcullis.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// The administration listener.
    admin: SocketAddr,
    /// From starting the process until it was ready.
    pub(crate) ready_after: Duration,
}

/// Starts it and waits until it is ready.
pub(crate) fn start(around: &Surroundings) -> Result<Started, Failure> {
    let config = configure(around)?;
    let mut command = around.command(program());
    command.args(["run", "--config"]).arg(config);
    let began = Instant::now();
    let process = Process::start(command, Stream::Error)?;
    let address = process.says(|line| told(line, "serving"))?;
    let admin = process.says(|line| told(line, "administration"))?;
    while !get(admin, "/readyz")?.starts_with("HTTP/1.1 200") {
        if began.elapsed() > PATIENCE {
            return Err(format!("not ready: {}", get(admin, "/readyz")?).into());
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    let ready_after = began.elapsed();
    Ok(Started {
        process,
        address,
        admin,
        ready_after,
    })
}

/// The program, built in the profile of the benches.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_portcullis"))
}

impl Started {
    /// How often new role data came into force so far.
    pub(crate) fn loads(&self) -> Result<u64, Failure> {
        let metrics = get(self.admin, "/metrics")?;
        let family = r#"portcullis_snapshot_loads_total{result="ok"} "#;
        let count = metrics.lines().find_map(|line| line.strip_prefix(family));
        Ok(count.ok_or("no count of loads")?.parse()?)
    }

    /// What it has in memory.
    pub(crate) fn memory(&self) -> Result<Memory, Failure> {
        Family::of(self.process.id())?.memory()
    }
}

/// Writes the configuration into a directory of its own, so that records do not mix.
fn configure(around: &Surroundings) -> Result<PathBuf, Failure> {
    let path = around.site.path("portcullis.toml");
    let records = around.site.path("decisions.jsonl");
    let (vault, site) = (around.vault_address, &around.site);
    let (host, id) = (&site.vault.host, &site.vault.resource_id);
    let groups = &site.vault.management_groups;
    let name = id.rsplit('/').next().unwrap_or_default();
    let text = format!(
        r#"
[[listener]]
name = "main"
address = "127.0.0.1:0"
certificate_file = "server.crt"
private_key_file = "server.key"

[admin]
address = "127.0.0.1:0"

[[vault]]
name = "{name}"
resource_id = "{id}"
authority = "{host}"
connect_address = "{vault}"
ca_file = "ca.pem"
management_groups = {groups:?}
issuer = "bench"

[[issuer]]
name = "bench"
tenant_id = "{TENANT}"
issuers = ["{ISSUER}"]
audiences = ["{AUDIENCE}"]
challenge_authority = "https://login.microsoftonline.com/{TENANT}"
challenge_resource = "{AUDIENCE}"
jwks_file = "jwks.json"

[assignments]
paths = ["roles"]
max_staleness_seconds = 86400

[limits]
worker_threads = {workers}

[audit]
sink = "file"
path = "{records}"
keep = 1
"#,
        records = records.display(),
        workers = around.workers
    );
    fs::write(&path, text)?;
    Ok(path)
}

/// The address in an event of the log with this message.
fn told(line: &str, message: &str) -> Option<SocketAddr> {
    let event: Value = serde_json::from_str(line).ok()?;
    let fields = event.get("fields")?;
    if fields.get("message")? != message {
        return None;
    }
    fields.get("address")?.as_str()?.parse().ok()
}

/// The answer of the administration listener.
fn get(admin: SocketAddr, path: &str) -> Result<String, Failure> {
    let mut stream = TcpStream::connect(admin)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
