//! The composition root: from a [`Config`] to a proxy that serves. The only file that names every
//! adapter.

mod counting;
mod role_data;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::admin::{AdminError, AdminListener, Readiness};
use crate::assignments::store::{self, AssignmentPublisher, Assignments};
use crate::assignments::watch::{self, WatchHandle};
use crate::attributes::{Surroundings, VaultFacts};
use crate::audit::{AuditError, AuditLog};
use crate::authn::{Authenticator, RefreshHandle, SetupError};
use crate::ca::Host;
use crate::clock::Clock;
use crate::config::{self, Config, Limits};
use crate::metrics::{ListenerMetrics, Metrics, MetricsError, Names};
use crate::proxy::body::{RequestBody, ResponseBody};
use crate::proxy::connect::{ConnectorError, Ourselves};
use crate::proxy::drain::{self, Drain, DrainTrigger};
use crate::proxy::host::{DuplicateName, VaultTable};
use crate::proxy::listen::{BoundListener, ListenError, Peer};
use crate::proxy::metadata::Inspector;
use crate::proxy::pipeline::{CallerKey, GuardedVault, Pipeline};
use crate::proxy::shares::{Places, Shares};
use crate::proxy::upstream::Upstream;
use crate::proxy::workers::{Worker, Workers};
use crate::rbac::VaultScope;
use crate::snapshot::Snapshot;
use crate::tls::{Renewal, RenewalHandle, ServerCertificate};

use counting::{AuthnCounters, ListenCounters, RenewalCounters};
use role_data::RoleDataLoads;

