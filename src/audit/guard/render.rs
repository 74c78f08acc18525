//! From what is known of a request to its lines: the two kinds, in the order of the schema,
//! version 1. `v` and `seq` are put in front by the writer, which alone knows the order.
//!
//! The limits of the texts are chosen so that the longest possible record stays below the limit of
//! a line; a test builds that record.

use crate::keyvault::ObjectVersion;
use crate::principal::Caller;
use crate::rbac::AssignmentId;
use crate::reason::{Reason, Verdict};
use crate::traceparent::TraceParent;

use super::super::log::AuditLog;
use super::super::record::{Moment, micros};
use super::super::text::Object;
use super::{ClientFacts, Ending, Facts, NearestMiss, PolicyFacts, ResultGuard, UpstreamAnswer};

/// Bytes of a typical decision line.
const DECISION_BYTES: usize = 1536;
/// Bytes of a typical result line.
const RESULT_BYTES: usize = 512;
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
        let took = self.clock.elapsed();
        let mut line = Object::new(DECISION_BYTES);
        line.label("type", "decision");
        line.shown("ts", Moment(self.after(took)));
        line.text("inst", Some(log.instance()));
        line.uuid("decision_id", Some(self.id.0));
        line.label("mode", "enforce");
        line.label("decision", verdict.as_label());
        line.label("reason", reason.as_label());
        line.label("sub_reason", self.sub_reason);
        line.number("status", status.map(u64::from));
        self.put_operation(&mut line);
        line.object("caller", self.caller.as_deref(), |line, caller| {
            put_caller(line, log, caller, self.groups());
        });
        line.object("client", Some(&self.client), put_client);
        line.object("policy", self.policy.as_ref(), put_policy);
        line.object("dur_us", Some(()), |line, ()| {
            line.number("authn", self.authn.map(micros));
            line.number("authz", self.authz.map(micros));
            line.number("total", micros(took));
        });
        line.object("trace", self.trace, put_trace);
        line.finish()
    }

    fn put_operation(&self, line: &mut Object) {
        let operation = self.operation.as_ref();
        let actions = operation.map_or(&[][..], |o| o.kind.row().data_actions);
        let resource_id = self.vault.as_ref().map(|(_, scope)| scope.as_str());
        line.label("op", operation.map(|o| o.kind.as_label()));
        // Every one of these had to be allowed.
        line.labels("data_actions", actions.iter().map(|a| a.as_str()));
        line.text("api_version", operation.map(|o| &*o.api_version));
        line.label("method", self.method);
        line.text("vault", self.vault.as_ref().map(|(name, _)| &**name));
        line.cut(("", "resource_id"), resource_id, RESOURCE_ID_BYTES);
        let object_type = operation.and_then(|o| Some(o.object_type?.as_label()));
        line.label("object_type", object_type);
        line.text("object", operation.and_then(|o| o.name.as_deref()));
        let version = operation.and_then(|o| o.version.as_deref());
        line.text("object_version", version);
    }
}

fn put_caller(line: &mut Object, log: &AuditLog, caller: &Caller, groups: Option<usize>) {
    const CALLER: &str = "caller";
    let claims = caller.claims();
    line.uuid("oid", Some(claims.object_id.0.as_uuid()));
    line.cut((CALLER, "appid"), claims.app_id.as_deref(), NAME_BYTES);
    line.uuid("tid", Some(claims.tenant_id.0.as_uuid()));
    line.label("idtyp", claims.kind.as_label());
    line.cut((CALLER, "issuer"), Some(&claims.issuer_name), NAME_BYTES);
    match claims.token_id.as_deref() {
        Some(id) => {
            let name = caller.alias(|| log.token_name(id));
            line.hex("token_id", "hmac:", &name);
        }
        None => line.label("token_id", None),
    }
    line.label("via", "bearer");
    line.number("groups_n", groups.map(|count| count as u64));
}

