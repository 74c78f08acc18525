//! The embedded issuer and the embedded vault, driven over TLS by real HTTP clients, the Azure SDK
//! for Rust among them.
#![cfg(test)]
#![cfg(feature = "dev")]

mod admission;
mod certificates;
mod certificates_desk;
mod certificates_import;
mod certificates_sdk;
mod certificates_x509;
mod control;
mod issuer;
mod keys;
mod limits;
mod operations;
mod release;
mod rotation;
mod script;
mod sdk;
mod secrets;
mod soft_delete;
mod world;
