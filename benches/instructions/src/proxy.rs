//! Whole requests through the real proxy, from the bytes of the client to the bytes for it.
//!
//! The proxy runs on one thread, and that thread is what is counted: TLS and HTTP on both sides
//! and all in between. Not counted are the thread that writes records, the kernel, and the start,
//! the handshakes and first requests, which come before.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::thread;

use http::StatusCode;
use portcullis::app::App;
use portcullis::clock::SystemClock;
use portcullis::config::Config;
use portcullis::dev::people::{self, Person};
use tokio::sync::mpsc;

use crate::counted_by_valgrind;
use crate::site::{Client, Failure, Protocol, Site};

/// Requests that are counted, and those before.
const REQUESTS: usize = 100;
const WARM_UP: usize = 20;

/// A request that is sent again and again.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    protocol: Protocol,
    person: Option<Person>,
    expected: StatusCode,
}

const fn scenario(
    name: &'static str,
    protocol: Protocol,
    person: Option<Person>,
    expected: StatusCode,
) -> Scenario {
    Scenario {
        name,
        protocol,
        person,
        expected,
    }
}

pub(crate) const SCENARIOS: [Scenario; 4] = [
    // Allowed by a condition on the name.
    scenario(
        "proxy/http1/forwarded",
        Protocol::Http1,
        Some(people::APP_READER),
        StatusCode::OK,
    ),
    scenario(
        "proxy/http2/forwarded",
        Protocol::Http2,
        Some(people::APP_READER),
        StatusCode::OK,
    ),
    scenario(
        "proxy/http1/denied",
        Protocol::Http1,
        Some(people::NOBODY),
        StatusCode::FORBIDDEN,
    ),
    scenario(
        "proxy/http1/no-token",
        Protocol::Http1,
        None,
        StatusCode::UNAUTHORIZED,
    ),
];

/// Instructions per request.
pub(crate) fn count(scenario: &'static Scenario) -> Result<u64, Failure> {
    // The issuer and the vault have a thread while this one waits for the proxy.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async { tokio::spawn(drive(scenario)).await? })
}

async fn drive(scenario: &Scenario) -> Result<u64, Failure> {
    let site = Site::start().await?;
    let results = site.directory.path().join("callgrind");
    let configuration = site.write_configuration()?;
    let arguments = ["proxy".as_ref(), configuration.as_os_str()];
    let mut process = crate::under_valgrind(arguments, &results)?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let asked = match (process.stdin.take(), process.stdout.take()) {
        (Some(orders), Some(told)) => ask(scenario, &site, orders, BufReader::new(told)).await,
        _ => Err("the proxy has no pipes".into()),
    };
    if let Err(failure) = asked {
        let _ = process.kill();
        let _ = process.wait();
        return Err(failure);
    }
    process.wait()?;
    Ok(crate::sum(&results)? / REQUESTS as u64)
}

/// Sends the requests, and says when counting begins and when it ends.
async fn ask(
    scenario: &Scenario,
    site: &Site,
    mut orders: ChildStdin,
    mut told: BufReader<ChildStdout>,
) -> Result<(), Failure> {
    let address: SocketAddr = next(&mut told)?.parse()?;
    let bearer = scenario.person.map(|p| site.bearer(p)).transpose()?;
    let mut client = site.connect(address, scenario.protocol).await?;
    let send = async |client: &mut Client, count| {
        let bearer = bearer.as_deref();
        client.ask(count, bearer, scenario.expected).await
    };
    send(&mut client, WARM_UP).await?;
    writeln!(orders)?;
    next(&mut told)?;
    send(&mut client, REQUESTS).await?;
    // The end of the orders ends the count, and the proxy.
    drop(orders);
    next(&mut told)?;
    Ok(())
}

/// What the proxy tells next. Others go on while this one waits.
fn next(told: &mut BufReader<ChildStdout>) -> Result<String, Failure> {
    let mut line = String::new();
    tokio::task::block_in_place(|| told.read_line(&mut line))?;
    match line.trim_end() {
        "" => Err("the proxy has ended".into()),
        line => Ok(line.to_owned()),
    }
}

/// The proxy, in a process that valgrind watches. Tells its address; counts from the first line of
/// its input to the end of it.
pub(crate) fn serve(configuration: &Path) -> Result<(), Failure> {
    let config = Config::load(configuration, [])?;
    let (sender, mut orders) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for _line in io::stdin().lines() {
            let _ = sender.send(());
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let app = runtime.block_on(async {
        let app = App::start(config, Arc::new(SystemClock)).await?;
        app.ready().await;
        Ok::<_, Failure>(app)
    })?;
    let address = app.address("main").ok_or("there is no listener")?;
    say(&address.to_string())?;
    let begun = runtime.block_on(orders.recv());
    begun.ok_or("nobody asked")?;
    say("counting")?;
    counted_by_valgrind(&mut || {
        runtime.block_on(async { while orders.recv().await.is_some() {} });
    });
    say("counted")
}

fn say(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}
