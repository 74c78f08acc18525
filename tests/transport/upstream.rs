//! Vaults that behave as they should, and others.

use std::net::Ipv4Addr;
use std::time::Duration;

use portcullis::proxy::body::BodyEnd;
use portcullis::proxy::upstream::UpstreamErrorKind as Kind;
use tokio::net::TcpListener;

use crate::dns::DnsServer;
use crate::gate::{OWN, Setup, Target};
use crate::vault::{Reply, Seen, answer, json};

const GET: &str = "/secrets/n/?api-version=7.4";
const SHORT: Duration = Duration::from_millis(50);

/// Long enough for a busy machine to do what a test does within it.
const MODERATE: Duration = Duration::from_millis(700);

/// One request to a vault that answers like this; returns the refusal and whether the vault may
/// have acted.
async fn refusal(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (u16, Kind, bool) {
    refusal_of(Setup::script(script)).await
}

async fn refusal_of(setup: Setup) -> (u16, Kind, bool) {
    let world = setup.start().await;
    let mut client = world.client(OWN).await;
    let status = client.get(OWN, GET).await.status();
    let errors = world.notes().errors;
    assert_eq!(errors.len(), 1);
    (status, errors[0].0, errors[0].1)
}

#[tokio::test]
async fn connections_to_the_vault_are_used_again() {
    let world = Setup::default().start().await;
    for _ in 0..2 {
        let mut client = world.client(OWN).await;
        for _ in 0..2 {
            assert_eq!(client.get(OWN, GET).await.status(), 200);
        }
    }
    assert_eq!(world.vault.journal().len(), 4);
    assert_eq!(world.vault.connections(), 1);
}

#[tokio::test]
async fn a_pooled_connection_that_went_stale_costs_nothing() {
    let world = Setup::script(|_| Reply::Close(json("{}"))).start().await;
    let mut client = world.client(OWN).await;
    for request in 1..=5 {
        assert_eq!(client.get(OWN, GET).await.status(), 200);
        world.vault.was_left(request).await;
    }
    assert_eq!(world.vault.journal().len(), 5);
}

#[tokio::test]
async fn a_request_that_was_sent_is_never_sent_again() {
    // The first answer puts the connection into the pool; the second request is lost on it.
    let world = Setup::script(|seen| match seen.number {
        0 => Reply::Keep(json("{}")),
        _ => Reply::Cut(Vec::new()),
    })
    .start()
    .await;
    let mut client = world.client(OWN).await;
    assert_eq!(client.get(OWN, GET).await.status(), 200);
    let answer = client.get(OWN, GET).await;
    assert_eq!(answer.refusal(), (502, "protocol"));
    assert_eq!(world.notes().errors, [(Kind::Protocol, true)]);
    assert_eq!(world.vault.journal().len(), 2);
    assert_eq!(world.vault.connections(), 1);
}

#[tokio::test]
async fn answers_are_relayed_byte_for_byte() {
    let throttled = "{\"error\" : {\"code\":\"Throttled\",\"message\":\"caf\\u00e9\"} }\n";
    let claims = "Bearer authorization=\"https://login.microsoftonline.com/t\", \
        error=\"insufficient_claims\",  claims=\"eyJhY2Nlc3NfdG9rZW4iOnt9fQ==\"";
    let challenge = format!("WWW-Authenticate: {claims}");
    let world = Setup::script(move |seen| {
        Reply::Keep(match seen.number {
            0 => answer("429 Too Many Requests", &["Retry-After: 017"], throttled),
            1 => answer("401 Unauthorized", &[&challenge], "{}"),
            2 => answer("404 Not Found", &["x-ms-request-id: 1"], "{\"error\":{}}"),
            3 => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            _ => b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\
                Content-Length: 2\r\nConnection: x-a\r\nx-a: 1\r\n\
                x-ms-keyvault-rbac-cache: ra_age=1\r\n\r\n{}"
                .to_vec(),
        })
    })
    .start()
    .await;
    let mut client = world.client(OWN).await;
    let answer = client.get(OWN, GET).await;
    assert_eq!((answer.status(), answer.text()), (429, throttled));
    assert_eq!(answer.header("retry-after"), Some("017"));
    let answer = client.get(OWN, GET).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.header("www-authenticate"), Some(claims));
    let answer = client.get(OWN, GET).await;
    assert_eq!((answer.status(), answer.text()), (404, "{\"error\":{}}"));
    assert_eq!(answer.header("x-ms-request-id"), Some("1"));
    assert_eq!(client.get(OWN, GET).await.status(), 204);
    let answer = client.get(OWN, GET).await;
    assert_eq!((answer.status(), answer.text()), (200, "{}"));
    assert_eq!(answer.header("x-a"), None);
    assert_eq!(answer.header("link"), None);
    assert_eq!(answer.header("x-ms-keyvault-rbac-cache"), None);
    assert_eq!(world.vault.connections(), 1);
}

