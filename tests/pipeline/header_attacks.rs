//! Headers that would have another request run than the one that was authorized.

use portcullis::dev::people;

use crate::site::{SECRET, Site, VERSION, read};

/// A POST that `admin` may send, and that the vault would run as another one if it were told to.
const POST: &str = "POST /secrets/app-api-key/backup?api-version=7.4";

#[tokio::test]
async fn a_method_override_is_refused_in_every_spelling() {
    let site = Site::start().await;
    let spellings = [
        "X-HTTP-Method",
        "x-http-method",
        "X-HTTP-Request",
        "X-HTTP-Method-Override",
        "X-HTTP-METHOD-OVERRIDE",
        "X-Method-Override",
        "X_HTTP_METHOD",
        "X_HTTP_Request",
        "x_http_method_override",
        "X-HTTP_Method-Override",
        "X_Method_Override",
        "X-Method_Override",
    ];
    for name in spellings {
        for verb in ["DELETE", "delete", "POST", ""] {
            let head = site.head(people::ADMIN, POST);
            let reply = site
                .ask(&format!("{head}{name}: {verb}\r\nContent-Length: 0\r\n"))
                .await;
            site.refused(&reply, (400, "method_override"));
        }
    }
    // Nor does it help to have the header called one of this connection alone, or to say GET.
    let head = site.head(people::ADMIN, POST);
    let hop = "Connection: x-http-method\r\nX-HTTP-Method: DELETE\r\nContent-Length: 0\r\n";
    let reply = site.ask(&format!("{head}{hop}")).await;
    site.refused(&reply, (400, "method_override"));
    let head = site.head(people::SECRETS_USER, &format!("GET {SECRET}"));
    let reply = site.ask(&format!("{head}X-HTTP-Method: DELETE\r\n")).await;
    site.refused(&reply, (400, "method_override"));
}

#[tokio::test]
async fn the_vault_would_have_obeyed_a_method_override() {
    let site = Site::start().await;
    let url = format!("https://{}/secrets/app-api-key?{VERSION}", site.own_host());
    let request = site.client.post(url).header("x-http-method", "DELETE");
    let reply = read(request.bearer_auth(site.token(people::ADMIN))).await;
    assert_eq!(reply.status, 200);
    assert!(reply.json()["recoveryId"].is_string());
}

#[tokio::test]
async fn a_method_override_is_refused_over_http_2() {
    let site = Site::start().await;
    let mut client = site.http2("localhost").await;
    let token = format!("Bearer {}", site.token(people::ADMIN));
    let uri = format!("{}/secrets/app-api-key/backup?{VERSION}", site.world.url());
    for name in ["x-http-method", "x_http_method_override"] {
        let request = http::Request::post(&uri)
            .header("authorization", &token)
            .header(name, "DELETE");
        site.refused(&client.ask(request).await, (400, "method_override"));
    }
}

#[tokio::test]
async fn connection_may_not_name_what_the_request_means() {
    let site = Site::start().await;
    for value in [
        "authorization",
        "Authorization",
        "keep-alive, AUTHORIZATION",
        "host",
        "close,Host ",
        "content-length",
        "content-type",
        "transfer-encoding",
    ] {
        let head = site.head(people::ADMIN, &format!("GET {SECRET}"));
        let reply = site.ask(&format!("{head}Connection: {value}\r\n")).await;
        site.refused(&reply, (400, "bad_header"));
    }
}

#[tokio::test]
async fn headers_with_two_readings_are_refused() {
    let site = Site::start().await;
    for (headers, reason) in [
        ("Content-Type: a/b\r\nContent-Type: a/c", "bad_header"),
        ("Upgrade: websocket\r\nConnection: upgrade", "bad_header"),
        ("Upgrade: h2c", "bad_header"),
        ("TE: gzip", "bad_header"),
        ("Expect: miracles", "bad_header"),
        ("Content-Length: 2\r\n\r\n{}", "bad_body"),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0", "bad_body"),
    ] {
        let head = site.head(people::ADMIN, &format!("GET {SECRET}"));
        let reply = site.ask(&format!("{head}{headers}\r\n")).await;
        site.refused(&reply, (400, reason));
    }
}

#[tokio::test]
async fn a_body_smuggled_behind_a_refusal_is_no_request() {
    let site = Site::start().await;
    let smuggled = format!("{}\r\n", site.head(people::ADMIN, &format!("GET {SECRET}")));
    let length = smuggled.len();
    let head = site.head(people::NOBODY, &format!("PUT {SECRET}"));
    let mut wire = site.wire().await;
    let reply = wire
        .ask(format!("{head}Content-Length: {length}\r\n\r\n{smuggled}"))
        .await;
    site.refused(&reply, (403, "no_assignment"));
    // The connection goes on behind the body.
    let head = site.head(people::NOBODY, &format!("GET {SECRET}"));
    let reply = wire.ask(format!("{head}\r\n")).await;
    site.refused(&reply, (403, "no_assignment"));
}

#[tokio::test]
async fn a_token_is_taken_from_authorization_alone() {
    let site = Site::start().await;
    let (host, token) = (site.host(), site.token(people::ADMIN));
    for name in [
        "Proxy-Authorization",
        "X-Authorization",
        "X-Forwarded-Authorization",
        "Authorization_",
    ] {
        let reply = site
            .ask(&format!(
                "GET {SECRET} HTTP/1.1\r\nHost: {host}\r\n{name}: Bearer {token}\r\n"
            ))
            .await;
        site.refused(&reply, (401, "no_token"));
    }
    let reply = site
        .ask(&format!(
            "GET /secrets?{VERSION}&access_token={token} HTTP/1.1\r\nHost: {host}\r\n"
        ))
        .await;
    site.refused(&reply, (401, "no_token"));
}
