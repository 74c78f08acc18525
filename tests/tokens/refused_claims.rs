//! What is refused for its claims, under a good signature.

use portcullis::authn::TokenDefect as Defect;
use serde_json::{Value, json};

use crate::refused::refuse;
use crate::support::tokens::{
    AUDIENCE, Draft, HandClock, OTHER_TENANT, PRINCIPAL, TENANT, v1_issuer, v2_issuer,
};

fn claim(name: &str, value: impl Into<Value>) -> String {
    Draft::new().claim(name, value).signed()
}

#[tokio::test]
async fn required_claims_are_required() {
    let names = ["exp", "nbf", "iss", "aud", "tid", "oid"];
    let tokens = names.map(|name| (name, Draft::new().without(name).signed()));
    refuse(Defect::MissingClaim, tokens).await;
}

#[tokio::test]
async fn times_are_kept_with_the_skew_and_no_more() {
    let start = HandClock::START;
    let tokens = [
        ("past the skew", claim("exp", start - 60)),
        ("long past", claim("exp", 0)),
        ("a past fraction", claim("exp", start as f64 - 60.5)),
    ];
    refuse(Defect::Expired, tokens).await;
    let tokens = [
        ("nbf beyond the skew", claim("nbf", start + 61)),
        ("nbf a fraction", claim("nbf", start as f64 + 60.5)),
        ("nbf far off", claim("nbf", 253_402_300_799_u64)),
        ("iat beyond the skew", claim("iat", start + 61)),
    ];
    refuse(Defect::NotYetValid, tokens).await;
}

