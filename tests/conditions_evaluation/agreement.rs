//! The plain evaluator, the specialised one and the naive one agree.

use std::collections::BTreeMap;

use portcullis::abac::{Attribute, Expr, Mode, Residual, Target, Truth, evaluate, parse};

use super::dice::Dice;
use super::generator::{self, ACTIONS, SUBOPERATIONS};
use super::naive;
use super::world::World;

/// Cases per seed; there are four seeds.
const CASES: u64 = 50_000;
/// Requests for each condition.
const REQUESTS: u64 = 4;

/// How many cases to try; more on demand through `PORTCULLIS_CONDITIONS`.
fn conditions() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a knob of the test, not of the product"
    )]
    let wanted = std::env::var("PORTCULLIS_CONDITIONS");
    let cases = wanted.map_or(CASES, |n| {
        n.parse().expect("PORTCULLIS_CONDITIONS is a number")
    });
    cases.div_ceil(REQUESTS)
}

/// What is left of `expr` for requests such as `world`: they can have what it has, and some of
/// what it has not.
fn specialise(expr: &Expr, world: &World, generous: bool) -> Residual {
    let can_have = |attribute: &Attribute| {
        generous || world.is_hidden(attribute) || !world.values(attribute).is_empty()
    };
    let own: Vec<&str> = world.suboperation.into_iter().collect();
    let target = Target {
        action: world.action,
        suboperations: if generous { &SUBOPERATIONS } else { &own },
        can_have: &can_have,
    };
    Residual::specialise(expr, &target)
}

fn three_valued(truth: Truth) -> Option<bool> {
    match truth {
        Truth::True => Some(true),
        Truth::False => Some(false),
        Truth::Undefined => None,
        Truth::Pending(needs) => panic!("nothing is hidden, yet {needs:?}"),
    }
}

fn agreement(seed: u64) {
    let mut dice = Dice(seed);
    let (mut seen, mut folded) = (BTreeMap::new(), 0_u64);
    for _ in 0..conditions() {
        let expr = generator::expr(&mut dice, 3);
        for _ in 0..REQUESTS {
            let world = generator::world(&mut dice);
            let expected = naive::evaluate(&expr, &world);
            let plain = evaluate(&expr, &world.context());
            assert_eq!(three_valued(plain), expected, "{expr}\n{world:#?}");
            let residual = specialise(&expr, &world, dice.one_in(2));
            let special = residual.evaluate(world.suboperation, &world);
            assert_eq!(
                three_valued(special),
                expected,
                "{residual:#?}\n{expr}\n{world:#?}"
            );
            if let Some(constant) = residual.as_constant() {
                assert_eq!(three_valued(constant), expected, "{expr}\n{world:#?}");
                folded += 1;
            }
            *seen.entry(expected).or_insert(0_u64) += 1;
        }
    }
    // A world in which nearly everything comes to the same would prove little.
    let all: u64 = seen.values().sum();
    assert!(seen.len() == 3, "{seen:?}");
    assert!(seen.values().all(|n| *n > all / 8), "{seen:?}");
    assert!(
        folded > all / 10 && folded < all,
        "{folded} of {all} folded"
    );
}

#[test]
fn the_evaluators_agree_on_conditions_of_seed_1() {
    agreement(1);
}

#[test]
fn the_evaluators_agree_on_conditions_of_seed_2() {
    agreement(2);
}

#[test]
fn the_evaluators_agree_on_conditions_of_seed_3() {
    agreement(3);
}

#[test]
fn the_evaluators_agree_on_conditions_of_seed_4() {
    agreement(4);
}

#[test]
fn what_is_decided_before_fetching_stays_whatever_is_fetched() {
    let mut dice = Dice(5);
    let (mut pending, mut decided) = (0_u64, 0_u64);
    for _ in 0..conditions() {
        let expr = generator::expr(&mut dice, 3);
        let mut world = generator::world(&mut dice);
        generator::hide(&mut dice, &mut world);
        let plain = evaluate(&expr, &world.context());
        let residual = specialise(&expr, &world, dice.one_in(2));
        let special = residual.evaluate(world.suboperation, &world);
        assert_eq!(special, plain, "{residual:#?}\n{expr}\n{world:#?}");
        if let Truth::Pending(waiting) = plain {
            let outcomes = [waiting.to_hold(), waiting.to_fail()];
            assert!(outcomes.iter().any(Option::is_some));
            assert!(outcomes.iter().flatten().all(|needs| !needs.is_empty()));
            pending += 1;
        } else {
            decided += 1;
        }
        for _ in 0..REQUESTS {
            let revealed = generator::reveal(&mut dice, &world);
            let later = naive::evaluate(&expr, &revealed);
            let agrees = match plain {
                Truth::Pending(waiting) => match later {
                    Some(true) => waiting.to_hold().is_some(),
                    Some(false) => waiting.to_fail().is_some(),
                    None => true,
                },
                Truth::True | Truth::False | Truth::Undefined => later == three_valued(plain),
            };
            assert!(agrees, "{later:?}\n{expr}\n{world:#?}\n{revealed:#?}");
        }
    }
    assert!(
        pending > 0 && decided > pending / 10,
        "{pending} pending, {decided} decided"
    );
}

#[test]
fn what_is_blamed_does_not_hold() {
    let mut dice = Dice(6);
    let mut missing = 0_u64;
    for _ in 0..conditions() / 2 {
        let expr = generator::expr(&mut dice, 3);
        let world = generator::world(&mut dice);
        let residual = specialise(&expr, &world, dice.one_in(2));
        let blame = residual.blame(world.suboperation, &world);
        if naive::evaluate(&expr, &world) == Some(true) {
            assert_eq!(blame, None, "{expr}\n{world:#?}");
            continue;
        }
        let blame = blame.expect("a condition that does not hold has a part that does not");
        let part = parse(&blame.expression, Mode::Compatible).unwrap();
        let came_to = naive::evaluate(&part, &world);
        assert_ne!(came_to, Some(true), "{expr}\n{blame:?}\n{world:#?}");
        if let Some(attribute) = blame.missing {
            assert_eq!(came_to, None);
            let exists = parse(&format!("Exists {attribute}"), Mode::Strict).unwrap();
            assert_eq!(naive::evaluate(&exists, &world), Some(false));
            missing += 1;
        }
    }
    assert!(missing > 0);
}

#[test]
fn equal_conditions_leave_equal_residuals() {
    let mut dice = Dice(7);
    for _ in 0..conditions() / 10 {
        let expr = generator::expr(&mut dice, 3);
        let again = parse(&expr.to_string(), Mode::Compatible).unwrap();
        for action in ACTIONS {
            let everything = |_: &Attribute| true;
            let target = Target {
                action,
                suboperations: &SUBOPERATIONS,
                can_have: &everything,
            };
            // The parser knows what the attributes stand for, so it has to read both.
            let first = parse(&again.to_string(), Mode::Compatible).unwrap();
            assert_eq!(
                Residual::specialise(&first, &target),
                Residual::specialise(&again, &target),
                "{expr}"
            );
        }
    }
}
