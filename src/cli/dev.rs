//! `portcullis dev`: issuer, vault and the real proxy on this machine, without Azure.

mod guide;
mod token;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::{Context, Failure, StopSignal, print, runtime};
use crate::clock::SystemClock;
use crate::config::{AuditSink, Log, LogFormat};
use crate::dev::people::{self, Person};
use crate::dev::world::{Ports, World, WorldSettings};
use crate::hardening::panics;
use crate::telemetry;

/// How large the file of decision records may become, and how many old ones are kept.
const MAX_RECORD_BYTES: u64 = 10 * 1024 * 1024;
const KEPT_RECORD_FILES: u32 = 2;

/// The file that tells `portcullis dev token` where the running one is.
const STATE_FILE: &str = "dev.json";

/// The arguments of `portcullis dev`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Dev {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a token for one of the sample people
    Token(token::Token),
}

#[derive(Args, Debug)]
struct Serve {
    /// The proxy's port; 0 lets the system choose
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// The embedded issuer's port
    #[arg(long, default_value_t = 8444)]
    issuer_port: u16,
    /// The embedded vault's port
    #[arg(long, default_value_t = 8445)]
    vault_port: u16,
    /// The port of /livez, /readyz and /metrics
    #[arg(long, default_value_t = 9464)]
    admin_port: u16,
    /// What the vault calls itself, on port 443 [default: localhost, on the port it has]
    ///
    /// Where it leads to 127.0.0.1 and --port is 443, SDKs reach the proxy by the vault's own name.
    #[arg(long, value_name = "NAME")]
    vault_host: Option<String>,
    /// For test suites: serve the vault's journal and take scripted answers on this port of 127.0.0.1
    ///
    /// GET /journal?since=N tells what reached the vault; POST /script has the next request for a
    /// path answered otherwise; POST /release lets held answers go on; POST /forward makes the objects
    /// older. Whoever reaches it may do so.
    #[arg(long, value_name = "PORT")]
    control_port: Option<u16>,
    #[command(flatten)]
    place: Place,
}

/// Where the CA, certificates, role data and records lie.
#[derive(Args, Debug)]
struct Place {
    /// The folder for the CA, role data and records [default: portcullis-dev in $XDG_RUNTIME_DIR, or ~/.portcullis-dev]
    #[arg(long)]
    directory: Option<PathBuf>,
}

/// What a running `portcullis dev` leaves for `portcullis dev token`, and for test suites.
#[derive(Deserialize, Serialize)]
struct State {
    ca_file: PathBuf,
    token_endpoint: String,
    /// Made at start, and of no use anywhere else.
    client_secret: String,
    /// What takes the secret's place for a workload.
    client_assertion: String,
    tenant: String,
    /// What SDKs call the authority.
    issuer_url: String,
    proxy_url: String,
    vault_url: String,
    control_url: Option<String>,
    /// The client id of everybody, by name.
    people: BTreeMap<String, String>,
}

impl Dev {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self.command {
            Some(Command::Token(command)) => command.run(context),
            None => self.serve.run(context),
        }
    }
}

impl Serve {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let directory = self.place.directory(context)?;
        make_private(&directory)?;
        let _ours = take(&directory)?;
        telemetry::init(&Log {
            format: LogFormat::Human,
            filter: "warn".into(),
        })?;
        panics::watch();
        let records = directory.join("decisions.jsonl");
        let mut settings = WorldSettings {
            control_port: self.control_port,
            ports: Ports {
                proxy: self.port,
                issuer: self.issuer_port,
                vault: self.vault_port,
                admin: self.admin_port,
            },
            audit: AuditSink::File {
                path: records.clone(),
                max_bytes: MAX_RECORD_BYTES,
                keep: KEPT_RECORD_FILES,
            },
            ..WorldSettings::new(directory.clone(), Arc::new(SystemClock))
        };
        if let Some(host) = &self.vault_host {
            settings.vault_host = host.as_str().into();
            settings.vault_port = Some(443);
        }
        runtime()?.block_on(async {
            let mut stop = StopSignal::listen()?;
            let world = tokio::select! {
                world = World::start(settings) => world?,
                // It may wait for ever, for role data that somebody left there broken.
                () = stop.received() => return Ok(()),
            };
            let state = State::of(&world)?;
            let state_file = directory.join(STATE_FILE);
            write_private(&state_file, &serde_json::to_string_pretty(&state)?)?;
            print(&guide::text(&world, &context.program, &directory, &records))?;
            stop.received().await;
            // Whoever read the guide may be gone: `portcullis dev | head`.
            let _ = print("stopping\n");
            world.stop().await;
            fs::remove_file(&state_file)?;
            Ok(())
        })
    }
}

