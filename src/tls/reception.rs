//! What a listener does in a handshake: the certificate it shows, and whom it asks for one.
//!
//! The CAs of clients, and what these have revoked, are read again when the files change. What is
//! no good leaves the last good ones in place.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::client::is_named;
use super::lookout::{self, Lookout, RenewalEvent, RenewalHandle};
use super::server::{Present, ServerCertificate};
use super::{H2, HTTP_1_1, PemFile, TlsError, VERSIONS, certificates, unreadable};
use crate::config::{ClientCertificates, ClientName};
use crate::snapshot::{self, Publisher, Snapshot};

/// What the file of CAs holds, for messages.
const CLIENT_CAS: &str = "client CA file";

/// What the file of revocations holds.
const CLIENT_CRLS: &str = "client CRL file";

/// The handshakes of one listener.
#[derive(Debug)]
pub struct Reception {
    certificate: Snapshot<ServerCertificate>,
    clients: Option<(ClientCertificates, Vouching)>,
    publisher: Publisher<ServerConfig>,
}

/// Who vouches for clients, and for whom no more.
#[derive(Debug, PartialEq, Eq)]
struct Vouching {
    cas: Vec<CertificateDer<'static>>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
}

impl Reception {
    /// Reads the CAs of clients, if they are asked for certificates. Blocks.
    ///
    /// # Errors
    /// [`TlsError`], if a file cannot be used.
    pub fn begin(
        certificate: Snapshot<ServerCertificate>,
        clients: Option<&ClientCertificates>,
    ) -> Result<Self, TlsError> {
        let clients = clients.map(|clients| {
            let vouching = Vouching::read(clients)?;
            Ok::<_, TlsError>((clients.clone(), vouching))
        });
        let clients = clients.transpose()?;
        let (publisher, _) = snapshot::channel(config(certificate.clone(), clients.as_ref())?);
        Ok(Self {
            certificate,
            clients,
            publisher,
        })
    }

    /// What a handshake is answered with, now and later.
    pub fn config(&self) -> Snapshot<ServerConfig> {
        self.publisher.subscribe()
    }

    /// When the first of the CAs of clients and of their lists of what is revoked ends, in seconds of
    /// Unix time; `None` if there are none.
    pub fn first_to_end(&self) -> Option<i64> {
        self.clients
            .as_ref()
            .map(|(_, vouching)| vouching.first_to_end())
    }

    /// Looks for other CAs whenever files change and every half a minute, and tells `on_event` what
    /// comes of it. Nothing is looked for if clients are not asked. Must be called in a tokio
    /// runtime.
    pub fn spawn(self, on_event: impl Fn(RenewalEvent) + Send + 'static) -> Option<RenewalHandle> {
        self.clients
            .is_some()
            .then(|| lookout::keep(self, on_event))
    }
}

impl Lookout for Reception {
    fn files(&self) -> Vec<PathBuf> {
        let clients = self.clients.iter();
        let files = clients
            .flat_map(|(clients, _)| [Some(clients.ca_file.clone()), clients.crl_file.clone()]);
        files.flatten().collect()
    }

    /// Takes other CAs into use. Connections keep what they have.
    fn look(&mut self) -> RenewalEvent {
        let Some((clients, present)) = &self.clients else {
            return RenewalEvent::Unchanged;
        };
        let read = match Vouching::read(clients) {
            Ok(read) if read == *present => return RenewalEvent::Unchanged,
            Ok(read) => Some((clients.clone(), read)),
            Err(error) => return RenewalEvent::Failed(error),
        };
        match config(self.certificate.clone(), read.as_ref()) {
            Ok(config) => {
                self.clients = read;
                self.publisher.publish(config);
                RenewalEvent::Renewed {
                    not_after: self.first_to_end().unwrap_or(i64::MAX),
                    issuer_not_after: None,
                }
            }
            Err(error) => RenewalEvent::Failed(error),
        }
    }
}

