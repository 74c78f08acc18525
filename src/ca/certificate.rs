//! What the certificates say.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use pem::Pem;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, PublicKeyData as _, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

use super::{CaError, Host, Key, at};

/// Clocks of machines that work together differ.
const BACKDATED: Duration = Duration::from_secs(3600);

/// A root and the one CA it vouches for, with the key of the latter.
pub(super) struct Pair {
    pub(super) root: Certificate,
    pub(super) issuing: Certificate,
    pub(super) key: Key,
}

/// Makes a root and its issuing CA. The key of the root is gone when this returns.
pub(super) fn pair(hosts: &[Host], lifetime: Duration, now: SystemTime) -> Result<Pair, CaError> {
    let root_key = Key(KeyPair::generate()?);
    let key = Key(KeyPair::generate()?);
    let root = authority("root", 1, hosts, &root_key.0, now + lifetime, now)?;
    let issuing = authority("issuing", 0, hosts, &key.0, now + lifetime, now)?;
    let issuer = Issuer::from_params(&root, &root_key.0);
    Ok(Pair {
        issuing: issuing.signed_by(&key.0, &issuer)?,
        root: root.self_signed(&root_key.0)?,
        key,
    })
}

fn authority(
    kind: &str,
    below: u8,
    hosts: &[Host],
    key: &KeyPair,
    not_after: SystemTime,
    now: SystemTime,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = params(now, not_after);
    // Names tell CAs apart, in lists that people read and in those that libraries search.
    let mark: String = fingerprint(key.der_bytes()).chars().take(11).collect();
    let name = format!("Portcullis {kind} CA {mark}");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.name_constraints = Some(constraints(hosts)?);
    Ok(params)
}

/// Constraints to `hosts` and, below the names among them, to what would be theirs to give.
fn constraints(hosts: &[Host]) -> Result<NameConstraints, rcgen::Error> {
    let mut permitted_subtrees = Vec::new();
    let mut addresses = false;
    for host in hosts {
        permitted_subtrees.push(match host {
            Host::Name(name) => GeneralSubtree::DnsName(name.to_string()),
            Host::Address(address) => {
                addresses = true;
                let bits = if address.is_ipv4() { 32 } else { 128 };
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, bits))
            }
        });
    }
    // SECURITY: a kind of name without any constraint is not constrained at all.
    let mut excluded_subtrees = Vec::new();
    if !addresses {
        for all in [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ] {
            excluded_subtrees.push(GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
                all, 0,
            )));
        }
    }
    if !hosts.iter().any(|host| matches!(host, Host::Name(_))) {
        excluded_subtrees.push(GeneralSubtree::DnsName(String::new()));
    }
    Ok(NameConstraints {
        permitted_subtrees,
        excluded_subtrees,
    })
}

/// The certificate of a server.
pub(super) fn leaf(
    hosts: &[Host],
    now: SystemTime,
    not_after: SystemTime,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = params(now, not_after);
    // Clients look at the alternative names alone; a host need not fit into a common name.
    params
        .distinguished_name
        .push(DnType::CommonName, "Portcullis");
    for host in hosts {
        params.subject_alt_names.push(match host {
            Host::Address(address) => SanType::IpAddress(*address),
            Host::Name(name) => SanType::DnsName((&**name).try_into()?),
        });
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Python 3.13 refuses a leaf that does not name its CA's key.
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn params(now: SystemTime, not_after: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = (now - BACKDATED).into();
    params.not_after = not_after.into();
    params.distinguished_name = DistinguishedName::new();
    params
}

/// The SHA-256 of a certificate as `openssl x509 -fingerprint -sha256` writes it.
pub(super) fn fingerprint(der: &[u8]) -> String {
    let digest = digest(&SHA256, der);
    let pairs = digest.as_ref().iter().map(|byte| format!("{byte:02X}"));
    pairs.collect::<Vec<_>>().join(":")
}

/// The certificate of an issuing CA as it was read.
pub(super) struct IssuingCertificate {
    der: CertificateDer<'static>,
    permitted: Vec<Host>,
    public_key: Vec<u8>,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl IssuingCertificate {
    /// Reads a file of [`super::Ca::init`].
    pub(super) fn read(path: &Path) -> Result<Self, CaError> {
        let pem = fs::read_to_string(path).map_err(at("read", path))?;
        let foreign = || CaError::Foreign(path.to_owned());
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| foreign())?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| foreign())?;
        if !certificate.is_ca() {
            return Err(foreign());
        }
        let moment = |time: ASN1Time| {
            let seconds = u64::try_from(time.timestamp()).map_err(|_| foreign())?;
            Ok::<_, CaError>(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        };
        let validity = certificate.validity();
        Ok(Self {
            permitted: permitted(&certificate).ok_or_else(foreign)?,
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
            not_before: moment(validity.not_before)?,
            not_after: moment(validity.not_after)?,
            der,
        })
    }

    pub(super) const fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The certificate alone, whatever else is in its file.
    pub(super) fn pem(&self) -> String {
        pem::encode(&Pem::new("CERTIFICATE", self.der.as_ref()))
    }

    pub(super) fn permitted(&self) -> &[Host] {
        &self.permitted
    }

    pub(super) const fn not_before(&self) -> SystemTime {
        self.not_before
    }

    pub(super) const fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether `key` is the key it speaks of.
    pub(super) fn is_of(&self, key: &KeyPair) -> bool {
        key.der_bytes() == self.public_key
    }
}

/// The hosts a CA is constrained to; `None` if it has no constraints that we can read.
fn permitted(certificate: &X509Certificate<'_>) -> Option<Vec<Host>> {
    let constraints = certificate.name_constraints().ok()??.value;
    let subtrees = constraints.permitted_subtrees.as_ref()?;
    let hosts = subtrees.iter().map(|subtree| match &subtree.base {
        GeneralName::DNSName(name) => Some(Host::Name((*name).into())),
        GeneralName::IPAddress(range) => address(range).map(Host::Address),
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    });
    hosts.collect()
}

/// The one address of a range in a constraint: the address, and a mask as long.
fn address(range: &[u8]) -> Option<IpAddr> {
    let (address, mask) = range.split_at_checked(range.len() / 2)?;
    if mask.iter().any(|byte| *byte != 0xff) {
        return None;
    }
    let four = <[u8; 4]>::try_from(address).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(address).map(IpAddr::from))
        .ok()
}
