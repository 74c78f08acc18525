//! Who is on the other end of a socket, before it has said anything of its own.

use std::net::{IpAddr, Ipv4Addr};

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

/// Whose connections count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    Address(Ipv4Addr),
    /// The first 64 bits of an IPv6 address.
    Network([u16; 4]),
    User(Option<u32>),
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

    /// Where a connection comes from, as the socket tells it; `None` if the peer has yet to announce
    /// for whom it speaks.
    pub(super) fn at_once(&self, stream: &Stream) -> Result<Option<Origin>, HandshakeFailure> {
        match stream {
            Stream::Unix(stream) => self.process(stream).map(Some),
            Stream::Tcp(_, address) if self.proxies.contain(address.ip()) => Ok(None),
            Stream::Tcp(_, address) => Ok(Some(Origin::at(address.ip()))),
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

    /// Whose connections count together with this one.
    pub(super) fn holder(&self) -> Holder {
        match (self.address, self.credentials) {
            (Some(IpAddr::V4(address)), _) => Holder::Address(address),
            // An IPv6 client has a network of addresses for itself.
            (Some(IpAddr::V6(address)), _) => {
                let [a, b, c, d, ..] = address.segments();
                Holder::Network([a, b, c, d])
            }
            (None, credentials) => Holder::User(credentials.map(|process| process.uid)),
        }
    }
}

/// Reads for whom a load balancer speaks, and not one byte of what follows.
pub(super) async fn announced(stream: &mut Stream) -> Result<Origin, HandshakeFailure> {
    let peer = match stream {
        Stream::Tcp(_, address) => address.ip(),
        Stream::Unix(_) => return Err(HandshakeFailure::PeerCredentials),
    };
    let header = read_header(stream).await?;
    Ok(match header.source {
        None => Origin::at(peer),
        Some(client) => Origin {
            via: Some(peer.to_canonical()),
            ..Origin::at(client.ip())
        },
    })
}

/// Reads a header and no more.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_counted_by_address_or_by_network() {
        let counted = |text: &str| Origin::at(text.parse().unwrap()).holder();
        assert_eq!(counted("192.0.2.7"), Holder::Address([192, 0, 2, 7].into()));
        assert_eq!(counted("::ffff:192.0.2.7"), counted("192.0.2.7"));
        let network = Holder::Network([0x2001, 0xdb8, 1, 2]);
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), network);
    }
}
