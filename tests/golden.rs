//! Every built-in role × every operation, as a matrix to be reviewed as a diff.
//!
//! `PORTCULLIS_BLESS=1 cargo test --test golden` writes `tests/golden/decisions.txt` anew.
#![cfg(test)]

#[path = "support/dice.rs"]
mod dice;
#[path = "support/facts.rs"]
mod facts;
#[path = "decisions/tenant.rs"]
#[expect(
    dead_code,
    reason = "only the operations of this module are needed here"
)]
mod tenant;

use std::fmt::Write as _;
use std::path::Path;

use facts::Blank;
use portcullis::assignments::builtin;
use portcullis::keyvault::OperationKind;
use portcullis::principal::{Guid, TokenGroups};
use portcullis::rbac::{
    AssignmentId, AssignmentSet, Decision, Origin, Revision, RoleAssignment, RoleData,
    RoleDefinition, VaultScope, decide,
};

use tenant::{SUBSCRIPTION, at, named_operation, object_id};

/// Whether someone who holds `role` on the vault, and nothing else, may do `kind`.
fn may(role: &RoleDefinition, kind: OperationKind) -> bool {
    let scope = format!("{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv1");
    let vault = VaultScope {
        scope: scope.parse().unwrap(),
        management_groups: None,
    };
    let data = RoleData {
        role_assignments: vec![RoleAssignment {
            id: AssignmentId(Guid::from_u128(1)),
            origin: Origin::Azure,
            scope: vault.scope.clone(),
            principal: object_id(0),
            role_definition: role.id,
            condition: None,
            principal_deleted: false,
        }],
        role_definitions: builtin::role_definitions(),
        ..RoleData::default()
    };
    let set = AssignmentSet::compile(&data, &[vault], Revision::of([0; 32]));
    let principals = set.principals(object_id(0), &TokenGroups::Absent);
    let entitlements = set.entitlements(&principals, 0).unwrap();
    matches!(
        decide(
            named_operation(kind, "app"),
            &entitlements,
            &Blank::new().facts(at(0))
        ),
        Decision::Allow(_)
    )
}

fn matrix() -> String {
    let mut roles: Vec<_> = builtin::role_definitions().into_values().collect();
    roles.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = String::from("# What each built-in role, held on the vault, allows.\n#\n");
    for (column, role) in roles.iter().enumerate() {
        writeln!(text, "# {column:>2} {} {}", role.id, role.name).unwrap();
    }
    write!(text, "#\n{:29}", "# operation").unwrap();
    for column in 0..roles.len() {
        write!(text, "{column:>3}").unwrap();
    }
    text.push('\n');
    for &kind in OperationKind::ALL {
        write!(text, "{:29}", kind.as_label()).unwrap();
        for role in &roles {
            write!(text, "{:>3}", if may(role, kind) { '✔' } else { '✘' }).unwrap();
        }
        text.push('\n');
    }
    text
}

#[test]
fn built_in_roles_allow_exactly_what_the_golden_matrix_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/decisions.txt");
    let actual = matrix();
    let bless = std::env::var_os("PORTCULLIS_BLESS").is_some();
    if bless {
        std::fs::write(&path, &actual).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (golden, actual) in golden.lines().zip(actual.lines()) {
        assert_eq!(golden, actual);
    }
    assert_eq!(golden, actual);
}
