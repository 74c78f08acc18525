//! The composition root: from a [`Config`] to a proxy that serves. The only file that names every
//! adapter.

mod counting;
mod entrances;
mod role_data;
mod vaults;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::admin::{AdminError, AdminListener, Readiness};
use crate::assignments::store::{self, Assignments};
use crate::assignments::watch::WatchHandle;
use crate::attributes::Surroundings;
use crate::audit::{AuditError, AuditLog};
use crate::authn::{Authenticator, RefreshHandle, SetupError};
use crate::clock::Clock;
use crate::config::{self, Config, Limits};
use crate::metrics::{ListenerMetrics, Metrics, MetricsError, Names};
use crate::proxy::body::{RequestBody, ResponseBody};
use crate::proxy::connect::ConnectorError;
use crate::proxy::drain::{self, Drain, DrainTrigger};
use crate::proxy::host::{DuplicateName, VaultTable};
use crate::proxy::listen::{BoundListener, ListenError, Peer};
use crate::proxy::metadata::Inspector;
use crate::proxy::pipeline::Pipeline;
use crate::proxy::shares::{Places, Shares};
use crate::proxy::workers::{Worker, Workers};
use crate::snapshot::Snapshot;
use crate::tls::RenewalHandle;

use counting::{AuthnCounters, ListenCounters};
use entrances::bind;
use vaults::{vault_scope, ways_to_vaults};

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
    addresses: Vec<(Arc<str>, Option<SocketAddr>)>,
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
        let audit = audit(&config, Arc::clone(&metrics))?;
        let authenticator = Arc::new(authenticator(&config, &clock, &metrics)?);
        let scopes = config.vaults.iter().map(vault_scope).collect();
        let (publisher, assignments) = store::store(scopes, config.assignments.max_staleness);
        metrics.snapshot_max_staleness(config.assignments.max_staleness);
        let (bound, certificates) = bind(&config, &clock, &metrics).await?;
        let admin = AdminListener::bind(config.admin.address).await?;
        let limits = &config.limits;
        let workers = Workers::start(limits.worker_threads).map_err(StartError::Workers)?;
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
            callers: Arc::new(Shares::new(limits.max_concurrent_requests_per_caller)),
            total_timeout: limits.total_timeout,
            surroundings: Arc::new(surroundings(&config.deployment)),
            zone: config.deployment.zone,
        };
        let (watch, trouble) =
            role_data::keep_loading(config.assignments, publisher, &clock, &metrics);
        let refresh = authenticator.spawn_refresh();
        let proof = Proof {
            authenticator,
            assignments,
            audit,
            clock,
        };
        let pipelines = pipelines(&pipeline, &workers);
        let serving = Serving::begin(bound, &pipelines, &metrics, limits);
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

    /// The address that the listener named `name` is bound to; a Unix socket has none.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        let mut addresses = self.serving.addresses.iter();
        addresses
            .find(|(listener, _)| **listener == *name)
            .and_then(|(_, address)| *address)
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
        limits: &Limits,
    ) -> Self {
        let (trigger, drain) = drain::channel();
        let mut serving = Self {
            addresses: Vec::new(),
            drain: trigger,
            tasks: JoinSet::new(),
        };
        for (name, listener) in bound {
            let address = listener.local_addr();
            tracing::info!(listener = &*name, address = %listener.place(), "serving");
            serving.addresses.push((Arc::clone(&name), address));
            let counters = ListenCounters::new(metrics.listener(&name));
            let on_event = move |event| counters.count(event);
            let places = Arc::new(Places::new(limits.max_concurrent_requests));
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

fn audit(config: &Config, metrics: Arc<Metrics>) -> Result<AuditLog, AuditError> {
    AuditLog::open(&config.audit, move |event| metrics.audit(event))
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

fn surroundings(deployment: &config::Deployment) -> Surroundings {
    Surroundings {
        environment: deployment.environment.clone(),
        region: deployment.region.clone(),
    }
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
