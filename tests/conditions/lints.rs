//! What the linter finds, and what it leaves alone.

use std::collections::BTreeSet;

use portcullis::abac::{Knowledge, Lint, Mode, Warning, concerns_key_vault, lint, parse};
use portcullis::attributes;
use portcullis::keyvault::{DataAction, DataActionSet};

use crate::corpus;

fn warnings(condition: &str, held: Option<DataActionSet>) -> Vec<Warning> {
    let expr =
        parse(condition, Mode::Compatible).unwrap_or_else(|e| panic!("{}", e.render(condition)));
    let knowledge = Knowledge {
        can_have: &attributes::can_have,
        suboperations: &attributes::suboperations_of,
        held,
    };
    lint(&expr, &knowledge)
}

fn names(warnings: &[Warning]) -> BTreeSet<&'static str> {
    warnings.iter().map(|w| w.lint.name()).collect()
}

/// Whether an error or a trap of the first ten kinds is found is what the cases are about; that
/// an attribute is ours is said of nearly all of them.
fn found(condition: &str) -> BTreeSet<&'static str> {
    let mut names = names(&warnings(condition, None));
    names.remove("extension-attribute");
    names
}

/// `actions` guard `expression`; they are named without their common beginning.
fn guarded(actions: &[&str], expression: &str) -> String {
    let guard = |action: &&str| format!("!(ActionMatches{{'Microsoft.KeyVault/vaults/{action}'}})");
    let guards: Vec<String> = actions.iter().map(guard).collect();
    format!("({}) OR ({expression})", guards.join(" AND "))
}

const NAME: &str = "@Resource[Microsoft.KeyVault/vaults/secrets:name]";
const READ: &[&str] = &["secrets/getSecret/action", "secrets/backup/action"];

/// Holds that each condition has these traps and no others.
fn hold(cases: &[(String, &[&str])]) {
    for (condition, expected) in cases {
        assert_eq!(
            found(condition),
            expected.iter().copied().collect(),
            "{condition}"
        );
    }
}

#[test]
fn names_and_types_that_do_not_fit_are_found() {
    let app = format!("{NAME} StringStartsWith 'app-'");
    hold(&[
        (
            guarded(READ, &app).replace("secrets:name", "secret:name"),
            &["unknown-attribute"],
        ),
        (
            guarded(&["secrets/get/action"], "Exists @Environment[UtcNow]"),
            &["unknown-action"],
        ),
        (
            format!(
                "!(ActionMatches{{'*'}} AND SubOperationMatches{{'Blob.List'}}) OR {}",
                "Exists @Environment[UtcNow]"
            ),
            &["unknown-suboperation"],
        ),
        (
            guarded(READ, &format!("{NAME} NumericEquals 1")),
            &["type-mismatch"],
        ),
        (
            guarded(
                READ,
                "@Principal[Microsoft.Directory/groups:id] GuidEquals \
                28c35fea-2099-4cf5-8ad9-473547bc9423",
            ),
            &["list-without-quantifier"],
        ),
    ]);
}

#[test]
fn traps_of_the_language_are_found() {
    let app = format!("{NAME} StringStartsWith 'app-'");
    hold(&[
        (
            guarded(
                READ,
                &format!("{NAME} ForAnyOfAnyValues:StringNotEquals {{'a', 'b'}}"),
            ),
            &["not-any-of-many"],
        ),
        (
            guarded(
                READ,
                &format!("{NAME} ForAnyOfAllValues:StringNotEquals {{'a', 'b'}}"),
            ),
            &[],
        ),
        (
            guarded(
                READ,
                &format!("{NAME} ForAnyOfAnyValues:StringNotEquals {{'a', 'a'}}"),
            ),
            &[],
        ),
        (
            guarded(READ, &format!("{app} AND {app} OR {app}")),
            &["mixed-connectives"],
        ),
        (
            guarded(READ, &app.replace("app-", "app")),
            &["prefix-without-separator"],
        ),
        (
            guarded(READ, &format!("{NAME} StringLike 'app*'")),
            &["prefix-without-separator"],
        ),
        (guarded(READ, &format!("{NAME} StringLike 'app-*'")), &[]),
        (
            guarded(READ, &format!("{NAME} StringEndsWith '-app'")),
            &["extension-operator"],
        ),
    ]);
}

