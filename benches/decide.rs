//! What a decision costs, with and without a condition, for a caller whose entitlements are known.
//!
//! `cargo bench --bench decide`

#[path = "../tests/support/facts.rs"]
mod facts;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use criterion::{BatchSize, Criterion};
use portcullis::attributes::{Facts, Metadata, Properties, Stage};
use portcullis::keyvault::{Operation, route};
use portcullis::principal::{Guid, ObjectId, TokenGroups};
use portcullis::rbac::{
    AssignmentId, AssignmentSet, ConditionText, Decision, Entitlements, Origin, Permission,
    Revision, RoleAssignment, RoleData, RoleDefinition, RoleDefinitionId, Scope, VaultScope,
    decide,
};

use facts::Blank;

type Failure = Box<dyn std::error::Error>;

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

fn main() -> Result<(), Failure> {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
