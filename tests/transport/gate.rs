//! The proxy's transport with a service like the real pipeline, without token and decision.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::HeaderName;
use http::{Request, Response, StatusCode};
use portcullis::attributes::Connection;
use portcullis::config::{
    self, Address, CertificateSource, ClientCertificates, Connect, Limits, Listener, Network,
    TrustedPeers, UnixSocket, VaultProperties,
};
use portcullis::keyvault::{Authority, route};
use portcullis::proxy::body::{BodyOutcome, RequestBody, ResponseBody};
use portcullis::proxy::connect::Ourselves;
use portcullis::proxy::drain::{self, DrainTrigger};
use portcullis::proxy::headers;
use portcullis::proxy::host::{HostError, VaultTable};
use portcullis::proxy::listen::{BoundListener, Drained, ListenError, ListenEvent, Peer};
use portcullis::proxy::upstream::{ForwardRequest, Upstream, UpstreamErrorKind};
use portcullis::proxy::workers::Worker;
use portcullis::secret::BearerToken;
use portcullis::snapshot::Snapshot;
use portcullis::tls::{Reception, ServerCertificate};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clients::Client;
use crate::permit::permit;
use crate::pki::{Pki, shown};
use crate::vault::{FakeVault, Reply, Seen, json, soon};

/// What the vault calls itself.
pub(crate) const OWN: &str = "contoso.vault.azure.net";

/// Another name that clients use, with the listener's port.
pub(crate) const PUBLIC: &str = "kv.contoso.test";

/// A path under which the service refuses without looking at the body.
pub(crate) const REFUSED: &str = "/secrets/refused?api-version=7.4";

/// A path at which the service panics, and one at which it does when the answer has ended.
pub(crate) const PANICS: &str = "/secrets/panics?api-version=7.4";
pub(crate) const PANICS_LATE: &str = "/secrets/panics-late?api-version=7.4";

/// How a [`World`] is to be.
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) script: Arc<dyn Fn(&Seen) -> Reply + Send + Sync>,
    /// The names in the vault's certificate.
    pub(crate) vault_names: Vec<&'static str>,
    /// The authority that the proxy trusts instead of the vault's.
    pub(crate) other_ca: bool,
    /// Where to connect instead of to the vault; `None` is the proxy itself.
    pub(crate) connect: Option<Target>,
    pub(crate) rewrite_ids: bool,
    /// Whether clients are asked for a certificate of the world's authority, and must have one.
    pub(crate) clients: Option<Demand>,
    /// Where it listens instead of on a port of this machine.
    pub(crate) socket: Option<UnixSocket>,
    /// Of which names a certificate must have one.
    pub(crate) client_names: &'static [&'static str],
    pub(crate) proxy_protocol_from: &'static [&'static str],
    pub(crate) forwarded_headers_from: &'static [&'static str],
    pub(crate) network: Network,
    pub(crate) private_endpoint: Option<&'static str>,
}

/// How clients are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    Optional,
    Required,
}

/// Where the proxy looks for its vault.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    Address(SocketAddr),
    /// Where this DNS server says, on the vault's port.
    Dns(SocketAddr),
    Itself,
    /// An address that is forwarded to the proxy, as a load balancer's is.
    ItselfByDetour,
    /// Where this DNS server says, on the proxy's own port.
    ItselfByDns(SocketAddr),
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            script: Arc::new(|_| Reply::Keep(json("{}"))),
            vault_names: vec![OWN],
            other_ca: false,
            connect: None,
            rewrite_ids: true,
            clients: None,
            socket: None,
            client_names: &[],
            proxy_protocol_from: &[],
            forwarded_headers_from: &[],
            network: Network::default(),
            private_endpoint: None,
        }
    }
}

impl Setup {
    pub(crate) fn script(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::new(script),
            ..Self::default()
        }
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    pub(crate) async fn start(self) -> World {
        World::start(self).await
    }
}

/// What the service noticed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) events: Vec<ListenEvent>,
    pub(crate) requests: usize,
    /// Who sent each request.
    pub(crate) peers: Vec<Arc<Peer>>,
    /// The connection of each request.
    pub(crate) connections: Vec<Connection>,
    /// Requests whose future was dropped before it had an answer.
    pub(crate) abandoned: usize,
    pub(crate) outcomes: Vec<BodyOutcome>,
    pub(crate) errors: Vec<(UpstreamErrorKind, bool)>,
}

type Notebook = Arc<watch::Sender<Notes>>;

/// A proxy between clients and a vault.
pub(crate) struct World {
    pub(crate) pki: Pki,
    pub(crate) vault: FakeVault,
    pub(crate) address: SocketAddr,
    notes: Notebook,
    trigger: Mutex<Option<DrainTrigger>>,
    serving: Mutex<Option<JoinHandle<Drained>>>,
}

