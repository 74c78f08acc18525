//! What the vault says about an object: asked for when a decision depends on it, and remembered for
//! seconds.
//!
//! SECURITY: what is remembered was told to one caller and is used for that caller alone, so nobody
//! learns by our decisions what the vault would not have told. A failure is never remembered, nor
//! that an object is not there. Requests that write ask anew, and whatever they may have changed is
//! forgotten before they are sent and again when they are answered.

mod error;
mod fetch;
mod versions;
mod writes;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moka::sync::Cache;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::upstream::Upstream;
use crate::attributes::Metadata;
use crate::clock::Clock;
use crate::config::MetadataQuestions;
use crate::keyvault::{ApiVersion, ObjectType, ObjectVersion, Operation};
use crate::metrics::{self, CacheResult, MetadataResult, Metrics};
use crate::principal::ObjectId;
use crate::rbac::Inspection;
use crate::secret::BearerToken;

pub use error::{MetadataDefect, MetadataError};
use fetch::Fetch;
pub use writes::Passing;
use writes::Writes;

/// Asks vaults about objects.
pub struct Inspector {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    api_version: ApiVersion,
    timeout: Duration,
    remembered_for: Duration,
    answers: Cache<Key, Arc<Mutex<Option<Answer>>>>,
    writes: Writes,
}

impl fmt::Debug for Inspector {
    /// SECURITY: what is remembered is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").finish_non_exhaustive()
    }
}

/// On whose behalf a vault is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The caller.
    pub caller: ObjectId,
    /// The caller's token, with which the vault is asked.
    pub token: &'a BearerToken,
    /// The vault, by its place in the configuration.
    pub vault: usize,
    /// The way to it.
    pub upstream: &'a Upstream,
    /// When the caller's request is out of time.
    pub deadline: Instant,
}

/// Everything an answer depends on, and how many writes went before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    vault: usize,
    caller: ObjectId,
    object_type: ObjectType,
    is_deleted: bool,
    name: Box<str>,
    version: Option<ObjectVersion>,
    wants_current: bool,
    /// SECURITY: a question that is under way when a write passes ends up under a number that nobody
    /// asks for again.
    writes_before: u64,
}

#[derive(Clone)]
struct Remembered {
    metadata: Arc<Metadata>,
    /// Before the vault was asked.
    asked_at: SystemTime,
}

impl Remembered {
    /// One from the future means that the clock was set back.
    fn counts(&self, now: SystemTime, remembered_for: Duration) -> bool {
        now.duration_since(self.asked_at)
            .is_ok_and(|age| age < remembered_for)
    }
}

/// The answer to a question that several may wait for.
struct Answer {
    outcome: Result<Remembered, Nothing>,
    came: Instant,
}

/// Why there is nothing to be remembered.
#[derive(Clone, Copy)]
enum Nothing {
    Absent,
    Failed(MetadataError),
}

impl Inspector {
    /// Asks as `questions` says; `vaults` is how many there are.
    pub fn new(
        questions: MetadataQuestions,
        vaults: usize,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        // Whether an answer still counts is decided on the injected clock; moka's own only sweeps.
        let answers = Cache::builder()
            .max_capacity(questions.max_remembered)
            .time_to_live(questions.remembered_for)
            .build();
        Self {
            clock,
            metrics,
            api_version: questions.api_version,
            timeout: questions.timeout,
            remembered_for: questions.remembered_for,
            answers,
            writes: Writes::new(vaults),
        }
    }

    /// The metadata that `inspection` is about; `None` if there is no such object or version.
    ///
    /// Callers that ask the same at the same time share one question. `fresh` has the vault asked
    /// whatever is remembered. Cancelling the future ends the question, unless others wait for it.
    ///
    /// # Errors
    /// [`MetadataError`], which means that the request cannot be decided.
    pub async fn look_up(
        &self,
        inspection: &Inspection,
        asker: &Asker<'_>,
        fresh: bool,
    ) -> Result<Option<Arc<Metadata>>, MetadataError> {
        let ends = Instant::now() + self.timeout;
        let asking = async {
            if fresh || self.remembered_for.is_zero() {
                self.ask(inspection, asker, ends).await
            } else {
                self.recall(inspection, asker, ends).await
            }
        };
        let outcome = tokio::time::timeout_at(ends.min(asker.deadline), asking)
            .await
            .unwrap_or_else(|_late| Err(Nothing::Failed(MetadataDefect::Timeout.into())));
        match outcome {
            Ok(remembered) => Ok(Some(remembered.metadata)),
            Err(Nothing::Absent) => Ok(None),
            Err(Nothing::Failed(error)) => Err(error),
        }
    }

    /// To be called before a permitted operation is sent, and kept until it is answered. `None` for
    /// one that changes nothing.
    pub fn passing(&self, vault: usize, operation: &Operation) -> Option<Passing<'_>> {
        self.writes.passing(vault, operation)
    }

    async fn recall(
        &self,
        inspection: &Inspection,
        asker: &Asker<'_>,
        ends: Instant,
    ) -> Result<Remembered, Nothing> {
        let key = self.key(inspection, asker);
        let arrived = Instant::now();
        let slot = self.answers.get_with(key, Arc::default);
        // One asks, and the others wait here. If it goes away, the next in line asks.
        let mut slot = slot.lock().await;
        let mut result = CacheResult::Miss;
        if let Some(Answer { outcome, came }) = &*slot {
            let counts = match outcome {
                Ok(found) => found.counts(self.clock.now(), self.remembered_for),
                // Not remembered, but it is the answer to those who waited for it.
                Err(_) => arrived <= *came,
            };
            if counts {
                self.metrics
                    .cache(metrics::Cache::Metadata, CacheResult::Hit);
                return outcome.clone();
            }
            if outcome.is_ok() {
                result = CacheResult::Stale;
            }
        }
        let outcome = self.ask(inspection, asker, ends).await;
        *slot = Some(Answer {
            outcome: outcome.clone(),
            came: Instant::now(),
        });
        drop(slot);
        self.metrics.cache(metrics::Cache::Metadata, result);
        outcome
    }

    fn key(&self, inspection: &Inspection, asker: &Asker<'_>) -> Key {
        let name = inspection.name().folded();
        Key {
            vault: asker.vault,
            caller: asker.caller,
            object_type: inspection.object_type(),
            is_deleted: inspection.is_deleted(),
            name: name.into(),
            version: inspection.version().cloned(),
            wants_current: inspection.wants_current(),
            writes_before: self.writes.so_far(asker.vault, name),
        }
    }

    async fn ask(
        &self,
        inspection: &Inspection,
        asker: &Asker<'_>,
        deadline: Instant,
    ) -> Result<Remembered, Nothing> {
        let asked_at = self.clock.now();
        let began = Instant::now();
        let fetch = Fetch {
            inspection,
            api_version: &self.api_version,
            upstream: asker.upstream,
            token: asker.token,
            deadline,
        };
        let outcome = fetch.metadata().await;
        let result = match &outcome {
            Ok(Some(_)) => MetadataResult::Ok,
            Ok(None) => MetadataResult::NotFound,
            Err(error) => error.defect.result(),
        };
        self.metrics
            .vault(Some(asker.vault))
            .metadata_fetched(result, began.elapsed());
        match outcome {
            Ok(Some(metadata)) => Ok(Remembered {
                metadata: Arc::new(metadata),
                asked_at,
            }),
            Ok(None) => Err(Nothing::Absent),
            Err(error) => Err(Nothing::Failed(error)),
        }
    }
}
