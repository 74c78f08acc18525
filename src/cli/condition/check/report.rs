//! What was found, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use crate::abac::{ParseError, Warning};

/// How much of an expression people are shown.
const MAX_SHOWN_CHARS: usize = 160;

/// Everything that was found.
#[derive(Default)]
pub(super) struct Report {
    /// How many conditions were looked at.
    pub(super) conditions: usize,
    /// What was found in them.
    pub(super) findings: Vec<Finding>,
}

/// One problem of one condition.
pub(super) struct Finding {
    /// The file, or `standard input`.
    pub(super) file: String,
    /// What has the condition.
    pub(super) subject: Option<String>,
    pub(super) problem: Problem,
}

pub(super) enum Problem {
    /// `conditionVersion` is not 2.0.
    Version(String),
    /// The condition cannot be read.
    Unreadable { text: String, error: ParseError },
    /// It can, and is a trap.
    Warning(Warning),
}

impl Problem {
    const fn is_error(&self) -> bool {
        match self {
            Self::Version(_) | Self::Unreadable { .. } => true,
            Self::Warning(warning) => warning.lint.is_error(),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Version(_) => "unsupported-version",
            Self::Unreadable { error, .. } => error.kind.as_str(),
            Self::Warning(warning) => warning.lint.name(),
        }
    }
}

impl Report {
    /// How many errors and how many warnings there are.
    pub(super) fn counts(&self) -> (usize, usize) {
        let is_error = |finding: &&Finding| finding.problem.is_error();
        let errors = self.findings.iter().filter(is_error).count();
        (errors, self.findings.len() - errors)
    }

    /// The same in words.
    pub(super) fn summary(&self) -> String {
        let (errors, warnings) = self.counts();
        format!(
            "{}, {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        )
    }

    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            finding.write(&mut out);
            out.push('\n');
        }
        // Writing to a String cannot fail.
        let conditions = counted(self.conditions, "condition");
        let _ = writeln!(out, "{conditions}: {}", self.summary());
        out
    }

    pub(super) fn to_json(&self) -> Value {
        let (errors, warnings) = self.counts();
        let findings: Vec<Row<'_>> = self.findings.iter().map(Finding::to_row).collect();
        json!({
            "conditions": self.conditions,
            "errors": errors,
            "warnings": warnings,
            "findings": findings,
        })
    }
}

impl Finding {
    const fn level(&self) -> &'static str {
        if self.problem.is_error() {
            "error"
        } else {
            "warning"
        }
    }

    fn write(&self, out: &mut String) {
        let name = self.problem.name();
        let _ = write!(out, "{}: ", printable(&self.file));
        if let Some(subject) = &self.subject {
            let _ = write!(out, "{}: ", printable(subject));
        }
        let _ = write!(out, "{}[{name}]: ", self.level());
        match &self.problem {
            Problem::Version(version) => {
                let version = printable(version);
                let _ = writeln!(out, "expected condition version 2.0, found {version}");
            }
            Problem::Unreadable { text, error } => out.push_str(&error.render(text)),
            Problem::Warning(warning) => {
                let _ = writeln!(out, "{}", warning.lint.explanation());
                let _ = writeln!(out, "  {}", printable(&warning.expression));
                if !warning.detail.is_empty() {
                    let _ = writeln!(out, "  {}", printable(&warning.detail));
                }
            }
        }
    }

    fn to_row(&self) -> Row<'_> {
        let row = Row {
            file: &self.file,
            subject: self.subject.as_deref(),
            level: self.level(),
            name: self.problem.name(),
            message: String::new(),
            line: None,
            column: None,
            hint: None,
            expression: None,
            detail: None,
        };
        match &self.problem {
            Problem::Version(version) => Row {
                message: format!("expected condition version 2.0, found {version}"),
                ..row
            },
            Problem::Unreadable { error, .. } => Row {
                message: error.to_string(),
                line: Some(error.line),
                column: Some(error.column),
                hint: error.hint.as_deref(),
                ..row
            },
            Problem::Warning(warning) => Row {
                message: warning.lint.explanation().to_owned(),
                expression: Some(&warning.expression),
                detail: Some(&*warning.detail).filter(|detail| !detail.is_empty()),
                ..row
            },
        }
    }
}

/// A finding as programs read it.
#[derive(Serialize)]
struct Row<'f> {
    file: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'f str>,
    level: &'static str,
    name: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'f str>,
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// `text`, cut and without what a terminal would act upon.
fn printable(text: &str) -> String {
    let shown = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut cut: String = shown.take(MAX_SHOWN_CHARS).collect();
    if text.chars().nth(MAX_SHOWN_CHARS).is_some() {
        cut.push('…');
    }
    cut
}