impl World {
    async fn start(setup: Setup) -> Self {
        let pki = Pki::new();
        let vault = FakeVault::start(pki.server(&setup.vault_names), setup.script.clone()).await;
        let (certificate, private_key) = pki.issue(&[OWN, PUBLIC]);
        let shown = shown(&certificate, &private_key);
        let listener = listener(&pki, &setup, certificate, private_key);
        let network = Arc::new(setup.network);
        let bound = bind(&listener, shown.clone(), &network, &setup.limits).await;
        let bound = bound.unwrap();
        // Nobody asks where a Unix socket is.
        let own = bound.local_addr();
        let address = own.unwrap_or(([0, 0, 0, 0], 0).into());
        let (authority, connect) = whereabouts(setup.connect, vault.address, address).await;
        let ca_file = if setup.other_ca {
            let other = Pki::new();
            let path = pki.ca_file().with_file_name("other-ca.pem");
            std::fs::copy(other.ca_file(), &path).unwrap();
            path
        } else {
            pki.ca_file()
        };
        let configured = [config::Vault {
            authority,
            connect,
            ..vault_config(ca_file, setup.rewrite_ids)
        }];
        let notes = Notebook::default();
        let own = Ourselves::new(own, [shown.clone()]);
        let service = Arc::new(Service {
            table: VaultTable::new(&configured).unwrap(),
            upstream: Upstream::new(&configured[0], &setup.limits, own).unwrap(),
            limits: setup.limits.clone(),
            notes: notes.clone(),
        });
        let (trigger, drain) = drain::channel();
        let noted = notes.clone();
        let answer = move |peer, request| service.clone().answer(peer, request);
        let serving = tokio::spawn(bound.serve(
            vec![Worker::new(Handle::current(), answer)],
            move |event| noted.send_modify(|notes| notes.events.push(event)),
            drain,
        ));
        Self {
            pki,
            vault,
            address,
            notes,
            trigger: Mutex::new(Some(trigger)),
            serving: Mutex::new(Some(serving)),
        }
    }

    /// A client that speaks HTTP/1.1 and connects to `name`.
    pub(crate) async fn client(&self, name: &'static str) -> Client {
        soon(Client::connect(
            self.address,
            self.pki.client(&["http/1.1"]),
            name,
        ))
        .await
        .unwrap()
    }

    /// The other name with its port.
    pub(crate) fn public(&self) -> String {
        format!("{PUBLIC}:{}", self.address.port())
    }

    pub(crate) fn notes(&self) -> Notes {
        self.notes.borrow().clone()
    }

    /// Waits until the notes fulfil a condition.
    pub(crate) async fn noted(&self, condition: impl Fn(&Notes) -> bool) {
        let mut notes = self.notes.subscribe();
        soon(notes.wait_for(|notes| condition(notes)))
            .await
            .unwrap();
    }

    pub(crate) async fn event(&self, event: ListenEvent) {
        self.noted(|notes| notes.events.contains(&event)).await;
    }

    pub(crate) fn start_draining(&self) {
        self.trigger.lock().unwrap().as_ref().unwrap().start();
    }

    pub(crate) async fn drained(&self) -> Drained {
        let serving = self.serving.lock().unwrap().take().unwrap();
        soon(serving).await.unwrap()
    }
}

/// What the vault calls itself, and where the proxy looks for it.
async fn whereabouts(
    target: Option<Target>,
    vault: SocketAddr,
    proxy: SocketAddr,
) -> (Authority, Connect) {
    let own: Authority = OWN.parse().unwrap();
    let by_dns = |server, port| (own.with_port(port), Connect::Dns([server].into()));
    match target {
        None => (own, Connect::Address(vault)),
        Some(Target::Address(other)) => (own, Connect::Address(other)),
        Some(Target::Dns(server)) => by_dns(server, vault.port()),
        Some(Target::Itself) => (own, Connect::Address(proxy)),
        Some(Target::ItselfByDetour) => (own, Connect::Address(detour(proxy).await)),
        Some(Target::ItselfByDns(server)) => by_dns(server, proxy.port()),
    }
}

/// An address of somebody who forwards each connection to `target`.
async fn detour(target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut to = TcpStream::connect(target).await.unwrap();
                // Either side may go away.
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    address
}

/// Binds a listener whose files stay as they are.
pub(crate) async fn bind(
    listener: &Listener,
    certificate: Snapshot<ServerCertificate>,
    network: &Arc<Network>,
    limits: &Limits,
) -> Result<BoundListener, ListenError> {
    let reception = Reception::begin(certificate, listener.client_certificates.as_ref()).unwrap();
    BoundListener::bind(listener, reception.config(), network, limits).await
}

fn ranges(texts: &[&str]) -> TrustedPeers {
    let ranges: Vec<_> = texts.iter().map(|text| text.parse().unwrap()).collect();
    ranges.into()
}

