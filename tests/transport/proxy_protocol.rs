//! The PROXY protocol in front of TLS: who must speak it, who must not, and what is believed.

use std::net::IpAddr;
use std::time::Duration;

use portcullis::config::{AddressRange, Limits, Network};
use portcullis::proxy::listen::{HandshakeFailure, ListenEvent, Peer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::clients::Client;
use crate::gate::{OWN, Setup, World};
use crate::vault::soon;

const GET: &str = "/secrets/n/?api-version=7.4";

/// From 192.0.2.7, in either version.
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 10.0.0.1 50000 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x13\xc0\x00\x02\x07\x0a\x00\x00\x01\
    \xc3\x50\x01\xbb\xee\x00\x04\x01\x02\x03\x04";

fn setup() -> Setup {
    let range = |name: &str, addresses: &str| AddressRange {
        name: name.into(),
        addresses: vec![addresses.parse().unwrap()],
    };
    Setup {
        proxy_protocol_from: &["127.0.0.0/8"],
        network: Network {
            ranges: vec![
                range("proxies", "127.0.0.0/8"),
                range("clients", "192.0.2.0/24"),
            ],
            subnets: Vec::new(),
        },
        ..Setup::default()
    }
}

/// Sends `first` before the handshake of a client, and one request after it.
async fn served(world: &World, first: &[&[u8]]) -> std::sync::Arc<Peer> {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    for bytes in first {
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
    }
    let config = world.pki.client(&["http/1.1"]);
    let mut client = soon(Client::over(stream, config, OWN)).await.unwrap();
    assert_eq!(client.get(OWN, GET).await.status(), 200);
    world.notes().peers.last().unwrap().clone()
}

/// Sends `first`, then a handshake, and is turned away.
async fn refused(world: &World, first: &[u8], failure: HandshakeFailure) {
    let count = |events: &[ListenEvent]| {
        let event = ListenEvent::HandshakeFailed(failure);
        events.iter().filter(|other| **other == event).count()
    };
    let before = count(&world.notes().events);
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(first).await.unwrap();
    let config = world.pki.client(&["http/1.1"]);
    assert!(soon(Client::over(stream, config, OWN)).await.is_err());
    world.noted(|notes| count(&notes.events) > before).await;
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[tokio::test]
async fn a_trusted_peer_says_who_the_client_is() {
    let world = setup().start().await;
    let bytes: Vec<&[u8]> = V1.chunks(1).collect();
    for first in [&[V1][..], &[V2], &bytes, &[&V2[..20], &V2[20..]]] {
        let peer = served(&world, first).await;
        assert_eq!(peer.connection.address, ip("192.0.2.7"));
        assert_eq!(peer.via, ip("127.0.0.1"));
        assert_eq!(peer.connection.ranges, ["clients".into()]);
        assert_eq!(peer.local_port, world.address.port());
    }
}

#[tokio::test]
async fn a_trusted_peer_that_speaks_for_itself_is_the_client() {
    let world = setup().start().await;
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
    for first in [&b"PROXY UNKNOWN\r\n"[..], local] {
        let peer = served(&world, &[first]).await;
        assert_eq!(peer.connection.address, ip("127.0.0.1"));
        assert_eq!(peer.via, None);
        assert_eq!(peer.connection.ranges, ["proxies".into()]);
    }
}

#[tokio::test]
async fn a_trusted_peer_without_a_header_is_turned_away() {
    let world = setup().start().await;
    let with_spill = [&V2[..V2.len() - 5], b"\x05"].concat();
    let twice = [V1, V1].concat();
    for (first, failure) in [
        (&b""[..], HandshakeFailure::ProxyHeader),
        (b"GET / HTTP/1.1\r\n\r\n", HandshakeFailure::ProxyHeader),
        (b"PROXY TCP4 nonsense\r\n", HandshakeFailure::ProxyHeader),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\xd8",
            HandshakeFailure::ProxyHeader,
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            HandshakeFailure::ProxyHeader,
        ),
        (&with_spill, HandshakeFailure::ProxyHeader),
        // One header is enough; the second is no TLS.
        (&twice, HandshakeFailure::NotTls),
    ] {
        refused(&world, first, failure).await;
    }
    assert_eq!(world.notes().requests, 0);
    assert_eq!(world.vault.journal().len(), 0);
    served(&world, &[V1]).await;
}

#[tokio::test]
async fn nobody_else_is_understood() {
    for trusted in [&[][..], &["10.0.0.0/8", "128.0.0.0/1", "::1/128"]] {
        let setup = Setup {
            proxy_protocol_from: trusted,
            ..setup()
        };
        let world = setup.start().await;
        for first in [V1, V2] {
            refused(&world, first, HandshakeFailure::NotTls).await;
        }
        let peer = served(&world, &[]).await;
        assert_eq!(peer.connection.address, ip("127.0.0.1"));
        assert_eq!(peer.via, None);
    }
}

#[tokio::test]
async fn a_header_that_does_not_come_is_not_waited_for_forever() {
    let world = setup()
        .limits(|limits: &mut Limits| {
            limits.handshake_timeout = Duration::from_millis(50);
            limits.max_connections = 1;
        })
        .start()
        .await;
    for first in [&b""[..], &V1[..V1.len() - 1], &V2[..V2.len() - 1]] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(first).await.unwrap();
        let timeout = ListenEvent::HandshakeFailed(HandshakeFailure::Timeout);
        let count = |events: &[ListenEvent]| events.iter().filter(|e| **e == timeout).count();
        let before = count(&world.notes().events);
        world.noted(|notes| count(&notes.events) > before).await;
    }
    // One that goes away is counted as such, and its place is free again.
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"PROXY").await.unwrap();
    drop(stream);
    let gone = ListenEvent::HandshakeFailed(HandshakeFailure::Disconnected);
    world.event(gone).await;
}

