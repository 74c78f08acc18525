//! The tenants that benches are made with: the same everywhere, as described, and good exports.
#![cfg(test)]

#[path = "support/facts.rs"]
mod facts;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::time::{Duration, SystemTime};

use portcullis::assignments::{self, wire};
use portcullis::keyvault::{Operation, route};
use portcullis::principal::{CallerKind, TokenGroups};
use portcullis::rbac::{AssignmentSet, Decision, Revision, VaultScope, decide};
use portcullis_tenants::{Holder, NOW, Request, SPLIT_BYTES, Shape, Tenant};

use facts::Blank;

fn tenant(assignments: usize) -> Tenant {
    Tenant::generate(Shape {
        assignments,
        seed: 1,
    })
}

/// The contents of every file that a tenant is written to.
fn files(tenant: &Tenant) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    tenant.write_exports(dir.path()).unwrap();
    let requests = tenant.requests(500, 7);
    Tenant::write_requests(&dir.path().join("requests.jsonl"), &requests).unwrap();
    let entries = fs::read_dir(dir.path()).unwrap().map(Result::unwrap);
    let named = entries.map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    });
    named.collect()
}

fn load(tenant: &Tenant) -> assignments::Loaded {
    let dir = tempfile::tempdir().unwrap();
    tenant.write_exports(dir.path()).unwrap();
    assignments::load(&[dir.path().to_path_buf()], &[]).unwrap()
}

fn vault(tenant: &Tenant) -> VaultScope {
    let groups = tenant.vault.management_groups.iter();
    VaultScope {
        scope: tenant.vault.resource_id.parse().unwrap(),
        management_groups: Some(groups.map(|name| name.parse().unwrap()).collect()),
    }
}

fn compile(tenant: &Tenant) -> AssignmentSet {
    let loaded = load(tenant);
    let revision = Revision::of(loaded.fingerprint);
    AssignmentSet::compile(&loaded.data, &[vault(tenant)], revision)
}

/// FNV-1a: enough to notice that a byte has changed.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn a_tenant_is_the_same_on_every_machine() {
    let first = files(&tenant(300));
    assert_eq!(first, files(&tenant(300)));
    let other = Tenant::generate(Shape {
        assignments: 300,
        seed: 2,
    });
    assert_ne!(first, files(&other));
    let digests: Vec<String> = first
        .iter()
        .map(|(name, bytes)| format!("{name} {:016x}", digest(bytes)))
        .collect();
    // New figures here mean that no measurement can be compared with an older one.
    assert_eq!(
        digests,
        [
            "assignments.json 47b4df11fdb3d14a",
            "definitions.json 3e965d0c15d93c98",
            "deny.json ce40cb087e613fb1",
            "groups.json 3c9f4df54d35772d",
            "requests.jsonl 254034325356b668",
            "vault.toml 5bdf02f2f244deb4",
        ]
    );
}

#[test]
fn exports_are_good_and_as_described() {
    assert!(u64::try_from(SPLIT_BYTES).unwrap() < wire::MAX_FILE_BYTES);
    for size in [100, 4_000, 10_000] {
        let tenant = tenant(size);
        let report = load(&tenant).report;
        assert_eq!(report.warnings, []);
        assert_eq!((report.conflicts, report.duplicates), (0, 0));
        assert_eq!(report.role_assignments, size);
        assert_eq!(report.conditional, size / 10);
        assert_eq!(report.unknown_definitions, 0);
        assert_eq!(report.deny_assignments, tenant.deny_assignments.len());
        assert_eq!(report.role_definitions, tenant.roles.definitions.len());
        assert_eq!(report.groups, tenant.people.principals.len());

        let set = compile(&tenant);
        let census = set.census();
        assert_eq!(set.unreadable(), []);
        assert_eq!(census.conditional, size / 10);
        assert_eq!(census.granting, size - size / 10);
        // A condition stands on a role that holds what it is about.
        assert_eq!(census.folded, 0);
    }
}

#[test]
fn no_subscription_or_management_group_has_more_assignments_than_azure_allows() {
    let tenant = tenant(100_000);
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut groups = 0;
    for one in &tenant.role_assignments {
        let scope = tenant.scope(one.place).to_string();
        let holder: Vec<&str> = scope.split('/').collect();
        let above = holder[..holder
            .len()
            .min(if holder[1] == "subscriptions" { 3 } else { 5 })]
            .join("/");
        *counts.entry(above).or_default() += 1;
        groups += usize::from(matches!(one.holder, Holder::Group(_)));
    }
    for (scope, count) in counts {
        let limit = if scope.starts_with("/subscriptions/") {
            4000
        } else {
            500
        };
        assert!(count <= limit, "{scope}: {count}");
    }
    assert!((29_000..31_000).contains(&groups), "{groups}");
}

fn operation(request: &Request) -> Operation {
    let method = request.method.parse().unwrap();
    let (path, query) = request.path_and_query.split_once('?').unwrap();
    route::parse(&method, path, Some(query), &[]).unwrap()
}

fn answer(set: &AssignmentSet, tenant: &Tenant, request: &Request) -> Decision {
    let mut blank = Blank::new();
    blank.vault.id = tenant.vault.resource_id.as_str().into();
    let environment = tenant.vault.environment.as_str();
    blank.vault.tags = [("environment".into(), environment.into())].into();
    blank.claims.object_id = request.object_id.to_string().parse().unwrap();
    if request.is_user() {
        blank.claims.kind = CallerKind::User;
    }
    blank.connection.private_link = request.private_link;
    let principals = set.principals(blank.claims.object_id, &TokenGroups::Absent);
    let entitlements = set.entitlements(&principals, 0).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let operation = operation(request);
    let actions = operation.kind().row().data_actions;
    assert_eq!(actions.len(), 1);
    assert_eq!(actions[0].as_str(), request.data_action);
    decide(operation, &entitlements, &blank.facts(now))
}

#[test]
fn about_four_of_five_requests_are_allowed_and_none_depends_on_metadata() {
    for size in [100, 4_000, 10_000] {
        let tenant = tenant(size);
        let set = compile(&tenant);
        let requests = tenant.requests(2_000, 3);
        let (mut allowed, mut taken) = (0, 0);
        for request in &requests {
            match answer(&set, &tenant, request) {
                Decision::Allow(_) => allowed += 1,
                Decision::Deny(denial) => taken += usize::from(denial.deny_assignment.is_some()),
                Decision::Undecided(undecided) => panic!("{request:?}: {undecided:?}"),
            }
        }
        assert!((1_500..1_650).contains(&allowed), "{size}: {allowed}");
        assert!(taken > 0, "{size}");

        assert_eq!(requests[..100], tenant.requests(100, 3));
    }
}
