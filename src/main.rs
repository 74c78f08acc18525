//! The command line: arguments, environment and exit code. Nothing else reads the environment.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis::cli::main(std::env::args_os(), std::env::vars_os())
}
