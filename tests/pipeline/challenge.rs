//! The first call of every SDK: no token, and the answer that says which one to bring.

use portcullis::dev::people;

use crate::site::{SECRET, Site};

const BODY: &str = "{\"error\":{\"code\":\"Unauthorized\",\
    \"message\":\"AKV10000: Request is missing a Bearer or PoP token.\"}}";

impl Site {
    /// What stands in `WWW-Authenticate`.
    pub(crate) fn challenge(&self) -> String {
        format!(
            "Bearer authorization=\"{}\", resource=\"https://vault.azure.net\"",
            self.world.issuer.tenant_url()
        )
    }
}

#[tokio::test]
async fn the_challenge_is_that_of_key_vault_byte_for_byte() {
    let site = Site::start().await;
    let mut wire = site.wire().await;
    let host = site.host();
    let reply = wire
        .ask(format!("GET {SECRET} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
        .await;
    let line = format!("\r\nwww-authenticate: {}\r\n", site.challenge());
    assert_eq!(wire.head.matches(&line).count(), 1, "{}", wire.head);
    assert_eq!(wire.head.matches("www-authenticate").count(), 1);
    assert_eq!(
        reply.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(reply.text(), BODY);
    let record = site.refused(&reply, (401, "no_token"));
    assert_eq!(record["decision"], "challenge");
    assert_eq!(record["caller"], serde_json::Value::Null);
    assert_eq!(record["sub_reason"], serde_json::Value::Null);
}

#[tokio::test]
async fn whatever_comes_without_a_token_is_challenged_before_it_is_looked_at() {
    let site = Site::start().await;
    let mut wire = site.wire().await;
    let host = site.host();
    let asked = [
        "GET /secrets/app-api-key HTTP/1.1\r\n\r\n",
        "PUT /secrets/app-api-key?api-version=7.4 HTTP/1.1\r\nContent-Length: 13\r\n\r\n\
         {\"value\":\"v\"}",
        "GET /secrets/app-api-key?api-version=7.4 HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        "POST /keys/signing/sign HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        "GET /secrets/%2e%2e/;x\\?api-version=latest&api-version=latest HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "BREW /coffee HTTP/1.1\r\n\r\n",
        "POST /keys/restore HTTP/1.1\r\nX-HTTP-Method: DELETE\r\nContent-Length: 0\r\n\r\n",
        "GET /secrets HTTP/1.1\r\nConnection: authorization, keep-alive\r\n\r\n",
    ];
    for request in asked {
        let request = request.replacen("\r\n", &format!("\r\nHost: {host}\r\n"), 1);
        let reply = wire.ask(&request).await;
        let record = site.refused(&reply, (401, "no_token"));
        assert_eq!(reply.text(), BODY, "{request}");
        assert_eq!(
            reply.header("www-authenticate"),
            Some(site.challenge().as_str())
        );
        assert_eq!(record["decision"], "challenge", "{request}");
        assert_eq!(record["op"], serde_json::Value::Null);
    }
    let count = f64::from(u32::try_from(asked.len()).unwrap());
    let metric = async |name, labels: &[&str]| site.metric(name, labels).await;
    assert_eq!(metric("portcullis_challenges_total", &[]).await, count);
    let challenged = ["decision=\"challenge\""];
    assert_eq!(
        metric("portcullis_decisions_total", &challenged).await,
        count
    );
    assert_eq!(metric("portcullis_denials_total", &[]).await, 0.0);
    assert_eq!(metric("portcullis_authn_total", &[]).await, 0.0);
    // What is counted elsewhere, or under no issuer, is no series that stays 0.
    let page = site.admin("/metrics").await;
    for never in ["no_token", "internal"] {
        let series = format!("result=\"{never}\"");
        assert!(!page.text().contains(&series), "{never}");
    }
}

#[tokio::test]
async fn http_2_is_challenged_alike() {
    let site = Site::start().await;
    let mut client = site.http2("localhost").await;
    let uri = format!("{}{SECRET}", site.world.url());
    let reply = client.ask(http::Request::get(uri)).await;
    site.refused(&reply, (401, "no_token"));
    assert_eq!(reply.text(), BODY);
    assert_eq!(
        reply.header("www-authenticate"),
        Some(site.challenge().as_str())
    );
}

#[tokio::test]
async fn a_client_that_was_challenged_goes_on_over_the_same_connection() {
    let site = Site::start().await;
    let mut wire = site.wire().await;
    let host = site.host();
    let put = "PUT /secrets/fresh?api-version=7.4 HTTP/1.1";
    let probe = format!("{put}\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
    let reply = wire.ask(probe).await;
    site.refused(&reply, (401, "no_token"));
    let head = site.head(people::ADMIN, "PUT /secrets/fresh?api-version=7.4");
    let body = "{\"value\":\"v\"}";
    let length = body.len();
    let reply = wire
        .ask(format!("{head}Content-Length: {length}\r\n\r\n{body}"))
        .await;
    assert_eq!(reply.status, 200);
    site.forwarded();
}
