//! Several listeners, vaults and issuers in one process, and the one for administration.

use std::time::Duration;

use portcullis::app::App;
use portcullis::dev::issuer::IssuerHandle;
use portcullis::dev::people::{self, Person};
use portcullis::dev::vault::VaultHandle;
use portcullis::principal::{Guid, TenantId};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::ask::{SECRET, send, soon, until};
use crate::surroundings::{
    Client, Gate, ISSUER, Surroundings, client, issuer_toml, listener, start_issuer, start_vault,
    vault_toml,
};

/// A second vault, in the resource group of the first one.
const OTHER_VAULT: &str = "portcullis-second";

/// The tenant of the second vault's issuer.
const OTHER_TENANT: TenantId = TenantId(Guid::from_u128(0x6b0e94c2_7d15_4af8_9c63_e1d20b8f5a47));

/// Two listeners in front of two vaults: `a.vault.example`, and `b.vault.example` with another
/// issuer.
struct Two {
    world: Surroundings,
    other_issuer: IssuerHandle,
    other_vault: VaultHandle,
    gate: Gate,
}

fn resource_id() -> String {
    let group = people::RESOURCE_GROUP;
    format!("{group}/providers/Microsoft.KeyVault/vaults/{OTHER_VAULT}")
}

impl Two {
    async fn start() -> Self {
        let world = Surroundings::start().await;
        let other_issuer = start_issuer(&world.pki, &world.clock, OTHER_TENANT).await;
        let other_vault = start_vault(&world.pki, &world.clock, "localhost", &other_issuer).await;
        let first = vault_toml(people::RESOURCE_ID, &world.vault, "a.vault.example", ISSUER);
        let second = vault_toml(&resource_id(), &other_vault, "b.vault.example", "fabrikam");
        let discovery = other_issuer.discovery_url();
        let keys = format!("discovery_url = \"{discovery}\"\nca_file = \"ca.pem\"");
        let issuers = world.issuer_toml() + &issuer_toml("fabrikam", &other_issuer, &keys);
        let listeners = listener("main") + &listener("second");
        let toml = world.toml_with(&listeners, &(first + &second), &issuers, "");
        let gate = world.begin(world.config(&toml)).await;
        soon(gate.app.ready()).await;
        Self {
            world,
            other_issuer,
            other_vault,
            gate,
        }
    }

    fn clients(&self) -> [Client; 2] {
        ["main", "second"].map(|name| client(&self.world.pki, address(&self.gate.app, name)))
    }

    fn tokens(&self, person: Person) -> [String; 2] {
        [&self.world.issuer, &self.other_issuer]
            .map(|issuer| issuer.token(person.object_id).unwrap().expose().to_owned())
    }

    /// How many requests have reached each vault.
    fn reached(&self) -> (u64, u64) {
        (
            self.world.vault.journal_len(),
            self.other_vault.journal_len(),
        )
    }
}

