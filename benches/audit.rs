//! What it costs to write a request down: one decision line and one result line into a file.
//!
//! `cargo bench --bench audit`
//!
//! Beside it the same bytes by a plain write: what is above that is spent on rendering, numbering
//! and handing over. The file grows in the directory for temporary files.

use std::fs::{self, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use criterion::{Criterion, Throughput};
use portcullis::audit::{AuditLog, ClientFacts, PolicyFacts, UpstreamAnswer};
use portcullis::authn::{Authenticator, NoEvents};
use portcullis::clock::{Clock, SystemClock};
use portcullis::config::{AuditSink, Issuer, KeySource};
use portcullis::dev::issuer::{self, IssuerHandle, IssuerSettings, VAULT_RESOURCE};
use portcullis::dev::people::{self, GroupsClaim, SECRETS_USER};
use portcullis::dev::pki::Pki;
use portcullis::keyvault::{Operation, route};
use portcullis::principal::{Caller, Guid};
use portcullis::rbac::{AssignmentId, Scope};
use portcullis::reason::{Reason, Verdict};
use portcullis::traceparent::TraceParent;
use tokio::runtime::Runtime;

type Failure = Box<dyn std::error::Error>;

const DAY: Duration = Duration::from_secs(86_400);
const VAULT: &str = "/subscriptions/6f0c2f5e-58a9-4c8e-9c57-2f5a3e6b7d10/resourceGroups/rg-payments\
    /providers/Microsoft.KeyVault/vaults/kv-payments";
const SECRET: &str = "/secrets/payments-api-key/1d89273b3c364e018f939c2f0d151622";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const BY: AssignmentId = AssignmentId(Guid::from_u128(0xa1b2_c3d4_0000_4000_8000_0000_0000_000a));

/// What the records are about.
struct Subject {
    now: SystemTime,
    client: ClientFacts,
    policy: PolicyFacts,
    caller: Arc<Caller>,
    scope: Scope,
    operation: Operation,
    trace: TraceParent,
    answer: UpstreamAnswer,
}

/// Only a token makes a caller, and only an issuer makes a token.
async fn caller(directory: &Path, clock: Arc<dyn Clock>) -> Result<Arc<Caller>, Failure> {
    let pki = Pki::new(clock.now())?;
    let ca = directory.join("ca.pem");
    pki.write_ca(&ca)?;
    let issuer = issuer::start(IssuerSettings {
        port: 0,
        host: "localhost".into(),
        tenant: people::TENANT,
        issuer: format!("https://sts.windows.net/{}/", people::TENANT).into(),
        applications: people::applications(GroupsClaim::LeftOut),
        token_lifetime: DAY,
        tls: pki.leaf(&[])?.server_config()?,
        clock: Arc::clone(&clock),
    })
    .await?;
    let trusted = Issuer {
        ca_file: Some(ca),
        ..trust(&issuer)
    };
    let authenticator = Authenticator::new(&[trusted], clock, Arc::new(NoEvents))?;
    let refresh = authenticator.spawn_refresh();
    authenticator.wait_until_keys_ready().await;
    let token = issuer.token(SECRETS_USER.object_id)?;
    let caller = authenticator.authenticate("dev", &token).await;
    drop(refresh);
    issuer.stop().await;
    caller.map_err(|error| error.message.to_string().into())
}

fn trust(issuer: &IssuerHandle) -> Issuer {
    Issuer {
        name: "dev".into(),
        tenant_id: people::TENANT,
        issuers: vec![issuer.issuer().into()],
        audiences: vec![VAULT_RESOURCE.into()],
        challenge_authority: issuer.tenant_url().into(),
        challenge_resource: VAULT_RESOURCE.into(),
        keys: KeySource::Discovery(issuer.discovery_url().into()),
        ca_file: None,
        clock_skew: Duration::from_secs(5),
        refresh_interval: DAY,
        unknown_kid_cooldown: DAY,
        max_staleness: DAY,
    }
}

impl Subject {
    fn new(caller: Arc<Caller>, now: SystemTime) -> Result<Self, Failure> {
        let query = Some("api-version=7.4");
        Ok(Self {
            now,
            client: ClientFacts {
                listener: "main".into(),
                ip: Some([10, 0, 3, 7].into()),
                via: None,
                process: None,
                tls: "1.3",
                sni: Some("kv-payments.vault.azure.net".into()),
                certificate: None,
                user_agent: Some("azsdk-net-Security.KeyVault.Secrets/4.7.0 (.NET 8.0.11)".into()),
                request_id: Some("8d5b7c31-7d0c-4f5e-a9a0-6f0f5c1b2a3d".into()),
            },
            policy: PolicyFacts {
                snapshot: "sha256:1c436f0c2f5e".into(),
                snapshot_at: now,
                stale: Duration::from_secs(41),
                assignment: Some(BY),
                role: Some("Key Vault Secrets User".into()),
                deny_assignment: None,
                pinned_version: None,
                nearest: None,
            },
            caller,
            scope: VAULT.parse()?,
            operation: route::parse(&http::Method::GET, SECRET, query, &[])?,
            trace: TRACE.parse()?,
            answer: UpstreamAnswer {
                status: 200,
                kv_error: None,
                request_id: Some("1fc62575-aaaa-4bbb-8ccc-000000000001".into()),
                assignment: None,
                took: Duration::from_micros(850),
            },
        })
    }

    /// Writes down a request that is forwarded and answered, or one that is refused.
    async fn record(&self, log: &AuditLog, verdict: Verdict) -> Result<(), Failure> {
        let mut guard = log.begin(self.now, self.client.clone());
        guard.method(&http::Method::GET);
        guard.trace(self.trace);
        guard.vault("kv-payments", &self.scope);
        guard.authn_took(Duration::from_micros(1));
        guard.caller(&self.caller);
        guard.operation(&self.operation);
        guard.policy(self.policy.clone());
        guard.authz_took(Duration::from_micros(1));
        black_box(guard.decision_id());
        if verdict != Verdict::Allow {
            let decided = guard.decide(verdict, Reason::ActionNotGranted, Some(403));
            drop(decided.await?);
            return Ok(());
        }
        let mut result = guard.decide(verdict, Reason::OkAssignment, None).await?;
        result.sent();
        result.answered(self.answer.clone());
        result.finish(Some(200), None);
        Ok(())
    }
}

/// A log into a new file.
fn open(path: &Path) -> Result<AuditLog, Failure> {
    let sink = AuditSink::File {
        path: path.to_owned(),
        max_bytes: u64::MAX,
        keep: 0,
    };
    Ok(AuditLog::open(&sink, |event| {
        black_box(event);
    })?)
}

fn bench(criterion: &mut Criterion, runtime: &Runtime) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let caller = runtime.block_on(caller(directory.path(), Arc::clone(&clock)))?;
    let subject = Subject::new(caller, clock.now())?;

    let path = directory.path().join("lines");
    let log = open(&path)?;
    runtime.block_on(subject.record(&log, Verdict::Allow))?;
    runtime.block_on(log.flush())?;
    let lines = fs::read(&path)?;

    let mut group = criterion.benchmark_group("audit");
    group.throughput(Throughput::Bytes(lines.len() as u64));
    group.bench_function("the same bytes by a plain write", |b| {
        let path = directory.path().join("plain");
        let file = OpenOptions::new().create(true).append(true).open(path);
        b.iter(|| file.as_ref().map(|mut file| file.write_all(&lines)));
    });
    for (name, verdict) in [("forwarded", Verdict::Allow), ("refused", Verdict::Deny)] {
        let path = directory.path().join(name);
        let log = open(&path)?;
        group.bench_function(name, |b| {
            b.iter(|| runtime.block_on(subject.record(&log, verdict)));
        });
        runtime.block_on(log.flush())?;
        fs::remove_file(&path)?;
    }
    group.finish();
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    bench(&mut criterion, &runtime)?;
    criterion.final_summary();
    Ok(())
}
