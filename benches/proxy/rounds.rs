//! The rounds: every proxy idles while one of them is loaded, and they take turns.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::gates::{Gate, Kind, Surroundings, Target};
use crate::load::{Connecting, Fresh, Order, Round};
use crate::process::{Core, Placement};
use crate::results::{Compared, Measured, Results};
use crate::scenario::Scenario;
use crate::site::Site;
use crate::{Failure, footprint, machine, say, swap, table};

/// How long each round warms up, seconds.
pub(crate) const WARM_UP: f64 = 0.5;

/// What is measured.
#[derive(Args, Clone, Debug)]
pub(crate) struct Plan {
    /// The proxies, all if none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Kind>,
    /// The scenarios, all if none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    scenario: Vec<Scenario>,
    /// How long a round takes, at most
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Rounds for each proxy
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Requests at a time
    #[arg(long, default_value_t = 16)]
    pub(crate) connections: usize,
    /// How many of them share a connection of HTTP/2
    #[arg(long, default_value_t = 8)]
    streams: usize,
    /// Tokens in a round that takes a new one each time
    #[arg(long, default_value_t = 20_000)]
    tokens: usize,
    /// Worker threads of each proxy
    #[arg(long, default_value_t = 1)]
    pub(crate) workers: usize,
    /// Do not pin processes to cores
    #[arg(long)]
    no_pin: bool,
    /// Let what is measured go before everything else on the machine (needs root): figures of a
    /// busy machine become usable, and everything else waits
    #[arg(long)]
    first: bool,
    /// Role assignments of the tenant
    #[arg(long, default_value_t = 4000)]
    pub(crate) assignments: usize,
    /// Measure size, memory and start of Portcullis instead
    #[arg(long)]
    footprint: bool,
    /// Measure instead what new role data cost the requests that are under way; not together with
    /// --first, under which threads of equal rank do not make way for each other
    #[arg(long, conflicts_with_all = ["footprint", "first"])]
    swap: bool,
    /// Where the results go as JSON; what else is in the file stays
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

impl Plan {
    /// Where processes run: with several workers there is no core for each.
    pub(crate) fn placement(&self) -> Result<Placement, Failure> {
        Placement::new(!self.no_pin && self.workers == 1, self.first)
    }

    /// The results so far, with this machine and this setting, which are told.
    pub(crate) fn results(&self) -> Result<Results, Failure> {
        let mut results = Results::open(self.out.as_deref())?;
        results.machine = machine::describe()?;
        results.setting = format!(
            "{}; {} worker(s), {} requests at a time, {} role assignments",
            self.placement()?.describe(),
            self.workers,
            self.connections,
            self.assignments
        );
        say(&results.machine)?;
        say(&results.setting)?;
        Ok(results)
    }
}

/// Measures what `plan` says and prints the tables.
pub(crate) fn run(plan: &Plan) -> Result<(), Failure> {
    if plan.footprint {
        return footprint::run(plan);
    }
    if plan.swap {
        return swap::run(plan);
    }
    let mut results = plan.results()?;
    let site = Site::new(plan.assignments)?;
    let mut around = Surroundings::start(site, plan.placement()?, plan.workers)?;
    let scenarios = if plan.scenario.is_empty() {
        Scenario::ALL.to_vec()
    } else {
        plan.scenario.clone()
    };
    for scenario in scenarios {
        let compared = compare(plan, scenario, &mut around)?;
        say(&table::of(&compared)?)?;
        results.take(compared);
        results.save(plan.out.as_deref())?;
    }
    Ok(())
}

/// One scenario. The proxies are started for it, so that none has seen its tokens.
fn compare(
    plan: &Plan,
    scenario: Scenario,
    around: &mut Surroundings,
) -> Result<Compared, Failure> {
    let kinds = if plan.only.is_empty() {
        <Kind as clap::ValueEnum>::value_variants().to_vec()
    } else {
        plan.only.clone()
    };
    let mut gates = Vec::new();
    for kind in kinds {
        match Gate::start(kind, around)? {
            Some(gate) => gates.push((gate, Vec::new())),
            None => say(&format!("{} is not installed", kind.name()))?,
        }
    }
    for number in 0..plan.rounds {
        for (gate, rounds) in &mut gates {
            let order = order(plan, (scenario, number), gate.target(), around)?;
            rounds.push(load(&order, &around.placement)?);
        }
    }
    let proxies = gates
        .into_iter()
        .map(|(gate, rounds)| Measured::new(gate.kind, rounds))
        .collect();
    Ok(Compared { scenario, proxies })
}

/// What the load of one round is told.
pub(crate) fn order(
    plan: &Plan,
    (scenario, number): (Scenario, usize),
    target: Target,
    around: &Surroundings,
) -> Result<Order, Failure> {
    let fresh = if scenario.has_new_tokens() {
        Some(Fresh {
            path: around.site.fresh_tokens(plan.tokens * plan.rounds)?,
            skip: plan.tokens * number,
            count: plan.tokens,
        })
    } else {
        None
    };
    let connections = if scenario.is_http2() {
        plan.connections.div_ceil(plan.streams)
    } else {
        plan.connections
    };
    Ok(Order {
        address: target.address,
        host: around.site.vault.host.clone(),
        ca: around.site.path("ca.pem"),
        http2: scenario.is_http2(),
        connections,
        streams: plan.streams.min(plan.connections),
        connecting: connecting(scenario),
        token: token(scenario, &around.site),
        fresh,
        pause: 0.0,
        expected: target.kind.expected(scenario),
        seconds: plan.seconds,
        warm_up: WARM_UP,
        core: around.placement.proxy_core(),
        proxy: target.pid,
        vault_address: around.vault_address,
        vault: around.vault.id(),
    })
}

const fn connecting(scenario: Scenario) -> Connecting {
    match scenario {
        Scenario::Connect => Connecting::Full,
        Scenario::Resume => Connecting::Resumed,
        Scenario::H1Hot
        | Scenario::H2Hot
        | Scenario::H1New
        | Scenario::H2New
        | Scenario::NoToken
        | Scenario::Forbidden => Connecting::Kept,
    }
}

/// The known token.
fn token(scenario: Scenario, site: &Site) -> Option<String> {
    match scenario {
        Scenario::NoToken => None,
        Scenario::Forbidden => Some(site.stranger_token.clone()),
        Scenario::H1Hot
        | Scenario::H2Hot
        | Scenario::H1New
        | Scenario::H2New
        | Scenario::Connect
        | Scenario::Resume => Some(site.reader_token.clone()),
    }
}

/// Has one round run by a process of its own.
pub(crate) fn load(order: &Order, placement: &Placement) -> Result<Round, Failure> {
    let mut command: Command = placement.command(Core::Load, &std::env::current_exe()?);
    command.arg("load").arg(serde_json::to_string(order)?);
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the load failed: {said}").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
