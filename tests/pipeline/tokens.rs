//! Tokens that are refused at the door, with Key Vault's words and Key Vault's challenge.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::dev::people;
use serde_json::{Map, Value, json};

use crate::site::{SECRET, Site};

const OTHER_TENANT: &str = "c8b1f4e6-3a07-4d92-8e5b-f60d92a7c314";

/// What `Authorization` says, what is answered, and what the record and the metrics call it.
struct Case {
    authorization: String,
    reason: &'static str,
    message: String,
    detail: &'static str,
}

impl Site {
    /// An administrator's token with something changed.
    fn changed(&self, change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut claims = self.claims(people::ADMIN);
        change(&mut claims);
        format!("Bearer {}", self.mint(&claims))
    }

    /// An administrator's token under another header, with the signature as it was.
    fn reheaded(&self, header: &Value) -> String {
        let token = self.token(people::ADMIN);
        let (_, rest) = token.split_once('.').unwrap();
        format!(
            "Bearer {}.{rest}",
            URL_SAFE_NO_PAD.encode(header.to_string())
        )
    }
}

fn bad(detail: &'static str, message: impl Into<String>, authorization: String) -> Case {
    Case {
        authorization,
        reason: "bad_token",
        message: message.into(),
        detail,
    }
}

fn pop(authorization: String) -> Case {
    let message = "A proof-of-possession token cannot pass this proxy; a Bearer token is expected.";
    Case {
        reason: "pop_unsupported",
        ..bad("pop", message, authorization)
    }
}

/// Claims that are out of their time or incomplete.
fn of_claims(site: &Site) -> Vec<Case> {
    let now = site.claims(people::ADMIN)["iat"].as_i64().unwrap() + 300;
    let set = |name: &'static str, value: Value| {
        site.changed(|claims| drop(claims.insert(name.to_owned(), value)))
    };
    vec![
        bad(
            "expired",
            "[TokenExpired] Error validating token: 'S2S12086'.",
            set("exp", json!(now - 60)),
        ),
        bad(
            "not_yet",
            "Token not yet valid.",
            set("nbf", json!(now + 61)),
        ),
        bad(
            "missing_claim",
            "The token lacks `oid`.",
            site.changed(|claims| drop(claims.remove("oid"))),
        ),
        pop(set("cnf", json!({ "kid": "x" }))),
    ]
}

/// Claims of another place.
fn of_origin(site: &Site) -> Vec<Case> {
    let expected = site.world.issuer.issuer();
    let other = format!("https://sts.windows.net/{OTHER_TENANT}/");
    let invalid_issuer =
        format!("AKV10032: Invalid issuer. Expected one of {expected}, found {other}.");
    let set = |name: &'static str, value: Value| {
        site.changed(|claims| drop(claims.insert(name.to_owned(), value)))
    };
    vec![
        bad(
            "bad_aud",
            "AKV10022: Invalid audience. Expected https://vault.azure.net or \
             cfa8b339-82a2-471a-a3c9-0fc0be7a4093, found: https://management.azure.com/.",
            set("aud", json!("https://management.azure.com/")),
        ),
        bad("bad_iss", &*invalid_issuer, set("iss", json!(other))),
        Case {
            reason: "wrong_tenant",
            ..bad(
                "bad_tid",
                "The token is of another tenant.",
                set("tid", json!(OTHER_TENANT)),
            )
        },
        Case {
            reason: "wrong_tenant",
            ..bad(
                "bad_tid",
                &*invalid_issuer,
                site.changed(|claims| {
                    claims.insert("iss".into(), json!(other));
                    claims.insert("tid".into(), json!(OTHER_TENANT));
                }),
            )
        },
    ]
}

fn of_form(site: &Site) -> Vec<Case> {
    let token = site.token(people::ADMIN);
    let (unsigned, _) = token.rsplit_once('.').unwrap();
    let header: Value = {
        let (header, _) = token.split_once('.').unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
    };
    let with = |name: &str, value: &str| {
        let mut header = header.clone();
        header[name] = value.into();
        site.reheaded(&header)
    };
    let algorithm = "The token's signature algorithm is not accepted.";
    vec![
        bad("alg", algorithm, with("alg", "none")),
        bad("alg", algorithm, with("alg", "HS256")),
        bad(
            "malformed",
            "The token is malformed.",
            format!("Bearer {unsigned}."),
        ),
        bad(
            "bad_sig",
            "The token could not be validated.",
            with("typ", "jwt"),
        ),
        bad(
            "unknown_kid",
            "AKV10046: Unable to resolve the key used for signature validation.",
            with("kid", "somebody-elses"),
        ),
        pop(format!("PoP {token}")),
        bad(
            "scheme",
            "The Authorization header does not have the form `Bearer <token>`.",
            format!("Basic {token}"),
        ),
        bad(
            "malformed",
            "The token is malformed.",
            format!("Bearer {token}, Bearer {token}"),
        ),
        bad(
            "repeated",
            "Exactly one Authorization header is expected.",
            format!("Bearer {token}\r\nauthorization: Bearer {token}"),
        ),
    ]
}

#[tokio::test]
async fn a_token_that_is_not_good_is_401_with_the_challenge_and_key_vaults_words() {
    let site = Site::start().await;
    let host = site.host();
    let challenge = site.challenge();
    let mut cases = of_claims(&site);
    cases.extend(of_origin(&site));
    cases.extend(of_form(&site));
    assert_eq!(cases.len(), 17);
    for case in cases {
        let Case { detail, .. } = case;
        let reply = site
            .ask(&format!(
                "GET {SECRET} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {}\r\n",
                case.authorization
            ))
            .await;
        let record = site.refused(&reply, (401, case.reason));
        let expected = json!({ "error": { "code": "Unauthorized", "message": case.message } });
        assert_eq!(reply.json(), expected, "{detail}");
        let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
        assert_eq!(challenges, [&challenge], "{detail}");
        assert_eq!(record["decision"], "deny", "{detail}");
        assert_eq!(record["sub_reason"], detail);
        assert_eq!(record["caller"], Value::Null, "{detail}");
    }
    assert_eq!(site.metric("portcullis_challenges_total", &[]).await, 0.0);
    let wrong = ["reason=\"wrong_tenant\"", "operation=\"unknown\""];
    assert_eq!(site.metric("portcullis_denials_total", &wrong).await, 2.0);
    let authn = async |labels: &[&str]| site.metric("portcullis_authn_total", labels).await;
    assert_eq!(authn(&["result=\"expired\""]).await, 1.0);
    // Also what is refused before it is read as a token: its owners need to be found.
    assert_eq!(authn(&["result=\"scheme\""]).await, 1.0);
    assert_eq!(authn(&["result=\"repeated\""]).await, 1.0);
    assert_eq!(authn(&[]).await, 17.0);
}

#[tokio::test]
async fn a_token_ends_while_it_is_cached() {
    let site = Site::start().await;
    let token = site.token(people::ADMIN);
    let get = async || crate::site::read(site.request("GET", SECRET).bearer_auth(&token)).await;
    assert_eq!(get().await.status, 200);
    site.forwarded();
    site.clock
        .advance(std::time::Duration::from_secs(3600 + 59));
    assert_eq!(get().await.status, 200);
    site.forwarded();
    site.clock.advance(std::time::Duration::from_secs(1));
    let record = site.refused(&get().await, (401, "bad_token"));
    assert_eq!(record["sub_reason"], "expired");
}