type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// How long the last decision records may take to be written at the end.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Why the proxy could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The administration listener.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The sink of decision records.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The issuers.
    #[error(transparent)]
    Authn(#[from] SetupError),
    /// A listener.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The names of the vaults.
    #[error(transparent)]
    Names(#[from] DuplicateName),
    /// The threads that serve.
    #[error("cannot start a thread: {0}")]
    Workers(std::io::Error),
    /// The way to a vault.
    #[error("vault `{vault}`: {cause}")]
    Vault {
        /// The vault's name.
        vault: Box<str>,
        /// What went wrong.
        cause: ConnectorError,
    },
}

/// A proxy that serves, until it is stopped or dropped.
#[derive(Debug)]
pub struct App {
    serving: Serving,
    administration: Administration,
    proof: Proof,
    _watch: WatchHandle,
    _refresh: RefreshHandle,
    _renewals: Vec<RenewalHandle>,
    /// Ends last: connections are on it.
    _workers: Workers,
}

/// The certificates of the listeners, in their order.
#[derive(Debug, Default)]
struct Certificates {
    shown: Vec<Snapshot<ServerCertificate>>,
    renewals: Vec<RenewalHandle>,
}

/// What must be in place before requests can be answered.
#[derive(Debug)]
struct Proof {
    authenticator: Arc<Authenticator>,
    assignments: Assignments,
    audit: AuditLog,
    clock: Arc<dyn Clock>,
}

/// The listeners for clients.
#[derive(Debug)]
struct Serving {
    addresses: Vec<(Arc<str>, SocketAddr)>,
    drain: DrainTrigger,
    tasks: JoinSet<()>,
}

/// The administration listener, which answers until the others are drained.
#[derive(Debug)]
struct Administration {
    address: SocketAddr,
    drain: DrainTrigger,
    task: JoinSet<()>,
}

impl App {
    /// Binds every listener, begins to load keys and role data, and serves.
    ///
    /// Until both are in, requests are answered 503; a file or an issuer that cannot be read does
    /// not keep the proxy from starting, and is tried again. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] for what no waiting will mend.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::new(&Names::from(&config), clock.now())?);
        let counted = Arc::clone(&metrics);
        let audit = AuditLog::open(&config.audit, move |event| counted.audit(event))?;
        let authenticator = Arc::new(authenticator(&config, &clock, &metrics)?);
        let (publisher, assignments) = store(&config, &metrics);
        let (bound, certificates) = bind(&config, &clock, &metrics).await?;
        let admin = AdminListener::bind(config.admin.address).await?;
        let workers = Workers::start(config.limits.worker_threads).map_err(StartError::Workers)?;
        let pipeline = Pipeline {
            inspector: Arc::new(inspector(&config, &clock, &metrics)),
            clock: Arc::clone(&clock),
            table: Arc::new(VaultTable::new(&config.vaults)?),
            vaults: ways_to_vaults(&config, &bound, &certificates.shown)?,
            authenticator: Arc::clone(&authenticator),
            assignments: assignments.clone(),
            audit: audit.clone(),
            metrics: Arc::clone(&metrics),
            extra_query_parameters: config.extra_query_parameters.into(),
            callers: callers(&config.limits),
            total_timeout: config.limits.total_timeout,
            surroundings: Arc::new(surroundings(&config.deployment)),
            zone: config.deployment.zone,
        };
        let loads = RoleDataLoads::new(publisher, Arc::clone(&metrics));
        let trouble = loads.trouble();
        let watch = watch::spawn(config.assignments, Arc::clone(&clock), move |outcome| {
            loads.take(outcome);
        });
        let refresh = authenticator.spawn_refresh();
        let proof = Proof {
            authenticator,
            assignments,
            audit,
            clock,
        };
        let most = config.limits.max_concurrent_requests;
        let serving = Serving::begin(bound, &pipelines(&pipeline, &workers), &metrics, most);
        let readiness = proof.readiness(trouble, serving.drain.subscribe());
        let administration = administer(admin, metrics, readiness);
        Ok(Self {
            serving,
            administration,
            proof,
            _watch: watch,
            _refresh: refresh,
            _renewals: certificates.renewals,
            _workers: workers,
        })
    }

    /// The address that the listener named `name` is bound to.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        let mut addresses = self.serving.addresses.iter();
        addresses
            .find(|(listener, _)| **listener == *name)
            .map(|(_, address)| *address)
    }

    /// The address that the administration listener is bound to.
    pub const fn admin_address(&self) -> SocketAddr {
        self.administration.address
    }

    /// Waits until keys and role data are in, for as long as that takes.
    pub async fn ready(&self) {
        self.proof.authenticator.wait_until_keys_ready().await;
        self.proof
            .assignments
            .wait_until_fresh(&*self.proof.clock)
            .await;
    }

    /// Stops: takes nothing new, lets requests in flight end within the grace, and writes the last
    /// records.
    pub async fn stop(mut self) {
        self.serving.drain.start();
        while self.serving.tasks.join_next().await.is_some() {}
        self.administration.drain.start();
        while self.administration.task.join_next().await.is_some() {}
        match tokio::time::timeout(FLUSH_LIMIT, self.proof.audit.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the last decision records are not written"),
            Err(_) => tracing::error!("the last decision records were not written in time"),
        }
    }
}

impl Serving {
    fn begin(
        bound: Vec<(Arc<str>, BoundListener)>,
        pipelines: &[Worker<Arc<Pipeline>>],
        metrics: &Metrics,
        max_concurrent_requests: usize,
    ) -> Self {
        let (trigger, drain) = drain::channel();
        let mut serving = Self {
            addresses: Vec::new(),
            drain: trigger,
            tasks: JoinSet::new(),
        };
        for (name, listener) in bound {
            let address = listener.local_addr();
            tracing::info!(listener = &*name, %address, "serving");
            serving.addresses.push((Arc::clone(&name), address));
            let counters = ListenCounters::new(metrics.listener(&name));
            let on_event = move |event| counters.count(event);
            let places = Arc::new(Places::new(max_concurrent_requests));
            let workers = pipelines.iter().map(|worker| {
                worker.with(|pipeline| service(pipeline, metrics.listener(&name), &places))
            });
            let (workers, drain) = (workers.collect(), drain.clone());
            serving.tasks.spawn(async move {
                let drained = listener.serve(workers, on_event, drain).await;
                tracing::info!(listener = &*name, aborted = drained.aborted, "drained");
            });
        }
        serving
    }
}

