//! Importing certificates that were made elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey,
    PrivateKeyChain,
};
use rcgen::{
    CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};

use crate::certificates::{elliptic, made};
use crate::operations::signs;
use crate::world::World;

/// A leaf with its key and the CA that vouches for it.
struct Chain {
    key: KeyPair,
    leaf: rcgen::Certificate,
    ca: CertifiedIssuer<'static, KeyPair>,
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

impl Chain {
    fn new() -> Self {
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name = named("CA");
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let mut leaf = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        leaf.distinguished_name = named("a.example");
        leaf.not_before = rcgen::date_time_ymd(2026, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(2027, 1, 1);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let leaf = leaf.signed_by(&key, &ca).unwrap();
        Self { key, leaf, ca }
    }

    fn pem(&self) -> String {
        [self.key.serialize_pem(), self.leaf.pem(), self.ca.pem()].concat()
    }

    /// PKCS#12 in base64, encrypted as it is today or as it was long ago.
    fn pfx(&self, password: &str, old: bool) -> String {
        let key = PrivateKey::from_der(&self.key.serialize_der()).unwrap();
        let ders = [self.ca.der(), self.leaf.der()];
        let chain = ders.map(|der| Certificate::from_der(der).unwrap());
        let mut store = KeyStore::new();
        let entry = KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new("1", key, chain));
        store.add_entry("mine", entry);
        let writer = store
            .writer(password)
            .encryption_iterations(1)
            .mac_iterations(1);
        let writer = if old {
            writer
                .encryption_algorithm(EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc)
                .mac_algorithm(MacAlgorithm::HmacSha1)
        } else {
            writer
        };
        STANDARD.encode(writer.write().unwrap())
    }
}

fn pem_policy() -> Value {
    json!({ "secret_props": { "contentType": "application/x-pem-file" } })
}

#[tokio::test]
async fn a_certificate_is_imported_with_its_key() {
    let world = World::start().await;
    let now = world.clock.seconds();
    let chain = Chain::new();
    let cer = STANDARD.encode(chain.leaf.der());
    for (name, body) in [
        (
            "pem",
            json!({ "value": chain.pem(), "policy": pem_policy() }),
        ),
        // Python encodes PEM once more.
        (
            "b64",
            json!({ "value": STANDARD.encode(chain.pem()), "policy": pem_policy() }),
        ),
        ("pfx", json!({ "value": chain.pfx("", false) })),
        (
            "pwd",
            json!({ "value": chain.pfx("hush", false), "pwd": "hush" }),
        ),
        (
            "old",
            json!({ "value": chain.pfx("hush", true), "pwd": "hush" }),
        ),
    ] {
        let path = format!("/certificates/{name}/import");
        let imported = world.send("POST", &path, body).await;
        assert_eq!(imported.status, StatusCode::OK, "{name} {}", imported.body);
        assert_eq!(imported.body["cer"], cer, "{name}");
        let attributes = &imported.body["attributes"];
        assert_eq!(attributes["nbf"], 1_767_225_600);
        assert_eq!(attributes["exp"], 1_798_761_600);
        assert_eq!(attributes["created"], now);
        let policy = &imported.body["policy"];
        assert_eq!(policy["issuer"], json!({ "name": "Unknown" }));
        assert_eq!(
            policy["key_props"],
            json!({ "exportable": true, "kty": "EC", "crv": "P-384", "reuse_key": false })
        );
        let x509 = &policy["x509_props"];
        assert_eq!(x509["subject"], "CN=a.example");
        assert_eq!(x509["sans"], json!({ "dns_names": ["a.example"] }));
        assert_eq!(x509["ekus"], json!(["1.3.6.1.5.5.7.3.1"]));
        assert_eq!(x509["key_usage"], json!(["digitalSignature"]));
        assert_eq!(x509["validity_months"], 12);
        assert_eq!(
            policy["lifetime_actions"][0]["action"]["action_type"],
            "EmailContacts"
        );
        let key = world.get(&format!("/keys/{name}")).await;
        signs(&world, &format!("/keys/{name}"), "ES384", &key.body["key"]).await;
    }
}

/// The same key and certificate, written by what people have, with what it does by default. The
/// password is `hush`.
const WRITTEN_BY: [(&str, &[u8]); 4] = [
    // PBES2 with HMAC-SHA-1; the certificate in the clear.
    (
        "node-forge",
        include_bytes!("../data/pkcs12/node-forge.pfx"),
    ),
    // 40 bits of RC2, and triple DES for the key.
    ("openssl-1", include_bytes!("../data/pkcs12/openssl-1.pfx")),
    // PBES2 with HMAC-SHA-256.
    ("openssl-3", include_bytes!("../data/pkcs12/openssl-3.pfx")),
    // The same by `cryptography` of Python, and ten times as often.
    ("python", include_bytes!("../data/pkcs12/python.pfx")),
];

#[tokio::test]
async fn a_pfx_is_read_whatever_wrote_it() {
    let world = World::start().await;
    let cer = STANDARD.encode(include_bytes!("../data/pkcs12/certificate.der"));
    for (name, pfx) in WRITTEN_BY {
        let body = json!({ "value": STANDARD.encode(pfx), "pwd": "hush" });
        let path = format!("/certificates/{name}/import");
        let imported = world.send("POST", &path, body).await;
        assert_eq!(imported.status, StatusCode::OK, "{name} {}", imported.body);
        assert_eq!(imported.body["cer"], cer, "{name}");
        let key = world.get(&format!("/keys/{name}")).await;
        signs(&world, &format!("/keys/{name}"), "RS256", &key.body["key"]).await;
    }
}

#[tokio::test]
async fn the_leaf_comes_first_unless_the_order_is_kept() {
    let world = World::start().await;
    let chain = Chain::new();
    let (leaf, ca) = (chain.leaf.pem(), chain.ca.pem());
    let value = [chain.key.serialize_pem(), ca.clone(), leaf.clone()].concat();
    for (order, first, second) in [(false, &leaf, &ca), (true, &ca, &leaf)] {
        let body = json!({
            "value": value, "policy": pem_policy(), "preserveCertOrder": order,
        });
        let imported = world.send("POST", "/certificates/a/import", body).await;
        assert_eq!(imported.body["preserveCertOrder"], order);
        // The certificate is the one that the key is for, wherever it stands.
        assert_eq!(imported.body["cer"], STANDARD.encode(chain.leaf.der()));
        let secret = world.get("/secrets/a").await;
        let value = secret.text("value").replace('\r', "");
        let place = |pem: &str| value.find(&pem.replace('\r', "")).expect("in the secret");
        assert!(place(first) < place(second), "{order}");
    }
}

#[tokio::test]
async fn what_the_vault_exports_it_imports() {
    let world = World::start().await;
    let made = made(&world, "a", elliptic("CN=a")).await;
    let secret = world.get("/secrets/a").await;
    let body = json!({ "value": secret.body["value"], "tags": { "a": "b" } });
    let imported = world.send("POST", "/certificates/b/import", body).await;
    assert_eq!(imported.body["x5t"], made.body["x5t"]);
    assert_eq!(imported.body["tags"], json!({ "a": "b" }));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let world = World::start().await;
    let chain = Chain::new();
    let other = KeyPair::generate().unwrap();
    let mixed = [other.serialize_pem(), chain.leaf.pem()].concat();
    let sec1 = chain.pem().replace("PRIVATE KEY", "EC PRIVATE KEY");
    let pfx = |value: &str| json!({ "value": value });
    let pem = |value: &str| json!({ "value": value, "policy": pem_policy() });
    for (what, body, word) in [
        ("PEM without saying so", pfx(&chain.pem()), "PKCS#12"),
        ("no password", pfx(&chain.pfx("hush", false)), "PKCS#12"),
        ("no base64", pfx("?"), "PKCS#12"),
        ("PFX called PEM", pem(&chain.pfx("", false)), "PEM"),
        ("no private key", pem(&chain.leaf.pem()), "PEM"),
        ("not PKCS#8", pem(&sec1), "PEM"),
        ("another's key", pem(&mixed), "private key"),
    ] {
        let reply = world.send("POST", "/certificates/a/import", body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{what}");
        let message = reply.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{what}: {message}");
    }
}
