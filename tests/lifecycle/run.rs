//! `portcullis run` at work: what it answers and what it tells.

use portcullis::dev::people;
use serde_json::Value;

use crate::ask::{SECRET, send, soon};
use crate::process::{Running, run};
use crate::surroundings::{Surroundings, replace};

#[tokio::test(flavor = "multi_thread")]
async fn records_are_json_lines_on_standard_output_and_logs_are_on_standard_error() {
    let world = Surroundings::start().await;
    // Nothing is kept back that any level of ours would tell.
    let toml = world.toml("[log]\nfilter = \"trace\"\n");
    let running = Running::start(&world, &toml).await;
    let (allowed, refused) = (
        world.token(people::SECRETS_USER),
        world.token(people::NOBODY),
    );
    let answer = running.client.secret(&allowed).await;
    assert_eq!(answer.status, 200);
    let secret = answer.body["value"].as_str().unwrap().to_owned();
    let answer = running.client.secret(&refused).await;
    assert_eq!(answer.verdict(), (403, "no_assignment"));
    let decision = answer.header("x-portcullis-decision-id").to_owned();
    assert_eq!(running.client.secret("no-token").await.status, 401);
    assert_eq!(world.vault.journal_len(), 1);

    running.process.signal("TERM");
    let outcome = running.process.end().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let lines = |text: &str| -> Vec<Value> {
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let records = lines(&outcome.stdout);
    let told: Vec<_> = records
        .iter()
        .map(|record| (record["type"].as_str(), record["decision"].as_str()))
        .collect();
    let (decided, result) = (Some("decision"), Some("result"));
    assert_eq!(
        told,
        [
            (decided, Some("allow")),
            (result, None),
            (decided, Some("deny")),
            (decided, Some("deny"))
        ]
    );
    assert_eq!(records[2]["decision_id"], decision.as_str());
    for event in lines(&outcome.stderr) {
        assert!(event["level"].is_string() && event["fields"]["message"].is_string());
        assert!(event["type"].is_null(), "a record in the log: {event}");
    }
    for text in [&outcome.stdout, &outcome.stderr] {
        for hidden in [&allowed, &refused, &secret] {
            assert!(!text.contains(&**hidden));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_of_the_environment_overrides_the_file() {
    let world = Surroundings::start().await;
    let mut command = run(&world.write(&world.toml("")));
    let name = "PORTCULLIS_VAULT__PORTCULLIS_DEV__PUBLIC_NAMES";
    command.env(name, "[\"a.vault.example:0\"]");
    command.env("UNRELATED", "x");
    let running = Running::spawn(&world, command).await;
    let token = world.token(people::SECRETS_USER);
    let request = running.client.get_at("a.vault.example", SECRET, &token);
    assert_eq!(soon(send(request)).await.unwrap().status, 200);
    // The name in the file counts no more.
    let answer = running.client.secret(&token).await;
    assert_eq!(answer.verdict(), (421, "unknown_vault"));
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_role_data_is_in_the_log_from_its_beginning_to_its_end() {
    let world = Surroundings::start().await;
    let mut running = Running::start(&world, &world.toml("")).await;
    let event = running.process.logs("role data in force").await;
    assert_eq!(event["fields"]["role_assignments"], 19);
    let file = world.roles().join("groups.json");
    let good = std::fs::read_to_string(&file).unwrap();
    replace(&file, "[{");
    let message = "role data cannot be loaded; it is kept as it was";
    let event = running.process.logs(message).await;
    assert_eq!(event["level"], "ERROR");
    let error = event["fields"]["error"].as_str().unwrap();
    assert!(error.contains(file.to_str().unwrap()), "{error}");
    replace(&file, &good);
    running
        .process
        .logs("role data is again what is in force")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_go_to_a_file_if_told_so() {
    let world = Surroundings::start().await;
    let toml = world.toml("[audit]\nsink = \"file\"\npath = \"records.jsonl\"\n");
    let running = Running::start(&world, &toml).await;
    let token = world.token(people::NOBODY);
    let answer = running.client.secret(&token).await;
    assert_eq!(answer.status, 403);
    // Written before the answer was sent.
    let records = std::fs::read_to_string(world.path("records.jsonl")).unwrap();
    let record: Value = serde_json::from_str(records.trim_end()).unwrap();
    let id = answer.header("x-portcullis-decision-id");
    assert_eq!(record["decision_id"], id);
    running.process.signal("TERM");
    let outcome = running.process.end().await;
    assert_eq!((outcome.code, &*outcome.stdout), (Some(0), ""));
}
