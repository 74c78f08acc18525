//! The listeners, bound, with the certificates they show and ask for.

use std::sync::Arc;

use rustls::ServerConfig;

use super::StartError;
use super::counting::{RenewalCounters, Renewed};
use crate::ca::Host;
use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::proxy::listen::{BoundListener, ListenError};
use crate::snapshot::Snapshot;
use crate::tls::{Reception, Renewal, RenewalHandle, ServerCertificate};

/// The certificates of the listeners, in their order.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    pub(super) shown: Vec<Snapshot<ServerCertificate>>,
    receptions: Vec<Snapshot<ServerConfig>>,
    pub(super) renewals: Vec<RenewalHandle>,
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
        let failed = |cause| ListenError::Tls {
            listener: Arc::clone(&listener.name),
            cause,
        };
        let renewal = renewal.map_err(failed)?;
        let counters =
            |what| RenewalCounters::new(&listener.name, metrics.listener(&listener.name), what);
        let (of_shown, of_clients) = (counters(Renewed::Certificate), counters(Renewed::ClientCas));
        let certificate = renewal.certificate();
        let first = certificate.load();
        of_shown.in_use(first.not_after(), first.issuer_not_after());
        let clients = listener.client_certificates.as_ref();
        let reception = Reception::begin(certificate.clone(), clients).map_err(failed)?;
        if let Some(not_after) = reception.first_to_end() {
            of_clients.in_use(not_after, None);
        }
        certificates.shown.push(certificate);
        certificates.receptions.push(reception.config());
        let handle = renewal.spawn(move |event| of_shown.take(&event));
        certificates.renewals.push(handle);
        let handle = reception.spawn(move |event| of_clients.take(&event));
        certificates.renewals.extend(handle);
    }
    Ok(certificates)
}

/// Binds every listener.
pub(super) async fn bind(
    config: &Config,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<(Vec<(Arc<str>, BoundListener)>, Certificates), StartError> {
    let certificates = certificates(config, clock, metrics)?;
    let network = Arc::new(config.network.clone());
    let mut bound = Vec::with_capacity(config.listeners.len());
    for (listener, tls) in config.listeners.iter().zip(&certificates.receptions) {
        let name = Arc::clone(&listener.name);
        let listener = BoundListener::bind(listener, tls.clone(), &network, &config.limits).await?;
        bound.push((name, listener));
    }
    Ok((bound, certificates))
}
