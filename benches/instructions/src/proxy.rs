//! Whole requests through the real proxy, from the bytes of the client to the bytes for it.
//!
//! Counted is the whole process while the requests pass: TLS and HTTP on both sides and all in
//! between. Not counted are the kernel, and the start, the handshakes and first requests, which come
//! before.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::sync::Arc;

use http::StatusCode;
use portcullis::app::App;
use portcullis::clock::SystemClock;
use portcullis::config::Config;
use portcullis::dev::people::{self, Person};

use crate::Counted;
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
    let mut process = crate::under_valgrind(Counted::WhenTold, arguments, &results)?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let id = process.id();
    let orders = process.stdin.take();
    let asked = match process.stdout.take() {
        Some(told) => ask(scenario, &site, id, BufReader::new(told)).await,
        None => Err("the proxy has no pipe".into()),
    };
    // The end of the orders is the end of the proxy.
    drop(orders);
    if let Err(failure) = asked {
        let _ = process.kill();
        let _ = process.wait();
        return Err(failure);
    }
    process.wait()?;
    Ok(crate::sum(&results)? / REQUESTS as u64)
}

/// Sends the requests, and has those counted that come after the first.
async fn ask(
    scenario: &Scenario,
    site: &Site,
    process: u32,
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
    crate::switch(process, "on")?;
    send(&mut client, REQUESTS).await?;
    crate::switch(process, "off")
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

/// The proxy, in a process that valgrind watches. Tells its address, and serves until its input ends.
pub(crate) fn serve(configuration: &Path) -> Result<(), Failure> {
    let config = Config::load(configuration, [])?;
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
    runtime.block_on(async {
        let ended = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink()));
        ended.await?
    })?;
    runtime.block_on(app.stop());
    Ok(())
}

fn say(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}
