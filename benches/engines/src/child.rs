//! A process for one engine and one tenant: its memory is the engine's.
//!
//! It loads, answers all requests once, says so in one line of JSON, and then measures a round for
//! each line it reads.

use std::hint::black_box;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::Duration;

use portcullis_tenants::{NOW, Shape, Tenant};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::arguments::Arguments;
use crate::engine::{Engine, Model, Source};
use crate::world::{Answer, Ask};
use crate::{process, tenant};

/// No round of one engine takes much longer, whatever a decision costs.
const LONGEST: Duration = Duration::from_millis(700);

/// No round is shorter: its requests are asked again and again.
const SHORTEST: Duration = Duration::from_millis(50);

/// What a child says once it is ready.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// Processor time from the tenant to the first decision, in seconds.
    pub load_seconds: f64,
    /// Resident memory that loading added, in KiB.
    pub loaded_kib: u64,
    /// The most that loading took at a time, in KiB.
    pub peak_kib: u64,
    /// Resident memory that loading and answering added, in KiB.
    pub answered_kib: u64,
    /// An answer for each request.
    pub answers: Vec<Said>,
}

/// An answer, as it goes from one process to the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Said {
    /// Allowed.
    A,
    /// Denied.
    D,
    /// Not expressed, and why.
    N(String),
}

impl From<Answer> for Said {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Allow => Self::A,
            Answer::Deny => Self::D,
            Answer::NotExpressed(why) => Self::N(why),
        }
    }
}

/// What a child says of one round.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    /// Decisions.
    pub decisions: usize,
    /// How long they took together, in nanoseconds.
    pub nanoseconds: u64,
}

/// Does what a child does until nobody asks any more.
///
/// # Errors
/// What went wrong.
pub(crate) fn run(arguments: &Arguments, model: &Model, exports: &Path) -> Result<(), Failure> {
    let assignments = arguments.assignments.first().copied();
    let shape = Shape {
        assignments: assignments.ok_or("no size")?,
        seed: arguments.seed,
    };
    let tenant = Tenant::generate(shape);
    let world = tenant::world(&tenant);
    let now = i64::try_from(NOW)?;
    let requests = arguments.requests.min(model.most_requests);
    let asks = tenant::asks(&world, &tenant.requests(requests, arguments.seed), now)?;
    let source = Source {
        world: &world,
        exports,
        now,
    };
    process::forget_peak()?;
    let before = process::resident_kib()?;
    let began = process::process_time()?;
    let mut engine = (model.load)(&source)?;
    let load_seconds = (process::process_time()? - began).as_secs_f64();
    let loaded = process::resident_kib()?;
    let peak = process::peak_kib()?;
    let answers = answer(&mut *engine, &asks)?;
    let answered = process::resident_kib()?;
    drop(world);
    drop(tenant);
    // What was not asked takes no time, and would make the rest look quicker.
    let asked = asks.into_iter().zip(&answers);
    let asked = asked.filter(|(_, answer)| !matches!(answer, Said::N(_)));
    let asks: Vec<Ask> = asked.map(|(ask, _)| ask).collect();
    say(&Ready {
        load_seconds,
        loaded_kib: loaded.saturating_sub(before),
        peak_kib: peak.saturating_sub(before),
        answered_kib: answered.saturating_sub(before),
        answers,
    })?;
    for line in io::stdin().lock().lines() {
        line?;
        say(&round(&mut *engine, &asks)?)?;
    }
    Ok(())
}

fn say(what: &impl Serialize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, what)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

fn answer(engine: &mut dyn Engine, asks: &[Ask]) -> Result<Vec<Said>, Failure> {
    let mut answers = Vec::with_capacity(asks.len());
    for ask in asks {
        engine.prepare(ask)?;
        answers.push(match &ask.foreign {
            Some(why) if !engine.reads_requests() => Said::N(why.clone()),
            _ => engine.decide(ask)?.into(),
        });
    }
    Ok(answers)
}

fn round(engine: &mut dyn Engine, asks: &[Ask]) -> Result<Round, Failure> {
    let mut decisions = 0;
    let mut took = Duration::ZERO;
    while took < SHORTEST && !asks.is_empty() {
        // The clock is read seldom: it would count as much as the quickest engines.
        for some in asks.chunks(256) {
            took += match engine.measure(some)? {
                Some(took) => took,
                None => measure(engine, some)?,
            };
            decisions += some.len();
            if took > LONGEST {
                break;
            }
        }
    }
    Ok(Round {
        decisions,
        nanoseconds: u64::try_from(took.as_nanos())?,
    })
}

fn measure(engine: &mut dyn Engine, asks: &[Ask]) -> Result<Duration, Failure> {
    let began = process::thread_time()?;
    for ask in asks {
        black_box(engine.decide(black_box(ask))?);
    }
    Ok(process::thread_time()?.saturating_sub(began))
}
