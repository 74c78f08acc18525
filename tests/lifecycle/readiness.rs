//! Readiness: before everything is in, while something is wrong, and when it has been for too long.

use std::fs;
use std::time::Duration;

use portcullis::dev::people;
use serde_json::Value;

use crate::ask::{Administration, soon, until};
use crate::keys::key_document;
use crate::surroundings::{ISSUER, Surroundings, issuer_toml, listener, replace};

/// Longer than role data may be old.
const TOO_LONG: Duration = Duration::from_secs(3601);

async fn exported(administration: Administration) -> bool {
    administration.metrics().await["portcullis_ready"] == 1.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_ready_once_keys_and_role_data_are_in_and_says_what_is_missing() {
    let world = Surroundings::start().await;
    let (roles, aside) = (world.roles(), world.path("aside"));
    fs::rename(&roles, &aside).unwrap();
    let issuer = issuer_toml(ISSUER, &world.issuer, "jwks_file = \"jwks.json\"");
    let toml = world.toml_of(&listener("main"), &issuer, "");
    let gate = world.begin(world.config(&toml)).await;
    let administration = gate.administration;
    let token = world.token(people::SECRETS_USER);

    // Neither: the process lives, and refuses nobody; it cannot tell.
    let now = administration
        .readiness(|now| now.reason("assignments").contains("roles"))
        .await;
    assert!(!now.is_ready() && !now.holds("keys") && !now.holds("assignments"));
    assert!(now.reason("keys").contains("missing"), "{now:?}");
    assert!(!exported(administration).await);
    let page = soon(administration.page("/livez")).await.unwrap();
    assert_eq!(page, (200, "ok\n".to_owned()));
    let answer = gate.client.secret(&token).await;
    assert_eq!(answer.verdict(), (503, "keys_unavailable"));
    assert_eq!(answer.header("retry-after"), "5");

    // Keys alone.
    replace(&world.path("jwks.json"), &key_document(&world).await);
    let now = administration.readiness(|now| now.holds("keys")).await;
    assert!(!now.is_ready());
    for person in [people::SECRETS_USER, people::NOBODY] {
        let answer = gate.client.secret(&world.token(person)).await;
        assert_eq!(answer.verdict(), (503, "snapshot_missing"));
        assert_eq!(answer.header("retry-after"), "5");
    }
    assert_eq!(world.vault.journal_len(), 0);

    // And role data.
    fs::rename(&aside, &roles).unwrap();
    let now = administration.readiness(|now| now.is_ready()).await;
    assert_eq!(
        (now.note("assignments"), now.reason("assignments")),
        ("", "")
    );
    assert!(exported(administration).await);
    assert_eq!(gate.client.secret(&token).await.status, 200);
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn role_data_alone_does_not_make_ready() {
    let world = Surroundings::start().await;
    let issuer = issuer_toml(ISSUER, &world.issuer, "jwks_file = \"jwks.json\"");
    let toml = world.toml_of(&listener("main"), &issuer, "");
    let gate = world.begin(world.config(&toml)).await;
    let now = gate
        .administration
        .readiness(|now| now.holds("assignments"))
        .await;
    assert!(!now.is_ready() && !now.holds("keys"));
}

#[tokio::test(flavor = "multi_thread")]
async fn role_data_that_is_too_old_decides_nothing_until_it_is_there_again() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    let administration = gate.administration;
    let (roles, aside) = (world.roles(), world.path("aside"));
    fs::rename(&roles, &aside).unwrap();
    let told = |text: &str| text.contains("roles") && text.contains("cannot be read");
    let now = administration
        .readiness(|now| told(now.note("assignments")))
        .await;
    assert!(now.is_ready(), "{now:?}");
    assert!(administration.loads("io").await >= 1.0);
    let token = world.token(people::SECRETS_USER);
    assert_eq!(gate.client.secret(&token).await.status, 200);

    world.clock.advance(TOO_LONG);
    let now = administration.ready().await;
    assert!(!now.is_ready() && now.holds("keys"));
    let reason = now.reason("assignments");
    assert!(reason.contains("too old") && told(reason), "{reason}");
    assert!(!exported(administration).await);
    let reached = world.vault.journal_len();
    // Not a denial, whoever asks: with fresh tokens, as the old ones have expired.
    for person in [people::SECRETS_USER, people::NOBODY, people::ADMIN] {
        let answer = gate.client.secret(&world.token(person)).await;
        assert_eq!(answer.verdict(), (503, "snapshot_stale"), "{}", person.name);
        assert_eq!(answer.header("retry-after"), "5");
    }
    assert_eq!(world.vault.journal_len(), reached);

    fs::rename(&aside, &roles).unwrap();
    let now = administration.readiness(|now| now.is_ready()).await;
    assert_eq!(now.note("assignments"), "");
    let token = world.token(people::SECRETS_USER);
    assert_eq!(gate.client.secret(&token).await.status, 200);
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_role_data_stays_fresh() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    world.clock.advance(TOO_LONG);
    // Read again and found the same, which is as good as new.
    gate.administration.readiness(|now| now.is_ready()).await;
    gate.administration.loaded("unchanged", 1.0).await;
    let token = world.token(people::SECRETS_USER);
    assert_eq!(gate.client.secret(&token).await.status, 200);
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_told_everywhere_while_the_last_good_set_decides() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    let administration = gate.administration;
    let file = world.roles().join("role-assignments.json");
    let good = fs::read_to_string(&file).unwrap();
    let series = r#"portcullis_snapshot_loads_total{result="schema"}"#;
    // A set is in force a moment before it is counted.
    let counted = r#"portcullis_snapshot_objects{kind="role"}"#;
    let before = until(async || {
        let now = administration.metrics().await;
        (now[counted] > 0.0).then_some(now)
    })
    .await;
    assert_eq!(before[series], 0.0);

    let mut entries: Value = serde_json::from_str(&good).unwrap();
    entries[3]["principalId"] = "somebody".into();
    for (broken, told) in [
        ("[{".to_owned(), "expected JSON"),
        (entries.to_string(), "entry 3"),
    ] {
        replace(&file, &broken);
        let now = administration
            .readiness(|now| now.note("assignments").contains(told))
            .await;
        assert!(now.is_ready() && now.holds("assignments"), "{now:?}");
        let note = now.note("assignments");
        assert!(note.contains("role-assignments.json"), "{note}");
        assert!(!note.contains("somebody"), "{note}");
        for (person, status) in [(people::SECRETS_USER, 200), (people::NOBODY, 403)] {
            let answer = gate.client.secret(&world.token(person)).await;
            assert_eq!(answer.status, status, "{}", person.name);
        }
    }
    let after = administration.metrics().await;
    assert!(after[series] >= 2.0);
    assert_eq!(after["portcullis_ready"], 1.0);
    // What is in force is what was.
    for (kind, count) in [("assignment", 19.0), ("role", 1.0), ("group", 19.0)] {
        let series = format!(r#"portcullis_snapshot_objects{{kind="{kind}"}}"#);
        assert_eq!(after[&series], count, "{kind}");
    }

    replace(&file, &good);
    let mended = administration.readiness(|now| now.note("assignments").is_empty());
    assert!(mended.await.is_ready());
    gate.app.stop().await;
}