#[tokio::test]
async fn connections_are_counted_for_the_clients_and_not_for_the_load_balancer() {
    let world = setup()
        .limits(|limits| limits.max_connections_per_address = 1)
        .start()
        .await;
    let connect = async |first: &[u8]| {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(first).await.unwrap();
        soon(Client::over(stream, world.pki.client(&["http/1.1"]), OWN)).await
    };
    let other = b"PROXY TCP4 192.0.2.8 10.0.0.1 50000 443\r\n";
    let (first, second) = (connect(V1).await, connect(other).await);
    assert!(first.is_ok() && second.is_ok());
    // In whatever version it is said.
    assert!(connect(V2).await.is_err());
    world.event(ListenEvent::Refused).await;
    drop(first);
    let freed = |events: &[ListenEvent]| {
        let closed = |event: &&ListenEvent| matches!(event, ListenEvent::Closed(_));
        events.iter().filter(closed).count() == 1
    };
    world.noted(|notes| freed(&notes.events)).await;
    assert!(connect(V2).await.is_ok());
}

/// Asks with these header lines on a connection of its own.
async fn asked(world: &World, first: &[u8], lines: &str) -> std::sync::Arc<Peer> {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(first).await.unwrap();
    let config = world.pki.client(&["http/1.1"]);
    let mut client = soon(Client::over(stream, config, OWN)).await.unwrap();
    let head = format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\n{lines}\r\n");
    assert_eq!(client.ask(head).await.status(), 200);
    world.notes().peers.last().unwrap().clone()
}

/// Every way to say who the client is.
const CLAIMS: &str = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n\
    X-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 1\r\nForwarded: for=192.0.2.7;host=evil.test\r\n\
    X-Real-IP: 192.0.2.7\r\nX_Forwarded_For: 192.0.2.7\r\nX-Forwarded-Prefix: /evil\r\n\
    X-Original-URL: /secrets/other\r\n";

#[tokio::test]
async fn what_a_client_says_of_itself_is_neither_believed_nor_passed_on() {
    for trusted in [&[][..], &["10.0.0.0/8"], &["127.0.0.0/8"]] {
        let setup = Setup {
            forwarded_headers_from: trusted,
            proxy_protocol_from: &[],
            ..setup()
        };
        let world = setup.start().await;
        let peer = asked(&world, b"", CLAIMS).await;
        let believed = trusted == ["127.0.0.0/8"];
        let client = if believed { "192.0.2.7" } else { "127.0.0.1" };
        assert_eq!(peer.connection.address, ip(client));
        assert_eq!(peer.via, believed.then_some([127, 0, 0, 1].into()));
        let sent = world.vault.journal().pop().unwrap();
        let head = sent.head.to_ascii_lowercase();
        for part in [
            "forwarded",
            "real-ip",
            "real_ip",
            "evil",
            "192.0.2",
            "original",
        ] {
            assert!(!head.contains(part), "{head}");
        }
        assert!(head.contains(&format!("host: {OWN}")), "{head}");
    }
}

#[tokio::test]
async fn each_request_of_a_trusted_proxy_has_a_client_of_its_own() {
    let setup = Setup {
        forwarded_headers_from: &["127.0.0.0/8"],
        proxy_protocol_from: &[],
        ..setup()
    };
    let world = setup.start().await;
    let mut client = world.client(OWN).await;
    for (line, address, ranges) in [
        (
            "X-Forwarded-For: 192.0.2.7\r\n",
            ip("192.0.2.7"),
            &["clients"][..],
        ),
        (
            "X-Forwarded-For: 192.0.2.9, 198.51.100.1:443\r\n",
            ip("198.51.100.1"),
            &[],
        ),
        (
            "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-For: 127.0.0.9\r\n",
            ip("192.0.2.9"),
            &["clients"],
        ),
        // Only one spelling is believed.
        (
            "X_Forwarded_For: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\n",
            None,
            &[],
        ),
        // The proxy's own address is not fallen back to.
        ("", None, &[]),
        ("X-Forwarded-For: 192.0.2.7, unknown\r\n", None, &[]),
        ("X-Forwarded-For: \r\n", None, &[]),
    ] {
        let head = format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\n{line}\r\n");
        assert_eq!(client.ask(head).await.status(), 200);
        let peer = world.notes().peers.last().unwrap().clone();
        assert_eq!(peer.connection.address, address, "{line:?}");
        let found: Vec<&str> = peer.connection.ranges.iter().map(|name| &**name).collect();
        assert_eq!(found, ranges, "{line:?}");
        assert_eq!(peer.via, ip("127.0.0.1"), "{line:?}");
    }
}

#[tokio::test]
async fn behind_both_the_header_counts_that_is_nearer_to_the_client() {
    let setup = Setup {
        forwarded_headers_from: &["192.0.2.0/24"],
        ..setup()
    };
    let world = setup.start().await;
    // The load balancer hands on a connection of a proxy.
    let peer = asked(&world, V1, "X-Forwarded-For: 198.51.100.1\r\n").await;
    assert_eq!(peer.connection.address, ip("198.51.100.1"));
    assert_eq!(peer.via, ip("127.0.0.1"));
    // The load balancer itself is no proxy that says such things.
    let local = b"PROXY UNKNOWN\r\n";
    let peer = asked(&world, local, "X-Forwarded-For: 198.51.100.1\r\n").await;
    assert_eq!(peer.connection.address, ip("127.0.0.1"));
}
