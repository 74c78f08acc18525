//! The language of conditions from outside: what is read, what is refused and how that is said,
//! what is printed, what the linter finds, and the commands that people use for all of it.
#![cfg(test)]

mod command;
mod corpus;
mod lints;
mod mistakes;
mod robustness;
mod round_trip;
mod trees;
