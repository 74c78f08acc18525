//! All engines on one tenant: each in a process of its own, measured in turns.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use portcullis_tenants::{Shape, Tenant};
use serde::de::DeserializeOwned;

use crate::Failure;
use crate::arguments::Arguments;
use crate::child::{Ready, Round, Said};
use crate::engine::Model;
use crate::report::{Comparison, Line};

/// How many differences of one engine are shown.
const SHOWN: usize = 5;

/// A directory that is gone when this is.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in the temporary directory is nobody's harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A child process.
struct Contender {
    model: &'static Model,
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    ready: Ready,
    rounds: Vec<Round>,
}

impl Contender {
    fn start(
        arguments: &Arguments,
        model: &'static Model,
        size: usize,
        exports: &Path,
    ) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--child", model.name])
            .args(["--assignments", &size.to_string()])
            .args(["--requests", &arguments.requests.to_string()])
            .args(["--seed", &arguments.seed.to_string()])
            .arg("--exports")
            .arg(exports)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = process.stdin.take().ok_or("a child without an input")?;
        let from = process.stdout.take().ok_or("a child without an output")?;
        let mut from = BufReader::new(from);
        Ok(Self {
            ready: hear(&mut from, model)?,
            model,
            process,
            to,
            from,
            rounds: Vec::new(),
        })
    }

    fn round(&mut self) -> Result<(), Failure> {
        self.to.write_all(b"round\n")?;
        self.to.flush()?;
        self.rounds.push(hear(&mut self.from, self.model)?);
        Ok(())
    }

    /// Ends the process by closing its input.
    fn end(mut self) -> Result<(Ready, Vec<Round>), Failure> {
        drop(self.to);
        self.process.wait()?;
        Ok((self.ready, self.rounds))
    }
}

fn hear<T: DeserializeOwned>(from: &mut impl BufRead, model: &Model) -> Result<T, Failure> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(format!("{} ended early", model.name).into());
    }
    Ok(serde_json::from_str(&line)?)
}

/// Loads, compares and measures all engines on a tenant of this size.
///
/// # Errors
/// What went wrong; answers that differ are no error here.
pub(crate) fn hold(arguments: &Arguments, size: usize) -> Result<Vec<Line>, Failure> {
    let name = format!("portcullis-engines-{}-{size}", std::process::id());
    let scratch = Scratch(std::env::temp_dir().join(name));
    let shape = Shape {
        assignments: size,
        seed: arguments.seed,
    };
    Tenant::generate(shape).write_exports(&scratch.0)?;
    let mut contenders = Vec::new();
    let mut lines = Vec::new();
    for &model in &arguments.models {
        if size > model.most_assignments {
            lines.push(Line::left_out(model));
            continue;
        }
        eprint_progress(size, model);
        contenders.push(Contender::start(arguments, model, size, &scratch.0)?);
    }
    for _ in 0..arguments.rounds {
        for contender in &mut contenders {
            contender.round()?;
        }
    }
    let expected = contenders
        .first()
        .map_or(Vec::new(), |one| one.ready.answers.clone());
    for contender in contenders {
        let model = contender.model;
        let (ready, rounds) = contender.end()?;
        let comparison = compare(model, &expected, &ready.answers);
        lines.push(Line::measured(model, &ready, &rounds, comparison));
    }
    Ok(lines)
}

#[expect(clippy::print_stderr, reason = "loading a large tenant takes minutes")]
fn eprint_progress(size: usize, model: &Model) {
    eprintln!(
        "{size} assignments: {} is loading and answering",
        model.name
    );
}

#[expect(clippy::print_stderr, reason = "a difference must be seen")]
fn compare(model: &Model, expected: &[Said], answers: &[Said]) -> Comparison {
    let mut comparison = Comparison::default();
    for (number, (expected, answer)) in expected.iter().zip(answers).enumerate() {
        comparison.compared += 1;
        match answer {
            Said::N(why) => {
                comparison.not_expressed += 1;
                *comparison.why.entry(why.clone()).or_default() += 1;
            }
            Said::A | Said::D => {
                comparison.allowed += usize::from(*answer == Said::A);
                if answer != expected {
                    comparison.differences += 1;
                    if comparison.differences <= SHOWN {
                        eprintln!(
                            "request {number}: {} says {answer:?}, Portcullis {expected:?}",
                            model.name
                        );
                    }
                }
            }
        }
    }
    comparison
}
