//! Clients with and without a certificate, and what is known of their connection.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use portcullis::attributes::{ClientCertificate, Connection};
use portcullis::config::{AddressRange, ClientCertificates, Network, Subnet};
use portcullis::proxy::listen::{HandshakeFailure, ListenEvent};
use portcullis::tls::Reception;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType, date_time_ymd};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::clients::Client;
use crate::gate::{Demand, OWN, Setup, World};
use crate::pki::{Pki, shown};
use crate::vault::soon;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

async fn world(clients: Demand) -> World {
    let setup = Setup {
        clients: Some(clients),
        ..Setup::default()
    };
    setup.start().await
}

fn identity(pki: &Pki, name: &str) -> Identity {
    pki.issue_to_client(named(name))
}

fn named(name: &str) -> impl FnOnce(&mut CertificateParams) {
    move |params| {
        params.distinguished_name.push(DnType::CommonName, name);
        let uri = format!("spiffe://contoso.test/{name}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    }
}

fn client(
    world: &World,
    version: &'static SupportedProtocolVersion,
    identity: Option<&Identity>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(world.pki.ca_file()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
            .unwrap(),
    })
}

/// Asks once on a new connection: how the handshake went, and what the service knew.
async fn ask(world: &World, config: &Arc<ClientConfig>) -> (HandshakeKind, Connection) {
    let connecting = Client::connect(world.address, Arc::clone(config), OWN);
    let mut client = soon(connecting).await.unwrap();
    let answer = client.get(OWN, "/secrets/a?api-version=7.4").await;
    assert_eq!(answer.status(), 200);
    let stream = client.into_stream();
    let kind = stream.get_ref().1.handshake_kind().unwrap();
    (kind, world.notes().connections.last().unwrap().clone())
}

async fn certificate(world: &World, config: &Arc<ClientConfig>) -> Option<ClientCertificate> {
    ask(world, config).await.1.certificate
}

/// The connection is turned away in its handshake.
async fn assert_refused(world: &World, config: Arc<ClientConfig>) {
    let count = |events: &[ListenEvent]| {
        let refused = ListenEvent::HandshakeFailed(HandshakeFailure::Certificate);
        events.iter().filter(|event| **event == refused).count()
    };
    let before = count(&world.notes().events);
    // In TLS 1.3 the client learns of it only when it reads.
    let connected = soon(Client::connect(world.address, config, OWN)).await;
    world.noted(|notes| count(&notes.events) > before).await;
    if let Ok(mut client) = connected {
        client.closed().await;
    }
    assert_eq!(world.notes().requests, 0);
}

fn thumbprint(identity: &Identity) -> String {
    let digest = digest(&SHA256, &identity.0);
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

#[tokio::test]
async fn a_good_certificate_is_known_to_the_service() {
    for clients in [Demand::Optional, Demand::Required] {
        let world = world(clients).await;
        let identity = identity(&world.pki, "app");
        for version in VERSIONS {
            let config = client(&world, version, Some(&identity));
            let known = certificate(&world, &config).await.unwrap();
            assert!(known.subject.starts_with("CN=app"), "{}", known.subject);
            assert!(known.issuer.starts_with("CN=Contoso Test CA"));
            assert_eq!(*known.thumbprint, *thumbprint(&identity));
            let spiffe_id = known.spiffe_id.as_deref();
            assert_eq!(spiffe_id, Some("spiffe://contoso.test/app"));
        }
    }
}

#[tokio::test]
async fn a_client_without_certificate_is_served_unless_one_is_required() {
    let optional = world(Demand::Optional).await;
    let required = world(Demand::Required).await;
    for version in VERSIONS {
        let config = client(&optional, version, None);
        assert_eq!(certificate(&optional, &config).await, None);
        assert_refused(&required, client(&required, version, None)).await;
    }
}

#[tokio::test]
async fn a_bad_certificate_is_refused_in_either_mode() {
    let serving = ExtendedKeyUsagePurpose::ServerAuth;
    for clients in [Demand::Optional, Demand::Required] {
        let world = world(clients).await;
        let foreign = identity(&Pki::new(), "app");
        let expired = world.pki.issue_to_client(|params| {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        });
        let future = world
            .pki
            .issue_to_client(|params| params.not_before = date_time_ymd(4000, 1, 1));
        let server_only = world
            .pki
            .issue_to_client(|params| params.extended_key_usages = vec![serving.clone()]);
        for version in VERSIONS {
            for bad in [&foreign, &expired, &future, &server_only] {
                assert_refused(&world, client(&world, version, Some(bad))).await;
            }
        }
    }
}

#[tokio::test]
async fn a_listener_that_does_not_ask_knows_no_certificate() {
    let world = Setup::default().start().await;
    let identity = identity(&world.pki, "app");
    for version in VERSIONS {
        let config = client(&world, version, Some(&identity));
        assert_eq!(certificate(&world, &config).await, None);
    }
}

#[tokio::test]
async fn sessions_are_resumed_only_where_no_certificate_is_asked_for() {
    let open = Setup::default().start().await;
    let asking = world(Demand::Optional).await;
    for version in VERSIONS {
        let config = client(&open, version, None);
        assert_eq!(ask(&open, &config).await.0, HandshakeKind::Full);
        // The client of this test does resume.
        assert_eq!(ask(&open, &config).await.0, HandshakeKind::Resumed);

        let identity = identity(&asking.pki, "app");
        for shown in [Some(&identity), None] {
            let config = client(&asking, version, shown);
            for _ in 0..3 {
                let (kind, connection) = ask(&asking, &config).await;
                assert_eq!(kind, HandshakeKind::Full);
                let known = connection.certificate.map(|known| known.thumbprint);
                assert_eq!(known.as_deref(), shown.map(thumbprint).as_deref());
            }
        }
    }
}

#[tokio::test]
async fn clients_side_by_side_are_not_mixed_up() {
    let world = world(Demand::Required).await;
    let identities = ["one", "two"].map(|name| identity(&world.pki, name));
    for version in VERSIONS {
        let configs = identities
            .each_ref()
            .map(|i| client(&world, version, Some(i)));
        for _ in 0..2 {
            for (config, identity) in configs.iter().zip(&identities) {
                let known = certificate(&world, config).await.unwrap();
                assert_eq!(*known.thumbprint, *thumbprint(identity));
            }
        }
    }
}

#[tokio::test]
async fn a_connection_knows_its_listener_protocol_and_networks() {
    const ENDPOINT: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network\
        /privateEndpoints/pe";
    let range = |name: &str, addresses: &str| AddressRange {
        name: name.into(),
        addresses: vec![addresses.parse().unwrap()],
    };
    let subnet = |id: &str, addresses: &str| Subnet {
        id: id.into(),
        addresses: vec![addresses.parse().unwrap()],
    };
    let setup = Setup {
        network: Network {
            ranges: vec![
                range("loopback", "127.0.0.0/8"),
                range("lan", "10.0.0.0/8"),
                range("this", "127.0.0.1/32"),
            ],
            subnets: vec![
                subnet("narrow", "127.0.0.0/24"),
                subnet("wide", "127.0.0.0/8"),
            ],
        },
        private_endpoint: Some(ENDPOINT),
        ..Setup::default()
    };
    let world = setup.start().await;
    for (version, protocol) in VERSIONS.into_iter().zip(["TLSv1.2", "TLSv1.3"]) {
        let (_, connection) = ask(&world, &client(&world, version, None)).await;
        let expected = Connection {
            listener: "main".into(),
            address: Some([127, 0, 0, 1].into()),
            protocol,
            certificate: None,
            private_link: true,
            private_endpoint: Some(ENDPOINT.into()),
            subnet: Some("narrow".into()),
            ranges: vec!["loopback".into(), "this".into()],
        };
        assert_eq!(connection, expected);
    }
}

#[test]
fn a_file_of_client_cas_that_cannot_be_used_is_named_at_the_start() {
    let pki = Pki::new();
    let (certificate, private_key) = pki.issue(&[OWN]);
    let empty = pki.ca_file().with_file_name("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let missing = pki.ca_file().with_file_name("missing.pem");
    for ca_file in [empty, missing] {
        let clients = ClientCertificates {
            ca_file: ca_file.clone(),
            crl_file: None,
            names: [].into(),
            required: false,
        };
        let begun = Reception::begin(shown(&certificate, &private_key), Some(&clients));
        let error = begun.unwrap_err().to_string();
        let named = format!("client CA file `{}`", ca_file.display());
        assert!(error.contains(&named), "{error}");
    }
}
