//! `HAProxy`, which can check a token's signature and claims, and nothing beyond.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use super::Surroundings;
use crate::Failure;
use crate::issuer::{AUDIENCE, ISSUER};
use crate::process::{Process, Stream, find, free_port};

pub(super) fn start(around: &Surroundings) -> Result<Option<(Process, SocketAddr)>, Failure> {
    let Some(program) = find("haproxy") else {
        return Ok(None);
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let config = around.site.path("haproxy.cfg");
    fs::write(&config, configuration(around, address))?;
    let mut command = around.command(&program);
    command.args(["-db", "-f"]).arg(config);
    let mut process = Process::start(command, Stream::Error)?;
    process.listens(address)?;
    Ok(Some((process, address)))
}

fn configuration(around: &Surroundings, address: SocketAddr) -> String {
    let (vault, workers) = (around.vault_address, around.workers);
    let host = &around.site.vault.host;
    let file = |name: &str| around.site.path(name).display().to_string();
    let (server, issuer, ca) = (file("server.pem"), file("issuer.pem"), file("ca.pem"));
    format!(
        "global
    maxconn 4096
    nbthread {workers}
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    timeout connect 5s
    timeout client 90s
    timeout server 60s
    timeout http-keep-alive 90s
frontend clients
    bind {address} ssl crt {server} alpn h2,http/1.1
    http-request set-var(txn.token) http_auth_bearer
    http-request deny deny_status 401 unless {{ var(txn.token) -m found }}
    http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
    http-request set-var(txn.iss) var(txn.token),jwt_payload_query('$.iss')
    http-request set-var(txn.aud) var(txn.token),jwt_payload_query('$.aud')
    http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}
    http-request deny deny_status 401 unless {{ var(txn.iss) -m str {ISSUER} }}
    http-request deny deny_status 401 unless {{ var(txn.aud) -m str {AUDIENCE} }}
    http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
    http-request deny deny_status 401 unless {{ var(txn.token),jwt_verify(txn.alg,\"{issuer}\") 1 }}
    default_backend vault
backend vault
    http-reuse always
    http-request set-header host {host}
    server vault {vault} ssl verify required ca-file {ca} sni str({host}) verifyhost {host} alpn http/1.1
"
    )
}
