//! `portcullis condition check`: what is wrong with conditions, and what is seldom meant.
//!
//! The input is the text of one condition, JSON as `az`, PowerShell and ARM write it, or an overlay
//! file; in the latter two every condition is looked at.

mod export;
mod report;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::input::Input;
use crate::abac::{self, Knowledge, Lint, Mode, Warning};
use crate::attributes;
use crate::cli::{Failure, print};
use crate::keyvault::DataActionSet;
use report::{Finding, Problem, Report};

/// The arguments of `portcullis condition check`.
///
/// The exit code is 0 if there are no errors, 1 if there are (or warnings, with
/// `--deny-warnings`), and 2 if the arguments are wrong.
#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// Files with one condition each, JSON exports of role assignments and role definitions, or
    /// overlay files, whose names end in `.toml`; standard input if there are none, or for `-`
    files: Vec<PathBuf>,
    /// Refuse `AND` beside `OR` without parentheses (the default but for exports)
    #[arg(long, conflicts_with = "compatible")]
    strict: bool,
    /// Accept `AND` beside `OR` without parentheses (the default for exports)
    #[arg(long)]
    compatible: bool,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Fail if there are warnings, too
    #[arg(long)]
    deny_warnings: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object, for programs
    Json,
}

/// What kind of input conditions are in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The text of one condition.
    Text,
    /// What Azure's tools wrote.
    Export,
    /// A file of our own, in which our own attributes have their place.
    Overlay,
}

impl Kind {
    fn of(input: &Input) -> Self {
        if input.name.ends_with(".toml") {
            Self::Overlay
        } else if export::is_json(&input.text) {
            Self::Export
        } else {
            Self::Text
        }
    }
}

/// A condition and what is known of where it is.
struct Condition {
    /// What has it, if the input is an export.
    subject: Option<String>,
    text: String,
    /// `conditionVersion`, if the input names one.
    version: Option<String>,
    /// What the role holds, if that is known.
    held: Option<DataActionSet>,
    /// What else makes it void, in words.
    void: Option<String>,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut report = Report::default();
        for input in Input::all(&self.files)? {
            self.check(&input, &mut report)?;
        }
        print(&match self.format {
            Format::Text => report.to_text(),
            Format::Json => format!("{}\n", serde_json::to_string_pretty(&report.to_json())?),
        })?;
        let (errors, warnings) = report.counts();
        if errors > 0 || (self.deny_warnings && warnings > 0) {
            return Err(report.summary().into());
        }
        Ok(())
    }

    fn check(&self, input: &Input, report: &mut Report) -> Result<(), Failure> {
        let kind = Kind::of(input);
        let conditions =
            conditions(kind, &input.text).map_err(|error| format!("{}: {error}", input.name))?;
        let mode = if self.compatible || (kind == Kind::Export && !self.strict) {
            Mode::Compatible
        } else {
            Mode::Strict
        };
        for condition in conditions {
            report.conditions += 1;
            let problems = problems(&condition, mode, kind);
            report
                .findings
                .extend(problems.into_iter().map(|problem| Finding {
                    file: input.name.clone(),
                    subject: condition.subject.clone(),
                    problem,
                }));
        }
        Ok(())
    }
}

fn conditions(kind: Kind, text: &str) -> Result<Vec<Condition>, Failure> {
    Ok(match kind {
        Kind::Export => export::conditions(&serde_json::from_str(text)?),
        Kind::Overlay => export::conditions(&toml::from_str(text)?),
        Kind::Text => vec![Condition {
            subject: None,
            text: text.to_owned(),
            version: None,
            held: None,
            void: None,
        }],
    })
}

/// What is wrong with `condition`.
///
/// Exports also have conditions on other services, of which only the language is known here.
fn problems(condition: &Condition, mode: Mode, kind: Kind) -> Vec<Problem> {
    if let Some(version) = &condition.version
        && version != "2.0"
    {
        return vec![Problem::Version(version.clone())];
    }
    let text = &condition.text;
    let expr = match abac::parse(text, mode) {
        Ok(expr) => expr,
        Err(error) => {
            return vec![Problem::Unreadable {
                text: text.clone(),
                error,
            }];
        }
    };
    let knowledge = Knowledge {
        can_have: &attributes::can_have,
        suboperations: &attributes::suboperations_of,
        held: condition.held,
    };
    let void = condition.void.iter().map(|detail| Warning {
        lint: Lint::UnconditionalAssignment,
        expression: expr.to_string().into(),
        detail: detail.as_str().into(),
    });
    let foreign = kind == Kind::Export && !abac::concerns_key_vault(&expr);
    let is_at_home =
        |warning: &Warning| kind == Kind::Overlay && warning.lint == Lint::ExtensionAttribute;
    abac::lint(&expr, &knowledge)
        .into_iter()
        .chain(void)
        .filter(|warning| !foreign || warning.lint.is_about_any_service())
        .filter(|warning| !is_at_home(warning))
        .map(Problem::Warning)
        .collect()
}
