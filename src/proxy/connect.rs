//! Getting to the vault: its address, a TCP connection, TLS.
//!
//! The hosts file is never read: in a sidecar it points the vault's name back at this proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{self, Connect};
use crate::keyvault::Authority;
use crate::snapshot::Snapshot;
use crate::tls::{self, ServerCertificate, TlsError};

/// Why a connector could not be made.
#[derive(Debug, Error)]
pub enum ConnectorError {
    /// The vault's host cannot be the subject of a certificate.
    #[error("`{0}` is neither a host name nor an address")]
    Host(Authority),
    /// The system's DNS configuration cannot be read.
    #[error("cannot read the system's DNS configuration: {0}")]
    Resolver(hickory_resolver::net::NetError),
    /// The roots cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why there is no connection to the vault. Nothing was sent.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The vault's name leads to this proxy.
    #[error("{0} leads back to this proxy")]
    Loop(SocketAddr),
    /// The name has no address.
    #[error("cannot resolve the vault's name: {0}")]
    Resolve(hickory_resolver::net::NetError),
    /// No address accepts a connection.
    #[error("cannot connect to the vault: {0}")]
    Tcp(io::Error),
    /// It took too long.
    #[error("connecting to the vault took too long")]
    Timeout,
    /// The handshake failed: an untrusted certificate, another name, no common version.
    #[error("the TLS handshake with the vault failed: {0}")]
    Tls(io::Error),
}

/// What this proxy is met by, and no vault can be: the addresses it listens on, and the certificates
/// it shows there, by which it is known also through another address that leads to it.
#[derive(Clone, Debug, Default)]
pub struct Ourselves {
    addresses: Arc<[SocketAddr]>,
    certificates: Arc<[Snapshot<ServerCertificate>]>,
}

impl Ourselves {
    /// Takes the addresses as bound, and the certificates that are shown there.
    pub fn new(
        addresses: impl IntoIterator<Item = SocketAddr>,
        certificates: impl IntoIterator<Item = Snapshot<ServerCertificate>>,
    ) -> Self {
        Self {
            addresses: addresses.into_iter().collect(),
            certificates: certificates.into_iter().collect(),
        }
    }

    /// Whether a server with this chain is this proxy.
    fn show(&self, chain: Option<&[CertificateDer<'_>]>) -> bool {
        let mut certificates = self.certificates.iter();
        chain.is_some_and(|chain| certificates.any(|own| own.load().is_ours(chain)))
    }

    /// Whether a connection from `local` to `remote` has reached one of our listeners.
    fn contain(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        let (from, to) = (local.ip().to_canonical(), remote.ip().to_canonical());
        // A connection to an address of this machine comes from that address, or both are loopback.
        let this_machine = from == to || (from.is_loopback() && to.is_loopback());
        self.addresses.iter().any(|own| {
            let bound = own.ip().to_canonical();
            own.port() == remote.port() && (bound == to || (bound.is_unspecified() && this_machine))
        })
    }
}

/// A TLS connection to the vault.
pub(super) type VaultStream = TokioIo<TlsStream<TcpStream>>;

/// Makes connections to one vault.
pub(super) struct Connector {
    target: Target,
    server_name: ServerName<'static>,
    tls: TlsConnector,
    timeout: Duration,
    own: Ourselves,
}

enum Target {
    Address(SocketAddr),
    Name {
        resolver: Box<TokioResolver>,
        /// Fully qualified, so that search domains are not tried.
        name: Box<str>,
        port: u16,
    },
}

impl Connector {
    pub(super) fn new(
        vault: &config::Vault,
        timeout: Duration,
        own: Ourselves,
    ) -> Result<Self, ConnectorError> {
        let host = vault.authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let server_name = ServerName::try_from(bare.to_owned())
            .map_err(|_| ConnectorError::Host(vault.authority.clone()))?;
        let target = match &vault.connect {
            Connect::Address(address) => Target::Address(*address),
            Connect::Dns(servers) => match bare.parse() {
                Ok(ip) => Target::Address(SocketAddr::new(ip, vault.authority.port())),
                Err(_) => Target::Name {
                    resolver: Box::new(resolver(servers)?),
                    name: format!("{host}.").into(),
                    port: vault.authority.port(),
                },
            },
        };
        let config = tls::client_config(vault.ca_file.as_deref())?;
        Ok(Self {
            target,
            server_name,
            tls: TlsConnector::from(Arc::new(config)),
            timeout,
            own,
        })
    }
    /// A new connection.
    ///
    /// # Errors
    /// [`ConnectError`]; nothing was sent.
    pub(super) async fn connect(&self) -> Result<VaultStream, ConnectError> {
        let connecting = async {
            let stream = self.dial(&self.addresses().await?).await?;
            let connecting = self.tls.connect(self.server_name.clone(), stream);
            let stream = connecting.await.map_err(ConnectError::Tls)?;
            let (tcp, session) = stream.get_ref();
            if self.own.show(session.peer_certificates()) {
                let remote = tcp.peer_addr().map_err(ConnectError::Tcp)?;
                return Err(ConnectError::Loop(remote));
            }
            Ok(stream)
        };
        let stream = tokio::time::timeout(self.timeout, connecting)
            .await
            .map_err(|_| ConnectError::Timeout)??;
        Ok(TokioIo::new(stream))
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        match &self.target {
            Target::Address(address) => Ok(vec![*address]),
            Target::Name {
                resolver,
                name,
                port,
            } => {
                let found = resolver
                    .lookup_ip(&**name)
                    .await
                    .map_err(ConnectError::Resolve)?;
                Ok(found.iter().map(|ip| SocketAddr::new(ip, *port)).collect())
            }
        }
    }

