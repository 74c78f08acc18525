//! The metrics of one vault, resolved ahead, so that a request looks up nothing by name.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus::{Histogram, IntCounter};

use crate::audit::KvError;
use crate::keyvault::OperationKind;
use crate::reason::{Reason, Verdict};

use super::families::Families;
use super::label::{CodeClass, InspectionResult, MetadataResult, Mismatch};
use super::party::count;

/// The `operation` of a request that is none.
pub(super) const UNKNOWN_OPERATION: &str = "unknown";

/// How many operations there are, the unknown one included.
pub(super) const OPERATIONS: usize = OperationKind::ALL.len() + 1;

/// Counters of one vault.
///
/// A series comes into being when it is first counted, as most operations never are. From then on
/// it is reached without a look-up.
#[derive(Debug)]
pub struct VaultMetrics {
    name: Box<str>,
    challenges: IntCounter,
    upstream_duration: Histogram,
    mismatches: Vec<(Mismatch, IntCounter)>,
    metadata_duration: Histogram,
    metadata_fetches: Vec<(MetadataResult, IntCounter)>,
    body_inspections: Vec<(InspectionResult, IntCounter)>,
    decisions: Vec<[OnceLock<IntCounter>; Verdict::ALL.len()]>,
    requests: Vec<[OnceLock<IntCounter>; CodeClass::ALL.len()]>,
    /// Answers of the vault without an error of its own, which most are.
    plain_answers: [OnceLock<IntCounter>; CodeClass::ALL.len()],
}

/// A vault's counters together with the families they are members of.
#[derive(Clone, Copy, Debug)]
pub struct OfVault<'m> {
    pub(super) vault: &'m VaultMetrics,
    pub(super) families: &'m Families,
}

impl VaultMetrics {
    pub(super) fn new(name: &str, families: &Families) -> Self {
        let mismatch = |kind: &Mismatch| {
            let labels = [name, kind.as_label()];
            (*kind, families.mismatches.with_label_values(&labels))
        };
        let fetch = |result: &MetadataResult| {
            let labels = [name, result.as_label()];
            (
                *result,
                families.metadata_fetches.with_label_values(&labels),
            )
        };
        let inspection = |result: &InspectionResult| {
            let labels = [name, result.as_label()];
            (
                *result,
                families.body_inspections.with_label_values(&labels),
            )
        };
        Self {
            name: name.into(),
            metadata_duration: families.metadata_duration.with_label_values(&[name]),
            metadata_fetches: MetadataResult::ALL.iter().map(fetch).collect(),
            body_inspections: InspectionResult::ALL.iter().map(inspection).collect(),
            challenges: families.challenges.with_label_values(&[name]),
            upstream_duration: families.upstream_duration.with_label_values(&[name]),
            mismatches: Mismatch::ALL.iter().map(mismatch).collect(),
            decisions: (0..OPERATIONS).map(|_| Default::default()).collect(),
            requests: (0..OPERATIONS).map(|_| Default::default()).collect(),
            plain_answers: Default::default(),
        }
    }
}

impl OfVault<'_> {
    /// Counts a decision and, if it is a refusal, its reason. `operation` is `None` for a request
    /// that was refused before its operation was known, or that asks for none.
    pub fn decided(&self, operation: Option<OperationKind>, verdict: Verdict, reason: Reason) {
        let row = self.vault.decisions.get(index(operation));
        if let Some(cell) = row.and_then(|row| row.get(verdict as usize)) {
            cell.get_or_init(|| {
                self.families.decisions.with_label_values(&[
                    &*self.vault.name,
                    label(operation),
                    verdict.as_label(),
                    "enforce",
                ])
            })
            .inc();
        }
        match verdict {
            Verdict::Allow => {}
            Verdict::Challenge => self.vault.challenges.inc(),
            Verdict::Deny | Verdict::Error => self
                .families
                .denials
                .with_label_values(&[&*self.vault.name, label(operation), reason.as_label()])
                .inc(),
        }
    }

    /// Counts an answer to the client.
    pub fn answered(&self, operation: Option<OperationKind>, status: u16) {
        let class = CodeClass::of(status);
        let row = self.vault.requests.get(index(operation));
        if let Some(cell) = row.and_then(|row| row.get(class as usize)) {
            cell.get_or_init(|| {
                self.families.requests.with_label_values(&[
                    &*self.vault.name,
                    label(operation),
                    class.as_label(),
                ])
            })
            .inc();
        }
    }

    /// Counts a question about an object's metadata and what came of it.
    pub fn metadata_fetched(&self, result: MetadataResult, took: Duration) {
        self.vault.metadata_duration.observe(took.as_secs_f64());
        count(&self.vault.metadata_fetches, result);
    }

    /// Counts a body that was read to decide on.
    pub fn body_inspected(&self, result: InspectionResult) {
        count(&self.vault.body_inspections, result);
    }

    /// Counts an answer of the vault, and whether it contradicts our allow.
    pub fn upstream_answered(&self, status: u16, kv_error: Option<KvError>, took: Duration) {
        self.vault.upstream_duration.observe(took.as_secs_f64());
        let class = CodeClass::of(status);
        let counter = |error| {
            let labels = [&*self.vault.name, class.as_label(), error];
            self.families.upstream_responses.with_label_values(&labels)
        };
        match (kv_error, self.vault.plain_answers.get(class as usize)) {
            (None, Some(cell)) => cell.get_or_init(|| counter("none")).inc(),
            (error, _) => counter(error.map_or("none", KvError::as_label)).inc(),
        }
        let mismatch = kv_error.and_then(mismatch);
        for (kind, counter) in &self.vault.mismatches {
            if Some(*kind) == mismatch {
                counter.inc();
            }
        }
    }
}

const fn mismatch(error: KvError) -> Option<Mismatch> {
    match error {
        KvError::ForbiddenByRbac => Some(Mismatch::RbacForbidden),
        KvError::ForbiddenByFirewall => Some(Mismatch::FirewallForbidden),
        KvError::Unauthorized => Some(Mismatch::Unauthorized),
        KvError::Conflict
        | KvError::ForbiddenByPolicy
        | KvError::NotFound
        | KvError::Other
        | KvError::Throttled => None,
    }
}

/// The place of an operation in an array of [`OPERATIONS`].
pub(super) const fn index(operation: Option<OperationKind>) -> usize {
    match operation {
        Some(kind) => kind as usize,
        None => OPERATIONS - 1,
    }
}

pub(super) const fn label(operation: Option<OperationKind>) -> &'static str {
    match operation {
        Some(kind) => kind.as_label(),
        None => UNKNOWN_OPERATION,
    }
}
