//! The enforcement point: what stands between a client and the vault.
//!
//! The parts here move bytes and decide nothing: [`listen`] takes connections, [`host`] finds the
//! vault a request is for, [`headers`] refuses and filters headers, [`upstream`] sends an operation
//! to the vault and [`links`] keeps clients on this side of the gate.
//!
//! What they promise, whatever a client or a vault sends:
//!
//! * One request on the wire is one request to the service, and what is left of a refused one is
//!   drained or the connection closed; it never becomes a second request.
//! * The method, path and query sent to the vault come from a parsed operation, and the headers
//!   from an allow-list; `Host` and SNI are the configured ones.
//! * No request is sent twice unless nothing of it had been sent.
//! * An answer that broke off upstream breaks off downstream; it never ends cleanly.
//! * Every wait has a limit.

mod activity;
pub mod body;
pub mod connect;
pub mod drain;
mod gate;
pub mod headers;
pub mod host;
pub mod links;
pub mod listen;
pub mod metadata;
pub mod pipeline;
mod properties;
pub mod reject;
pub mod shares;
pub mod upstream;
pub mod workers;

pub use gate::HeadDefect;
