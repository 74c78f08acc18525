//! What is refused for its header or its signature.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::authn::TokenDefect as Defect;
use serde_json::{Value, json};

use crate::Bench;
use crate::refused::refuse;
use crate::support::key_server::{Answer, KeyServer};
use crate::support::tokens::{ALPHA, BETA, Draft, OTHER_TENANT, issuer, jwks, signed_part};

fn alg(name: &str) -> Draft {
    Draft::new().header("alg", name)
}

fn header(name: &str, value: impl Into<Value>) -> String {
    Draft::new().header(name, value).signed()
}

/// A token whose signature is made by other means.
fn with_signature(draft: &Draft, sign: impl FnOnce(&str) -> Vec<u8>) -> String {
    let message = signed_part(&draft.header_text(), &draft.payload_text());
    let signature = URL_SAFE_NO_PAD.encode(sign(&message));
    format!("{message}.{signature}")
}

fn hmac_with(secret: &[u8]) -> impl FnOnce(&str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    move |message| hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
}

fn ecdsa(message: &str) -> Vec<u8> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let signature = key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    signature.as_ref().to_vec()
}

#[tokio::test]
async fn another_algorithm_is_refused_whatever_the_key() {
    let modulus = ALPHA.jwk()["n"].as_str().unwrap().to_owned();
    let (hs256, es256) = (alg("HS256"), alg("ES256"));
    let hs = |secret: &[u8]| with_signature(&hs256, hmac_with(secret));
    let mut tokens = vec![
        ("HS256, DER as secret", hs(&ALPHA.public_der())),
        ("HS256, modulus as secret", hs(modulus.as_bytes())),
        ("HS256, empty secret", hs(b"")),
        ("HS256, RSA signature", hs256.signed()),
        ("ES256, EC signature", with_signature(&es256, ecdsa)),
        ("ES256, RSA signature", es256.signed()),
        ("a list", header("alg", json!(["RS256"]))),
        ("null", header("alg", Value::Null)),
    ];
    for name in ["none", "None", "NONE", "nOnE", ""] {
        tokens.push((name, with_signature(&alg(name), |_| Vec::new())));
        tokens.push((name, alg(name).signed()));
    }
    for name in [
        "rs256", "RS384", "RS512", "PS256", "EdDSA", "RSA1_5", "RS256 ",
    ] {
        tokens.push((name, alg(name).signed()));
    }
    refuse(Defect::Algorithm, tokens).await;
}

#[tokio::test]
async fn a_foreign_or_broken_signature_is_refused() {
    let draft = Draft::new();
    let unsigned = signed_part(&draft.header_text(), &draft.payload_text());
    let other = draft.clone().claim("oid", OTHER_TENANT).signed();
    let others = other.rsplit_once('.').unwrap().1;
    let embedded = |name: &str, value: Value| draft.clone().header(name, value).signed_by(&BETA);
    let url = || json!("https://127.0.0.1:1/keys");
    let hs = with_signature(&draft, hmac_with(&ALPHA.public_der()));
    let tokens = [
        ("another key under the known kid", draft.signed_by(&BETA)),
        ("embedded jwk", embedded("jwk", BETA.jwk())),
        ("embedded x5c", embedded("x5c", json!(["AAAA"]))),
        ("jku", embedded("jku", url())),
        ("x5u", embedded("x5u", url())),
        ("none", format!("{unsigned}.")),
        ("short", format!("{unsigned}.AAAA")),
        ("zero", format!("{unsigned}.{}", "A".repeat(342))),
        ("another payload's", format!("{unsigned}.{others}")),
        ("an HMAC value", hs),
        ("an EC value", with_signature(&draft, ecdsa)),
    ];
    refuse(Defect::Signature, tokens).await;
}

