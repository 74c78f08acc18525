//! The configuration: examples, every class of error, overrides, schema, and that nothing panics.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis::assignments::overlay;
use portcullis::clock::Zone;
use portcullis::config::{
    Address, AuditSink, CertificateSource, Config, ConfigErrors, Connect, Files, KeySource, Limits,
    LogFormat, MetadataQuestions, Network, Place, Process, Sandbox, UnixSocket, VaultProperties,
    schema,
};
use portcullis::keyvault::Authority;
use serde_json::Value;

#[path = "config/environment.rs"]
mod environment;
#[path = "config/refused.rs"]
mod refused;
#[path = "config/robustness.rs"]
mod robustness;

/// The least that is accepted; lines are counted on in tests below.
const LEAST: &str = r#"[[listener]]
name = "main"
address = "127.0.0.1:8443"
certificate_file = "server.crt"
private_key_file = "server.key"

[[vault]]
name = "kv-a"
resource_id = "/subscriptions/0c1d2e3f-4a5b-4c6d-8e7f-9a0b1c2d3e4f/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/KV-A"
authority = "kv-a.vault.azure.net"
issuer = "tenant"

[[issuer]]
name = "tenant"
tenant_id = "6a7b8c9d-0e1f-4a2b-9c3d-4e5f6a7b8c9d"
issuers = ["https://sts.windows.net/6a7b8c9d-0e1f-4a2b-9c3d-4e5f6a7b8c9d/"]
audiences = ["https://vault.azure.net"]
challenge_authority = "https://login.microsoftonline.com/6a7b8c9d-0e1f-4a2b-9c3d-4e5f6a7b8c9d"
challenge_resource = "https://vault.azure.net"
jwks_file = "keys.json"

[assignments]
paths = ["assignments"]
max_staleness_seconds = 600
"#;

fn parse_with(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let path = Path::new("/etc/portcullis/portcullis.toml");
    Config::parse(text, path, environment, Files::NotChecked)
}

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    parse_with(text, &[])
}

/// [`LEAST`] with one text in place of another.
fn least_with(old: &str, new: &str) -> String {
    assert!(LEAST.contains(old), "{old}");
    LEAST.replacen(old, new, 1)
}

fn errors(text: &str) -> ConfigErrors {
    parse(text).expect_err("an error was expected")
}

/// A file and what it says.
type Example = (PathBuf, String);

/// Every file of `config`: overlays, which are named so, and configurations.
fn all_examples() -> (Vec<Example>, Vec<Example>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut examples: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read_to_string(&path).unwrap()))
        .collect();
    examples.sort();
    let is_overlay = |(path, _): &Example| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("overlay.")
    };
    examples.into_iter().partition(is_overlay)
}

fn examples() -> Vec<Example> {
    let (_, examples) = all_examples();
    assert!(examples.len() >= 3);
    examples
}

// Examples and schema.

#[test]
fn every_example_loads() {
    for (path, text) in examples() {
        let config = Config::parse(&text, &path, [], Files::NotChecked);
        assert!(config.is_ok(), "{}", config.unwrap_err());
    }
}

#[test]
fn every_example_of_an_overlay_loads_and_shows_all_it_can_hold() {
    let (overlays, _) = all_examples();
    assert!(!overlays.is_empty());
    for (path, text) in overlays {
        let overlay = overlay::parse(text.as_bytes());
        let overlay = overlay.unwrap_or_else(|errors| panic!("{}: {errors}", path.display()));
        let assignments = &overlay.role_assignments;
        assert!(assignments.iter().any(|one| one.condition.is_some()));
        assert!(!overlay.conditions.is_empty() && !overlay.custom_attributes.is_empty());
    }
}

#[test]
fn every_example_satisfies_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (path, text) in examples() {
        let value: Value = toml::from_str(&text).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|e| e.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
}

/// The keys of the schema as `table.key`, with their own schemas.
fn keys_of_schema() -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::new();
    for (table, node) in schema()["properties"].as_object().unwrap() {
        collect_keys(table, node, &mut keys);
    }
    keys
}

