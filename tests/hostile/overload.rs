//! More than there is room for: refused at once, and nobody waits in a line.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use portcullis::config::Limits;
use portcullis::dev::people;
use portcullis::dev::vault::{Release, Script};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::frames::{END_HEADERS, END_STREAM, HEADERS, Raw, fields, frame};
use crate::site::{Reply, SECRET, Setup, Site, eventually, soon};
use crate::wire::{Wire, connect};

const PATH: &str = "/secrets/app-api-key";
const OTHER: &str = "/secrets/app-db-password?api-version=7.4";

async fn limited(change: impl FnOnce(&mut Limits)) -> Site {
    let mut setup = Setup::default();
    change(&mut setup.limits);
    setup.start().await
}

impl Site {
    /// An administrator's request that the vault has and does not answer.
    async fn held(&self) -> (Wire, Release) {
        let (script, release) = Script::genuine().held();
        self.world.vault.next_response(PATH, script);
        let mut wire = self.wire().await;
        wire.send(self.written("{GET}")).await;
        self.until_news(1).await;
        self.forwarded();
        (wire, release)
    }

    /// Checks a refusal for being one too many.
    fn is_one_too_many(&self, reply: &Reply, of: &str) {
        let record = self.refused(reply, (503, "overload"));
        assert_eq!(record["decision"], "error");
        assert_eq!(record["sub_reason"], of);
        assert_eq!(reply.header("retry-after"), Some("1"));
        let error = &reply.json()["error"];
        assert_eq!(error["code"], "ServiceUnavailable");
        assert_eq!(error["innererror"]["code"], "RefusedByPortcullis");
    }

    /// Waits until requests are answered again.
    async fn recovers(&self) {
        let answered = async || {
            let reply = self.get(people::ADMIN, OTHER).await;
            (reply.status == 200).then_some(())
        };
        eventually(answered).await;
        self.forget();
    }
}

#[tokio::test]
async fn one_request_too_many_is_503_before_its_token_is_looked_at() {
    let site = limited(|limits| limits.max_concurrent_requests = 2).await;
    let (mut first, release) = site.held().await;
    let (second, _release) = site.held().await;
    let host = site.host();
    for credentials in [
        String::new(),
        "Authorization: Bearer nonsense\r\n".to_owned(),
        format!("Authorization: Bearer {}\r\n", site.token(people::ADMIN)),
    ] {
        let head = format!("GET {SECRET} HTTP/1.1\r\nHost: {host}\r\n{credentials}");
        let reply = site.ask(&head).await;
        site.is_one_too_many(&reply, "listener");
        assert_eq!(reply.header("www-authenticate"), None);
    }
    let counted = site
        .metric("portcullis_denials_total", &["reason=\"overload\""])
        .await;
    assert_eq!(counted, 3.0);
    // Those that were in progress are answered, and a client that leaves makes room, too.
    release.release();
    assert_eq!(first.answer().await.status, 200);
    site.recovers().await;
    let (third, _release) = site.held().await;
    site.is_one_too_many(&site.get(people::ADMIN, OTHER).await, "listener");
    drop((second, third));
    site.recovers().await;
}

#[tokio::test]
async fn a_request_is_in_progress_until_its_answer_has_ended() {
    let mut setup = Setup {
        vault_host: "portcullis-dev.vault.azure.net",
        ..Setup::default()
    };
    setup.limits.max_concurrent_requests = 1;
    let site = setup.start().await;
    let (script, release) = Script::genuine().stalled(10);
    site.world.vault.next_response(PATH, script);
    // Under the vault's own name the answer streams through.
    let head = site.head_to(&site.own_host(), people::ADMIN, &format!("GET {SECRET}"));
    let mut wire = site.wire_to(site.vault_host()).await;
    wire.send(format!("{head}\r\n")).await;
    assert!(wire.answer_head().await.starts_with("HTTP/1.1 200"));
    site.forget();
    site.is_one_too_many(&site.get(people::ADMIN, OTHER).await, "listener");
    release.release();
    drop(wire);
    site.recovers().await;
}

#[tokio::test]
async fn one_caller_leaves_room_for_others_whatever_tokens_it_brings() {
    let site = limited(|limits| limits.max_concurrent_requests_per_caller = 1).await;
    let (mut first, release) = site.held().await;
    // Another token of the same caller, on another connection.
    let reply = site.get(people::ADMIN, OTHER).await;
    site.is_one_too_many(&reply, "caller");
    assert_eq!(
        site.lines().last().unwrap()["caller"]["oid"],
        people::ADMIN.object_id.to_string()
    );
    let reply = site.get(people::SECRETS_USER, OTHER).await;
    assert_eq!(reply.status, 200);
    site.forwarded();
    // Who has no good token is no caller.
    let head = format!("GET {SECRET} HTTP/1.1\r\nHost: {}\r\n", site.host());
    site.refused(&site.ask(&head).await, (401, "no_token"));
    release.release();
    assert_eq!(first.answer().await.status, 200);
    site.recovers().await;
}

