//! Which vault a request selects.

use crate::attributes::Connection;
use http::Request;

use super::*;
use crate::config::{Connect, Vault, VaultProperties};

fn vault(name: &str, authority: &str, public_names: &[&str]) -> Vault {
    let resource_id = format!(
        "/subscriptions/6b1d2f04-3c7e-4a90-8f52-1e0d9c8b7a61/resourceGroups/rg-contoso\
         /providers/Microsoft.KeyVault/vaults/{name}"
    );
    Vault {
        name: name.parse().unwrap(),
        resource_id: resource_id.parse().unwrap(),
        location: None,
        authority: authority.parse().unwrap(),
        connect: Connect::Dns([].into()),
        ca_file: None,
        public_names: public_names
            .iter()
            .map(|name| name.parse().unwrap())
            .collect(),
        management_groups: None,
        issuer: "contoso".into(),
        rewrite_ids: true,
        properties: VaultProperties::default(),
    }
}

fn table() -> VaultTable {
    VaultTable::new(&[
        vault(
            "contoso",
            "contoso.vault.azure.net",
            &["kv.contoso.test:8443"],
        ),
        vault(
            "fabrikam",
            "fabrikam.vault.azure.net",
            &["localhost:0", "[::1]:0"],
        ),
    ])
    .unwrap()
}

fn peer(sni: Option<&str>) -> Peer {
    Peer {
        local_port: 8443,
        via: None,
        credentials: None,
        sni: sni.map(Into::into),
        connection: Connection {
            listener: "main".into(),
            address: Some([127, 0, 0, 1].into()),
            protocol: "TLSv1.3",
            certificate: None,
            private_link: false,
            private_endpoint: None,
            subnet: None,
            ranges: Vec::new(),
        },
    }
}

/// A request whose target is `uri`, with these `Host` headers.
fn parts(uri: &str, hosts: &[&str], version: http::Version) -> Parts {
    let mut request = Request::builder().uri(uri).version(version);
    for host in hosts {
        request = request.header(HOST, *host);
    }
    request.body(()).unwrap().into_parts().0
}

fn by_host(host: &str) -> Result<Selected, HostError> {
    table().select(
        &peer(None),
        &parts("/secrets", &[host], http::Version::HTTP_11),
    )
}

fn select(uri: &str, hosts: &[&str], version: http::Version) -> Result<usize, HostError> {
    table()
        .select(&peer(None), &parts(uri, hosts, version))
        .map(|selected| selected.vault)
}

#[test]
fn a_vault_is_selected_by_its_own_name_in_any_spelling() {
    for host in [
        "contoso.vault.azure.net",
        "CONTOSO.Vault.Azure.Net",
        "contoso.vault.azure.net.",
        "contoso.vault.azure.net:443",
        "Contoso.vault.azure.net.:443",
    ] {
        let selected = by_host(host).unwrap();
        assert_eq!(selected.vault, 0, "{host}");
        assert!(!selected.foreign_name, "{host}");
    }
}

#[test]
fn a_vault_is_selected_by_a_public_name() {
    let selected = by_host("kv.contoso.test:8443").unwrap();
    assert_eq!((selected.vault, selected.foreign_name), (0, true));
    assert_eq!(selected.public.to_string(), "kv.contoso.test:8443");
}

#[test]
fn port_zero_stands_for_the_listeners_port_only() {
    assert_eq!(by_host("localhost:8443").unwrap().vault, 1);
    assert_eq!(by_host("[::1]:8443").unwrap().vault, 1);
    assert_eq!(by_host("localhost:8444"), Err(HostError::UnknownVault));
    assert_eq!(by_host("localhost:0"), Err(HostError::UnknownVault));
    assert_eq!(by_host("localhost"), Err(HostError::UnknownVault));
}

#[test]
fn no_other_name_selects_anything() {
    for host in [
        "contoso.vault.azure.net.evil.test",
        "evil-contoso.vault.azure.net",
        "x.contoso.vault.azure.net",
        "vault.azure.net",
        "contoso.vault.azure.net:8443",
        "kv.contoso.test",
        "127.0.0.1:8443",
    ] {
        assert_eq!(by_host(host), Err(HostError::UnknownVault), "{host}");
    }
}

#[test]
fn a_malformed_absent_or_repeated_host_is_refused() {
    for host in ["", "a b", "user@contoso.vault.azure.net", "contoso_", "a,b"] {
        assert_eq!(by_host(host), Err(HostError::BadHost), "{host}");
    }
    let own = "contoso.vault.azure.net";
    for version in [http::Version::HTTP_10, http::Version::HTTP_11] {
        assert_eq!(select("/secrets", &[], version), Err(HostError::BadHost));
        assert_eq!(
            select("/secrets", &[own, own], version),
            Err(HostError::BadHost)
        );
    }
}

#[test]
fn an_absolute_form_target_must_agree_with_the_host_header() {
    let http11 = http::Version::HTTP_11;
    let target = "https://contoso.vault.azure.net:443/secrets";
    assert_eq!(select(target, &["contoso.vault.azure.net"], http11), Ok(0));
    for hosts in [&["fabrikam.vault.azure.net"][..], &[]] {
        assert_eq!(select(target, hosts, http11), Err(HostError::BadHost));
    }
    assert_eq!(
        select(
            "http://contoso.vault.azure.net:443/secrets",
            &["contoso.vault.azure.net"],
            http11
        ),
        Err(HostError::BadHost)
    );
}

#[test]
fn an_authority_must_agree_with_a_host_header_beside_it() {
    let http2 = http::Version::HTTP_2;
    let target = "https://contoso.vault.azure.net/secrets";
    assert_eq!(select(target, &[], http2), Ok(0));
    assert_eq!(
        select(target, &["Contoso.vault.azure.net:443"], http2),
        Ok(0)
    );
    assert_eq!(
        select(target, &["fabrikam.vault.azure.net"], http2),
        Err(HostError::BadHost)
    );
    assert_eq!(
        select("https://user@contoso.vault.azure.net/secrets", &[], http2),
        Err(HostError::BadHost)
    );
}

#[test]
fn sni_must_agree_with_the_host() {
    let host = |sni: Option<&str>, host: &str| {
        table()
            .select(&peer(sni), &parts("/", &[host], http::Version::HTTP_11))
            .map(|selected| selected.vault)
    };
    let own = "contoso.vault.azure.net";
    assert_eq!(host(Some(own), own), Ok(0));
    assert_eq!(host(Some("CONTOSO.vault.azure.net"), own), Ok(0));
    assert_eq!(host(Some("localhost"), "localhost:8443"), Ok(1));
    assert_eq!(
        host(Some("fabrikam.vault.azure.net"), own),
        Err(HostError::BadHost)
    );
    assert_eq!(
        host(Some("localhost"), "[::1]:8443"),
        Err(HostError::BadHost)
    );
}

#[test]
fn two_vaults_cannot_share_a_name() {
    let shared = VaultTable::new(&[
        vault("contoso", "contoso.vault.azure.net", &["kv.test"]),
        vault("fabrikam", "fabrikam.vault.azure.net", &["KV.test:443"]),
    ]);
    assert_eq!(
        shared.unwrap_err().to_string(),
        "two vaults have the public name `kv.test`"
    );
}
