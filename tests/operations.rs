//! The mapping, against the facts: every documented operation, and nothing else.
#![cfg(test)]

use std::collections::BTreeSet;

use portcullis::keyvault::route::{self, RouteError};
use portcullis::keyvault::{DataAction, ObjectType, Operation, OperationKind};

const PREFIX: &str = "Microsoft.KeyVault/vaults/";
const VERSION: &str = "1d89273b3c364e018f939c2f0d151622";

struct Fact {
    id: &'static str,
    method: &'static str,
    template: &'static str,
    scope: &'static str,
    data_actions: BTreeSet<String>,
}

fn facts() -> Vec<Fact> {
    let lines = include_str!("data/operations.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut cells = line.split('\t');
            let mut next = || cells.next().unwrap_or("");
            Fact {
                id: next(),
                method: next(),
                template: next(),
                scope: next(),
                data_actions: next()
                    .split_whitespace()
                    .map(|a| format!("{PREFIX}{a}"))
                    .collect(),
            }
        })
        .collect()
}

impl Fact {
    /// The path with every parameter filled in.
    fn path(&self, version: &str) -> String {
        self.template
            .split('/')
            .map(|segment| match segment {
                s if s.ends_with("-version}") => version,
                s if s.starts_with('{') => "abc",
                literal => literal,
            })
            .collect::<Vec<_>>()
            .join("/")
    }

    fn route(&self, path: &str) -> Result<Operation, RouteError> {
        route::parse(
            &self.method.parse().unwrap(),
            path,
            Some("api-version=7.4"),
            &[],
        )
    }
}

fn scope_of(operation: &Operation) -> &'static str {
    operation.object().map_or("vault", |(object_type, _)| {
        ObjectType::collection(object_type)
    })
}

#[test]
fn all_87_operations_are_in_the_facts() {
    assert_eq!(facts().len(), 87);
}

#[test]
fn every_operation_maps_to_its_data_actions_and_scope() {
    let mut reached = BTreeSet::new();
    for fact in facts().iter().filter(|fact| fact.scope != "refused") {
        for version in [VERSION, ""] {
            let path = fact.path(version);
            let operation = fact
                .route(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", fact.id));
            let actions: BTreeSet<String> = operation
                .kind()
                .row()
                .data_actions
                .iter()
                .map(|action| action.as_str().to_owned())
                .collect();
            assert_eq!(actions, fact.data_actions, "{}", fact.id);
            assert_eq!(scope_of(&operation), fact.scope, "{}", fact.id);
            let sent = operation.path_and_query();
            assert_eq!(sent, format!("{path}?api-version=7.4"), "{}", fact.id);
            reached.insert(operation.kind());
        }
    }
    let all: BTreeSet<_> = OperationKind::ALL.iter().copied().collect();
    assert_eq!(
        reached, all,
        "an operation of the table that no documented route reaches"
    );
}

#[test]
fn operations_that_are_not_for_vaults_are_refused_by_name() {
    let refused: Vec<_> = facts()
        .into_iter()
        .filter(|fact| fact.scope == "refused")
        .collect();
    assert_eq!(refused.len(), 5);
    for fact in refused {
        let error = fact.route(&fact.path(VERSION)).unwrap_err();
        assert!(
            matches!(error, RouteError::NotForVaults(_)),
            "{}: {error}",
            fact.id
        );
    }
}

#[test]
fn two_operations_never_share_a_route() {
    let mut seen = BTreeSet::new();
    for fact in facts().iter().filter(|fact| fact.scope != "refused") {
        let kind = fact.route(&fact.path(VERSION)).unwrap().kind();
        assert!(seen.insert(kind), "{} is reached twice", kind.as_label());
    }
}

#[test]
fn every_data_action_but_the_announced_one_is_needed_somewhere() {
    let needed: BTreeSet<_> = facts()
        .into_iter()
        .flat_map(|fact| fact.data_actions)
        .collect();
    let unneeded: Vec<_> = DataAction::ALL
        .iter()
        .filter(|action| !needed.contains(action.as_str()))
        .collect();
    // Azure lists it among the actions; no documented route needs it yet.
    assert_eq!(unneeded, [&DataAction::SecretsRotate]);
}

#[test]
fn other_methods_on_a_documented_path_are_refused() {
    let facts = facts();
    for fact in &facts {
        let path = fact.path(VERSION);
        for method in [
            "GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT",
        ] {
            let documented = facts.iter().any(|other| {
                let whole = other.path(VERSION);
                let versionless = whole.replace(&format!("/{VERSION}"), "");
                other.method == method
                    && other.scope != "refused"
                    && (whole == path || versionless == path)
            });
            // An object may be called `restore`; the name is free where the method differs.
            let parsed = route::parse(
                &method.parse().unwrap(),
                &path,
                Some("api-version=7.4"),
                &[],
            );
            if let (Ok(operation), false) = (&parsed, documented) {
                let by_name = operation.name().map(|name| name.folded().to_owned());
                assert_eq!(by_name.as_deref(), Some("restore"), "{method} {path}");
            }
        }
    }
}
