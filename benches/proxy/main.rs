//! What a request costs: Portcullis beside a forwarder that checks nothing, and beside other proxies.
//!
//! `cargo bench --bench proxy` starts a stand-in for a vault and every proxy as a process of its
//! own, drives each with the same load in interleaved rounds, and prints medians. The bare forwarder
//! is built from the same crates in the same profile. `cargo bench --bench proxy -- --help` lists
//! what can be chosen.
//!
//! The executable plays every part itself: it starts itself as vault, forwarder and load.

mod bare;
mod footprint;
mod gates;
mod issuer;
mod load;
mod machine;
mod pki;
mod process;
mod results;
mod rounds;
mod scenario;
mod site;
mod swap;
mod table;
mod tls;
mod vault;

use std::io::Write as _;

use clap::{Parser, Subcommand};

/// Why something could not be measured.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Compare the cost of proxies under the same load.
#[derive(Debug, Parser)]
#[command(name = "proxy", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    plan: rounds::Plan,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The parts this executable plays when it starts itself.
#[derive(Debug, Subcommand)]
enum Part {
    /// The vault's stand-in
    Vault(vault::Arguments),
    /// The forwarder that checks nothing
    Bare(bare::Arguments),
    /// The load of one round
    Load(load::Arguments),
}

fn main() -> Result<(), Failure> {
    let cli = Cli::parse();
    match cli.part {
        Some(Part::Vault(arguments)) => vault::run(&arguments),
        Some(Part::Bare(arguments)) => bare::run(&arguments),
        Some(Part::Load(arguments)) => load::run(&arguments),
        None if cli.bench => rounds::run(&cli.plan),
        // `cargo test --benches` ends here.
        None => say("nothing is measured without --bench"),
    }
}

/// Writes a line to standard output.
fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
