//! The one way through: what happens to a request, from its headers to the end of its answer.
//!
//! [`Pipeline::answer`] reads top to bottom as a request passes. Each step needs what the step
//! above proved, and the compiler knows it: without a [`Permit`] there is nothing to forward.

mod authorize;
mod facts;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderMap;
use http::request::Parts;
use http::{Request, Response};
use tokio::time::Instant;

use super::body::{BodyEnd, BodyOutcome, RequestBody, ResponseBody};
use super::headers;
use super::host::{Selected, VaultTable};
use super::listen::Peer;
use super::metadata::Inspector;
use super::reject::Rejection;
use super::shares::{Place, Share, Shares};
use super::upstream::{ForwardRequest, ForwardedResponse, Upstream};
use crate::assignments::store::Assignments;
use crate::attributes::{Surroundings, VaultFacts};
use crate::audit::{AuditError, AuditGuard, AuditLog, ResultGuard, UpstreamAnswer};
use crate::authn::{self, Authenticator, AuthnError, BearerError};
use crate::clock::{Clock, Zone};
use crate::config;
use crate::keyvault::{Operation, OperationKind, route};
use crate::metrics::Metrics;
use crate::principal::{Caller, Claims, ObjectId};
use crate::rbac::Permit;
use crate::reason::{Reason, Verdict};
use crate::secret::BearerToken;
use crate::traceparent::TraceParent;

use authorize::Asked;

/// A vault and the connections of one thread to it.
#[derive(Debug)]
pub struct GuardedVault {
    /// Its settings.
    pub config: Arc<config::Vault>,
    /// The way to it.
    pub upstream: Upstream,
    /// What conditions may ask about it.
    pub facts: Arc<VaultFacts>,
}

impl GuardedVault {
    /// The same vault with connections of its own, for another thread.
    #[must_use]
    pub fn with_own_connections(&self) -> Self {
        Self {
            config: Arc::clone(&self.config),
            upstream: self.upstream.with_own_connections(),
            facts: Arc::clone(&self.facts),
        }
    }
}

/// Everything a request needs on its way; one for each thread that serves.
#[derive(Debug)]
pub struct Pipeline {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Which vault a request is for.
    pub table: Arc<VaultTable>,
    /// The vaults, in the order of the table.
    pub vaults: Vec<GuardedVault>,
    /// Who is calling.
    pub authenticator: Arc<Authenticator>,
    /// What callers have.
    pub assignments: Assignments,
    /// Where decisions are written down.
    pub audit: AuditLog,
    /// Where they are counted.
    pub metrics: Arc<Metrics>,
    /// Query parameters that pass besides Key Vault's own.
    pub extra_query_parameters: Arc<[Box<str>]>,
    /// How many requests each caller may have in progress.
    pub callers: Arc<Shares<CallerKey>>,
    /// From a request's arrival to the end of the vault's answer.
    pub total_timeout: Duration,
    /// What vaults say about objects.
    pub inspector: Arc<Inspector>,
    /// Where this proxy runs.
    pub surroundings: Arc<Surroundings>,
    /// In which zone conditions ask for days and hours.
    pub zone: Zone,
}

/// A caller, whatever token it brings: the configured name of its issuer, and its object id there.
pub type CallerKey = (Arc<str>, ObjectId);

/// What a request holds until its answer has ended.
#[derive(Debug, Default)]
pub(super) struct InProgress {
    /// Its place among those of its listener; `None` if it found none, and is refused.
    place: Option<Place>,
    share: Option<Share<CallerKey>>,
}

/// What is known of a request so far.
struct Trail {
    record: AuditGuard,
    held: InProgress,
    arrived: Instant,
    vault: Option<usize>,
    operation: Option<OperationKind>,
}

/// A request that may be forwarded.
struct Admitted {
    permit: Permit,
    token: BearerToken,
    selected: Selected,
}

