//! Signing keys that come and go at the issuer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis::dev::issuer::OldKeys;
use portcullis::dev::people;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::ask::{soon, until};
use crate::surroundings::{Gate, ISSUER, Surroundings, issuer_toml, listener, replace};

/// Longer than the cool-down between fetches for unknown keys.
const COOLED: Duration = Duration::from_secs(301);

/// Longer than keys may be old.
const TOO_LONG: Duration = Duration::from_secs(8 * 24 * 3600);

/// The issuer's present JWKS document.
pub(crate) async fn key_document(world: &Surroundings) -> String {
    let url = format!("{}/discovery/keys", world.issuer.tenant_url());
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(world.pki.client_config().unwrap())
        .no_proxy()
        .build()
        .unwrap();
    let answer = soon(http.get(url).send()).await.unwrap();
    soon(answer.text()).await.unwrap()
}

/// Waits until the metric of this name has this value. Keys are in use a moment before they are
/// counted.
#[track_caller]
fn counted(gate: &Gate, name: &str, labels: &str, value: f64) -> impl Future<Output = ()> {
    let series = format!("portcullis_{name}{{issuer=\"{ISSUER}\"{labels}}}");
    let administration = gate.administration;
    until(async move || (administration.metrics().await[&series] == value).then_some(()))
}

/// Waits until so many keys are in use.
#[track_caller]
fn keys(gate: &Gate, count: f64) -> impl Future<Output = ()> {
    counted(gate, "jwks_keys", "", count)
}

/// Waits until keys were fetched so often.
#[track_caller]
fn fetches(gate: &Gate, count: f64) -> impl Future<Output = ()> {
    counted(gate, "jwks_refresh_total", ",result=\"ok\"", count)
}

async fn status(gate: &Gate, token: &str) -> u16 {
    gate.client.secret(token).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_fetched_when_its_first_token_comes_and_the_old_one_stays_good() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    let old = world.token(people::SECRETS_USER);
    assert_eq!(status(&gate, &old).await, 200);
    keys(&gate, 1.0).await;
    soon(world.issuer.rotate(OldKeys::Keep)).await.unwrap();
    let new = world.token(people::SECRETS_USER);
    assert_eq!(status(&gate, &new).await, 200);
    keys(&gate, 2.0).await;
    assert_eq!(status(&gate, &old).await, 200);
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_retired_key_are_refused_even_if_they_were_accepted_before() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    let (known, unseen) = (
        world.token(people::SECRETS_USER),
        world.token(people::ADMIN),
    );
    assert_eq!(status(&gate, &known).await, 200);
    soon(world.issuer.rotate(OldKeys::Retire)).await.unwrap();
    // Nobody told the proxy yet.
    assert_eq!(status(&gate, &known).await, 401, "the vault's own answer");
    let reached = world.vault.journal_len();
    assert_eq!(reached, 2);
    let new = world.token(people::SECRETS_USER);
    assert_eq!(status(&gate, &new).await, 200);
    keys(&gate, 1.0).await;
    for token in [&known, &unseen] {
        let answer = gate.client.secret(token).await;
        assert_eq!(answer.verdict(), (401, "bad_token"));
        assert!(answer.header("www-authenticate").starts_with("Bearer "));
    }
    assert_eq!(world.vault.journal_len(), reached + 1);
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_cause_one_fetch_in_a_cool_down() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    fetches(&gate, 1.0).await;
    soon(world.issuer.rotate(OldKeys::Keep)).await.unwrap();
    assert_eq!(status(&gate, &world.token(people::SECRETS_USER)).await, 200);
    fetches(&gate, 2.0).await;
    soon(world.issuer.rotate(OldKeys::Keep)).await.unwrap();
    let token = world.token(people::SECRETS_USER);
    for _ in 0..3 {
        let answer = gate.client.secret(&token).await;
        assert_eq!(answer.verdict(), (401, "bad_token"));
    }
    fetches(&gate, 2.0).await;
    world.clock.advance(COOLED);
    let answer = gate.client.secret(&token).await;
    assert_eq!(answer.verdict(), (200, ""));
    fetches(&gate, 3.0).await;
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_issuer_known_keys_serve_until_they_are_too_old() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    let tokens = [people::SECRETS_USER, people::NOBODY].map(|person| world.token(person));
    let Surroundings {
        issuer,
        clock,
        directory: _directory,
        vault,
        ..
    } = world;
    soon(issuer.stop()).await;
    // Neither token was seen before, and a whole shift later than they are good for asks nothing
    // of the issuer.
    for (token, expected) in tokens.iter().zip([(200, ""), (403, "no_assignment")]) {
        assert_eq!(gate.client.secret(token).await.verdict(), expected);
    }
    assert!(gate.administration.ready().await.is_ready());
    clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(
        gate.client.secret(&tokens[0]).await.verdict(),
        (401, "bad_token")
    );

    let reached = vault.journal_len();
    clock.advance(TOO_LONG);
    for token in &tokens {
        // Whether it is good cannot be told, so it is not refused either.
        let answer = gate.client.secret(token).await;
        assert_eq!(answer.verdict(), (503, "keys_unavailable"));
        assert_eq!(answer.header("retry-after"), "5");
    }
    assert_eq!(vault.journal_len(), reached);
    let now = gate.administration.ready().await;
    assert!(!now.is_ready() && !now.holds("keys"));
    assert!(now.reason("keys").contains("too old"), "{now:?}");
    gate.app.stop().await;
}

