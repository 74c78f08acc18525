//! The command line: arguments, environment and exit code. Nothing else reads the environment.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request makes and frees some fifty small things on one thread, which is what it is made for.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    portcullis::cli::main(std::env::args_os(), std::env::vars_os())
}
