//! Answers to clients that came by another name than the vault's own.

use std::io::Write;

use portcullis::proxy::upstream::UpstreamErrorKind as Kind;

use crate::gate::{OWN, PUBLIC, Setup};
use crate::vault::{Reply, answer};

const LIST: &str = "/secrets?api-version=7.4";
const JSON: &str = "Content-Type: application/json; charset=utf-8";

/// The vault's text, and the status and text that a client under the other name gets.
async fn relayed(reply: Vec<u8>) -> (u16, String) {
    let world = Setup::script(move |_| Reply::Keep(reply.clone()))
        .start()
        .await;
    let public = world.public();
    let mut client = world.client(PUBLIC).await;
    let answer = client.get(&public, LIST).await;
    let text = answer.text().replace(&public, "{public}");
    (answer.status(), text)
}

async fn refused(reply: Vec<u8>) -> Kind {
    let world = Setup::script(move |_| Reply::Keep(reply.clone()))
        .start()
        .await;
    let mut client = world.client(PUBLIC).await;
    assert_eq!(client.get(&world.public(), LIST).await.status(), 502);
    world.notes().errors[0].0
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A gzipped answer in two chunks, against what was asked for.
fn gzipped_in_chunks(text: &str) -> Vec<u8> {
    let zipped = gzip(text);
    let (first, second) = zipped.split_at(zipped.len() / 2);
    let mut reply = format!(
        "HTTP/1.1 200 OK\r\n{JSON}\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\
         Content-MD5: AAAA\r\n\r\n{:x}\r\n",
        first.len()
    )
    .into_bytes();
    reply.extend_from_slice(first);
    reply.extend_from_slice(format!("\r\n{:x}\r\n", second.len()).as_bytes());
    reply.extend_from_slice(second);
    reply.extend_from_slice(b"\r\n0\r\n\r\n");
    reply
}

#[tokio::test]
async fn a_gzipped_and_chunked_page_leads_back_here() {
    let page = format!(
        "{{\"value\":[{{\"id\":\"https://{OWN}/secrets/a\"}}],\
         \"nextLink\":\"https://{OWN}:443/secrets?$skiptoken=x\"}}"
    );
    let reply = gzipped_in_chunks(&page);
    let world = Setup::script(move |_| Reply::Keep(reply.clone()))
        .start()
        .await;
    let public = world.public();
    let mut client = world.client(PUBLIC).await;
    let answer = client
        .ask(format!(
            "GET {LIST} HTTP/1.1\r\nHost: {public}\r\nAccept-Encoding: gzip\r\n\r\n"
        ))
        .await;
    let expected = format!(
        "{{\"value\":[{{\"id\":\"https://{public}/secrets/a\"}}],\
         \"nextLink\":\"https://{public}/secrets?$skiptoken=x\"}}"
    );
    assert_eq!(answer.text(), expected);
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.header("content-md5"), None);
    assert_eq!(
        answer.header("content-length"),
        Some(&*expected.len().to_string())
    );
    let seen = &world.vault.journal()[0];
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert_eq!(seen.header("host"), Some(OWN));
}

#[tokio::test]
async fn under_the_vaults_own_name_nothing_changes() {
    let page = format!("{{\"nextLink\":\"https://{OWN}:443/secrets\",\"id\":\"https://{OWN}/a\"}}");
    let reply = answer("200 OK", &[JSON], &page);
    let world = Setup::script(move |_| Reply::Keep(reply.clone()))
        .start()
        .await;
    let mut client = world.client(OWN).await;
    assert_eq!(client.get(OWN, LIST).await.text(), page);
}

#[tokio::test]
async fn a_secret_that_is_a_link_survives() {
    let value = format!("https://{OWN}:443/secrets/n");
    let secret = format!(
        "{{\"value\":\"{value}\",\"tags\":{{\"id\":\"{value}\"}},\"id\":\"https://{OWN}/secrets/n/0\"}}"
    );
    let expected = format!(
        "{{\"value\":\"{value}\",\"tags\":{{\"id\":\"{value}\"}},\"id\":\"https://{{public}}/secrets/n/0\"}}"
    );
    assert_eq!(
        relayed(answer("200 OK", &[JSON], &secret)).await,
        (200, expected)
    );
}

