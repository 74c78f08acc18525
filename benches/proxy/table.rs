//! The results as text.

use std::fmt::Write as _;

use crate::gates::Kind;
use crate::results::{Compared, Measured, mebibytes};

/// From this share of a core on, something else on the machine spoils the figures.
const BUSY: f64 = 0.2;

/// A table of one scenario, in Markdown.
pub(crate) fn of(compared: &Compared) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(text, "\n### {}\n", compared.scenario.title())?;
    writeln!(
        text,
        "| proxy | CPU/request | to bare | spread | requests/s | p50 | p99 | core | RSS | peak | wrong |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|---|---|---|---|")?;
    let bare = compared
        .proxies
        .iter()
        .find(|one| one.proxy == Kind::Bare)
        .map(|one| one.median.cpu_micros);
    for one in &compared.proxies {
        row(&mut text, one, bare)?;
    }
    for one in &compared.proxies {
        remarks(&mut text, one)?;
    }
    Ok(text)
}

fn row(text: &mut String, one: &Measured, bare: Option<f64>) -> std::fmt::Result {
    let median = &one.median;
    let ratio = bare.map_or_else(
        || "-".to_owned(),
        |bare| format!("{:.2}", median.cpu_micros / bare),
    );
    let costs = one.rounds.iter().map(super::load::Round::cpu_micros);
    let lowest = costs.clone().fold(f64::INFINITY, f64::min);
    let highest = costs.fold(0.0, f64::max);
    writeln!(
        text,
        "| {} | {:.1} µs | {ratio} | {lowest:.1}–{highest:.1} | {:.0} | {:.0} µs | {:.0} µs | {:.0} % | {:.1} MiB | {:.1} MiB | {} |",
        one.proxy.name(),
        median.cpu_micros,
        median.throughput,
        median.p50,
        median.p99,
        median.load * 100.0,
        mebibytes(median.rss),
        mebibytes(median.peak),
        median.wrong,
    )
}

fn remarks(text: &mut String, one: &Measured) -> std::fmt::Result {
    let name = one.proxy.name();
    if let Some(defect) = one
        .rounds
        .iter()
        .find_map(|round| round.first_wrong.as_ref())
    {
        writeln!(text, "\n{name} answered wrongly: {defect}")?;
    }
    if one.median.others > BUSY {
        writeln!(
            text,
            "\nWarning: while {name} was measured, something else took up to {:.0} % of its core.",
            one.median.others * 100.0
        )?;
    }
    Ok(())
}
