//! Settings that cannot be meant, and the challenge.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis::authn::{Authenticator, NoEvents, SetupError, challenge};
use portcullis::config::{Issuer, KeySource};

use crate::support::tokens::{ALPHA, HandClock, OTHER_TENANT, TENANT, issuer, jwks, v1_issuer};

fn sample() -> Issuer {
    issuer(KeySource::JwksFile(PathBuf::from("keys.json")), None)
}

fn set_up(issuers: &[Issuer]) -> Result<Authenticator, SetupError> {
    Authenticator::new(issuers, HandClock::new(), Arc::new(NoEvents))
}

fn with(adjust: impl FnOnce(&mut Issuer)) -> Result<Authenticator, SetupError> {
    let mut issuer = sample();
    adjust(&mut issuer);
    set_up(&[issuer])
}

#[test]
fn settings_that_would_weaken_a_check_are_refused() {
    let refused = [
        with(|i| i.clock_skew = Duration::from_secs(301)),
        with(|i| i.issuers.push(v1_issuer(OTHER_TENANT).into())),
        with(|i| i.keys = KeySource::JwksUrl("http://127.0.0.1/keys".into())),
        with(|i| i.keys = KeySource::JwksUrl("https://user@127.0.0.1/keys".into())),
        with(|i| i.keys = KeySource::Discovery("file:///dev/null".into())),
        with(|i| i.keys = KeySource::Discovery("keys".into())),
        with(|i| i.ca_file = Some(PathBuf::from("no-such-file.pem"))),
        with(|i| i.challenge_authority = "https://login.example/t\"".into()),
        set_up(&[sample(), sample()]),
    ];
    for result in refused {
        assert!(result.is_err());
    }
    assert!(set_up(&[sample()]).is_ok());
}

#[test]
fn a_ca_file_without_a_certificate_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, jwks(&[&ALPHA])).unwrap();
    let error = with(|i| i.ca_file = Some(file)).unwrap_err().to_string();
    assert!(error.contains("`main`") && error.contains("PEM"), "{error}");
}

#[test]
fn the_challenge_has_the_one_form_that_every_sdk_reads() {
    let expected = format!(
        "Bearer authorization=\"https://login.contoso.example/{TENANT}\", \
         resource=\"https://vault.contoso.example\""
    );
    assert_eq!(challenge(&sample()).unwrap(), *expected);
    let authenticator = set_up(&[sample()]).unwrap();
    assert_eq!(authenticator.challenge("main").unwrap(), expected.as_str());
    assert!(authenticator.challenge("other").is_none());
}

#[test]
fn a_challenge_that_some_sdk_would_misread_is_refused() {
    for text in [
        "",
        "https://",
        "http://login.example/t",
        "https://login.example/t/",
        "https://login.example/t?a=b",
        "https://login.example/a,b",
        "https://login.example/a b",
        "https://login.example/a\"",
        "https://login.example/a\r\nx: y",
        "https://login.example/\u{e4}",
    ] {
        let mut issuer = sample();
        issuer.challenge_authority = text.into();
        assert!(challenge(&issuer).is_err(), "{text:?}");
        let mut issuer = sample();
        issuer.challenge_resource = text.into();
        assert!(challenge(&issuer).is_err(), "{text:?}");
    }
}
