//! Portcullis and other policy engines on the same tenants and requests.
//!
//! ```text
//! cargo run --release --manifest-path benches/engines/Cargo.toml -- \
//!     [--assignments 100,4000,100000,1000000] [--requests 20000] [--seed 1] [--rounds 7] \
//!     [--engines NAME,NAME] [--out FILE]
//! ```
//!
//! Each engine is modelled as somebody who knows it would, and its module says how: [`engine`]. All
//! are given the same: the caller's object id, data actions, the object, and the facts that
//! conditions ask about, already found out. Only Portcullis reads the request line besides.
//!
//! Answers are compared with Portcullis' one by one; a difference is printed and makes the command
//! fail. What an engine cannot be asked is counted as not expressed.
//!
//! Every engine runs in a process of its own, so that memory can be told apart, and all of them take
//! turns. Counted is processor time, so that waiting on a busy machine does not count. The tenant is
//! made before memory is first looked at. Portcullis alone loads from exported JSON files, as it does in production; the
//! others are given the tenant as values.

mod arguments;
mod child;
mod condition;
mod contest;
mod engine;
mod index;
mod process;
mod report;
mod tenant;
mod world;

use std::process::ExitCode;

use arguments::Arguments;
use report::{Results, Table};

/// What goes wrong in a measurement ends it.
pub type Failure = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Failure> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    if let Some((model, exports)) = &arguments.child {
        child::run(&arguments, model, exports)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut tables = Vec::new();
    for &assignments in &arguments.assignments {
        let lines = contest::hold(&arguments, assignments)?;
        let table = Table { assignments, lines };
        print(&table);
        tables.push(table);
    }
    let results = Results {
        seed: arguments.seed,
        requests: arguments.requests,
        rounds: arguments.rounds,
        tables: &tables,
    };
    if let Some(path) = &arguments.out {
        results.write(path)?;
    }
    let differences: usize = tables.iter().map(Table::differences).sum();
    Ok(if differences == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
fn print(table: &Table) {
    println!("{table}");
}
