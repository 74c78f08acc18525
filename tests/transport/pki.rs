//! Certificates made for one test.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis::snapshot::{self, Snapshot};
use portcullis::tls::ServerCertificate;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate authority and the files it writes, gone with this value.
pub(crate) struct Pki {
    directory: tempfile::TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Contoso Test CA");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), ca.pem()).unwrap();
        Self { directory, ca }
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A certificate for `names` and its key.
    pub(crate) fn issue(&self, names: &[&str]) -> (PathBuf, PathBuf) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let stem = names.join("+");
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &self.ca)
            .unwrap();
        let (chain, private) = (format!("{stem}.pem"), format!("{stem}.key"));
        std::fs::write(self.path(&chain), certificate.pem()).unwrap();
        std::fs::write(self.path(&private), key.serialize_pem()).unwrap();
        (self.path(&chain), self.path(&private))
    }

    /// A certificate as `change` makes it, and its key.
    pub(crate) fn issue_to_client(
        &self,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (certificate.der().clone(), key.into())
    }

    /// What a server with a certificate for `names` needs.
    pub(crate) fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        let (chain, key) = self.issue(names);
        Arc::new(portcullis::tls::server_config(shown(&chain, &key), None).unwrap())
    }

    /// What a client that trusts this authority needs, offering `protocols`.
    pub(crate) fn client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        client(&self.ca_file(), protocols)
    }
}

/// What a listener shows for as long as it lives.
pub(crate) fn shown(chain: &Path, key: &Path) -> Snapshot<ServerCertificate> {
    let (_, certificate) = snapshot::channel(ServerCertificate::read(chain, key).unwrap());
    certificate
}

fn client(ca_file: &Path, protocols: &[&str]) -> Arc<ClientConfig> {
    let mut config = portcullis::tls::client_config(Some(ca_file)).unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Arc::new(config)
}
