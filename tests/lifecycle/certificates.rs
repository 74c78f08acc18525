//! Certificates that are replaced while the proxy serves.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portcullis::ca::{Ca, CaFiles, Existing, Host};
use portcullis::clock::Clock as _;
use portcullis::dev::people;
use portcullis::dev::pki::Pki;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::ask::{Administration, SECRET, soon, until};
use crate::surroundings::{Gate, HandClock, Surroundings, listener, replace};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The hosts of the vault that [`Surroundings`] configures.
const HOST: &str = "localhost";

/// What is told of the listener's certificate.
async fn renewals(administration: Administration, result: &str) -> f64 {
    let series = "portcullis_tls_certificate_renewals_total";
    let metrics = administration.metrics().await;
    metrics[&format!(r#"{series}{{listener="main",result="{result}"}}"#)]
}

async fn not_after(administration: Administration) -> f64 {
    let series = "portcullis_tls_certificate_not_after_timestamp_seconds";
    administration.metrics().await[&format!(r#"{series}{{listener="main"}}"#)]
}

async fn connect(gate: &Gate, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(gate.app.address("main").unwrap()).await?;
    let name = HOST.try_into().unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    soon(connecting).await
}

/// The certificate that a new client is shown.
async fn shown(gate: &Gate, config: ClientConfig) -> CertificateDer<'static> {
    let stream = connect(gate, config).await.unwrap();
    let (_, session) = stream.get_ref();
    session.peer_certificates().unwrap()[0].clone()
}

/// Asks for the secret on a connection that is open.
async fn asks(stream: &mut TlsStream<TcpStream>, gate: &Gate, token: &str) -> String {
    let port = gate.app.address("main").unwrap().port();
    let head = format!(
        "GET {SECRET} HTTP/1.1\r\nhost: {HOST}:{port}\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(soon(stream.read_u8()).await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    let (_, length) = answer.split_once("content-length: ").unwrap();
    let length = length.lines().next().unwrap().parse().unwrap();
    soon(stream.read_exact(&mut vec![0; length])).await.unwrap();
    answer.lines().next().unwrap().to_owned()
}

/// The time of clients.
#[derive(Debug)]
struct Time(Arc<HandClock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let now = self.0.now().duration_since(SystemTime::UNIX_EPOCH);
        now.ok().map(UnixTime::since_unix_epoch)
    }
}

/// A client that trusts the world's private CA and nothing else.
fn trusting(world: &Surroundings) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(CaFiles::of(&world.path("ca")).root);
    roots.add(root.unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_details(provider, Arc::new(Time(Arc::clone(&world.clock))))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A CA for the vault's names, or for others.
fn make_ca(directory: &Path, hosts: &[&str], now: SystemTime, existing: Existing) {
    let hosts: Vec<Host> = hosts
        .iter()
        .map(|host| Host::Name((*host).into()))
        .collect();
    Ca::init(directory, &hosts, 3650 * DAY, now, existing).unwrap();
}

/// A proxy that issues its certificate itself.
async fn with_ca(world: &Surroundings) -> Gate {
    make_ca(
        &world.path("ca"),
        &[HOST],
        world.clock.now(),
        Existing::Keep,
    );
    let files = "certificate_file = \"proxy.crt\"\nprivate_key_file = \"proxy.key\"\n";
    let listener = listener("main").replace(files, "ca_directory = \"ca\"\n");
    let toml = world.toml_of(&listener, &world.issuer_toml(), "");
    let gate = world.begin(world.config(&toml)).await;
    soon(gate.app.ready()).await;
    gate
}

#[tokio::test(flavor = "multi_thread")]
async fn new_files_are_shown_to_new_clients_and_old_connections_go_on() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    let token = world.token(people::SECRETS_USER);
    let client = || world.pki.client_config().unwrap();
    let before = shown(&gate, client()).await;
    let mut old = connect(&gate, client()).await.unwrap();
    assert_eq!(asks(&mut old, &gate, &token).await, "http/1.1 200 ok");

    // The key first, as most tools do: for a moment the two do not belong together.
    let next = world.pki.leaf(&[]).unwrap();
    replace(&world.path("proxy.key"), next.private_key_pem());
    replace(&world.path("proxy.crt"), next.certificate_pem());
    until(async || (shown(&gate, client()).await != before).then_some(())).await;
    // It is counted a moment after it is in use.
    until(async || (renewals(gate.administration, "ok").await == 2.0).then_some(())).await;
    // What was open is what it was.
    let (_, session) = old.get_ref();
    assert_eq!(session.peer_certificates().unwrap()[0], before);
    assert_eq!(asks(&mut old, &gate, &token).await, "http/1.1 200 ok");
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_good_leave_the_last_good_certificate() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    let client = || world.pki.client_config().unwrap();
    let (before, ends) = (
        shown(&gate, client()).await,
        not_after(gate.administration).await,
    );
    let (good, other) = (world.path("proxy.crt"), world.pki.leaf(&[]).unwrap());
    let old = Pki::new(world.clock.now() - 60 * DAY)
        .unwrap()
        .leaf(&[])
        .unwrap();
    let mut failures = 0.0;
    for (file, contents) in [
        ("proxy.crt", "no certificate"),
        ("proxy.crt", ""),
        // Of another key than the one beside it.
        ("proxy.crt", other.certificate_pem()),
        ("proxy.key", "no key"),
    ] {
        let path = world.path(file);
        let was = fs::read_to_string(&path).unwrap();
        replace(&path, contents);
        let failed = async || renewals(gate.administration, "failed").await;
        until(async || (failed().await > failures).then_some(())).await;
        failures = failed().await;
        assert_eq!(shown(&gate, client()).await, before, "{file}: {contents}");
        replace(&path, &was);
    }
    // One that has ended does not take the place of one that is good.
    replace(&world.path("proxy.key"), old.private_key_pem());
    replace(&good, old.certificate_pem());
    until(async || (renewals(gate.administration, "failed").await > failures).then_some(())).await;
    assert_eq!(shown(&gate, client()).await, before);
    assert_eq!(not_after(gate.administration).await, ends);
    assert_eq!(renewals(gate.administration, "ok").await, 1.0);
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_with_a_ca_issues_its_certificate_and_renews_it_in_time() {
    let world = Surroundings::start().await;
    let gate = with_ca(&world).await;
    let ca = world.path("ca");
    let (first, ends) = (
        shown(&gate, trusting(&world)).await,
        not_after(gate.administration).await,
    );
    let week = (world.clock.now() + 7 * DAY).duration_since(SystemTime::UNIX_EPOCH);
    assert_eq!(ends, week.unwrap().as_secs_f64());
    let series = "portcullis_tls_issuing_ca_not_after_timestamp_seconds";
    let metrics = gate.administration.metrics().await;
    let ca_ends = (world.clock.now() + 3650 * DAY).duration_since(SystemTime::UNIX_EPOCH);
    assert_eq!(
        metrics[&format!(r#"{series}{{listener="main"}}"#)],
        ca_ends.unwrap().as_secs_f64()
    );
    let mut old = connect(&gate, trusting(&world)).await.unwrap();
    let token = world.token(people::SECRETS_USER);
    assert_eq!(asks(&mut old, &gate, &token).await, "http/1.1 200 ok");

    // Something happens in the directory, so that the proxy looks at once.
    let issuing = CaFiles::of(&ca).issuing;
    world.clock.advance(5 * DAY);
    replace(&issuing, &fs::read_to_string(&issuing).unwrap());
    until(async || (shown(&gate, trusting(&world)).await != first).then_some(())).await;
    let later = ends + 5.0 * DAY.as_secs_f64();
    until(async || (not_after(gate.administration).await == later).then_some(())).await;
    // The token has ended meanwhile; the connection has not.
    let answer = asks(&mut old, &gate, &token).await;
    assert!(answer.starts_with("http/1.1 "), "{answer}");
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_ca_is_used_at_once_and_one_for_other_names_is_not() {
    let world = Surroundings::start().await;
    let gate = with_ca(&world).await;
    let (ca, now) = (world.path("ca"), world.clock.now());
    let first = trusting(&world);
    make_ca(&ca, &["other.example"], now, Existing::Replace);
    until(async || (renewals(gate.administration, "failed").await > 0.0).then_some(())).await;
    assert!(connect(&gate, first.clone()).await.is_ok());
    make_ca(&ca, &[HOST, "other.example"], now, Existing::Replace);
    until(async || connect(&gate, trusting(&world)).await.ok().map(drop)).await;
    // Clients that trust the last CA must be told of this one.
    assert!(connect(&gate, first).await.is_err());
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_is_not_good_for_every_name_of_the_vaults_is_told_at_the_start() {
    let world = Surroundings::start().await;
    make_ca(
        &world.path("ca"),
        &["other.example"],
        world.clock.now(),
        Existing::Keep,
    );
    let files = "certificate_file = \"proxy.crt\"\nprivate_key_file = \"proxy.key\"\n";
    let listener = listener("main").replace(files, "ca_directory = \"ca\"\n");
    let toml = world.toml_of(&listener, &world.issuer_toml(), "");
    let clock = Arc::clone(&world.clock) as Arc<dyn portcullis::clock::Clock>;
    let started = portcullis::app::App::start(world.config(&toml), clock).await;
    let error = started.unwrap_err().to_string();
    assert!(
        error.contains("cannot vouch for `localhost`, only for `other.example`"),
        "{error}"
    );
}
