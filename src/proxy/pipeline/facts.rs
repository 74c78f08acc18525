//! What the decision record is told, from what the steps of the pipeline know.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, USER_AGENT};

use crate::assignments::store::InForce;
use crate::audit::{ClientFacts, ClientProcess, KvError, NearestMiss, PolicyFacts, UpstreamAnswer};
use crate::proxy::listen::Peer;
use crate::proxy::upstream::ForwardedResponse;
use crate::rbac::{Denial, Permit};

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");

/// Where a request came from.
pub(super) fn client(peer: &Peer, headers: &HeaderMap) -> ClientFacts {
    let connection = &peer.connection;
    ClientFacts {
        listener: Arc::clone(&connection.listener),
        ip: connection.address,
        via: peer.via,
        process: peer.credentials.map(|process| ClientProcess {
            uid: process.uid,
            gid: process.gid,
            pid: process.pid,
        }),
        // Records had the bare number before conditions asked.
        tls: connection.protocol.trim_start_matches("TLSv"),
        sni: peer.sni.clone(),
        certificate: connection
            .certificate
            .as_ref()
            .map(|c| c.thumbprint.clone()),
        user_agent: text(headers, &USER_AGENT),
        request_id: text(headers, &CLIENT_REQUEST_ID),
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<Box<str>> {
    headers.get(name)?.to_str().ok().map(Into::into)
}

fn policy(in_force: &InForce, now: SystemTime) -> PolicyFacts {
    PolicyFacts {
        snapshot: Arc::clone(&in_force.name),
        snapshot_at: in_force.confirmed_at,
        stale: now
            .duration_since(in_force.confirmed_at)
            .unwrap_or_default(),
        assignment: None,
        role: None,
        deny_assignment: None,
        pinned_version: None,
        nearest: None,
    }
}

/// On what an allow rests.
pub(super) fn allowed_by(permit: &Permit, in_force: &InForce, now: SystemTime) -> PolicyFacts {
    let by = permit.granted_by().first();
    PolicyFacts {
        assignment: by.map(|by| by.assignment),
        role: by.map(|by| Arc::clone(&by.role_name)),
        pinned_version: permit.operation().pinned_version().cloned(),
        ..policy(in_force, now)
    }
}

/// On what a denial rests.
pub(super) fn denied_by(denial: &Denial, in_force: &InForce, now: SystemTime) -> PolicyFacts {
    PolicyFacts {
        deny_assignment: denial.deny_assignment,
        nearest: denial.nearest.as_ref().map(|nearest| NearestMiss {
            assignment: Some(nearest.assignment),
            role: nearest.role_name.clone(),
            failed: denial.reason,
            detail: Some(format!("at {}: {}", nearest.scope, nearest.miss).into()),
        }),
        ..policy(in_force, now)
    }
}

/// What the vault answered, `took` after the request was sent.
pub(super) fn upstream_answer(forwarded: &ForwardedResponse, took: Duration) -> UpstreamAnswer {
    let status = forwarded.response.status().as_u16();
    let assignment = forwarded.rbac_assignment_id.as_ref();
    UpstreamAnswer {
        status,
        kv_error: KvError::classify(status, forwarded.error_code.as_deref()),
        request_id: text(forwarded.response.headers(), &REQUEST_ID),
        assignment: assignment.and_then(|id| id.to_str().ok()?.parse().ok()),
        took,
    }
}