/// A port that leads to the issuer while it is open, and refuses to serve while it is not.
struct Way {
    port: u16,
    open: Arc<AtomicBool>,
    /// How many connections were turned away.
    refused: watch::Receiver<u64>,
}

impl Way {
    async fn to(issuer: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = Arc::new(AtomicBool::new(false));
        let (count, refused) = watch::channel(0);
        let is_open = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if !is_open.load(Ordering::SeqCst) {
                    count.send_modify(|count| *count += 1);
                    continue;
                }
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(issuer).await.unwrap();
                    // However it ends.
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self {
            port,
            open,
            refused,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_down_at_the_start_is_tried_again_until_it_is_up() {
    let world = Surroundings::start().await;
    let mut way = Way::to(world.issuer.address()).await;
    let tenant = people::TENANT;
    let url = format!("https://localhost:{}/{tenant}/discovery/keys", way.port);
    let keys = format!("jwks_url = \"{url}\"\nca_file = \"ca.pem\"");
    let issuer = issuer_toml(ISSUER, &world.issuer, &keys);
    let toml = world.toml_of(&listener("main"), &issuer, "");
    let gate = world.begin(world.config(&toml)).await;
    let token = world.token(people::SECRETS_USER);
    soon(way.refused.wait_for(|count| *count >= 2))
        .await
        .unwrap();
    let now = gate
        .administration
        .readiness(|now| now.holds("assignments"));
    let now = now.await;
    assert!(!now.is_ready() && !now.holds("keys"));
    let answer = gate.client.secret(&token).await;
    assert_eq!(answer.verdict(), (503, "keys_unavailable"));

    way.open.store(true, Ordering::SeqCst);
    gate.administration.readiness(|now| now.is_ready()).await;
    assert_eq!(status(&gate, &token).await, 200);

    // Gone again: what is known is enough.
    way.open.store(false, Ordering::SeqCst);
    soon(world.issuer.rotate(OldKeys::Keep)).await.unwrap();
    let new = world.token(people::SECRETS_USER);
    let answer = gate.client.secret(&new).await;
    assert_eq!(answer.verdict(), (401, "bad_token"));
    assert_eq!(status(&gate, &token).await, 200);
    assert!(gate.administration.ready().await.is_ready());
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_is_a_source_of_keys_and_is_read_again_when_it_changes() {
    let world = Surroundings::start().await;
    let file = world.path("jwks.json");
    replace(&file, &key_document(&world).await);
    let issuer = issuer_toml(ISSUER, &world.issuer, "jwks_file = \"jwks.json\"");
    let toml = world.toml_of(&listener("main"), &issuer, "");
    let gate = world.begin(world.config(&toml)).await;
    soon(gate.app.ready()).await;
    let old = world.token(people::SECRETS_USER);
    assert_eq!(status(&gate, &old).await, 200);

    soon(world.issuer.rotate(OldKeys::Retire)).await.unwrap();
    replace(&file, &key_document(&world).await);
    let new = world.token(people::SECRETS_USER);
    assert_eq!(status(&gate, &new).await, 200);
    assert_eq!(gate.client.secret(&old).await.verdict(), (401, "bad_token"));

    // A broken file takes nothing away.
    replace(&file, "{\"keys\": [");
    world.clock.advance(COOLED);
    soon(world.issuer.rotate(OldKeys::Keep)).await.unwrap();
    let newest = world.token(people::SECRETS_USER);
    let answer = gate.client.secret(&newest).await;
    assert_eq!(answer.verdict(), (401, "bad_token"));
    assert_eq!(status(&gate, &new).await, 200);
    gate.app.stop().await;
}