fn put_client(line: &mut Object, client: &ClientFacts) {
    const CLIENT: &str = "client";
    let request_id = client.request_id.as_deref();
    line.cut((CLIENT, "listener"), Some(&client.listener), NAME_BYTES);
    match client.ip {
        Some(ip) => line.shown("ip", ip),
        None => line.label("ip", None),
    }
    if let Some(via) = client.via {
        line.shown("via", via);
    }
    if let Some(process) = client.process {
        line.number("peer_uid", u64::from(process.uid));
        line.number("peer_gid", u64::from(process.gid));
        line.number("peer_pid", process.pid.and_then(|pid| pid.try_into().ok()));
    }
    line.label("tls", client.tls);
    line.cut((CLIENT, "sni"), client.sni.as_deref(), FOREIGN_TEXT_BYTES);
    line.text("cert_sha256", client.certificate.as_deref());
    let user_agent = client.user_agent.as_deref();
    line.cut((CLIENT, "ua"), user_agent, FOREIGN_TEXT_BYTES);
    line.cut((CLIENT, "request_id"), request_id, FOREIGN_TEXT_BYTES);
}

fn put_policy(line: &mut Object, policy: &PolicyFacts) {
    const POLICY: &str = "policy";
    line.cut((POLICY, "snapshot"), Some(&policy.snapshot), NAME_BYTES);
    line.shown("snapshot_ts", Moment(policy.snapshot_at));
    line.number("stale_s", policy.stale.as_secs());
    put_assignment(line, "assignment", policy.assignment);
    line.cut((POLICY, "role"), policy.role.as_deref(), NAME_BYTES);
    put_assignment(line, "deny_assignment", policy.deny_assignment);
    if let Some(version) = &policy.pinned_version {
        line.text("pinned_version", Some(ObjectVersion::as_str(version)));
    }
    line.object("nearest", policy.nearest.as_ref(), put_nearest);
}

fn put_nearest(line: &mut Object, nearest: &NearestMiss) {
    const NEAREST: &str = "policy.nearest";
    put_assignment(line, "assignment", nearest.assignment);
    line.cut((NEAREST, "role"), nearest.role.as_deref(), NAME_BYTES);
    line.label("failed", nearest.failed.as_label());
    line.cut((NEAREST, "detail"), nearest.detail.as_deref(), DETAIL_BYTES);
}

fn put_assignment(line: &mut Object, key: &'static str, id: Option<AssignmentId>) {
    line.uuid(key, id.map(|id| id.0.as_uuid()));
}

fn put_trace(line: &mut Object, trace: TraceParent) {
    line.text("trace_id", Some(&trace.trace_id()));
    line.text("span_id", Some(&trace.span_id()));
}

impl ResultGuard {
    /// The result line, without what the writer adds.
    pub(super) fn result_line(
        &self,
        status: Option<u16>,
        reason: Option<Reason>,
        ending: Ending,
    ) -> Vec<u8> {
        let took = self.facts.clock.elapsed();
        let answer = self.answer.as_ref();
        let mut line = Object::new(RESULT_BYTES);
        line.label("type", "result");
        line.shown("ts", Moment(self.facts.after(took)));
        line.text("inst", Some(self.log.instance()));
        line.uuid("decision_id", Some(self.facts.id.0));
        line.number("status", status.map(u64::from));
        line.label("reason", reason.map(Reason::as_label));
        line.boolean("aborted", ending == Ending::Aborted);
        line.object("upstream", Some(answer), |line, answer| {
            line.boolean("sent", self.sent);
            put_answer(line, answer);
        });
        line.object("dur_us", Some(answer), |line, answer| {
            line.number("upstream", answer.map(|answer| micros(answer.took)));
            line.number("total", micros(took));
        });
        line.finish()
    }
}

fn put_answer(line: &mut Object, answer: Option<&UpstreamAnswer>) {
    let request_id = answer.and_then(|answer| answer.request_id.as_deref());
    let error = answer.and_then(|answer| Some(answer.kv_error?.as_label()));
    line.number("status", answer.map(|answer| u64::from(answer.status)));
    line.label("kv_error", error);
    line.cut(("upstream", "request_id"), request_id, FOREIGN_TEXT_BYTES);
    put_assignment(line, "assignment", answer.and_then(|a| a.assignment));
}
