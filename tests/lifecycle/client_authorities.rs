//! CAs of clients, and what they have revoked, that are replaced while the proxy serves.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use portcullis::dev::people;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa,
    KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::ClientConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::ask::{soon, until};
use crate::surroundings::{Gate, Surroundings, client_with, listener, replace};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// A CA that ends in this year.
fn authority(year: i32) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = date_time_ymd(year, 1, 1);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A client with a certificate of this CA.
fn holder(world: &Surroundings, ca: &Authority, serial: u64) -> ClientConfig {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.serial_number = Some(SerialNumber::from(serial));
    let certificate = params.signed_by(&key, ca).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let chain = vec![certificate.der().clone()];
    let certificate = CertifiedKey::from_der(chain, key.into(), &provider).unwrap();
    let mut tls = world.pki.client_config().unwrap();
    tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certificate));
    tls
}

/// A list of this CA, which has ended or not.
fn revoking(ca: &Authority, serials: &[u64], ends: i32) -> String {
    let revoked = serials.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(ends, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(ca).unwrap().pem().unwrap()
}

async fn gate(world: &Surroundings, more: &str) -> Gate {
    let demand = "client_ca_file = \"clients-ca.pem\"\nclient_certificates = \"required\"\n";
    let listeners = listener("main") + demand + more;
    let toml = world.toml_of(&listeners, &world.issuer_toml(), "");
    let gate = world.begin(world.config(&toml)).await;
    soon(gate.app.ready()).await;
    gate
}

/// Whether a client is served on a new connection.
async fn is_served(gate: &Gate, tls: &ClientConfig, token: &str) -> bool {
    let client = client_with(tls.clone(), gate.app.address("main").unwrap());
    soon(client.try_secret(token)).await.is_ok()
}

async fn metric(gate: &Gate, series: &str) -> f64 {
    gate.administration.metrics().await[series]
}

const ENDS: &str = r#"portcullis_tls_client_ca_not_after_timestamp_seconds{listener="main"}"#;
const FAILED: &str = r#"portcullis_tls_client_ca_renewals_total{listener="main",result="failed"}"#;

/// The first moment of a year in Unix time.
fn beginning_of(year: i32) -> f64 {
    std::time::SystemTime::from(date_time_ymd(year, 1, 1))
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn other_cas_are_taken_up_and_connections_go_on() {
    let world = Surroundings::start().await;
    let (old, new) = (authority(2040), authority(2041));
    let file = world.path("clients-ca.pem");
    fs::write(&file, old.pem()).unwrap();
    let gate = gate(&world, "").await;
    let token = world.token(people::SECRETS_USER);
    let [of_old, of_new] = [&old, &new].map(|ca| holder(&world, ca, 7));
    assert!(is_served(&gate, &of_old, &token).await);
    assert!(!is_served(&gate, &of_new, &token).await);
    assert_eq!(metric(&gate, ENDS).await, beginning_of(2040));

    // One that keeps its connection.
    let address = gate.app.address("main").unwrap();
    let lasting = reqwest::Client::builder()
        .tls_backend_preconfigured(of_old.clone())
        .no_proxy()
        .resolve("localhost", address)
        .build()
        .unwrap();
    let url = format!("https://localhost:{}{}", address.port(), crate::ask::SECRET);
    let ask = async || {
        let asked = soon(lasting.get(&url).bearer_auth(&token).send())
            .await
            .unwrap();
        let status = asked.status().as_u16();
        asked.bytes().await.unwrap();
        status
    };
    assert_eq!(ask().await, 200);

    replace(&file, &(old.pem() + &new.pem()));
    until(async || is_served(&gate, &of_new, &token).await.then_some(())).await;
    assert!(is_served(&gate, &of_old, &token).await);
    assert_eq!(metric(&gate, ENDS).await, beginning_of(2040));

    replace(&file, &new.pem());
    until(async || (!is_served(&gate, &of_old, &token).await).then_some(())).await;
    assert!(is_served(&gate, &of_new, &token).await);
    until(async || (metric(&gate, ENDS).await == beginning_of(2041)).then_some(())).await;
    // What was accepted stays accepted for as long as it lasts.
    assert_eq!(ask().await, 200);
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_cas_that_is_no_good_leaves_the_last_good_ones() {
    let world = Surroundings::start().await;
    let (ca, other) = (authority(2040), authority(2041));
    let file = world.path("clients-ca.pem");
    fs::write(&file, ca.pem()).unwrap();
    let gate = gate(&world, "").await;
    let token = world.token(people::SECRETS_USER);
    let [holder, stranger] = [&ca, &other].map(|ca| holder(&world, ca, 7));
    let half = other.pem().replace("-----END", "=====END");
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for bad in [
        "",
        "no certificate",
        &half,
        garbage,
        &(other.pem() + garbage),
    ] {
        let failed = metric(&gate, FAILED).await;
        replace(&file, bad);
        until(async || (metric(&gate, FAILED).await > failed).then_some(())).await;
        assert!(is_served(&gate, &holder, &token).await, "{bad}");
        assert!(!is_served(&gate, &stranger, &token).await, "{bad}");
    }
    assert_eq!(metric(&gate, ENDS).await, beginning_of(2040));
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_is_refused_and_what_is_not_known_too() {
    let world = Surroundings::start().await;
    let ca = authority(2040);
    fs::write(world.path("clients-ca.pem"), ca.pem()).unwrap();
    let file = world.path("clients-crl.pem");
    fs::write(&file, revoking(&ca, &[1], 2039)).unwrap();
    let gate = gate(&world, "client_crl_file = \"clients-crl.pem\"\n").await;
    let token = world.token(people::SECRETS_USER);
    let [revoked, good] = [1, 2].map(|serial| holder(&world, &ca, serial));
    assert!(!is_served(&gate, &revoked, &token).await);
    assert!(is_served(&gate, &good, &token).await);

    replace(&file, &revoking(&ca, &[1, 2], 2039));
    until(async || (!is_served(&gate, &good, &token).await).then_some(())).await;
    replace(&file, &revoking(&ca, &[], 2039));
    until(async || is_served(&gate, &revoked, &token).await.then_some(())).await;
    // Another CA's list says nothing of this one's certificates, nor does one that has ended.
    for unfit in [
        revoking(&authority(2040), &[], 2039),
        revoking(&ca, &[], 2025),
    ] {
        replace(&file, &unfit);
        until(async || (!is_served(&gate, &good, &token).await).then_some(())).await;
        replace(&file, &revoking(&ca, &[], 2039));
        until(async || is_served(&gate, &good, &token).await.then_some(())).await;
    }
    assert_eq!(world.vault.journal_len() as f64, served(&gate).await);
    tokio::time::timeout(Duration::from_secs(30), gate.app.stop())
        .await
        .unwrap();
}

/// How many requests were allowed.
async fn served(gate: &Gate) -> f64 {
    let metrics = gate.administration.metrics().await;
    let allowed = metrics.iter().filter(|(series, _)| {
        series.starts_with("portcullis_decisions_total") && series.contains("\"allow\"")
    });
    allowed.map(|(_, count)| count).sum()
}
