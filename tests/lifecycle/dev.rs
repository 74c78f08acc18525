//! `portcullis dev`: everything on one machine, and tokens for its people.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use portcullis::dev::people::PEOPLE;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::ask::{soon, until};
use crate::process::{Process, command, outcome};
use crate::surroundings::{Client, client_with};

/// `portcullis dev` with its things in `directory`, on ports of the system's choice.
fn dev(directory: &Path) -> Command {
    let place = directory.to_str().unwrap();
    let mut arguments = vec!["dev", "--directory", place];
    for port in ["--port", "--issuer-port", "--vault-port", "--admin-port"] {
        arguments.extend([port, "0"]);
    }
    command(&arguments)
}

fn token(directory: &Path, name: &str) -> Command {
    let place = directory.to_str().unwrap();
    command(&["dev", "token", "--as", name, "--directory", place])
}

/// A client that trusts the CA that `dev` wrote.
fn client(directory: &Path, port: u16) -> Client {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(directory.join("ca.pem")).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client_with(tls, ([127, 0, 0, 1], port).into())
}

/// The port in `Portcullis is at https://localhost:8443, in front …`.
fn port(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("Portcullis is at https://localhost:")?;
    rest.split(',').next()?.parse().ok()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_starts_gives_tokens_and_stops_clean() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("dev");
    let mut process = Process::spawn(dev(&directory));
    let port = process.says(port).await;
    // The guide is printed in one piece; this is near its end.
    process
        .says(|line| line.starts_with("Stop:").then_some(()))
        .await;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join("dev.json")), 0o600);

    let client = client(&directory, port);
    for (name, expected) in [
        ("secrets-user", (200, "")),
        ("app-reader", (200, "")),
        ("nobody", (403, "no_assignment")),
    ] {
        let outcome = outcome(token(&directory, name)).await;
        assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
        let answer = client.secret(outcome.stdout.trim_end()).await;
        assert_eq!(answer.verdict(), expected, "{name}");
    }

    process.signal("TERM");
    let outcome = process.end().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.ends_with("stopping\n"), "{outcome:?}");
    assert!(!directory.join("dev.json").exists());
    let records = fs::read_to_string(directory.join("decisions.jsonl")).unwrap();
    assert_eq!(records.lines().count(), 5);
    check_guide(&outcome.stdout, &directory, port);
}

fn check_guide(guide: &str, directory: &Path, port: u16) {
    let ca = directory.join("ca.pem").display().to_string();
    let url = format!("'https://localhost:{port}/secrets/app-db-password?api-version=7.4'");
    assert_eq!(guide.matches("curl --cacert ").count(), 3, "{guide}");
    assert_eq!(guide.matches(&url).count(), 2, "{guide}");
    assert!(guide.contains(&ca), "{guide}");
    for person in PEOPLE {
        assert!(guide.contains(person.name), "{}", person.name);
    }
    for text in [
        "Allowed:",
        "Refused",
        "from azure.keyvault.secrets import SecretClient",
    ] {
        assert!(guide.contains(text), "{text}");
    }
}

#[tokio::test]
async fn nobody_known_is_answered_with_the_names() {
    let home = tempfile::tempdir().unwrap();
    let outcome = outcome(token(home.path(), "nobody-known")).await;
    assert_eq!((outcome.code, &*outcome.stdout), (Some(1), ""));
    assert!(outcome.stderr.contains("`nobody-known`"));
    for person in PEOPLE {
        assert!(outcome.stderr.contains(person.name), "{}", outcome.stderr);
    }
}

#[tokio::test]
async fn a_token_without_a_running_dev_is_explained() {
    let home = tempfile::tempdir().unwrap();
    let ended = outcome(token(home.path(), "reader")).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.contains("`portcullis dev` is not running"));
    let state = home.path().join("dev.json").display().to_string();
    assert!(ended.stderr.contains(&state), "{}", ended.stderr);
    // Nor does it know where to look.
    let nowhere = outcome(command(&["dev", "token", "--as", "reader"])).await;
    assert_eq!(nowhere.code, Some(1));
    assert!(nowhere.stderr.contains("--directory"), "{}", nowhere.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dev_that_was_killed_is_explained_too() {
    let home = tempfile::tempdir().unwrap();
    let mut process = Process::spawn(dev(home.path()));
    process.says(port).await;
    process.signal("KILL");
    assert_eq!(process.end().await.code, None);
    let outcome = outcome(token(home.path(), "reader")).await;
    assert_eq!((outcome.code, &*outcome.stdout), (Some(1), ""));
    let text = "the embedded issuer does not answer";
    assert!(outcome.stderr.contains(text), "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_can_be_stopped_while_it_starts() {
    let home = tempfile::tempdir().unwrap();
    // With this among the role data it would wait for ever.
    fs::create_dir(home.path().join("roles")).unwrap();
    fs::write(home.path().join("roles/broken.json"), "[{").unwrap();
    let process = Process::spawn(dev(home.path()));
    let certificate = home.path().join("proxy.crt");
    until(async || certificate.exists().then_some(())).await;
    process.signal("INT");
    let outcome = process.end().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(!home.path().join("dev.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_stops_clean_when_nobody_reads_what_it_prints() {
    let home = tempfile::tempdir().unwrap();
    let mut dev = dev(home.path());
    let mut child = dev.stdout(Stdio::piped()).spawn().unwrap();
    let reader = BufReader::new(child.stdout.take().unwrap());
    let first = tokio::task::spawn_blocking(move || reader.lines().next().unwrap().unwrap());
    assert!(port(&soon(first).await.unwrap()).is_some());
    // As in `portcullis dev | head -1`.
    let kill = format!("kill -s TERM {}", child.id());
    let killed = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(killed.success());
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap());
    assert_eq!(soon(status).await.unwrap().code(), Some(0));
    assert!(!home.path().join("dev.json").exists());
}
