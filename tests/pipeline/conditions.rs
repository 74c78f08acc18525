//! Conditions that depend on what has to be fetched first: an object's metadata, or a body.

mod bodies;
mod metadata;
mod remembered;
mod versions;

use portcullis::dev::people::{self, Person};
use serde_json::{Value, json};

use crate::site::{Reply, Setup, Site, VERSION, put};

/// Who has roles on a condition only.
pub(crate) const CALLER: Person = people::NOBODY;
const ASSIGNMENT: &str = "a17e93d4-58b2-4c0f-9e61-d3f4827b06c5";
/// Key Vault Administrator.
const ROLE: &str = "00482a5a-887f-4fb3-b363-3b7fe8e74483";

const TEAM: &str = "Microsoft.KeyVault/vaults/secrets/tags:team<$key_case_sensitive$>";
const CURRENT: &str = "@Resource[Microsoft.KeyVault/vaults/secrets:isCurrentVersion]";

pub(crate) const NAME: &str = "paint";
pub(crate) const GET: &str = "/secrets/paint?api-version=7.4";
pub(crate) const PATH: &str = "/secrets/paint";
pub(crate) const LIST: &str = "/secrets/paint/versions";

/// Everything is granted, but values only of secrets with the tag `team` `red`.
fn only_red() -> String {
    format!(
        "(!(ActionMatches{{'Microsoft.KeyVault/vaults/secrets/getSecret/action'}})) OR \
         (@Resource[{TEAM}] StringEquals 'red')"
    )
}

/// Everything is granted, but only secrets that are to have the tag `team` `red` may be set.
fn set_red() -> String {
    format!(
        "(!(ActionMatches{{'Microsoft.KeyVault/vaults/secrets/setSecret/action'}})) OR \
         (@Request[{TEAM}] StringEquals 'red')"
    )
}

/// Everything is granted, but values only of versions that are current.
fn only_current() -> String {
    format!(
        "(!(ActionMatches{{'Microsoft.KeyVault/vaults/secrets/getSecret/action'}})) OR \
         ({CURRENT} BoolEquals true)"
    )
}

fn assignment(condition: &str) -> Value {
    json!([{
        "id": format!(
            "{}/providers/Microsoft.Authorization/roleAssignments/{ASSIGNMENT}",
            people::RESOURCE_ID
        ),
        "name": ASSIGNMENT,
        "type": "Microsoft.Authorization/roleAssignments",
        "scope": people::RESOURCE_ID,
        "roleDefinitionId": format!(
            "{}/providers/Microsoft.Authorization/roleDefinitions/{ROLE}",
            people::SUBSCRIPTION
        ),
        "principalId": CALLER.object_id.to_string(),
        "principalType": "ServicePrincipal",
        "roleDefinitionName": "Key Vault Administrator",
        "condition": condition,
        "conditionVersion": "2.0",
    }])
}

/// A site where [`CALLER`] has everything on this condition.
async fn site_with(setup: Setup, condition: &str) -> Site {
    let site = setup.start().await;
    let conditional = assignment(condition);
    site.change_roles(|directory| put(directory, "conditional.json", &conditional))
        .await;
    site
}

async fn site(condition: &str) -> Site {
    site_with(Setup::default(), condition).await
}

/// Sets the secret, with a tag, and moves on to the next second; returns the new version.
async fn paint(site: &Site, name: &str, value: &str, team: &str) -> String {
    let body = json!({ "value": value, "tags": { "team": team } });
    let set = format!("/secrets/{name}?{VERSION}");
    let reply = site.send(people::ADMIN, "PUT", &set, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    site.clock.advance(std::time::Duration::from_secs(1));
    site.forget();
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    id.rsplit('/').next().unwrap().to_owned()
}

/// The query of the proxy's own questions, whatever the caller's api-version: an old one would leave
/// properties out.
const ASKED: &str = "api-version=2026-04-01";

/// What reached the vault since the last look: method, and path and query.
fn asked(site: &Site) -> Vec<String> {
    let news = site.news();
    news.iter()
        .map(|entry| format!("{} {}", entry.method, entry.path_and_query))
        .collect()
}

/// Checks a refusal of ours, whatever the vault was asked before.
#[track_caller]
fn refused(site: &Site, reply: &Reply, (status, reason): (u16, &str)) -> Value {
    let shown = String::from_utf8_lossy(reply.body.as_deref().unwrap_or_default());
    assert_eq!(
        (reply.status, reply.header("x-portcullis-reason")),
        (status, Some(reason)),
        "{shown}"
    );
    let record = site.decision();
    assert_eq!(record["reason"], reason);
    assert_ne!(record["decision"], "allow");
    record
}
