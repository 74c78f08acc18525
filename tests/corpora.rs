//! What the fuzz targets check, on their kept inputs and on small changes to these, at every
//! `cargo test`. `CONTRIBUTING.md` tells how to look for longer.
#![cfg(test)]

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

#[path = "../fuzz/properties/condition.rs"]
mod condition;
#[path = "../fuzz/properties/overlay.rs"]
mod overlay;
#[path = "../fuzz/properties/proxy_header.rs"]
mod proxy_header;
#[path = "../fuzz/properties/request.rs"]
mod request;
#[path = "../fuzz/properties/request_line.rs"]
mod request_line;
#[path = "../fuzz/properties/role_data.rs"]
mod role_data;
#[path = "../fuzz/properties/token.rs"]
mod token;

#[test]
fn conditions() {
    hold("condition", condition::check);
}

#[test]
fn overlays() {
    hold("overlay", overlay::check);
}

#[test]
fn proxy_headers() {
    hold("proxy_header", proxy_header::check);
}

#[test]
fn requests() {
    hold("request", request::check);
}

#[test]
fn request_lines() {
    hold("request_line", request_line::check);
}

#[test]
fn files_of_role_data() {
    hold("role_data", role_data::check);
}

#[test]
fn tokens() {
    hold("token", token::check);
}

/// Runs `check` on every kept input of `target`, of which it must accept some, then on inputs that differ from one in a few bytes.
fn hold(target: &str, check: impl Fn(&[u8]) -> bool) {
    let kept = corpus(target);
    assert!(!kept.is_empty(), "no inputs are kept for {target}");
    let mut accepted = 0;
    for (path, input) in &kept {
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| check(input)));
        accepted += usize::from(outcome.unwrap_or_else(|_| panic!("{}", path.display())));
    }
    assert!(
        accepted > 0,
        "nothing that is kept for {target} is accepted"
    );
    let changes = prop::collection::vec((any::<Index>(), change()), 1..4);
    let inputs = (0..kept.len(), changes);
    let mut runner = TestRunner::default();
    let outcome = runner.run(&inputs, |(which, changes)| {
        let mut input = kept[which].1.clone();
        for (place, change) in changes {
            change.make(&mut input, &place);
        }
        check(&input);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{target}: {failure}"));
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let files = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory:?}: {error}"));
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let input = fs::read(&path).unwrap();
            (path, input)
        })
        .collect()
}

/// A small change to an input.
#[derive(Clone, Debug)]
enum Change {
    Insert(u8),
    Remove,
    Replace(u8),
    Repeat(usize),
}

fn change() -> impl Strategy<Value = Change> {
    // What grammars are made of, more often than other bytes.
    let byte = prop_oneof![
        3 => prop::sample::select(b"/\\%;#?&=:.,\"'{}[]()@ \t\r\n\0-_0aA~".as_slice()),
        1 => any::<u8>(),
    ];
    prop_oneof![
        byte.clone().prop_map(Change::Insert),
        byte.prop_map(Change::Replace),
        Just(Change::Remove),
        (1..64usize).prop_map(Change::Repeat),
    ]
}

impl Change {
    fn make(&self, input: &mut Vec<u8>, place: &Index) {
        if input.is_empty() {
            return;
        }
        let at = place.index(input.len());
        match *self {
            Self::Insert(byte) => input.insert(at, byte),
            Self::Replace(byte) => input[at] = byte,
            Self::Remove => {
                input.remove(at);
            }
            Self::Repeat(length) => {
                let end = input.len().min(at + length);
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
        }
    }
}
