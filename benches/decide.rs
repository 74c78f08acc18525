//! What a decision costs.
//!
//! First with one assignment, by what its condition asks. Then in tenants of all sizes, with the
//! look-ups that the proxy makes for each request: the data in force, what the caller has, the
//! decision.
//!
//! | row | who asks for what |
//! |---|---|
//! | `known` | a caller seen before, under no condition; the same request again and again |
//! | `mix` | 1,000 requests in turn, all callers seen before, four of five allowed |
//! | `from_strings` | the same, from the request line and the text of the object id |
//! | `conditional` | a caller seen before, granted under a condition |
//! | `denied` | a caller seen before; the explanation included |
//! | `unseen` | a caller never seen, in 20 groups: gathered anew |
//!
//! `cargo bench --bench decide`; `PORTCULLIS_ASSIGNMENTS=100,4000` measures tenants of these sizes
//! only.

#[path = "support/exports.rs"]
mod exports;
#[path = "../tests/support/facts.rs"]
mod facts;
#[path = "support/sizes.rs"]
mod sizes;
#[path = "support/world.rs"]
mod world;

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion};
use portcullis::attributes::{Facts, Metadata, Properties, Stage};
use portcullis::keyvault::{Operation, route};
use portcullis::principal::{Guid, ObjectId, TokenGroups};
use portcullis::rbac::{
    AssignmentId, AssignmentSet, ConditionText, Decision, Entitlements, Origin, Permission,
    Revision, RoleAssignment, RoleData, RoleDefinition, RoleDefinitionId, Scope, VaultScope,
    decide,
};
use portcullis_tenants::{MAX_GROUPS, Request};

use facts::Blank;
use sizes::{Failure, sizes, tenant};
use world::{Case, World, now};

const VAULT: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv";
const CALLER: ObjectId = ObjectId(Guid::from_u128(2));
const ROLE: RoleDefinitionId = RoleDefinitionId(Guid::from_u128(1));

/// A guard and a test of the secret's name.
const NAME: &str = "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'})) OR \
    (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'payments-'))";

/// A guard, a pattern, a tag, the time and the way the client came.
const TAG: &str = "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'})) OR \
    (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringLike 'payments-*-prod' AND \
    @Resource[Microsoft.KeyVault/vaults/secrets/tags:Project<$key_case_sensitive$>] \
    ForAnyOfAnyValues:StringEquals {'Apollo', 'Baker', 'Cascade'} AND \
    @Environment[UtcNow] DateTimeLessThan '2099-01-01T00:00:00.0Z' AND \
    @Environment[isPrivateLink] BoolEquals false))";

