//! The walls between the rooms, where the compiler does not keep them.
#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Rooms that decide: pure, synchronous, without I/O.
const CORE: [&str; 6] = [
    "abac",
    "attributes",
    "keyvault",
    "principal",
    "rbac",
    "reason",
];

/// What the core may name besides itself. `http` is there for `http::Method` in `keyvault::route`.
const CORE_MAY_USE: [&str; 6] = ["std", "core", "thiserror", "uuid", "http", "super"];

/// Acquaintances there are all the same: pages are made of metrics, and metrics count what the
/// audit log tells in its own words.
const ACQUAINTED: [(&str, &str); 2] = [("admin", "metrics"), ("metrics", "audit")];

/// Adapters, which do not know each other; `app` introduces them.
const ADAPTERS: [&str; 8] = [
    "admin",
    "assignments",
    "audit",
    "authn",
    "cli",
    "dev",
    "metrics",
    "telemetry",
];

fn sources(room: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![root.join(format!("{room}.rs"))];
    let mut folders = vec![root.join(room)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files.retain(|file| file.exists());
    files
}

/// The lines of a file that are code of the product: no comments, nothing after `mod tests`.
fn code(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    product
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"))
        .map(str::to_owned)
        .collect()
}

/// The first segment of every path in `use` lines.
fn used_crates(lines: &[String]) -> Vec<String> {
    let uses = lines.iter().filter_map(|line| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("use ")
    });
    uses.map(|path| {
        path.split("::")
            .next()
            .unwrap_or_default()
            .trim_end_matches(';')
            .to_owned()
    })
    .collect()
}

#[test]
fn the_core_does_no_io() {
    for room in CORE {
        for file in sources(room) {
            for name in used_crates(&code(&file)) {
                let local = name == "crate" || name.starts_with(char::is_uppercase);
                let child = sources(room)
                    .iter()
                    .any(|f| f.file_stem().is_some_and(|s| s == name.as_str()));
                assert!(
                    local || child || CORE_MAY_USE.contains(&name.as_str()),
                    "{}: the core decides without I/O and \
                     must not use `{name}`",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn the_core_knows_no_adapter() {
    for room in CORE {
        for file in sources(room) {
            for line in code(&file) {
                for other in ADAPTERS.iter().chain(&["app", "config", "proxy"]) {
                    assert!(
                        !line.contains(&format!("crate::{other}")),
                        "{}: the core must not know `{other}`: {line}",
                        file.display()
                    );
                }
            }
        }
    }
}

#[test]
fn the_reader_of_json_knows_no_room() {
    for file in sources("json") {
        for line in code(&file) {
            assert!(!line.contains("crate::"), "{}: {line}", file.display());
        }
    }
}

#[test]
fn adapters_do_not_know_each_other() {
    for room in ADAPTERS
        .iter()
        .filter(|room| !["cli", "dev"].contains(room))
    {
        for file in sources(room) {
            for line in code(&file) {
                let strangers = ADAPTERS
                    .iter()
                    .filter(|other| *other != room && !ACQUAINTED.contains(&(*room, **other)));
                for other in strangers {
                    assert!(
                        !line.contains(&format!("crate::{other}")),
                        "{}: adapters are introduced by `app`, so `{room}` must not know \
                         `{other}`: {line}",
                        file.display()
                    );
                }
            }
        }
    }
}

#[test]
fn what_holds_the_key_of_a_ca_knows_names_and_nothing_else() {
    for file in sources("ca") {
        for line in code(&file) {
            let own = line.replace("crate::keyvault::Authority", "");
            assert!(!own.contains("crate::"), "{}: {line}", file.display());
        }
    }
}

/// What once was in the program, or nearly, and cost it size, memory and time to start out of all
/// proportion to its use: engines of regular expressions, validators of any schema, second
/// libraries for what there is one for.
const NOT_IN_THE_PROGRAM: [&str; 7] = [
    "chrono",
    "jsonschema",
    "native-tls",
    "openssl",
    "regex",
    "regex-automata",
    "ring",
];

#[test]
fn the_program_is_not_made_of_what_it_hardly_uses() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", "portcullis", "--edges", "normal"])
        .args([
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--offline",
            "--locked",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let crates = String::from_utf8(tree.stdout).unwrap();
    assert!(
        crates.lines().any(|line| line.starts_with("rustls ")),
        "{crates}"
    );
    for line in crates.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(!NOT_IN_THE_PROGRAM.contains(&name), "{line}");
    }
}

/// Whatever of the embedded vault and issuer is not in their rooms.
const DOORS_TO_DEV: [(&str, &[&str]); 2] = [
    ("lib.rs", &["pub mod dev;"]),
    (
        "cli.rs",
        &["mod dev;", "Dev(dev::Dev),", "Command::Dev(command) =>"],
    ),
];

#[test]
fn a_build_without_dev_has_no_embedded_vault() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (file, doors) in DOORS_TO_DEV {
        let lines = code(&root.join(file));
        for door in doors {
            let place = lines.iter().position(|line| line.starts_with(door));
            let guard = place.and_then(|place| lines.get(place.checked_sub(1)?));
            assert_eq!(
                guard.map(String::as_str),
                Some("#[cfg(feature = \"dev\")]"),
                "{file}: `{door}` must be behind the feature `dev`"
            );
        }
    }
    let rooms = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let rooms = rooms.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    for file in rooms.flat_map(|room| sources(&room)) {
        if file.starts_with(root.join("dev")) || file.starts_with(root.join("cli/dev")) {
            continue;
        }
        for line in code(&file)
            .iter()
            .filter(|line| line.contains("crate::dev"))
        {
            assert!(
                ["dev.rs", "cli/dev.rs"]
                    .map(|room| root.join(room))
                    .contains(&file),
                "{}: only `portcullis dev` may know the embedded vault: {line}",
                file.display()
            );
        }
    }
}

#[test]
fn files_stay_readable() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let rooms = rooms
        .filter_map(|path| path.file_stem().map(|s| s.to_string_lossy().into_owned()))
        .chain(["../tests".to_owned()]);
    for room in rooms {
        for file in sources(&room) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(
                lines <= 500,
                "{} has {lines} lines; split it by noun",
                file.display()
            );
        }
    }
}
