//! nginx, which checks nothing: it forwards over kept connections and writes no log.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use super::Surroundings;
use crate::Failure;
use crate::process::{Process, Stream, find, free_port};

pub(super) fn start(around: &Surroundings) -> Result<Option<(Process, SocketAddr)>, Failure> {
    let Some(program) = find("nginx") else {
        return Ok(None);
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let config = around.site.path("nginx.conf");
    fs::write(&config, configuration(around, address))?;
    let mut command = around.command(&program);
    command
        .args(["-e", "stderr", "-p"])
        .arg(around.site.path(""));
    command.arg("-c").arg(config);
    let mut process = Process::start(command, Stream::Error)?;
    process.listens(address)?;
    Ok(Some((process, address)))
}

fn configuration(around: &Surroundings, address: SocketAddr) -> String {
    let (vault, workers) = (around.vault_address, around.workers);
    let host = &around.site.vault.host;
    format!(
        "daemon off;
worker_processes {workers};
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path nginx-body;
    proxy_temp_path nginx-proxy;
    fastcgi_temp_path nginx-fastcgi;
    uwsgi_temp_path nginx-uwsgi;
    scgi_temp_path nginx-scgi;
    keepalive_timeout 90s;
    keepalive_requests 100000000;
    large_client_header_buffers 4 32k;
    upstream vault {{
        server {vault};
        keepalive 32;
        keepalive_requests 100000000;
        keepalive_time 24h;
    }}
    server {{
        listen {address} ssl http2;
        ssl_certificate server.crt;
        ssl_certificate_key server.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:clients:1m;
        location / {{
            proxy_pass https://vault;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host {host};
            proxy_ssl_name {host};
            proxy_ssl_server_name on;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate ca.pem;
            proxy_ssl_protocols TLSv1.2 TLSv1.3;
        }}
    }}
}}
"
    )
}