/// The keys of the table `node`; of a table in it, that table's keys.
fn collect_keys(table: &str, node: &Value, keys: &mut BTreeMap<String, Value>) {
    let node = node.get("items").unwrap_or(node);
    for (key, property) in node["properties"].as_object().unwrap() {
        let name = format!("{table}.{key}");
        let inner = property.get("items").unwrap_or(property);
        if inner.get("properties").is_some() {
            collect_keys(&name, property, keys);
        } else {
            keys.insert(name, property.clone());
        }
    }
}

/// The keys of the reference as `table.key`, with the text after `=` and whether it is commented.
fn keys_of_reference() -> BTreeMap<String, (String, bool)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/portcullis.example.toml");
    let mut table = String::new();
    let mut keys = BTreeMap::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).to_owned();
        }
        let text = line.strip_prefix("# ").unwrap_or(line);
        let Some((key, value)) = text.split_once(" = ") else {
            continue;
        };
        if !table.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            let entry = (value.to_owned(), line.starts_with('#'));
            assert!(
                keys.insert(format!("{table}.{key}"), entry).is_none(),
                "{key} twice"
            );
        }
    }
    keys
}

#[test]
fn the_reference_names_every_key_and_no_other() {
    let named: BTreeSet<String> = keys_of_reference().into_keys().collect();
    let known: BTreeSet<String> = keys_of_schema().into_keys().collect();
    assert_eq!(named, known);
}

#[test]
fn the_reference_states_the_defaults_of_the_code() {
    let reference = keys_of_reference();
    for (key, property) in keys_of_schema() {
        let (text, commented) = &reference[&key];
        match property.get("default") {
            Some(default) => {
                assert!(commented, "{key} has a default");
                let stated: toml::Table = format!("value = {text}").parse().unwrap();
                let stated = serde_json::to_value(&stated["value"]).unwrap();
                assert_eq!(&stated, default, "{key}");
            }
            None => assert_eq!(*commented, text.ends_with("   (example)"), "{key}"),
        }
    }
}

#[test]
fn every_key_is_described_and_every_number_has_a_unit_and_limits() {
    for (key, property) in keys_of_schema() {
        assert!(property["description"].is_string(), "{key}");
        assert!(property["type"].is_string(), "{key}");
        if property["type"] == "integer" {
            let units = [
                "_seconds",
                "_threads",
                "_milliseconds",
                "_bytes",
                "_connections",
                "_streams",
                "_answers",
                "_requests",
                "_per_address",
                "_per_caller",
                ".keep",
            ];
            assert!(units.iter().any(|unit| key.ends_with(unit)), "{key}");
            assert!(
                property["minimum"].is_u64() && property["maximum"].is_u64(),
                "{key}"
            );
        }
    }
}

#[test]
fn nothing_that_grants_has_a_default() {
    let schema = schema();
    let required = |pointer: &str| -> Vec<String> {
        serde_json::from_value(schema.pointer(pointer).unwrap()["required"].clone()).unwrap()
    };
    let tables = ["assignments", "issuer", "listener", "vault"];
    assert_eq!(required(""), tables);
    let vault = required("/properties/vault/items");
    assert_eq!(vault, ["authority", "issuer", "name", "resource_id"]);
    let issuer = required("/properties/issuer/items");
    for key in ["tenant_id", "issuers", "audiences"] {
        assert!(issuer.iter().any(|required| required == key), "{key}");
    }
    let assignments = required("/properties/assignments");
    assert_eq!(assignments, ["max_staleness_seconds", "paths"]);
    for key in tables {
        let text = LEAST.replace(&format!("[{key}]"), &format!("[{key}-unused]"));
        assert!(
            errors(&text)
                .to_string()
                .contains(&format!("{key}: missing"))
        );
    }
}

// What is read.

