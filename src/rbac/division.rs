//! Which data actions a condition can tell apart.
//!
//! What is left of a condition for a data action depends on the action through its leaves alone:
//! whether a pattern matches it, and whether requests with it can be a suboperation or have an
//! attribute. So actions that no leaf tells apart share what is left, which is worked out once for
//! all of them. A condition tells two or three kinds of action apart, and a role holds up to fifty.

use std::collections::HashMap;

use crate::abac::vocabulary::Known;
use crate::abac::{Attribute, Expr, Operand};
use crate::attributes;
use crate::keyvault::{DataAction, DataActionSet, matches_pattern};

/// Divides sets of data actions, and remembers what it found out about leaves.
#[derive(Debug, Default)]
pub(super) struct Divider {
    matching: HashMap<Box<str>, DataActionSet>,
    performing: HashMap<Box<str>, DataActionSet>,
    having: HashMap<Known, DataActionSet>,
}

impl Divider {
    /// Divides `parts` further, until `expr` tells no two actions of one part apart.
    pub(super) fn divide(&mut self, expr: &Expr, parts: &mut Vec<DataActionSet>) {
        match expr {
            Expr::All(inner) | Expr::Any(inner) => {
                for one in inner {
                    self.divide(one, parts);
                }
            }
            Expr::Mixed(mixed) => {
                self.divide(&mixed.first, parts);
                for (_, one) in &mixed.rest {
                    self.divide(one, parts);
                }
            }
            Expr::Not(inner) => self.divide(inner, parts),
            Expr::Action(pattern) => Self::cut(parts, self.matching(pattern)),
            Expr::SubOperation(pattern) => Self::cut(parts, self.performing(pattern)),
            Expr::Exists(attribute) => Self::cut(parts, self.having(attribute)),
            Expr::Compare(comparison) => {
                for operand in [&comparison.left, &comparison.right] {
                    if let Operand::Attribute(attribute) = operand {
                        Self::cut(parts, self.having(attribute));
                    }
                }
            }
        }
    }

    /// Divides each part into what is in `set` and what is not.
    pub(super) fn cut(parts: &mut Vec<DataActionSet>, set: DataActionSet) {
        for at in 0..parts.len() {
            let Some(part) = parts.get_mut(at) else {
                continue;
            };
            let (inside, outside) = (part.intersection(set), part.minus(set));
            if !inside.is_empty() && !outside.is_empty() {
                *part = inside;
                parts.push(outside);
            }
        }
    }

    fn matching(&mut self, pattern: &str) -> DataActionSet {
        remembered(&mut self.matching, pattern, |action| {
            matches_pattern(pattern, action.as_str())
        })
    }

    fn performing(&mut self, pattern: &str) -> DataActionSet {
        remembered(&mut self.performing, pattern, |action| {
            attributes::suboperations_of(action)
                .iter()
                .any(|name| matches_pattern(pattern, name))
        })
    }

    /// The actions with which a request can have the attribute. That depends on what it stands
    /// for, and not on the key of a tag or the like.
    fn having(&mut self, attribute: &Attribute) -> DataActionSet {
        let Some(known) = attribute.known else {
            return DataActionSet::EMPTY;
        };
        *self
            .having
            .entry(known)
            .or_insert_with(|| those(|action| attributes::depends_on_request(action, attribute)))
    }
}

fn remembered(
    known: &mut HashMap<Box<str>, DataActionSet>,
    pattern: &str,
    wanted: impl Fn(DataAction) -> bool,
) -> DataActionSet {
    if let Some(set) = known.get(pattern) {
        return *set;
    }
    let set = those(wanted);
    known.insert(pattern.into(), set);
    set
}

fn those(wanted: impl Fn(DataAction) -> bool) -> DataActionSet {
    DataAction::ALL
        .iter()
        .copied()
        .filter(|action| wanted(*action))
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::abac::{self, Mode, Residual, Target};

    use super::*;

    #[test]
    fn what_is_left_is_the_same_for_all_actions_of_a_part() {
        let secrets = "Microsoft.KeyVault/vaults/secrets";
        for text in [
            format!("!(ActionMatches{{'{secrets}/getSecret/action'}})"),
            format!("ActionMatches{{'*/read'}} AND ActionMatches{{'{secrets}/*'}}"),
            "SubOperationMatches{'Secret.List*'} OR SubOperationMatches{'Key.Get'}".to_owned(),
            format!("Exists @Resource[{secrets}:name]"),
            format!("@Request[{secrets}:contentType] StringEquals 'a'"),
            "@Resource[Microsoft.KeyVault/vaults/keys:kty] StringEquals 'RSA' OR \
             @Environment[isPrivateLink] BoolEquals true"
                .to_owned(),
            "@Resource[Nobody.Knows/this] StringEquals 'a'".to_owned(),
        ] {
            let expr = abac::parse(&text, Mode::Compatible).expect(&text);
            let all = DataAction::ALL.iter().copied().collect();
            let mut parts = vec![all];
            Divider::default().divide(&expr, &mut parts);
            let whole = parts.iter().copied();
            assert_eq!(whole.fold(DataActionSet::EMPTY, DataActionSet::union), all);
            for part in parts {
                let mut left = part.iter().map(|action| {
                    let target = Target {
                        action: action.as_str(),
                        suboperations: attributes::suboperations_of(action),
                        can_have: &|attribute| attributes::depends_on_request(action, attribute),
                    };
                    Residual::specialise(&expr, &target)
                });
                let first = left.next().expect("no part is empty");
                assert!(left.all(|one| one == first), "{text}: {part:?}");
            }
        }
    }
}
