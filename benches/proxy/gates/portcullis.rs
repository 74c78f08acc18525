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
use crate::process::{Process, Stream};
use crate::site::{HOST, Site};

/// How long role data and keys may take to come in.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn start(around: &Surroundings) -> Result<(Process, SocketAddr), Failure> {
    let config = configure(around)?;
    let mut command = around.command(Path::new(env!("CARGO_BIN_EXE_portcullis")));
    command.args(["run", "--config"]).arg(config);
    let process = Process::start(command, Stream::Error)?;
    let admin = process.says(|line| address(line, "administration"))?;
    let address = process.says(|line| address(line, "serving"))?;
    ready(admin)?;
    Ok((process, address))
}

/// Writes the configuration into a directory of its own, so that records do not mix.
fn configure(around: &Surroundings) -> Result<PathBuf, Failure> {
    let path = around.site.path("portcullis.toml");
    let records = around.site.path("decisions.jsonl");
    let (vault, id) = (around.vault_address, Site::resource_id());
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
name = "kv-bench"
resource_id = "{id}"
authority = "{HOST}"
connect_address = "{vault}"
ca_file = "ca.pem"
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

[audit]
sink = "file"
path = "{records}"
keep = 1
"#,
        records = records.display()
    );
    fs::write(&path, text)?;
    Ok(path)
}

/// The address in an event of the log with this message.
fn address(line: &str, message: &str) -> Option<SocketAddr> {
    let event: Value = serde_json::from_str(line).ok()?;
    let fields = event.get("fields")?;
    if fields.get("message")? != message {
        return None;
    }
    fields.get("address")?.as_str()?.parse().ok()
}

fn ready(admin: SocketAddr) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = get(admin, "/readyz")?;
        if answer.starts_with("HTTP/1.1 200") {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("not ready: {answer}").into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
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
