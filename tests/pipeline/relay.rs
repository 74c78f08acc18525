//! The vault's refusals, as the client gets them: byte for byte, asked for once.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use portcullis::dev::people;
use portcullis::dev::vault::Script;
use serde_json::{Value, json};

use crate::site::{Reply, SECRET, Setup, Site};

const PATH: &str = "/secrets/app-api-key";

pub(crate) async fn under_two_names() -> Site {
    Setup {
        vault_host: "portcullis-dev.vault.azure.net",
        ..Setup::default()
    }
    .start()
    .await
}

impl Site {
    /// Has `script` answer `admin` twice, to a client that came by the public name and to one that
    /// came by the vault's own. Each is checked to have reached the vault once.
    async fn under_both_names(&self, script: impl Fn() -> Script) -> [(Reply, Value); 2] {
        let order = || self.world.vault.next_response(PATH, script());
        order();
        let public = self.get(people::ADMIN, SECRET).await;
        let (public_record, _) = self.forwarded();
        order();
        let own = self.get_as_own(people::ADMIN, SECRET).await;
        let (own_record, _) = self.forwarded();
        [(public, public_record), (own, own_record)]
    }
}

/// An error as no serialiser of ours would write it.
fn odd_error(code: &str, inner: Option<&str>) -> Value {
    let mut error = json!({
        "message": "Zeile\r\nKurz \u{e9} <&> \\/ https://portcullis-dev.vault.azure.net/secrets",
        "code": code,
        "extra": [1.50, null],
    });
    if let Some(inner) = inner {
        error["innererror"] = json!({ "code": inner });
    }
    json!({ "error": error, "id": "x" })
}

#[tokio::test]
async fn refusals_of_the_vault_pass_byte_for_byte() {
    let site = under_two_names().await;
    for (status, code, inner, kv_error) in [
        (403, "Forbidden", Some("ForbiddenByRbac"), "ForbiddenByRbac"),
        (
            403,
            "Forbidden",
            Some("ForbiddenByFirewall"),
            "ForbiddenByFirewall",
        ),
        (403, "Forbidden", Some("AccessDenied"), "ForbiddenByPolicy"),
        (404, "SecretNotFound", None, "NotFound"),
        (409, "Conflict", Some("ObjectIsBeingDeleted"), "Conflict"),
        (429, "Throttled", None, "Throttled"),
        (500, "InternalServerError", None, "other"),
        (503, "ServiceUnavailable", None, "other"),
    ] {
        let body = odd_error(code, inner);
        let code = StatusCode::from_u16(status).unwrap();
        let script =
            || Script::json(code, &body).header(RETRY_AFTER, HeaderValue::from_static("17"));
        for (reply, record) in site.under_both_names(script).await {
            assert_eq!(reply.status, status);
            assert_eq!(reply.text(), body.to_string());
            assert_eq!(reply.header("retry-after"), Some("17"));
            assert_eq!(reply.header("x-portcullis-reason"), None);
            assert!(reply.header("x-ms-request-id").is_some());
            let result = site.result_of(&record).await;
            assert_eq!(result["status"], status);
            assert_eq!(result["upstream"]["status"], status);
            assert_eq!(result["upstream"]["kv_error"], kv_error);
            assert_eq!(
                (&result["aborted"], &result["reason"]),
                (&json!(false), &Value::Null)
            );
        }
    }
    for (kind, count) in [
        ("allowed_but_403_rbac", 2.0),
        ("allowed_but_403_firewall", 2.0),
        ("allowed_but_401", 0.0),
    ] {
        let label = format!("kind=\"{kind}\"");
        let counted = site
            .metric("portcullis_upstream_authz_mismatch_total", &[&label])
            .await;
        assert_eq!(counted, count, "{kind}");
    }
    // None of this was a denial of ours.
    assert_eq!(site.metric("portcullis_denials_total", &[]).await, 0.0);
}

#[tokio::test]
async fn a_throttled_answer_without_retry_after_gets_none() {
    let site = under_two_names().await;
    for (wait, header) in [(None, None), (Some(Duration::from_secs(7)), Some("7"))] {
        for (reply, _) in site.under_both_names(|| Script::throttled(wait)).await {
            assert_eq!(reply.status, 429);
            assert_eq!(reply.json()["error"]["code"], "Throttled");
            assert_eq!(reply.header("retry-after"), header);
        }
    }
}

#[tokio::test]
async fn a_claims_challenge_of_the_vault_passes_intact() {
    let site = under_two_names().await;
    let challenge = "Bearer authorization=\"https://login.example/t\", \
                     resource=\"https://vault.azure.net\", error=\"insufficient_claims\", \
                     claims=\"eyJhY2Nlc3NfdG9rZW4iOnt9fQ==\"";
    let script = || Script::challenged(HeaderValue::from_static(challenge));
    for (reply, record) in site.under_both_names(script).await {
        assert_eq!(reply.status, 401);
        let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
        assert_eq!(challenges, [challenge]);
        assert!(reply.message().starts_with("[TokenExpired]"));
        let result = site.result_of(&record).await;
        assert_eq!(result["upstream"]["kv_error"], "Unauthorized");
    }
    let label = "kind=\"allowed_but_401\"";
    let counted = site
        .metric("portcullis_upstream_authz_mismatch_total", &[label])
        .await;
    assert_eq!(counted, 2.0);
    assert_eq!(site.metric("portcullis_challenges_total", &[]).await, 0.0);
}

#[tokio::test]
async fn a_redirect_is_never_passed_on() {
    let site = under_two_names().await;
    for location in ["https://evil.example/", "/secrets/other"] {
        let script = || Script::redirected(HeaderValue::from_static(location));
        for (reply, record) in site.under_both_names(script).await {
            assert_eq!(reply.status, 502);
            assert_eq!(reply.header("location"), None);
            assert_eq!(reply.header("x-portcullis-reason"), Some("upstream_error"));
            assert_eq!(
                reply.header("x-portcullis-decision-id"),
                record["decision_id"].as_str()
            );
            let error = &reply.json()["error"];
            assert_eq!(error["code"], "BadGateway");
            assert_eq!(error["innererror"]["code"], "RefusedByPortcullis");
            let result = site.result_of(&record).await;
            assert_eq!(
                (&result["status"], &result["reason"]),
                (&json!(502), &json!("upstream_error"))
            );
            assert_eq!(result["upstream"]["sent"], true);
        }
    }
}

#[tokio::test]
async fn an_answer_in_pieces_or_compressed_says_the_same() {
    let site = under_two_names().await;
    let whole = site.get_as_own(people::ADMIN, SECRET).await;
    let rewritten = site.get(people::ADMIN, SECRET).await;
    site.forget();
    assert_ne!(whole.text(), rewritten.text());
    let [(public, _), (own, _)] = site.under_both_names(|| Script::genuine().chunked(7)).await;
    assert_eq!(public.text(), rewritten.text());
    assert_eq!(own.text(), whole.text());
    assert_eq!(own.header("transfer-encoding"), Some("chunked"));
    let gzipped = || Script::genuine().gzip().chunked(11);
    let [(public, _), (own, _)] = site.under_both_names(gzipped).await;
    // Links cannot be rewritten in what is compressed.
    assert_eq!(public.header("content-encoding"), None);
    assert_eq!(public.text(), rewritten.text());
    assert_eq!(own.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(own.bytes());
    std::io::Read::read_to_string(&mut decoder, &mut text).unwrap();
    assert_eq!(text, whole.text());
}
