//! Vaults that break, at every point where one can: what the client is told, whether the record may
//! say that nothing was sent, that nothing is sent twice, and that the next caller gets his own
//! answer.

use std::sync::Arc;
use std::time::Duration;

use portcullis::proxy::body::BodyEnd;
use portcullis::proxy::upstream::UpstreamErrorKind as Kind;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::gate::{OWN, Setup, Target, World};
use crate::vault::{EARLY, Reply, Seen, answer, json, soon};

const GET: &str = "/secrets/n/?api-version=7.4";

/// What must never reach a caller: an answer that belongs to no request.
const STOLEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen";

/// Long enough for a busy machine to do what a test does within it.
const MODERATE: Duration = Duration::from_millis(700);

/// Every method with an operation of it, and its body.
const METHODS: [(&str, &str, &str); 5] = [
    ("GET", "/secrets/n?api-version=7.4", ""),
    ("DELETE", "/secrets/n?api-version=7.4", ""),
    ("PUT", "/secrets/n?api-version=7.4", "{\"value\":\"v\"}"),
    ("PATCH", "/secrets/n?api-version=7.4", "{}"),
    ("POST", "/keys/k/rotate?api-version=7.4", ""),
];

fn request((method, path, body): (&str, &str, &str)) -> String {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: {OWN}\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// A vault that answers the first request like this, and all others as it should.
fn once(first: impl Fn() -> Reply + Send + Sync + 'static) -> Setup {
    Setup::script(move |seen| match seen.number {
        0 => first(),
        _ => Reply::Keep(json(&own(seen))),
    })
}

/// An answer by which a caller knows that it is his.
fn own(seen: &Seen) -> String {
    format!("{{\"number\":{}}}", seen.number)
}

/// Checks that the vault answers the next request, its `number`th, and that this answer arrives.
async fn is_well(world: &World, number: usize) {
    let next = world.client(OWN).await.get(OWN, GET).await;
    assert_eq!(
        (next.status(), next.text()),
        (200, &*format!("{{\"number\":{number}}}"))
    );
    assert_eq!(world.vault.journal().len(), number + 1);
}

/// Checks that a request answered with `fault` is refused so, and that all is well afterwards.
async fn refuses(name: &str, fault: Vec<u8>, end: fn(Vec<u8>) -> Reply, expected: (u16, Kind)) {
    let world = once(move || end(fault.clone())).start().await;
    let answer = world.client(OWN).await.get(OWN, GET).await;
    assert_eq!(
        answer.refusal(),
        (expected.0, expected.1.as_label()),
        "{name}"
    );
    assert_eq!(world.notes().errors, [(expected.1, true)], "{name}");
    is_well(&world, 1).await;
}

#[tokio::test]
async fn an_answer_whose_head_does_not_come_whole_is_502() {
    for head in [
        "",
        "HTTP",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nA: b\r\n",
    ] {
        for end in [Reply::Reset, Reply::Close, Reply::Cut] {
            refuses(head, head.into(), end, (502, Kind::Protocol)).await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http_1_is_502() {
    let many: String = (0..200).map(|n| format!("a{n}: b\r\n")).collect();
    let huge = "x".repeat(70_000);
    for (name, text) in [
        ("0.9", "<html>".to_owned()),
        ("2", "HTTP/2 200\r\n\r\n".to_owned()),
        ("9.9", "HTTP/9.9 200 OK\r\n\r\n".to_owned()),
        ("status", "HTTP/1.1 20 OK\r\n\r\n".to_owned()),
        ("not a status", "HTTP/1.1 \u{e9}\r\n\r\n".to_owned()),
        ("h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("NUL", "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n".to_owned()),
        ("many", format!("HTTP/1.1 200 OK\r\n{many}\r\n{{}}")),
        ("huge", format!("HTTP/1.1 200 OK\r\nA: {huge}\r\n\r\n")),
        ("huge reason", format!("HTTP/1.1 200 {huge}\r\n\r\n")),
        (
            "1.0 in chunks",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        ),
    ] {
        refuses(name, text.into(), Reply::Keep, (502, Kind::Protocol)).await;
    }
}

#[tokio::test]
async fn an_answer_in_codings_we_do_not_undo_is_502() {
    for coding in [
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "identity",
        "",
    ] {
        let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n");
        refuses(
            coding,
            text.into(),
            Reply::Close,
            (502, Kind::AnswerHeaders),
        )
        .await;
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_is_502_and_takes_no_more_memory_than_one_may() {
    for (first, rest) in [
        ("HTTP/1.1 200 OK\r\n", "a: b\r\n"),
        ("HTTP/1.1 200 OK\r\na: ", "bbbbbbbb"),
        ("", "HTTP/1.1 "),
    ] {
        let world = once(move || Reply::Endless(first.into(), rest.repeat(1000).into()));
        let world = world.start().await;
        let answer = world.client(OWN).await.get(OWN, GET).await;
        assert_eq!(answer.refusal(), (502, "protocol"), "{rest}");
        world.vault.was_left(1).await;
        is_well(&world, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_before_the_answer_do_not_go_on_for_ever() {
    for status in ["100 Continue", "102 Processing", "103 Early Hints", "199 x"] {
        let one = format!("HTTP/1.1 {status}\r\nLink: </x>\r\n\r\n");
        // Always more than is read at once, so that nobody ever waits for the vault.
        let many: Vec<u8> = one.repeat(4000).into();
        let world = once(move || Reply::Endless(Vec::new(), many.clone()))
            .limits(|limits| limits.first_byte_timeout = MODERATE)
            .start()
            .await;
        let answer = world.client(OWN).await.get(OWN, GET).await;
        assert_eq!(answer.refusal(), (504, "first_byte_timeout"), "{status}");
        assert_eq!(world.notes().errors, [(Kind::FirstByteTimeout, true)]);
        world.vault.was_left(1).await;
        is_well(&world, 1).await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_end_is_broken_off_at_the_deadline() {
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
    let world = once(move || Reply::Endless(head.into(), chunk.clone().into()))
        .limits(|limits| limits.total_timeout = MODERATE)
        .start()
        .await;
    let answer = world.client(OWN).await.get(OWN, GET).await;
    assert_eq!((answer.status(), answer.body), (200, None));
    world
        .noted(|notes| notes.outcomes.iter().any(|o| o.end == BodyEnd::Deadline))
        .await;
    world.vault.was_left(1).await;
    is_well(&world, 1).await;
}

#[tokio::test]
async fn a_body_that_must_be_looked_into_and_does_not_end_is_502() {
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let world = once(move || Reply::Endless(head.into(), chunk.clone().into()));
    let world = world.start().await;
    // Under another name than the vault's own there may be links to rewrite.
    let public = world.public();
    let answer = world
        .client(crate::gate::PUBLIC)
        .await
        .get(&public, GET)
        .await;
    assert_eq!(answer.refusal(), (502, "answer_too_large"));
    world.vault.was_left(1).await;
    is_well(&world, 1).await;
}

#[tokio::test]
async fn an_older_answer_passes_and_its_connection_is_not_used_again() {
    for (text, end, body) in [
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            Reply::Keep as fn(_) -> _,
            "{}",
        ),
        // It ends with its connection, in order.
        (
            "HTTP/1.0 200 OK\r\n\r\n{\"a\":1}",
            Reply::Close,
            "{\"a\":1}",
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\n{\"a\":1}",
            Reply::Close,
            "{\"a\":1}",
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
            Reply::Keep,
            "{}",
        ),
    ] {
        let world = once(move || end(text.into())).start().await;
        let answer = world.client(OWN).await.get(OWN, GET).await;
        assert_eq!((answer.status(), answer.text()), (200, body), "{text}");
        is_well(&world, 1).await;
        assert_eq!(world.vault.connections(), 2, "{text}");
    }
}

#[tokio::test]
async fn what_follows_an_answer_is_never_the_next_callers() {
    for first in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 54\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        for tail in [STOLEN, "\r\n", "x", "HTTP/1.1 100 Continue\r\n\r\n"] {
            let text = format!("{first}{tail}");
            let world = once(move || Reply::Keep(text.clone().into())).start().await;
            let status = first.split(' ').nth(1).unwrap().parse::<u16>().unwrap();
            let answer = world.client(OWN).await.get(OWN, GET).await;
            assert_eq!(answer.status(), status, "{first}{tail}");
            is_well(&world, 1).await;
            assert_eq!(world.vault.connections(), 2, "{first}{tail}");
        }
    }
}

#[tokio::test]
async fn what_comes_on_an_idle_connection_is_never_the_next_callers() {
    for unasked in [
        STOLEN,
        "x",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 408 x\r\n\r\n",
    ] {
        let (sign, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (its_sign, its_done) = (sign.clone(), done.clone());
        let world = once(move || {
            let (sign, done) = (its_sign.clone(), its_done.clone());
            Reply::Unasked(json("{\"number\":0}"), sign, unasked.into(), done)
        });
        let world = world.start().await;
        is_well(&world, 0).await;
        sign.notify_one();
        soon(done.notified()).await;
        is_well(&world, 1).await;
        assert_eq!(world.vault.connections(), 2, "{unasked}");
    }
}

/// A vault that ends its first connection when it was used once: in order, without a word, or, when
/// it is given the sign, by a reset.
fn closed_meanwhile(how: usize) -> (Setup, Arc<Notify>) {
    let sign = Arc::new(Notify::new());
    let given = sign.clone();
    let setup = once(move || match how {
        0 => Reply::Close(json("{\"number\":0}")),
        1 => Reply::Cut(json("{\"number\":0}")),
        _ => {
            let done = Arc::default();
            Reply::Unasked(json("{\"number\":0}"), given.clone(), Vec::new(), done)
        }
    });
    (setup, sign)
}

#[tokio::test]
async fn a_request_on_a_connection_that_was_closed_meanwhile_is_sent_once_on_another() {
    for method in METHODS {
        for how in 0..3 {
            let (setup, sign) = closed_meanwhile(how);
            let world = setup.start().await;
            is_well(&world, 0).await;
            // By now the vault may reset what it has not closed.
            sign.notify_one();
            world.vault.was_left(1).await;
            let answer = world.client(OWN).await.ask(request(method)).await;
            assert_eq!(
                (answer.status(), answer.text()),
                (200, "{\"number\":1}"),
                "{method:?}"
            );
            let journal = world.vault.journal();
            assert_eq!((journal.len(), world.vault.connections()), (2, 2));
            assert_eq!(journal[1].body, method.2.as_bytes());
            assert!(journal[1].request_line().starts_with(method.0));
        }
    }
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_never_sent_again() {
    for method in METHODS {
        for end in [Reply::Close as fn(_) -> _, Reply::Reset, Reply::Cut] {
            let world = Setup::script(move |seen| match seen.number {
                1 => end(Vec::new()),
                _ => Reply::Keep(json(&own(seen))),
            });
            let world = world.start().await;
            is_well(&world, 0).await;
            let answer = world.client(OWN).await.ask(request(method)).await;
            assert_eq!(answer.refusal(), (502, "protocol"), "{method:?}");
            assert_eq!(world.notes().errors, [(Kind::Protocol, true)]);
            // On the connection that was there, once.
            assert_eq!(
                (world.vault.journal().len(), world.vault.connections()),
                (2, 1)
            );
            is_well(&world, 2).await;
        }
    }
}

#[tokio::test]
async fn a_vault_that_leaves_in_the_middle_of_a_body_is_not_sent_the_request_again() {
    let path = format!("{EARLY}?api-version=7.4");
    for end in [Reply::Close as fn(_) -> _, Reply::Reset, Reply::Cut] {
        for used in [false, true] {
            let world = Setup::script(move |seen| match seen.request_line().contains(EARLY) {
                true => end(Vec::new()),
                false => Reply::Keep(json(&own(seen))),
            });
            let world = world.start().await;
            if used {
                is_well(&world, 0).await;
            }
            let before = usize::from(used);
            let mut client = world.client(OWN).await;
            let head = format!("PUT {path} HTTP/1.1\r\nHost: {OWN}\r\nContent-Length: 100000\r\n");
            client.send(format!("{head}\r\nhalf of it")).await;
            world.vault.was_left(1).await;
            let answer = client.answer().await;
            assert_eq!(answer.refusal(), (502, "protocol"));
            assert_eq!(world.notes().errors, [(Kind::Protocol, true)]);
            assert_eq!(
                (world.vault.journal().len(), world.vault.connections()),
                (before + 1, 1)
            );
            is_well(&world, before + 1).await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_relayed_and_the_rest_goes_nowhere() {
    let path = format!("{EARLY}?api-version=7.4");
    let head = format!("PUT {path} HTTP/1.1\r\nHost: {OWN}\r\nContent-Length: 100\r\n\r\n");
    for early in [
        answer("413 Too Large", &[], "{}"),
        answer("200 OK", &[], ""),
        b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
    ] {
        let world = once(move || Reply::Keep(early.clone())).start().await;
        let mut client = world.client(OWN).await;
        let early = client.ask(format!("{head}half of it")).await;
        assert!([413, 200, 204].contains(&early.status()), "{}", early.head);
        // The other half is not the head of the next request, here or there.
        client
            .send(format!("{}{}", "x".repeat(90), request(METHODS[0])))
            .await;
        let next = client.answer().await;
        assert_eq!((next.status(), next.text()), (200, "{\"number\":1}"));
        let journal = world.vault.journal();
        assert_eq!((journal.len(), world.vault.connections()), (2, 2));
        assert!(!journal[0].complete);
        is_well(&world, 2).await;
    }
}

#[tokio::test]
async fn a_vault_that_does_not_speak_tls_is_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = stream.try_write(STOLEN.as_bytes());
        }
    });
    let plain = Setup {
        connect: Some(Target::Address(address)),
        ..Setup::default()
    };
    let world = plain.start().await;
    let answer = world.client(OWN).await.get(OWN, GET).await;
    assert_eq!(answer.refusal(), (502, "tls"));
    assert_eq!(world.notes().errors, [(Kind::Tls, false)]);
}
