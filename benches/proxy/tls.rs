//! TLS as Portcullis configures it, written down here once more: the baseline must not change with
//! what it is the baseline of.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::Failure;

/// HTTP/2 as ALPN names it.
pub(crate) const H2: &[u8] = b"h2";

/// HTTP/1.1 as ALPN names it.
pub(crate) const HTTP_1_1: &[u8] = b"http/1.1";

static BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
static NEWER: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A server with the chain and key in these PEM files, TLS 1.2 and 1.3.
pub(crate) fn server(
    certificate: &Path,
    private_key: &Path,
    protocols: &[&[u8]],
) -> Result<ServerConfig, Failure> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(private_key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(BOTH)?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// A client that trusts the CA in this PEM file alone, TLS 1.2 and 1.3.
pub(crate) fn client(ca: &Path, protocol: &[u8]) -> Result<ClientConfig, Failure> {
    client_with(ca, protocol, (BOTH, aws_lc_rs::default_provider()))
}

/// [`client`], TLS 1.3 and X25519 only: whoever is asked, every handshake costs the client's wish and
/// not the server's.
pub(crate) fn load_client(ca: &Path, protocol: &[u8]) -> Result<ClientConfig, Failure> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    client_with(ca, protocol, (NEWER, provider))
}

fn client_with(
    ca: &Path,
    protocol: &[u8],
    (versions, provider): (&[&'static SupportedProtocolVersion], CryptoProvider),
) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}
