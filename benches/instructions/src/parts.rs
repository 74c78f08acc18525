//! The parts of the hot path, one by one.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Method, Request};
use portcullis::attributes::{Facts, Metadata, Properties, Stage};
use portcullis::audit::{AuditLog, ClientFacts};
use portcullis::authn::{Authenticator, NoEvents};
use portcullis::clock::{Clock as _, SystemClock};
use portcullis::config::{AuditSink, Config};
use portcullis::dev::people;
use portcullis::keyvault::{Operation, route};
use portcullis::principal::{Guid, ObjectId, TokenGroups};
use portcullis::proxy::body::RequestBody;
use portcullis::proxy::headers;
use portcullis::rbac::{
    AssignmentId, AssignmentSet, ConditionText, Decision, Entitlements, Origin, Permission,
    Revision, RoleAssignment, RoleData, RoleDefinition, RoleDefinitionId, Scope, VaultScope,
    decide,
};
use portcullis::reason::{Reason, Verdict};
use portcullis::secret::BearerToken;
use tokio::runtime::Runtime;

use crate::facts::Blank;
use crate::site::{Failure, Site};
use crate::{Counted, counted_by_valgrind};

/// How often each is done; figures are per time.
const TIMES: usize = 100;

pub(crate) const SCENARIOS: [&str; 9] = [
    "decide/held",
    "decide/condition",
    "decide/denied",
    "decide/caller-never-seen",
    "route",
    "headers",
    "token/known",
    "token/never-seen",
    "record",
];

const VAULT: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv";
const CALLER: ObjectId = ObjectId(Guid::from_u128(2));
const ROLE: RoleDefinitionId = RoleDefinitionId(Guid::from_u128(1));

/// A guard, a pattern, a tag, the time and the way the client came.
const CONDITION: &str = "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'})) OR \
    (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringLike 'payments-*-prod' AND \
    @Resource[Microsoft.KeyVault/vaults/secrets/tags:Project<$key_case_sensitive$>] \
    ForAnyOfAnyValues:StringEquals {'Apollo', 'Baker', 'Cascade'} AND \
    @Environment[UtcNow] DateTimeLessThan '2099-01-01T00:00:00.0Z' AND \
    @Environment[isPrivateLink] BoolEquals false))";

/// Instructions for one time.
pub(crate) fn count(scenario: &str) -> Result<u64, Failure> {
    let directory = tempfile::tempdir()?;
    let results = directory.path().join("callgrind");
    let status = crate::under_valgrind(Counted::OneFunction, [scenario], &results)?.status()?;
    if !status.success() {
        return Err(format!("`{scenario}` failed: {status}").into());
    }
    Ok(crate::sum(&results)? / TIMES as u64)
}

/// Does what `scenario` names, [`TIMES`] times, in a process that valgrind watches.
pub(crate) fn run(scenario: &str) -> Result<(), Failure> {
    match scenario {
        "decide/held" => decisions(None, "payments-db-prod"),
        "decide/condition" => decisions(Some(CONDITION), "payments-db-prod"),
        "decide/denied" => decisions(Some(CONDITION), "other"),
        "decide/caller-never-seen" => callers(),
        "route" => routes(),
        "headers" => heads(),
        "token/known" => tokens(true),
        "token/never-seen" => tokens(false),
        "record" => records(),
        unknown => Err(format!("there is no scenario `{unknown}`").into()),
    }
}

/// Does `what` to each of `inputs`, counted. The first time is not: it fills caches, and is
/// looked at by `expected`.
fn each<I, O>(
    inputs: impl IntoIterator<Item = I>,
    mut what: impl FnMut(I) -> O,
    expected: impl Fn(&O) -> bool,
) -> Result<(), Failure> {
    let mut inputs = inputs.into_iter();
    let first = inputs.next().map(&mut what);
    if !first.as_ref().is_some_and(expected) {
        return Err("the scenario does not do what it should".into());
    }
    let rest: Vec<I> = inputs.collect();
    let mut rest = Some(rest);
    counted_by_valgrind(&mut || {
        for input in rest.take().into_iter().flatten() {
            black_box(what(black_box(input)));
        }
    });
    Ok(())
}

