//! The whole way through, over real TLS with real tokens: client, proxy, vault.
//!
//! Every world is the one of `portcullis dev`. Its vault decides no roles and obeys what proxies
//! should never pass on, so whatever is refused here was refused by the proxy, and whatever slipped
//! through would be seen in the vault's journal.
#![cfg(test)]
#![cfg(feature = "dev")]

mod aborts;
mod bodies;
mod challenge;
mod conditions;
mod header_attacks;
mod host_attacks;
mod links;
mod path_attacks;
mod people;
mod records;
mod relay;
mod role_data;
mod sent;
mod site;
mod tokens;
mod upstream;
mod wire;
