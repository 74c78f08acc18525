//! Conditions on who connects, from where and with what token.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use portcullis::config::{AddressRange, ClientCertificates, Network};
use portcullis::dev::people;
use portcullis::dev::world::WorldSettings;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};

use super::policy::{ADMINISTRATOR, CALLER, Policy, SECRETS_USER};
use super::tags::{looked_at, looked_at_and_read, set_tagged};
use super::{false_because, missing};
use crate::gate::{Gate, set};

/// A token that says what a test wants it to say.
#[derive(Debug)]
struct Minted(String);

#[async_trait]
impl TokenCredential for Minted {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let expires = OffsetDateTime::now_utc() + azure_core::time::Duration::hours(1);
        Ok(AccessToken::new(self.0.clone(), expires))
    }
}

/// The caller's token, with more claims.
fn minted(gate: &Gate, more: &Value) -> Arc<Minted> {
    let issuer = &gate.world.issuer;
    let mut claims = issuer.claims(CALLER.object_id).unwrap();
    claims.extend(more.as_object().unwrap().clone());
    let token = issuer.mint(&claims).unwrap();
    Arc::new(Minted(token.expose().to_owned()))
}

/// Namespaces in place of their labels, which only the Kubernetes API knows.
const WORKLOADS: &str = "\
    ((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'}) AND \
    !(ActionMatches{'Microsoft.KeyVault/vaults/secrets/readMetadata/action'} AND \
    NOT SubOperationMatches{'Secret.List'})) OR \
    (@Principal[Portcullis.Identity/workloads:trustDomain] StringEquals 'prod.contoso.com' AND \
    @Principal[Portcullis.Identity/workloads:namespace] StringEquals \
    @Resource[Microsoft.KeyVault/vaults/secrets/tags:team<$key_case_sensitive$>]))";
const TRUST_DOMAIN: &str = "@Principal[Portcullis.Identity/workloads:trustDomain]";
const NAMESPACE: &str = "@Principal[Portcullis.Identity/workloads:namespace]";
const TEAM: &str = "@Resource[Microsoft.KeyVault/vaults/secrets/tags:team<$key_case_sensitive$>]";