#[test]
fn negations_of_what_may_be_missing_are_found() {
    let tag = "@Resource[Microsoft.KeyVault/vaults/secrets/tags:env<$key_case_sensitive$>]";
    hold(&[
        (
            guarded(READ, &format!("{tag} StringNotEquals 'prod'")),
            &["negation-needs-presence"],
        ),
        (
            guarded(READ, &format!("NOT {tag} StringEquals 'prod'")),
            &["negation-needs-presence"],
        ),
        (
            guarded(
                READ,
                &format!("{tag} StringNotEquals 'prod' OR NOT Exists {tag}"),
            ),
            &[],
        ),
    ]);
}

#[test]
fn traps_of_actions_are_found() {
    let app = format!("{NAME} StringStartsWith 'app-'");
    hold(&[
        (guarded(READ, &app), &[]),
        (app.clone(), &["no-guard"]),
        (
            "@Resource[Microsoft.KeyVault/vaults:name] StringEquals 'kv'".to_owned(),
            &[],
        ),
        (
            guarded(
                &["secrets/setSecret/action", "secrets/restore/action"],
                &app,
            ),
            &["never-present", "wrong-source"],
        ),
        (
            guarded(READ, &app.replace("@Resource", "@Request")),
            &["wrong-source"],
        ),
        (
            guarded(&["secrets/readMetadata/action"], &app),
            &["object-attribute-on-list"],
        ),
        (guarded(READ, &format!("NOT {app}")), &[]),
        (
            guarded(&["secrets/getSecret/action"], &app),
            &["equivalent-action-left-out"],
        ),
    ]);
}

#[test]
fn what_a_role_does_not_hold_is_no_trap_and_needs_no_guard() {
    let condition = guarded(READ, &format!("{NAME} StringStartsWith 'app-'"));
    let reader: DataActionSet = [DataAction::SecretsGetSecret].into_iter().collect();
    let found = warnings(&condition, Some(reader));
    assert_eq!(names(&found), BTreeSet::from(["guard-outside-role"]));
    assert!(
        found.iter().all(|w| w.expression.contains("backup")),
        "{found:?}"
    );
    let unguarded = format!("{NAME} StringStartsWith 'app-'");
    assert_eq!(warnings(&unguarded, Some(reader)), []);
}

#[test]
fn an_attribute_that_is_ours_is_told_from_one_of_azure() {
    let found = |attribute: &str| {
        let warnings = warnings(&guarded(READ, &format!("Exists {attribute}")), None);
        warnings.iter().any(|w| w.lint == Lint::ExtensionAttribute)
    };
    assert!(!found(NAME));
    assert!(!found("@Environment[UtcNow]"));
    assert!(found(
        "@Resource[Microsoft.KeyVault/vaults/secrets:enabled]"
    ));
}

#[test]
fn names_of_lints_are_kebab_case_and_each_is_explained() {
    let names: BTreeSet<_> = Lint::ALL.iter().map(|lint| lint.name()).collect();
    assert_eq!(names.len(), Lint::ALL.len());
    for lint in Lint::ALL {
        let kebab = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(lint.name().chars().all(kebab), "{}", lint.name());
        assert!(lint.explanation().ends_with('.'), "{}", lint.name());
    }
}

#[test]
fn conditions_on_other_services_are_told_apart() {
    for row in corpus::rows() {
        let Ok(expr) = parse(&row.condition, Mode::Compatible) else {
            continue;
        };
        let names_vault = row
            .condition
            .to_lowercase()
            .contains("microsoft.keyvault/vaults");
        let names_nothing =
            !row.condition.contains("ActionMatches") && !row.condition.contains("@Re");
        assert_eq!(
            concerns_key_vault(&expr),
            names_vault || names_nothing,
            "{}",
            row.name
        );
    }
}