#[tokio::test]
async fn a_kid_is_a_name_in_the_issuers_set_and_nothing_else() {
    let tricks = [
        "beta-key",
        "ALPHA-KEY",
        "alpha-key ",
        " alpha-key",
        "alpha-key\u{0}",
        "alpha-key\r\nx: y",
        "\u{1b}[2J",
        "../../../../dev/null",
        "keys.json",
        "/etc/passwd",
        "file:///dev/null",
        "https://127.0.0.1:1/keys",
        "' OR '1'='1",
        "alpha-ke\u{443}",
        "${jndi:ldap://127.0.0.1:1/a}",
    ];
    let tokens = tricks.into_iter().map(|kid| (kid, header("kid", kid)));
    refuse(Defect::UnknownKey, tokens).await;
    let own = Draft::new().header("kid", &*BETA.kid);
    let own = own.header("jwk", BETA.jwk()).signed_by(&BETA);
    refuse(Defect::UnknownKey, [("its own key", own)]).await;
    let absent = Draft::new().without_header("kid").signed();
    refuse(Defect::MissingClaim, [("absent", absent)]).await;
    let tokens = [
        ("a number", header("kid", 1)),
        ("null", header("kid", Value::Null)),
        ("a list", header("kid", json!([ALPHA.kid]))),
        ("empty", header("kid", "")),
        ("257 bytes", header("kid", "k".repeat(257))),
    ];
    refuse(Defect::Malformed, tokens).await;
}

#[tokio::test]
async fn an_address_in_a_token_is_never_visited() {
    let server = KeyServer::start().await;
    server.say_keys(jwks(&[&ALPHA]));
    server.say("/evil", Answer::Body(jwks(&[&BETA])));
    let bench = Bench::ready(&[issuer(server.jwks(), Some(server.ca_file.clone()))]).await;
    let evil = server.url("/evil");
    for kid in [&*BETA.kid, &*ALPHA.kid] {
        let draft = Draft::new()
            .header("kid", kid)
            .header("jku", &*evil)
            .header("x5u", &*evil)
            .claim("_claim_names", json!({"groups": "src1"}))
            .claim("_claim_sources", json!({"src1": {"endpoint": evil}}));
        assert!(bench.judge(&draft.signed_by(&BETA)).await.is_err());
        let _ = bench.judge(&draft.signed()).await;
    }
    assert!(server.paths().iter().all(|path| path == "/keys"));
}

#[tokio::test]
async fn a_header_that_changes_the_meaning_is_refused() {
    let tokens = [
        ("crit", header("crit", json!(["exp"]))),
        ("crit, empty", header("crit", json!([]))),
        ("crit, null", header("crit", Value::Null)),
        ("b64", header("b64", false)),
        ("compressed", header("zip", "DEF")),
        ("encrypted", header("enc", "A256GCM")),
        ("nested", header("cty", "JWT")),
        ("typ pop", header("typ", "pop")),
        ("typ id_token", header("typ", "id_token+jwt")),
        ("typ JOSE", header("typ", "JOSE")),
        ("typ a list", header("typ", json!(["JWT"]))),
        ("typ null", header("typ", Value::Null)),
    ];
    refuse(Defect::Extension, tokens).await;
}

#[tokio::test]
async fn a_header_that_is_not_one_object_with_unique_names_is_refused() {
    let good = Draft::new();
    let text = |header: &str| ALPHA.token(header, &good.payload_text());
    let with = |member: &str| text(&good.header_text().replacen('{', &format!("{{{member},"), 1));
    let tokens = [
        ("alg twice", with(r#""alg":"RS256""#)),
        ("alg in two cases", with(r#""ALG":"none""#)),
        ("kid twice by escape", with(r#""\u006bid":"alpha-key""#)),
        ("nested twice", with(r#""jwk":{"n":"a","n":"b"}"#)),
        ("not an object", text("[]")),
        ("not JSON", text("alg=RS256")),
        ("text after it", text(&format!("{} x", good.header_text()))),
    ];
    refuse(Defect::Malformed, tokens).await;
    let absent = Draft::new().without_header("alg").signed();
    refuse(Defect::MissingClaim, [("no alg", absent)]).await;
}