/// An authority for workloads.
struct Workloads(CertifiedIssuer<'static, KeyPair>);

impl Workloads {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Has the listener ask for its certificates.
    fn trusted(&self, settings: &mut WorldSettings) {
        let ca_file = settings.directory.join("workloads.pem");
        fs::write(&ca_file, self.0.pem()).unwrap();
        settings.client_certificates = Some(ClientCertificates {
            crl_file: None,
            names: [].into(),
            ca_file,
            required: false,
        });
    }

    /// Has `gate`'s clients be the workload with this SPIFFE id.
    fn identify(&self, gate: &mut Gate, spiffe_id: &str) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![SanType::URI(spiffe_id.try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        let chain = vec![params.signed_by(&key, &self.0).unwrap().der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let identity = CertifiedKey::from_der(chain, key.into(), &provider).unwrap();
        let mut tls = gate.world.pki.client_config().unwrap();
        tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(identity));
        gate.reconnect(tls);
    }
}

async fn get(gate: &Gate, name: &str, namespace: Option<&str>) -> azure_core::Result<()> {
    let more = match namespace {
        Some(namespace) => json!({ "kubernetes.io": { "namespace": namespace } }),
        None => json!({}),
    };
    let client = gate.secrets_by(minted(gate, &more));
    client.get_secret(name, None).await.map(drop)
}

#[tokio::test]
async fn a_workload_reads_the_secrets_of_its_team_and_lists_all() {
    let workloads = Workloads::new();
    let mut gate = Policy::default()
        .local(SECRETS_USER, WORKLOADS)
        .start_in(|settings| workloads.trusted(settings))
        .await;
    let version = set_tagged(&gate, "queue", &json!({ "team": "orders" })).await;
    let domain = format!("{TRUST_DOMAIN} StringEquals 'prod.contoso.com'");
    let team = format!("{NAMESPACE} StringEquals {TEAM}");

    let outcome = get(&gate, "queue", Some("orders")).await;
    missing(outcome, &domain, TRUST_DOMAIN);
    workloads.identify(&mut gate, "spiffe://dev.contoso.com/ns/orders");
    let outcome = get(&gate, "queue", Some("orders")).await;
    false_because(outcome, &domain);
    workloads.identify(&mut gate, "spiffe://prod.contoso.com/ns/orders");
    let outcome = get(&gate, "queue", None).await;
    missing(outcome, &team, NAMESPACE);
    // None of these needed the vault's word.
    assert!(gate.reached().is_empty());

    get(&gate, "queue", Some("orders")).await.unwrap();
    assert_eq!(gate.reached(), looked_at_and_read("queue", &version));
    false_because(get(&gate, "queue", Some("billing")).await, &team);
    assert_eq!(gate.reached(), looked_at("queue"));
    let outcome = get(&gate, people::DB_SECRET, Some("orders")).await;
    missing(outcome, &team, TEAM);
    assert_eq!(gate.reached(), looked_at(people::DB_SECRET));
    gate.finish().await;
}

#[tokio::test]
async fn a_list_of_versions_is_no_list_of_secrets() {
    let workloads = Workloads::new();
    let mut gate = Policy::default()
        .local(SECRETS_USER, WORKLOADS)
        .start_in(|settings| workloads.trusted(settings))
        .await;
    set_tagged(&gate, "queue", &json!({ "team": "orders" })).await;
    // Without a certificate, and without a namespace.
    let client = gate.secrets(CALLER);
    let listed = client.list_secret_properties(None).unwrap();
    assert_eq!(listed.try_collect::<Vec<_>>().await.unwrap().len(), 4);
    assert_eq!(gate.reached(), ["GET /secrets"]);
    let versions = client.list_secret_properties_versions("queue", None);
    let versions = versions.unwrap().try_collect::<Vec<_>>().await;
    let domain = format!("{TRUST_DOMAIN} StringEquals 'prod.contoso.com'");
    missing(versions, &domain, TRUST_DOMAIN);
    assert!(gate.reached().is_empty());

    workloads.identify(&mut gate, "spiffe://prod.contoso.com/ns/orders");
    let more = json!({ "kubernetes.io": { "namespace": "orders" } });
    let client = gate.secrets_by(minted(&gate, &more));
    let versions = client.list_secret_properties_versions("queue", None);
    let versions: Vec<_> = versions.unwrap().try_collect().await.unwrap();
    assert_eq!(versions.len(), 1);
    let list = "GET /secrets/queue/versions";
    assert_eq!(gate.reached(), [list, list]);
    gate.finish().await;
}

const GROUP: &str = "28c35fea-2099-4cf5-8ad9-473547bc9423";
const RANGES: &str = "\
    @Environment[Portcullis.Network/clients:ranges] ForAnyOfAnyValues:StringEquals {'admin-vpn'}";
const METHODS: &str = "\
    @Principal[Microsoft.Directory/tokens:authMethods] ForAnyOfAnyValues:StringEquals {'mfa'}";
const GROUPS: &str = "\
    @Principal[Microsoft.Directory/groups:id] ForAnyOfAnyValues:GuidEquals \
    {28c35fea-2099-4cf5-8ad9-473547bc9423}";

/// How long the change window is open.
const WINDOW: Duration = Duration::from_secs(600);

/// The last part, for a window that closes a while after the test began.
fn in_window() -> String {
    let closes = Timestamp::now() + WINDOW;
    let closes = closes.strftime("%Y-%m-%dT%H:%M:%S.0Z");
    format!("@Environment[UtcNow] DateTimeLessThan '{closes}'")
}

fn purging(in_window: &str) -> String {
    format!(
        "((!(ActionMatches{{'Microsoft.KeyVault/vaults/secrets/purge/action'}}) AND \
         !(ActionMatches{{'Microsoft.KeyVault/vaults/keys/purge/action'}})) OR \
         ({RANGES} AND {METHODS} AND {GROUPS} AND {in_window}))"
    )
}

/// Clients of this machine are in the range of this name.
fn range(name: &str) -> Network {
    Network {
        ranges: vec![AddressRange {
            name: name.into(),
            addresses: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        }],
        ..Network::default()
    }
}

async fn purge(gate: &Gate, claims: &Value) -> azure_core::Result<()> {
    let client = gate.secrets_by(minted(gate, claims));
    client.purge_deleted_secret("old", None).await.map(drop)
}

/// A world in which a secret is deleted, and not yet purged.
async fn with_a_deleted_secret(condition: &str, network: Network) -> Gate {
    let gate = Policy::default()
        .narrowed(ADMINISTRATOR, condition)
        .start_in(|settings| settings.network = network)
        .await;
    let client = gate.secrets(people::ADMIN);
    set(&client, "old", "one").await;
    client.delete_secret("old", None).await.unwrap();
    gate.reached();
    gate
}

#[tokio::test]
async fn purging_takes_the_network_a_second_factor_a_group_and_the_hour() {
    let in_window = in_window();
    let gate = with_a_deleted_secret(&purging(&in_window), range("admin-vpn")).await;
    let methods = "@Principal[Microsoft.Directory/tokens:authMethods]";
    let groups = "@Principal[Microsoft.Directory/groups:id]";
    let outcome = purge(&gate, &json!({ "amr": ["pwd"], "groups": [GROUP] })).await;
    false_because(outcome, METHODS);
    let outcome = purge(&gate, &json!({ "groups": [GROUP] })).await;
    missing(outcome, METHODS, methods);
    let outcome = purge(&gate, &json!({ "amr": ["mfa"] })).await;
    missing(outcome, GROUPS, groups);
    let other = people::PLATFORM_TEAM.to_string();
    let outcome = purge(&gate, &json!({ "amr": ["pwd", "mfa"], "groups": [other] })).await;
    false_because(outcome, GROUPS);
    assert!(gate.reached().is_empty());

    let whole = json!({ "amr": ["pwd", "mfa"], "groups": [other, GROUP] });
    purge(&gate, &whole).await.unwrap();
    assert_eq!(gate.reached(), ["DELETE /deletedsecrets/old"]);
    let keys = gate.keys(CALLER);
    let outcome = keys.purge_deleted_key(people::SIGNING_KEY, None).await;
    missing(outcome, METHODS, methods);
    gate.advance(WINDOW);
    false_because(purge(&gate, &whole).await, &in_window);
    assert!(gate.reached().is_empty());
    // Nothing else takes all that.
    keys.get_key(people::SIGNING_KEY, None).await.unwrap();
    gate.finish().await;
}

#[tokio::test]
async fn whoever_comes_from_another_network_purges_nothing() {
    let condition = purging(&in_window());
    let whole = json!({ "amr": ["mfa"], "groups": [GROUP] });
    let gate = with_a_deleted_secret(&condition, range("office")).await;
    false_because(purge(&gate, &whole).await, RANGES);
    gate.finish().await;
    let gate = with_a_deleted_secret(&condition, Network::default()).await;
    let ranges = "@Environment[Portcullis.Network/clients:ranges]";
    missing(purge(&gate, &whole).await, RANGES, ranges);
    assert!(gate.reached().is_empty());
    gate.finish().await;
}
