//! The composition root: from a [`Config`] to a proxy that serves. The only file that names every
//! adapter.

mod counting;
mod role_data;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::task::JoinSet;

use crate::admin::{AdminError, AdminListener, Readiness};
use crate::assignments::store::{self, Assignments};
use crate::assignments::watch::{self, WatchHandle};
use crate::audit::{AuditError, AuditLog};
use crate::authn::{Authenticator, RefreshHandle, SetupError};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::metrics::{Metrics, MetricsError, Names};
use crate::proxy::connect::{ConnectorError, OwnAddresses};
use crate::proxy::drain::{self, Drain, DrainTrigger};
use crate::proxy::host::{DuplicateName, VaultTable};
use crate::proxy::listen::{BoundListener, ListenError};
use crate::proxy::pipeline::{GuardedVault, Pipeline};
use crate::proxy::upstream::Upstream;
use crate::rbac::VaultScope;

use counting::{AuthnCounters, ListenCounters};
use role_data::RoleDataLoads;

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
    listeners: Vec<(Arc<str>, SocketAddr)>,
    admin: SocketAddr,
    authenticator: Arc<Authenticator>,
    assignments: Assignments,
    clock: Arc<dyn Clock>,
    audit: AuditLog,
    drain: DrainTrigger,
    /// Ends the administration listener, which answers until the others are drained.
    admin_drain: DrainTrigger,
    serving: JoinSet<()>,
    administration: JoinSet<()>,
    _watch: WatchHandle,
    _refresh: RefreshHandle,
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
        let audit = AuditLog::open(&config.audit, {
            let metrics = Arc::clone(&metrics);
            move |event| metrics.audit(event)
        })?;
        let counters = Arc::new(AuthnCounters::new(&config.issuers, Arc::clone(&metrics)));
        let authenticator = Arc::new(Authenticator::new(
            &config.issuers,
            Arc::clone(&clock),
            counters,
        )?);
        let (publisher, assignments) = store::store(
            config.vaults.iter().map(vault_scope).collect(),
            config.assignments.max_staleness,
        );
        metrics.snapshot_max_staleness(config.assignments.max_staleness);

        let bound = bind(&config).await?;
        let admin = AdminListener::bind(config.admin.address).await?;
        let pipeline = Arc::new(Pipeline {
            clock: Arc::clone(&clock),
            table: VaultTable::new(&config.vaults)?,
            vaults: ways_to_vaults(&config, &bound)?,
            authenticator: Arc::clone(&authenticator),
            assignments: assignments.clone(),
            audit: audit.clone(),
            metrics: Arc::clone(&metrics),
            extra_query_parameters: config.extra_query_parameters.clone(),
            total_timeout: config.limits.total_timeout,
        });

        let loads = RoleDataLoads::new(publisher, Arc::clone(&metrics));
        let readiness = readiness(&authenticator, &assignments, &loads, &audit, &clock);
        let watch = watch::spawn(config.assignments, Arc::clone(&clock), move |outcome| {
            loads.take(outcome);
        });
        let refresh = authenticator.spawn_refresh();
        let (trigger, drain) = drain::channel();
        let (admin_trigger, admin_drain) = drain::channel();
        let mut app = Self {
            listeners: bound
                .iter()
                .map(|(name, b)| (Arc::clone(name), b.local_addr()))
                .collect(),
            admin: admin.local_addr(),
            authenticator,
            assignments,
            clock,
            audit,
            drain: trigger,
            admin_drain: admin_trigger,
            serving: JoinSet::new(),
            administration: JoinSet::new(),
            _watch: watch,
            _refresh: refresh,
        };
        for (name, listener) in bound {
            app.serve(&name, listener, &pipeline, &metrics, drain.clone());
        }
        app.administer(admin, metrics, readiness, admin_drain);
        Ok(app)
    }

    /// The address that the listener named `name` is bound to.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.listeners
            .iter()
            .find(|(listener, _)| **listener == *name)
            .map(|(_, at)| *at)
    }

    /// The address that the administration listener is bound to.
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Waits until keys and role data are in, for as long as that takes.
    pub async fn ready(&self) {
        self.authenticator.wait_until_keys_ready().await;
        self.assignments.wait_until_fresh(&*self.clock).await;
    }

    /// Stops: takes nothing new, lets requests in flight end within the grace, and writes the last
    /// records.
    pub async fn stop(mut self) {
        self.drain.start();
        while self.serving.join_next().await.is_some() {}
        self.admin_drain.start();
        while self.administration.join_next().await.is_some() {}
        match tokio::time::timeout(FLUSH_LIMIT, self.audit.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the last decision records are not written"),
            Err(_) => tracing::error!("the last decision records were not written in time"),
        }
    }

    fn serve(
        &mut self,
        name: &Arc<str>,
        listener: BoundListener,
        pipeline: &Arc<Pipeline>,
        metrics: &Metrics,
        drain: Drain,
    ) {
        let address = listener.local_addr();
        tracing::info!(listener = &**name, %address, "serving");
        let counters = ListenCounters::new(metrics.listener(name));
        let in_flight = metrics.listener(name);
        let pipeline = Arc::clone(pipeline);
        let service = move |peer, request| {
            let held = in_flight.request();
            let answer = Arc::clone(&pipeline).answer(peer, request);
            async move {
                let _held = held;
                answer.await
            }
        };
        let on_event = move |event| counters.count(event);
        let name = Arc::clone(name);
        self.serving.spawn(async move {
            let drained = listener.serve(service, on_event, drain).await;
            let aborted = drained.aborted;
            tracing::info!(listener = &*name, aborted, "drained");
        });
    }

    fn administer(
        &mut self,
        listener: AdminListener,
        metrics: Arc<Metrics>,
        readiness: Readiness,
        mut drain: Drain,
    ) {
        tracing::info!(address = %self.admin, "administration");
        self.administration.spawn(async move {
            listener.serve(metrics, readiness, drain.started()).await;
        });
    }
}

