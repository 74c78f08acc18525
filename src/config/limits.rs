//! Limits of time, size and count.

use std::num::NonZero;
use std::time::Duration;

/// Time, size and count limits.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Threads that serve requests; at least one.
    pub worker_threads: usize,
    /// Open client connections per listener; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// Of those, how many one client address may have. For IPv6 the first 64 bits count.
    pub max_connections_per_address: usize,
    /// Requests in progress per listener, from their headers to the end of their answers; more are
    /// refused.
    pub max_concurrent_requests: usize,
    /// Requests in progress per caller, on all listeners together; more are refused.
    pub max_concurrent_requests_per_caller: usize,
    /// HTTP/2 streams per connection.
    pub max_concurrent_streams: u32,
    /// Bytes of request headers.
    pub max_header_bytes: u32,
    /// Bytes of a request body.
    pub max_body_bytes: u64,
    /// TLS handshake.
    pub handshake_timeout: Duration,
    /// From the first byte of a request to the end of its headers.
    pub header_read_timeout: Duration,
    /// How long a connection may be without a request.
    pub idle_timeout: Duration,
    /// From the end of the headers to the end of the request body.
    pub body_read_timeout: Duration,
    /// Connecting to the vault, TLS included.
    pub connect_timeout: Duration,
    /// From sending the request to the vault's response headers.
    pub first_byte_timeout: Duration,
    /// From the request's arrival to the end of the vault's answer.
    pub total_timeout: Duration,
    /// How long an unused connection to a vault is kept.
    pub pool_idle_timeout: Duration,
    /// Unused connections kept per vault.
    pub pool_max_idle: usize,
    /// How long requests in flight may go on after SIGTERM.
    pub drain_grace: Duration,
}

impl Limits {
    /// What one address may have of `max_connections` if nothing is said: three quarters, so that
    /// no single machine shuts out all others, and clients behind one load balancer have room.
    pub const fn share_of_an_address(max_connections: usize) -> usize {
        max_connections - max_connections / 4
    }
}

impl Default for Limits {
    /// The defaults of `config/portcullis.example.toml`, where each has its reason.
    fn default() -> Self {
        Self {
            worker_threads: std::thread::available_parallelism().map_or(1, NonZero::get),
            max_connections: 1024,
            max_connections_per_address: Self::share_of_an_address(1024),
            max_concurrent_requests: 1024,
            max_concurrent_requests_per_caller: 256,
            max_concurrent_streams: 100,
            max_header_bytes: 32 * 1024,
            max_body_bytes: 1024 * 1024,
            handshake_timeout: Duration::from_secs(10),
            header_read_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            body_read_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(60),
            pool_idle_timeout: Duration::from_secs(60),
            pool_max_idle: 32,
            drain_grace: Duration::from_secs(25),
        }
    }
}
