//! Portcullis.
pub mod assignments;
pub mod authn;
pub mod clock;
pub mod config;
#[cfg(feature = "dev")]
pub mod dev;
pub mod keyvault;
pub mod principal;
pub mod proxy;
pub mod rbac;
pub mod reason;
pub mod secret;
pub mod snapshot;
