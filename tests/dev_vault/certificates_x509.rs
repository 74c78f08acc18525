//! What the vault makes is what others take: read and checked with other libraries than made it.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256K1_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair, PublicKeyData, SignatureAlgorithm};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde_json::{Value, json};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::certificates::{elliptic, made, path_of};
use crate::world::{Reply, World, read};

/// The key types of certificates, and how their signatures are verified.
fn kinds() -> [(Value, &'static dyn VerificationAlgorithm); 7] {
    let rsa = |bits: u32| json!({ "kty": "RSA", "key_size": bits });
    let ec = |curve: &str| json!({ "kty": "EC", "crv": curve });
    [
        (rsa(2048), &RSA_PKCS1_2048_8192_SHA256),
        (rsa(3072), &RSA_PKCS1_2048_8192_SHA256),
        (rsa(4096), &RSA_PKCS1_2048_8192_SHA256),
        (ec("P-256"), &ECDSA_P256_SHA256_ASN1),
        (ec("P-256K"), &ECDSA_P256K1_SHA256_ASN1),
        (ec("P-384"), &ECDSA_P384_SHA384_ASN1),
        (ec("P-521"), &ECDSA_P521_SHA512_ASN1),
    ]
}

fn der(reply: &Reply, member: &str) -> Vec<u8> {
    STANDARD.decode(reply.text(member)).unwrap()
}

/// The outer sequence's first element as it stands, which is what is signed.
fn signed_part(der: &[u8]) -> &[u8] {
    let (_, outer) = x509_parser::der_parser::asn1_rs::Sequence::from_der(der).unwrap();
    let content: &[u8] = &outer.content;
    let (rest, _) = x509_parser::der_parser::asn1_rs::Any::from_der(content).unwrap();
    let start = der.len() - content.len();
    &der[start..der.len() - rest.len()]
}

#[tokio::test]
async fn every_kind_of_key_certifies_itself_and_asks_to_be_certified() {
    let world = World::start().await;
    for (number, (key, algorithm)) in kinds().into_iter().enumerate() {
        let mut policy = elliptic("CN=a.example, O=Contoso");
        policy["key_props"] = key.clone();
        let name = format!("c{number}");
        let certificate = made(&world, &name, policy).await;
        let bytes = der(&certificate, "cer");
        let (_, read) = X509Certificate::from_der(&bytes).unwrap();
        assert_eq!(read.subject(), read.issuer());
        let public = read.public_key().subject_public_key.data.as_ref();
        let signature = read.signature_value.data.as_ref();
        let verified = UnparsedPublicKey::new(algorithm, public);
        assert!(
            verified.verify(signed_part(&bytes), signature).is_ok(),
            "{key}"
        );
        let pending = world.get(&format!("/certificates/{name}/pending")).await;
        let request = der(&pending, "csr");
        let (_, read) = X509CertificationRequest::from_der(&request).unwrap();
        let info = &read.certification_request_info;
        assert_eq!(info.subject_pki.subject_public_key.data.as_ref(), public);
        let signature = read.signature_value.data.as_ref();
        assert!(
            verified.verify(signed_part(&request), signature).is_ok(),
            "{key}"
        );
    }
}

#[tokio::test]
async fn what_stands_in_the_policy_stands_in_the_certificate() {
    let world = World::start().await;
    let mut policy = elliptic("CN=a.example, O=\"Contoso, Inc.\", C=DE");
    policy["x509_props"] = json!({
        "subject": "CN=a.example, O=\"Contoso, Inc.\", C=DE",
        "sans": {
            "dns_names": ["a.example"], "emails": ["a@b.example"], "upns": ["a@corp.example"],
            "ipAddresses": ["10.0.0.1"],
        },
        "ekus": ["1.3.6.1.5.5.7.3.3"],
        "key_usage": ["digitalSignature", "keyCertSign", "decipherOnly"],
        "validity_months": 1,
    });
    let certificate = made(&world, "a", policy).await;
    let bytes = der(&certificate, "cer");
    let (_, read) = X509Certificate::from_der(&bytes).unwrap();
    assert_eq!(
        read.subject().to_string(),
        "C=DE, O=Contoso, Inc., CN=a.example"
    );
    let validity = read.validity();
    let attributes = &certificate.body["attributes"];
    assert_eq!(validity.not_before.timestamp(), attributes["nbf"]);
    assert_eq!(validity.not_after.timestamp(), attributes["exp"]);
    let usage = read.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    // Bits 0, 5 and 8.
    assert_eq!(usage.value.flags, 0b1_0010_0001);
    let ekus = read.extended_key_usage().unwrap().unwrap();
    assert!(ekus.value.code_signing && !ekus.value.server_auth);
    let names = read.subject_alternative_name().unwrap().unwrap();
    let names = &names.value.general_names;
    assert!(names.contains(&GeneralName::DNSName("a.example")));
    assert!(names.contains(&GeneralName::RFC822Name("a@b.example")));
    assert!(names.contains(&GeneralName::IPAddress(&[10, 0, 0, 1])));
    assert!(
        matches!(&names[2], GeneralName::OtherName(_, value) if value.ends_with(b"a@corp.example"))
    );
    let identifiers = read.extensions().iter().filter(|extension| {
        matches!(
            extension.parsed_extension(),
            ParsedExtension::SubjectKeyIdentifier(_) | ParsedExtension::AuthorityKeyIdentifier(_)
        )
    });
    assert_eq!(identifiers.count(), 2);
}

/// What `accepts` needs: the chain of a secret as PEM.
fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes());
    chain.collect::<Result<_, _>>().unwrap()
}

