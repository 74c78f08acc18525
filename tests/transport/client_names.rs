//! Client certificates that are accepted by their names.

use std::sync::Arc;

use portcullis::proxy::listen::{HandshakeFailure, ListenEvent};
use rcgen::{CertificateParams, CustomExtension, DnType, SanType};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::clients::Client;
use crate::gate::{Demand, OWN, Setup, World};
use crate::vault::soon;

const GET: &str = "/secrets/n/?api-version=7.4";

const RULES: &[&str] = &[
    "dns:app.contoso.example",
    "uri:spiffe://contoso.example/ns/payments/sa/*",
    "uri:urn:contoso:job",
];

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

/// The extension with these names, as tag and bytes: what no honest tool writes.
fn raw(names: &[(u8, &[u8])]) -> CustomExtension {
    let names = names.iter().flat_map(|(tag, bytes)| {
        let length = u8::try_from(bytes.len()).unwrap();
        [&[0x80 | tag, length][..], bytes].concat()
    });
    let names: Vec<u8> = names.collect();
    let length = u8::try_from(names.len()).unwrap();
    let long: &[u8] = if length < 0x80 { &[] } else { &[0x81] };
    let content = [&[0x30], long, &[length], &names].concat();
    CustomExtension::from_oid_content(&[2, 5, 29, 17], content)
}

async fn world(clients: Demand, client_names: &'static [&'static str]) -> World {
    let setup = Setup {
        clients: Some(clients),
        client_names,
        ..Setup::default()
    };
    setup.start().await
}

fn config(
    world: &World,
    version: &'static SupportedProtocolVersion,
    change: impl FnOnce(&mut CertificateParams),
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(world.pki.ca_file()).unwrap();
    roots.add(ca).unwrap();
    let (certificate, key) = world.pki.issue_to_client(change);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key);
    Arc::new(config.unwrap())
}

async fn accepted(world: &World, config: Arc<ClientConfig>) {
    let mut client = soon(Client::connect(world.address, config, OWN))
        .await
        .unwrap();
    assert_eq!(client.get(OWN, GET).await.status(), 200);
}

async fn refused(world: &World, config: Arc<ClientConfig>) {
    let refused = ListenEvent::HandshakeFailed(HandshakeFailure::Certificate);
    let count = |events: &[ListenEvent]| events.iter().filter(|e| **e == refused).count();
    let (before, requests) = (count(&world.notes().events), world.notes().requests);
    let connected = soon(Client::connect(world.address, config, OWN)).await;
    world.noted(|notes| count(&notes.events) > before).await;
    if let Ok(mut client) = connected {
        client.closed().await;
    }
    assert_eq!(world.notes().requests, requests);
}

#[tokio::test]
async fn a_certificate_with_one_of_the_names_is_accepted() {
    for clients in [Demand::Optional, Demand::Required] {
        let world = world(clients, RULES).await;
        for names in [
            vec![dns("app.contoso.example")],
            vec![dns("other.example"), dns("APP.contoso.example")],
            vec![uri("spiffe://contoso.example/ns/payments/sa/app")],
            vec![
                dns("other.example"),
                uri("spiffe://contoso.example/ns/payments/sa/app"),
            ],
            vec![uri("urn:other"), uri("urn:contoso:job")],
        ] {
            for version in VERSIONS {
                let names = names.clone();
                let config = config(&world, version, |params| params.subject_alt_names = names);
                accepted(&world, config).await;
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_without_such_a_name_is_refused_in_either_mode() {
    let id = "spiffe://contoso.example/ns/payments/sa/app";
    for clients in [Demand::Optional, Demand::Required] {
        let world = world(clients, RULES).await;
        for names in [
            vec![],
            vec![dns("contoso.example")],
            vec![dns("evil.app.contoso.example")],
            vec![dns("app.contoso.example.evil.test")],
            vec![dns("*.contoso.example")],
            vec![uri("dns:app.contoso.example")],
            vec![SanType::Rfc822Name(
                "app@app.contoso.example".try_into().unwrap(),
            )],
            vec![SanType::IpAddress([127, 0, 0, 1].into())],
            vec![uri("urn:contoso:jobs")],
            vec![uri("spiffe://contoso.example/ns/payments/sa")],
            vec![uri("spiffe://contoso.example/ns/payments/sa/../../admin")],
            vec![uri("spiffe://contoso.example.evil/ns/payments/sa/app")],
            // What SPIFFE forbids identifies nobody, not even by another name.
            vec![uri(id), uri("urn:contoso:job")],
            vec![uri(id), uri("spiffe://contoso.example/ns/payments/sa/b")],
            vec![uri(&format!("{id}?a=b"))],
            vec![uri(&format!("{id}#a"))],
            vec![
                uri("spiffe://user@contoso.example/app"),
                dns("app.contoso.example"),
            ],
            vec![
                uri("SPIFFE://contoso.example/app"),
                dns("app.contoso.example"),
            ],
        ] {
            let names = names.clone();
            let version = VERSIONS[names.len() % 2];
            let config = config(&world, version, |params| {
                params.subject_alt_names = names;
                // A common name is no name.
                let name = &mut params.distinguished_name;
                name.push(DnType::CommonName, "app.contoso.example");
            });
            refused(&world, config).await;
        }
        assert_eq!(world.vault.journal().len(), 0);
    }
}

#[tokio::test]
async fn a_name_with_bytes_that_end_it_for_some_readers_spoils_the_certificate() {
    const DNS: u8 = 2;
    const URI: u8 = 6;
    let good: (u8, &[u8]) = (DNS, b"app.contoso.example");
    for rules in [RULES, &[]] {
        let world = world(Demand::Optional, rules).await;
        for bad in [
            (DNS, &b"app.contoso.example\0.evil.test"[..]),
            (DNS, b"app.contoso.example\0"),
            (DNS, b"\0"),
            (DNS, b"app.contoso.ex\xc3\xa4mple"),
            (DNS, b"app.contoso.ex\xffmple"),
            (DNS, b"app.contoso.example\n"),
            (URI, b"spiffe://contoso.example/ns/payments/sa/app\0"),
            (URI, b"urn:contoso:job\0evil"),
            (URI, b"urn:contoso:j\xc3\xb6b"),
            (URI, b"urn:contoso: job"),
        ] {
            for names in [&[bad][..], &[good, bad], &[bad, good]] {
                let extension = raw(names);
                let config = config(&world, VERSIONS[1], |params| {
                    params.custom_extensions = vec![extension];
                });
                refused(&world, config).await;
            }
        }
        // The forger of this test does make good ones.
        let config = config(&world, VERSIONS[1], |params| {
            params.custom_extensions = vec![raw(&[good])];
        });
        accepted(&world, config).await;
    }
}
