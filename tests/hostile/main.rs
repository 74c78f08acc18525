//! The hostile edge: what attackers send, and how many of them.
//!
//! Each attack is one on the whole proxy, with the embedded issuer and vault around it and, where
//! it matters, the token of somebody who may do everything: what is refused here is refused for its
//! form. After each the vault's journal has nothing of it, and an honest request works.
#![cfg(test)]
#![cfg(feature = "dev")]

#[path = "../lifecycle/ask.rs"]
#[expect(dead_code, reason = "the tests of the program's life need more of it")]
mod ask;
mod bytes;
mod floods;
#[path = "../support/frames.rs"]
mod frames;
mod guessing;
mod http1;
mod http2;
mod limits;
mod overload;
#[path = "../lifecycle/process.rs"]
#[expect(dead_code, reason = "the tests of the program's life need more of it")]
mod process;
#[path = "../pipeline/site.rs"]
#[expect(dead_code, reason = "the tests of the pipeline need more of it")]
mod site;
mod stand;
#[path = "../lifecycle/surroundings.rs"]
#[expect(dead_code, reason = "the tests of the program's life need more of it")]
mod surroundings;
#[path = "../pipeline/wire.rs"]
#[expect(dead_code, reason = "the tests of the pipeline need more of it")]
mod wire;
