//! The record of one request while it is being made.
//!
//! [`AuditGuard`] before the decision, [`ResultGuard`] after it. Neither can be cloned, each is
//! used up by what it writes, and each writes what is true of a request that went no further when
//! it is dropped instead. Dropping never blocks and needs no runtime.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use uuid::{Builder, NoContext, Uuid};

use crate::keyvault::{ObjectVersion, Operation};
use crate::principal::{Caller, TokenGroups};
use crate::rbac::{AssignmentId, Scope};
use crate::reason::{Reason, Verdict};
use crate::traceparent::TraceParent;

use super::AuditError;
use super::log::{AuditLog, Pending, Unwritten};
use super::record::KvError;

mod client;
mod pool;
mod render;

pub use client::{ClientFacts, ClientProcess};

/// The name of one decision: a UUID of version 7, so that names sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecisionId(Uuid);

/// On what the decision rests.
#[derive(Clone, Debug)]
pub struct PolicyFacts {
    /// The revision of the role data, such as `sha256:…`.
    pub snapshot: Arc<str>,
    /// When it was last known to be current.
    pub snapshot_at: SystemTime,
    /// How long ago that was.
    pub stale: Duration,
    /// The role assignment that allowed.
    pub assignment: Option<AssignmentId>,
    /// The name of its role definition.
    pub role: Option<Arc<str>>,
    /// The deny assignment that denied.
    pub deny_assignment: Option<AssignmentId>,
    /// The version of the object that was looked at and is sent, if the caller named none.
    pub pinned_version: Option<ObjectVersion>,
    /// What came closest to allowing.
    pub nearest: Option<NearestMiss>,
}

/// The role assignment that came closest to allowing.
#[derive(Clone, Debug)]
pub struct NearestMiss {
    /// Its name.
    pub assignment: Option<AssignmentId>,
    /// The name of its role definition.
    pub role: Option<Arc<str>>,
    /// What it lacked.
    pub failed: Reason,
    /// The same in words; the first thing to be cut.
    pub detail: Option<Box<str>>,
}

/// What the vault answered.
#[derive(Clone, Debug)]
pub struct UpstreamAnswer {
    /// The status.
    pub status: u16,
    /// The error, if it is one.
    pub kv_error: Option<KvError>,
    /// `x-ms-request-id`.
    pub request_id: Option<Box<str>>,
    /// The role assignment on which the vault says it decided.
    pub assignment: Option<AssignmentId>,
    /// From sending the request to the headers of the answer.
    pub took: Duration,
}

/// The record of a request that is not decided yet.
#[must_use = "a request that is not decided is recorded as one whose client went away"]
pub struct AuditGuard {
    log: AuditLog,
    /// INVARIANT: `Some` until the decision line is handed over; then its owner is a
    /// `ResultGuard`.
    facts: Option<Box<Facts>>,
}

/// The record of a decided request. For an allowed one it writes the result line.
#[must_use = "an allowed request without a result is recorded as aborted"]
pub struct ResultGuard {
    log: AuditLog,
    facts: Box<Facts>,
    sent: bool,
    answer: Option<UpstreamAnswer>,
    /// The receipt of the decision line, while it is waited for.
    pending: Option<Pending>,
    /// Whether a result line is still to be written.
    due: bool,
}

/// All that is known of a request.
struct Facts {
    id: DecisionId,
    arrived: SystemTime,
    clock: Instant,
    client: ClientFacts,
    method: &'static str,
    vault: Option<(Box<str>, Scope)>,
    operation: Option<OperationFacts>,
    caller: Option<Arc<Caller>>,
    groups: Option<usize>,
    policy: Option<PolicyFacts>,
    sub_reason: Option<&'static str>,
    trace: Option<TraceParent>,
    authn: Option<Duration>,
    authz: Option<Duration>,
}

/// What the record says of an operation; of its query that is the `api-version` alone.
struct OperationFacts {
    kind: crate::keyvault::OperationKind,
    object_type: Option<crate::keyvault::ObjectType>,
    name: Option<Box<str>>,
    version: Option<Box<str>>,
    api_version: Box<str>,
}

impl AuditGuard {
    pub(super) fn begin(log: AuditLog, now: SystemTime, client: ClientFacts) -> Self {
        let facts = Facts {
            id: DecisionId::new(now),
            arrived: now,
            clock: Instant::now(),
            client,
            method: "_OTHER",
            vault: None,
            operation: None,
            caller: None,
            groups: None,
            policy: None,
            sub_reason: None,
            trace: None,
            authn: None,
            authz: None,
        };
        Self {
            log,
            facts: Some(Box::new(facts)),
        }
    }