impl State {
    fn of(world: &World) -> Result<Self, Failure> {
        let here = |address: SocketAddr| format!("https://localhost:{}", address.port());
        let person = |person: &Person| (person.name.to_owned(), person.client_id.to_string());
        Ok(Self {
            ca_file: world.ca_file(),
            token_endpoint: format!("{}/oauth2/v2.0/token", world.issuer.tenant_url()),
            client_secret: world.issuer.client_secret().to_owned(),
            client_assertion: world.issuer.client_assertion()?.expose().to_owned(),
            tenant: people::TENANT.to_string(),
            issuer_url: world.issuer.url().to_owned(),
            proxy_url: world.url(),
            vault_url: here(world.vault.address()),
            control_url: world
                .control
                .as_ref()
                .map(|control| here(control.address())),
            people: people::everybody().map(person).collect(),
        })
    }
}

impl Place {
    fn directory(&self, context: &Context) -> Result<PathBuf, Failure> {
        if let Some(directory) = &self.directory {
            return Ok(std::path::absolute(directory)?);
        }
        let variable = |name: &str| {
            let found = context.environment.iter().find(|(known, _)| known == name);
            found
                .map(|(_, value)| value)
                .filter(|value| value.starts_with('/'))
        };
        // Both belong to the user alone; a name in /tmp could be somebody else's.
        let runtime = variable("XDG_RUNTIME_DIR").map(|at| Path::new(at).join("portcullis-dev"));
        let home = || variable("HOME").map(|at| Path::new(at).join(".portcullis-dev"));
        runtime
            .or_else(home)
            .ok_or_else(|| "no home directory; expected --directory".into())
    }
}

fn make_private(directory: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| format!("cannot make `{}`: {error}", directory.display()).into())
}

/// Takes the directory for this process, for as long as the result is kept.
///
/// Another `portcullis dev` would replace the CA under the feet of this one's clients. The lock is
/// the system's, so a process that was killed leaves none.
fn take(directory: &Path) -> Result<fs::File, Failure> {
    let place = directory.display();
    let handle =
        fs::File::open(directory).map_err(|error| format!("cannot open `{place}`: {error}"))?;
    match handle.try_lock() {
        Ok(()) => Ok(handle),
        Err(fs::TryLockError::WouldBlock) => Err(format!(
            "`portcullis dev` is already running in `{place}`; expected another --directory"
        )
        .into()),
        Err(fs::TryLockError::Error(error)) => {
            Err(format!("cannot lock `{place}`: {error}").into())
        }
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    // SECURITY: a file that is already there keeps its mode, and a link its target; so it is made
    // anew, and `create_new` refuses one that somebody puts there in between.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn the_client_secret_goes_into_no_file_that_others_made() {
        let directory = tempfile::tempdir().unwrap();
        let (state, other) = (
            directory.path().join(STATE_FILE),
            directory.path().join("other"),
        );
        fs::write(&other, "theirs").unwrap();
        symlink(&other, &state).unwrap();
        write_private(&state, "secret").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
        fs::set_permissions(&state, fs::Permissions::from_mode(0o666)).unwrap();
        write_private(&state, "secret").unwrap();
        assert_eq!(
            fs::metadata(&state).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_to_string(&state).unwrap(), "secret");
    }
}
