//! Client certificates, from the configuration to the decision record.

use std::fs;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use portcullis::dev::people;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde_json::Value;

use crate::surroundings::{Surroundings, client_with, listener};

/// Makes an authority for clients, writes it down, and gives a certificate of it.
fn certificate(world: &Surroundings) -> CertifiedKey {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(world.path("clients-ca.pem"), ca.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(Vec::new()).unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let chain = vec![certificate.der().clone()];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key.into(), &provider).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_holders_of_a_certificate_are_served_where_one_is_required() {
    let world = Surroundings::start().await;
    let certificate = certificate(&world);
    let demand = "client_ca_file = \"clients-ca.pem\"\nclient_certificates = \"required\"\n";
    let listeners = listener("main") + demand;
    let toml = world.toml_of(&listeners, &world.issuer_toml(), "");
    let gate = world.begin(world.config(&toml)).await;
    gate.app.ready().await;
    let token = world.token(people::GROUP_MEMBER);

    assert!(gate.client.try_secret(&token).await.is_err());
    assert_eq!(world.vault.journal_len(), 0);

    let mut tls = world.pki.client_config().unwrap();
    tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certificate.clone()));
    let client = client_with(tls, gate.app.address("main").unwrap());
    assert_eq!(client.secret(&token).await.status, 200);
    gate.app.stop().await;

    let records = fs::read_to_string(world.path("decisions.jsonl")).unwrap();
    let decided = records
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record.get("decision").is_some());
    let decided: Vec<Value> = decided.collect();
    assert_eq!(decided.len(), 1, "{records}");
    let digest = digest(&SHA256, &certificate.cert[0]);
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    let digits: String = digits.collect();
    assert_eq!(decided[0]["client"]["cert_sha256"], *digits);
}