/// What the caller has: Secrets User on the vault, under `condition`.
fn entitlements(condition: Option<&str>) -> Result<Entitlements, Failure> {
    let scope: Scope = VAULT.parse()?;
    let role = RoleDefinition {
        id: ROLE,
        name: "Key Vault Secrets User".into(),
        permissions: vec![Permission {
            data_actions: vec![
                "Microsoft.KeyVault/vaults/secrets/getSecret/action".into(),
                "Microsoft.KeyVault/vaults/secrets/readMetadata/action".into(),
            ],
            ..Permission::default()
        }],
    };
    let data = RoleData {
        role_assignments: vec![RoleAssignment {
            id: AssignmentId(Guid::from_u128(3)),
            scope: scope.clone(),
            principal: CALLER,
            role_definition: ROLE,
            condition: condition.map(|text| ConditionText {
                text: text.into(),
                version: Some("2.0".into()),
            }),
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
    let set = AssignmentSet::compile(&data, &[vault], Revision::of([0; 32]));
    let principals = set.principals(CALLER, &TokenGroups::Absent);
    let entitlements = set.entitlements(&principals, 0);
    entitlements.ok_or_else(|| "the first vault is missing".into())
}

fn operation(name: &str) -> Result<Operation, Failure> {
    let path = format!("/secrets/{name}");
    let query = Some("api-version=7.4");
    Ok(route::parse(&http::Method::GET, &path, query, &[])?)
}

fn measure(
    criterion: &mut Criterion,
    what: &str,
    (condition, name): (Option<&str>, &str),
    facts: &Facts<'_>,
    expected: fn(&Decision) -> bool,
) -> Result<(), Failure> {
    let entitlements = entitlements(condition)?;
    let operation = operation(name)?;
    let once = decide(operation.clone(), &entitlements, facts);
    assert!(expected(&once), "{what}: {once:?}");
    criterion.bench_function(&format!("decide/{what}"), |b| {
        b.iter_batched(
            || operation.clone(),
            |operation| decide(operation, black_box(&entitlements), facts),
            BatchSize::SmallInput,
        );
    });
    Ok(())
}

fn bench(criterion: &mut Criterion) -> Result<(), Failure> {
    let blank = Blank::new();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let facts = blank.facts(now);
    let tags = [("Project".into(), "Cascade".into())];
    let metadata = Arc::new(Metadata {
        properties: Properties {
            tags: tags.into(),
            ..Properties::default()
        },
        version: None,
        is_current: None,
    });
    let fetched = Facts {
        metadata: Stage::Read(&*metadata),
        ..facts
    };
    let allow = |decision: &Decision| matches!(decision, Decision::Allow(_));
    let deny = |decision: &Decision| matches!(decision, Decision::Deny(_));
    let undecided = |decision: &Decision| matches!(decision, Decision::Undecided(_));
    let passing = "payments-db-prod";
    measure(criterion, "unconditional", (None, passing), &facts, allow)?;
    measure(
        criterion,
        "name/allow",
        (Some(NAME), passing),
        &facts,
        allow,
    )?;
    measure(criterion, "name/deny", (Some(NAME), "other"), &facts, deny)?;
    measure(
        criterion,
        "tag/undecided",
        (Some(TAG), passing),
        &facts,
        undecided,
    )?;
    measure(
        criterion,
        "tag/allow",
        (Some(TAG), passing),
        &fetched,
        allow,
    )?;
    Ok(())
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn bench_tenant(criterion: &mut Criterion, size: usize) -> Result<(), Failure> {
    let world = World::of(tenant(size))?;
    let cases = world.cases(1000)?;
    let mut group = criterion.benchmark_group("decide");
    one(&mut group, (&world, "known"), &cases, |decision| {
        granted_by(decision).is_some_and(|id| !conditional(&world).contains(&id))
    })?;
    one(&mut group, (&world, "conditional"), &cases, |decision| {
        granted_by(decision).is_some_and(|id| conditional(&world).contains(&id))
    })?;
    one(
        &mut group,
        (&world, "denied"),
        &cases,
        |decision| matches!(decision, Decision::Deny(denial) if denial.nearest.is_some()),
    )?;
    let mut cycle = cases.iter().cycle();
    group.bench_function(BenchmarkId::new("mix", size), |b| {
        b.iter_batched(
            || cycle.next().map(|case| (case, case.operation.clone())),
            |next| next.map(|(case, operation)| world.decide(case, operation)),
            BatchSize::SmallInput,
        );
    });
    let mut cycle = cases.iter().cycle();
    group.bench_function(BenchmarkId::new("from_strings", size), |b| {
        b.iter_batched(
            || {
                cycle
                    .next()
                    .map(|case| (case, case.request.object_id.to_string()))
            },
            |next| next.map(|(case, id)| from_strings(&world, case, &id)),
            BatchSize::SmallInput,
        );
    });
    unseen(&mut group, &world, &cases)?;
    group.finish();
    Ok(())
}

/// The first request of which `wanted` holds, again and again.
fn one(
    group: &mut Group<'_>,
    (world, what): (&World, &str),
    cases: &[Case],
    wanted: impl Fn(&Decision) -> bool,
) -> Result<(), Failure> {
    let found = cases.iter().find(|case| {
        let decision = world.decide(case, case.operation.clone());
        decision.is_ok_and(|decision| wanted(&decision))
    });
    let case = found.ok_or_else(|| format!("no request is {what}"))?;
    group.bench_function(
        BenchmarkId::new(what, world.tenant.shape.assignments),
        |b| {
            b.iter_batched(
                || case.operation.clone(),
                |operation| world.decide(black_box(case), operation),
                BatchSize::SmallInput,
            );
        },
    );
    Ok(())
}

/// The name of the assignment that granted.
fn granted_by(decision: &Decision) -> Option<String> {
    match decision {
        Decision::Allow(permit) => Some(permit.granted_by().first()?.assignment.to_string()),
        Decision::Deny(_) | Decision::Undecided(_) => None,
    }
}

/// The names of the conditional assignments that apply to the vault.
fn conditional(world: &World) -> HashSet<String> {
    let tenant = &world.tenant;
    let applying = tenant.role_assignments.iter().filter(|one| {
        one.condition.is_some() && tenant.tree.reaches(one.place, tenant.vault.number)
    });
    applying.map(|one| one.id.to_string()).collect()
}

fn from_strings(world: &World, case: &Case, object_id: &str) -> Result<Decision, Failure> {
    let object_id: ObjectId = object_id.parse()?;
    black_box(object_id);
    let operation = world::operation(&case.method, &case.request.path_and_query)?;
    world.decide(case, operation)
}

/// Nothing is remembered: what the caller has is gathered for each decision.
fn unseen(group: &mut Group<'_>, world: &World, cases: &[Case]) -> Result<(), Failure> {
    let people = &world.tenant.people.principals;
    let caller = people.iter().find(|one| one.groups.len() == MAX_GROUPS);
    let caller = caller.ok_or("nobody is in as many groups as can be")?;
    let first = cases.first().ok_or("there is no request")?;
    let case = world.case(Request {
        object_id: caller.id,
        ..first.request.clone()
    })?;
    let size = world.tenant.shape.assignments;
    let in_force = world.assignments.fresh(now())?;
    let set = &in_force.set;
    group.bench_function(BenchmarkId::new("unseen", size), |b| {
        b.iter_batched(
            || case.operation.clone(),
            |operation| {
                let claims = black_box(case.claims());
                let principals = set.principals(claims.object_id, &claims.groups);
                let entitlements = set.entitlements(&principals, 0)?;
                assert_eq!(entitlements.group_count(), Some(MAX_GROUPS));
                Some(decide(operation, &entitlements, &case.facts()))
            },
            BatchSize::SmallInput,
        );
    });
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion)?;
    for size in sizes()? {
        bench_tenant(&mut criterion, size)?;
    }
    criterion.final_summary();
    Ok(())
}
