//! Microsoft's own SDK for Rust as a client of the real proxy, with the embedded issuer and vault
//! around it: what an application sees that was not written for Portcullis.
//!
//! Every test ends with [`gate::Gate::finish`], which holds what must be true of any run: all
//! requests went to the proxy, each left a record, and what reached the vault was allowed.
#![cfg(test)]
#![cfg(feature = "dev")]

mod certificates;
mod conditions;
mod gate;
mod keys;
mod paging;
mod people;
mod placement;
mod secrets;
mod waiting;
mod wire;
