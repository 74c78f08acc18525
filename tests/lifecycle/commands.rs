//! The commands that answer and end: `config check`, `config schema`, help.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::process::{Outcome, command, outcome};
use crate::surroundings::Surroundings;

async fn told(arguments: &[&str]) -> Outcome {
    outcome(command(arguments)).await
}

/// The configurations among the examples; the others are overlays, and named so.
fn shipped() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let files = fs::read_dir(directory).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let names = paths.map(|path| path.to_str().unwrap().to_owned());
    names
        .filter(|name| name.ends_with(".toml") && !name.contains("/overlay."))
        .collect()
}

#[tokio::test]
async fn a_good_configuration_is_told_to_be_good() {
    let world = Surroundings::start().await;
    let path = world.write(&world.toml(""));
    let outcome = told(&["config", "check", path.to_str().unwrap()]).await;
    let ok = format!("{}: ok\n", path.display());
    assert_eq!((outcome.code, outcome.stdout), (Some(0), ok));
    assert_eq!(outcome.stderr, "");
}

#[tokio::test]
async fn a_bad_configuration_is_told_to_be_bad() {
    let world = Surroundings::start().await;
    for (toml, key) in [
        (world.toml("[limit]\n"), "limit: "),
        (
            world.toml("").replace("proxy.key", "absent.key"),
            "private_key_file: ",
        ),
        // What would make `run` fail must not pass here.
        (world.toml("[log]\nfilter = \"inof\"\n"), "log.filter: "),
        (
            world.toml("[log]\nfilter = \"info,,warn\"\n"),
            "log.filter: ",
        ),
    ] {
        let path = world.write(&toml);
        let outcome = told(&["config", "check", path.to_str().unwrap()]).await;
        assert_eq!((outcome.code, &*outcome.stdout), (Some(1), ""), "{key}");
        assert!(outcome.stderr.contains(key), "{key} {}", outcome.stderr);
        let place = format!("{}:", path.display());
        assert!(outcome.stderr.contains(&place), "{}", outcome.stderr);
    }
}

#[tokio::test]
async fn the_shipped_examples_are_good_on_any_machine() {
    let examples = shipped();
    assert!(examples.len() >= 3, "{examples:?}");
    for path in examples {
        let outcome = told(&["config", "check", "--no-files", &path]).await;
        let ok = format!("{path}: ok\n");
        assert_eq!(
            (outcome.code, outcome.stdout),
            (Some(0), ok),
            "{}",
            outcome.stderr
        );
        // Their files are nowhere near.
        let outcome = told(&["config", "check", &path]).await;
        assert_eq!(outcome.code, Some(1), "{path}");
    }
}

#[tokio::test]
async fn the_schema_is_json_and_knows_every_table() {
    let outcome = told(&["config", "schema"]).await;
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
    let schema: Value = serde_json::from_str(&outcome.stdout).unwrap();
    for table in [
        "listener",
        "admin",
        "vault",
        "issuer",
        "assignments",
        "audit",
        "limits",
    ] {
        assert!(schema["properties"][table].is_object(), "{table}");
    }
    assert_eq!(schema["additionalProperties"], false);
}

#[tokio::test]
async fn help_and_version_are_answers() {
    let outcome = told(&["--version"]).await;
    let version = concat!("portcullis ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((outcome.code, &*outcome.stdout), (Some(0), version));
    for (arguments, texts) in [
        (
            &["--help"][..],
            &["run", "config", "dev", "Azure Key Vault"][..],
        ),
        (&["run", "--help"], &["--config"]),
        (&["config", "check", "--help"], &["--no-files", "<FILE>"]),
        (&["dev", "--help"], &["token", "--port", "--directory"]),
        (&["dev", "token", "--help"], &["--as", "secrets-user"]),
    ] {
        let outcome = told(arguments).await;
        assert_eq!(
            (outcome.code, &*outcome.stderr),
            (Some(0), ""),
            "{arguments:?}"
        );
        for text in texts {
            assert!(
                outcome.stdout.contains(text),
                "{arguments:?}: {}",
                outcome.stdout
            );
        }
    }
}

#[tokio::test]
async fn wrong_arguments_are_exit_code_2() {
    for arguments in [
        &[][..],
        &["serve"],
        &["run"],
        &["dev", "--port", "70000"],
        &["dev", "token"],
    ] {
        let outcome = told(arguments).await;
        assert_eq!(
            (outcome.code, &*outcome.stdout),
            (Some(2), ""),
            "{arguments:?}"
        );
        assert!(
            outcome.stderr.contains("--help"),
            "{arguments:?}: {}",
            outcome.stderr
        );
    }
}
