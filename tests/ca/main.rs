//! `portcullis ca`: what it writes, what it refuses, and what the certificates are good for.
#![cfg(test)]

mod command;
mod constraints;
