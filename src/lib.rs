//! Portcullis.
pub mod admin;
pub mod audit;
pub mod clock;
pub mod config;
pub mod keyvault;
pub mod metrics;
pub mod principal;
pub mod rbac;
pub mod reason;
pub mod secret;
pub mod snapshot;
pub mod telemetry;
pub mod traceparent;