    /// Tries one address after the other, each with its share of the time.
    async fn dial(&self, addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
        let share = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for &address in addresses {
            let attempt = tokio::time::timeout(self.timeout / share, TcpStream::connect(address));
            match attempt
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            {
                Ok(stream) => return self.check(stream),
                Err(cause) => last = cause,
            }
        }
        Err(ConnectError::Tcp(last))
    }

    fn check(&self, stream: TcpStream) -> Result<TcpStream, ConnectError> {
        let local = stream.local_addr().map_err(ConnectError::Tcp)?;
        let remote = stream.peer_addr().map_err(ConnectError::Tcp)?;
        // A request that comes back to us would come back for ever.
        if self.own.contain(local, remote) {
            return Err(ConnectError::Loop(remote));
        }
        // Small requests should not wait for more to come. A failure costs speed only.
        let _slower = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// What asks `servers`, or those of the system if there are none.
fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, ConnectorError> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio().map_err(ConnectorError::Resolver)?
    } else {
        let servers = servers.iter().map(name_server).collect();
        let config = ResolverConfig::from_name_servers(servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    // SECURITY: with the hosts file the proxy would connect to itself.
    builder.options_mut().use_hosts_file = ResolveHosts::Never;
    builder.build().map_err(ConnectorError::Resolver)
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> Ourselves {
        Ourselves::new([text.parse().unwrap()], [])
    }

    fn contain(own: &Ourselves, local: &str, remote: &str) -> bool {
        own.contain(local.parse().unwrap(), remote.parse().unwrap())
    }

    #[tokio::test]
    async fn the_hosts_file_is_never_asked() {
        // A machine without a DNS configuration has no resolver of its own.
        let configured = resolver(&["127.0.0.1:53".parse().unwrap()]).unwrap();
        for resolver in resolver(&[]).into_iter().chain([configured]) {
            assert_eq!(resolver.options().use_hosts_file, ResolveHosts::Never);
        }
    }

    #[test]
    fn a_listener_on_one_address_is_recognised() {
        let own = own("127.0.0.1:443");
        assert!(contain(&own, "127.0.0.1:50000", "127.0.0.1:443"));
        assert!(contain(&own, "127.0.0.1:50000", "[::ffff:127.0.0.1]:443"));
        assert!(!contain(&own, "127.0.0.1:50000", "127.0.0.1:444"));
        assert!(!contain(&own, "10.0.0.5:50000", "10.0.0.9:443"));
    }

    #[test]
    fn a_listener_on_every_address_is_recognised() {
        let own = own("0.0.0.0:443");
        assert!(contain(&own, "10.0.0.5:50000", "10.0.0.5:443"));
        assert!(contain(&own, "127.0.0.1:50000", "127.0.0.9:443"));
        assert!(!contain(&own, "10.0.0.5:50000", "10.0.0.9:443"));
    }
}
