//! What is accepted, and what is read from it.

use std::time::{Duration, UNIX_EPOCH};

use portcullis::principal::{CallerKind, Evidence, TokenGroups, Workload};
use serde_json::{Value, json};

use crate::Bench;
use crate::support::tokens::{
    ALPHA, APPLICATION, AUDIENCE, AUDIENCE_ID, BETA, Draft, HandClock, PRINCIPAL, TENANT,
    v1_issuer, v2_issuer,
};

const GROUP: &str = "3c9e5d70-8a1b-4f42-9b6d-0e7f1a2c4d58";

async fn bench() -> Bench {
    Bench::with_file(&[&ALPHA, &BETA], |_| ()).await
}

#[tokio::test]
async fn an_applications_token_is_read_whole() {
    let bench = bench().await;
    let caller = bench.judge(&Draft::new().signed()).await.unwrap();
    let claims = caller.claims();
    assert_eq!(claims.object_id.to_string(), PRINCIPAL);
    assert_eq!(claims.tenant_id.to_string(), TENANT);
    assert_eq!(claims.app_id.as_deref(), Some(APPLICATION));
    assert_eq!(*claims.issuer, *v1_issuer(TENANT));
    assert_eq!(&*claims.issuer_name, "main");
    assert_eq!(claims.token_id.as_deref(), Some("uti-1"));
    assert_eq!(claims.kind, CallerKind::App);
    assert_eq!(claims.groups, TokenGroups::Absent);
    let end = UNIX_EPOCH + Duration::from_secs(HandClock::START + 3600);
    assert_eq!(claims.expires_at, end);
}

#[tokio::test]
async fn harmless_variants_are_accepted() {
    let bench = bench().await;
    let start = HandClock::START;
    let v2 = Draft::new()
        .claim("iss", v2_issuer(TENANT))
        .claim("ver", "2.0")
        .claim("azp", APPLICATION)
        .without("appid");
    let drafts = [
        ("v2", v2.clone()),
        ("v2 without ver", v2.without("ver")),
        ("v1 without ver", Draft::new().without("ver")),
        ("app id audience", Draft::new().claim("aud", AUDIENCE_ID)),
        (
            "audience list of one",
            Draft::new().claim("aud", json!([AUDIENCE])),
        ),
        ("no typ", Draft::new().without_header("typ")),
        ("jwt", Draft::new().header("typ", "jwt")),
        ("at+jwt", Draft::new().header("typ", "AT+JWT")),
        ("no iat", Draft::new().without("iat")),
        ("no sub", Draft::new().without("sub")),
        (
            "upper-case ids",
            Draft::new().claim("oid", PRINCIPAL.to_uppercase()),
        ),
        (
            "fraction",
            Draft::new().claim("exp", json!(start as f64 + 0.5)),
        ),
        ("within skew", Draft::new().claim("exp", start - 59)),
        ("begins within skew", Draft::new().claim("nbf", start + 60)),
        ("issued within skew", Draft::new().claim("iat", start + 60)),
        ("long-lived", Draft::new().claim("exp", start + 28 * 3600)),
        (
            "end of time",
            Draft::new().claim("exp", 253_402_300_799_u64),
        ),
        (
            "unknown claims",
            Draft::new().claim("xms_x", json!({"a": [null, 1.5]})),
        ),
    ];
    for (name, draft) in drafts {
        let judged = bench.judge(&draft.signed()).await;
        assert!(judged.is_ok(), "{name}: {judged:?}");
    }
}

#[tokio::test]
async fn a_key_or_address_in_the_header_is_ignored() {
    let bench = bench().await;
    let draft = Draft::new()
        .header("jwk", BETA.jwk())
        .header("jku", "https://127.0.0.1:1/keys")
        .header("x5u", "https://127.0.0.1:1/cert")
        .header("x5c", json!(["AAAA"]));
    assert!(bench.judge(&draft.signed()).await.is_ok());
}

#[tokio::test]
async fn applications_and_users_are_told_apart() {
    let bench = bench().await;
    let user = || Draft::new().claim("sub", "pairwise-subject");
    for (name, draft, kind) in [
        ("idtyp app", user().claim("idtyp", "app"), CallerKind::App),
        (
            "idtyp user",
            Draft::new().claim("idtyp", "user"),
            CallerKind::User,
        ),
        ("own subject", Draft::new(), CallerKind::App),
        (
            "delegated",
            Draft::new().claim("scp", "user_impersonation"),
            CallerKind::User,
        ),
        ("pairwise subject", user(), CallerKind::User),
        ("no subject", user().without("sub"), CallerKind::User),
    ] {
        let caller = bench.judge(&draft.signed()).await.unwrap();
        assert_eq!(caller.claims().kind, kind, "{name}");
    }
}

