//! Everybody of the sample tenant on a table of operations.

use std::time::Duration;

use portcullis::dev::people::{self, GroupsClaim, PEOPLE, Person};
use serde_json::{Value, json};

use crate::site::{SECRET, Setup, Site, VERSION, put, read};

const SIGN: &str = r#"{"alg":"RS256","value":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;

/// What is asked for: Azure's name for it, method, path and body.
const OPERATIONS: [(&str, &str, &str, &str); 16] = [
    ("SecretGet", "GET", "/secrets/app-db-password/", ""),
    ("SecretGet", "GET", "/secrets/app-api-key", ""),
    ("SecretGet", "GET", "/secrets/tls", ""),
    ("SecretList", "GET", "/secrets", ""),
    (
        "SecretListVersions",
        "GET",
        "/secrets/app-db-password/versions",
        "",
    ),
    ("SecretSet", "PUT", "/secrets/fresh", r#"{"value":"v"}"#),
    (
        "SecretSet",
        "PUT",
        "/secrets/app-db-password",
        r#"{"value":"v"}"#,
    ),
    ("SecretDelete", "DELETE", "/secrets/absent", ""),
    ("SecretGetDeleted", "GET", "/deletedsecrets/absent", ""),
    ("SecretPurge", "DELETE", "/deletedsecrets/absent", ""),
    (
        "SecretRecover",
        "POST",
        "/deletedsecrets/absent/recover",
        "",
    ),
    ("KeySign", "POST", "/keys/signing//sign", SIGN),
    ("KeyGet", "GET", "/keys/signing", ""),
    ("KeyList", "GET", "/keys", ""),
    ("KeyRestore", "POST", "/keys/restore", r#"{"value":"x"}"#),
    ("CertificateList", "GET", "/certificates", ""),
];

/// One line per operation above, one column per person: `+` is allowed, a letter a reason.
///
/// Columns: admin, secrets-user, reader, crypto-user, db-app, app-reader, group-member, no-purge,
/// expired-pim, nobody.
const TABLE: &str = "
    + + a a + + + + e n
    + + a a s + + + e n
    + + a a s c + + e n
    + + + a s + + + e n
    + + + a + + + + e n
    + a a a n a a + e n
    + a a a a a a + e n
    + a a a n a a d e n
    + + a a s c + + e n
    + a a a n a a d e n
    + a a a n a a + e n
    + a a + n a + a e n
    + a + + n a + a e n
    + a + + n a + a e n
    + a a a n a a a e n
    + a + a n a a a e n
";

fn reason(cell: &str) -> &'static str {
    match cell {
        "a" => "action_not_granted",
        "c" => "condition_false",
        "d" => "not_data_action",
        "e" => "expired_grant",
        "n" => "no_assignment",
        "s" => "scope_mismatch",
        other => panic!("{other}"),
    }
}

async fn walk_the_table(site: &Site) {
    let rows: Vec<&str> = TABLE.trim().lines().collect();
    assert_eq!(rows.len(), OPERATIONS.len());
    for (row, operation) in rows.iter().zip(OPERATIONS) {
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells.len(), PEOPLE.len());
        for (cell, person) in cells.into_iter().zip(PEOPLE) {
            let record = check_cell(site, person, operation, cell).await;
            let caller = &record["caller"];
            assert_eq!(record["op"], operation.0, "{}", person.name);
            assert_eq!(caller["oid"], person.object_id.to_string());
            assert_eq!(caller["appid"], person.client_id.to_string());
        }
    }
}

