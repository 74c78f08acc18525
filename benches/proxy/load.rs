//! The load of one round: so many clients, each of which asks again as soon as it was answered.
//!
//! Every answer is looked at: its status, and whether it is the secret that was asked for. The CPU
//! time of the proxy is read when the measuring begins and when it ends, by the same process that
//! counts the answers.

mod h1;
mod h2;
mod question;
mod tally;
mod witness;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::question::Questions;
use self::tally::Tally;
use self::witness::Seen;
use crate::machine::{self, Family, Memory};
use crate::{Failure, issuer, say, tls};

/// How long answers that are on their way at the end are waited for.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// What to do, as JSON
    order: String,
}

/// How connections are used.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Connecting {
    /// Once for all requests.
    Kept,
    /// Anew for each request, with a full handshake.
    Full,
    /// Anew for each request, with a resumed session where the proxy offers one.
    Resumed,
}

/// A part of the tokens that were never sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Fresh {
    pub(crate) path: PathBuf,
    pub(crate) skip: usize,
    pub(crate) count: usize,
}

/// One round.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Order {
    /// The proxy.
    pub(crate) address: SocketAddr,
    /// The vault's host name, by which the proxy is asked.
    pub(crate) host: String,
    pub(crate) ca: PathBuf,
    pub(crate) http2: bool,
    pub(crate) connections: usize,
    /// Requests at a time on a connection of HTTP/2.
    pub(crate) streams: usize,
    pub(crate) connecting: Connecting,
    /// The token of warming up, and of measuring where there are no fresh ones.
    pub(crate) token: Option<String>,
    pub(crate) fresh: Option<Fresh>,
    /// How long each client of HTTP/1.1 rests between requests, seconds.
    pub(crate) pause: f64,
    /// The right status.
    pub(crate) expected: u16,
    /// How long to measure, at most.
    pub(crate) seconds: f64,
    /// How long to warm up.
    pub(crate) warm_up: f64,
    pub(crate) vault_address: SocketAddr,
    /// The core that the proxy has to itself, if it has one.
    pub(crate) core: Option<usize>,
    /// The process ids of the proxy and the vault.
    pub(crate) proxy: u32,
    pub(crate) vault: u32,
}

/// The CPU time of a round.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Clocks {
    /// How long it was measured, seconds.
    pub(crate) seconds: f64,
    /// CPU time of the proxy, seconds.
    pub(crate) cpu: f64,
    /// CPU time of the vault, seconds.
    pub(crate) vault_cpu: f64,
    /// CPU time of the load itself, seconds.
    pub(crate) load_cpu: f64,
    /// CPU time of everything else on the proxy's core, or on the machine if it has none of its own,
    /// seconds.
    pub(crate) other_cpu: f64,
}

/// What came of a round.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Round {
    /// Answers while it was measured.
    pub(crate) requests: u64,
    /// Wrong answers, at any time.
    pub(crate) wrong: u64,
    /// What was wrong with the first one.
    pub(crate) first_wrong: Option<String>,
    #[serde(flatten)]
    pub(crate) clocks: Clocks,
    /// Latencies, microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    /// Handshakes, and how many of them resumed a session.
    pub(crate) handshakes: u64,
    pub(crate) resumed: u64,
    /// What reached the vault, warming up included, and by how many new connections.
    pub(crate) vault_requests: u64,
    pub(crate) vault_connections: u64,
    /// What was negotiated.
    pub(crate) tls: String,
    /// The proxy's memory at the end.
    pub(crate) memory: Memory,
}

/// Runs one round and prints what came of it as JSON.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let order: Order = serde_json::from_str(&arguments.order)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let round = runtime.block_on(round(order))?;
    say(&serde_json::to_string(&round)?)
}

/// Where the round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measure,
    Over,
}

/// What the clients of a round have in common.
struct Clients {
    address: SocketAddr,
    name: ServerName<'static>,
    http2: bool,
    streams: usize,
    connecting: Connecting,
    pause: Option<Duration>,
    questions: Questions,
    expected: u16,
    tls: rustls::ClientConfig,
    phase: AtomicU8,
    /// How many of the fresh tokens are used up.
    used: AtomicUsize,
    exhausted: Notify,
}

