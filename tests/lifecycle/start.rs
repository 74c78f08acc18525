//! Starts that fail: exit code 1, the cause by name, and nothing half begun.

use std::fs;
use std::net::TcpListener;

use crate::process::{Outcome, outcome, run};
use crate::surroundings::Surroundings;

/// Runs a configuration that cannot be served.
async fn refused(world: &Surroundings, toml: &str) -> String {
    let Outcome {
        code,
        stdout,
        stderr,
    } = outcome(run(&world.write(toml))).await;
    assert_eq!((code, &*stdout), (Some(1), ""), "{stderr}");
    // Whatever the reason, nobody was served before it was found.
    assert!(!stderr.contains("\"serving\""), "{stderr}");
    stderr
}

/// The line of `toml`, from 1, that begins with `text`.
fn line(toml: &str, text: &str) -> usize {
    let found = toml.lines().position(|line| line.starts_with(text));
    found.unwrap() + 1
}

#[tokio::test]
async fn every_problem_of_a_configuration_is_told_with_its_line_and_nothing_is_begun() {
    let world = Surroundings::start().await;
    let toml = world
        .toml("[audit]\nsink = \"file\"\npath = \"records.jsonl\"\n\n[limits]\nmax_body_byte = 5\n")
        .replace("proxy.crt", "absent.crt")
        .replace("max_staleness_seconds = 3600", "max_staleness_seconds = 0")
        .replace(
            "[admin]\naddress = \"127.0.0.1:0\"",
            "[admin]\naddress = \"localhost\"",
        );
    let stderr = refused(&world, &toml).await;
    let file = world.path("portcullis.toml");
    let admin = line(&toml, "address = \"localhost\"");
    for (line, key) in [
        (
            line(&toml, "certificate_file"),
            "listener.main.certificate_file",
        ),
        (admin, "admin.address"),
        (
            line(&toml, "max_staleness_seconds"),
            "assignments.max_staleness_seconds",
        ),
        (line(&toml, "max_body_byte"), "limits.max_body_byte"),
    ] {
        let problem = format!("{}:{line}: {key}: ", file.display());
        assert!(stderr.contains(&problem), "{problem}\n{stderr}");
    }
    assert!(stderr.contains("`max_body_bytes`"), "{stderr}");
    assert_eq!(stderr.lines().count(), 4, "{stderr}");
    assert!(!world.path("records.jsonl").exists());
}

#[tokio::test]
async fn a_configuration_that_is_not_there_is_named() {
    let world = Surroundings::start().await;
    let path = world.path("absent.toml");
    let outcome = outcome(run(&path)).await;
    assert_eq!(outcome.code, Some(1));
    let file = path.display().to_string();
    assert!(outcome.stderr.contains(&file), "{}", outcome.stderr);
}

#[tokio::test]
async fn a_variable_that_names_no_setting_is_told() {
    let world = Surroundings::start().await;
    let mut command = run(&world.write(&world.toml("")));
    command.env("PORTCULLIS_LIMITS__MAX_BODY_BYTE", "5");
    let outcome = outcome(command).await;
    assert_eq!(outcome.code, Some(1));
    for text in [
        "environment variable PORTCULLIS_LIMITS__MAX_BODY_BYTE",
        "`PORTCULLIS_LIMITS__MAX_BODY_BYTES`",
    ] {
        assert!(outcome.stderr.contains(text), "{}", outcome.stderr);
    }
}

#[tokio::test]
async fn a_certificate_or_key_that_cannot_be_used_is_named() {
    let world = Surroundings::start().await;
    let files = world.pki.leaf(&[]).unwrap();
    files.write(world.directory.path(), "other").unwrap();
    fs::write(world.path("empty.crt"), "no certificate here\n").unwrap();
    fs::create_dir(world.path("folder.crt")).unwrap();
    for (from, to) in [
        ("proxy.crt", "empty.crt"),
        ("proxy.crt", "folder.crt"),
        ("proxy.crt", "proxy.key"),
        ("proxy.key", "absent.key"),
        ("proxy.key", "empty.crt"),
        // A key, but not the certificate's.
        ("proxy.key", "other.key"),
    ] {
        let stderr = refused(&world, &world.toml("").replace(from, to)).await;
        let path = world.path(to).display().to_string();
        assert!(stderr.contains(&path), "{from} -> {to}: {stderr}");
        assert!(stderr.contains("main"), "{from} -> {to}: {stderr}");
    }
    let unreadable = world.toml("").replace("ca.pem", "empty.crt");
    let stderr = refused(&world, &unreadable).await;
    let path = world.path("empty.crt").display().to_string();
    assert!(stderr.contains(&path), "{stderr}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let world = Surroundings::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let admin = "[admin]\naddress = \"127.0.0.1:0\"";
    let listener = "name = \"main\"\naddress = \"127.0.0.1:0\"";
    for (place, name) in [(admin, "administration"), (listener, "listener `main`")] {
        let toml = world.toml("");
        assert!(toml.contains(place));
        let toml = toml.replace(place, &place.replace("127.0.0.1:0", &address));
        let stderr = refused(&world, &toml).await;
        assert!(stderr.contains(&address), "{stderr}");
        assert!(stderr.contains(name), "{stderr}");
    }
}
