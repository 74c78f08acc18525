//! Who is on the other end of a socket, before it has said anything of its own.

use std::net::IpAddr;

use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;

use super::proxy_protocol::{self, Header};
use super::socket::Stream;
use super::{Credentials, HandshakeFailure};
use crate::config::{self, Address, Listener, TrustedPeers};

/// Bytes that most headers have room in.
const HEADER_BYTES: usize = 128;

/// Whom a listener lets begin a handshake, and whom it believes about others.
pub(super) struct Entrance {
    proxies: TrustedPeers,
    socket: Option<config::UnixSocket>,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The client's address; a process on this machine has none.
    pub(super) address: Option<IpAddr>,
    /// The load balancer's, if it handed the connection on.
    pub(super) via: Option<IpAddr>,
    /// Who the kernel says the process is.
    pub(super) credentials: Option<Credentials>,
}

impl Entrance {
    pub(super) fn of(listener: &Listener) -> Self {
        Self {
            proxies: listener.proxy_protocol_from.clone(),
            socket: match &listener.address {
                Address::Ip(_) => None,
                Address::Unix(socket) => Some(socket.clone()),
            },
        }
    }

    /// Learns where a connection comes from, of which nothing is read but a header of the PROXY
    /// protocol.
    pub(super) async fn admit(&self, stream: &mut Stream) -> Result<Origin, HandshakeFailure> {
        match stream {
            Stream::Unix(stream) => self.process(stream),
            Stream::Tcp(_, address) => {
                let peer = address.ip();
                // Nobody is on most lists.
                if !self.proxies.contain(peer) {
                    return Ok(Origin::at(peer));
                }
                let header = read_header(stream).await?;
                Ok(match header.source {
                    None => Origin::at(peer),
                    Some(client) => Origin {
                        via: Some(peer.to_canonical()),
                        ..Origin::at(client.ip())
                    },
                })
            }
        }
    }

    fn process(&self, stream: &UnixStream) -> Result<Origin, HandshakeFailure> {
        let told = stream
            .peer_cred()
            .map_err(|_| HandshakeFailure::PeerCredentials)?;
        let credentials = Credentials {
            uid: told.uid(),
            gid: told.gid(),
            pid: told.pid(),
        };
        let admitted = self
            .socket
            .as_ref()
            .is_some_and(|socket| socket.admits(credentials.uid, credentials.gid));
        if !admitted {
            return Err(HandshakeFailure::PeerCredentials);
        }
        Ok(Origin {
            address: None,
            via: None,
            credentials: Some(credentials),
        })
    }
}

impl Origin {
    fn at(address: IpAddr) -> Self {
        Self {
            // A socket for both families tells IPv4 addresses in IPv6 form.
            address: Some(address.to_canonical()),
            via: None,
            credentials: None,
        }
    }
}

/// Reads a header, and not one byte of what follows it.
async fn read_header(stream: &mut Stream) -> Result<Header, HandshakeFailure> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    loop {
        match proxy_protocol::parse(&bytes) {
            Ok(Some((header, _all))) => return Ok(header),
            Ok(None) => {}
            Err(defect) => {
                tracing::debug!(%defect, "a trusted peer sent no usable PROXY header");
                return Err(HandshakeFailure::ProxyHeader);
            }
        }
        let missing = proxy_protocol::at_least(&bytes).saturating_sub(bytes.len());
        let missing = u64::try_from(missing).unwrap_or(u64::MAX);
        let read = (&mut *stream).take(missing).read_buf(&mut bytes).await;
        if read.unwrap_or(0) == 0 {
            return Err(HandshakeFailure::Disconnected);
        }
    }
}