impl Pipeline {
    /// The same with connections to the vaults of its own, for another thread.
    #[must_use]
    pub fn with_own_connections(&self) -> Self {
        let vaults = self.vaults.iter();
        Self {
            clock: Arc::clone(&self.clock),
            table: Arc::clone(&self.table),
            vaults: vaults.map(GuardedVault::with_own_connections).collect(),
            authenticator: Arc::clone(&self.authenticator),
            assignments: self.assignments.clone(),
            audit: self.audit.clone(),
            metrics: Arc::clone(&self.metrics),
            extra_query_parameters: Arc::clone(&self.extra_query_parameters),
            callers: Arc::clone(&self.callers),
            total_timeout: self.total_timeout,
            inspector: Arc::clone(&self.inspector),
            surroundings: Arc::clone(&self.surroundings),
            zone: self.zone.clone(),
        }
    }

    /// Answers one request of `peer`: with the vault's answer, or with a refusal. Without a `place`
    /// it is refused.
    ///
    /// Exactly one decision record is written per call, also when the future is dropped.
    pub async fn answer(
        self: Arc<Self>,
        peer: Arc<Peer>,
        request: Request<RequestBody>,
        place: Option<Place>,
    ) -> Response<ResponseBody> {
        let now = self.clock.now();
        let (parts, mut body) = request.into_parts();
        let mut record = self.audit.begin(now, facts::client(&peer, &parts.headers));
        record.method(&parts.method);
        if let Some(trace) = TraceParent::from_headers(&parts.headers) {
            record.trace(trace);
        }
        let mut trail = Trail {
            record,
            held: InProgress { place, share: None },
            arrived: Instant::now(),
            vault: None,
            operation: None,
        };
        match self.admit(&peer, &parts, &mut body, &mut trail).await {
            Ok(admitted) => {
                let held = std::mem::take(&mut trail.held);
                let response = self.forward(admitted, parts.headers, body, trail).await;
                response.map(|body| body.holding(held))
            }
            // SECURITY: a refusal is in memory, and counts for no more: whoever takes none of what
            // is answered must not keep others from being answered.
            Err(rejection) => self.refuse(rejection, trail).await,
        }
    }

    /// Everything up to the permit. What is learned on the way is left in `trail`; a body that had to
    /// be read is replaced by what was read.
    async fn admit(
        &self,
        peer: &Peer,
        parts: &Parts,
        body: &mut RequestBody,
        trail: &mut Trail,
    ) -> Result<Admitted, Rejection> {
        let selected = self.table.select(peer, parts)?;
        let vault = self.vault(selected.vault)?;
        trail.vault = Some(selected.vault);
        trail
            .record
            .vault(vault.config.name.as_str(), &vault.config.resource_id);
        if trail.held.place.is_none() {
            trail.record.sub_reason("listener");
            let message = "Too many requests are being answered at the moment.";
            return Err(Rejection::overload(message));
        }
        // Before anything else is looked at: an SDK's first call has neither body nor token.
        let token = authn::bearer(&parts.headers)
            .map_err(|error| self.no_token(error, &vault.config, trail))?;
        let caller = self.authenticate(&vault.config, &token, trail).await?;
        headers::inspect(parts, &*body)?;
        let operation = self.operation(parts, trail)?;
        body.check_declared_length()?;
        let asked = Asked {
            peer,
            headers: &parts.headers,
            caller: &caller,
            token: &token,
            selected: &selected,
        };
        let permit = self.authorize(&asked, operation, body, trail).await?;
        Ok(Admitted {
            permit,
            token,
            selected,
        })
    }

    async fn authenticate(
        &self,
        vault: &config::Vault,
        token: &BearerToken,
        trail: &mut Trail,
    ) -> Result<Arc<Caller>, Rejection> {
        let began = Instant::now();
        let outcome = self.authenticator.authenticate(&vault.issuer, token).await;
        trail.record.authn_took(began.elapsed());
        let caller = outcome.map_err(|error| {
            trail.record.sub_reason(error.detail.as_label());
            self.unauthenticated(error, vault)
        })?;
        trail.record.caller(&caller);
        trail.held.share = Some(self.share(caller.claims(), trail)?);
        Ok(caller)
    }

