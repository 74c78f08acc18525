//! The commands of `portcullis`, one file each.

mod ca;
mod condition;
mod config;
#[cfg(feature = "dev")]
mod dev;
mod run;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// An authorizing reverse proxy in front of Azure Key Vault.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve: the proxy in front of the configured vaults
    Run(run::Run),
    /// Check a configuration, or print its JSON Schema
    #[command(subcommand)]
    Config(config::Config),
    /// Have a private CA for the vaults' names, and have applications trust it
    #[command(subcommand)]
    Ca(ca::Ca),
    /// Work with conditions before they are in force
    #[command(subcommand)]
    Condition(condition::Condition),
    /// Try it out: the proxy between an embedded issuer and an embedded vault, without Azure
    #[cfg(feature = "dev")]
    Dev(dev::Dev),
}

/// What a command needs from the process.
#[derive(Debug)]
struct Context {
    /// The program as it was called, for texts that repeat it.
    #[cfg(feature = "dev")]
    program: String,
    /// The environment, where it is text.
    environment: Vec<(String, String)>,
}

/// Why a command failed: a text for the operator.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command that `arguments` name.
///
/// `arguments` begin with the program's name; `environment` is the process's. The exit code is 0,
/// 1 if the command failed (with the reason on standard error), or 2 if the arguments are wrong.
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    #[cfg(feature = "dev")]
    let program = arguments
        .first()
        .map_or_else(String::new, |a| a.to_string_lossy().into_owned());
    let environment = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let context = Context {
        #[cfg(feature = "dev")]
        program,
        environment,
    };
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match cli.command {
        Command::Run(command) => command.run(&context),
        Command::Config(command) => command.run(&context),
        Command::Ca(command) => command.run(&context),
        Command::Condition(command) => command.run(),
        #[cfg(feature = "dev")]
        Command::Dev(command) => command.run(&context),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let failure = with_causes(failure.as_ref());
            let _ = writeln!(std::io::stderr(), "portcullis: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// What `error` says, and what its causes say.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = chain.map(ToString::to_string).collect();
    texts.join(": ")
}

/// Writes `text` to standard output.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// The runtime of a command that serves.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

/// SIGTERM and SIGINT, from the moment this was made: whoever serves makes it first, so that a
/// signal that comes while it starts is not lost.
struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    /// Begins to listen. Needs a runtime.
    fn listen() -> Result<Self, Failure> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for either.
    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