/// One more than [`TIMES`] of the same.
fn copies<T: Clone>(of: &T) -> Vec<T> {
    vec![of.clone(); TIMES + 1]
}

fn operation(name: &str) -> Result<Operation, Failure> {
    let path = format!("/secrets/{name}");
    Ok(route::parse(
        &Method::GET,
        &path,
        Some("api-version=7.4"),
        &[],
    )?)
}

/// A set in which the caller is Secrets User of the vault, under `condition`.
fn assignments(condition: Option<&str>) -> Result<AssignmentSet, Failure> {
    let scope: Scope = VAULT.parse()?;
    let action = |name: &str| format!("Microsoft.KeyVault/vaults/secrets/{name}/action").into();
    let role = RoleDefinition {
        id: ROLE,
        name: "Key Vault Secrets User".into(),
        permissions: vec![Permission {
            data_actions: vec![action("getSecret"), action("readMetadata")],
            ..Permission::default()
        }],
    };
    let condition = condition.map(|text| ConditionText {
        text: text.into(),
        version: Some("2.0".into()),
    });
    let data = RoleData {
        role_assignments: vec![RoleAssignment {
            id: AssignmentId(Guid::from_u128(3)),
            scope: scope.clone(),
            principal: CALLER,
            role_definition: ROLE,
            condition,
            principal_deleted: false,
            origin: Origin::Azure,
        }],
        role_definitions: [(ROLE, role)].into(),
        ..RoleData::default()
    };
    let vault = VaultScope {
        scope,
        management_groups: None,
    };
    Ok(AssignmentSet::compile(
        &data,
        &[vault],
        Revision::of([0; 32]),
    ))
}

fn entitlements(set: &AssignmentSet) -> Option<Entitlements> {
    let principals = set.principals(CALLER, &TokenGroups::Absent);
    set.entitlements(&principals, 0)
}

