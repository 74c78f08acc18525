//! What the process does against its own faults, and for the day somebody takes it over: panics are
//! counted and told without what they carry, its memory cannot be dumped, and it gives up
//! whatever it will not need.
//!
//! # What is given up
//!
//! * **Core dumps** and everything else that looks into the memory of a process: `ptrace`,
//!   `/proc/<pid>/mem`. Its `/proc/<pid>` then belongs to root, which nothing here minds.
//! * **Files**, by Landlock: all but reading what the configuration names and what the system's own
//!   libraries read to resolve names and trust CAs, and writing decision records. Directories are
//!   allowed rather than files, since a renewed file is another one under the same name.
//! * **TCP ports**, by Landlock: binding others than the listeners', connecting to others than
//!   those of vaults, issuers and DNS servers. Also signals to other processes.
//! * **System calls**, by seccomp: starting programs and processes, debugging, mounting, namespaces,
//!   kernel modules, io_uring, eBPF, keys, other kinds of sockets, memory that is both written and
//!   executed, other users and capabilities. They answer `EPERM`.
//!
//! The calls are named that are refused, not those that are allowed. An allow-list would be
//! smaller, and would break with the next release of the C library that has a newer call for an old
//! purpose, at a time when nobody is looking. What is refused here, no release will need.
//!
//! All of it is in force before the first thread starts, so it holds for every thread, and nothing
//! takes it back.

#[cfg(target_os = "linux")]
mod landlock;
pub mod panics;
#[cfg(target_os = "linux")]
mod places;
#[cfg(target_os = "linux")]
mod seccomp;

use thiserror::Error;

use crate::config::{Config, Sandbox};

/// Why the process could not be hardened as it was told to.
#[derive(Debug, Error)]
pub enum HardeningError {
    /// Memory could still be dumped.
    #[error("cannot switch core dumps off: {0}")]
    CoreDumps(std::io::Error),
    /// There is no sandbox, and there must be.
    #[error("process.sandbox is \"required\", but {0}")]
    Sandbox(Box<str>),
}

/// How far a part of the sandbox holds, in words for the log; an error is less than all of it.
type Held = Result<&'static str, Box<str>>;

/// Hardens this process as `config` says. Needs to come before any thread is started.
///
/// `environment` is the process's; it may name files with CAs.
///
/// # Errors
/// [`HardeningError`].
pub fn confine(config: &Config, environment: &[(String, String)]) -> Result<(), HardeningError> {
    if config.process.core_dumps {
        tracing::warn!("core dumps are on: a crash may leave tokens and secrets in a file");
    } else {
        forbid_core_dumps().map_err(HardeningError::CoreDumps)?;
    }
    if config.process.sandbox == Sandbox::Off {
        tracing::warn!("the sandbox is switched off");
        return Ok(());
    }
    let (landlock, seccomp) = sandbox(config, environment);
    if config.process.sandbox == Sandbox::Required
        && let Err(why) = landlock.as_ref().and(seccomp.as_ref())
    {
        return Err(HardeningError::Sandbox(why.clone()));
    }
    let is_whole = landlock.is_ok() && seccomp.is_ok();
    let word = |held: Held| held.map_or_else(String::from, str::to_owned);
    let (landlock, seccomp) = (word(landlock), word(seccomp));
    if is_whole {
        tracing::info!(landlock, seccomp, "sandbox");
    } else {
        tracing::warn!(landlock, seccomp, "sandbox");
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn forbid_core_dumps() -> std::io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // The first is enough, and a service manager may not let us have the second.
    let _belt_and_braces = setrlimit(Resource::Core, none);
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn forbid_core_dumps() -> std::io::Result<()> {
    tracing::warn!("core dumps are as the system has them");
    Ok(())
}

#[cfg(target_os = "linux")]
fn sandbox(config: &Config, environment: &[(String, String)]) -> (Held, Held) {
    let places = places::Places::of(config, environment);
    // In this order, as the second would not let the first be set up.
    (landlock::enforce(&places), seccomp::enforce())
}

#[cfg(not(target_os = "linux"))]
fn sandbox(_: &Config, _: &[(String, String)]) -> (Held, Held) {
    let none = || Err("off: this system has none".into());
    (none(), none())
}