/// A pipeline for each of the threads, with connections of its own.
fn pipelines(pipeline: &Pipeline, workers: &Workers) -> Vec<Worker<Arc<Pipeline>>> {
    let own = |runtime: &Handle| {
        let pipeline = pipeline.with_own_connections();
        Worker::new(runtime.clone(), Arc::new(pipeline))
    };
    workers.runtimes().map(own).collect()
}

/// What one listener does with a request: the pipeline, counted while it is at work.
fn service(
    pipeline: &Arc<Pipeline>,
    counters: ListenerMetrics,
    places: &Arc<Places>,
) -> impl Fn(Arc<Peer>, Request<RequestBody>) -> BoxFuture<Response<ResponseBody>> + Clone + use<> {
    let (pipeline, places) = (Arc::clone(pipeline), Arc::clone(places));
    move |peer, request| {
        let in_flight = counters.request();
        let place = places.take();
        let pipeline = Arc::clone(&pipeline);
        // The long future is made where it stays.
        Box::pin(async move {
            let _in_flight = in_flight;
            pipeline.answer(peer, request, place).await
        })
    }
}

fn administer(
    listener: AdminListener,
    metrics: Arc<Metrics>,
    readiness: Readiness,
) -> Administration {
    let (trigger, mut drain) = drain::channel();
    let address = listener.local_addr();
    tracing::info!(%address, "administration");
    let mut task = JoinSet::new();
    task.spawn(async move { listener.serve(metrics, readiness, drain.started()).await });
    Administration {
        address,
        drain: trigger,
        task,
    }
}

/// Where role data is put, and where it is read.
fn store(config: &Config, metrics: &Metrics) -> (AssignmentPublisher, Assignments) {
    let scopes = config.vaults.iter().map(vault_scope).collect();
    metrics.snapshot_max_staleness(config.assignments.max_staleness);
    store::store(scopes, config.assignments.max_staleness)
}

fn callers(limits: &Limits) -> Arc<Shares<CallerKey>> {
    Arc::new(Shares::new(limits.max_concurrent_requests_per_caller))
}