/// Has `person` ask for something, holds the outcome against the table, and returns the record.
async fn check_cell(
    site: &Site,
    person: Person,
    (_, method, path, body): (&str, &str, &str, &'static str),
    cell: &str,
) -> Value {
    let about = format!("{} {method} {path}", person.name);
    let request = site.request(method, &format!("{path}?{VERSION}"));
    let reply = read(request.bearer_auth(site.token(person)).body(body)).await;
    if cell == "+" {
        assert_ne!(reply.status, 401, "{about}: {}", reply.text());
        let (record, entry) = site.forwarded();
        assert_eq!(entry.caller, Some(person.object_id), "{about}");
        assert_eq!(entry.method.as_str(), method);
        return record;
    }
    let record = site.refused(&reply, (403, reason(cell)));
    check_text(&reply.message(), person, reason(cell));
    let error = &reply.json()["error"];
    assert_eq!(error["code"], "Forbidden");
    assert_eq!(error["innererror"]["code"], "ForbiddenByPortcullis");
    assert_eq!(record["decision"], "deny", "{about}");
    record
}

/// The lines of Key Vault's own 403, about the caller and nobody else.
fn check_text(message: &str, person: Person, reason: &str) {
    for line in [
        "Caller is not authorized to perform action on resource.\r\n",
        &format!("oid={};", person.object_id),
        "\r\nAction: 'Microsoft.KeyVault/vaults/",
        "\r\nAssignment: (not found)",
        "\r\nDenyAssignmentId: null\r\n",
        &format!("\r\nDecisionReason: '{reason}'"),
        "\r\nVault: portcullis-dev;location=westeurope\r\n",
    ] {
        assert!(message.contains(line), "{line:?} is not in {message}");
    }
    for other in PEOPLE.iter().filter(|other| **other != person) {
        assert!(!message.contains(&other.object_id.to_string()));
        assert!(!message.contains(&other.client_id.to_string()));
    }
}

#[tokio::test]
async fn everybody_may_do_what_their_roles_hold_and_nothing_else() {
    let site = Site::start().await;
    walk_the_table(&site).await;
    let labels = ["operation=\"SecretGet\"", "decision=\"deny\""];
    let denied = site.metric("portcullis_decisions_total", &labels).await;
    assert_eq!(denied, 15.0);
}

#[tokio::test]
async fn groups_in_the_token_change_nothing_where_the_export_has_them() {
    let setup = Setup {
        groups: GroupsClaim::Carried,
        ..Setup::default()
    };
    walk_the_table(&setup.start().await).await;
}

#[tokio::test]
async fn groups_come_from_the_token_where_the_export_does_not_know_the_caller() {
    let site = Setup {
        groups: GroupsClaim::Carried,
        ..Setup::default()
    }
    .start()
    .await;
    // A file without the caller.
    let groups = json!({ people::NOBODY.object_id.to_string(): [] });
    site.change_roles(|directory| put(directory, "groups.json", &groups))
        .await;
    let secret = format!("/secrets/app-api-key?{VERSION}");
    let reply = site.get(people::GROUP_MEMBER, &secret).await;
    assert_eq!(reply.status, 200);
    let (record, _) = site.forwarded();
    assert_eq!(record["caller"]["groups_n"], 2);
    // The same caller with a token that says nothing of groups.
    let mut claims = site.claims(people::GROUP_MEMBER);
    claims.remove("groups");
    let request = site.request("GET", &secret).bearer_auth(site.mint(&claims));
    let reply = read(request).await;
    site.refused(&reply, (403, "no_assignment"));
    assert!(reply.message().contains("group membership is not known"));
}

#[tokio::test]
async fn a_pim_grant_ends_to_the_second() {
    let site = Site::start().await;
    let secret = format!("/secrets/app-api-key?{VERSION}");
    // It ended an hour before the start.
    site.clock.back(Duration::from_secs(3601));
    let reply = site.get(people::EXPIRED_PIM, &secret).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    site.forwarded();
    site.clock.advance(Duration::from_secs(1));
    let reply = site.get(people::EXPIRED_PIM, &secret).await;
    let record = site.refused(&reply, (403, "expired_grant"));
    assert_eq!(record["policy"]["nearest"]["failed"], "expired_grant");
    // Neither has a grant begun before its time.
    site.clock.back(Duration::from_secs(8 * 3600 + 1));
    let reply = site.get(people::EXPIRED_PIM, &secret).await;
    site.refused(&reply, (403, "expired_grant"));
    site.clock.advance(Duration::from_secs(1));
    let reply = site.get(people::EXPIRED_PIM, &secret).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    site.forwarded();
}

#[tokio::test]
async fn a_record_names_the_assignment_that_allowed_and_the_one_that_came_nearest() {
    let site = Site::start().await;
    let secret = format!("/secrets/app-db-password?{VERSION}");
    site.get(people::DB_APP, &secret).await;
    let (record, _) = site.forwarded();
    let assignment = "570be4b9-3c6d-4f8a-885b-92ed0714fac6";
    assert_eq!(record["policy"]["assignment"], assignment);
    assert_eq!(record["policy"]["role"], "Key Vault Secrets User");
    assert_eq!(record["object"], "app-db-password");
    let reply = site
        .get(people::DB_APP, &format!("/secrets?{VERSION}"))
        .await;
    let record = site.refused(&reply, (403, "scope_mismatch"));
    assert_eq!(record["policy"]["assignment"], Value::Null);
    let nearest = &record["policy"]["nearest"];
    assert_eq!(nearest["assignment"], assignment);
    assert_eq!(nearest["failed"], "scope_mismatch");
    assert!(
        reply
            .message()
            .contains(&format!("nearest: '{assignment}'"))
    );
}

#[tokio::test]
async fn what_a_caller_has_is_gathered_once_and_counted() {
    let site = Site::start().await;
    let looked_up =
        async |labels: &[&str]| site.metric("portcullis_cache_requests_total", labels).await;
    let own = "cache=\"entitlements\"";
    for _ in 0..3 {
        let request = site.request("GET", SECRET);
        let reply = read(request.bearer_auth(site.token(people::SECRETS_USER))).await;
        assert_eq!(reply.status, 200);
    }
    assert_eq!(looked_up(&[own, "result=\"miss\""]).await, 1.0);
    assert_eq!(looked_up(&[own, "result=\"hit\""]).await, 2.0);
    // Of the token's cache there is its own count, and no series that can never move.
    assert_eq!(looked_up(&["cache=\"token\""]).await, 3.0);
    let page = site.admin("/metrics").await;
    let series = |line: &&str| line.starts_with("portcullis_cache_requests_total{");
    assert_eq!(page.text().lines().filter(series).count(), 8);
}
