//! The vault's stand-in: HTTP/1.1 over TLS, kept alive, as cheap as can be.
//!
//! Every GET of `/secrets/NAME` is answered with a secret of [`BODY_BYTES`] that names it, so that an
//! answer that went astray is seen. Nobody is asked for a token. `GET /count` tells how many
//! requests and connections there were.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::{Failure, say, tls};

/// The size of a secret's JSON.
const BODY_BYTES: usize = 400;

/// What a vault's answer has beside its length, after the recordings of real ones.
const HEAD: &str = "HTTP/1.1 200 OK\r\ncache-control: no-cache\r\npragma: no-cache\r\n\
    content-type: application/json; charset=utf-8\r\nexpires: -1\r\n\
    x-ms-keyvault-region: westeurope\r\n\
    x-ms-request-id: 5f1b6b0e-0d0f-4a5e-9f0a-2f8f6f0b7c11\r\n\
    x-ms-keyvault-service-version: 1.9.2164.1\r\n\
    x-ms-keyvault-network-info: conn_type=Ipv4;addr=10.0.0.4;act_addr_fam=InterNetwork;\r\n\
    x-content-type-options: nosniff\r\n\
    strict-transport-security: max-age=31536000;includeSubDomains\r\n\
    date: Tue, 01 Sep 2026 08:00:00 GMT\r\n";

/// What follows the path in a secret.
const REST: &str = concat!(
    r#"/0b7d3f1c9a5e4826b1d4c7f2e8a96035","attributes":{"enabled":true,"created":1788220800,"#,
    r#""updated":1788220800,"recoveryLevel":"Recoverable+Purgeable","recoverableDays":90},"#,
    r#""contentType":"text/plain","value":""#,
);

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// What it calls itself
    #[arg(long)]
    host: String,
    /// The certificate chain, PEM
    #[arg(long)]
    certificate: PathBuf,
    /// Its private key, PEM
    #[arg(long)]
    private_key: PathBuf,
}

#[derive(Debug, Default)]
struct Vault {
    /// How every secret's id begins.
    id: String,
    requests: AtomicU64,
    connections: AtomicU64,
}

/// Serves until the process is ended; the first line of standard output is the address.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = tls::server(
        &arguments.certificate,
        &arguments.private_key,
        &[tls::HTTP_1_1],
    )?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        say(&listener.local_addr()?.to_string())?;
        let vault = Arc::new(Vault {
            id: format!(r#"{{"id":"https://{}"#, arguments.host),
            ..Vault::default()
        });
        loop {
            let (stream, _) = listener.accept().await?;
            let acceptor = acceptor.clone();
            let vault = Arc::clone(&vault);
            // A connection that breaks is its client's affair.
            tokio::spawn(async move { serve(stream, &acceptor, &vault).await.is_ok() });
        }
    })
}

async fn serve(stream: TcpStream, acceptor: &TlsAcceptor, vault: &Vault) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let mut stream = acceptor.accept(stream).await?;
    vault.connections.fetch_add(1, Ordering::Relaxed);
    let mut input = Vec::with_capacity(16 * 1024);
    let mut output = Vec::with_capacity(2 * 1024);
    while let Some(end) = head(&mut stream, &mut input).await? {
        let path = input.get(..end).and_then(path).ok_or("not a GET")?;
        output.clear();
        if path == b"/count" {
            let requests = vault.requests.load(Ordering::Relaxed);
            let connections = vault.connections.load(Ordering::Relaxed);
            let body = format!(r#"{{"requests":{requests},"connections":{connections}}}"#);
            render(body.as_bytes(), &mut output);
        } else {
            vault.requests.fetch_add(1, Ordering::Relaxed);
            render(&vault.secret(path), &mut output);
        }
        stream.write_all(&output).await?;
        stream.flush().await?;
        input.drain(..end);
    }
    Ok(())
}

/// Reads until there is a whole head, and says where it ends. No body follows one.
async fn head(
    stream: &mut TlsStream<TcpStream>,
    input: &mut Vec<u8>,
) -> Result<Option<usize>, Failure> {
    loop {
        if let Some(end) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            return Ok(Some(end + 4));
        }
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
}

/// The path of a GET, without its query.
fn path(head: &[u8]) -> Option<&[u8]> {
    let rest = head.strip_prefix(b"GET ")?;
    rest.split(|byte| matches!(byte, b' ' | b'?')).next()
}

impl Vault {
    /// A secret whose id has `path` in it.
    fn secret(&self, path: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(BODY_BYTES);
        body.extend_from_slice(self.id.as_bytes());
        body.extend_from_slice(path);
        body.extend_from_slice(REST.as_bytes());
        body.resize(BODY_BYTES.saturating_sub(2), b'x');
        body.extend_from_slice(br#""}"#);
        body
    }
}

fn render(body: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(HEAD.as_bytes());
    output.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    output.extend_from_slice(body);
}