    /// One more request in progress for a caller.
    fn share(&self, claims: &Claims, trail: &mut Trail) -> Result<Share<CallerKey>, Rejection> {
        let caller = (Arc::clone(&claims.issuer_name), claims.object_id);
        self.callers.take(caller).ok_or_else(|| {
            trail.record.sub_reason("caller");
            let message = "Too many requests of this caller are being answered at the moment.";
            Rejection::overload(message)
        })
    }

    fn operation(&self, parts: &Parts, trail: &mut Trail) -> Result<Operation, Rejection> {
        let (path, query) = (parts.uri.path(), parts.uri.query());
        let operation = route::parse(&parts.method, path, query, &self.extra_query_parameters)
            .map_err(|error| Rejection::from(&error))?;
        trail.operation = Some(operation.kind());
        trail.record.operation(&operation);
        Ok(operation)
    }

    /// Writes the decision down, and only then forwards.
    async fn forward(
        &self,
        admitted: Admitted,
        headers: HeaderMap,
        body: RequestBody,
        trail: Trail,
    ) -> Response<ResponseBody> {
        let Trail {
            record,
            arrived,
            operation,
            ..
        } = trail;
        let seen = Seen {
            vault: Some(admitted.selected.vault),
            operation,
            arrived,
        };
        let decision_id = record.decision_id().to_string();
        // SECURITY: no secret without a record.
        let mut result = match record
            .decide(Verdict::Allow, Reason::OkAssignment, None)
            .await
        {
            Ok(result) => result,
            Err(error) => return self.unrecorded(&error, &decision_id, seen),
        };
        self.metrics
            .vault(seen.vault)
            .decided(operation, Verdict::Allow, Reason::OkAssignment);
        let request = ForwardRequest {
            headers,
            token: admitted.token,
            body,
            deadline: arrived + self.total_timeout,
            public: admitted.selected.public,
        };
        let sent_at = Instant::now();
        match self
            .send(
                admitted.selected.vault,
                admitted.permit,
                request,
                &mut result,
            )
            .await
        {
            Ok(forwarded) => {
                let answer = facts::upstream_answer(&forwarded, sent_at.elapsed());
                self.relay(forwarded.response, answer, result, seen)
            }
            Err(rejection) => {
                result.finish(Some(rejection.status().as_u16()), Some(rejection.reason));
                self.respond(rejection, &decision_id, seen)
            }
        }
    }

    /// Sends what is permitted, and notes whether the vault may have received it.
    async fn send(
        &self,
        vault: usize,
        permit: Permit,
        request: ForwardRequest,
        result: &mut ResultGuard,
    ) -> Result<ForwardedResponse, Rejection> {
        let GuardedVault {
            config, upstream, ..
        } = self.vault(vault)?;
        // SECURITY: a permit is for one vault; it must not open another.
        if *permit.vault() != config.resource_id {
            return Err(Rejection::because(
                Reason::InternalError,
                "The permit is for another vault.",
            ));
        }
        // SECURITY: until an error tells otherwise. A client that leaves while the vault is at work
        // ends this here, and must not have it recorded that its DELETE was never sent.
        result.sent();
        // Until the vault has answered; what it says from then on is new.
        let _passing = self.inspector.passing(vault, permit.operation());
        upstream.forward(permit, request).await.map_err(|error| {
            if !error.may_have_been_sent() {
                result.unsent();
            }
            let (kind, detail) = (error.kind().as_label(), error.detail().unwrap_or(""));
            tracing::warn!(kind, detail, "a request could not be forwarded");
            Rejection::from(&error)
        })
    }

