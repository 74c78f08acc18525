//! Where clients are, from the configuration to the decision record.

use std::fs;
use std::sync::Arc;

use portcullis::dev::people;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::ask::{SECRET, soon};
use crate::surroundings::{Gate, Surroundings, listener};

/// Three listeners, each with its own way to know a client.
async fn gate(world: &Surroundings) -> Gate {
    let main = listener("main") + "proxy_protocol_from = [\"127.0.0.1/32\"]\n";
    let behind = listener("behind") + "forwarded_headers_from = [\"127.0.0.1/32\"]\n";
    let socket = listener("socket").replace("127.0.0.1:0", "unix:kv.sock");
    let toml = world.toml_of(&(main + &behind + &socket), &world.issuer_toml(), "");
    let gate = world.begin(world.config(&toml)).await;
    soon(gate.app.ready()).await;
    gate
}

/// Asks for the secret on a connection that is there; the status.
async fn ask<S>(world: &Surroundings, stream: S, port: u16, more: &str) -> u16
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = Arc::new(world.pki.client_config().unwrap());
    let connecting = TlsConnector::from(config).connect("localhost".try_into().unwrap(), stream);
    let mut stream = soon(connecting).await.unwrap();
    let token = world.token(people::SECRETS_USER);
    let head = format!(
        "GET {SECRET} HTTP/1.1\r\nhost: localhost:{port}\r\nauthorization: Bearer {token}\r\n\
         connection: close\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Who each decision was for, without what every connection has.
fn clients(world: &Surroundings) -> Vec<Value> {
    let records = fs::read_to_string(world.path("decisions.jsonl")).unwrap();
    let records = records
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let decided = records.filter(|record| record["type"] == "decision");
    let client = |mut record: Value| {
        let client = record["client"].as_object_mut().unwrap();
        for key in ["tls", "sni", "cert_sha256", "ua", "request_id"] {
            client.remove(key).unwrap();
        }
        record["client"].take()
    };
    decided.map(client).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_tell_who_the_client_is_and_who_said_so() {
    let world = Surroundings::start().await;
    let gate = gate(&world).await;
    let connect = async |name| {
        let address = gate.app.address(name).unwrap();
        (TcpStream::connect(address).await.unwrap(), address.port())
    };
    let (mut stream, port) = connect("main").await;
    let header = b"PROXY TCP6 2001:db8::7 2001:db8::1 50000 443\r\n";
    stream.write_all(header).await.unwrap();
    assert_eq!(ask(&world, stream, port, "").await, 200);
    let (stream, port) = connect("behind").await;
    let list = "x-forwarded-for: 6.6.6.6, 192.0.2.9:443\r\n";
    assert_eq!(ask(&world, stream, port, list).await, 200);
    let (stream, port) = connect("behind").await;
    assert_eq!(ask(&world, stream, port, "").await, 200);
    let (stream, port) = connect("behind").await;
    let list = "x-forwarded-for: unknown\r\n";
    assert_eq!(ask(&world, stream, port, list).await, 200);
    let path = world.path("kv.sock");
    let stream = UnixStream::connect(&path).await.unwrap();
    let own = stream.peer_cred().unwrap();
    assert_eq!(ask(&world, stream, 443, list).await, 200);
    gate.app.stop().await;
    assert!(!path.exists());
    let expected = [
        json!({ "listener": "main", "ip": "2001:db8::7", "via": "127.0.0.1" }),
        json!({ "listener": "behind", "ip": "192.0.2.9", "via": "127.0.0.1" }),
        // Whoever had the header dropped is not the proxy.
        json!({ "listener": "behind", "ip": null, "via": "127.0.0.1" }),
        json!({ "listener": "behind", "ip": null, "via": "127.0.0.1" }),
        json!({
            "listener": "socket",
            "ip": null,
            "peer_uid": own.uid(),
            "peer_gid": own.gid(),
            "peer_pid": std::process::id(),
        }),
    ];
    assert_eq!(clients(&world), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_without_a_header_is_counted_by_itself() {
    let world = Surroundings::start().await;
    let gate = gate(&world).await;
    let mut stream = TcpStream::connect(gate.app.address("main").unwrap())
        .await
        .unwrap();
    stream.write_all(b"\x16\x03\x01").await.unwrap();
    let mut rest = Vec::new();
    // In order or cut: nothing is said.
    let _how = soon(stream.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
    let series = "portcullis_tls_handshake_failures_total";
    let series = format!(r#"{series}{{listener="main",reason="proxy_header"}}"#);
    let counted = async || gate.administration.metrics().await[&series];
    crate::ask::until(async || (counted().await == 1.0).then_some(())).await;
    gate.app.stop().await;
    assert_eq!(clients(&world), Vec::<Value>::new());
}