#[tokio::test]
async fn ids_stay_when_they_shall() {
    let page = format!("{{\"id\":\"https://{OWN}/a\",\"nextLink\":\"https://{OWN}/b\"}}");
    let reply = answer("200 OK", &[JSON], &page);
    let world = Setup {
        rewrite_ids: false,
        ..Setup::script(move |_| Reply::Keep(reply.clone()))
    }
    .start()
    .await;
    let public = world.public();
    let answer = world.client(PUBLIC).await.get(&public, LIST).await;
    assert_eq!(
        answer.text(),
        format!("{{\"id\":\"https://{OWN}/a\",\"nextLink\":\"https://{public}/b\"}}")
    );
}

#[tokio::test]
async fn a_location_leads_back_here_or_nowhere() {
    let pending = "/certificates/c/pending?api-version=7.4&request_id=1";
    let location = format!("Location: https://{OWN}{pending}");
    let reply = answer("202 Accepted", &[JSON, &location, "Retry-After: 10"], "{}");
    let world = Setup::script(move |_| Reply::Keep(reply.clone()))
        .start()
        .await;
    let public = world.public();
    let answered = world.client(PUBLIC).await.get(&public, LIST).await;
    assert_eq!(
        answered.header("location"),
        Some(&*format!("https://{public}{pending}"))
    );
    assert_eq!(answered.header("retry-after"), Some("10"));
    let foreign = answer("202 Accepted", &["Location: https://evil.test/"], "{}");
    assert_eq!(refused(foreign).await, Kind::ForeignLink);
}

#[tokio::test]
async fn a_next_link_elsewhere_is_502() {
    let page = "{\"value\":[],\"nextLink\":\"https://evil.test/secrets\"}";
    assert_eq!(
        refused(answer("200 OK", &[JSON], page)).await,
        Kind::ForeignLink
    );
    // Without a type some clients read JSON all the same.
    assert_eq!(
        refused(answer("200 OK", &[], page)).await,
        Kind::ForeignLink
    );
    assert_eq!(refused(gzipped_in_chunks(page)).await, Kind::ForeignLink);
}

#[tokio::test]
async fn answers_that_cannot_be_looked_into_are_502() {
    let brotli = answer("200 OK", &[JSON, "Content-Encoding: br"], "{}");
    assert_eq!(refused(brotli).await, Kind::AnswerCoding);
    let broken = answer("200 OK", &[JSON], "{\"nextLink\":");
    assert_eq!(refused(broken).await, Kind::AnswerMalformed);
    let bomb = gzipped_in_chunks(&" ".repeat(5 * 1024 * 1024));
    assert_eq!(refused(bomb).await, Kind::AnswerTooLarge);
    let large = answer("200 OK", &[JSON], &" ".repeat(5 * 1024 * 1024));
    assert_eq!(refused(large).await, Kind::AnswerTooLarge);
    let mut cut = answer("200 OK", &[JSON], "{\"value\":[]}");
    cut.pop();
    let world = Setup::script(move |_| Reply::Cut(cut.clone()))
        .start()
        .await;
    let answer = world.client(PUBLIC).await.get(&world.public(), LIST).await;
    assert_eq!(answer.refusal(), (502, "answer_aborted"));
}

#[tokio::test]
async fn errors_and_other_types_pass_as_they_are() {
    let html = "<a href=\"https://contoso.vault.azure.net/\">{";
    for (status, headers) in [
        ("503 Service Unavailable", [JSON]),
        ("200 OK", ["Content-Type: application/pkcs10"]),
    ] {
        let code: u16 = status.split(' ').next().unwrap().parse().unwrap();
        let reply = answer(status, &headers, html);
        assert_eq!(relayed(reply).await, (code, html.to_owned()));
    }
    let empty = answer("200 OK", &[JSON], "");
    assert_eq!(relayed(empty).await, (200, String::new()));
}