    /// Hands the vault's answer to the client, and records the result when that has ended.
    fn relay(
        &self,
        response: Response<ResponseBody>,
        answer: UpstreamAnswer,
        mut result: ResultGuard,
        seen: Seen,
    ) -> Response<ResponseBody> {
        let status = response.status().as_u16();
        let counters = self.metrics.vault(seen.vault);
        counters.upstream_answered(status, answer.kv_error, answer.took);
        counters.answered(seen.operation, status);
        result.answered(answer);
        let metrics = Arc::clone(&self.metrics);
        response.map(|body| {
            body.observed(move |outcome: BodyOutcome| {
                metrics.request_took(seen.operation, seen.arrived.elapsed());
                match outcome.end {
                    BodyEnd::Complete => result.finish(Some(status), None),
                    BodyEnd::Deadline => {
                        result.finish(Some(status), Some(Reason::UpstreamTimeout));
                    }
                    BodyEnd::VaultAborted => {
                        result.finish(Some(status), Some(Reason::UpstreamError));
                    }
                    // Dropped unfinished, it is recorded as aborted.
                    BodyEnd::ClientGone => drop(result),
                }
            })
        })
    }

    /// Records a refusal, and answers it.
    async fn refuse(&self, rejection: Rejection, trail: Trail) -> Response<ResponseBody> {
        let Trail {
            record,
            arrived,
            vault,
            operation,
            ..
        } = trail;
        let seen = Seen {
            vault,
            operation,
            arrived,
        };
        let decision_id = record.decision_id().to_string();
        let verdict = rejection.verdict();
        let status = rejection.status().as_u16();
        self.metrics
            .vault(vault)
            .decided(operation, verdict, rejection.reason);
        match record.decide(verdict, rejection.reason, Some(status)).await {
            Ok(_nothing_was_forwarded) => self.respond(rejection, &decision_id, seen),
            Err(error) => self.unrecorded(&error, &decision_id, seen),
        }
    }

    /// Answers a request whose record could not be written.
    fn unrecorded(
        &self,
        error: &AuditError,
        decision_id: &str,
        seen: Seen,
    ) -> Response<ResponseBody> {
        tracing::error!(%error, decision_id, "a decision could not be recorded; it is refused");
        let reason = Reason::AuditUnavailable;
        self.metrics
            .vault(seen.vault)
            .decided(seen.operation, Verdict::Error, reason);
        let message = "The decision could not be recorded, so the request was not forwarded.";
        self.respond(Rejection::because(reason, message), decision_id, seen)
    }

    fn respond(
        &self,
        rejection: Rejection,
        decision_id: &str,
        seen: Seen,
    ) -> Response<ResponseBody> {
        let response = rejection.into_response(decision_id);
        self.metrics
            .vault(seen.vault)
            .answered(seen.operation, response.status().as_u16());
        self.metrics
            .request_took(seen.operation, seen.arrived.elapsed());
        response.map(|body| ResponseBody::from(Bytes::from(body)))
    }

    fn vault(&self, index: usize) -> Result<&GuardedVault, Rejection> {
        // INVARIANT: the table was made from these vaults, in their order.
        self.vaults
            .get(index)
            .ok_or_else(|| Rejection::because(Reason::InternalError, "The vault has no way to it."))
    }

    fn no_token(&self, error: BearerError, vault: &config::Vault, trail: &mut Trail) -> Rejection {
        if error != BearerError::Absent {
            trail.record.sub_reason(error.defect().as_label());
        }
        self.authenticator.refused_unread(&vault.issuer, error);
        self.unauthenticated(error.into(), vault)
    }

    fn unauthenticated(&self, error: AuthnError, vault: &config::Vault) -> Rejection {
        match (error.reason, self.authenticator.challenge(&vault.issuer)) {
            (
                Reason::NoToken | Reason::BadToken | Reason::WrongTenant | Reason::PopUnsupported,
                Some(challenge),
            ) => Rejection::unauthenticated(error.reason, error.message, challenge.clone()),
            _ => Rejection::because(error.reason, error.message),
        }
    }
}

/// What metrics need of a request that is decided.
#[derive(Clone, Copy)]
struct Seen {
    vault: Option<usize>,
    operation: Option<OperationKind>,
    arrived: Instant,
}
