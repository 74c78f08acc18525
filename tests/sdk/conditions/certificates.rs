//! Conditions on certificates. There is neither the certificate nor the issuer they speak of: what is
//! allowed reaches the vault, and it says so.

use azure_core::http::StatusCode;
use portcullis::dev::vault::Script;
use serde_json::{Value, json};

use super::policy::{CALLER, CERTIFICATES_OFFICER, Policy};
use super::{body, false_because, missing};
use crate::gate::{Gate, Refusal};

const INTERNAL: &str = "\
    ((!(ActionMatches{'Microsoft.KeyVault/vaults/certificates/create/action'})) OR \
    (@Request[Microsoft.KeyVault/vaults/certificates:issuerName] StringEquals \
    'contoso-internal-ca' AND \
    @Request[Microsoft.KeyVault/vaults/certificates:dnsNames] \
    ForAllOfAnyValues:StringLikeIgnoreCase {'*.svc.contoso.com', '*.int.contoso.com'} AND \
    @Request[Microsoft.KeyVault/vaults/certificates:validityMonths] \
    NumericLessThanEquals 12))";

const ISSUER: &str = "@Request[Microsoft.KeyVault/vaults/certificates:issuerName]";
const NAMES: &str = "@Request[Microsoft.KeyVault/vaults/certificates:dnsNames]";
const MONTHS: &str = "@Request[Microsoft.KeyVault/vaults/certificates:validityMonths]";

fn policy(issuer: &Value, names: &Value, months: &Value) -> Value {
    json!({ "policy": {
        "issuer": { "name": issuer },
        "x509_props": {
            "subject": "CN=api",
            "sans": { "dns_names": names },
            "validity_months": months,
        },
    }})
}

async fn create(gate: &Gate, content: &Value) -> azure_core::Result<()> {
    let client = gate.certificates(CALLER);
    let poller = client.begin_create_certificate("web", body(content), None)?;
    poller.await.map(drop)
}

/// Allowed: the vault says that it has no such certificate or issuer.
#[track_caller]
fn answered_by_the_vault<T>(outcome: azure_core::Result<T>) {
    let refusal = Refusal::of(outcome);
    assert_eq!(refusal.status, StatusCode::NotFound);
    assert_eq!((refusal.inner, refusal.reason), (None, None));
}

#[tokio::test]
async fn certificates_come_from_the_internal_authority_for_a_year_at_most() {
    let gate = Policy::default()
        .local(CERTIFICATES_OFFICER, INTERNAL)
        .start()
        .await;
    let (ca, year) = (json!("contoso-internal-ca"), json!(12));
    let names = json!(["a.svc.contoso.com", "B.INT.Contoso.com"]);
    answered_by_the_vault(create(&gate, &policy(&ca, &names, &year)).await);
    assert_eq!(gate.reached(), ["POST /certificates/web/create"]);

    let issuer = format!("{ISSUER} StringEquals 'contoso-internal-ca'");
    for other in [json!("Self"), json!("Contoso-internal-ca")] {
        false_because(create(&gate, &policy(&other, &names, &year)).await, &issuer);
    }
    let outcome = create(&gate, &policy(&Value::Null, &names, &year)).await;
    missing(outcome, &issuer, ISSUER);

    let domains = format!(
        "{NAMES} ForAllOfAnyValues:StringLikeIgnoreCase \
         {{'*.svc.contoso.com', '*.int.contoso.com'}}"
    );
    let foreign = json!(["a.svc.contoso.com", "login.contoso.com"]);
    false_because(create(&gate, &policy(&ca, &foreign, &year)).await, &domains);
    for nothing in [Value::Null, json!([])] {
        let outcome = create(&gate, &policy(&ca, &nothing, &year)).await;
        missing(outcome, &domains, NAMES);
    }

    let months = format!("{MONTHS} NumericLessThanEquals 12");
    let outcome = create(&gate, &policy(&ca, &names, &json!(13))).await;
    false_because(outcome, &months);
    let outcome = create(&gate, &policy(&ca, &names, &Value::Null)).await;
    missing(outcome, &months, MONTHS);
    assert!(gate.reached().is_empty());
    // Reading is not what this condition is about.
    let client = gate.certificates(CALLER);
    answered_by_the_vault(client.get_certificate("web", None).await);
    gate.finish().await;
}

#[tokio::test]
async fn a_certificate_is_looked_at_before_it_may_be_changed() {
    let condition = "@Resource[Microsoft.KeyVault/vaults/certificates:issuerName] \
                     StringEquals 'contoso-internal-ca'";
    let gate = Policy::default()
        .narrowed(CERTIFICATES_OFFICER, condition)
        .start()
        .await;
    let client = gate.certificates(CALLER);
    let told = |issuer: &str| {
        let id = format!(
            "https://{}/certificates/web/0123456789abcdef0123456789abcdef",
            gate.world.vault.authority()
        );
        let answer = json!({
            "id": id,
            "attributes": { "enabled": true },
            "policy": { "issuer": { "name": issuer } },
        });
        let script = Script::json(http::StatusCode::OK, &answer);
        gate.world.vault.next_response("/certificates/web", script);
    };
    told("contoso-internal-ca");
    let outcome = client.delete_certificate("web", None).await;
    answered_by_the_vault(outcome);
    let look = "GET /certificates/web";
    assert_eq!(gate.reached(), [look, "DELETE /certificates/web"]);
    told("Self");
    false_because(client.delete_certificate("web", None).await, condition);
    assert_eq!(gate.reached(), [look]);
    gate.finish().await;
}
