//! The transport of the proxy over real TLS, with attackers on both sides.
//!
//! A service like the real pipeline, without token and decision, stands between raw clients and a
//! scripted vault. The vault's journal says what reached it; nothing here sleeps.

#![cfg(test)]
#![cfg(feature = "dev")]

mod answers;
mod bodies;
mod client_certificates;
mod client_names;
mod clients;
#[path = "../support/dns.rs"]
mod dns;
#[path = "../support/facts.rs"]
mod facts;
mod faults;
#[path = "../support/frames.rs"]
mod frames;
mod framing;
mod gate;
mod http2;
mod lifecycle;
mod links;
mod panics;
#[path = "../support/permit.rs"]
mod permit;
mod pki;
mod proxy_protocol;
mod unix;
mod upstream;
mod vault;
