//! Every sample person with the same seven calls: what is allowed, and how a refusal reads.

use azure_core::http::StatusCode;
use azure_security_keyvault_keys::models::{SignParameters, SignatureAlgorithm};
use azure_security_keyvault_secrets::models::SetSecretParameters;
use futures_util::TryStreamExt as _;
use portcullis::dev::people::{self, PEOPLE, Person};

use crate::gate::{Gate, Refusal};

/// The calls, in the order of [`expected`].
const CALLS: [&str; 7] = [
    "get app-db-password",
    "get app-api-key",
    "list secrets",
    "set a secret",
    "get the key",
    "sign with the key",
    "list certificates",
];

/// For each of [`CALLS`], why it is refused; empty if it is allowed.
fn expected(person: Person) -> [&'static str; 7] {
    const OK: &str = "";
    const NO: &str = "action_not_granted";
    const NOTHING: &str = "no_assignment";
    const SCOPE: &str = "scope_mismatch";
    match person.name {
        "admin" => [OK; 7],
        "secrets-user" => [OK, OK, OK, NO, NO, NO, NO],
        "reader" => [NO, NO, OK, NO, OK, NO, OK],
        "crypto-user" => [NO, NO, NO, NO, OK, OK, NO],
        // Its role would do for the list and the other secret, but not for the rest.
        "db-app" => [OK, SCOPE, SCOPE, NOTHING, NOTHING, NOTHING, NOTHING],
        // What is refused under its condition is in `tests/sdk/conditions`.
        "app-reader" => [OK, OK, OK, NO, NO, NO, NO],
        "group-member" => [OK, OK, OK, NO, OK, OK, NO],
        "no-purge" => [OK, OK, OK, OK, NO, NO, NO],
        "expired-pim" => ["expired_grant"; 7],
        "nobody" => [NOTHING; 7],
        name => panic!("nobody expects `{name}`"),
    }
}

/// One call; `Ok` also if the embedded vault was asked and lacks what was asked for.
async fn call(gate: &Gate, person: Person, number: usize) -> azure_core::Result<()> {
    let (secrets, keys) = (gate.secrets(person), gate.keys(person));
    match number {
        0 => secrets.get_secret(people::DB_SECRET, None).await.map(drop),
        1 => secrets.get_secret("app-api-key", None).await.map(drop),
        2 => {
            let listed = secrets.list_secret_properties(None)?;
            listed.try_collect::<Vec<_>>().await.map(drop)
        }
        3 => {
            let parameters = SetSecretParameters {
                value: Some("v".to_owned()),
                ..SetSecretParameters::default()
            };
            let body = parameters.try_into()?;
            secrets.set_secret("new", body, None).await.map(drop)
        }
        4 => keys.get_key(people::SIGNING_KEY, None).await.map(drop),
        5 => {
            let parameters = SignParameters {
                algorithm: Some(SignatureAlgorithm::Rs256),
                value: Some(vec![0; 32]),
            };
            let body = parameters.try_into()?;
            keys.sign(people::SIGNING_KEY, body, None).await.map(drop)
        }
        _ => {
            let client = gate.certificates(person);
            let listed = client.list_certificate_properties(None)?;
            listed.try_collect::<Vec<_>>().await.map(drop)
        }
    }
}

#[tokio::test]
async fn everybody_gets_what_is_theirs_and_is_told_why_not_the_rest() {
    let gate = Gate::start().await;
    let mut refusals = Vec::new();
    for person in PEOPLE {
        for (number, reason) in expected(person).into_iter().enumerate() {
            let allowed = reason.is_empty();
            let what = format!("{}: {}", person.name, CALLS[number]);
            let (sent, reached) = (gate.sent().len(), gate.journal().len());
            let outcome = call(&gate, person, number).await;
            // A challenge, then the call: a refusal is not tried again.
            assert_eq!(gate.sent().len() - sent, 2, "{what}");
            assert_eq!(
                gate.journal().len() - reached,
                usize::from(allowed),
                "{what}"
            );
            assert_eq!(outcome.is_ok(), allowed, "{what}: {outcome:?}");
            if !allowed {
                refusals.push((person, reason, Refusal::of(outcome)));
            }
        }
    }
    let decisions = gate.finish().await;
    for (person, reason, refusal) in refusals {
        assert_eq!(refusal.status, StatusCode::Forbidden);
        assert_eq!(refusal.code, "Forbidden");
        assert_eq!(refusal.inner.as_deref(), Some("ForbiddenByPortcullis"));
        assert_eq!(refusal.reason.as_deref(), Some(reason), "{}", person.name);
        assert_reads_well(person, &refusal);
        // What the caller was told leads to the record.
        let id = refusal.decision_id.as_deref().unwrap();
        let record = decisions.iter().find(|line| line["decision_id"] == id);
        let record = record.expect("the record of the refusal");
        assert_eq!(record["decision"], "deny");
        assert_eq!(record["reason"], reason);
        assert_eq!(record["caller"]["oid"], person.object_id.to_string());
    }
}

/// The text is for the person refused: it has their ids and nobody else's.
fn assert_reads_well(person: Person, refusal: &Refusal) {
    let message = &refusal.message;
    for part in [
        "Caller is not authorized to perform action on resource.",
        &format!("appid={}", person.client_id),
        &format!("oid={}", person.object_id),
        "Action: 'Microsoft.KeyVault/vaults/",
        "Resource: '/subscriptions/",
        "Vault: portcullis-dev;location=westeurope",
        "Decided by: Portcullis",
    ] {
        assert!(message.contains(part), "{}: {part}: {message}", person.name);
    }
    for other in PEOPLE.iter().filter(|other| **other != person) {
        assert!(!message.contains(&other.object_id.to_string()));
        assert!(!message.contains(&other.client_id.to_string()));
    }
    // What an application prints that only prints the error.
    assert!(refusal.shown.contains("ForbiddenByPortcullis"));
    assert!(refusal.shown.contains("Caller is not authorized"));
}
