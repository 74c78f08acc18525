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

const SECRET: &str = "/secrets/app-db-password?api-version=7.4";

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

/// Somebody who writes what is evil wherever there is room for it.
struct Vandal {
    world: Surroundings,
    running: Running,
    token: String,
}

impl Vandal {
    async fn get(&self, target: &[u8], header: &str, value: &[u8], bearer: &str) -> Vec<u8> {
        let port = self.running.address.port();
        let line = format!(
            " HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\
             Authorization: Bearer {bearer}\r\n{header}: "
        );
        let request = [b"GET ", target, line.as_bytes(), value, b"\r\n\r\n"].concat();
        shout(&self.world, self.running.address, &request).await
    }

    /// Returns how many requests were answered by the vault all the same.
    async fn headers(&self, evil: &[u8]) -> usize {
        let mut answered = 0;
        for header in [
            "User-Agent",
            "x-ms-client-request-id",
            "traceparent",
            "tracestate",
            "X-Forwarded-For",
            "Content-Type",
            "Cookie",
        ] {
            let answer = self.get(SECRET.as_bytes(), header, evil, &self.token).await;
            let status = answer.get(9..12).unwrap();
            assert!(status == b"200" || status == b"400", "{answer:?}");
            answered += usize::from(status == b"200");
        }
        answered
    }

    async fn targets(&self, evil: &[u8]) {
        let escaped: String = evil.iter().map(|byte| format!("%{byte:02x}")).collect();
        for target in [
            [b"/secrets/", evil].concat(),
            [SECRET.as_bytes(), b"&", evil].concat(),
            [SECRET.as_bytes(), b"&$skiptoken=", evil].concat(),
            format!("/secrets/{escaped}?api-version=7.4").into_bytes(),
            format!("{SECRET}&{escaped}=1").into_bytes(),
            format!("{SECRET}&$skiptoken={escaped}").into_bytes(),
            format!("/secrets/x?api-version={escaped}").into_bytes(),
        ] {
            self.get(&target, "A", b"b", &self.token).await;
        }
    }

    /// A key id, in a header that nobody has signed.
    async fn key_id(&self, evil: &[u8]) {
        let header = serde_json::json!({
            "alg": "RS256", "typ": "JWT", "kid": String::from_utf8_lossy(evil),
        });
        let (_, rest) = self.token.split_once('.').unwrap();
        let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let answer = self.get(SECRET.as_bytes(), "A", b"b", &forged).await;
        assert_eq!(answer.get(9..12).unwrap(), b"401");
    }

    async fn server_name(&self, evil: &[u8]) {
        let mut stream = TcpStream::connect(self.running.address).await.unwrap();
        stream.write_all(&hello(evil)).await.unwrap();
        let _ = soon(stream.read(&mut [0; 64])).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_writes_is_never_said_as_it_is() {
    let world = Surroundings::start().await;
    let running = Running::start(&world, &world.toml("[log]\nfilter = \"trace\"\n")).await;
    let token = world.token(people::SECRETS_USER);
    let vandal = Vandal {
        world,
        running,
        token,
    };
    let mut answered = 0;
    for evil in EVIL {
        answered += vandal.headers(evil).await;
        vandal.targets(evil).await;
        vandal.key_id(evil).await;
        vandal.server_name(evil).await;
    }
    // What is no text is no crime in a header that means nothing here.
    assert!(answered >= 20, "{answered}");
    let honest = vandal.running.client.secret(&vandal.token).await;
    assert_eq!(honest.status, 200);
    vandal.running.process.signal("TERM");
    let outcome = vandal.running.process.end().await;
    for (what, said) in [("records", &outcome.stdout), ("log", &outcome.stderr)] {
        assert!(said.lines().count() > 2, "{what}");
        for line in said.lines() {
            let raw = line.chars().find(|c| !(' '..='~').contains(c));
            assert_eq!(raw, None, "{what}: {line}");
            assert!(!line.contains("forged") && !line.contains("evil"), "{line}");
            serde_json::from_str::<serde_json::Value>(line).expect("a line of JSON");
        }
    }
}
