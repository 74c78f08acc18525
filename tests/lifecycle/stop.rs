//! Stopping the real binary: by which signals, how gently and for how long.

use portcullis::dev::people;
use portcullis::dev::vault::{Release, Script};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::ask::{Administration, Answer, soon, until};
use crate::process::{Outcome, Process, Running, run};
use crate::surroundings::Surroundings;

/// The one event in the log with this message.
fn logged(outcome: &Outcome, message: &str) -> Value {
    let events: Vec<Value> = outcome
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &Value| event["fields"]["message"] == message)
        .collect();
    assert_eq!(events.len(), 1, "{}", outcome.stderr);
    events[0]["fields"].clone()
}

/// The record of how the one allowed request ended.
fn result(outcome: &Outcome) -> Value {
    let records: Vec<Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|record: &Value| record["type"] == "result")
        .collect();
    assert_eq!(records.len(), 1, "{}", outcome.stdout);
    records[0].clone()
}

/// A request that the vault does not answer before it is released.
async fn in_flight(
    world: &Surroundings,
    running: &Running,
) -> (JoinHandle<reqwest::Result<Answer>>, Release) {
    let (script, release) = Script::genuine().held();
    world
        .vault
        .next_response("/secrets/app-db-password", script);
    let (client, token) = (running.client.clone(), world.token(people::SECRETS_USER));
    let request = tokio::spawn(async move { client.try_secret(&token).await });
    soon(world.vault.reached(1)).await;
    (request, release)
}

async fn drains_on(signal: &str) {
    let world = Surroundings::start().await;
    // Longer than a test may take: whatever waits for its end fails.
    let toml = world.toml("[limits]\ndrain_grace_seconds = 600\n");
    let running = Running::start(&world, &toml).await;
    let (request, release) = in_flight(&world, &running).await;
    // This one never shakes hands, and holds nothing up.
    let _silent = TcpStream::connect(running.address).await.unwrap();

    running.process.signal(signal);
    until(async || TcpStream::connect(running.address).await.err()).await;
    says_that_it_drains(running.administration).await;
    assert!(!request.is_finished());

    release.release();
    let answer = soon(request).await.unwrap().unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.body["value"].is_string());
    let administration = running.administration;
    let outcome = running.process.end().await;
    ended_well(&outcome);
    assert!(administration.page("/livez").await.is_err());
}

/// Who asks is told, for as long as something is in flight.
async fn says_that_it_drains(administration: Administration) {
    let readiness = administration.readiness(|now| !now.is_ready()).await;
    assert_eq!(readiness.reason("serving"), "draining");
    assert!(readiness.holds("keys") && readiness.holds("assignments"));
    assert_eq!(soon(administration.page("/livez")).await.unwrap().0, 200);
}

fn ended_well(outcome: &Outcome) {
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    logged(outcome, "draining");
    assert_eq!(logged(outcome, "drained")["aborted"], 0);
    let result = result(outcome);
    assert_eq!(result["aborted"], false);
    assert_eq!(result["status"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_a_request_in_flight_end_and_takes_no_new_ones() {
    drains_on("TERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigint_does_the_same() {
    drains_on("INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_is_cut_when_the_grace_is_over() {
    let world = Surroundings::start().await;
    let toml = world.toml("[limits]\ndrain_grace_seconds = 1\n");
    let running = Running::start(&world, &toml).await;
    let (request, _never) = in_flight(&world, &running).await;
    running.process.signal("TERM");
    let outcome = running.process.end().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(logged(&outcome, "drained")["aborted"], 1);
    // The client saw the end of its connection, not an answer.
    soon(request).await.unwrap().unwrap_err();
    assert_eq!(result(&outcome)["aborted"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_comes_early_is_not_missed() {
    let world = Surroundings::start().await;
    let config = world.write(&world.toml(""));
    for signal in ["TERM", "INT"] {
        let mut process = Process::spawn(run(&config));
        process.logs("serving").await;
        process.signal(signal);
        let outcome = process.end().await;
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
}
