//! The embedded issuer and the embedded vault, driven over TLS by real HTTP clients, the Azure SDK
//! for Rust among them.
#![cfg(test)]
#![cfg(feature = "dev")]

mod admission;
mod control;
mod issuer;
mod keys;
mod operations;
mod script;
mod sdk;
mod secrets;
mod world;