#[tokio::test]
async fn times_are_numbers_of_seconds() {
    let unreadable = [
        r#""never""#,
        r#""1900003600""#,
        "-1",
        "-1.5",
        "-0.0",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "1e30",
        "1e999",
        "NaN",
        "Infinity",
        "null",
        "true",
        "[1900003600]",
        "{}",
    ];
    for name in ["exp", "nbf", "iat"] {
        let draft = Draft::new().without(name);
        let signed = |raw: &str| draft.signed_with_members(&format!(r#""{name}":{raw}"#));
        refuse(Defect::Malformed, unreadable.map(|raw| (raw, signed(raw)))).await;
    }
}

#[tokio::test]
async fn the_tenant_is_the_issuers_own() {
    let other = Draft::new().claim("tid", OTHER_TENANT);
    let whole = other.clone().claim("iss", v1_issuer(OTHER_TENANT));
    let tokens = [
        ("another tenant, whole", whole.signed()),
        ("our iss, another tid", other.signed()),
    ];
    refuse(Defect::Tenant, tokens).await;
}

#[tokio::test]
async fn the_issuer_is_compared_exactly() {
    let (v1, v2) = (v1_issuer(TENANT), v2_issuer(TENANT));
    let issuers = [
        v1_issuer(OTHER_TENANT),
        v1.trim_end_matches('/').to_owned(),
        format!("{v2}/"),
        v1_issuer(&TENANT.to_uppercase()),
        v1.replace("https", "http"),
        format!("{v1} "),
        format!("{v1}\u{0}"),
        v1_issuer("{tenantid}"),
        String::new(),
    ];
    let tokens = issuers.iter().map(|iss| (&**iss, claim("iss", &**iss)));
    refuse(Defect::Issuer, tokens).await;
    let tokens = [
        ("v1 form, ver 2.0", claim("ver", "2.0")),
        ("v2 form, ver 1.0", claim("iss", v2)),
    ];
    refuse(Defect::Issuer, tokens).await;
    let tokens = [
        ("ver 3.0", claim("ver", "3.0")),
        ("ver a number", claim("ver", 1.0)),
    ];
    refuse(Defect::Malformed, tokens).await;
}

#[tokio::test]
async fn the_audience_is_one_and_compared_exactly() {
    let audiences = [
        format!("{AUDIENCE}/"),
        format!("spn:{AUDIENCE}"),
        AUDIENCE.to_uppercase(),
        format!("{AUDIENCE}\n"),
        format!("{AUDIENCE}.evil.example"),
        "https://arm.contoso.example/".to_owned(),
        String::new(),
    ];
    let tokens = audiences.iter().map(|aud| (&**aud, claim("aud", &**aud)));
    refuse(Defect::Audience, tokens).await;
    let several = json!([AUDIENCE, "https://other.example"]);
    let tokens = [
        ("two", claim("aud", several)),
        ("ours twice", claim("aud", json!([AUDIENCE, AUDIENCE]))),
        ("none", claim("aud", json!([]))),
        ("nested", claim("aud", json!([[AUDIENCE]]))),
        ("an object", claim("aud", json!({"0": AUDIENCE}))),
        ("null", claim("aud", Value::Null)),
    ];
    refuse(Defect::Malformed, tokens).await;
}

#[tokio::test]
async fn ids_are_guids() {
    let mut tokens = Vec::new();
    for value in [Value::Null, json!(1), json!([TENANT]), json!({})] {
        for name in ["iss", "tid", "oid"] {
            tokens.push((name, claim(name, value.clone())));
        }
    }
    let bare = TENANT.replace('-', "");
    let braced = format!("{{{PRINCIPAL}}}");
    for id in ["", "alice@contoso.example", &bare, "*", &braced] {
        tokens.push(("oid", claim("oid", id)));
        tokens.push(("tid", claim("tid", id)));
    }
    refuse(Defect::Malformed, tokens).await;
}

#[tokio::test]
async fn a_bound_token_is_no_bearer_token() {
    let bound = json!({"x5t#S256": "bm90IGEgdGh1bWJwcmludCBvZiBhbnl0aGluZyBhdCBhbGw"});
    let tokens = [
        ("a thumbprint", claim("cnf", bound)),
        ("null", claim("cnf", Value::Null)),
    ];
    refuse(Defect::ProofOfPossession, tokens).await;
}

#[tokio::test]
async fn an_id_token_is_no_access_token() {
    let names = ["nonce", "at_hash", "c_hash"];
    refuse(Defect::IdToken, names.map(|name| (name, claim(name, "x")))).await;
}

#[tokio::test]
async fn claims_that_are_used_are_typed() {
    let long = "a".repeat(129);
    let tokens = [
        ("a device", claim("idtyp", "device")),
        ("idtyp a number", claim("idtyp", 1)),
        ("scp a list", claim("scp", json!(["a"]))),
        ("sub a number", claim("sub", 7)),
        ("groups a text", claim("groups", PRINCIPAL)),
        ("groups null", claim("groups", Value::Null)),
        ("groups by name", claim("groups", json!(["admins"]))),
        ("groups a number", claim("groups", json!([1]))),
        ("groups too many", claim("groups", json!(vec![TENANT; 257]))),
        ("overage a list", claim("_claim_names", json!(["groups"]))),
        ("overage a text", claim("hasgroups", "true")),
        ("appid with a line", claim("appid", "a\nb")),
        ("appid long", claim("appid", long)),
        ("azp a number", claim("azp", 1)),
        ("uti an escape", claim("uti", "\u{1b}[2J")),
        ("jti a space", claim("jti", "a b")),
    ];
    refuse(Defect::Malformed, tokens).await;
}

#[tokio::test]
async fn what_conditions_may_ask_for_has_its_type_and_a_size() {
    let long = "x".repeat(513);
    let many = vec!["a"; 257];
    let tokens = [
        ("roles", claim("roles", "Reader")),
        ("a role", claim("roles", json!(["Reader", 1]))),
        ("a long role", claim("roles", json!([long]))),
        ("many roles", claim("roles", json!(many))),
        ("amr", claim("amr", json!({"mfa": true}))),
        ("acr", claim("acr", 1)),
        ("a long acr", claim("acr", long.as_str())),
        ("a long scope", claim("scp", long.as_str())),
        ("many scopes", claim("scp", many.join(" "))),
        ("auth_time", claim("auth_time", "yesterday")),
    ];
    refuse(Defect::Malformed, tokens).await;
}
