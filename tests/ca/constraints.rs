//! What clients make of certificates that the CA's own command would not issue, made by somebody who
//! has its key. Python, Node and Java are asked in `tests/clients/trust`.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portcullis::ca::{Ca, CaError, CaFiles, Existing, Host};
use portcullis::clock::{Clock as _, SystemClock};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use tempfile::TempDir;

const KV: &str = "kv.vault.azure.net";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A CA, and somebody who has its key.
struct Stolen {
    _directory: TempDir,
    ca: Ca,
    root: CertificateDer<'static>,
    issuing: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn pem(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

impl Stolen {
    fn new(hosts: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authorities: Vec<_> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let (at, now) = (directory.path(), SystemClock.now());
        Ca::init(
            at,
            &Host::each(&authorities),
            3650 * DAY,
            now,
            Existing::Keep,
        )
        .unwrap();
        let files = CaFiles::of(at);
        let key = KeyPair::from_pem(&fs::read_to_string(&files.key).unwrap()).unwrap();
        let issuing = pem(&files.issuing);
        Self {
            ca: Ca::open(at).unwrap(),
            root: pem(&files.root),
            issuer: Issuer::from_ca_cert_der(&issuing, key).unwrap(),
            issuing,
            _directory: directory,
        }
    }

    /// A leaf for `host`, whatever the constraints say.
    fn forged(&self, host: &str) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![match host.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.try_into().unwrap()),
        }];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.issuer).unwrap().der().clone()
    }

    /// Whether rustls takes a server with these certificates for `host`.
    fn believed(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        host: &str,
    ) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let now = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH);
        let now = UnixTime::since_unix_epoch(now.unwrap());
        let host = host.to_owned().try_into().unwrap();
        let verifier = verifier.build().unwrap();
        verifier
            .verify_server_cert(leaf, between, &host, &[], now)
            .is_ok()
    }

    fn fools(&self, host: &str) -> bool {
        self.believed(
            &self.forged(host),
            std::slice::from_ref(&self.issuing),
            host,
        )
    }
}

fn hosts(names: &[&str]) -> Vec<Host> {
    let names: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
    Host::each(&names)
}

#[test]
fn what_is_issued_is_believed() {
    let stolen = Stolen::new(&[KV, "proxy.contoso.example", "10.0.0.5", "[::1]"]);
    let names = [KV, "proxy.contoso.example", "10.0.0.5", "[::1]"];
    let leaf = stolen
        .ca
        .issue(&hosts(&names), DAY, SystemClock.now())
        .unwrap();
    let chain = leaf.chain();
    for name in [KV, "proxy.contoso.example", "10.0.0.5", "::1"] {
        assert!(stolen.believed(&chain[0], &chain[1..], name), "{name}");
    }
    assert!(!stolen.believed(&chain[0], &chain[1..], "other.vault.azure.net"));
    // Nobody but the issuing CA is vouched for, so that its constraints cannot be left out.
    assert!(!stolen.believed(&chain[0], &[], KV));
}

#[test]
fn a_stolen_key_is_good_for_the_configured_names_alone() {
    let stolen = Stolen::new(&[KV]);
    assert!(stolen.fools(KV));
    for host in [
        "other.vault.azure.net",
        "vault.azure.net",
        "login.microsoftonline.com",
        "xkv.vault.azure.net",
        "kv.vault.azure.net.evil.example",
        "10.0.0.5",
        "127.0.0.1",
        "::1",
    ] {
        assert!(!stolen.fools(host), "{host}");
    }
    let with_address = Stolen::new(&[KV, "10.0.0.5"]);
    assert!(with_address.fools("10.0.0.5"));
    for host in ["10.0.0.6", "::1", "other.vault.azure.net"] {
        assert!(!with_address.fools(host), "{host}");
    }
    let address_alone = Stolen::new(&["[::1]"]);
    assert!(address_alone.fools("::1"));
    for host in ["::2", "127.0.0.1", KV] {
        assert!(!address_alone.fools(host), "{host}");
    }
}

#[test]
fn a_stolen_key_vouches_for_no_ca_below_it() {
    let stolen = Stolen::new(&[KV]);
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let below = params.signed_by(&key, &stolen.issuer).unwrap();
    let leaf = CertificateParams::new(vec![KV.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &Issuer::new(params, key));
    let between = [below.der().clone(), stolen.issuing.clone()];
    assert!(!stolen.believed(leaf.unwrap().der(), &between, KV));
}

#[test]
fn the_command_issues_nothing_that_would_not_be_believed() {
    let stolen = Stolen::new(&[KV]);
    let now = SystemClock.now();
    for host in [
        "other.vault.azure.net",
        "vault.azure.net",
        "10.0.0.5",
        "x.kv.vault.azure.net",
    ] {
        assert!(
            stolen.ca.issue(&hosts(&[KV, host]), DAY, now).is_err(),
            "{host}"
        );
    }
    assert!(stolen.ca.issue(&[], DAY, now).is_err());
    // A leaf ends with its CA at the latest, and there is none afterwards.
    let late = stolen
        .ca
        .issue(&hosts(&[KV]), 9 * DAY, now + 3645 * DAY)
        .unwrap();
    let left = late.not_after().duration_since(now + 3650 * DAY);
    assert!(left.is_err() || left.unwrap() < Duration::from_secs(1));
    assert!(
        stolen
            .ca
            .issue(&hosts(&[KV]), DAY, now + 3651 * DAY)
            .is_err()
    );
}

#[test]
fn what_holds_a_key_does_not_print_it() {
    let stolen = Stolen::new(&[KV]);
    let leaf = stolen
        .ca
        .issue(&hosts(&[KV]), DAY, SystemClock.now())
        .unwrap();
    let text = format!("{:?} {leaf:?}", stolen.ca);
    assert!(
        text.starts_with("Ca { directory: ") && text.contains("Leaf { not_after: "),
        "{text}"
    );
    assert!(!text.contains("key") && text.len() < 300, "{text}");
}

#[test]
fn a_ca_that_has_not_begun_issues_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (hosts, now) = (Host::each(&[KV.parse().unwrap()]), SystemClock.now());
    let begin = now + 2 * DAY;
    Ca::init(directory.path(), &hosts, 30 * DAY, begin, Existing::Keep).unwrap();
    let ca = Ca::open(directory.path()).unwrap();
    assert!(matches!(ca.issue(&hosts, DAY, now), Err(CaError::Ended(_))));
    ca.issue(&hosts, DAY, begin).unwrap();
}
