//! What the clients of a round counted.

use std::time::{Duration, Instant};

use rustls::{ClientConnection, HandshakeKind};

use super::{Clocks, Phase, Round};
use crate::machine::Memory;

/// The counts of one client, or of all.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Nanoseconds of each answer while it was measured.
    latencies: Vec<u32>,
    wrong: u64,
    first_wrong: Option<String>,
    handshakes: u64,
    resumed: u64,
    tls: String,
}

impl Tally {
    /// A handshake is done.
    pub(super) fn connected(&mut self, session: &ClientConnection) {
        self.handshakes += 1;
        if session.handshake_kind() == Some(HandshakeKind::Resumed) {
            self.resumed += 1;
        }
        if self.tls.is_empty() {
            let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
            let group = session.negotiated_key_exchange_group();
            self.tls = format!("{suite:?} {:?}", group.map(|group| group.name()));
        }
    }

    /// An answer to a request that began at `start` in `phase`.
    pub(super) fn answered(&mut self, phase: Phase, start: Instant, verdict: Result<(), String>) {
        if let Err(defect) = verdict {
            self.wrong(&defect);
        } else if phase == Phase::Measure {
            let nanos = start.elapsed().as_nanos();
            self.latencies
                .push(u32::try_from(nanos).unwrap_or(u32::MAX));
        }
    }

    pub(super) fn wrong(&mut self, defect: &str) {
        self.wrong += 1;
        self.first_wrong.get_or_insert_with(|| defect.to_owned());
    }

    /// Whether so much is wrong that there is no use in going on.
    pub(super) const fn is_hopeless(&self) -> bool {
        self.wrong > 1000
    }

    pub(super) fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.wrong += other.wrong;
        self.handshakes += other.handshakes;
        self.resumed += other.resumed;
        if self.first_wrong.is_none() {
            self.first_wrong = other.first_wrong;
        }
        if self.tls.is_empty() {
            self.tls = other.tls;
        }
    }

    /// What came of the round.
    pub(super) fn report(mut self, clocks: Clocks, memory: Memory) -> Round {
        self.latencies.sort_unstable();
        Round {
            clocks,
            memory,
            requests: u64::try_from(self.latencies.len()).unwrap_or(u64::MAX),
            wrong: self.wrong,
            p50: self.quantile(500),
            p99: self.quantile(990),
            p999: self.quantile(999),
            max: self.quantile(1000),
            first_wrong: self.first_wrong,
            handshakes: self.handshakes,
            resumed: self.resumed,
            tls: self.tls,
            ..Round::default()
        }
    }

    /// The latency that so many of a thousand do not exceed, in microseconds.
    fn quantile(&self, of_thousand: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let rank = (self.latencies.len() * of_thousand / 1000).min(last);
        let nanos = self.latencies.get(rank).copied().unwrap_or_default();
        Duration::from_nanos(nanos.into()).as_secs_f64() * 1e6
    }
}