#[test]
fn the_least_configuration_has_the_defaults() {
    let config = parse(LEAST).unwrap();
    let limits = format!("{:?}", Limits::default());
    assert_eq!(format!("{:?}", config.limits), limits);
    assert_eq!(config.metadata, MetadataQuestions::default());
    assert_eq!(config.admin.address, "127.0.0.1:9464".parse().unwrap());
    assert_eq!(config.audit, AuditSink::Stdout);
    assert_eq!(config.log.format, LogFormat::Json);
    assert!(config.extra_query_parameters.is_empty());
    let vault = &config.vaults[0];
    assert_eq!(vault.connect, Connect::Dns([].into()));
    assert!(vault.rewrite_ids && vault.management_groups.is_none());
    let issuer = &config.issuers[0];
    assert_eq!(issuer.clock_skew, Duration::from_secs(60));
    assert_eq!(issuer.refresh_interval, Duration::from_secs(3600));
    assert_eq!(issuer.unknown_kid_cooldown, Duration::from_secs(300));
    assert_eq!(issuer.max_staleness, Duration::from_secs(86400));
    assert_eq!(config.assignments.poll_interval, Duration::from_secs(30));
}

#[test]
fn a_listener_can_be_a_socket_of_this_machine() {
    let text = least_with(
        "address = \"127.0.0.1:8443\"",
        "address = \"unix:run/kv.sock\"\nsocket_mode = \"0660\"\npeer_uids = [0, 4294967295]",
    );
    let config = parse(&text).unwrap();
    let listener = &config.listeners[0];
    let expected = UnixSocket {
        path: "/etc/portcullis/run/kv.sock".into(),
        mode: 0o660,
        uids: [0, u32::MAX].into(),
        gids: [].into(),
    };
    assert_eq!(listener.address, Address::Unix(expected));
    let long = least_with("127.0.0.1:8443", &format!("unix:/{}", "a".repeat(200)));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), long).unwrap();
    let errors = Config::load(file.path(), []).unwrap_err().to_string();
    assert!(errors.contains("expected at most 107 bytes"), "{errors}");
}

#[test]
fn what_conditions_ask_about_is_read() {
    let text = least_with(
        "private_key_file = \"server.key\"",
        "private_key_file = \"server.key\"\nclient_ca_file = \"ca.pem\"\nprivate_endpoint = \
         \"/subscriptions/a/resourceGroups/b/providers/microsoft.network/privateEndpoints/c\"",
    );
    let text = format!(
        r#"{text}
[[network.ranges]]
name = "vpn"
addresses = ["10.1.0.0/16", "2001:db8::/32", "10.2.3.4/32"]
[[network.subnets]]
id = "/subscriptions/a/resourceGroups/b/providers/Microsoft.Network/virtualNetworks/c/subnets/d"
addresses = ["10.20.0.0/24"]
[deployment]
environment = "prod"
time_zone = "Europe/Berlin"
"#
    );
    let properties = "[vault.properties]\nsku = \"premium\"\ntags = { team = \"a\" }\n[[issuer]]";
    let config = parse(&text.replace("[[issuer]]", properties)).unwrap();
    let listener = &config.listeners[0];
    let clients = listener.client_certificates.as_ref().unwrap();
    assert_eq!(clients.ca_file, Path::new("/etc/portcullis/ca.pem"));
    assert!(!clients.required && listener.private_link && listener.private_endpoint.is_some());
    let ranges = config.network.ranges_of("10.2.3.4".parse().unwrap());
    assert_eq!(ranges, ["vpn".into()]);
    let subnet = config.network.subnet_of("10.20.0.9".parse().unwrap());
    assert_eq!(subnet, Some(&config.network.subnets[0].id));
    assert_eq!(config.deployment.environment.as_deref(), Some("prod"));
    assert_eq!(
        config.deployment.zone,
        Zone::named("Europe/Berlin").unwrap()
    );
    let properties = &config.vaults[0].properties;
    assert_eq!(properties.sku.as_deref(), Some("premium"));
    assert_eq!(properties.enable_soft_delete, None);
    assert_eq!(properties.tags.get("team").map(|value| &**value), Some("a"));

    let least = parse(LEAST).unwrap();
    let listener = &least.listeners[0];
    assert!(listener.client_certificates.is_none() && !listener.private_link);
    assert_eq!(least.network, Network::default());
    assert_eq!(least.deployment.zone, Zone::default());
    assert_eq!(least.vaults[0].properties, VaultProperties::default());
}

