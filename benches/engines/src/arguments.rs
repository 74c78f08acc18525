//! The command line.

use std::path::PathBuf;

use crate::Failure;
use crate::engine::{MODELS, Model, model};

const USAGE: &str = "usage: portcullis-engines [--assignments 100,4000,100000,1000000] \
    [--requests 20000] [--seed 1] [--rounds 7] [--engines NAME,NAME] [--out FILE]";

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    /// Sizes of tenants, in role assignments.
    pub assignments: Vec<usize>,
    /// How many requests are compared and measured.
    pub requests: usize,
    /// What the tenants and requests are made from.
    pub seed: u64,
    /// How many times each engine is measured.
    pub rounds: usize,
    /// The engines; Portcullis is always the first.
    pub models: Vec<&'static Model>,
    /// Where the results go as JSON.
    pub out: Option<PathBuf>,
    /// Set in a child process: which engine, with the exports of the tenant.
    pub child: Option<(&'static Model, PathBuf)>,
}

impl Arguments {
    /// Reads the command line, without the name of the program.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut read = Self {
            assignments: vec![100, 4_000, 100_000, 1_000_000],
            requests: 20_000,
            seed: 1,
            rounds: 7,
            models: MODELS.iter().collect(),
            out: None,
            child: None,
        };
        let mut exports = PathBuf::new();
        while let Some(name) = words.next() {
            let value = words.next().ok_or(USAGE)?;
            match name.as_str() {
                "--assignments" => {
                    let sizes = value.split(',').map(str::parse);
                    read.assignments = sizes.collect::<Result<_, _>>()?;
                }
                "--requests" => read.requests = value.parse()?,
                "--seed" => read.seed = value.parse()?,
                "--rounds" => read.rounds = value.parse::<usize>()?.max(1),
                "--engines" => read.models = models(&value)?,
                "--out" => read.out = Some(value.into()),
                "--exports" => exports = value.into(),
                "--child" => {
                    let model = model(&value).ok_or("no such engine")?;
                    read.child = Some((model, PathBuf::new()));
                }
                _ => return Err(USAGE.into()),
            }
        }
        if let Some((_, dir)) = &mut read.child {
            *dir = exports;
        }
        Ok(read)
    }
}

/// The engines of these names, after Portcullis, which they are compared with.
fn models(names: &str) -> Result<Vec<&'static Model>, Failure> {
    let mut models: Vec<&'static Model> = MODELS.iter().take(1).collect();
    for name in names.split(',') {
        let model = model(name).ok_or_else(|| format!("no engine `{name}`"))?;
        if models.iter().all(|known| known.name != model.name) {
            models.push(model);
        }
    }
    Ok(models)
}
