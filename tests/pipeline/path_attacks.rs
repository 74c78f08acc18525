//! Request lines with two readings, sent by somebody who may do everything: what is refused here is
//! refused for its form.

use portcullis::dev::people;

use crate::site::{SECRET, Site, VERSION};

#[tokio::test]
async fn a_path_with_two_readings_is_refused() {
    let site = Site::start().await;
    for path in [
        "/secrets/%61pp-api-key",
        "/secrets/app%2dapi-key",
        "/secrets/a%2F..%2Fapp-api-key",
        "/secrets%2Fapp-api-key",
        "/secrets/x/../app-api-key",
        "/secrets/../keys/signing",
        "/secrets/./app-api-key",
        "/./secrets/app-api-key",
        "/secrets/%2e%2e/keys",
        "/secrets/.%2e/keys",
        "/secrets/%252e%252e/keys",
        "/secrets/app-api-key%00",
        "/secrets/app-api-key%0d%0aX:%201",
        "/secrets/app-api-key%3Fx",
        "/secrets/app-api-key%23x",
        "/secrets/app-api-key;v=1",
        "/secrets;x/app-api-key",
        "/secrets/..;/keys/signing",
        "/secrets\\app-api-key",
        "/secrets/x\\..\\app-api-key",
        "/secrets/x%5Capp-api-key",
        "///secrets/app-api-key",
        "//secrets//app-api-key",
        "/secrets//app-api-key",
        "/secrets/app-api-key//",
        "/secrets/",
        "/keys/signing///sign",
        "/secrets/app_api_key",
        "/secrets/app.api.key",
        "/",
        "//",
    ] {
        let reply = site
            .ask(&site.head(people::ADMIN, &format!("GET {path}?{VERSION}")))
            .await;
        let record = site.refused(&reply, (400, "bad_path"));
        assert_eq!(reply.json()["error"]["code"], "BadParameter", "{path}");
        let inner = &reply.json()["error"]["innererror"]["code"];
        assert_eq!(inner, "RefusedByPortcullis");
        // Somebody tried: the record knows who, and not what.
        assert_eq!(record["caller"]["oid"], people::ADMIN.object_id.to_string());
        assert_eq!(record["op"], serde_json::Value::Null, "{path}");
    }
    let labels = ["reason=\"bad_path\""];
    assert_eq!(site.metric("portcullis_denials_total", &labels).await, 31.0);
}

#[tokio::test]
async fn a_target_that_is_no_path_is_refused() {
    let site = Site::start().await;
    let host = site.host();
    for request_line in ["OPTIONS *", &format!("CONNECT {host}")] {
        let reply = site.ask(&site.head(people::ADMIN, request_line)).await;
        site.refused(&reply, (400, "bad_path"));
    }
}

#[tokio::test]
async fn what_is_no_operation_is_refused() {
    let site = Site::start().await;
    for request_line in [
        "GET /secrets/app-api-key/not-a-version",
        "POST /secrets/app-api-key",
        "PUT /secrets",
        "PATCH /secrets",
        "BREW /secrets/app-api-key",
        "HEAD /secrets/app-api-key",
        "GET /nothing",
        "GET /secrets/app-api-key/versions/1d89273b3c364e018f939c2f0d151622",
        "GET /metrics",
        "POST /rng",
        "POST /keys/signing/1d89273b3c364e018f939c2f0d151622/export",
    ] {
        let head = site.head(people::ADMIN, &format!("{request_line}?{VERSION}"));
        let mut wire = site.wire().await;
        wire.send(format!("{head}Content-Length: 0\r\n\r\n")).await;
        let reply = if request_line.starts_with("HEAD") {
            // An answer to HEAD has the head alone.
            let head = wire.answer_head().await;
            assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
            assert!(head.contains("\r\nx-portcullis-reason: unknown_operation\r\n"));
            assert_eq!(site.decision()["reason"], "unknown_operation");
            continue;
        } else {
            wire.answer().await
        };
        site.refused(&reply, (400, "unknown_operation"));
    }
    assert_eq!(site.world.vault.journal_len(), 0);
}

