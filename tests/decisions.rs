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
use portcullis::abac::Needs;
use portcullis::attributes::{Facts, Stage};
use portcullis::keyvault::Operation;
use portcullis::principal::{ObjectId, TokenGroups};
use portcullis::rbac::{
    AssignmentSet, Decision, Denial, Permission, Revision, RoleData, VaultScope, decide,
};
use portcullis::reason::Reason;

use tenant::conditions::{Fetched, condition, fetched};
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
    /// What the request's body and the vault say, once somebody looks.
    fetched: Fetched,
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
        fetched: fetched(dice),
    }
}

fn compile(data: &RoleData, vault: &VaultScope) -> AssignmentSet {
    AssignmentSet::compile(data, std::slice::from_ref(vault), Revision::of([7; 32]))
}

/// Everything there is to know of `question`, as far as `needs` says that it was fetched.
fn known<'a>(blank: &'a Blank, question: &'a Question, needs: Needs) -> Facts<'a> {
    fn stage<T>(fetched: bool, found: Option<&T>) -> Stage<'_, T> {
        match (fetched, found) {
            (false, _) => Stage::Unread,
            (true, None) => Stage::Absent,
            (true, Some(found)) => Stage::Read(found),
        }
    }
    let Fetched { body, metadata } = &question.fetched;
    Facts {
        body: stage(needs.contains(Needs::BODY), body.as_ref()),
        metadata: stage(needs.contains(Needs::METADATA), metadata.as_ref()),
        ..blank.facts(question.now)
    }
}

fn everything() -> Needs {
    Needs::BODY.union(Needs::METADATA)
}

fn ask_knowing(set: &AssignmentSet, question: &Question, needs: Needs) -> Decision {
    let principals = set.principals(question.object_id, &question.token);
    let entitlements = set.entitlements(&principals, 0).unwrap();
    let blank = Blank::new();
    let facts = known(&blank, question, needs);
    decide(question.operation.clone(), &entitlements, &facts)
}

fn ask(set: &AssignmentSet, question: &Question) -> Decision {
    ask_knowing(set, question, everything())
}

/// What the second evaluator says, knowing as much.
fn expect(case: &Case, question: &Question, needs: Needs) -> Option<bool> {
    let blank = Blank::new();
    let request = reference::Request {
        object_id: question.object_id,
        token: &question.token,
        operation: &question.operation,
        facts: &known(&blank, question, needs),
    };
    reference::allows(&case.data, &case.vault, &request)
}

const fn answer(decision: &Decision) -> Option<bool> {
    match decision {
        Decision::Allow(_) => Some(true),
        Decision::Deny(_) => Some(false),
        Decision::Undecided(_) => None,
    }
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

/// Decides as the proxy does: knowing nothing that must be fetched, then what was asked for.
fn differential(seed: u64) {
    let mut dice = Dice(seed);
    let (mut allowed, mut denied, mut undecided) = (0_u64, 0_u64, 0_u64);
    for _ in 0..tenants() {
        let case = case(&mut dice);
        let set = compile(&case.data, &case.vault);
        for _ in 0..REQUESTS {
            let question = question(&mut dice);
            let agreed = |needs| {
                let decision = ask_knowing(&set, &question, needs);
                let expected = expect(&case, &question, needs);
                assert_eq!(
                    answer(&decision),
                    expected,
                    "{decision:?}\n{:?}\n{:#?}\n{:#?}\n{:?} {:?} {:?}",
                    question.operation,
                    case.vault,
                    case.data,
                    question.object_id,
                    question.token,
                    question.fetched
                );
                decision
            };
            let at_first = agreed(Needs::NOTHING);
            let at_last = answer(&agreed(everything()));
            match at_first {
                Decision::Undecided(waiting) => {
                    undecided += 1;
                    assert!(!waiting.needs().is_empty());
                    assert_eq!(*waiting.operation(), question.operation);
                    let then = answer(&agreed(waiting.needs()));
                    assert!(then.is_none() || then == at_last);
                }
                decided @ (Decision::Allow(_) | Decision::Deny(_)) => {
                    assert_eq!(answer(&decided), at_last, "it depended on nothing");
                }
            }
            match at_last {
                Some(true) => allowed += 1,
                Some(false) => denied += 1,
                None => panic!("undecided although everything is known"),
            }
        }
    }
    // A world in which nearly everything is denied would prove little.
    assert!(allowed > denied / 50, "{allowed} allowed, {denied} denied");
    assert!(undecided > denied / 500, "{undecided} of {denied}");
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
fn adding_a_condition_never_allows() {
    let mut dice = Dice(10);
    for _ in 0..tenants() {
        let Case { mut data, vault } = case(&mut dice);
        let question = question(&mut dice);
        let before = allows(&data, &vault, &question);
        let Some(narrowed) = data.role_assignments.first().map(|one| one.id) else {
            continue;
        };
        let more = condition(&mut dice, 1);
        let conditions = data.overlay_conditions.entry(narrowed).or_default();
        conditions.extend(more);
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
#[path = "decisions/by_condition.rs"]
mod by_condition;
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
