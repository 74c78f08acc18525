//! What came of all rounds.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::gates::Kind;
use crate::load::Round;
use crate::scenario::Scenario;

/// The results file. What is measured anew replaces what is in it, the rest stays.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Results {
    /// Processor, cores, kernel.
    pub(crate) machine: String,
    /// Where processes ran, how many workers and clients there were.
    pub(crate) setting: String,
    pub(crate) scenarios: Vec<Compared>,
    pub(crate) footprint: Vec<Footprint>,
    pub(crate) swaps: Vec<Swap>,
}

/// What Portcullis takes when idle.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Footprint {
    pub(crate) assignments: usize,
    /// From the start of the process to `/readyz` 200, milliseconds.
    pub(crate) ready_millis: f64,
    /// MiB.
    pub(crate) rss: f64,
    pub(crate) peak: f64,
    pub(crate) binary: f64,
}

/// What new role data cost requests: the same load twice.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Swap {
    pub(crate) assignments: usize,
    pub(crate) swaps: u64,
    pub(crate) alone: Vec<Round>,
    pub(crate) swapped: Vec<Round>,
}

/// One scenario.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Compared {
    pub(crate) scenario: Scenario,
    pub(crate) proxies: Vec<Measured>,
}

/// One proxy in one scenario.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Measured {
    pub(crate) proxy: Kind,
    pub(crate) median: Median,
    pub(crate) rounds: Vec<Round>,
}

/// The medians of the rounds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Median {
    /// CPU time of the proxy for a request, microseconds.
    pub(crate) cpu_micros: f64,
    /// Requests a second.
    pub(crate) throughput: f64,
    /// Latencies, microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// The share of a core that the proxy worked.
    pub(crate) load: f64,
    /// KiB, at the end of the last round.
    pub(crate) rss: u64,
    pub(crate) peak: u64,
    /// Wrong answers in all rounds.
    pub(crate) wrong: u64,
    /// The largest share of a core that anything else on the machine took in a round.
    pub(crate) others: f64,
}

impl Results {
    /// What is in the file so far, or nothing if there is none.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        match path {
            Some(path) if path.exists() => Ok(serde_json::from_slice(&fs::read(path)?)?),
            Some(_) | None => Ok(Self::default()),
        }
    }

    /// Writes the file, if there is to be one.
    pub(crate) fn save(&self, path: Option<&Path>) -> Result<(), Failure> {
        if let Some(path) = path {
            fs::write(path, serde_json::to_string_pretty(self)?)?;
        }
        Ok(())
    }

    /// Replaces what is known of the same scenario.
    pub(crate) fn take(&mut self, compared: Compared) {
        self.scenarios
            .retain(|one| one.scenario != compared.scenario);
        self.scenarios.push(compared);
    }
}

impl Measured {
    pub(crate) fn new(proxy: Kind, rounds: Vec<Round>) -> Self {
        let of = |figure: fn(&Round) -> f64| middle(rounds.iter().map(figure).collect());
        let last = rounds.last().map(|round| round.memory).unwrap_or_default();
        let median = Median {
            cpu_micros: of(Round::cpu_micros),
            throughput: of(|round| count(round.requests) / round.clocks.seconds),
            p50: of(|round| round.p50),
            p99: of(|round| round.p99),
            load: of(|round| round.clocks.cpu / round.clocks.seconds),
            rss: last.rss,
            peak: last.peak,
            wrong: rounds.iter().map(|round| round.wrong).sum(),
            others: rounds
                .iter()
                .map(|round| round.clocks.other_cpu / round.clocks.seconds)
                .fold(0.0, f64::max),
        };
        Self {
            proxy,
            median,
            rounds,
        }
    }
}

impl Round {
    /// CPU time of the proxy for a request, in microseconds.
    pub(crate) fn cpu_micros(&self) -> f64 {
        self.clocks.cpu * 1e6 / count(self.requests.max(1))
    }
}

/// A count of less than 2³², as a number to divide by.
fn count(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The median.
pub(crate) fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    let half = values.len() / 2;
    if values.len() % 2 == 1 {
        at(half)
    } else {
        f64::midpoint(at(half.saturating_sub(1)), at(half))
    }
}

/// For people to read.
pub(crate) fn mebibytes(kibibytes: u64) -> f64 {
    f64::from(u32::try_from(kibibytes).unwrap_or(u32::MAX)) / 1024.0
}
