//! Role data from files: every form people have, every mistake they make, and files that change.
//!
//! The exports in `data/exports` are of one invented tenant, in the forms of the tools.
#![cfg(test)]

use std::fs;
use std::path::PathBuf;

use portcullis::assignments::wire::{self, Parsed};
use serde_json::Value;

#[path = "assignments/forms.rs"]
mod forms;
#[path = "assignments/merging.rs"]
mod merging;
#[path = "assignments/mistakes.rs"]
mod mistakes;
#[path = "assignments/overlays.rs"]
mod overlays;
#[path = "assignments/properties.rs"]
mod properties;
#[path = "assignments/watching.rs"]
mod watching;

/// Where an export is.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/exports")
        .join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap()
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).unwrap()
}

fn parse(name: &str) -> Parsed {
    wire::parse(&bytes(name)).unwrap_or_else(|errors| panic!("{name}: {errors}"))
}

fn parse_value(value: &Value) -> Result<Parsed, String> {
    wire::parse(value.to_string().as_bytes()).map_err(|errors| errors.to_string())
}

/// The entries of an export, whatever form its list has.
fn entries(value: &mut Value) -> &mut Vec<Value> {
    let list = if value.is_array() {
        value
    } else {
        &mut value["value"]
    };
    list.as_array_mut().unwrap()
}