fn authenticator(
    config: &Config,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> Result<Authenticator, SetupError> {
    let counters = AuthnCounters::new(&config.issuers, Arc::clone(metrics));
    Authenticator::new(&config.issuers, Arc::clone(clock), Arc::new(counters))
}

fn inspector(config: &Config, clock: &Arc<dyn Clock>, metrics: &Arc<Metrics>) -> Inspector {
    let (clock, metrics) = (Arc::clone(clock), Arc::clone(metrics));
    Inspector::new(config.metadata.clone(), config.vaults.len(), clock, metrics)
}

fn vault_scope(vault: &config::Vault) -> VaultScope {
    VaultScope {
        scope: vault.resource_id.clone(),
        management_groups: vault.management_groups.clone(),
    }
}

fn surroundings(deployment: &config::Deployment) -> Surroundings {
    Surroundings {
        environment: deployment.environment.clone(),
        region: deployment.region.clone(),
    }
}

fn vault_facts(vault: &config::Vault) -> VaultFacts {
    let properties = &vault.properties;
    VaultFacts {
        name: vault.name.as_str().into(),
        id: vault.resource_id.to_string().into(),
        location: vault.location.clone(),
        sku: properties.sku.clone(),
        public_network_access: properties.public_network_access.clone(),
        enable_purge_protection: properties.enable_purge_protection,
        enable_soft_delete: properties.enable_soft_delete,
        tags: properties.tags.clone(),
    }
}

/// The certificates of all listeners, and what renews them.
fn certificates(
    config: &Config,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<Certificates, StartError> {
    let hosts = Host::each(config.authorities());
    let mut certificates = Certificates::default();
    for listener in &config.listeners {
        let renewal = Renewal::begin(&listener.certificate, &hosts, Arc::clone(clock));
        let renewal = renewal.map_err(|cause| ListenError::Tls {
            listener: Arc::clone(&listener.name),
            cause,
        })?;
        let counters = RenewalCounters::new(&listener.name, metrics.listener(&listener.name));
        let certificate = renewal.certificate();
        counters.begin(&certificate.load());
        certificates.shown.push(certificate);
        let handle = renewal.spawn(move |event| counters.take(&event));
        certificates.renewals.push(handle);
    }
    Ok(certificates)
}

async fn bind(
    config: &Config,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<(Vec<(Arc<str>, BoundListener)>, Certificates), StartError> {
    let certificates = certificates(config, clock, metrics)?;
    let network = Arc::new(config.network.clone());
    let mut bound = Vec::with_capacity(config.listeners.len());
    for (listener, certificate) in config.listeners.iter().zip(&certificates.shown) {
        let name = Arc::clone(&listener.name);
        let certificate = certificate.clone();
        let listener = BoundListener::bind(listener, certificate, &network, &config.limits).await?;
        bound.push((name, listener));
    }
    Ok((bound, certificates))
}

/// The idle connections to a vault, shared out among the threads. A client with many streams is
/// served by one of them, so each may keep a few in any case.
fn idle_per_thread(limits: &Limits) -> usize {
    const A_FEW: usize = 8;
    let share = limits.pool_max_idle.div_ceil(limits.worker_threads);
    share.max(A_FEW).min(limits.pool_max_idle)
}

fn ways_to_vaults(
    config: &Config,
    bound: &[(Arc<str>, BoundListener)],
    certificates: &[Snapshot<ServerCertificate>],
) -> Result<Vec<GuardedVault>, StartError> {
    let addresses = bound.iter().map(|(_, listener)| listener.local_addr());
    let own = Ourselves::new(addresses, certificates.iter().cloned());
    let limits = Limits {
        pool_max_idle: idle_per_thread(&config.limits),
        ..config.limits.clone()
    };
    let way = |vault: &config::Vault| {
        let upstream =
            Upstream::new(vault, &limits, own.clone()).map_err(|cause| StartError::Vault {
                vault: vault.name.as_str().into(),
                cause,
            })?;
        Ok(GuardedVault {
            config: Arc::new(vault.clone()),
            upstream,
            facts: Arc::new(vault_facts(vault)),
        })
    };
    config.vaults.iter().map(way).collect()
}

impl Proof {
    /// The checks of `/readyz`. `trouble` says what is wrong with the last load of role data;
    /// `drain` ends being ready.
    fn readiness(&self, trouble: Snapshot<Option<String>>, drain: Drain) -> Readiness {
        let (keys, keys_clock) = (Arc::clone(&self.authenticator), Arc::clone(&self.clock));
        let (in_force, data_clock) = (self.assignments.clone(), Arc::clone(&self.clock));
        let records = self.audit.clone();
        Readiness::new()
            .check("keys", move || {
                let ready = keys.keys_ready(keys_clock.now());
                ready
                    .then_some(())
                    .ok_or_else(|| "signing keys are missing or too old".to_owned())
            })
            .check_with_note("assignments", move || {
                // In this order: trouble is taken back before what ends it is in force.
                let fresh = in_force.fresh(data_clock.now());
                match (fresh, Option::clone(&trouble.load())) {
                    // The last good set is in force, but not for ever.
                    (Ok(_), trouble) => Ok(trouble),
                    (Err(error), Some(trouble)) => Err(format!("{error}: {trouble}")),
                    (Err(error), None) => Err(error.to_string()),
                }
            })
            .check("audit", move || records.check())
            .check("serving", move || {
                // From then on connections are refused.
                let draining = drain.has_started();
                (!draining)
                    .then_some(())
                    .ok_or_else(|| "draining".to_owned())
            })
    }
}