#[tokio::test]
async fn a_compressed_answer_passes_as_it_is_under_the_vaults_own_name() {
    let world = Setup::script(|_| {
        Reply::Keep(answer(
            "200 OK",
            &["Content-Encoding: br"],
            "not really brotli",
        ))
    })
    .start()
    .await;
    let mut client = world.client(OWN).await;
    let answer = client
        .ask(format!(
            "GET {GET} HTTP/1.1\r\nHost: {OWN}\r\nAccept-Encoding: br\r\n\r\n"
        ))
        .await;
    assert_eq!(answer.text(), "not really brotli");
    assert_eq!(answer.header("content-encoding"), Some("br"));
    assert_eq!(
        world.vault.journal()[0].header("accept-encoding"),
        Some("br")
    );
}

#[tokio::test]
async fn redirects_and_upgrades_are_never_passed_on() {
    for status in [
        "301 Moved",
        "307 Temporary Redirect",
        "308 x",
        "300 x",
        "305 x",
    ] {
        let redirect = answer(status, &["Location: https://evil.test/"], "");
        assert_eq!(
            refusal(move |_| Reply::Keep(redirect.clone())).await,
            (502, Kind::Redirect, true)
        );
    }
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    assert_eq!(
        refusal(|_| Reply::Keep(upgrade.into())).await,
        (502, Kind::Upgrade, true)
    );
}

#[tokio::test]
async fn an_answer_with_two_readings_is_502() {
    let challenge = "WWW-Authenticate: Bearer resource=\"https://vault.azure.net\"";
    let two = answer("401 Unauthorized", &[challenge, challenge], "{}");
    assert_eq!(
        refusal(move |_| Reply::Keep(two.clone())).await,
        (502, Kind::AnswerHeaders, true)
    );
    for (framing, kind) in [
        ("Content-Length: 2\r\nContent-Length: 3", Kind::Protocol),
        (
            "Content-Length: 2\r\nContent-Length: 2",
            Kind::AnswerHeaders,
        ),
        (
            "Content-Length: 2\r\nTransfer-Encoding: chunked",
            Kind::AnswerHeaders,
        ),
        ("Content-Length: x", Kind::Protocol),
    ] {
        let text = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n0\r\n\r\n");
        assert_eq!(
            refusal(move |_| Reply::Keep(text.clone().into())).await,
            (502, kind, true),
            "{framing}"
        );
    }
    for text in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    ] {
        assert_eq!(
            refusal(|_| Reply::Keep(text.into())).await,
            (502, Kind::Protocol, true),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    for head in [
        "Content-Length: 100\r\n\r\n{\"value\":",
        "Transfer-Encoding: chunked\r\n\r\n9\r\n{\"value\":\r\n",
        // Only the end of the connection would tell the end of this one.
        "Content-Type: text/plain\r\n\r\n{\"value\":",
    ] {
        let text = format!("HTTP/1.1 200 OK\r\n{head}");
        let world = Setup::script(move |_| Reply::Cut(text.clone().into()))
            .start()
            .await;
        let mut client = world.client(OWN).await;
        let answer = client.get(OWN, GET).await;
        assert_eq!((answer.status(), answer.body), (200, None), "{head}");
        world
            .noted(|notes| {
                notes
                    .outcomes
                    .iter()
                    .any(|outcome| outcome.end == BodyEnd::VaultAborted)
            })
            .await;
    }
}

#[tokio::test]
async fn a_vault_that_does_not_begin_to_answer_is_504() {
    let setup = Setup::script(|_| Reply::Hold(Vec::new()))
        .limits(|limits| limits.first_byte_timeout = SHORT);
    assert_eq!(refusal_of(setup).await, (504, Kind::FirstByteTimeout, true));
    let setup =
        Setup::script(|_| Reply::Hold(Vec::new())).limits(|limits| limits.total_timeout = MODERATE);
    assert_eq!(refusal_of(setup).await, (504, Kind::Deadline, true));
}

#[tokio::test]
async fn the_vaults_time_begins_when_the_clients_body_has_ended() {
    let world = Setup::default()
        .limits(|limits| {
            limits.first_byte_timeout = MODERATE;
            limits.idle_timeout = 2 * MODERATE;
        })
        .start()
        .await;
    let mut slow = world.client(OWN).await;
    let head = format!("PUT /secrets/n?api-version=7.4 HTTP/1.1\r\nHost: {OWN}\r\n");
    slow.send(format!("{head}Content-Length: 4\r\n\r\nab"))
        .await;
    world.vault.has_seen(1).await;
    // An idle connection tells that more time has passed than the vault has.
    world.client(OWN).await.closed().await;
    assert_eq!(slow.ask("cd").await.status(), 200);
}

#[tokio::test]
async fn a_vault_that_does_not_end_its_answer_is_cut_off() {
    let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec();
    let world = Setup::script(move |_| Reply::Hold(begun.clone()))
        .limits(|limits| limits.total_timeout = MODERATE)
        .start()
        .await;
    let mut client = world.client(OWN).await;
    let answer = client.get(OWN, GET).await;
    assert_eq!((answer.status(), answer.body), (200, None));
    world
        .noted(|notes| {
            notes
                .outcomes
                .iter()
                .any(|outcome| outcome.end == BodyEnd::Deadline)
        })
        .await;
    world.vault.was_left(1).await;
}

#[tokio::test]
async fn an_untrusted_vault_is_sent_nothing() {
    let other_ca = Setup {
        other_ca: true,
        ..Setup::default()
    };
    assert_eq!(refusal_of(other_ca).await, (502, Kind::Tls, false));
    // The name an endpoint has inside a network is not in a vault's certificate.
    for name in [
        "contoso.privatelink.vaultcore.azure.net",
        "azure.net",
        "localhost",
    ] {
        let other_name = Setup {
            vault_names: vec![name],
            ..Setup::default()
        };
        assert_eq!(refusal_of(other_name).await, (502, Kind::Tls, false));
    }
}

#[tokio::test]
async fn a_vault_that_cannot_be_reached_is_502_or_504() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // It accepts and says nothing: connecting includes the handshake.
    let silent = Setup {
        connect: Some(Target::Address(address)),
        ..Setup::default()
    }
    .limits(|limits| limits.connect_timeout = SHORT);
    assert_eq!(refusal_of(silent).await, (504, Kind::ConnectTimeout, false));
    drop(listener);
    let closed = Setup {
        connect: Some(Target::Address(address)),
        ..Setup::default()
    };
    assert_eq!(refusal_of(closed).await, (502, Kind::Connect, false));
}