    /// The decision's name, also for the answer.
    pub fn decision_id(&self) -> DecisionId {
        self.facts
            .as_ref()
            .map_or(DecisionId(Uuid::nil()), |f| f.id)
    }

    /// The request's method; one that Key Vault does not use is recorded as `_OTHER`.
    pub fn method(&mut self, method: &http::Method) {
        self.set(|facts| facts.method = known_method(method));
    }

    /// The vault the request is for.
    pub fn vault(&mut self, name: &str, resource_id: &Scope) {
        self.set(|facts| facts.vault = Some((name.into(), resource_id.clone())));
    }

    /// The operation the request asks for.
    pub fn operation(&mut self, operation: &Operation) {
        self.set(|facts| facts.operation = Some(OperationFacts::new(operation)));
    }

    /// Who asks.
    pub fn caller(&mut self, caller: &Arc<Caller>) {
        self.set(|facts| facts.caller = Some(Arc::clone(caller)));
    }

    /// In how many groups the caller is, if the role data says so; else the token's own count is
    /// recorded.
    pub fn groups(&mut self, count: usize) {
        self.set(|facts| facts.groups = Some(count));
    }

    /// On what the decision rests.
    pub fn policy(&mut self, policy: PolicyFacts) {
        self.set(|facts| facts.policy = Some(policy));
    }

    /// What exactly was wrong, as the label of a closed enum: the defect of a refused token.
    pub fn sub_reason(&mut self, label: &'static str) {
        self.set(|facts| facts.sub_reason = Some(label));
    }

    /// The trace the request belongs to.
    pub fn trace(&mut self, trace: TraceParent) {
        self.set(|facts| facts.trace = Some(trace));
    }

    /// How long authentication took.
    pub fn authn_took(&mut self, took: Duration) {
        self.set(|facts| facts.authn = Some(took));
    }

    /// How long authorization took.
    pub fn authz_took(&mut self, took: Duration) {
        self.set(|facts| facts.authz = Some(took));
    }

    /// Writes the decision line and returns once the system has taken it.
    ///
    /// `status` is what the client is answered; `None` for an allowed request, whose status the
    /// vault decides.
    ///
    /// # Errors
    /// The line was not written within [`super::HANDOVER_LIMIT`]. The request must then be answered 503
    /// with [`Reason::AuditUnavailable`]; that this happened is recorded as soon as the sink takes
    /// lines again, and nothing more is to be done.
    pub async fn decide(
        mut self,
        verdict: Verdict,
        reason: Reason,
        status: Option<u16>,
    ) -> Result<ResultGuard, AuditError> {
        let Some(facts) = &self.facts else {
            return Err(AuditError::Closed);
        };
        let line = facts.decision_line(&self.log, verdict, reason, status);
        if let Some(written) = self.log.write_now(&line) {
            let mut guard = self.decided(verdict)?;
            guard.settle(written)?;
            return Ok(guard);
        }
        let deadline = self.log.deadline();
        // Dropped while it waits here, `self` records that the client went away.
        let slot = match self.log.slot(deadline).await {
            Ok(slot) => slot,
            Err(error) => {
                self.close(Verdict::Error, Reason::AuditUnavailable, Some(503));
                return Err(error);
            }
        };
        let mut guard = self.decided(verdict)?;
        guard.pending = Some(guard.log.hand_over(line, slot));
        // Dropped while it waits here, `guard` records that the client went away.
        guard.receipt(deadline).await?;
        Ok(guard)
    }

    /// What becomes of the record once its decision line is handed over.
    fn decided(&mut self, verdict: Verdict) -> Result<ResultGuard, AuditError> {
        Ok(ResultGuard {
            facts: self.facts.take().ok_or(AuditError::Closed)?,
            log: self.log.clone(),
            sent: false,
            answer: None,
            pending: None,
            due: verdict == Verdict::Allow,
        })
    }

    fn set(&mut self, change: impl FnOnce(&mut Facts)) {
        if let Some(facts) = &mut self.facts {
            change(facts);
        }
    }

    /// Writes the decision line without waiting for it, if none was handed over.
    fn close(&mut self, verdict: Verdict, reason: Reason, status: Option<u16>) {
        if let Some(facts) = self.facts.take() {
            let line = facts.decision_line(&self.log, verdict, reason, status);
            self.log.leave(line);
        }
    }
}

impl Drop for AuditGuard {
    fn drop(&mut self) {
        self.close(Verdict::Error, reason_of_a_drop(), None);
    }
}

impl ResultGuard {
    /// The decision's name.
    pub fn decision_id(&self) -> DecisionId {
        self.facts.id
    }

