//! The life of the proxy as its operator sees it: how it starts, what it tells while it runs, what
//! it makes of changes around it, and how it ends.
//!
//! `run`, `start`, `stop` and `dev` drive the real binary with signals, files and pipes. The
//! others drive the same proxy in this process, where its clock can be moved by hand.
#![cfg(test)]
#![cfg(feature = "dev")]

mod ask;
mod canary;
mod certificates;
mod changes;
mod client_authorities;
mod client_certificates;
mod commands;
mod dev;
mod distress;
mod hardening;
mod keys;
mod listeners;
mod process;
mod readiness;
mod run;
mod shrinking;
mod soak;
mod start;
mod stop;
mod surroundings;
mod whereabouts;