#[tokio::test]
async fn a_vault_that_is_this_proxy_is_not_dialled() {
    let itself = Setup {
        connect: Some(Target::Itself),
        ..Setup::default()
    };
    assert_eq!(refusal_of(itself).await, (502, Kind::Loop, false));
}

#[tokio::test]
async fn a_vault_that_shows_our_own_certificate_is_this_proxy_wherever_it_is() {
    let itself = Setup {
        connect: Some(Target::ItselfByDetour),
        ..Setup::default()
    };
    let world = itself.start().await;
    let mut client = world.client(OWN).await;
    assert_eq!(client.get(OWN, GET).await.status(), 502);
    assert_eq!(world.notes().errors, [(Kind::Loop, false)]);
    // It did not come round again.
    assert_eq!(world.notes().requests, 1);
}

#[tokio::test]
async fn a_vault_is_looked_up_at_the_configured_dns_servers() {
    let dns = DnsServer::start(OWN, Ipv4Addr::LOCALHOST).await;
    let world = Setup {
        connect: Some(Target::Dns(dns.address)),
        ..Setup::default()
    };
    let world = world.start().await;
    let host = format!("{OWN}:{}", world.vault.address.port());
    let mut client = world.client(OWN).await;
    assert_eq!(client.get(&host, GET).await.status(), 200);
    assert_eq!(world.vault.journal().len(), 1);
    // Fully qualified: no search domain was tried.
    assert_eq!(dns.asked(), [OWN]);
}

#[tokio::test]
async fn a_name_that_leads_back_to_this_proxy_is_found_out_before_anything_is_sent() {
    let dns = DnsServer::start(OWN, Ipv4Addr::LOCALHOST).await;
    let world = Setup {
        connect: Some(Target::ItselfByDns(dns.address)),
        ..Setup::default()
    };
    let world = world.start().await;
    let host = format!("{OWN}:{}", world.address.port());
    let mut client = world.client(OWN).await;
    assert_eq!(client.get(&host, GET).await.status(), 502);
    assert_eq!(world.notes().errors, [(Kind::Loop, false)]);
    assert_eq!(world.notes().requests, 1);
}

#[tokio::test]
async fn a_name_the_dns_servers_do_not_know_is_no_vault() {
    let dns = DnsServer::start("other.vault.azure.net", Ipv4Addr::LOCALHOST).await;
    let world = Setup {
        connect: Some(Target::Dns(dns.address)),
        ..Setup::default()
    };
    let world = world.start().await;
    let host = format!("{OWN}:{}", world.vault.address.port());
    let mut client = world.client(OWN).await;
    assert_eq!(client.get(&host, GET).await.status(), 502);
    assert_eq!(world.notes().errors, [(Kind::Resolve, false)]);
}
