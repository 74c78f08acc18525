//! Role data that lost much at once: not believed at first, then believed.

use std::time::Duration;

use portcullis::dev::people;

use crate::ask::{soon, until};
use crate::surroundings::{Surroundings, replace};

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_shrank_sharply_is_held_back_and_told() {
    let world = Surroundings::start().await;
    let mut config = world.config(&world.toml(""));
    // No second look within this test.
    config.assignments.poll_interval = Duration::from_secs(3600);
    let gate = world.begin(config).await;
    soon(gate.app.ready()).await;
    let file = world.roles().join("role-assignments.json");
    let whole = std::fs::read_to_string(&file).unwrap();
    replace(&file, "[]");
    let note = "role assignments went from 19 to 0; held back until seen again";
    let now = gate
        .administration
        .readiness(|now| now.note("assignments") == note)
        .await;
    assert!(now.is_ready() && now.holds("assignments"));
    assert!(gate.administration.loads("held_back").await >= 1.0);
    assert_eq!(gate.administration.loads("ok").await, 1.0);
    let token = world.token(people::SECRETS_USER);
    assert_eq!(gate.client.secret(&token).await.status, 200);
    let series = r#"portcullis_snapshot_objects{kind="assignment"}"#;
    assert_eq!(gate.administration.metrics().await[series], 19.0);

    // The export was run again, whole this time.
    replace(&file, &whole);
    let mended = gate
        .administration
        .readiness(|now| now.note("assignments").is_empty());
    assert!(mended.await.is_ready());
    assert_eq!(gate.administration.loads("ok").await, 1.0);
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_is_still_shrunken_a_poll_later_is_believed() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    let token = world.token(people::SECRETS_USER);
    assert_eq!(gate.client.secret(&token).await.status, 200);
    replace(&world.roles().join("role-assignments.json"), "[]");
    let refused = until(async || {
        let answer = gate.client.secret(&token).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(refused.verdict(), (403, "no_assignment"));
    assert!(gate.administration.loads("held_back").await >= 1.0);
    let now = gate.administration.ready().await;
    assert!(now.is_ready());
    assert_eq!(now.note("assignments"), "");
    gate.app.stop().await;
}