#[tokio::test]
async fn the_streams_of_one_connection_are_counted_each() {
    let site = limited(|limits| limits.max_concurrent_requests_per_caller = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(site.held().await);
    }
    let token = format!("Bearer {}", site.token(people::ADMIN));
    let mut client = site.http2("localhost").await;
    let url = site.world.url();
    for _ in 0..50 {
        let request = http::Request::get(format!("{url}{OTHER}")).header("authorization", &token);
        site.is_one_too_many(&client.ask(request).await, "caller");
    }
    drop(held);
    site.recovers().await;
    let request = http::Request::get(format!("{url}{OTHER}")).header("authorization", &token);
    assert_eq!(client.ask(request).await.status, 200);
}

#[tokio::test]
async fn refusals_that_nobody_takes_count_for_nothing() {
    const MANY: u32 = 20;
    let site = limited(|limits| limits.max_concurrent_requests = 4).await;
    let stream = connect(&site, site.address(), "localhost", b"h2").await;
    // Windows of nothing: no byte of a body may be sent.
    let mut raw = Raw::begin_with(stream, &[0, 4, 0, 0, 0, 0]).await;
    let block = fields(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", &site.host()),
        (":path", OTHER),
    ]);
    for number in 0..MANY {
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &block);
        raw.send(&request).await;
        raw.next(&[HEADERS]).await.unwrap();
    }
    site.works("refusals that nobody takes").await;
    let challenged = site
        .lines()
        .iter()
        .filter(|line| line["status"] == 401)
        .count();
    assert_eq!(u32::try_from(challenged).unwrap(), MANY);
}

#[tokio::test]
async fn refusals_are_records_and_results_are_none() {
    let site = limited(|limits| limits.max_concurrent_requests = 1).await;
    let (_wire, _release) = site.held().await;
    for _ in 0..20 {
        site.is_one_too_many(&site.get(people::NOBODY, OTHER).await, "listener");
    }
    let of_type = |wanted: &str| {
        let lines = site.lines();
        lines.iter().filter(|line| line["type"] == wanted).count()
    };
    assert_eq!((of_type("decision"), of_type("result")), (21, 0));
    let record = site.lines().pop().unwrap();
    assert_eq!(record["caller"], Value::Null);
    assert_eq!(record["vault"], json!(people::VAULT_NAME));
}

/// A connection from an address of this machine, without a handshake.
async fn from(address: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((address, 0))).unwrap();
    soon(socket.connect(to)).await.unwrap()
}

const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

#[tokio::test]
async fn one_address_has_its_share_of_the_connections() {
    let site = limited(|limits| {
        limits.max_connections = 16;
        limits.max_connections_per_address = 3;
    })
    .await;
    let refused = async || {
        let labels = ["result=\"refused\""];
        site.metric("portcullis_connections_total", &labels).await
    };
    let held = [
        from(ELSEWHERE, site.address()).await,
        from(ELSEWHERE, site.address()).await,
        from(ELSEWHERE, site.address()).await,
    ];
    let mut fourth = from(ELSEWHERE, site.address()).await;
    // Closed without a word.
    assert!(matches!(
        soon(fourth.read(&mut [0; 1])).await,
        Ok(0) | Err(_)
    ));
    eventually(async || (refused().await == 1.0).then_some(())).await;
    // Others have theirs.
    site.works("a full address").await;
    drop(held);
    eventually(async || {
        let stream = from(ELSEWHERE, site.address()).await;
        shake_hands(&site, stream).await.ok()
    })
    .await;
    site.works("an address that is empty again").await;
}

async fn shake_hands(site: &Site, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let config = site.world.pki.client_config().unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

#[tokio::test]
async fn a_flood_of_handshakes_that_go_nowhere_gives_way() {
    let site = limited(|limits| {
        limits.max_connections = 8;
        limits.max_connections_per_address = 8;
        limits.handshake_timeout = std::time::Duration::from_secs(600);
    })
    .await;
    let mut flood = Vec::new();
    for _ in 0..20 {
        for _ in 0..5 {
            flood.push(from(ELSEWHERE, site.address()).await);
        }
        site.works("a flood of handshakes").await;
    }
    let labels = ["reason=\"gave_way\""];
    let gave_way = async || {
        site.metric("portcullis_tls_handshake_failures_total", &labels)
            .await
    };
    // All but the few for which there is room.
    eventually(async || (gave_way().await >= 90.0).then_some(())).await;
    drop(flood);
}