fn vault_scope(vault: &config::Vault) -> VaultScope {
    VaultScope {
        scope: vault.resource_id.clone(),
        management_groups: vault.management_groups.clone(),
    }
}

async fn bind(config: &Config) -> Result<Vec<(Arc<str>, BoundListener)>, StartError> {
    let mut bound = Vec::with_capacity(config.listeners.len());
    for listener in &config.listeners {
        let name = Arc::clone(&listener.name);
        bound.push((name, BoundListener::bind(listener, &config.limits).await?));
    }
    Ok(bound)
}

fn ways_to_vaults(
    config: &Config,
    bound: &[(Arc<str>, BoundListener)],
) -> Result<Vec<GuardedVault>, StartError> {
    let own = OwnAddresses::new(bound.iter().map(|(_, listener)| listener.local_addr()));
    let way = |vault: &config::Vault| {
        let upstream = Upstream::new(vault, &config.limits, own.clone()).map_err(|cause| {
            StartError::Vault {
                vault: vault.name.as_str().into(),
                cause,
            }
        })?;
        Ok(GuardedVault {
            config: vault.clone(),
            upstream,
        })
    };
    config.vaults.iter().map(way).collect()
}

fn readiness(
    authenticator: &Arc<Authenticator>,
    assignments: &Assignments,
    loads: &RoleDataLoads,
    audit: &AuditLog,
    clock: &Arc<dyn Clock>,
) -> Readiness {
    let (keys, keys_clock) = (Arc::clone(authenticator), Arc::clone(clock));
    let (in_force, data_clock) = (assignments.clone(), Arc::clone(clock));
    let (trouble, records) = (loads.trouble(), audit.clone());
    Readiness::new()
        .check("keys", move || {
            let ready = keys.keys_ready(keys_clock.now());
            ready
                .then_some(())
                .ok_or_else(|| "signing keys are missing or too old".to_owned())
        })
        .check("assignments", move || {
            in_force.fresh(data_clock.now()).map(drop).map_err(|error| {
                match trouble.load().as_deref() {
                    Some(trouble) => format!("{error}: {trouble}"),
                    None => error.to_string(),
                }
            })
        })
        .check("audit", move || records.check())
}