#[tokio::test]
async fn a_head_with_two_readings_never_becomes_a_request() {
    let site = Site::start().await;
    let lines = [
        ("GET /secrets/app-api-key#/../x", "fragment"),
        ("GET /secrets/app-api-key?api-version=7.4#x", "fragment"),
        ("GET /secrets/app-api-key /x", "bad_request_line"),
        ("GET /secrets/app-\u{e4}pi-key", "bad_request_line"),
        ("GET /secrets/app\u{7f}api-key", "bad_line"),
    ];
    for (request_line, defect) in lines {
        let mut wire = site.wire().await;
        let head = site.head(people::ADMIN, request_line);
        let reply = wire.ask(format!("{head}\r\n")).await;
        assert_eq!(
            (reply.status, reply.bytes()),
            (400, &b""[..]),
            "{request_line}"
        );
        wire.closed().await;
        let label = format!("defect=\"{defect}\"");
        let counted = site
            .metric("portcullis_malformed_requests_total", &[&label])
            .await;
        assert!(counted >= 1.0, "{request_line}");
    }
    let all = site
        .metric("portcullis_malformed_requests_total", &[])
        .await;
    assert_eq!(all, 5.0);
    // There was nothing to decide on.
    assert_eq!(site.lines().len(), 0);
    assert_eq!(site.world.vault.journal_len(), 0);
}

#[tokio::test]
async fn a_query_with_two_readings_is_refused() {
    let site = Site::start().await;
    for query in [
        "",
        "?",
        "?api-version",
        "?api-version=",
        "?api-version=latest",
        "?api-version=7.4&api-version=7.4",
        "?api-version=7.4&api-version=7.5",
        "?api-version=7.4&api%2Dversion=7.4",
        "?API-VERSION=7.4",
        "?api-version=7.4&x=/secrets/public",
        "?api-version=7.4&X-HTTP-Method=DELETE",
        "?api-version=7.4%26x=1",
        "?api-version=7.4;x=1",
        "?api-version=7.4&$skiptoken=%0d%0aX:1",
        "?api-version=7.4&$skiptoken=%zz",
        "?api-version=7.4&maxresults=1&maxresults=2",
        "?api-version=7.4&maxresults=26",
    ] {
        let request_line = format!("GET /secrets/app-api-key{query}");
        let reply = site.ask(&site.head(people::ADMIN, &request_line)).await;
        let record = site.refused(&reply, (400, "bad_query"));
        assert_eq!(record["op"], serde_json::Value::Null, "{query}");
    }
}

#[tokio::test]
async fn http_2_has_the_same_rules() {
    let site = Site::start().await;
    let mut client = site.http2("localhost").await;
    let token = format!("Bearer {}", site.token(people::ADMIN));
    let url = site.world.url();
    for (target, reason) in [
        ("/secrets/app%2Dapi-key?api-version=7.4", "bad_path"),
        ("/secrets/x/../app-api-key?api-version=7.4", "bad_path"),
        ("/secrets/%2e%2e/keys?api-version=7.4", "bad_path"),
        ("/secrets;x/app-api-key?api-version=7.4", "bad_path"),
        ("/secrets//app-api-key?api-version=7.4", "bad_path"),
        (
            "/secrets/app-api-key?api-version=7.4&api-version=7.4",
            "bad_query",
        ),
        ("/nothing?api-version=7.4", "unknown_operation"),
    ] {
        let request = http::Request::get(format!("{url}{target}")).header("authorization", &token);
        site.refused(&client.ask(request).await, (400, reason));
    }
    let request = http::Request::get(format!("{url}{SECRET}")).header("authorization", &token);
    assert_eq!(client.ask(request).await.status, 200);
    let (_, entry) = site.forwarded();
    assert_eq!(entry.path_and_query, SECRET);
}