fn address(app: &App, listener: &str) -> std::net::SocketAddr {
    app.address(listener).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_selects_the_vault_on_every_listener() {
    let two = Two::start().await;
    let [first, second] = two.tokens(people::GROUP_MEMBER);
    let addresses = ["main", "second"].map(|name| address(&two.gate.app, name));
    assert_ne!(addresses[0], addresses[1]);
    for client in two.clients() {
        let (a, b) = two.reached();
        let at_first = client.get_at("a.vault.example", SECRET, &first);
        let at_first = soon(send(at_first)).await.unwrap();
        assert_eq!(at_first.status, 200);
        assert_eq!(two.reached(), (a + 1, b));
        let at_second = client.get_at("b.vault.example", SECRET, &second);
        let at_second = soon(send(at_second)).await.unwrap();
        assert_eq!(at_second.status, 200);
        assert_eq!(two.reached(), (a + 1, b + 1));
        assert_ne!(at_first.body["value"], at_second.body["value"]);
        let id = at_second.body["id"].as_str().unwrap();
        assert!(id.starts_with("https://b.vault.example:"), "{id}");
        let nowhere = client.get_at("localhost", SECRET, &first);
        let nowhere = soon(send(nowhere)).await.unwrap();
        assert_eq!(nowhere.verdict(), (421, "unknown_vault"));
    }
    assert_eq!(two.reached(), (2, 2));
    two.gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_at_the_vaults_of_its_issuer_only() {
    let two = Two::start().await;
    let [first, second] = two.tokens(people::GROUP_MEMBER);
    let [client, _] = two.clients();
    for (host, token) in [("a.vault.example", &second), ("b.vault.example", &first)] {
        let answer = client.get_at(host, SECRET, token);
        let answer = soon(send(answer)).await.unwrap();
        assert_eq!(answer.verdict(), (401, "bad_token"), "{host}");
        // Each vault's challenge leads to its own issuer.
        let challenge = answer.header("www-authenticate");
        let issuers = [&two.world.issuer, &two.other_issuer];
        let own = usize::from(host.starts_with('b'));
        assert!(
            challenge.contains(&issuers[own].tenant_url()),
            "{challenge}"
        );
        assert!(
            !challenge.contains(&issuers[1 - own].tenant_url()),
            "{challenge}"
        );
    }
    assert_eq!(two.reached(), (0, 0));
    two.gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_at_one_vault_is_none_at_the_other() {
    let two = Two::start().await;
    let [first, second] = two.tokens(people::SECRETS_USER);
    let [client, _] = two.clients();
    let allowed = client.get_at("a.vault.example", SECRET, &first);
    assert_eq!(soon(send(allowed)).await.unwrap().status, 200);
    let refused = client.get_at("b.vault.example", SECRET, &second);
    let refused = soon(send(refused)).await.unwrap();
    assert_eq!(refused.status, 403);
    let text = refused.body["error"]["message"].as_str().unwrap();
    assert!(text.contains(&format!("Vault: {OTHER_VAULT}")), "{text}");
    assert_eq!(two.reached(), (1, 0));
    let metrics = two.gate.administration.metrics().await;
    let denials = metrics
        .iter()
        .filter(|(series, count)| series.contains("denials_total") && **count > 0.0);
    for (series, _) in denials {
        assert!(
            series.contains(&format!("vault=\"{OTHER_VAULT}\"")),
            "{series}"
        );
    }
    two.gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_past_the_limit_wait_for_a_place() {
    let world = Surroundings::start().await;
    let mut config = world.config(&world.toml(""));
    config.limits.max_connections = 1;
    config.limits.idle_timeout = Duration::from_secs(600);
    let gate = world.begin(config).await;
    soon(gate.app.ready()).await;
    let open = async || {
        let metrics = gate.administration.metrics().await;
        metrics[r#"portcullis_connections_open{listener="main"}"#]
    };
    let tcp = TcpStream::connect(address(&gate.app, "main"))
        .await
        .unwrap();
    let tls = TlsConnector::from(std::sync::Arc::new(world.pki.client_config().unwrap()));
    let name = "localhost".try_into().unwrap();
    let first = soon(tls.connect(name, tcp)).await.unwrap();
    until(async || (open().await == 1.0).then_some(())).await;

    let token = world.token(people::SECRETS_USER);
    let (client, of_second) = (gate.client.clone(), token.clone());
    let second = tokio::spawn(async move { client.secret(&of_second).await });
    // The kernel has taken the connection; many round trips later nobody has answered it. The
    // administration answers all the while.
    for _ in 0..100 {
        assert_eq!(open().await, 1.0);
    }
    assert!(!second.is_finished());
    assert_eq!(world.vault.journal_len(), 0);
    drop(first);
    assert_eq!(soon(second).await.unwrap().status, 200);
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administration_and_vaults_are_on_ports_of_their_own() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    assert_ne!(address(&gate.app, "main"), gate.administration.0);
    for path in [
        SECRET,
        "/secrets?api-version=7.4",
        "/keys/signing?api-version=7.4",
    ] {
        let (status, body) = soon(gate.administration.page(path)).await.unwrap();
        assert_eq!((status, &*body), (404, "not found\n"), "{path}");
    }
    let token = world.token(people::ADMIN);
    for page in ["/metrics", "/readyz", "/livez", "/metrics?api-version=7.4"] {
        let request = gate.client.get_at("localhost", page, &token);
        let answer = soon(send(request)).await.unwrap();
        let (status, reason) = answer.verdict();
        assert!(status == 400, "{page}: {status} {reason}");
        let stranger = gate.client.get_at("localhost", page, "no-token");
        let answer = soon(send(stranger)).await.unwrap();
        assert_eq!(answer.status, 401, "{page}");
        // And it is no metric in disguise.
        assert!(answer.body["error"]["code"].is_string());
    }
    assert_eq!(world.vault.journal_len(), 0);
    gate.app.stop().await;
}
