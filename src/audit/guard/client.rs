//! Where a request came from, for its record.

use std::net::IpAddr;
use std::sync::Arc;

/// Where a request came from. Texts are taken as they are and cut when they are written.
#[derive(Clone, Debug)]
pub struct ClientFacts {
    /// The listener's name.
    pub listener: Arc<str>,
    /// The client's address; `None` if it has none, or nobody knows it.
    pub ip: Option<IpAddr>,
    /// The address of the proxy that told it.
    pub via: Option<IpAddr>,
    /// The process, if it came by a Unix socket.
    pub process: Option<ClientProcess>,
    /// The TLS version, such as `1.3`.
    pub tls: &'static str,
    /// The host name of the handshake.
    pub sni: Option<Box<str>>,
    /// SHA-256 of the client's certificate, in lower-case hexadecimal.
    pub certificate: Option<Box<str>>,
    /// `User-Agent`.
    pub user_agent: Option<Box<str>>,
    /// `x-ms-client-request-id`.
    pub request_id: Option<Box<str>>,
}

/// A process on this machine, as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientProcess {
    /// Its user.
    pub uid: u32,
    /// Its first group.
    pub gid: u32,
    /// Its number, where the system tells it.
    pub pid: Option<i32>,
}