/// A client that trusts the last of `chain` alone takes its first for `name`'s.
fn accepts(world: &World, chain: &[CertificateDer<'_>], name: &str) -> bool {
    let mut roots = RootCertStore::empty();
    roots
        .add(chain.last().unwrap().clone().into_owned())
        .unwrap();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = verifier.build().unwrap();
    let name = ServerName::try_from(name).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(world.clock.seconds()));
    let (leaf, others) = chain.split_first().unwrap();
    let verified = verifier.verify_server_cert(leaf, others, &name, &[], now);
    verified.is_ok()
}

#[tokio::test]
async fn a_tls_client_takes_a_certificate_that_signs_itself() {
    let world = World::start().await;
    let mut policy = elliptic("CN=a.example");
    policy["x509_props"]["sans"] = json!({ "dns_names": ["a.example"] });
    policy["secret_props"] = json!({ "contentType": "application/x-pem-file" });
    made(&world, "a", policy).await;
    let secret = world.get("/secrets/a").await;
    assert_eq!(secret.body["contentType"], "application/x-pem-file");
    let chain = chain(secret.text("value"));
    assert!(accepts(&world, &chain, "a.example"));
    assert!(!accepts(&world, &chain, "b.example"));
    let key = PrivateKeyDer::from_pem_slice(secret.text("value").as_bytes()).unwrap();
    let provider = default_provider();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let certified = rustls::sign::CertifiedKey::new(chain, key);
    certified.keys_match().unwrap();
}

