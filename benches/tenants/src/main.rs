//! Writes a made-up tenant into a directory.

use std::error::Error;
use std::path::PathBuf;

use portcullis_tenants::{Shape, Tenant};

const USAGE: &str = "usage: portcullis-tenants --assignments N --seed N --out DIR [--requests N]";

/// What the command line asks for.
struct Wanted {
    shape: Shape,
    out: PathBuf,
    requests: usize,
}

impl Wanted {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let (mut assignments, mut seed, mut out, mut requests) = (None, 1, None, 0);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            match name.as_str() {
                "--assignments" => assignments = Some(value.parse()?),
                "--seed" => seed = value.parse()?,
                "--out" => out = Some(PathBuf::from(value)),
                "--requests" => requests = value.parse()?,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(Self {
            shape: Shape {
                assignments: assignments.ok_or(USAGE)?,
                seed,
            },
            out: out.ok_or(USAGE)?,
            requests,
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let wanted = Wanted::read(std::env::args().skip(1))?;
    let tenant = Tenant::generate(wanted.shape);
    tenant.write_exports(&wanted.out)?;
    if wanted.requests > 0 {
        let requests = tenant.requests(wanted.requests, wanted.shape.seed);
        Tenant::write_requests(&wanted.out.join("requests.jsonl"), &requests)?;
    }
    Ok(())
}
