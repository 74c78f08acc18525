//! Deciding: once, or again after what the decision turned out to depend on was fetched.
//!
//! Nothing is read or asked that the decision does not depend on. A body comes first, because then
//! the vault need not be asked for a request that it would refuse anyway, and because what the vault
//! said should be young when the request is sent.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use tokio::time::Instant;

use super::{Pipeline, Trail, facts};
use crate::abac::Needs;
use crate::assignments::store::{Gathered, InForce};
use crate::attributes::{Facts, Metadata, Properties, Stage};
use crate::keyvault::{ObjectVersion, Operation};
use crate::metrics::{Cache, CacheResult, InspectionResult};
use crate::principal::{Caller, Claims};
use crate::proxy::body::{self, BodyDefect, Document, RequestBody, RequestBodyError};
use crate::proxy::host::Selected;
use crate::proxy::listen::Peer;
use crate::proxy::metadata::Asker;
use crate::proxy::properties;
use crate::proxy::reject::{Rejection, VaultLine};
use crate::rbac::{self, Decision, Denial, Entitlements, Inspection, Permit, Scope, Undecided};
use crate::reason::Reason;
use crate::secret::BearerToken;

/// Whose request is decided on, and where it came from.
pub(super) struct Asked<'a> {
    pub(super) peer: &'a Peer,
    pub(super) headers: &'a HeaderMap,
    pub(super) caller: &'a Caller,
    pub(super) token: &'a BearerToken,
    pub(super) selected: &'a Selected,
}

/// What was fetched for a decision so far.
#[derive(Default)]
struct Learned {
    body: Fetched<Properties>,
    metadata: Fetched<Metadata>,
}

#[derive(Default)]
enum Fetched<T> {
    #[default]
    NotYet,
    Nothing,
    This(Arc<T>),
}

impl Learned {
    /// Whether the vault is still to be asked. Not that often: only a load of role data in between
    /// makes the decision depend on which version is current when it did not before.
    fn lacks_metadata(&self, needs: Needs) -> bool {
        match &self.metadata {
            Fetched::NotYet => true,
            Fetched::Nothing => false,
            Fetched::This(found) => {
                needs.contains(Needs::CURRENT_VERSION) && found.is_current.is_none()
            }
        }
    }
}

impl<T> Fetched<T> {
    const fn is_yet_to_come(&self) -> bool {
        matches!(self, Self::NotYet)
    }

    fn stage(&self) -> Stage<'_, T> {
        match self {
            Self::NotYet => Stage::Unread,
            Self::Nothing => Stage::Absent,
            Self::This(found) => Stage::Read(found),
        }
    }
}

impl<T> From<Option<Arc<T>>> for Fetched<T> {
    fn from(found: Option<Arc<T>>) -> Self {
        found.map_or(Self::Nothing, Self::This)
    }
}

impl Pipeline {
    /// Decides, and fetches what the decision depends on.
    ///
    /// A `body` that was read is replaced by what was understood of it; otherwise it stays as it is,
    /// unread.
    pub(super) async fn authorize(
        &self,
        asked: &Asked<'_>,
        mut operation: Operation,
        body: &mut RequestBody,
        trail: &mut Trail,
    ) -> Result<Permit, Rejection> {
        let claims = asked.caller.claims();
        let mut learned = Learned::default();
        let mut took = Duration::ZERO;
        loop {
            let began = Instant::now();
            let now = self.clock.now();
            // SECURITY: each time anew. The client sets the pace of its body, and must not hold on
            // to an assignment by sending slowly.
            let in_force = self.assignments.fresh(now)?;
            let entitlements = self.entitlements(&in_force, claims, asked.selected.vault)?;
            if let Some(groups) = entitlements.group_count() {
                trail.record.groups(groups);
            }
            let facts = self.facts(asked, &learned, now)?;
            let resource = entitlements.resource(&operation);
            let decision = rbac::decide(operation, &entitlements, &facts);
            let this_time = began.elapsed();
            self.metrics.decision_took(this_time);
            took += this_time;
            trail.record.authz_took(took);
            match decision {
                Decision::Allow(permit) => {
                    let policy = facts::allowed_by(&permit, &in_force, now);
                    trail.record.policy(policy);
                    return Ok(permit);
                }
                Decision::Deny(denial) => {
                    let policy = facts::denied_by(&denial, &in_force, now);
                    trail.record.policy(policy);
                    return Err(self.denied(&denial, asked, &resource)?);
                }
                Decision::Undecided(undecided) => {
                    // On the heap, since few requests come here and all would carry its room.
                    let learning = self.learn(undecided, asked, body, &mut learned, trail);
                    operation = Box::pin(learning).await?;
                }
            }
        }
    }

