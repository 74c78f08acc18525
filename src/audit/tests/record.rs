//! What the lines hold, and what they never hold.

use crate::keyvault::{Operation, route};

use super::super::ClientProcess;
use super::*;

const GUID: &str = "a1b2c3d4-0000-4000-8000-00000000000a";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const VAULT: &str =
    "/subscriptions/1f0e/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-fabrikam";

/// Fields of the record of a refused request, in full.
const FIELDS: &[(&str, &str)] = &[
    ("/mode", "enforce"),
    ("/decision", "deny"),
    ("/reason", "action_not_granted"),
    ("/op", "SecretGet"),
    (
        "/data_actions/0",
        "Microsoft.KeyVault/vaults/secrets/getSecret/action",
    ),
    ("/api_version", "2026-04-01"),
    ("/method", "GET"),
    ("/vault", "kv-fabrikam"),
    ("/object_type", "secret"),
    ("/object", "Db-Password"),
    ("/object_version", "1d89273b3c364e018f939c2f0d151622"),
    ("/caller/oid", "6f0c2f5e-58a9-4c8e-9c57-2f5a3e6b7d10"),
    ("/caller/idtyp", "app"),
    ("/caller/issuer", "entra"),
    ("/caller/via", "bearer"),
    ("/client/listener", "main"),
    ("/client/ip", "10.0.3.7"),
    ("/client/tls", "1.3"),
    (
        "/client/cert_sha256",
        "5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f",
    ),
    ("/policy/snapshot", "sha256:1c43"),
    ("/policy/snapshot_ts", "2026-09-21T14:13:20.000000Z"),
    ("/policy/pinned_version", "1d89273b3c364e018f939c2f0d151622"),
    ("/policy/nearest/assignment", GUID),
    ("/policy/nearest/role", "Key Vault Reader"),
    ("/policy/nearest/failed", "action_not_granted"),
    ("/trace/trace_id", "0af7651916cd43dd8448eb211c80319c"),
    ("/trace/span_id", "b7ad6b7169203331"),
];

fn operation(method: &http::Method, path: &str, query: &str) -> Operation {
    route::parse(method, path, Some(query), &[]).unwrap()
}

/// A guard with everything said, the free texts being `text`.
fn full_guard(log: &AuditLog, text: &str, client: ClientFacts) -> AuditGuard {
    let mut guard = log.begin(now(), client);
    guard.caller(&caller(text, text));
    guard.trace(TRACE.parse().unwrap());
    guard.authn_took(Duration::from_micros(38));
    guard.authz_took(Duration::from_micros(6));
    guard.policy(PolicyFacts {
        snapshot: text.into(),
        snapshot_at: now(),
        stale: Duration::MAX,
        assignment: Some(GUID.parse().unwrap()),
        role: Some(text.into()),
        deny_assignment: Some(GUID.parse().unwrap()),
        pinned_version: Some("1d89273b3c364e018f939c2f0d151622".parse().unwrap()),
        nearest: Some(NearestMiss {
            assignment: Some(GUID.parse().unwrap()),
            role: Some(text.into()),
            failed: Reason::RoleDefinitionUnknown,
            detail: Some(text.into()),
        }),
    });
    guard
}

/// The policy of a small record.
fn small_policy() -> PolicyFacts {
    PolicyFacts {
        snapshot: "sha256:1c43".into(),
        snapshot_at: now(),
        stale: Duration::from_secs(41),
        assignment: None,
        role: None,
        deny_assignment: None,
        pinned_version: Some("1d89273b3c364e018f939c2f0d151622".parse().unwrap()),
        nearest: Some(NearestMiss {
            assignment: Some(GUID.parse().unwrap()),
            role: Some("Key Vault Reader".into()),
            failed: Reason::ActionNotGranted,
            detail: None,
        }),
    }
}

