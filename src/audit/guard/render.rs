//! From what is known of a request to its lines.
//!
//! The limits of the texts are chosen so that the longest possible record stays below the limit of
//! a line; a test builds that record.

use crate::keyvault::ObjectVersion;
use crate::reason::{Reason, Verdict};

use super::super::log::AuditLog;
use super::super::record::{
    CallerFields, ClientFields, DecisionDurations, DecisionRecord, Moment, NearestFields,
    PolicyFields, ResultDurations, ResultRecord, TraceFields, UpstreamFields, micros, to_json,
};
use super::super::text::{Cutter, Shown};
use super::{Ending, Facts, PolicyFacts, ResultGuard};

/// Bytes of a text that a client or the vault chose.
const FOREIGN_TEXT_BYTES: usize = 256;
/// Bytes of a name that somebody configured.
const NAME_BYTES: usize = 128;
/// Bytes of a resource id; Azure's longest for a vault has about 200.
const RESOURCE_ID_BYTES: usize = 512;
/// Bytes of the words on the nearest miss.
const DETAIL_BYTES: usize = 1024;

impl Facts {
    /// The decision line, without what the writer adds.
    pub(super) fn decision_line(
        &self,
        log: &AuditLog,
        verdict: Verdict,
        reason: Reason,
        status: Option<u16>,
    ) -> Vec<u8> {
        let mut cutter = Cutter::default();
        let operation = self.operation.as_ref();
        let actions = operation.map_or(&[][..], |o| o.kind.row().data_actions);
        let mut record = DecisionRecord {
            line_type: "decision",
            ts: Shown(Moment(self.now())),
            inst: log.instance(),
            decision_id: Shown(self.id),
            mode: "enforce",
            decision: verdict.as_label(),
            reason: reason.as_label(),
            sub_reason: self.sub_reason,
            status,
            op: operation.map(|o| o.kind.as_label()),
            data_actions: actions.iter().map(|action| action.as_str()).collect(),
            api_version: operation.map(|o| &*o.api_version),
            method: self.method,
            vault: self.vault.as_ref().map(|(name, _)| &**name),
            resource_id: self.vault.as_ref().map(|(_, resource_id)| {
                cutter.cut("resource_id", resource_id.as_str(), RESOURCE_ID_BYTES)
            }),
            object_type: operation.and_then(|o| Some(o.object_type?.as_label())),
            object: operation.and_then(|o| o.name.as_deref()),
            object_version: operation.and_then(|o| o.version.as_deref()),
            caller: self.caller_fields(log, &mut cutter),
            client: self.client_fields(&mut cutter),
            policy: self.policy.as_ref().map(|p| policy_fields(p, &mut cutter)),
            dur_us: DecisionDurations {
                authn: self.authn.map(micros),
                authz: self.authz.map(micros),
                total: self.total(),
            },
            trace: self.trace.map(|trace| TraceFields {
                trace_id: trace.trace_id(),
                span_id: trace.span_id(),
            }),
            truncated: Vec::new(),
        };
        record.truncated = cutter.into_names();
        to_json(&record)
    }

    fn caller_fields(&self, log: &AuditLog, cutter: &mut Cutter) -> Option<CallerFields<'_>> {
        let claims = self.caller.as_ref()?.claims();
        Some(CallerFields {
            oid: Shown(claims.object_id),
            appid: cutter.cut_some("caller.appid", claims.app_id.as_deref(), NAME_BYTES),
            tid: Shown(claims.tenant_id),
            idtyp: claims.kind.as_label(),
            issuer: cutter.cut("caller.issuer", &claims.issuer_name, NAME_BYTES),
            token_id: claims.token_id.as_deref().map(|id| log.token_name(id)),
            via: "bearer",
            groups_n: self.groups(),
        })
    }

    fn client_fields(&self, cutter: &mut Cutter) -> ClientFields<'_> {
        let client = &self.client;
        let (user_agent, request_id) = (client.user_agent.as_deref(), client.request_id.as_deref());
        ClientFields {
            ip: client.ip,
            tls: client.tls,
            sni: cutter.cut_some("client.sni", client.sni.as_deref(), FOREIGN_TEXT_BYTES),
            cert_sha256: client.certificate.as_deref(),
            ua: cutter.cut_some("client.ua", user_agent, FOREIGN_TEXT_BYTES),
            request_id: cutter.cut_some("client.request_id", request_id, FOREIGN_TEXT_BYTES),
            listener: cutter.cut("client.listener", &client.listener, NAME_BYTES),
        }
    }
}

fn policy_fields<'f>(policy: &'f PolicyFacts, cutter: &mut Cutter) -> PolicyFields<'f> {
    PolicyFields {
        snapshot: cutter.cut("policy.snapshot", &policy.snapshot, NAME_BYTES),
        snapshot_ts: Shown(Moment(policy.snapshot_at)),
        stale_s: policy.stale.as_secs(),
        assignment: policy.assignment.map(Shown),
        role: cutter.cut_some("policy.role", policy.role.as_deref(), NAME_BYTES),
        deny_assignment: policy.deny_assignment.map(Shown),
        pinned_version: policy.pinned_version.as_ref().map(ObjectVersion::as_str),
        nearest: policy.nearest.as_ref().map(|nearest| {
            let (role, detail) = (nearest.role.as_deref(), nearest.detail.as_deref());
            NearestFields {
                assignment: nearest.assignment.map(Shown),
                role: cutter.cut_some("policy.nearest.role", role, NAME_BYTES),
                failed: nearest.failed.as_label(),
                detail: cutter.cut_some("policy.nearest.detail", detail, DETAIL_BYTES),
            }
        }),
    }
}

impl ResultGuard {
    /// The result line, without what the writer adds.
    pub(super) fn result_line(
        &self,
        status: Option<u16>,
        reason: Option<Reason>,
        ending: Ending,
    ) -> Vec<u8> {
        let mut cutter = Cutter::default();
        let answer = self.answer.as_ref();
        let request_id = answer.and_then(|answer| answer.request_id.as_deref());
        let request_id = cutter.cut_some("upstream.request_id", request_id, FOREIGN_TEXT_BYTES);
        to_json(&ResultRecord {
            line_type: "result",
            ts: Shown(Moment(self.facts.now())),
            inst: self.log.instance(),
            decision_id: Shown(self.facts.id),
            status,
            reason: reason.map(Reason::as_label),
            aborted: ending == Ending::Aborted,
            upstream: UpstreamFields {
                sent: self.sent,
                status: answer.map(|answer| answer.status),
                kv_error: answer.and_then(|answer| Some(answer.kv_error?.as_label())),
                request_id,
                assignment: answer.and_then(|answer| Some(Shown(answer.assignment?))),
            },
            dur_us: ResultDurations {
                upstream: answer.map(|answer| micros(answer.took)),
                total: self.facts.total(),
            },
            truncated: cutter.into_names(),
        })
    }
}