#[tokio::test]
async fn groups_are_read_and_overage_is_no_list() {
    let bench = bench().await;
    let groups = |value: Value| Draft::new().claim("groups", value);
    let elsewhere = json!({"src1": {"endpoint": "https://127.0.0.1:1/getMemberObjects"}});
    let overage = |draft: Draft| {
        draft
            .claim("_claim_names", json!({"groups": "src1"}))
            .claim("_claim_sources", elsewhere.clone())
    };
    let present =
        |ids: &[&str]| TokenGroups::Present(ids.iter().map(|id| id.parse().unwrap()).collect());
    let many = vec![GROUP; 256];
    for (name, draft, expected) in [
        ("none", Draft::new(), TokenGroups::Absent),
        ("empty", groups(json!([])), present(&[])),
        (
            "two",
            groups(json!([GROUP, PRINCIPAL])),
            present(&[GROUP, PRINCIPAL]),
        ),
        ("many", groups(json!(many)), present(&many)),
        ("overage", overage(Draft::new()), TokenGroups::Absent),
        ("both", overage(groups(json!([GROUP]))), TokenGroups::Absent),
        (
            "mark",
            groups(json!([GROUP])).claim("hasgroups", true),
            TokenGroups::Absent,
        ),
        (
            "no mark",
            groups(json!([GROUP])).claim("hasgroups", false),
            present(&[GROUP]),
        ),
        (
            "another claim elsewhere",
            groups(json!([GROUP])).claim("_claim_names", json!({"wids": "src1"})),
            present(&[GROUP]),
        ),
    ] {
        let caller = bench.judge(&draft.signed()).await.unwrap();
        assert_eq!(caller.claims().groups, expected, "{name}");
    }
}

#[tokio::test]
async fn either_id_of_application_and_token_is_taken() {
    let bench = bench().await;
    let draft = Draft::new()
        .without("appid")
        .without("uti")
        .claim("azp", "app-2")
        .claim("jti", "jti-2");
    let caller = bench.judge(&draft.signed()).await.unwrap();
    assert_eq!(caller.claims().app_id.as_deref(), Some("app-2"));
    assert_eq!(caller.claims().token_id.as_deref(), Some("jti-2"));
}

#[tokio::test]
async fn what_conditions_may_ask_for_is_read() {
    let bench = bench().await;
    let bound = json!({
        "namespace": "payments",
        "node": {"name": "node-1", "uid": "u1"},
        "pod": {"name": "api-0", "uid": "u2"},
        "serviceaccount": {"name": "api", "uid": "u3"},
        "warnafter": 1,
    });
    let draft = Draft::new()
        .claim("roles", json!(["Reader", "Auditor"]))
        .claim("scp", "user_impersonation  Vault.Read")
        .claim("amr", json!(["pwd", "mfa"]))
        .claim("acr", "c1")
        .claim("auth_time", HandClock::START - 30)
        .claim("kubernetes.io", bound);
    let caller = bench.judge(&draft.signed()).await.unwrap();
    let texts = |texts: &[&str]| texts.iter().map(|text| Box::from(*text)).collect();
    let expected = Evidence {
        roles: texts(&["Reader", "Auditor"]),
        scopes: texts(&["user_impersonation", "Vault.Read"]),
        authentication_methods: texts(&["pwd", "mfa"]),
        authentication_context: Some("c1".into()),
        authenticated_at: Some(UNIX_EPOCH + Duration::from_secs(HandClock::START - 30)),
        workload: Some(Workload {
            namespace: Some("payments".into()),
            service_account: Some("api".into()),
            pod: Some("api-0".into()),
            node: Some("node-1".into()),
        }),
    };
    assert_eq!(caller.claims().evidence, expected);
}

#[tokio::test]
async fn a_token_that_says_nothing_for_conditions_has_nothing_for_them() {
    let bench = bench().await;
    for bound in [json!("payments"), json!({}), json!({"pod": "api-0"})] {
        let draft = Draft::new().claim("kubernetes.io", bound);
        let caller = bench.judge(&draft.signed()).await.unwrap();
        assert_eq!(caller.claims().evidence, Evidence::default());
    }
}