#[tokio::test]
async fn the_record_tells_all_and_never_the_token() {
    let (stage, log) = Stage::open(LONG);
    let canary = "s3cr3t-uti-5e1d";
    let mut guard = full_guard(&log, canary, client());
    guard.caller(&caller(canary, "app"));
    guard.policy(small_policy());
    guard.method(&http::Method::GET);
    guard.vault("kv-fabrikam", &VAULT.parse().unwrap());
    let path = "/secrets/Db-Password/1d89273b3c364e018f939c2f0d151622";
    let query = "api-version=2026-04-01&$skiptoken=s3cr3t-query";
    guard.operation(&operation(&http::Method::GET, path, query));
    guard.groups(4);
    let id = guard.decision_id().to_string();
    assert!(!format!("{guard:?} {log:?}").contains(canary));
    let decided = guard.decide(Verdict::Deny, Reason::ActionNotGranted, Some(403));
    let trail = decided.await.unwrap();
    assert_eq!(trail.decision_id().to_string(), id);
    assert!(!format!("{trail:?}").contains(canary));
    trail.finish(Some(403), None);
    log.flush().await.unwrap();

    let lines = stage.lines();
    assert_eq!(lines.len(), 1, "a refusal has no result line");
    let line = &lines[0];
    assert!(!line.to_string().contains("s3cr3t"));
    let text = stage.state.lock().unwrap().lines.clone();
    assert!(text.starts_with(br#"{"v":1,"seq":1,"type":"decision","ts":"2026-"#));
    for (pointer, expected) in FIELDS {
        let found = line.pointer(pointer).and_then(Value::as_str);
        assert_eq!(found, Some(*expected), "{pointer}");
    }
    assert_eq!(line["decision_id"], id);
    assert_eq!(line["status"], 403);
    assert_eq!(line["caller"]["groups_n"], 4);
    assert_eq!(line["dur_us"]["authn"], 38);
    assert_eq!(line["policy"]["stale_s"], 41);
    assert!(line.get("truncated").is_none());
    let name = log.token_name(canary).map(|byte| format!("{byte:02x}"));
    let token_id = format!("hmac:{}", name.concat());
    assert_eq!(line["caller"]["token_id"], token_id);
}

#[test]
fn a_token_is_named_by_an_hmac_that_changes_with_each_start() {
    let (_, log) = Stage::open(LONG);
    let name = log.token_name("uti-1");
    assert_eq!(name, log.token_name("uti-1"));
    assert_ne!(name, log.token_name("uti-2"));
    assert_ne!(name, Stage::open(LONG).1.token_name("uti-1"));
}

/// A client of which as much is known as there can be.
fn longest_client(text: &str) -> ClientFacts {
    ClientFacts {
        listener: text.into(),
        ip: "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff".parse().ok(),
        via: "2001:db8:bbbb:bbbb:cccc:dddd:eeee:ffff".parse().ok(),
        process: Some(ClientProcess {
            uid: u32::MAX,
            gid: u32::MAX,
            pid: Some(i32::MAX),
        }),
        tls: "1.3",
        sni: Some(text.into()),
        certificate: Some("f".repeat(64).into()),
        user_agent: Some(text.into()),
        request_id: Some(text.into()),
    }
}

#[tokio::test]
async fn the_longest_record_is_one_line_of_at_most_8_kib() {
    let (stage, log) = Stage::open(LONG);
    // What takes most room in JSON for each byte, and what breaks lines and terminals.
    let nasty = "\u{1}\"\\\r\n\u{1b}[2J\u{9b}ä".repeat(8000);
    let facts = longest_client(&nasty);
    let mut guard = full_guard(&log, &nasty, facts);
    guard.sub_reason("a_label_of_a_closed_enum_of_some_length");
    let scope = format!("/{}", "s\"\\".repeat(4000)).parse().unwrap();
    guard.vault(&"v".repeat(24), &scope);
    let path = format!("/certificates/{}/pending", "n".repeat(127));
    let query = "api-version=2026-07-01-preview";
    guard.operation(&operation(&http::Method::DELETE, &path, query));
    let decided = guard.decide(Verdict::Allow, Reason::OkAssignment, None);
    let mut trail = decided.await.unwrap();
    trail.answered(UpstreamAnswer {
        status: 503,
        kv_error: Some(KvError::ForbiddenByFirewall),
        request_id: Some(nasty.as_str().into()),
        assignment: Some(GUID.parse().unwrap()),
        took: Duration::MAX,
    });
    trail.finish(Some(503), Some(Reason::UpstreamError));
    log.flush().await.unwrap();

    let text = String::from_utf8(stage.state.lock().unwrap().lines.clone()).unwrap();
    let is_control = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(is_control));
    assert_eq!(text.lines().count(), 2);
    // The sequence number may grow to 20 digits.
    assert!(text.lines().all(|line| line.len() + 20 < 8 * 1024));
    let lines = stage.lines();
    let cut = lines[0]["truncated"].as_array().unwrap();
    for field in [
        "client.ua",
        "client.request_id",
        "policy.nearest.detail",
        "resource_id",
    ] {
        assert!(cut.contains(&field.into()), "{field}");
    }
    assert_eq!(lines[1]["truncated"][0], "upstream.request_id");
}

#[test]
fn names_of_decisions_are_of_version_7_and_sort_by_time() {
    let (_stage, log) = Stage::open(LONG);
    let names: Vec<String> = (0..500)
        .map(|ms| {
            let guard = log.begin(now() + Duration::from_millis(ms), client());
            guard.decision_id().to_string()
        })
        .collect();
    assert!(names.is_sorted_by(|a, b| a < b));
    for name in names {
        let id = uuid::Uuid::parse_str(&name).unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(name, id.to_string());
    }
}

/// The lines of a request about which all is known, and one about which nothing is; what differs
/// from run to run is masked.
const WHOLE: &str = concat!(
    r#"{"v":1,"seq":1,"type":"decision","ts":TS,"inst":INST,"decision_id":ID,"mode":"enforce","#,
    r#""decision":"allow","reason":"ok_assignment","sub_reason":"label","status":null,"#,
    r#""op":"SecretGet","data_actions":["Microsoft.KeyVault/vaults/secrets/getSecret/action"],"#,
    r#""api_version":"7.4","method":"GET","vault":"kv-fabrikam","resource_id":"/subscriptions/"#,
    r#"1f0e/resourcegroups/rg/providers/microsoft.keyvault/vaults/kv-fabrikam","#,
    r#""object_type":"secret","object":"a","object_version":null,"#,
    r#""caller":{"oid":"6f0c2f5e-58a9-4c8e-9c57-2f5a3e6b7d10","appid":"some","#,
    r#""tid":"b2c4d6e8-0a1b-4c3d-8e5f-7a9b0c1d2e3f","idtyp":"app","issuer":"entra","#,
    r#""token_id":TOKEN,"via":"bearer","groups_n":null},"#,
    r#""client":{"listener":"main","ip":"10.0.3.7","tls":"1.3","#,
    r#""sni":"kv-fabrikam.vault.azure.net","cert_sha256":CERT,"#,
    r#""ua":"azsdk-rust-keyvault/1.0","request_id":null},"policy":{"snapshot":"some","#,
    r#""snapshot_ts":"2026-09-21T14:13:20.000000Z","stale_s":18446744073709551615,"#,
    r#""assignment":GUID,"role":"some","deny_assignment":GUID,"#,
    r#""pinned_version":"1d89273b3c364e018f939c2f0d151622","nearest":{"assignment":GUID,"#,
    r#""role":"some","failed":"role_definition_unknown","detail":"some"}},"#,
    r#""dur_us":{"authn":38,"authz":6,"total":T},"trace":{"#,
    r#""trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331"}}"#,
);

const WHOLE_RESULT: &str = concat!(
    r#"{"v":1,"seq":2,"type":"result","ts":TS,"inst":INST,"decision_id":ID,"status":200,"#,
    r#""reason":null,"aborted":false,"upstream":{"sent":true,"status":200,"kv_error":null,"#,
    r#""request_id":"up","assignment":GUID},"dur_us":{"upstream":850,"total":T}}"#,
);

const BLANK: &str = concat!(
    r#"{"v":1,"seq":3,"type":"decision","ts":TS,"inst":INST,"decision_id":ID,"mode":"enforce","#,
    r#""decision":"error","reason":"client_gone","sub_reason":null,"status":null,"op":null,"#,
    r#""data_actions":[],"api_version":null,"method":"_OTHER","vault":null,"resource_id":null,"#,
    r#""object_type":null,"object":null,"object_version":null,"caller":null,"#,
    r#""client":{"listener":"main","ip":"10.0.3.7","tls":"1.3","#,
    r#""sni":"kv-fabrikam.vault.azure.net","cert_sha256":CERT,"#,
    r#""ua":"azsdk-rust-keyvault/1.0","request_id":null},"policy":null,"#,
    r#""dur_us":{"authn":null,"authz":null,"total":T},"trace":null}"#,
);

/// `text` without what differs from run to run.
fn masked(text: &str) -> String {
    let line: Value = serde_json::from_str(text).unwrap();
    let mut text = text.to_owned();
    for (pointer, mask) in [
        ("/ts", "TS"),
        ("/inst", "INST"),
        ("/decision_id", "ID"),
        ("/caller/token_id", "TOKEN"),
        ("/client/cert_sha256", "CERT"),
    ] {
        if let Some(value) = line.pointer(pointer).filter(|v| !v.is_null()) {
            text = text.replacen(&value.to_string(), mask, 1);
        }
    }
    let total = format!("\"total\":{}", line["dur_us"]["total"]);
    text.replacen(&total, "\"total\":T", 1)
        .replace(&format!("\"{GUID}\""), "GUID")
}

#[tokio::test]
async fn the_lines_are_as_they_were() {
    let (stage, log) = Stage::open(LONG);
    let mut guard = full_guard(&log, "some", client());
    guard.sub_reason("label");
    guard.method(&http::Method::GET);
    guard.vault("kv-fabrikam", &VAULT.parse().unwrap());
    let (path, query) = ("/secrets/a", "api-version=7.4");
    guard.operation(&operation(&http::Method::GET, path, query));
    let decided = guard.decide(Verdict::Allow, Reason::OkAssignment, None);
    let mut trail = decided.await.unwrap();
    trail.answered(UpstreamAnswer {
        status: 200,
        kv_error: None,
        request_id: Some("up".into()),
        assignment: Some(GUID.parse().unwrap()),
        took: Duration::from_micros(850),
    });
    trail.finish(Some(200), None);
    drop(log.begin(now(), client()));
    log.flush().await.unwrap();
    let text = String::from_utf8(stage.state.lock().unwrap().lines.clone()).unwrap();
    let lines: Vec<String> = text.lines().map(masked).collect();
    assert_eq!(lines, [WHOLE, WHOLE_RESULT, BLANK]);
}
