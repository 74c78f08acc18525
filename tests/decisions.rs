//! Deciding, against a second evaluator, and properties that must hold in every tenant.
#![cfg(test)]

#[path = "support/dice.rs"]
mod dice;
#[path = "support/facts.rs"]
mod facts;
#[path = "decisions/reference.rs"]
mod reference;
#[path = "decisions/tenant.rs"]
mod tenant;

use dice::Dice;
use facts::Blank;
use portcullis::keyvault::Operation;
use portcullis::principal::{ObjectId, TokenGroups};
use portcullis::rbac::{
    AssignmentSet, Decision, Denial, Permission, Revision, RoleData, VaultScope, decide,
};
use portcullis::reason::Reason;

use tenant::{at, object_id};

/// Tenants per seed; each is asked `REQUESTS` times, and there are four seeds.
const TENANTS: u64 = 5_000;
const REQUESTS: u64 = 6;

struct Case {
    data: RoleData,
    vault: VaultScope,
}

struct Question {
    object_id: ObjectId,
    token: TokenGroups,
    operation: Operation,
    now: std::time::SystemTime,
}

fn case(dice: &mut Dice) -> Case {
    Case {
        data: tenant::role_data(dice),
        vault: tenant::vault(dice),
    }
}

fn question(dice: &mut Dice) -> Question {
    Question {
        object_id: object_id(dice.below(3)),
        token: tenant::token_groups(dice),
        operation: tenant::operation(dice),
        now: at(dice.below(10)),
    }
}

fn compile(data: &RoleData, vault: &VaultScope) -> AssignmentSet {
    AssignmentSet::compile(data, std::slice::from_ref(vault), Revision::of([7; 32]))
}

fn ask(set: &AssignmentSet, question: &Question) -> Decision {
    let principals = set.principals(question.object_id, &question.token);
    let entitlements = set.entitlements(&principals, 0).unwrap();
    let blank = Blank::new();
    let facts = blank.facts(question.now);
    decide(question.operation.clone(), &entitlements, &facts)
}

fn allows(data: &RoleData, vault: &VaultScope, question: &Question) -> bool {
    matches!(ask(&compile(data, vault), question), Decision::Allow(_))
}

/// How many tenants to try; more on demand through `PORTCULLIS_TENANTS`.
fn tenants() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a knob of the test, not of the product"
    )]
    let wanted = std::env::var("PORTCULLIS_TENANTS");
    wanted.map_or(TENANTS, |n| {
        n.parse().expect("PORTCULLIS_TENANTS is a number")
    })
}

fn differential(seed: u64) {
    let mut dice = Dice(seed);
    let (mut allowed, mut denied) = (0_u64, 0_u64);
    for _ in 0..tenants() {
        let Case { data, vault } = case(&mut dice);
        let set = compile(&data, &vault);
        for _ in 0..REQUESTS {
            let question = question(&mut dice);
            let expected = reference::allows(
                &data,
                &vault,
                &reference::Request {
                    object_id: question.object_id,
                    token: &question.token,
                    operation: &question.operation,
                    now: question.now,
                },
            );
            let decision = ask(&set, &question);
            let actual = matches!(decision, Decision::Allow(_));
            assert_eq!(
                actual, expected,
                "{decision:?}\n{:?}\n{vault:#?}\n{data:#?}\n{:?} {:?}",
                question.operation, question.object_id, question.token
            );
            if actual { allowed += 1 } else { denied += 1 }
        }
    }
    // A world in which nearly everything is denied would prove little.
    assert!(allowed > denied / 50, "{allowed} allowed, {denied} denied");
}

#[test]
fn both_evaluators_agree_on_tenants_of_seed_1() {
    differential(1);
}

#[test]
fn both_evaluators_agree_on_tenants_of_seed_2() {
    differential(2);
}

#[test]
fn both_evaluators_agree_on_tenants_of_seed_3() {
    differential(3);
}

