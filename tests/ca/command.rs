//! The command: files, modes, texts.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// The files of a CA.
const FILES: [&str; 3] = ["ca.crt", "issuing-ca.crt", "issuing-ca.key"];

/// Runs `portcullis ca` in `directory`, under a umask that takes nothing away.
fn ca(directory: &Path, arguments: &[&str]) -> Output {
    let call = "umask 0; exec \"$0\" ca \"$@\"";
    Command::new("sh")
        .args(["-c", call, env!("CARGO_BIN_EXE_portcullis")])
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

#[track_caller]
fn done(directory: &Path, arguments: &[&str]) -> String {
    let output = ca(directory, arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(directory: &Path, arguments: &[&str]) -> String {
    let output = ca(directory, arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
    stderr
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn contents(directory: &Path) -> Vec<Vec<u8>> {
    FILES
        .map(|file| fs::read(directory.join(file)).unwrap())
        .into()
}

/// A directory with a CA for `kv.vault.azure.net` in `ca`.
fn with_ca() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("ca")).unwrap();
    done(
        directory.path(),
        &["init", "--dir", "ca", "--host", "kv.vault.azure.net"],
    );
    directory
}

#[test]
fn keys_are_their_owners_alone_whatever_the_umask() {
    let directory = with_ca();
    let at = |name: &str| directory.path().join(name);
    assert_eq!(mode(&at("ca/issuing-ca.key")), 0o600);
    assert_eq!(mode(&at("ca/ca.crt")), 0o644);
    let issue = [
        "issue",
        "--dir",
        "ca",
        "--host",
        "kv.vault.azure.net",
        "--out",
        "ca",
    ];
    done(directory.path(), &issue);
    assert_eq!(
        (mode(&at("ca/tls.key")), mode(&at("ca/tls.crt"))),
        (0o600, 0o644)
    );
    // Again, as a timer does; a mode of before does not stay.
    let first = fs::read(at("ca/tls.crt")).unwrap();
    fs::set_permissions(at("ca/tls.key"), fs::Permissions::from_mode(0o644)).unwrap();
    done(directory.path(), &issue);
    assert_ne!(fs::read(at("ca/tls.crt")).unwrap(), first);
    assert_eq!(mode(&at("ca/tls.key")), 0o600);
    assert_eq!(fs::read_dir(at("ca")).unwrap().count(), 5);
}

#[test]
fn a_ca_is_not_overwritten_unless_it_is_wished() {
    let directory = with_ca();
    let ca = directory.path().join("ca");
    let before = contents(&ca);
    let init = ["init", "--dir", "ca", "--host", "other.example"];
    let told = refused(directory.path(), &init);
    assert!(
        told.contains("issuing-ca.key` is there already; `--force`"),
        "{told}"
    );
    assert_eq!(contents(&ca), before);
    // One file is enough to stop.
    fs::remove_file(ca.join("issuing-ca.key")).unwrap();
    let told = refused(directory.path(), &init);
    assert!(told.contains("issuing-ca.crt` is there already"), "{told}");
    assert!(!ca.join("issuing-ca.key").exists());
    let told = done(directory.path(), &[&init[..], &["--force"]].concat());
    assert!(told.contains("other.example"), "{told}");
    let after = contents(&ca);
    assert!(
        before
            .iter()
            .zip(&after)
            .all(|(before, after)| before != after)
    );
}

#[test]
fn a_link_in_the_way_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let (ca, other) = (directory.path().join("ca"), directory.path().join("other"));
    fs::create_dir(&ca).unwrap();
    fs::write(&other, "theirs").unwrap();
    symlink(&other, ca.join("issuing-ca.key")).unwrap();
    let init = ["init", "--dir", "ca", "--host", "kv.vault.azure.net"];
    refused(directory.path(), &init);
    done(directory.path(), &[&init[..], &["--force"]].concat());
    assert_eq!(fs::read_to_string(other).unwrap(), "theirs");
    assert_eq!(mode(&ca.join("issuing-ca.key")), 0o600);
}

#[test]
fn a_directory_or_key_that_everybody_can_reach_is_refused() {
    let directory = with_ca();
    let ca = directory.path().join("ca");
    let issue = [
        "issue",
        "--dir",
        "ca",
        "--host",
        "kv.vault.azure.net",
        "--out",
        ".",
    ];
    for mode in [0o604, 0o602] {
        fs::set_permissions(ca.join("issuing-ca.key"), fs::Permissions::from_mode(mode)).unwrap();
        let told = refused(directory.path(), &issue);
        assert!(told.contains("everybody can read or write"), "{told}");
    }
    // A group, as a mounted Kubernetes secret has.
    fs::set_permissions(ca.join("issuing-ca.key"), fs::Permissions::from_mode(0o440)).unwrap();
    done(directory.path(), &issue);
    fs::set_permissions(&ca, fs::Permissions::from_mode(0o777)).unwrap();
    let init = [
        "init",
        "--force",
        "--dir",
        "ca",
        "--host",
        "kv.vault.azure.net",
    ];
    let told = refused(directory.path(), &init);
    assert!(told.contains("others can replace"), "{told}");
}

#[test]
fn what_is_no_ca_is_refused_by_name() {
    let directory = with_ca();
    let issue = [
        "issue",
        "--dir",
        "ca",
        "--host",
        "kv.vault.azure.net",
        "--out",
        ".",
    ];
    let other = with_ca();
    let at = |name: &str| directory.path().join("ca").join(name);
    fs::copy(other.path().join("ca/issuing-ca.crt"), at("issuing-ca.crt")).unwrap();
    let told = refused(directory.path(), &issue);
    assert!(told.contains("do not belong together"), "{told}");
    // A leaf is no CA.
    done(other.path(), &issue);
    fs::copy(other.path().join("tls.crt"), at("issuing-ca.crt")).unwrap();
    let told = refused(directory.path(), &issue);
    assert!(told.contains("issuing-ca.crt` is not what"), "{told}");
    fs::remove_file(at("issuing-ca.crt")).unwrap();
    let told = refused(directory.path(), &issue);
    assert!(told.contains("cannot read `ca/issuing-ca.crt`"), "{told}");
}

#[test]
fn hosts_come_from_a_configuration_too() {
    let directory = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config/gateway-on-prem.toml");
    let told = done(
        directory.path(),
        &["init", "--dir", "new/ca", "--config", config],
    );
    let toml: toml::Table = fs::read_to_string(config).unwrap().parse().unwrap();
    for vault in toml["vault"].as_array().unwrap() {
        let authority = vault["authority"].as_str().unwrap();
        assert!(told.contains(authority), "{told}");
        let issue = [
            "issue", "--dir", "new/ca", "--host", authority, "--out", ".",
        ];
        done(directory.path(), &issue);
    }
    done(
        directory.path(),
        &["issue", "--dir", "new/ca", "-c", config, "--out", "."],
    );
    let told = refused(
        directory.path(),
        &["issue", "--dir", "new/ca", "--host", "net", "--out", "."],
    );
    assert!(told.contains("cannot vouch for `net`, only for "), "{told}");
    for wrong in [
        &["init"][..],
        &["init", "--host", "a b"],
        &["init", "--host", "a", "--days", "0"],
    ] {
        assert_eq!(
            ca(directory.path(), wrong).status.code(),
            Some(2),
            "{wrong:?}"
        );
    }
}

#[test]
fn what_an_application_needs_can_be_pasted() {
    let directory = with_ca();
    let root = fs::canonicalize(directory.path().join("ca/ca.crt")).unwrap();
    let root = root.to_str().unwrap();
    for (audience, names) in [
        ("python", &["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"][..]),
        ("node", &["NODE_EXTRA_CA_CERTS"]),
        ("dotnet", &["SSL_CERT_FILE"]),
        ("go", &["SSL_CERT_FILE"]),
        ("java", &["JAVA_TOOL_OPTIONS"]),
        ("system", &["update-ca-certificates", "update-ca-trust"]),
    ] {
        let text = done(directory.path(), &["env", "--for", audience, "--dir", "ca"]);
        assert!(text.contains(root), "{text}");
        for name in names {
            assert!(text.contains(name), "{text}");
        }
        let checked = Command::new("sh")
            .args(["-n", "-c", &text])
            .status()
            .unwrap();
        assert!(checked.success(), "{text}");
    }
    let told = refused(
        directory.path(),
        &["env", "--for", "node", "--dir", "elsewhere"],
    );
    assert!(
        told.contains("cannot find the CA `elsewhere/ca.crt`"),
        "{told}"
    );
}

#[test]
fn a_bundle_holds_the_ca_beside_the_public_ones() {
    if rustls_native_certs::load_native_certs().certs.is_empty() {
        return;
    }
    let directory = with_ca();
    let bundle = [
        "env",
        "--for",
        "python",
        "--dir",
        "ca",
        "--bundle",
        "it's all.crt",
    ];
    let text = done(directory.path(), &bundle);
    let print = format!("{text}\ncat \"$REQUESTS_CA_BUNDLE\"");
    let output = Command::new("sh").args(["-c", &print]).output().unwrap();
    let all = String::from_utf8(output.stdout).unwrap();
    let root = fs::read_to_string(directory.path().join("ca/ca.crt")).unwrap();
    assert!(all.ends_with(&root));
    let public = rustls_native_certs::load_native_certs().certs.len();
    assert_eq!(
        all.matches("-----BEGIN CERTIFICATE-----").count(),
        public + 1
    );
    assert_eq!(mode(&directory.path().join("it's all.crt")), 0o644);
}

#[test]
fn a_bundle_takes_the_place_of_nothing_but_a_file() {
    if rustls_native_certs::load_native_certs().certs.is_empty() {
        return;
    }
    let directory = with_ca();
    let at = |name: &str| directory.path().join(name);
    let before = contents(&at("ca"));
    fs::create_dir(at("folder")).unwrap();
    symlink(at("ca/issuing-ca.key"), at("link")).unwrap();
    symlink(directory.path(), at("here")).unwrap();
    fs::hard_link(at("ca/issuing-ca.key"), at("twin")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let env = |bundle| ["env", "--for", "go", "--dir", "ca", "--bundle", bundle];
    for bundle in [
        "folder",
        "link",
        "twin",
        "socket",
        "ca/ca.crt",
        "ca/issuing-ca.crt",
        "here/ca/issuing-ca.key",
    ] {
        let told = refused(directory.path(), &env(bundle));
        assert!(
            told.contains("is not a file to write a bundle to"),
            "{told}"
        );
        assert_eq!(contents(&at("ca")), before, "{bundle}");
    }
    assert!(at("folder").is_dir() && at("link").is_symlink());
    assert!(std::os::unix::net::UnixStream::connect(at("socket")).is_ok());
    drop(socket);
    // Where the key is to be, even while it is not.
    fs::rename(at("ca/issuing-ca.key"), at("away")).unwrap();
    refused(directory.path(), &env("./ca/issuing-ca.key"));
    assert!(!at("ca/issuing-ca.key").exists());
    // Again and again: what is there is a bundle.
    done(directory.path(), &env("bundle.crt"));
    done(directory.path(), &env("bundle.crt"));
    assert!(fs::metadata(at("bundle.crt")).unwrap().is_file());
}

#[test]
fn a_ca_that_others_can_replace_is_not_used() {
    let directory = with_ca();
    let ca = directory.path().join("ca");
    let issue = [
        "issue",
        "--dir",
        "ca",
        "--host",
        "kv.vault.azure.net",
        "--out",
        ".",
    ];
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for mode in [0o777, 0o757, 0o775, 0o2770] {
        allow(&ca, mode);
        let told = refused(directory.path(), &issue);
        assert!(told.contains("others can replace"), "{mode:o}: {told}");
    }
    allow(&ca, 0o755);
    for mode in [0o666, 0o664, 0o646] {
        allow(&ca.join("issuing-ca.crt"), mode);
        let told = refused(directory.path(), &issue);
        assert!(told.contains("others can replace"), "{mode:o}: {told}");
    }
    allow(&ca.join("issuing-ca.crt"), 0o644);
    // In a sticky directory each has their own files.
    allow(&ca, 0o1777);
    done(directory.path(), &issue);
}

#[test]
fn a_volume_of_kubernetes_is_a_directory_of_a_ca() {
    let directory = with_ca();
    let at = |name: &str| directory.path().join(name);
    // A secret as the kubelet lays it out: links, which have every right, in a sticky directory.
    fs::create_dir_all(at("volume/..2026")).unwrap();
    for (file, mode) in FILES.into_iter().zip([0o644, 0o644, 0o440]) {
        let to = at("volume/..2026").join(file);
        fs::copy(at("ca").join(file), &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
        symlink(Path::new("..data").join(file), at("volume").join(file)).unwrap();
    }
    symlink("..2026", at("volume/..data")).unwrap();
    let allow = |name: &str, mode| {
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    allow("volume", 0o3777);
    let issue = [
        "issue",
        "--dir",
        "volume",
        "--host",
        "kv.vault.azure.net",
        "--out",
        ".",
    ];
    done(directory.path(), &issue);
    // The links are safe; what they lead to is not.
    allow("volume/..2026", 0o777);
    let told = refused(directory.path(), &issue);
    assert!(told.contains("others can replace"), "{told}");
    allow("volume/..2026", 0o755);
    allow("volume", 0o777);
    let told = refused(directory.path(), &issue);
    assert!(told.contains("others can replace"), "{told}");
}

#[test]
fn what_else_is_in_the_file_of_a_ca_is_not_handed_on() {
    let directory = with_ca();
    let at = |name: &str| directory.path().join(name);
    let key = fs::read_to_string(at("ca/issuing-ca.key")).unwrap();
    let certificate = fs::read_to_string(at("ca/issuing-ca.crt")).unwrap();
    fs::write(at("ca/issuing-ca.crt"), certificate + &key).unwrap();
    done(
        directory.path(),
        &[
            "issue",
            "--dir",
            "ca",
            "--host",
            "kv.vault.azure.net",
            "--out",
            ".",
        ],
    );
    let chain = fs::read_to_string(at("tls.crt")).unwrap();
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(!chain.contains("PRIVATE KEY"));
}

#[test]
fn half_of_a_new_ca_is_not_taken_for_a_whole_one() {
    let directory = with_ca();
    let root = directory.path().join("ca/ca.crt");
    fs::remove_file(&root).unwrap();
    fs::create_dir(&root).unwrap();
    let host = ["--dir", "ca", "--host", "kv.vault.azure.net"];
    refused(
        directory.path(),
        &[&["init", "--force"][..], &host].concat(),
    );
    let told = refused(
        directory.path(),
        &[&["issue", "--out", "."][..], &host].concat(),
    );
    assert!(told.contains("do not belong together"), "{told}");
}
