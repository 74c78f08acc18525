//! Promise 5 with the real binary and its own logging, told to tell everything: what is secret is
//! in nothing that it writes, shows or answers. What it may do with it in one process is in
//! `tests/canary.rs`.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::dev::people;
use portcullis::dev::vault::Script;
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::ask::soon;
use crate::process::Running;
use crate::surroundings::Surroundings;

/// Every crate on the way is asked by name, in case that were to count for more.
const LOUD: &str = "[log]\nfilter = \"trace,h2=trace,hyper=trace,hyper_util=trace,rustls=trace,\
    tokio_rustls=trace,reqwest=trace,hickory_resolver=trace,notify=trace,portcullis=trace\"\n";

/// A caller who puts canaries wherever he may.
struct Canary<'w> {
    world: &'w Surroundings,
    running: &'w Running,
    token: String,
}

impl Canary<'_> {
    async fn connect(&self, protocol: &[u8], name: &str) -> TlsStream<TcpStream> {
        let mut config = self.world.pki.client_config().unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(self.running.address).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        soon(connector.connect(name, stream)).await.unwrap()
    }

    fn request(
        &self,
        (host, method): (&str, &str),
        path: &str,
        body: &'static str,
    ) -> Request<Full<Bytes>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("https://{host}{path}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .header("cookie", "a=canary-cookie")
            .header("x-canary", "canary-header");
        request.body(Full::from(body)).unwrap()
    }

    /// Over HTTP/2, whose library tells every header to those who listen.
    async fn behaves(&self, host: &str) {
        let stream = TokioIo::new(self.connect(b"h2", "localhost").await);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        let secret = "/secrets/app-db-password?api-version=7.4";
        let body = r#"{"value":"canary-value","tags":{"a":"canary-tag"}}"#;
        let broken = r#"{"value":"canary-value","#;
        for (method, path, body, status) in [
            ("PUT", secret, body, 200),
            ("GET", secret, "", 200),
            ("PUT", secret, broken, 400),
            (
                "GET",
                "/secrets?api-version=7.4&canary-name=canary-query",
                "",
                400,
            ),
            // The vault has not given it out.
            (
                "GET",
                "/secrets?api-version=7.4&$skiptoken=canary-query",
                "",
                400,
            ),
            ("POST", "/canary-path?api-version=7.4", "canary-value", 400),
        ] {
            let answer = soon(sender.send_request(self.request((host, method), path, body)));
            let answer = answer.await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{method} {path}");
            let ours = answer.headers().contains_key("x-portcullis-reason");
            let bytes = soon(answer.into_body().collect()).await.unwrap().to_bytes();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            assert!(!ours || !text.contains("canary"), "{text}");
        }
    }

    /// What is hardly HTTP.
    async fn misbehaves(&self) {
        let head = format!(
            "Host: localhost\r\nAuthorization: Bearer {}\r\n",
            self.token
        );
        for text in [
            format!("GET /secrets/canary-path HTTP/canary-line\r\n{head}\r\n"),
            format!("GET /canary path HTTP/1.1\r\n{head}\r\n"),
            format!("GET / HTTP/1.1\r\n{head}canary-header : a\r\n\r\n"),
            format!("GET / HTTP/1.1\r\n{head}a: b\r\n canary-header\r\n\r\n"),
            format!("GET / HTTP/1.1\r\n{head}a: canary-header\0\r\n\r\n"),
            format!(
                "GET / HTTP/1.1\r\n{head}a: {}\r\n\r\n",
                "canary-header".repeat(9000)
            ),
            format!("PUT / HTTP/1.1\r\n{head}Transfer-Encoding: canary-header\r\n\r\ncanary-value"),
            format!("PUT / HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\ncanary-value\r\n"),
            "canary-value".repeat(1000),
        ] {
            let mut stream = self.connect(b"http/1.1", "localhost").await;
            stream.write_all(text.as_bytes()).await.unwrap();
            // It may be cut while we are still writing.
            let _end = stream.shutdown().await;
            let mut answer = Vec::new();
            let _end = soon(stream.read_to_end(&mut answer)).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(!answer.contains("canary"), "{answer}");
        }
        // Not even TLS.
        let mut stream = TcpStream::connect(self.running.address).await.unwrap();
        stream
            .write_all(b"GET /canary-path HTTP/1.1\r\n\r\n")
            .await
            .unwrap();
        let _end = soon(stream.read_to_end(&mut Vec::new())).await;
    }

    /// Requests that the vault answers with what it was sent, and worse.
    async fn suffers(&self) {
        let order = |script| {
            self.world
                .vault
                .next_response("/secrets/app-db-password", script)
        };
        let error = json!({ "error": { "code": "canary-error", "message": "canary-error",
            "innererror": { "code": "canary-error" } } });
        for (script, status) in [
            (Script::json(http::StatusCode::FORBIDDEN, &error), 403),
            (Script::json(http::StatusCode::BAD_REQUEST, &error), 400),
            (
                Script::genuine().next_link("https://canary-link.example/"),
                502,
            ),
            (Script::disconnected(), 502),
        ] {
            order(script);
            assert_eq!(self.running.client.secret(&self.token).await.status, status);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_secret_is_told_at_no_level() {
    let world = Surroundings::start().await;
    let mut running = Running::start(&world, &world.toml(LOUD)).await;
    let mut claims = world.issuer.claims(people::ADMIN.object_id).unwrap();
    for name in [
        "name",
        "upn",
        "uti",
        "aio",
        "preferred_username",
        "xms_mirid",
    ] {
        claims.insert(name.into(), "canary-claim".into());
    }
    let token = world.issuer.mint(&claims).unwrap().expose().to_owned();
    let canary = Canary {
        world: &world,
        running: &running,
        token: token.clone(),
    };
    // Answers are looked into under one name, and stream through under the vault's own.
    let public = format!("localhost:{}", running.address.port());
    for host in [public, world.vault.authority().to_string()] {
        canary.behaves(&host).await;
    }
    canary.misbehaves().await;
    canary.suffers().await;
    let (_, metrics) = soon(running.administration.page("/metrics")).await.unwrap();
    // It did tell what it could.
    running
        .process
        .logs("a request could not be forwarded")
        .await;
    running.process.signal("TERM");
    let outcome = running.process.end().await;
    assert_eq!(outcome.code, Some(0));
    for text in [&metrics, &outcome.stdout, &outcome.stderr] {
        let found = text.lines().find(|line| line.contains("canary"));
        assert_eq!(found, None);
        for part in token.split('.') {
            assert!(!text.contains(part));
        }
    }
    let h2 = outcome.stderr.lines().filter(|line| line.contains("\"h2"));
    assert_eq!(h2.count(), 0, "other crates tell nothing below `info`");
}
