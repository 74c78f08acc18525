//! The embedded default: an issuer and a vault on this machine, with no Azure.
//!
//! `portcullis dev` puts the real proxy between these two, and the integration tests drive the
//! proxy against them. Both are real HTTPS servers on 127.0.0.1, both keep everything in memory,
//! and both are for development: the vault authenticates every request but decides no roles, and
//! anybody on this machine can ask the issuer to rotate its keys.
//!
//! * [`control`]: the vault's journal and its bad days, for test suites in other languages.
//! * [`pki`]: a private CA and the certificates both servers need.
//! * [`issuer`]: what Entra ID is to Key Vault: discovery, signing keys, tokens.
//! * [`vault`]: what Key Vault is to the proxy: secrets, keys and certificates that really behave.
//! * [`people`]: sample identities, their role data in the forms Azure exports, and seeds.
//!
//! The vault reads requests with code of its own, not with [`crate::keyvault`]: where the proxy
//! and the vault read a request differently, a test must see it.
//!
//! No credential lies in the repository: the CA, the signing keys, the client secret and the seed
//! values are made at start and are gone at the end.

pub mod control;
pub mod issuer;
pub mod people;
pub mod pki;
mod server;
pub mod vault;
pub mod world;

use std::time::{Duration, SystemTime};

/// A server of the embedded default could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port could not be bound.
    #[error("cannot listen on 127.0.0.1:{port}")]
    Bind {
        /// The port that was asked for.
        port: u16,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key could not be generated.
    #[error("the system's cryptography gave no key")]
    Key,
    /// An object the vault was to hold from the start is refused by the vault's own rules.
    #[error("the vault cannot hold `{0}`")]
    Seed(Box<str>),
    /// A setting that is sent in a header has a character that no header may have.
    #[error("the setting `{0}` cannot be sent in a header")]
    Setting(&'static str),
}

/// Whole seconds since 1970; times before that count as 1970.
fn unix_seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Random bytes from the system.
fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| StartError::Key)?;
    Ok(bytes)
}
