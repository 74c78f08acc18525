//! The keys of `[limits]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MAX_SECONDS;
use crate::config::Limits;

/// Limits of time, size and count.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawLimits {
    /// Threads that serve requests; as many as there are processors for this process if absent.
    #[schemars(range(min = 1, max = 1024))]
    pub(in crate::config) worker_threads: Option<usize>,
    /// Open client connections per listener; more wait in the kernel's backlog.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) max_connections: usize,
    /// Of those, how many one client address may have; for IPv6 the first 64 bits count. Three
    /// quarters if absent.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) max_connections_per_address: Option<usize>,
    /// Requests in progress per listener; more are answered 503.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) max_concurrent_requests: usize,
    /// Requests in progress per caller; more are answered 503.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) max_concurrent_requests_per_caller: usize,
    /// HTTP/2 streams per connection.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in crate::config) max_concurrent_streams: u32,
    /// Size of a request's headers.
    // The HTTP library's buffer is not smaller than 8 KiB.
    #[schemars(range(min = 8192, max = 1_048_576))]
    pub(in crate::config) max_header_bytes: u32,
    /// Size of a request's body.
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub(in crate::config) max_body_bytes: u64,
    /// The TLS handshake.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub(in crate::config) handshake_timeout_seconds: u64,
    /// From the first byte of a request to the end of its headers.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub(in crate::config) header_read_timeout_seconds: u64,
    /// How long a connection may be without a request.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub(in crate::config) idle_timeout_seconds: u64,
    /// From the end of the headers to the end of the request body.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub(in crate::config) body_read_timeout_seconds: u64,
    /// Connecting to the vault, TLS included.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub(in crate::config) connect_timeout_seconds: u64,
    /// From sending the request to the headers of the vault's answer.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub(in crate::config) first_byte_timeout_seconds: u64,
    /// From the request's arrival to the end of the vault's answer.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub(in crate::config) total_timeout_seconds: u64,
    /// How long an unused connection to a vault is kept.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub(in crate::config) pool_idle_timeout_seconds: u64,
    /// Unused connections kept per vault; 0 keeps none.
    #[schemars(range(min = 0, max = 10_000))]
    pub(in crate::config) pool_max_idle_connections: usize,
    /// How long requests in flight may go on after SIGTERM.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub(in crate::config) drain_grace_seconds: u64,
}

impl RawLimits {
    /// The limits as meant.
    pub(in crate::config) fn meant(&self) -> Limits {
        Limits {
            worker_threads: self
                .worker_threads
                .unwrap_or_else(|| Limits::default().worker_threads),
            max_connections: self.max_connections,
            max_connections_per_address: self
                .max_connections_per_address
                .unwrap_or_else(|| Limits::share_of_an_address(self.max_connections)),
            max_concurrent_requests: self.max_concurrent_requests,
            max_concurrent_requests_per_caller: self.max_concurrent_requests_per_caller,
            max_concurrent_streams: self.max_concurrent_streams,
            max_header_bytes: self.max_header_bytes,
            max_body_bytes: self.max_body_bytes,
            handshake_timeout: Duration::from_secs(self.handshake_timeout_seconds),
            header_read_timeout: Duration::from_secs(self.header_read_timeout_seconds),
            idle_timeout: Duration::from_secs(self.idle_timeout_seconds),
            body_read_timeout: Duration::from_secs(self.body_read_timeout_seconds),
            connect_timeout: Duration::from_secs(self.connect_timeout_seconds),
            first_byte_timeout: Duration::from_secs(self.first_byte_timeout_seconds),
            total_timeout: Duration::from_secs(self.total_timeout_seconds),
            pool_idle_timeout: Duration::from_secs(self.pool_idle_timeout_seconds),
            pool_max_idle: self.pool_max_idle_connections,
            drain_grace: Duration::from_secs(self.drain_grace_seconds),
        }
    }
}

impl Default for RawLimits {
    fn default() -> Self {
        let limits = Limits::default();
        let seconds = |duration: Duration| duration.as_secs();
        Self {
            worker_threads: None,
            max_connections: limits.max_connections,
            max_connections_per_address: None,
            max_concurrent_requests: limits.max_concurrent_requests,
            max_concurrent_requests_per_caller: limits.max_concurrent_requests_per_caller,
            max_concurrent_streams: limits.max_concurrent_streams,
            max_header_bytes: limits.max_header_bytes,
            max_body_bytes: limits.max_body_bytes,
            handshake_timeout_seconds: seconds(limits.handshake_timeout),
            header_read_timeout_seconds: seconds(limits.header_read_timeout),
            idle_timeout_seconds: seconds(limits.idle_timeout),
            body_read_timeout_seconds: seconds(limits.body_read_timeout),
            connect_timeout_seconds: seconds(limits.connect_timeout),
            first_byte_timeout_seconds: seconds(limits.first_byte_timeout),
            total_timeout_seconds: seconds(limits.total_timeout),
            pool_idle_timeout_seconds: seconds(limits.pool_idle_timeout),
            pool_max_idle_connections: limits.pool_max_idle,
            drain_grace_seconds: seconds(limits.drain_grace),
        }
    }
}
