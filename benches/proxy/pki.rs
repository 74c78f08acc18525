//! A CA for the run, and the certificates of the vault and the proxies.
//!
//! Keys are ECDSA on P-256, as most servers have by now. All proxies show the same certificate.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use crate::Failure;

/// Writes `ca.pem`, `server.crt`, `server.key` and `server.pem` (both) into `directory`; the
/// certificate is for `host` and for this machine.
pub(crate) fn write(directory: &Path, host: &str) -> Result<(), Failure> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let name = "Portcullis bench CA";
    authority
        .distinguished_name
        .push(DnType::CommonName, name.to_owned());
    let ca = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let names = [host, "localhost", "127.0.0.1"].map(str::to_owned);
    let mut params = CertificateParams::new(names.to_vec())?;
    params
        .distinguished_name
        .push(DnType::CommonName, host.to_owned());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &ca)?.pem();
    let key = key.serialize_pem();
    fs::write(directory.join("ca.pem"), ca.pem())?;
    fs::write(directory.join("server.pem"), format!("{certificate}{key}"))?;
    fs::write(directory.join("server.crt"), certificate)?;
    fs::write(directory.join("server.key"), key)?;
    Ok(())
}
