//! No secret without a record, and exactly one record for each request.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::dev::people;
use portcullis::dev::vault::Script;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::site::{SECRET, Setup, Site, VERSION, eventually, read, soon};

const PATH: &str = "/secrets/app-api-key";

#[tokio::test]
async fn the_record_can_be_read_while_the_vault_still_has_the_request() {
    let site = Site::start().await;
    let (script, release) = Script::genuine().held();
    site.world.vault.next_response(PATH, script);
    let request = site
        .request("GET", SECRET)
        .bearer_auth(site.token(people::ADMIN));
    let asking = tokio::spawn(read(request));
    soon(site.world.vault.reached(1)).await;
    let (record, entry) = site.forwarded();
    assert_eq!(entry.status, None);
    assert_eq!(record["op"], "SecretGet");
    assert_eq!(record["object"], "app-api-key");
    assert_eq!(site.lines().len(), 1, "there is no result yet");
    release.release();
    assert_eq!(soon(asking).await.unwrap().status, 200);
    let result = site.result_of(&record).await;
    assert_eq!(result["status"], 200);
    assert_eq!((&record["seq"], &result["seq"]), (&1.into(), &2.into()));
    assert_eq!(site.lines().len(), 2);
}

#[tokio::test]
async fn without_a_place_for_records_nothing_is_forwarded() {
    let site = Setup {
        // Every write to it fails for want of space.
        records: Some("/dev/full".into()),
        ..Setup::default()
    }
    .start()
    .await;
    let host = site.host();
    let token = site.token(people::ADMIN);
    for authorization in [
        format!("Authorization: Bearer {token}\r\n"),
        "Authorization: Bearer a.b.c\r\n".to_owned(),
        String::new(),
    ] {
        let head = format!("GET {SECRET} HTTP/1.1\r\nHost: {host}\r\n{authorization}");
        let reply = site.ask(&head).await;
        assert_eq!(
            (reply.status, reply.header("x-portcullis-reason")),
            (503, Some("audit_unavailable"))
        );
        assert_eq!(reply.json()["error"]["code"], "ServiceUnavailable");
        assert_eq!(reply.header("retry-after"), Some("5"));
        assert!(reply.header("x-portcullis-decision-id").is_some());
    }
    assert_eq!(site.world.vault.journal_len(), 0);
    let labels = ["reason=\"audit_unavailable\""];
    assert_eq!(site.metric("portcullis_denials_total", &labels).await, 3.0);
    let allowed = ["decision=\"allow\""];
    assert_eq!(
        site.metric("portcullis_decisions_total", &allowed).await,
        0.0
    );
    let ready = site.admin("/readyz").await;
    assert_eq!(ready.status, 503);
    let checks = ready.json()["checks"].as_array().unwrap().clone();
    let failing: Vec<_> = checks.iter().filter(|check| check["ok"] == false).collect();
    assert_eq!(failing.len(), 1);
    assert_eq!(failing[0]["name"], "audit");
}

/// One of many: who asks, what, and the decision, reason and status that are to come of it.
const MIX: [(Option<people::Person>, &str, &str, &str, u16); 8] = [
    (Some(people::ADMIN), SECRET, "allow", "ok_assignment", 200),
    (
        Some(people::READER),
        "/secrets?api-version=7.4",
        "allow",
        "ok_assignment",
        200,
    ),
    (
        Some(people::ADMIN),
        "/secrets/absent?api-version=7.4",
        "allow",
        "ok_assignment",
        404,
    ),
    (Some(people::NOBODY), SECRET, "deny", "no_assignment", 403),
    (Some(people::DB_APP), SECRET, "deny", "scope_mismatch", 403),
    (
        Some(people::ADMIN),
        "/secrets/a%2Fb?api-version=7.4",
        "deny",
        "bad_path",
        400,
    ),
    (
        Some(people::ADMIN),
        "/secrets?x=1",
        "deny",
        "bad_query",
        400,
    ),
    (None, SECRET, "challenge", "no_token", 401),
];

const REQUESTS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_many_requests_at_once_has_one_record_and_no_number_is_missing() {
    let site = Site::start().await;
    let mut asking = JoinSet::new();
    for index in 0..REQUESTS {
        let (person, target, _, _, status) = MIX[index % MIX.len()];
        let mut request = site.request("GET", target);
        if let Some(person) = person {
            request = request.bearer_auth(site.token(person));
        }
        let request = request.header("x-ms-client-request-id", index.to_string());
        asking.spawn(async move {
            let reply = read(request).await;
            assert_eq!(reply.status, status, "{target}");
            (
                index,
                reply.header("x-portcullis-decision-id").map(str::to_owned),
            )
        });
    }
    let mut told = BTreeMap::new();
    while let Some(done) = soon(asking.join_next()).await {
        let (index, decision_id) = done.unwrap();
        told.insert(index, decision_id);
    }
    let allowed = (0..REQUESTS)
        .filter(|index| MIX[index % MIX.len()].2 == "allow")
        .count();
    let lines = eventually(async || {
        let lines = site.lines();
        (lines.len() >= REQUESTS + allowed).then_some(lines)
    })
    .await;
    assert_eq!(lines.len(), REQUESTS + allowed);
    let instances: BTreeSet<_> = lines.iter().map(|line| line["inst"].as_str()).collect();
    assert_eq!(instances.len(), 1);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["seq"], index + 1);
    }
    check_each(&lines, &told);
    let reached = site.world.vault.journal_len();
    assert_eq!(reached, u64::try_from(allowed).unwrap());
    let counted = site.metric("portcullis_decisions_total", &[]).await;
    assert_eq!(counted, f64::from(u32::try_from(REQUESTS).unwrap()));
    assert_eq!(site.metric("portcullis_inflight_requests", &[]).await, 0.0);
}

/// Holds every request against its records.
fn check_each(lines: &[Value], told: &BTreeMap<usize, Option<String>>) {
    let of_type = |wanted: &'static str| lines.iter().filter(move |line| line["type"] == wanted);
    assert_eq!(of_type("decision").count(), REQUESTS);
    let mut names = BTreeSet::new();
    for record in of_type("decision") {
        let index: usize = record["client"]["request_id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let (_, _, decision, reason, status) = MIX[index % MIX.len()];
        assert_eq!(
            (&record["decision"], &record["reason"]),
            (&decision.into(), &reason.into())
        );
        let id = record["decision_id"].as_str().unwrap();
        assert!(names.insert(id), "two records of one name");
        let results: Vec<_> = of_type("result")
            .filter(|line| line["decision_id"] == id)
            .collect();
        if decision == "allow" {
            assert_eq!(told[&index], None);
            assert_eq!(results.len(), 1);
            assert_eq!(results[0]["status"], status);
            assert!(results[0]["seq"].as_u64() > record["seq"].as_u64());
        } else {
            assert_eq!(told[&index].as_deref(), Some(id));
            assert!(results.is_empty());
        }
    }
}

#[tokio::test]
async fn the_last_records_are_written_at_the_end() {
    let site = Site::start().await;
    assert_eq!(
        site.get(people::ADMIN, &format!("{PATH}?{VERSION}"))
            .await
            .status,
        200
    );
    let Site { world, records, .. } = site;
    soon(world.stop()).await;
    let lines = records.lines();
    let types: Vec<_> = lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    assert_eq!(types, ["decision", "result"]);
}
