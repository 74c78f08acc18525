//! How many instructions the hot paths take, by valgrind's count: a guard that no busy machine
//! disturbs.
//!
//! `cargo run --profile guard -p portcullis-instructions` counts every scenario, prints it beside
//! the figure in `benches/instructions/figures.txt`, and fails if one takes over 10 % more than
//! that. With `PORTCULLIS_BLESS=1` the file is written anew. Arguments choose scenarios by the
//! beginning of their names. Without valgrind nothing is counted, which is said and is no failure.
//!
//! Figures are of one compiler, one C library and the profile `guard`; a new one of those is a
//! reason to write them anew.

mod figures;
mod parts;
mod proxy;

#[path = "../../../tests/support/facts.rs"]
mod facts;
#[path = "../../../tests/support/site.rs"]
mod site;

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use figures::Figures;
use site::Failure;

/// The first argument of a process that valgrind watches; the second is its scenario.
const WATCHED: &str = "--watched";

/// Runs what is counted. Its name is what valgrind looks for, so it must stay a function.
#[inline(never)]
pub(crate) fn counted_by_valgrind(work: &mut dyn FnMut()) {
    work();
}

fn main() -> ExitCode {
    let outcome = match env::args().nth(1).as_deref() {
        Some(WATCHED) => watched().map(|()| ExitCode::SUCCESS),
        _ => guard(),
    };
    outcome.unwrap_or_else(|failure| {
        let _ = writeln!(io::stderr(), "instructions: {failure}");
        ExitCode::FAILURE
    })
}

/// The work of one scenario, in a process that valgrind watches.
fn watched() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(2).collect();
    match arguments.as_slice() {
        [scenario] => parts::run(scenario),
        [_proxy, configuration] => proxy::serve(configuration.as_ref()),
        _ => Err("expected a scenario".into()),
    }
}

fn guard() -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    if !is_installed() {
        writeln!(
            out,
            "valgrind is not installed: instructions are not counted"
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let chosen: Vec<String> = env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|c| name.starts_with(c));
    let mut figures = Figures::read(&file())?;
    writeln!(out, "{}", Figures::HEADING)?;
    for scenario in parts::SCENARIOS.into_iter().filter(|s| is_chosen(s)) {
        let count = parts::count(scenario)?;
        writeln!(out, "{}", figures.take(scenario, count))?;
    }
    for scenario in proxy::SCENARIOS.iter().filter(|s| is_chosen(s.name)) {
        let count = proxy::count(scenario)?;
        writeln!(out, "{}", figures.take(scenario.name, count))?;
    }
    if env::var_os("PORTCULLIS_BLESS").is_some() {
        figures.write(&file())?;
        return Ok(ExitCode::SUCCESS);
    }
    match figures.jumps() {
        [] => Ok(ExitCode::SUCCESS),
        jumps => {
            writeln!(out, "over 10 % more than recorded: {}", jumps.join(", "))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("figures.txt")
}

fn is_installed() -> bool {
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--version").stdout(Stdio::null());
    valgrind.status().is_ok_and(|status| status.success())
}

/// What of a process is counted.
#[derive(Clone, Copy)]
pub(crate) enum Counted {
    /// What [`counted_by_valgrind`] does.
    OneFunction,
    /// All threads, while somebody outside says so: see [`switch`].
    WhenTold,
}

/// This program under valgrind, with the arguments of [`watched`], writing the sum to `results`.
pub(crate) fn under_valgrind<A: AsRef<OsStr>>(
    counted: Counted,
    arguments: impl IntoIterator<Item = A>,
    results: &std::path::Path,
) -> Result<Command, Failure> {
    let mut file = std::ffi::OsString::from("--callgrind-out-file=");
    file.push(results);
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet"])
        .args(match counted {
            Counted::OneFunction => [
                "--collect-atstart=no",
                "--toggle-collect=*counted_by_valgrind*",
            ]
            .as_slice(),
            Counted::WhenTold => &["--instr-atstart=no"],
        })
        .arg(file)
        .arg(env::current_exe()?)
        .arg(WATCHED)
        .args(arguments);
    Ok(command)
}

/// Begins or ends the count in a process that was started with [`Counted::WhenTold`].
pub(crate) fn switch(process: u32, state: &str) -> Result<(), Failure> {
    let mut control = Command::new("callgrind_control");
    control.args(["-i", state, &process.to_string()]);
    let status = control.stdout(Stdio::null()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err("callgrind_control cannot reach the proxy".into())
    }
}

/// The instructions counted in a process that has ended.
pub(crate) fn sum(results: &std::path::Path) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(results)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    match total.map(|count| count.trim().parse()) {
        Some(Ok(0)) | None => Err("valgrind counted nothing".into()),
        Some(count) => Ok(count?),
    }
}
