//! Results: a table for people and JSON for documents.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::Failure;
use crate::child::{Ready, Round};
use crate::engine::Model;

/// How an engine's answers compare with Portcullis'.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Comparison {
    /// How many answers there are.
    pub compared: usize,
    /// How many of them allow.
    pub allowed: usize,
    /// How many are different.
    pub differences: usize,
    /// How many requests the engine was not asked, because they cannot be said to it.
    pub not_expressed: usize,
    /// Why, with how often.
    pub why: BTreeMap<String, usize>,
}

/// What an engine took on one tenant.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    /// The median over all rounds, in nanoseconds for a decision.
    pub nanoseconds: f64,
    /// The quickest round.
    pub quickest: f64,
    /// The slowest round.
    pub slowest: f64,
    /// Decisions in a round.
    pub decisions: usize,
    /// Processor time from the tenant to the first decision.
    pub load_seconds: f64,
    /// Resident memory that loading added.
    pub loaded_mib: f64,
    /// The most that loading took at a time.
    pub peak_mib: f64,
    /// Resident memory that loading and answering added.
    pub answered_mib: f64,
    /// The answers.
    pub answers: Comparison,
}

/// One engine on one tenant.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// The engine.
    pub engine: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// `None` if the tenant is larger than what the engine is given.
    pub measured: Option<Measured>,
    /// The largest tenant it is given, if there is a limit.
    pub most_assignments: Option<usize>,
    /// The most requests it is given, if there is a limit.
    pub most_requests: Option<usize>,
}

impl Line {
    /// An engine that this tenant is too large for.
    pub(crate) fn left_out(model: &Model) -> Self {
        let limit = |most: usize| (most != usize::MAX).then_some(most);
        Self {
            engine: model.name,
            what: model.what,
            measured: None,
            most_assignments: limit(model.most_assignments),
            most_requests: limit(model.most_requests),
        }
    }

    /// An engine that was measured.
    pub(crate) fn measured(
        model: &Model,
        ready: &Ready,
        rounds: &[Round],
        answers: Comparison,
    ) -> Self {
        let each = rounds
            .iter()
            .map(|round| ratio(round.nanoseconds, round.decisions));
        let mut each: Vec<f64> = each.collect();
        each.sort_unstable_by(f64::total_cmp);
        let at = |place: usize| each.get(place).copied().unwrap_or(f64::NAN);
        let mib = |kib: u64| ratio(kib, 1024);
        Self {
            measured: Some(Measured {
                nanoseconds: at(each.len() / 2),
                quickest: at(0),
                slowest: at(each.len().saturating_sub(1)),
                decisions: rounds.first().map_or(0, |round| round.decisions),
                load_seconds: ready.load_seconds,
                loaded_mib: mib(ready.loaded_kib),
                peak_mib: mib(ready.peak_kib),
                answered_mib: mib(ready.answered_kib),
                answers,
            }),
            ..Self::left_out(model)
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures are shown with three digits"
)]
fn ratio(some: u64, of: usize) -> f64 {
    some as f64 / of as f64
}

/// All engines on one tenant.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    /// Role assignments of the tenant.
    pub assignments: usize,
    /// The engines.
    pub lines: Vec<Line>,
}

impl Table {
    /// How many answers differ.
    pub(crate) fn differences(&self) -> usize {
        let measured = self.lines.iter().filter_map(|line| line.measured.as_ref());
        measured.map(|measured| measured.answers.differences).sum()
    }

    fn reference(&self) -> f64 {
        let first = self.lines.iter().find_map(|line| line.measured.as_ref());
        first.map_or(f64::NAN, |first| first.nanoseconds)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} role assignments\n", self.assignments)?;
        let names = [
            "ns/decision",
            "quickest – slowest",
            "ratio",
            "load s",
            "MiB",
            "peak MiB",
            "used MiB",
            "compared",
            "differ",
            "not expr.",
        ];
        row(f, "engine", &names.map(str::to_owned))?;
        for line in &self.lines {
            self.line(f, line)?;
        }
        Ok(())
    }
}

impl Table {
    fn line(&self, f: &mut fmt::Formatter<'_>, line: &Line) -> fmt::Result {
        let Some(one) = &line.measured else {
            let most = line.most_assignments.unwrap_or_default();
            let why = "it would take absurdly long";
            return writeln!(
                f,
                "{:<21} not run above {most} assignments: {why}",
                line.engine
            );
        };
        let cells = [
            format!("{:.0}", one.nanoseconds),
            format!("{:.0} – {:.0}", one.quickest, one.slowest),
            format!("{:.2}", one.nanoseconds / self.reference()),
            format!("{:.2}", one.load_seconds),
            format!("{:.1}", one.loaded_mib),
            format!("{:.1}", one.peak_mib),
            format!("{:.1}", one.answered_mib),
            one.answers.compared.to_string(),
            one.answers.differences.to_string(),
            one.answers.not_expressed.to_string(),
        ];
        row(f, line.engine, &cells)?;
        if let Some(most) = line.most_requests {
            note(
                f,
                &format!("asked {most} requests at most: more would take absurdly long"),
            )?;
        }
        for (why, count) in &one.answers.why {
            note(f, &format!("not expressed, {count} times: {why}"))?;
        }
        Ok(())
    }
}

const WIDTHS: [usize; 10] = [12, 20, 8, 7, 7, 9, 9, 9, 7, 10];

fn row(f: &mut fmt::Formatter<'_>, name: &str, cells: &[String; 10]) -> fmt::Result {
    write!(f, "{name:<21}")?;
    for (cell, width) in cells.iter().zip(WIDTHS) {
        write!(f, " {cell:>width$}")?;
    }
    writeln!(f)
}

fn note(f: &mut fmt::Formatter<'_>, note: &str) -> fmt::Result {
    writeln!(f, "{:<21}   {note}", "")
}

/// Everything, as it is written to a file.
#[derive(Debug, Serialize)]
pub(crate) struct Results<'a> {
    /// The seed of tenants and requests.
    pub seed: u64,
    /// Requests on each tenant.
    pub requests: usize,
    /// Rounds, of which the median counts.
    pub rounds: usize,
    /// The tenants.
    pub tables: &'a [Table],
}

impl Results<'_> {
    /// Writes them as JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(std::fs::write(path, text)?)
    }
}