fn listener(pki: &Pki, setup: &Setup, certificate: PathBuf, private_key: PathBuf) -> Listener {
    Listener {
        name: "main".into(),
        address: match &setup.socket {
            None => Address::Ip("127.0.0.1:0".parse().unwrap()),
            Some(socket) => Address::Unix(socket.clone()),
        },
        proxy_protocol_from: ranges(setup.proxy_protocol_from),
        forwarded_headers_from: ranges(setup.forwarded_headers_from),
        certificate: CertificateSource::Files {
            certificate,
            private_key,
        },
        client_certificates: setup.clients.map(|demand| ClientCertificates {
            ca_file: pki.ca_file(),
            crl_file: None,
            names: setup
                .client_names
                .iter()
                .map(|name| name.parse().unwrap())
                .collect(),
            required: demand == Demand::Required,
        }),
        private_link: setup.private_endpoint.is_some(),
        private_endpoint: setup.private_endpoint.map(Into::into),
    }
}

fn vault_config(ca_file: PathBuf, rewrite_ids: bool) -> config::Vault {
    config::Vault {
        name: "contoso".parse().unwrap(),
        resource_id: "/subscriptions/6b1d2f04-3c7e-4a90-8f52-1e0d9c8b7a61/resourceGroups\
            /rg-contoso/providers/Microsoft.KeyVault/vaults/contoso"
            .parse()
            .unwrap(),
        location: None,
        authority: OWN.parse().unwrap(),
        connect: Connect::Dns([].into()),
        ca_file: Some(ca_file),
        public_names: vec![format!("{PUBLIC}:0").parse().unwrap()],
        management_groups: None,
        issuer: "contoso".into(),
        rewrite_ids,
        properties: VaultProperties::default(),
    }
}

struct Service {
    table: VaultTable,
    upstream: Upstream,
    limits: Limits,
    notes: Notebook,
}

/// Notes a future that was dropped before its end.
struct Unfinished(Option<Notebook>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(notes) = self.0.take() {
            notes.send_modify(|notes| notes.abandoned += 1);
        }
    }
}

impl Service {
    async fn answer(
        self: Arc<Self>,
        peer: Arc<Peer>,
        request: Request<RequestBody>,
    ) -> Response<ResponseBody> {
        let mut unfinished = Unfinished(Some(self.notes.clone()));
        self.notes.send_modify(|notes| {
            notes.requests += 1;
            notes.connections.push(peer.connection.clone());
            notes.peers.push(Arc::clone(&peer));
        });
        let path = request.uri().path_and_query().map(ToString::to_string);
        let late = path.as_deref() == Some(PANICS_LATE);
        let answer = self.decide(&peer, request).await;
        assert_ne!(path.as_deref(), Some(PANICS), "on purpose");
        unfinished.0 = None;
        let notes = self.notes.clone();
        answer
            .unwrap_or_else(|(status, why)| refusal(status, why))
            .map(|body| {
                body.observed(move |outcome| {
                    assert!(!late, "on purpose");
                    notes.send_modify(|notes| notes.outcomes.push(outcome));
                })
            })
    }

    async fn decide(
        &self,
        peer: &Peer,
        request: Request<RequestBody>,
    ) -> Result<Response<ResponseBody>, (StatusCode, &'static str)> {
        let deadline = Instant::now() + self.limits.total_timeout;
        let (parts, body) = request.into_parts();
        let bad = |why| (StatusCode::BAD_REQUEST, why);
        headers::inspect(&parts, &body).map_err(|_| bad("header"))?;
        let selected = self.table.select(peer, &parts).map_err(|error| {
            let why = match error {
                HostError::BadHost => "bad_host",
                HostError::UnknownVault => "unknown_vault",
            };
            (StatusCode::MISDIRECTED_REQUEST, why)
        })?;
        let operation = route::parse(&parts.method, parts.uri.path(), parts.uri.query(), &[])
            .map_err(|_| bad("route"))?;
        if parts.uri.path() == "/secrets/refused" {
            return Err((StatusCode::FORBIDDEN, "refused"));
        }
        let request = ForwardRequest {
            headers: parts.headers,
            token: BearerToken::new("header.payload.signature").unwrap(),
            body,
            deadline,
            public: selected.public,
        };
        match self.upstream.forward(permit(operation), request).await {
            Ok(forwarded) => Ok(forwarded.response),
            Err(error) => {
                let noted = (error.kind(), error.may_have_been_sent());
                self.notes.send_modify(|notes| notes.errors.push(noted));
                Err((status(error.kind()), error.kind().as_label()))
            }
        }
    }
}

fn status(kind: UpstreamErrorKind) -> StatusCode {
    use UpstreamErrorKind as Kind;
    if kind == Kind::RequestTooLarge {
        StatusCode::PAYLOAD_TOO_LARGE
    } else if kind == Kind::RequestTimeout {
        StatusCode::REQUEST_TIMEOUT
    } else if [Kind::FirstByteTimeout, Kind::ConnectTimeout, Kind::Deadline].contains(&kind) {
        StatusCode::GATEWAY_TIMEOUT
    } else {
        StatusCode::BAD_GATEWAY
    }
}

fn refusal(status: StatusCode, why: &'static str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(Bytes::from_static(b"refused")));
    *response.status_mut() = status;
    let name = HeaderName::from_static("x-why");
    response.headers_mut().insert(name, why.parse().unwrap());
    response
}