impl Clients {
    fn new(order: &Order) -> Result<Self, Failure> {
        let fresh = match &order.fresh {
            Some(fresh) => issuer::read_fresh(&fresh.path, fresh.skip, fresh.count)?,
            None => Vec::new(),
        };
        let protocol = if order.http2 { tls::H2 } else { tls::HTTP_1_1 };
        let mut config = tls::load_client(&order.ca, protocol)?;
        config.resumption = Resumption::disabled();
        Ok(Self {
            address: order.address,
            name: ServerName::try_from(order.host.clone())?,
            http2: order.http2,
            streams: order.streams,
            connecting: order.connecting,
            pause: (order.pause > 0.0).then(|| Duration::from_secs_f64(order.pause)),
            questions: Questions::new(&order.host, order.token.as_deref(), fresh)?,
            expected: order.expected,
            tls: config,
            phase: AtomicU8::new(Phase::WarmUp as u8),
            used: AtomicUsize::new(0),
            exhausted: Notify::new(),
        })
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::WarmUp,
            1 => Phase::Measure,
            _ => Phase::Over,
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Which fresh token is next, if tokens are to be fresh now.
    fn next_fresh(&self, phase: Phase) -> Token {
        if !self.questions.has_fresh() || phase != Phase::Measure {
            return Token::Known;
        }
        let index = self.used.fetch_add(1, Ordering::Relaxed);
        if index < self.questions.fresh_count() {
            return Token::Fresh(index);
        }
        self.exhausted.notify_one();
        Token::Exhausted
    }

    /// A TLS configuration for one client: sessions are not shared between clients.
    fn connector(&self) -> TlsConnector {
        let mut config = self.tls.clone();
        if self.connecting == Connecting::Resumed {
            config.resumption = Resumption::in_memory_sessions(8);
        }
        TlsConnector::from(Arc::new(config))
    }

    async fn connect(
        &self,
        connector: &TlsConnector,
        tally: &mut Tally,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream = connector.connect(self.name.clone(), stream).await?;
        tally.connected(stream.get_ref().1);
        Ok(stream)
    }
}

/// Which token a request has.
enum Token {
    /// The known one, or none if there is none.
    Known,
    /// The fresh one of this index.
    Fresh(usize),
    /// There are no more.
    Exhausted,
}

async fn round(order: Order) -> Result<Round, Failure> {
    let clients = Arc::new(Clients::new(&order)?);
    let seen = Seen::by_vault(&order).await?;
    let mut tasks = JoinSet::new();
    for index in 0..order.connections {
        let clients = Arc::clone(&clients);
        if clients.http2 {
            tasks.spawn(h2::drive(clients, index));
        } else {
            tasks.spawn(h1::drive(clients, index));
        }
    }
    tokio::time::sleep(Duration::from_secs_f64(order.warm_up)).await;
    let (proxy, vault) = (Family::of(order.proxy)?, Family::of(order.vault)?);
    let own = Family::of(std::process::id())?;
    let families = [&proxy, &vault, &own];
    let before = Reading::take(families, order.core)?;
    clients.enter(Phase::Measure);
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs_f64(order.seconds)) => {}
        () = clients.exhausted.notified() => {}
    }
    clients.enter(Phase::Over);
    let after = Reading::take(families, order.core)?;
    let mut tally = Tally::default();
    let last = async {
        while let Some(one) = tasks.join_next().await {
            tally.add(one?);
        }
        Ok::<_, Failure>(())
    };
    if tokio::time::timeout(LAST_ANSWERS, last).await.is_err() {
        tally.wrong("clients were not answered at the end");
    }
    let mut round = tally.report(after.since(&before), proxy.memory()?);
    seen.compare(Seen::by_vault(&order).await?, order.expected, &mut round);
    Ok(round)
}

/// The clocks at one moment.
struct Reading {
    at: Instant,
    proxy: f64,
    vault: f64,
    load: f64,
    others: f64,
}

impl Reading {
    fn take([proxy, vault, load]: [&Family; 3], core: Option<usize>) -> Result<Self, Failure> {
        let (proxy, vault, load) = (proxy.cpu()?, vault.cpu()?, load.cpu()?);
        let ours = match core {
            Some(_) => proxy,
            None => proxy + vault + load,
        };
        Ok(Self {
            at: Instant::now(),
            proxy,
            vault,
            load,
            others: machine::busy(core)? - ours,
        })
    }

    fn since(&self, before: &Self) -> Clocks {
        Clocks {
            seconds: self.at.duration_since(before.at).as_secs_f64(),
            cpu: self.proxy - before.proxy,
            vault_cpu: self.vault - before.vault,
            load_cpu: self.load - before.load,
            other_cpu: (self.others - before.others).max(0.0),
        }
    }
}
