//! The recorded figures, and how new ones compare.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::site::Failure;

/// How much more than recorded is a jump, in percent.
const TOLERANCE: u64 = 10;

/// What is written above the figures.
const TITLE: &str = "# Instructions for one time; see src/main.rs.";

/// Instructions by scenario: `scenario count`, one a line, in the order of their names.
pub(crate) struct Figures {
    recorded: BTreeMap<String, u64>,
    jumps: Vec<String>,
}

impl Figures {
    /// Above the lines that [`Self::take`] gives.
    pub(crate) const HEADING: &'static str =
        "scenario                         recorded          now   change";

    /// Reads what was recorded; a file that is not there records nothing.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        let mut recorded = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (scenario, count) = line
                .split_once(' ')
                .ok_or_else(|| format!("`{line}`: expected a scenario and a count"))?;
            recorded.insert(scenario.to_owned(), count.trim().parse()?);
        }
        Ok(Self {
            recorded,
            jumps: Vec::new(),
        })
    }

    /// Takes the new figure of a scenario, and says how it compares.
    pub(crate) fn take(&mut self, scenario: &str, now: u64) -> String {
        let Some(before) = self.recorded.insert(scenario.to_owned(), now) else {
            return format!("{scenario:<28} {:>12} {now:>12}      new", "-");
        };
        if now.saturating_mul(100) > before.saturating_mul(100 + TOLERANCE) {
            self.jumps.push(scenario.to_owned());
        }
        let thousandths = now.abs_diff(before).saturating_mul(1000) / before.max(1);
        let sign = if now < before { '-' } else { '+' };
        let change = format!("{sign}{}.{} %", thousandths / 10, thousandths % 10);
        format!("{scenario:<28} {before:>12} {now:>12} {change:>8}")
    }

    /// The scenarios that take much more than recorded.
    pub(crate) fn jumps(&self) -> &[String] {
        &self.jumps
    }

    /// Records the figures taken; scenarios that were not counted keep theirs.
    pub(crate) fn write(&self, file: &Path) -> Result<(), Failure> {
        let mut text = format!("{TITLE}\n");
        for (scenario, count) in &self.recorded {
            writeln!(text, "{scenario:<28} {count:>12}")?;
        }
        Ok(fs::write(file, text)?)
    }
}