impl Vouching {
    fn read(clients: &ClientCertificates) -> Result<Self, TlsError> {
        let revoked = clients.crl_file.as_ref().map(|path| {
            let file = PemFile {
                holds: CLIENT_CRLS,
                path: path.clone(),
            };
            let lists = CertificateRevocationListDer::pem_file_iter(path);
            let lists = lists.and_then(Iterator::collect::<Result<Vec<_>, _>>);
            match lists.map_err(|cause| unreadable(file.clone(), cause)) {
                Ok(lists) if lists.is_empty() => Err(TlsError::Empty(file)),
                read => read,
            }
        });
        Ok(Self {
            cas: certificates(CLIENT_CAS, &clients.ca_file)?,
            revoked: revoked.transpose()?.unwrap_or_default(),
        })
    }

    fn first_to_end(&self) -> i64 {
        let cas = self.cas.iter().filter_map(|ca| {
            let (_, ca) = X509Certificate::from_der(ca).ok()?;
            Some(ca.validity().not_after.timestamp())
        });
        let lists = self.revoked.iter().filter_map(|list| {
            let (_, list) = CertificateRevocationList::from_der(list).ok()?;
            Some(list.next_update()?.timestamp())
        });
        cas.chain(lists).min().unwrap_or(i64::MAX)
    }
}

/// The configuration of a listener: its certificate, HTTP/2 and HTTP/1.1.
///
/// With `clients` a client is asked for a certificate; one that is shown must be good.
///
/// # Errors
/// [`TlsError`], if the CAs of clients cannot be used.
pub fn server_config(
    certificate: Snapshot<ServerCertificate>,
    clients: Option<&ClientCertificates>,
) -> Result<ServerConfig, TlsError> {
    let reception = Reception::begin(certificate, clients)?;
    Ok(ServerConfig::clone(&reception.config().load()))
}

fn config(
    certificate: Snapshot<ServerCertificate>,
    clients: Option<&(ClientCertificates, Vouching)>,
) -> Result<ServerConfig, TlsError> {
    let verifier = match clients {
        Some((clients, vouching)) => verifier(clients, vouching)?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(VERSIONS)
        .map_err(TlsError::Provider)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(Present(certificate)));
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    if clients.is_some() {
        // SECURITY: a resumed session brings its certificate along without looking at it again, so
        // that one which has ended would go on being believed. A full handshake each time costs
        // little: clients keep their connections.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

/// What looks at the certificates of clients.
fn verifier(
    clients: &ClientCertificates,
    vouching: &Vouching,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let refused = |cause| TlsError::Refused {
        file: PemFile {
            holds: CLIENT_CAS,
            path: clients.ca_file.clone(),
        },
        cause,
    };
    let mut roots = RootCertStore::empty();
    for ca in &vouching.cas {
        roots.add(ca.clone()).map_err(refused)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if !vouching.revoked.is_empty() {
        // SECURITY: a list that has ended says nothing of what was revoked since, and a CA without
        // a list says nothing at all; neither is "not revoked".
        builder = builder
            .with_crls(vouching.revoked.iter().cloned())
            .enforce_revocation_expiration();
    }
    if !clients.required {
        builder = builder.allow_unauthenticated();
    }
    let chain = builder.build().map_err(|cause| {
        // The roots were taken one by one: it is the lists.
        let path = clients.crl_file.as_ref().unwrap_or(&clients.ca_file);
        TlsError::Refused {
            file: PemFile {
                holds: CLIENT_CRLS,
                path: path.clone(),
            },
            cause: rustls::Error::General(cause.to_string()),
        }
    })?;
    Ok(Arc::new(ByName {
        chain,
        names: Arc::clone(&clients.names),
    }))
}

/// Accepts certificates by who vouches for them, and by their names.
#[derive(Debug)]
struct ByName {
    chain: Arc<dyn ClientCertVerifier>,
    names: Arc<[ClientName]>,
}

impl ClientCertVerifier for ByName {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.chain.verify_client_cert(leaf, intermediates, now)?;
        match is_named(leaf, &self.names) {
            Ok(true) => Ok(verified),
            Ok(false) => Err(CertificateError::ApplicationVerificationFailure.into()),
            Err(_unreadable) => Err(CertificateError::BadEncoding.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
