//! What is refused, and how it is told.

use std::fs;

use portcullis::config::{Config, Place};

use super::{LEAST, errors, least_with, parse, parse_with};

/// Each case: a text of [`LEAST`] after `-`, what is in its place after `+`, and the errors.
#[track_caller]
fn assert_refused(cases: &str) {
    let mut count = 0;
    for case in cases.trim().split("\n\n") {
        let marked = |mark: &str| -> Vec<&str> {
            case.lines()
                .filter_map(|line| line.strip_prefix(mark))
                .collect()
        };
        let text = least_with(&marked("- ").join("\n"), &marked("+ ").join("\n"));
        let expected: Vec<String> = marked("= ")
            .iter()
            .map(|line| format!("/etc/portcullis/portcullis.toml:{line}"))
            .collect();
        assert_eq!(errors(&text).to_string(), expected.join("\n"), "{case}");
        count += expected.len();
    }
    assert!(count > 5);
}

#[test]
fn wrong_shapes_are_told_with_line_key_and_expected_form() {
    assert_refused(include_str!("refused-shapes.txt"));
}

#[test]
fn wrong_values_are_told_with_line_key_and_expected_form() {
    assert_refused(include_str!("refused-values.txt"));
}

#[test]
fn settings_that_do_not_fit_together_are_told_with_line_and_key() {
    assert_refused(include_str!("refused-together.txt"));
}

#[track_caller]
fn assert_value_refused(old: &str, key: &str, value: &str) {
    let error = errors(&least_with(old, &format!("{key} = '{value}'"))).to_string();
    let expected = format!("issuer.tenant.{key}: cannot use `{value}`; expected ");
    assert!(error.contains(&expected), "{error}");
}

#[test]
fn a_challenge_that_an_sdk_would_misread_is_refused() {
    let host = "https://login.microsoftonline.com";
    let tenant = "6a7b8c9d-0e1f-4a2b-9c3d-4e5f6a7b8c9d";
    let line = format!("challenge_authority = \"{host}/{tenant}\"");
    for path in [
        "".to_owned(),
        "/".to_owned(),
        "/a=b".to_owned(),
        "/\"a\"".to_owned(),
        "/0a7b8c9d-0e1f-4a2b-9c3d-4e5f6a7b8c9d".to_owned(),
        format!("//{tenant}"),
        format!("/{tenant}/"),
        format!("/{tenant}/oauth2"),
        format!("/{tenant}?a"),
        format!("/{tenant}#a"),
        format!("/{tenant},a"),
        format!("/{tenant} "),
        format!(":0/{tenant}"),
    ] {
        assert_value_refused(&line, "challenge_authority", &format!("{host}{path}"));
    }
    for before in ["", "http://host/", "//host/", "https://", "https://a@host/"] {
        assert_value_refused(&line, "challenge_authority", &format!("{before}{tenant}"));
    }
    for fine in [
        format!("{host}/contoso.example"),
        format!("https://127.0.0.1:9/{tenant}"),
    ] {
        let text = least_with(&line, &format!("challenge_authority = \"{fine}\""));
        assert!(parse(&text).is_ok(), "{fine}");
    }
}

#[test]
fn urls_that_are_not_plain_https_are_refused() {
    let line = "challenge_resource = \"https://vault.azure.net\"";
    for value in [
        "",
        "vault.azure.net",
        "http://vault.azure.net",
        "https://vault.azure.net/",
        "https://vault=azure",
        "https://vault,azure",
    ] {
        assert_value_refused(line, "challenge_resource", value);
    }
    for value in [
        "",
        "keys.json",
        "http://x.example/",
        "https://",
        "https://a b/",
        "https://user:word@x.example/",
        "https://x.example/#a",
    ] {
        let line = "jwks_file = \"keys.json\"";
        assert_value_refused(line, "jwks_url", value);
        assert_value_refused(line, "discovery_url", value);
    }
}

