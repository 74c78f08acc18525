//! Envoy with its filters for tokens and roles: one role, bound to one caller and a prefix of names,
//! which is as little as can be decided.
//!
//! The program is `envoy`, or what `ENVOY_BIN` names. Its cache of tokens is off by default.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::Surroundings;
use crate::Failure;
use crate::issuer::{AUDIENCE, ISSUER};
use crate::process::{Process, Stream, find, free_port};

/// As many tokens as Portcullis remembers.
const CACHED_TOKENS: u32 = 10_000;

pub(super) fn start(
    around: &Surroundings,
    cache: bool,
) -> Result<Option<(Process, SocketAddr)>, Failure> {
    let named = std::env::var_os("ENVOY_BIN").map(PathBuf::from);
    let Some(program) = named.or_else(|| find("envoy")) else {
        return Ok(None);
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let config = around.site.path(if cache {
        "envoy-cache.json"
    } else {
        "envoy.json"
    });
    let text = json!({ "static_resources": {
        "listeners": [listener(around, address, cache)],
        "clusters": [cluster(around)],
    }});
    fs::write(&config, text.to_string())?;
    let mut command = around.command(&program);
    command.arg("-c").arg(config);
    command.args(["--disable-hot-restart", "--log-level", "error"]);
    command.args(["--concurrency", &around.workers.to_string()]);
    let mut process = Process::start(command, Stream::Error)?;
    process.listens(address)?;
    Ok(Some((process, address)))
}

fn typed(name: &str, mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        let name = format!("type.googleapis.com/envoy.extensions.{name}");
        fields.insert("@type".to_owned(), name.into());
    }
    value
}

fn listener(around: &Surroundings, address: SocketAddr, cache: bool) -> Value {
    let file = |name: &str| json!({ "filename": around.site.path(name) });
    let tls = json!({ "common_tls_context": {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificates": [{
            "certificate_chain": file("server.crt"),
            "private_key": file("server.key"),
        }],
    }});
    let route = json!({
        "name": "vault",
        "virtual_hosts": [{
            "name": "vault",
            "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "vault" } }],
        }],
    });
    let manager = json!({
        "stat_prefix": "clients",
        "route_config": route,
        "http_filters": [
            { "name": "jwt", "typed_config": tokens(around, cache) },
            { "name": "rbac", "typed_config": roles(around) },
            { "name": "router", "typed_config": typed("filters.http.router.v3.Router", json!({})) },
        ],
    });
    let manager = typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        manager,
    );
    json!({
        "address": socket(address),
        "filter_chains": [{
            "transport_socket": {
                "name": "tls",
                "typed_config":
                    typed("transport_sockets.tls.v3.DownstreamTlsContext", tls),
            },
            "filters": [{ "name": "http", "typed_config": manager }],
        }],
    })
}

fn tokens(around: &Surroundings, cache: bool) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "forward": true,
        "local_jwks": { "filename": around.site.path("jwks.json") },
        "payload_in_metadata": "token",
    });
    if let (true, Some(fields)) = (cache, provider.as_object_mut()) {
        let size = json!({ "jwt_cache_size": CACHED_TOKENS });
        fields.insert("jwt_cache_config".to_owned(), size);
    }
    let rule = json!({ "match": { "prefix": "/" }, "requires": { "provider_name": "bench" } });
    typed(
        "filters.http.jwt_authn.v3.JwtAuthentication",
        json!({ "providers": { "bench": provider }, "rules": [rule] }),
    )
}

fn roles(around: &Surroundings) -> Value {
    let caller = json!({ "metadata": {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{ "key": "token" }, { "key": "oid" }],
        "value": { "string_match": { "exact": around.site.reader() } },
    }});
    let names = json!({ "url_path": { "path": { "prefix": "/secrets/payments-" } } });
    let policy = json!({ "permissions": [names], "principals": [caller] });
    typed(
        "filters.http.rbac.v3.RBAC",
        json!({ "rules": { "action": "ALLOW", "policies": { "reader": policy } } }),
    )
}

fn cluster(around: &Surroundings) -> Value {
    let tls = json!({
        "sni": &around.site.vault.host,
        "common_tls_context": {
            "alpn_protocols": ["http/1.1"],
            "validation_context": {
                "trusted_ca": { "filename": around.site.path("ca.pem") },
                "match_typed_subject_alt_names": [
                    { "san_type": "DNS", "matcher": { "exact": &around.site.vault.host } },
                ],
            },
        },
    });
    let endpoint = json!({ "endpoint": { "address": socket(around.vault_address) } });
    json!({
        "name": "vault",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": "vault",
            "endpoints": [{ "lb_endpoints": [endpoint] }],
        },
        "transport_socket": {
            "name": "tls",
            "typed_config": typed("transport_sockets.tls.v3.UpstreamTlsContext", tls),
        },
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": {
        "address": address.ip().to_string(),
        "port_value": address.port(),
    }})
}
