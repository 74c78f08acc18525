//! Environment variables that override the file.

use std::fs;
use std::path::Path;

use portcullis::clock::Zone;
use portcullis::config::{AuditSink, Config, Connect, Files, LogFormat};

use super::{LEAST, parse_with};

#[test]
fn variables_win_over_the_file() {
    let text = format!(
        "{LEAST}\n[limits]\nmax_body_bytes = 5\n[[network.ranges]]\nname = \"admin-vpn\"\n\
         addresses = [\"10.1.0.0/16\"]\n"
    );
    let config = parse_with(
        &text,
        &[
            ("PORTCULLIS_LIMITS__MAX_BODY_BYTES", "2_048"),
            ("PORTCULLIS_LOG__FORMAT", "human"),
            ("PORTCULLIS_LOG__FILTER", "\"warn\""),
            ("PORTCULLIS_VAULT__KV_A__CONNECT_ADDRESS", "10.0.0.1:443"),
            ("PORTCULLIS_VAULT__0__LOCATION", "1984"),
            ("PORTCULLIS_VAULT__KV_A__REWRITE_IDS", "false"),
            ("PORTCULLIS_ISSUER__TENANT__AUDIENCES", "['a', 'b']"),
            ("PORTCULLIS_AUDIT__KEEP", "3"),
            ("PORTCULLIS_AUDIT", "{ sink = 'file', path = 'log' }"),
            ("PORTCULLIS_DEPLOYMENT__TIME_ZONE", "Asia/Tokyo"),
            (
                "PORTCULLIS_NETWORK__RANGES__ADMIN_VPN__ADDRESSES",
                "['10.9.0.0/16']",
            ),
            ("PORTCULLIS_VAULT__KV_A__PROPERTIES__TAGS", "{ a = 'b' }"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.limits.max_body_bytes, 2048);
    assert_eq!(config.log.format, LogFormat::Human);
    assert_eq!(&*config.log.filter, "warn");
    let vault = &config.vaults[0];
    let address = "10.0.0.1:443".parse().unwrap();
    assert_eq!(vault.connect, Connect::Address(address));
    assert_eq!(vault.location.as_deref(), Some("1984"));
    assert!(!vault.rewrite_ids);
    assert_eq!(vault.properties.tags, [("a".into(), "b".into())].into());
    let zone = Zone::named("Asia/Tokyo").unwrap();
    assert_eq!(config.deployment.zone, zone);
    let addresses = &config.network.ranges[0].addresses;
    assert_eq!(*addresses, ["10.9.0.0/16".parse().unwrap()]);
    assert_eq!(config.issuers[0].audiences, ["a".into(), "b".into()]);
    let AuditSink::File { path, keep, .. } = &config.audit else {
        panic!("{:?}", config.audit);
    };
    assert_eq!(path.as_path(), Path::new("/etc/portcullis/log"));
    assert_eq!(*keep, 3);
}

#[test]
fn variables_that_name_nothing_are_refused() {
    for (name, hint) in [
        (
            "PORTCULLIS_LIMITS__MAX_BODY_BYTE",
            "did you mean `PORTCULLIS_LIMITS__MAX_BODY_BYTES`?",
        ),
        (
            "PORTCULLIS_LIMIT__MAX_BODY_BYTES",
            "did you mean `PORTCULLIS_LIMITS`?",
        ),
        (
            "PORTCULLIS_",
            "expected `ADMIN`, `ASSIGNMENTS`, `AUDIT`, `DEPLOYMENT`, `DNS`, `ISSUER`, `LIMITS`, `LISTENER`, `LOG`, `METADATA`, `NETWORK`, `PROCESS`, `REQUESTS` or `VAULT` after `PORTCULLIS_`",
        ),
        (
            "PORTCULLIS_VAULT__KV_B__LOCATION",
            "expected `KV_A` after `PORTCULLIS_VAULT__`",
        ),
        (
            "PORTCULLIS_VAULT__1__LOCATION",
            "expected `KV_A` after `PORTCULLIS_VAULT__`",
        ),
        (
            "PORTCULLIS_LOG__FORMAT__X",
            "expected nothing after `PORTCULLIS_LOG__FORMAT`",
        ),
        (
            "PORTCULLIS_ASSIGNMENTS__PATHS__0",
            "expected nothing after `PORTCULLIS_ASSIGNMENTS__PATHS`",
        ),
    ] {
        let error = parse_with(LEAST, &[(name, "1")]).unwrap_err().to_string();
        let expected = format!("environment variable {name}: does not name a setting; {hint}");
        assert_eq!(error, expected);
    }
}

#[test]
fn what_a_variable_says_is_checked_and_reported_with_its_name() {
    for (name, value, expected) in [
        (
            "PORTCULLIS_LIMITS__MAX_CONNECTIONS",
            "many",
            "limits.max_connections: found a string; expected a whole number from 1 to 1000000",
        ),
        (
            "PORTCULLIS_LISTENER__MAIN__ADDRESS",
            "here",
            "listener.main.address: cannot use `here`; expected an IP address and a port such as `127.0.0.1:8443` or `[::]:8443`, or `unix:` and a path",
        ),
    ] {
        let error = parse_with(LEAST, &[(name, value)]).unwrap_err().to_string();
        assert_eq!(error, format!("environment variable {name}: {expected}"));
    }
}

/// The variables for the proxy that a recipe sets: of a unit, or of a compose file.
fn variables(recipe: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(recipe);
    let text = fs::read_to_string(path).unwrap();
    let unit = text.lines().filter_map(|line| {
        let assignment = line.strip_prefix("Environment='")?.strip_suffix('\'')?;
        assignment.split_once('=')
    });
    let compose = text.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(": ")?;
        let quoted = |mark| value.strip_prefix(mark)?.strip_suffix(mark);
        Some((name, quoted('"').or_else(|| quoted('\''))?))
    });
    let ours = unit
        .chain(compose)
        .filter(|(name, _)| name.starts_with("PORTCULLIS_"));
    ours.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_recipes_set_what_there_is_to_set() {
    let sidecar = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sidecar.toml");
    let with = |recipe: &str| {
        let mut variables = variables(recipe);
        assert_eq!(variables.len(), 2, "{variables:?}");
        for (_, value) in &mut variables {
            // What docker compose is to be told.
            if let Some((before, rest)) = value.clone().split_once("${DNS_SERVER") {
                let (_, after) = rest.split_once('}').unwrap();
                *value = format!("{before}10.0.0.10:53{after}");
            }
        }
        Config::load_with(&sidecar, variables, Files::NotChecked).unwrap()
    };
    let dns = Connect::Dns(["10.0.0.10:53".parse().unwrap()].into());
    let host = with("host/portcullis.service");
    assert_eq!(host.vaults[0].connect, dns);
    assert!(host.admin.address.ip().is_loopback());
    let compose = with("compose/compose.yaml");
    assert_eq!(compose.vaults[0].connect, dns);
    assert_eq!(compose.listeners[0].address.to_string(), "0.0.0.0:443");
}