    fn entitlements(
        &self,
        in_force: &InForce,
        claims: &Claims,
        vault: usize,
    ) -> Result<Arc<Entitlements>, Rejection> {
        let Gathered {
            entitlements,
            known,
        } = in_force.entitlements(claims, vault)?;
        let result = if known {
            CacheResult::Hit
        } else {
            CacheResult::Miss
        };
        self.metrics.cache(Cache::Entitlements, result);
        Ok(entitlements)
    }

    fn facts<'a>(
        &'a self,
        asked: &'a Asked<'_>,
        learned: &'a Learned,
        now: SystemTime,
    ) -> Result<Facts<'a>, Rejection> {
        Ok(Facts {
            now,
            local_time: self.zone.local_time(now),
            vault: &self.vault(asked.selected.vault)?.facts,
            route: asked.selected.public.host(),
            claims: asked.caller.claims(),
            connection: &asked.peer.connection,
            surroundings: &self.surroundings,
            body: learned.body.stage(),
            metadata: learned.metadata.stage(),
        })
    }

    fn denied(
        &self,
        denial: &Denial,
        asked: &Asked<'_>,
        resource: &Scope,
    ) -> Result<Rejection, Rejection> {
        let vault = &self.vault(asked.selected.vault)?.config;
        let line = VaultLine {
            name: vault.name.as_str(),
            location: vault.location.as_deref(),
        };
        let claims = asked.caller.claims();
        Ok(Rejection::forbidden(denial, claims, resource, &line))
    }

    /// Fetches the first thing that is needed and was not fetched yet, and gives the operation back,
    /// to be decided on again.
    async fn learn(
        &self,
        undecided: Undecided,
        asked: &Asked<'_>,
        body: &mut RequestBody,
        learned: &mut Learned,
        trail: &mut Trail,
    ) -> Result<Operation, Rejection> {
        let needs_body = undecided.needs().contains(Needs::BODY);
        if needs_body && learned.body.is_yet_to_come() {
            let found = self.read_body(undecided.operation(), asked, body, trail);
            learned.body = found.await?.map(Arc::new).into();
            // The client set the pace; what the vault said before may be old by now.
            learned.metadata = Fetched::NotYet;
            return Ok(undecided.into_operation());
        }
        if learned.lacks_metadata(undecided.needs())
            && let Some(inspection) = undecided.inspection()
        {
            let writes = undecided.operation().kind().is_write();
            let found = self.inspect(&inspection, writes, asked, trail).await?;
            // SECURITY: where nothing was found nothing must be reached, an object that has come
            // into being since for instance. The vault then answers 404, as it would have.
            let version = found.as_ref().map_or_else(
                || Some(ObjectVersion::of_nothing()),
                |found| found.version.clone(),
            );
            learned.metadata = found.into();
            let operation = undecided.into_operation();
            return Ok(match version {
                Some(version) => operation.pinned(version),
                None => operation,
            });
        }
        // SECURITY: a decision that does not come to an end is no decision.
        Err(Rejection::because(
            Reason::InternalError,
            "The decision depends on what cannot be fetched.",
        ))
    }

    async fn read_body(
        &self,
        operation: &Operation,
        asked: &Asked<'_>,
        body: &mut RequestBody,
        trail: &mut Trail,
    ) -> Result<Option<Properties>, Rejection> {
        let deadline = trail.arrived + self.total_timeout;
        let outcome = body::inspect(asked.headers, body, deadline).await;
        let result = match &outcome {
            Ok(Some(_)) => InspectionResult::Ok,
            Ok(None) => InspectionResult::Absent,
            Err(BodyDefect::Read(RequestBodyError::TimedOut)) => InspectionResult::Timeout,
            Err(BodyDefect::Read(RequestBodyError::TooLarge)) => InspectionResult::TooLarge,
            Err(_) => InspectionResult::Bad,
        };
        self.metrics
            .vault(Some(asked.selected.vault))
            .body_inspected(result);
        let Some(Document { json, bytes }) = outcome? else {
            return Ok(None);
        };
        // What was decided on is what is sent.
        *body = RequestBody::from(bytes);
        Ok(Some(properties::of_body(operation, &json)))
    }

    async fn inspect(
        &self,
        inspection: &Inspection,
        writes: bool,
        asked: &Asked<'_>,
        trail: &mut Trail,
    ) -> Result<Option<Arc<Metadata>>, Rejection> {
        let vault = asked.selected.vault;
        let asker = Asker {
            caller: asked.caller.claims().object_id,
            token: asked.token,
            vault,
            upstream: &self.vault(vault)?.upstream,
            deadline: trail.arrived + self.total_timeout,
        };
        let outcome = self.inspector.look_up(inspection, &asker, writes).await;
        outcome.map_err(|error| {
            let defect = error.defect.as_label();
            tracing::warn!(defect, "a request could not be decided");
            trail.record.sub_reason(defect);
            Rejection::from(&error)
        })
    }
}