#[test]
fn both_evaluators_agree_on_tenants_of_seed_4() {
    differential(4);
}

#[test]
fn adding_a_deny_assignment_never_allows() {
    let mut dice = Dice(5);
    for _ in 0..tenants() {
        let Case { mut data, vault } = case(&mut dice);
        let question = question(&mut dice);
        let before = allows(&data, &vault, &question);
        data.deny_assignments
            .push(tenant::deny_assignment(&mut dice));
        assert!(before || !allows(&data, &vault, &question), "{data:#?}");
    }
}

#[test]
fn removing_a_role_assignment_never_allows() {
    let mut dice = Dice(6);
    for _ in 0..tenants() {
        let Case { mut data, vault } = case(&mut dice);
        let question = question(&mut dice);
        let before = allows(&data, &vault, &question);
        if data.role_assignments.is_empty() {
            continue;
        }
        let victim = dice.below(data.role_assignments.len() as u64);
        data.role_assignments
            .remove(usize::try_from(victim).unwrap());
        assert!(before || !allows(&data, &vault, &question), "{data:#?}");
    }
}

#[test]
fn adding_a_not_data_action_never_allows() {
    let mut dice = Dice(7);
    for _ in 0..tenants() {
        let Case { mut data, vault } = case(&mut dice);
        // On a deny assignment it would narrow the deny.
        data.deny_assignments.clear();
        let question = question(&mut dice);
        let before = allows(&data, &vault, &question);
        for role in data.role_definitions.values_mut() {
            for Permission {
                not_data_actions, ..
            } in &mut role.permissions
            {
                not_data_actions.push("Microsoft.KeyVault/vaults/*/read".into());
            }
        }
        assert!(before || !allows(&data, &vault, &question), "{data:#?}");
    }
}

#[test]
fn the_case_of_scopes_and_actions_never_matters() {
    let mut dice = Dice(8);
    for _ in 0..tenants() {
        let Case { mut data, vault } = case(&mut dice);
        let question = question(&mut dice);
        let before = allows(&data, &vault, &question);
        for assignment in &mut data.role_assignments {
            assignment.scope = assignment.scope.as_str().to_uppercase().parse().unwrap();
        }
        for role in data.role_definitions.values_mut() {
            for permission in &mut role.permissions {
                for pattern in &mut permission.data_actions {
                    *pattern = pattern.to_uppercase().into();
                }
            }
        }
        assert_eq!(before, allows(&data, &vault, &question), "{data:#?}");
    }
}

#[test]
fn a_permit_names_an_assignment_for_every_data_action() {
    let mut dice = Dice(9);
    for _ in 0..tenants() {
        let Case { data, vault } = case(&mut dice);
        let question = question(&mut dice);
        if let Decision::Allow(permit) = ask(&compile(&data, &vault), &question) {
            assert_eq!(*permit.operation(), question.operation);
            let granted: Vec<_> = permit
                .granted_by()
                .iter()
                .map(|by| by.data_action)
                .collect();
            assert_eq!(granted, question.operation.kind().row().data_actions);
            for by in permit.granted_by() {
                assert!(data.role_assignments.iter().any(|a| a.id == by.assignment));
            }
        }
    }
}

/// One principal, one vault, and what is built on it by hand.
#[path = "decisions/by_hand.rs"]
mod by_hand;
#[path = "decisions/windows.rs"]
mod windows;

fn denial(data: &RoleData, vault: &VaultScope, question: &Question) -> Denial {
    match ask(&compile(data, vault), question) {
        Decision::Allow(permit) => panic!("allowed: {permit:?}"),
        Decision::Undecided(undecided) => panic!("{undecided:?}"),
        Decision::Deny(denial) => denial,
    }
}

fn assert_reason(data: &RoleData, vault: &VaultScope, question: &Question, reason: Reason) {
    let denial = denial(data, vault, question);
    assert_eq!(denial.reason, reason, "{denial:?}");
}