/// Decisions for a caller whose entitlements are known. Whoever asks for `other` is denied.
fn decisions(condition: Option<&str>, name: &str) -> Result<(), Failure> {
    let entitlements = entitlements(&assignments(condition)?).ok_or("the vault is missing")?;
    let tags = [("Project".into(), "Cascade".into())];
    let metadata = Arc::new(Metadata {
        properties: Properties {
            tags: tags.into(),
            ..Properties::default()
        },
        version: None,
        is_current: None,
    });
    let blank = Blank::new();
    let facts = Facts {
        metadata: Stage::Read(&*metadata),
        ..blank.facts(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
    };
    each(
        copies(&operation(name)?),
        |operation| decide(operation, &entitlements, &facts),
        |decision| match decision {
            Decision::Allow(_) => name != "other",
            Decision::Deny(_) => name == "other",
            Decision::Undecided(_) => false,
        },
    )
}

/// What a caller has, gathered.
fn callers() -> Result<(), Failure> {
    let set = assignments(None)?;
    each(copies(&()), |()| entitlements(&set), Option::is_some)
}

/// From the request line to an operation, and back.
fn routes() -> Result<(), Failure> {
    let path = "/secrets/app-db-password/4387e9f3d6e14c459867679a90fd0f79";
    each(
        copies(&()),
        |()| {
            let parsed = route::parse(&Method::GET, path, Some("api-version=7.4"), &[]);
            parsed.map(|operation| operation.path_and_query())
        },
        Result::is_ok,
    )
}

/// The headers of a request looked at, and those of an answer filtered.
fn heads() -> Result<(), Failure> {
    let (request, ()) = Request::get("/secrets/app-db-password?api-version=7.4")
        .header("host", "kv-payments-prod.vault.azure.net")
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, deflate")
        .header("connection", "keep-alive")
        .header("user-agent", "azsdk-python-keyvault-secrets/4.10.0")
        .header(
            "x-ms-client-request-id",
            "3f0c9f9e-6b7a-11f0-9d2b-0242ac120002",
        )
        .header("authorization", "Bearer x")
        .body(())?
        .into_parts();
    let mut answer = HeaderMap::new();
    for (name, value) in [
        ("cache-control", "no-cache"),
        ("content-length", "241"),
        ("content-type", "application/json; charset=utf-8"),
        ("date", "Tue, 01 Sep 2026 08:00:00 GMT"),
        ("x-ms-keyvault-region", "westeurope"),
        ("x-ms-request-id", "5f1d7a1e-0c3b-4d1e-9a57-6c0d9c7e2b11"),
        ("strict-transport-security", "max-age=31536000"),
    ] {
        answer.insert(name, HeaderValue::from_static(value));
    }
    let body = RequestBody::empty();
    each(
        copies(&answer),
        |answer| {
            (
                headers::inspect(&request, &body),
                headers::to_client(answer),
            )
        },
        |(request, answer)| request.is_ok() && answer.is_ok(),
    )
}

/// A token judged: again and again the same, which is known from the first time on, or each time
/// one that was never seen.
fn tokens(same: bool) -> Result<(), Failure> {
    let runtime = Runtime::new()?;
    let (site, authenticator) = runtime.block_on(async {
        let site = Site::start().await?;
        let config = Config::load(&site.write_configuration()?, [])?;
        let clock = Arc::new(SystemClock);
        let authenticator = Authenticator::new(&config.issuers, clock, Arc::new(NoEvents))?;
        let _refresh = authenticator.spawn_refresh();
        authenticator.wait_until_keys_ready().await;
        Ok::<_, Failure>((site, authenticator))
    })?;
    // The figures hold nothing but the token's own work: no thread of the runtime is left.
    drop(runtime);
    let known = site.token(people::APP_READER)?;
    let mut tokens = Vec::with_capacity(TIMES + 1);
    for _ in 0..=TIMES {
        tokens.push(match same {
            true => known.clone(),
            false => site.token(people::APP_READER)?,
        });
    }
    each(
        &tokens,
        |token: &BearerToken| authenticator.authenticate("contoso", token).now_or_never(),
        |outcome| matches!(outcome, Some(Ok(_))),
    )
}

/// A decision record: begun, filled, rendered and handed over. Writing it is another thread's.
fn records() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let sink = AuditSink::File {
        path: directory.path().join("decisions.jsonl"),
        max_bytes: 1 << 30,
        keep: 1,
    };
    let log = AuditLog::open(&sink, |_| {})?;
    let runtime = Runtime::new()?;
    let _entered = runtime.enter();
    let client = ClientFacts {
        listener: "main".into(),
        ip: Some(Ipv4Addr::LOCALHOST.into()),
        via: None,
        process: None,
        tls: "1.3",
        sni: Some("kv-payments-prod.vault.azure.net".into()),
        certificate: None,
        user_agent: Some("azsdk-python-keyvault-secrets/4.10.0".into()),
        request_id: Some("3f0c9f9e-6b7a-11f0-9d2b-0242ac120002".into()),
    };
    let (now, operation) = (SystemClock.now(), operation("app-db-password")?);
    let scope: Scope = VAULT.parse()?;
    each(
        copies(&client),
        |client| {
            let mut record = log.begin(now, client);
            record.method(&Method::GET);
            record.vault("kv", &scope);
            record.operation(&operation);
            record.authn_took(Duration::from_micros(30));
            // The receipt is not waited for; it may be there all the same.
            let decided = record.decide(Verdict::Deny, Reason::NoAssignment, Some(403));
            decided.now_or_never().is_none_or(|outcome| outcome.is_ok())
        },
        |is_taken| *is_taken,
    )
}
