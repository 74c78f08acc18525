//! How often the proxy asks for memory to forward one request.
//!
//! The proxy is this test binary again, in a process of its own, so that neither the client nor
//! the issuer nor the vault is counted. There everything is: TLS on both sides, both connections,
//! the decision, the metrics and the thread that writes the records.
#![cfg(test)]
#![cfg(feature = "dev")]

use std::alloc::System;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use http::StatusCode;
use portcullis::app::App;
use portcullis::clock::SystemClock;
use portcullis::config::Config;
use portcullis::dev::people;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime;

#[path = "support/site.rs"]
mod site;

use site::{Protocol, Site};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations per forwarded request, with a known token, a condition and a record. More fail the
/// test; when it measures fewer, write the new number here.
const HTTP1: usize = 76;
const HTTP2: usize = 79;

/// Requests before counting begins: buffers grow, tables fill.
const WARM_UP: usize = 100;

/// Requests that are counted, each by itself. The middle one is told: now and then tables and
/// timers do what belongs to no request, or a record is written later than the answer.
const REQUESTS: usize = 101;

/// Where the process that is counted finds its configuration.
const CONFIGURATION: &str = "PORTCULLIS_COUNTED_CONFIGURATION";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarded_request_allocates_no_more_than_was_measured() {
    let site = Site::start().await.unwrap();
    let mut proxy = Counted::start(&site.write_configuration().unwrap());
    let token = site.bearer(people::APP_READER).unwrap();
    for (protocol, most) in [(Protocol::Http1, HTTP1), (Protocol::Http2, HTTP2)] {
        let mut client = site.connect(proxy.address, protocol).await.unwrap();
        let mut ask = async |count| client.ask(count, Some(&token), StatusCode::OK).await;
        ask(WARM_UP).await.unwrap();
        let mut counts = Vec::with_capacity(REQUESTS);
        for _ in 0..REQUESTS {
            let (before, idle) = (proxy.allocations(), proxy.allocations());
            ask(1).await.unwrap();
            // The question for the number allocates, too.
            counts.push((proxy.allocations() - idle).saturating_sub(idle - before));
        }
        counts.sort_unstable();
        let each = counts[REQUESTS / 2];
        let told =
            format!("{protocol:?}: {each} allocations per forwarded request, {most} at most");
        writeln!(io::stderr(), "{told}").unwrap();
        assert!(each <= most, "{told}");
    }
}

/// The proxy in a process of its own; dropping it kills it.
struct Counted {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Counted {
    fn start(configuration: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_proxy", "--ignored", "--nocapture"])
            .env(CONFIGURATION, configuration)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut counted = Self {
            questions: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        counted.address = counted.answer().parse().unwrap();
        counted
    }

    fn allocations(&mut self) -> usize {
        writeln!(self.questions).unwrap();
        self.answer().parse().unwrap()
    }

    /// What the proxy says next, between what the test harness says.
    fn answer(&mut self) -> String {
        tokio::task::block_in_place(|| {
            loop {
                let mut line = String::new();
                let read = self.answers.read_line(&mut line).unwrap();
                assert!(read > 0, "the proxy ended");
                if let Some(answer) = line.strip_prefix("= ") {
                    return answer.trim_end().to_owned();
                }
            }
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "no test: the process that the other one starts and counts in"]
fn the_proxy() {
    let Some(configuration) = std::env::var_os(CONFIGURATION) else {
        return;
    };
    let config = Config::load(Path::new(&configuration), []).unwrap();
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let app = runtime.block_on(async {
        let app = App::start(config, Arc::new(SystemClock)).await.unwrap();
        app.ready().await;
        app
    });
    // Not with `println`, which the harness takes.
    let mut stdout = io::stdout();
    write!(stdout, "\n= {}\n", app.address("main").unwrap()).unwrap();
    stdout.flush().unwrap();
    for question in io::stdin().lines() {
        question.unwrap();
        let stats = ALLOCATOR.stats();
        let count = stats.allocations + stats.reallocations;
        write!(stdout, "\n= {count}\n").unwrap();
        stdout.flush().unwrap();
    }
}
