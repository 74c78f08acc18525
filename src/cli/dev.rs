//! `portcullis dev`: issuer, vault and the real proxy on this machine, without Azure.

mod guide;
mod token;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::{Context, Failure, StopSignal, print, runtime};
use crate::clock::SystemClock;
use crate::config::{AuditSink, Log, LogFormat};
use crate::dev::people;
use crate::dev::world::{Ports, World, WorldSettings};
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

/// What a running `portcullis dev` leaves for `portcullis dev token`.
#[derive(Deserialize, Serialize)]
struct State {
    ca_file: PathBuf,
    token_endpoint: String,
    /// Made at start, and of no use anywhere else.
    client_secret: String,
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
        let records = directory.join("decisions.jsonl");
        let settings = WorldSettings {
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
        runtime()?.block_on(async {
            let mut stop = StopSignal::catch()?;
            let world = tokio::select! {
                world = World::start(settings) => world?,
                () = stop.received() => return Ok(()),
            };
            let state = State {
                ca_file: world.ca_file(),
                token_endpoint: format!("{}/oauth2/v2.0/token", world.issuer.tenant_url()),
                client_secret: world.issuer.client_secret().to_owned(),
            };
            let state_file = directory.join(STATE_FILE);
            write_private(&state_file, &serde_json::to_string_pretty(&state)?)?;
            print(&guide::text(&world, &context.program, &directory, &records))?;
            stop.received().await;
            print("stopping\n")?;
            world.stop().await;
            fs::remove_file(&state_file)?;
            Ok(())
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
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}