/// The error of [`LEAST`] with a second vault in which `key` has another value.
fn second_vault(key: &str, value: &str) -> Option<String> {
    let names = "issuer = \"tenant\"\npublic_names = [\"keys.contoso.example:0\", \"b:9\"]";
    let text = least_with("issuer = \"tenant\"", names);
    let line = LEAST.lines().find(|line| line.starts_with("resource_id"));
    let second = [
        ("name", "\"kv-b\"".to_owned()),
        ("authority", "\"kv-b.vault.azure.net\"".to_owned()),
        ("public_names", "[\"b:8\"]".to_owned()),
        ("issuer", "\"tenant\"".to_owned()),
    ];
    let mut vault = format!("[[vault]]\n{}\n", line?.replace("KV-A", "kv-b"));
    for (name, own) in second {
        let value = if name == key { value } else { &own };
        vault.push_str(&format!("{name} = {value}\n"));
    }
    parse(&format!("{text}{vault}"))
        .err()
        .map(|error| error.to_string())
}

#[test]
fn vaults_share_neither_names_nor_hosts() {
    assert_eq!(second_vault("", ""), None);
    for (key, value, first) in [
        ("name", "\"KV-a\"", "vault.kv-a.name` (line 8)"),
        (
            "authority",
            "\"KV-A.vault.azure.net.\"",
            "vault.kv-a.authority` (line 10)",
        ),
        (
            "authority",
            "\"keys.contoso.example:8443\"",
            "vault.kv-a.public_names[0]` (line 12)",
        ),
        (
            "public_names",
            "[\"x\", \"b:0\"]",
            "vault.kv-a.public_names[1]` (line 12)",
        ),
    ] {
        let error = second_vault(key, value).unwrap();
        assert!(error.contains(&format!("taken by `{first}")), "{error}");
    }
}

#[test]
fn grammar_errors_have_line_and_column_and_show_nothing_of_the_file() {
    let text = least_with("\"server.key\"", "-----BEGIN PRIVATE KEY-----MIGHAgEA");
    let text = text.replace("name = \"tenant\"", "name = \"tenant\"\nname = 1");
    let error = errors(&text).to_string();
    assert!(error.contains(".toml:5:20: not TOML: "), "{error}");
    assert!(error.contains(".toml:15:1: not TOML: "), "{error}");
    assert!(!error.contains("MIGHAgEA"), "{error}");
}

#[test]
fn a_key_pasted_in_place_of_its_file_is_not_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.toml");
    let pem = "'''-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----'''";
    fs::write(&path, least_with("\"server.key\"", pem)).unwrap();
    let error = Config::load(&path, []).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("MIGHAgEA"));
    let expected = ":5: listener.main.private_key_file: cannot use a text of ";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text = r#"
lissener = 1
[[listener]]
name = "main"
address = "nowhere"
certificate_file = 7
[[vault]]
name = "kv-a"
authority = "a b"
issuer = "unknown"
[[issuer]]
name = "tenant"
tenant_id = 5
jwks_url = "http://x.example"
refresh_interval_seconds = 0
[assignments]
max_staleness_seconds = 5
[audit]
sink = "disk"
path = "x"
"#;
    let error = parse_with(text, &[("PORTCULLIS_LOGS__FORMAT", "json")]).unwrap_err();
    let found = error.problems().iter();
    let found: Vec<(Place, &str)> = found.map(|p| (p.place.clone(), p.key.as_str())).collect();
    let expected = [
        (2, "lissener"),
        (3, "listener.main.private_key_file"),
        (5, "listener.main.address"),
        (6, "listener.main.certificate_file"),
        (7, "vault.kv-a.resource_id"),
        (9, "vault.kv-a.authority"),
        (10, "vault.kv-a.issuer"),
        (11, "issuer.tenant.audiences"),
        (11, "issuer.tenant.challenge_authority"),
        (11, "issuer.tenant.challenge_resource"),
        (11, "issuer.tenant.issuers"),
        (13, "issuer.tenant.tenant_id"),
        (14, "issuer.tenant.jwks_url"),
        (15, "issuer.tenant.refresh_interval_seconds"),
        (16, "assignments.paths"),
        (17, "assignments.max_staleness_seconds"),
        (19, "audit.sink"),
    ];
    let variable = Place::Variable("PORTCULLIS_LOGS__FORMAT".to_owned());
    let lines = expected.map(|(line, key)| (Place::Line(line), key));
    let expected: Vec<(Place, &str)> = lines.into_iter().chain([(variable, "")]).collect();
    assert_eq!(found, expected, "{error}");
}
