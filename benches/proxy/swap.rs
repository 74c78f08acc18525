//! What new role data cost the requests that are under way.
//!
//! The same load twice in each round: left alone, and while an export that differs in one
//! assignment is written again and again. The proxy is not at its limit: what is asked is how long a
//! request waits for the swap, not for its turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::gates::{Kind, Surroundings, Target, portcullis};
use crate::load::{Order, Round};
use crate::machine::Family;
use crate::results::{Swap, middle};
use crate::rounds::{self, Plan};
use crate::scenario::Scenario;
use crate::site::Site;
use crate::{Failure, say};

/// From one export to the next. Portcullis waits 50 ms for files to come to rest.
const BETWEEN: Duration = Duration::from_millis(300);

/// CPU time that a process which does nothing stays below meanwhile, seconds.
const IDLE: f64 = 0.015;

/// How long a client rests between requests, seconds.
const PAUSE: f64 = 0.004;

/// Prints a table of latencies, with the role assignments of `plan`.
pub(crate) fn run(plan: &Plan) -> Result<(), Failure> {
    let mut results = plan.results()?;
    let site = Site::new(plan.assignments)?;
    let around = Surroundings::start(site, plan.placement()?, plan.workers)?;
    let started = portcullis::start(&around)?;
    let target = Target {
        kind: Kind::Portcullis,
        address: started.address,
        pid: started.process.id(),
    };
    let mut order = rounds::order(plan, (Scenario::H1Hot, 0), target, &around)?;
    order.pause = PAUSE;
    let (mut alone, mut swapped) = (Vec::new(), Vec::new());
    let before = started.loads()?;
    for _ in 0..plan.rounds {
        alone.push(rounds::load(&order, &around.placement)?);
        swapped.push(while_swapping(&order, &around)?);
        settle(target.pid)?;
    }
    let swaps = started.loads()? - before;
    say(&format!(
        "{} assignments, {swaps} swaps in {} rounds of {} s",
        plan.assignments, plan.rounds, plan.seconds
    ))?;
    say("\n| | requests | p50 | p99 | p99.9 | max | wrong |\n|---|---|---|---|---|---|---|")?;
    say(&row("left alone", &alone))?;
    say(&row("while swapping", &swapped))?;
    results
        .swaps
        .retain(|one| one.assignments != plan.assignments);
    results.swaps.push(Swap {
        assignments: plan.assignments,
        swaps,
        alone,
        swapped,
    });
    results.save(plan.out.as_deref())
}

/// Waits until the last load is done: until the process does nothing.
fn settle(pid: u32) -> Result<(), Failure> {
    let family = Family::of(pid)?;
    loop {
        let before = family.cpu()?;
        thread::sleep(BETWEEN);
        if family.cpu()? - before < IDLE {
            return Ok(());
        }
    }
}

fn while_swapping(order: &Order, around: &Surroundings) -> Result<Round, Failure> {
    let site = &around.site;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| -> Result<(), Failure> {
            let mut turn = 0;
            while !over.load(Ordering::Relaxed) {
                turn += 1;
                site.write_roles(turn)?;
                thread::sleep(BETWEEN);
            }
            Ok(())
        });
        let round = rounds::load(order, &around.placement);
        over.store(true, Ordering::Relaxed);
        let written = writer.join();
        written.map_err(|_| "the writer ended early")??;
        round
    })
}

fn row(name: &str, rounds: &[Round]) -> String {
    let of = |figure: fn(&Round) -> f64| middle(rounds.iter().map(figure).collect());
    let requests: u64 = rounds.iter().map(|round| round.requests).sum();
    let wrong: u64 = rounds.iter().map(|round| round.wrong).sum();
    format!(
        "| {name} | {requests} | {:.0} µs | {:.0} µs | {:.0} µs | {:.0} µs | {wrong} |",
        of(|round| round.p50),
        of(|round| round.p99),
        of(|round| round.p999),
        of(|round| round.max),
    )
}