#[test]
fn what_the_process_gives_up_is_read() {
    let process = |more: &str| parse(&format!("{LEAST}\n{more}")).unwrap().process;
    let (core_dumps, sandbox) = (false, Sandbox::IfAvailable);
    let usual = Process {
        core_dumps,
        sandbox,
    };
    assert_eq!(process(""), usual);
    for (text, sandbox) in [("required", Sandbox::Required), ("off", Sandbox::Off)] {
        let written = format!("[process]\ncore_dumps = true\nsandbox = \"{text}\"\n");
        let core_dumps = true;
        let meant = Process {
            core_dumps,
            sandbox,
        };
        assert_eq!(process(&written), meant);
    }
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let config = parse(&least_with("\"server.key\"", "\"/run/key.pem\"")).unwrap();
    let listener = &config.listeners[0];
    let files = CertificateSource::Files {
        certificate: "/etc/portcullis/server.crt".into(),
        private_key: "/run/key.pem".into(),
    };
    assert_eq!(listener.certificate, files);
    let keys = KeySource::JwksFile("/etc/portcullis/keys.json".into());
    assert_eq!(config.issuers[0].keys, keys);

    let path = Path::new("conf/portcullis.toml");
    let config = Config::parse(LEAST, path, [], Files::NotChecked).unwrap();
    assert_eq!(config.assignments.paths, [Path::new("conf/assignments")]);
}

#[test]
fn a_ca_takes_the_place_of_certificate_files() {
    let files = "certificate_file = \"server.crt\"\nprivate_key_file = \"server.key\"";
    let config = parse(&least_with(files, "ca_directory = \"ca\"")).unwrap();
    let ca = CertificateSource::Ca("/etc/portcullis/ca".into());
    assert_eq!(config.listeners[0].certificate, ca);
}

#[test]
fn dns_servers_are_those_of_every_vault_that_is_looked_up() {
    let text = format!("{LEAST}[dns]\nservers = [\"10.0.0.10:53\", \"[2001:db8::1]:5353\"]\n");
    let servers = ["10.0.0.10:53", "[2001:db8::1]:5353"].map(|text| text.parse().unwrap());
    let asked = |text: &str| parse(text).unwrap().vaults[0].connect.clone();
    assert_eq!(asked(&text), Connect::Dns(servers.into()));
    let pinned = "issuer = \"tenant\"\nconnect_address = \"10.0.0.4:443\"";
    let pinned = asked(&text.replacen("issuer = \"tenant\"", pinned, 1));
    assert_eq!(pinned, Connect::Address("10.0.0.4:443".parse().unwrap()));
}

#[test]
fn the_names_of_vaults_are_all_that_clients_use() {
    let names = "issuer = \"tenant\"\npublic_names = [\"a.example:0\", \"b.example\"]";
    let config = parse(&least_with("issuer = \"tenant\"", names)).unwrap();
    let names: Vec<&str> = config.authorities().map(Authority::host).collect();
    assert_eq!(names, ["kv-a.vault.azure.net", "a.example", "b.example"]);
}

#[test]
fn files_must_exist_unless_they_are_not_checked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.toml");
    fs::write(&path, LEAST).unwrap();
    let error = Config::load(&path, []).unwrap_err();
    let keys: Vec<&str> = error.problems().iter().map(|p| p.key.as_str()).collect();
    let expected = [
        "listener.main.certificate_file",
        "listener.main.private_key_file",
        "issuer.tenant.jwks_file",
        "assignments.paths[0]",
    ];
    assert_eq!(keys, expected, "{error}");
    assert!(Config::load_with(&path, [], Files::NotChecked).is_ok());

    for name in ["server.crt", "keys.json"] {
        fs::write(directory.path().join(name), "").unwrap();
    }
    for name in ["assignments", "server.key"] {
        fs::create_dir(directory.path().join(name)).unwrap();
    }
    let error = Config::load(&path, []).unwrap_err().to_string();
    assert!(
        error.contains(":5: listener.main.private_key_file: cannot use `"),
        "{error}"
    );
    assert!(
        error.ends_with("expected a readable file: this is not a file"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1);

    fs::remove_dir(directory.path().join("assignments")).unwrap();
    let error = Config::load(&path, []).unwrap_err().to_string();
    assert!(
        error.contains("expected a readable file or directory: No such file"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nowhere/portcullis.toml"), []).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("/nowhere/portcullis.toml: cannot read the configuration: "),
        "{text}"
    );
    assert_eq!(error.problems()[0].place, Place::File);
}