#[tokio::test]
async fn a_pfx_becomes_pem_if_it_is_asked_for() {
    let world = World::start().await;
    let certificate = made(&world, "a", elliptic("CN=a")).await;
    let path = "/secrets/a?api-version=2026-04-01&outContentType=";
    let ask = async |kind: &str| read(world.request("GET", &format!("{path}{kind}"))).await;
    let pem = ask("application%2Fx-pem-file").await;
    assert_eq!(pem.body["contentType"], "application/x-pem-file");
    let value = pem.text("value");
    assert_eq!(chain(value)[0].as_ref(), der(&certificate, "cer"));
    PrivateKeyDer::from_pem_slice(value.as_bytes()).unwrap();
    let same = ask("application%2Fx-pkcs12").await;
    assert_eq!(
        same.body["value"],
        world.get("/secrets/a").await.body["value"]
    );
    assert_eq!(ask("text%2Fplain").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_key_that_may_not_leave_is_not_in_the_secret() {
    let world = World::start().await;
    for content_type in ["application/x-pem-file", "application/x-pkcs12"] {
        let mut policy = elliptic("CN=a");
        policy["key_props"]["exportable"] = json!(false);
        policy["secret_props"] = json!({ "contentType": content_type });
        let certificate = made(&world, "a", policy).await;
        let path = "/secrets/a?api-version=7.6&outContentType=application/x-pem-file";
        let secret = read(world.request("GET", path)).await;
        let value = secret.text("value");
        assert_eq!(chain(value)[0].as_ref(), der(&certificate, "cer"));
        assert!(!value.contains("PRIVATE"), "{content_type}");
    }
}

/// OpenSSL is asked where there is one.
#[tokio::test]
async fn openssl_opens_the_pfx_without_a_password() {
    let world = World::start().await;
    made(&world, "a", elliptic("CN=a.example")).await;
    let secret = world.get("/secrets/a").await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.pfx");
    std::fs::write(&file, der(&secret, "value")).unwrap();
    let mut openssl = Command::new("openssl");
    let openssl = openssl.args(["pkcs12", "-nodes", "-passin", "pass:", "-in"]);
    let Ok(output) = openssl.arg(&file).output() else {
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("BEGIN PRIVATE KEY"), "{:?}", output.stderr);
    assert!(text.contains("BEGIN CERTIFICATE") && text.contains("a.example"));
}

/// The public key of a request, for a CA to certify.
struct Requested(Vec<u8>);

impl PublicKeyData for Requested {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// A CA signs what `csr` asks for; the leaf and the CA, DER.
fn signed_elsewhere(csr: &[u8], name: &str) -> [Vec<u8>; 2] {
    let (_, request) = X509CertificationRequest::from_der(csr).unwrap();
    let public = &request
        .certification_request_info
        .subject_pki
        .subject_public_key;
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "CA");
    let ca_key = KeyPair::generate().unwrap();
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let public = Requested(public.data.to_vec());
    let leaf = leaf.signed_by(&public, &Issuer::new(ca, ca_key)).unwrap();
    [leaf.der().to_vec(), ca_certificate.der().to_vec()]
}

#[tokio::test]
async fn what_is_signed_elsewhere_is_merged() {
    let world = World::start().await;
    let mut policy = elliptic("CN=a.example");
    policy["issuer"] = json!({ "name": "Unknown" });
    let body = json!({ "policy": policy });
    let begun = world.send("POST", "/certificates/a/create", body).await;
    assert!(
        begun
            .text("status_details")
            .contains("Please Perform Merge")
    );
    let looked = world.get("/certificates/a/pending").await;
    assert_eq!(looked.body["status"], "inProgress");
    let merge = "/certificates/a/pending/merge";
    let [leaf, ca] = signed_elsewhere(&der(&looked, "csr"), "a.example");
    let body =
        json!({ "x5c": [STANDARD.encode(&leaf), STANDARD.encode(&ca)], "tags": { "a": "b" } });
    let merged = world.send("POST", merge, body.clone()).await;
    assert_eq!(merged.status, StatusCode::CREATED, "{}", merged.body);
    let location = format!("{}?api-version=7.6", world.url("/certificates/a"));
    assert_eq!(merged.headers["location"], location);
    assert_eq!(der(&merged, "cer"), leaf);
    assert_eq!(merged.body["tags"], json!({ "a": "b" }));
    assert_eq!(
        world.get("/certificates/a/pending").await.body["status"],
        "completed"
    );
    let twice = world.send("POST", merge, body).await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);
    let secret = path_of(&merged.body["sid"]);
    let pem = format!("{secret}?api-version=7.6&outContentType=application/x-pem-file");
    let pem = read(world.request("GET", &pem)).await;
    let chain = chain(pem.text("value"));
    assert_eq!(chain.len(), 2);
    assert!(accepts(&world, &chain, "a.example"));
}

#[tokio::test]
async fn what_was_not_asked_for_is_not_merged() {
    let world = World::start().await;
    let mut policy = elliptic("CN=a.example");
    policy["issuer"] = json!({ "name": "Unknown" });
    let body = json!({ "policy": policy });
    let begun = world.send("POST", "/certificates/a/create", body).await;
    let raw = world.request("GET", "/certificates/a/pending?api-version=7.6");
    let raw = raw
        .header("accept", "application/pkcs10")
        .send()
        .await
        .unwrap();
    assert_eq!(raw.headers()["content-type"], "application/pkcs10");
    assert_eq!(raw.text().await.unwrap(), begun.text("csr"));
    let merge = "/certificates/a/pending/merge";
    let other = KeyPair::generate().unwrap();
    let other = CertificateParams::new(Vec::new())
        .unwrap()
        .self_signed(&other)
        .unwrap();
    for wrong in [
        json!(["AAAA"]),
        json!([STANDARD.encode(other.der())]),
        json!([]),
    ] {
        let reply = world.send("POST", merge, json!({ "x5c": wrong })).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn every_form_of_x5c_that_clients_send_is_read() {
    let world = World::start().await;
    let mut policy = elliptic("CN=a.example");
    policy["issuer"] = json!({ "name": "Unknown" });
    for (number, form) in ["der", "base64", "pem"].into_iter().enumerate() {
        let path = format!("/certificates/c{number}");
        let body = json!({ "policy": policy });
        let begun = world.send("POST", &format!("{path}/create"), body).await;
        let [leaf, _] = signed_elsewhere(&der(&begun, "csr"), "a.example");
        let text = STANDARD.encode(&leaf);
        let sent = match form {
            "der" => text,
            "base64" => STANDARD.encode(text),
            _ => STANDARD.encode(format!(
                "-----BEGIN CERTIFICATE-----\r\n{text}\r\n-----END CERTIFICATE-----\r\n"
            )),
        };
        let body = json!({ "x5c": [sent] });
        let merged = world
            .send("POST", &format!("{path}/pending/merge"), body)
            .await;
        assert_eq!(merged.status, StatusCode::CREATED, "{form}");
        assert_eq!(der(&merged, "cer"), leaf, "{form}");
    }
}
