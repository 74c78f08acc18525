//! `portcullis condition eval`: what a condition comes to, step by step.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::context::Imagined;
use crate::abac::{self, Attributes, Finding, Lookup, Mode, Scalar, Trace, Truth};
use crate::cli::{Failure, print};

/// The arguments of `portcullis condition eval`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Eval {
    /// The condition
    #[arg(
        long,
        value_name = "TEXT",
        required_unless_present_any = ["condition_file", "vectors"],
        requires = "context"
    )]
    condition: Option<String>,
    /// A file with the condition
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "condition",
        requires = "context"
    )]
    condition_file: Option<PathBuf>,
    /// The request: JSON with `action`, `subOperation`, `resource`, `request`, `principal`,
    /// `environment`
    #[arg(long, value_name = "FILE", conflicts_with = "vectors")]
    context: Option<PathBuf>,
    /// Conditions with requests and what is expected, one JSON object `{id, condition, context,
    /// expected: true|false|"error"}` a line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["condition", "condition_file"])]
    vectors: Option<PathBuf>,
    /// Refuse `AND` beside `OR` without parentheses, as in local files (the default)
    #[arg(long, conflicts_with = "compatible")]
    strict: bool,
    /// Accept `AND` beside `OR` without parentheses, as in conditions that Azure stores
    #[arg(long)]
    compatible: bool,
}

impl Eval {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mode = if self.compatible {
            Mode::Compatible
        } else {
            Mode::Strict
        };
        if let Some(file) = &self.vectors {
            return run_vectors(&read(file)?, mode);
        }
        let text = match (self.condition, &self.condition_file) {
            (Some(text), _) => text,
            (None, Some(file)) => read(file)?,
            (None, None) => return Err("there is no condition to evaluate".into()),
        };
        let file = self
            .context
            .ok_or("there is no context to evaluate it in")?;
        let json: Value = serde_json::from_str(&read(&file)?)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let imagined = Imagined::new(json)?;
        print(&explain(&text, mode, &imagined)?)
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()).into())
}

/// Every part of a condition with what it comes to, and what follows for an assignment.
fn explain(text: &str, mode: Mode, imagined: &Imagined) -> Result<String, Failure> {
    let expr = abac::parse(text, mode).map_err(|error| error.render(text))?;
    let trace = abac::trace(&expr, &imagined.as_context());
    let mut out = String::new();
    write_trace(&mut out, &trace, imagined, 0)?;
    let (grants, denies) = match trace.truth {
        Truth::True => ("grants", "denies"),
        Truth::False => ("does not grant", "does not deny"),
        Truth::Undefined | Truth::Pending(_) => ("does not grant", "denies"),
    };
    writeln!(
        out,
        "\nIt comes to {}: a role assignment with this condition {grants}; a deny assignment \
         {denies}.",
        word(trace.truth)
    )?;
    Ok(out)
}

const fn word(truth: Truth) -> &'static str {
    match truth {
        Truth::True => "true",
        Truth::False => "false",
        Truth::Undefined => "undefined",
        Truth::Pending(_) => "pending",
    }
}

fn write_trace(
    out: &mut String,
    trace: &Trace,
    imagined: &Imagined,
    depth: usize,
) -> Result<(), std::fmt::Error> {
    let indent = depth * 2;
    let truth = word(trace.truth);
    writeln!(out, "{:indent$}{truth:<9} {}", "", trace.expression)?;
    for (attribute, finding) in &trace.findings {
        let values = match imagined.look_up(attribute) {
            Lookup::Found(values) => {
                let shown: Vec<String> = values.as_slice().iter().map(show).collect();
                shown.join(", ")
            }
            Lookup::Missing | Lookup::Pending(_) => String::new(),
        };
        let finding = match finding {
            Finding::Found => format!("is {values}"),
            Finding::Missing => "is missing".to_owned(),
            Finding::Pending(_) => "is not known yet".to_owned(),
            Finding::WrongType => format!("is {values}, which the operator cannot compare"),
            Finding::Several => format!("is {values}: several values, and no quantifier"),
        };
        writeln!(out, "{:indent$}          {attribute} {finding}", "")?;
    }
    for part in &trace.parts {
        write_trace(out, part, imagined, depth + 1)?;
    }
    Ok(())
}

fn show(scalar: &Scalar<'_>) -> String {
    match scalar {
        Scalar::Text(text) | Scalar::Name(text) => format!("'{text}'"),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Boolean(value) => value.to_string(),
        Scalar::DateTime(time) => time.to_string(),
        Scalar::Guid(guid) => guid.to_string(),
        Scalar::Other => "of a type without operators".to_owned(),
    }
}

/// One row of a file of vectors.
#[derive(Deserialize)]
struct Row {
    id: String,
    condition: String,
    context: Value,
    expected: Expected,
    why: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(untagged)]
enum Expected {
    Holds(bool),
    Refused(Refused),
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
enum Refused {
    #[serde(rename = "error")]
    Error,
}

impl Expected {
    const fn word(self) -> &'static str {
        match self {
            Self::Holds(true) => "true",
            Self::Holds(false) => "false",
            Self::Refused(Refused::Error) => "error",
        }
    }
}

/// Runs every row, prints each mismatch and the count of both kinds.
fn run_vectors(text: &str, mode: Mode) -> Result<(), Failure> {
    let (mut passed, mut failed) = (0_usize, 0_usize);
    let mut out = String::new();
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    for (line, number) in lines {
        let row: Row =
            serde_json::from_str(line).map_err(|error| format!("line {number}: {error}"))?;
        match mismatch(&row, mode) {
            None => passed += 1,
            Some(actual) => {
                failed += 1;
                let expected = row.expected.word();
                writeln!(out, "{}: expected {expected}, got {actual}", row.id)?;
                if let Some(why) = row.why {
                    writeln!(out, "  {why}")?;
                }
            }
        }
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    print(&out)?;
    if failed > 0 {
        return Err(Failure::from(format!("{failed} of the vectors failed")));
    }
    Ok(())
}

/// What a row comes to, if that is not what it expects.
fn mismatch(row: &Row, mode: Mode) -> Option<String> {
    let expr = match abac::parse(&row.condition, mode) {
        Ok(expr) => expr,
        Err(_) if row.expected == Expected::Refused(Refused::Error) => return None,
        Err(error) => return Some(format!("error: {error}")),
    };
    let imagined = match Imagined::new(row.context.clone()) {
        Ok(imagined) => imagined,
        Err(error) => return Some(format!("no answer: {error}")),
    };
    let truth = abac::evaluate(&expr, &imagined.as_context());
    // What is not true does not grant, whatever it is.
    (row.expected != Expected::Holds(truth == Truth::True)).then(|| word(truth).to_owned())
}
