//! What a client writes never reaches a terminal or a log as it is: the real program, and every byte
//! it says.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::dev::people;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::ask::soon;
use crate::process::Running;
use crate::surroundings::Surroundings;

/// Bytes that clear a screen, forge a line, turn text round or are no text at all.
const EVIL: [&[u8]; 10] = [
    b"\x1b[2J\x1b]0;evil\x07",
    b"\x9b2J",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\0",
    b"a\rforged",
    b"\x08\x08\x08",
    b"\x7f",
    "\u{2028}forged".as_bytes(),
    "\u{202e}lave".as_bytes(),
];

async fn shout(world: &Surroundings, to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let config = world.pki.client_config().unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(to).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = soon(connector.connect(name, stream)).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    // An end without a close_notify is an end, too.
    let _ = soon(stream.read_to_end(&mut answer)).await;
    answer
}

/// A ClientHello of TLS 1.2 with this server name.
fn hello(name: &[u8]) -> Vec<u8> {
    let long = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
    let mut list = vec![0];
    list.extend(long(name.len()));
    list.extend(name);
    let mut extension = vec![0, 0];
    extension.extend(long(list.len() + 2));
    extension.extend(long(list.len()));
    extension.extend(list);
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
    body.extend(long(extension.len()));
    body.extend(extension);
    let mut message = vec![1, 0];
    message.extend(long(body.len()));
    message.extend(body);
    let mut record = vec![0x16, 3, 1];
    record.extend(long(message.len()));
    record.extend(message);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_writes_is_never_said_as_it_is() {
    let world = Surroundings::start().await;
    let running = Running::start(&world, &world.toml("[log]\nfilter = \"trace\"\n")).await;
    let host = format!("localhost:{}", running.address.port());
    let token = world.token(people::SECRETS_USER);
    let secret = "/secrets/app-db-password?api-version=7.4";
    let get = |target: &[u8], header: &[u8], value: &[u8], bearer: &str| {
        let host = format!(" HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        [
            b"GET ",
            target,
            host.as_bytes(),
            header,
            b": ",
            value,
            b"\r\nAuthorization: Bearer ",
            bearer.as_bytes(),
            b"\r\n\r\n",
        ]
        .concat()
    };
    let mut answered = 0;
    for evil in EVIL {
        for header in [
            &b"User-Agent"[..],
            b"x-ms-client-request-id",
            b"traceparent",
            b"tracestate",
            b"X-Forwarded-For",
            b"Content-Type",
            b"Cookie",
        ] {
            let request = get(secret.as_bytes(), header, evil, &token);
            let answer = shout(&world, running.address, &request).await;
            let status = answer.get(9..12).unwrap();
            assert!(status == b"200" || status == b"400", "{answer:?}");
            answered += usize::from(status == b"200");
        }
        let escaped: String = evil.iter().map(|byte| format!("%{byte:02x}")).collect();
        for target in [
            [b"/secrets/", evil].concat(),
            [secret.as_bytes(), b"&", evil].concat(),
            [secret.as_bytes(), b"&$skiptoken=", evil].concat(),
            format!("/secrets/{escaped}?api-version=7.4").into_bytes(),
            format!("{secret}&{escaped}=1").into_bytes(),
            format!("{secret}&$skiptoken={escaped}").into_bytes(),
            format!("/secrets/x?api-version={escaped}").into_bytes(),
        ] {
            shout(&world, running.address, &get(&target, b"A", b"b", &token)).await;
        }
        // A key id, in a header that nobody has signed.
        let kid = serde_json::json!({
            "alg": "RS256", "typ": "JWT", "kid": String::from_utf8_lossy(evil),
        });
        let rest = token.split_once('.').unwrap().1;
        let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(kid.to_string()));
        let answer = shout(
            &world,
            running.address,
            &get(secret.as_bytes(), b"A", b"b", &forged),
        )
        .await;
        assert_eq!(answer.get(9..12).unwrap(), b"401");
        // A server name, in a handshake.
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(&hello(evil)).await.unwrap();
        let _ = soon(stream.read(&mut [0; 64])).await;
    }
    // Values that are no text are no secret either: those beside the request's own sense pass.
    assert!(answered >= 20, "{answered}");
    assert_eq!(running.client.secret(&token).await.status, 200);
    running.process.signal("TERM");
    let outcome = running.process.end().await;
    for (what, said) in [("records", &outcome.stdout), ("log", &outcome.stderr)] {
        assert!(said.lines().count() > 2, "{what}");
        let raw = said
            .chars()
            .find(|c| *c != '\n' && !(' '..='~').contains(c));
        let line = said.lines().find(|line| line.contains(raw.unwrap_or('\n')));
        assert_eq!((raw, line), (None, None), "{what}");
        for line in said.lines() {
            assert!(!line.contains("forged") && !line.contains("evil"), "{line}");
            serde_json::from_str::<serde_json::Value>(line).expect("a line of JSON");
        }
    }
}