    /// Says that the request is on its way to the vault, or may be.
    pub fn sent(&mut self) {
        self.sent = true;
    }

    /// Takes [`Self::sent`] back: it is certain that nothing left for the vault.
    pub fn unsent(&mut self) {
        self.sent = false;
    }

    /// Says what the vault answered.
    pub fn answered(&mut self, answer: UpstreamAnswer) {
        self.sent = true;
        self.answer = Some(answer);
    }

    /// Writes the result line of an allowed request: the client was answered `status`, and
    /// `reason` says why if it was not the vault's own answer. Does not block.
    pub fn finish(mut self, status: Option<u16>, reason: Option<Reason>) {
        self.close(status, reason, Ending::Whole);
    }

    async fn receipt(&mut self, deadline: Instant) -> Result<(), AuditError> {
        let Some(pending) = &mut self.pending else {
            return Ok(());
        };
        let receipt = pending.receipt(deadline).await;
        self.pending = None;
        self.settle(receipt)
    }

    /// Records what became of the decision line, if it is not simply written.
    fn settle(&mut self, written: Result<(), Unwritten>) -> Result<(), AuditError> {
        match written {
            Ok(()) => Ok(()),
            Err(Unwritten::No(error)) => {
                self.replace(Reason::AuditUnavailable, Some(503));
                Err(error)
            }
            // The decision line may stand; what became of the request is then for the result.
            Err(Unwritten::InDoubt) => {
                self.due = true;
                self.close(Some(503), Some(Reason::AuditUnavailable), Ending::Whole);
                Err(AuditError::Timeout)
            }
        }
    }

    /// Writes another decision line in place of the one that is known not to be written.
    fn replace(&mut self, reason: Reason, status: Option<u16>) {
        let line = self
            .facts
            .decision_line(&self.log, Verdict::Error, reason, status);
        self.log.leave(line);
        self.due = false;
    }

    fn close(&mut self, status: Option<u16>, reason: Option<Reason>, ending: Ending) {
        if std::mem::replace(&mut self.due, false) {
            let line = self.result_line(status, reason, ending);
            self.log.leave(line);
        }
    }
}

impl Drop for ResultGuard {
    fn drop(&mut self) {
        let reason = reason_of_a_drop();
        if self
            .pending
            .take()
            .is_some_and(|pending| !pending.abandon())
        {
            self.replace(reason, None);
        }
        self.close(None, Some(reason), Ending::Aborted);
    }
}

/// Whether the client got the whole answer, as far as we know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Aborted,
    Whole,
}

impl fmt::Debug for AuditGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuditGuard")
            .field(&self.decision_id())
            .finish()
    }
}

impl fmt::Debug for ResultGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResultGuard")
            .field(&self.decision_id())
            .finish()
    }
}

impl DecisionId {
    fn new(now: SystemTime) -> Self {
        // A clock before 1970 is broken; the name stays unique, it only sorts wrongly.
        let since = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let Some(random) = pool::random() else {
            let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
            let timestamp = uuid::Timestamp::from_unix(NoContext, seconds, nanos);
            return Self(Uuid::new_v7(timestamp));
        };
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.as_hyphenated(), f)
    }
}

impl Facts {
    /// The present time, `took` after the arrival. Counted from there, so that a clock that is set
    /// back in between cannot put an effect before its cause.
    fn after(&self, took: Duration) -> SystemTime {
        self.arrived.checked_add(took).unwrap_or(self.arrived)
    }

    fn groups(&self) -> Option<usize> {
        let in_token = || match &self.caller.as_ref()?.claims().groups {
            TokenGroups::Absent => None,
            TokenGroups::Present(groups) => Some(groups.len()),
        };
        self.groups.or_else(in_token)
    }
}

impl OperationFacts {
    fn new(operation: &Operation) -> Self {
        Self {
            kind: operation.kind(),
            object_type: operation.object().map(|(object_type, _)| object_type),
            name: operation.name().map(|name| name.as_str().into()),
            version: operation.version().map(|version| version.as_str().into()),
            api_version: operation.query().api_version().as_str().into(),
        }
    }
}

/// Nothing but these two drops a request undecided or unfinished.
fn reason_of_a_drop() -> Reason {
    if thread::panicking() {
        Reason::InternalError
    } else {
        Reason::ClientGone
    }
}

fn known_method(method: &http::Method) -> &'static str {
    match method.as_str() {
        "CONNECT" => "CONNECT",
        "DELETE" => "DELETE",
        "GET" => "GET",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        "POST" => "POST",
        "PUT" => "PUT",
        "TRACE" => "TRACE",
        _ => "_OTHER",
    }
}
