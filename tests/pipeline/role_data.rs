//! Role data that is added at run time.

use portcullis::dev::people;
use serde_json::{Value, json};

use crate::site::{SECRET, Site, VERSION, put};

const DENY: &str = "6f0c2b7a-94d1-4e38-a5b6-1c7d80e3f924";
const CONDITIONAL: &str = "a17e93d4-58b2-4c0f-9e61-d3f4827b06c5";

fn deny_everyone() -> Value {
    json!({ "value": [{
        "id": format!(
            "{}/providers/Microsoft.Authorization/denyAssignments/{DENY}",
            people::RESOURCE_ID
        ),
        "name": DENY,
        "type": "Microsoft.Authorization/denyAssignments",
        "properties": {
            "denyAssignmentName": "No values today",
            "scope": people::RESOURCE_ID,
            "doNotApplyToChildScopes": false,
            "permissions": [{
                "actions": [],
                "notActions": [],
                "dataActions": ["Microsoft.KeyVault/vaults/secrets/getSecret/action"],
                "notDataActions": [],
                "condition": null,
                "conditionVersion": null,
            }],
            "principals": [{
                "id": "00000000-0000-0000-0000-000000000000",
                "type": "SystemDefined",
            }],
            "excludePrincipals": [
                { "id": people::SECRETS_USER.object_id.to_string(), "type": "ServicePrincipal" },
            ],
            "isSystemProtected": false,
        },
    }]})
}

#[tokio::test]
async fn a_deny_assignment_takes_effect_when_its_file_appears_and_wins_until_it_goes() {
    let site = Site::start().await;
    assert_eq!(site.get(people::ADMIN, SECRET).await.status, 200);
    site.forwarded();
    site.change_roles(|directory| put(directory, "deny.json", &deny_everyone()))
        .await;
    for path in ["/secrets/app-api-key", "/deletedsecrets/absent"] {
        let reply = site.get(people::ADMIN, &format!("{path}?{VERSION}")).await;
        let record = site.refused(&reply, (403, "deny_assignment"));
        assert_eq!(record["policy"]["deny_assignment"], DENY);
        assert_eq!(record["policy"]["assignment"], Value::Null);
        let line = format!("\r\nDenyAssignmentId: '{DENY}'\r\n");
        assert!(reply.message().contains(&line), "{}", reply.message());
    }
    // It takes one action away, and not from everybody.
    let body = json!({ "value": "v" });
    let set = format!("/secrets/fresh?{VERSION}");
    let reply = site.send(people::ADMIN, "PUT", &set, &body).await;
    assert_eq!(reply.status, 200);
    site.forwarded();
    assert_eq!(site.get(people::SECRETS_USER, SECRET).await.status, 200);
    site.forwarded();
    site.change_roles(|directory| std::fs::remove_file(directory.join("deny.json")).unwrap())
        .await;
    assert_eq!(site.get(people::ADMIN, SECRET).await.status, 200);
    site.forwarded();
}

#[tokio::test]
async fn a_condition_grants_what_it_holds_for_and_a_refusal_names_it() {
    let site = Site::start().await;
    let conditional = json!([{
        "id": format!(
            "{}/providers/Microsoft.Authorization/roleAssignments/{CONDITIONAL}",
            people::RESOURCE_ID
        ),
        "name": CONDITIONAL,
        "type": "Microsoft.Authorization/roleAssignments",
        "scope": people::RESOURCE_ID,
        "roleDefinitionId": format!(
            "{}/providers/Microsoft.Authorization/roleDefinitions/\
             4633458b-17de-408a-b874-0445c86b69e6",
            people::SUBSCRIPTION
        ),
        "principalId": people::NOBODY.object_id.to_string(),
        "principalType": "ServicePrincipal",
        "roleDefinitionName": "Key Vault Secrets User",
        "condition": "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringEquals 'app-api-key'",
        "conditionVersion": "2.0",
        "createdOn": "2026-01-15T08:00:00.000000+00:00",
        "updatedOn": "2026-01-15T08:00:00.000000+00:00",
    }]);
    site.change_roles(|directory| put(directory, "conditional.json", &conditional))
        .await;
    assert_eq!(site.get(people::NOBODY, SECRET).await.status, 200);
    site.forwarded();
    let other = format!("/secrets/fresh?{VERSION}");
    let reply = site.get(people::NOBODY, &other).await;
    let record = site.refused(&reply, (403, "condition_false"));
    let nearest = &record["policy"]["nearest"];
    assert_eq!(nearest["assignment"], CONDITIONAL);
    let failed = "`@Resource[Microsoft.KeyVault/vaults/secrets:name] StringEquals 'app-api-key'`";
    assert!(nearest["detail"].as_str().unwrap().ends_with(failed));
    assert!(reply.message().contains(failed));
    let list = format!("/secrets?{VERSION}");
    let reply = site.get(people::NOBODY, &list).await;
    site.refused(&reply, (403, "condition_attribute_missing"));
    assert!(reply.message().contains("which is missing"));
    let signing = format!("/keys/signing?{VERSION}");
    let reply = site.get(people::NOBODY, &signing).await;
    site.refused(&reply, (403, "action_not_granted"));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_changes_nothing_and_is_seen() {
    let site = Site::start().await;
    std::fs::write(
        site.world.role_directory().join("deny.json"),
        "{\"value\": [",
    )
    .unwrap();
    crate::site::eventually(async || {
        let failures = ["result=\"schema\""];
        let failed = site
            .metric("portcullis_snapshot_loads_total", &failures)
            .await;
        (failed > 0.0).then_some(())
    })
    .await;
    // What was read last stays in force.
    assert_eq!(site.admin("/readyz").await.status, 200);
    assert_eq!(site.get(people::ADMIN, SECRET).await.status, 200);
    site.forwarded();
    let reply = site.get(people::NOBODY, SECRET).await;
    site.refused(&reply, (403, "no_assignment"));
}
