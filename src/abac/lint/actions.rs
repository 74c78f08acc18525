//! Lints that look at a condition from the side of the data actions.

use std::collections::BTreeMap;

use super::walk::{Request, attributes, leaves, matching};
use super::{Knowledge, Lint, Warning};
use crate::abac::expr::{Attribute, Expr, Source};
use crate::abac::vocabulary::{Known, Origin};
use crate::keyvault::{DataAction, DataActionSet, OperationKind};

/// Actions that give the same in different ways.
const EQUIVALENT: &[&[DataAction]] = &[
    // A backup can be restored into a vault of one's own.
    &[DataAction::SecretsGetSecret, DataAction::SecretsBackup],
    &[DataAction::KeysDecrypt, DataAction::KeysUnwrap],
    &[DataAction::KeysEncrypt, DataAction::KeysWrap],
    &[DataAction::SecretsSetSecret, DataAction::SecretsRestore],
    &[
        DataAction::KeysCreate,
        DataAction::KeysImport,
        DataAction::KeysRestore,
    ],
    &[
        DataAction::CertificatesCreate,
        DataAction::CertificatesImport,
        DataAction::CertificatesRestore,
    ],
];

/// The traps that `expr` is for some data actions.
pub(super) fn lint(expr: &Expr, knowledge: &Knowledge<'_>) -> Vec<Warning> {
    let leaves = leaves(expr);
    let patterns = || leaves.iter().filter_map(|leaf| leaf.pattern());
    let named: DataActionSet = patterns().flat_map(matching).collect();
    let guarded = patterns().next().is_some();
    // Some data actions exist on paper only; no request needs them.
    let served: DataActionSet = OperationKind::ALL
        .iter()
        .flat_map(|kind| kind.row().data_actions)
        .copied()
        .collect();
    let held = match knowledge.held {
        Some(held) => served.minus(served.minus(held)),
        None => served,
    };
    let mut warnings = Vec::new();
    if guarded {
        warnings.extend(equivalents(expr, held));
    } else {
        warnings.extend(no_guard(expr, knowledge, held));
    }
    // Without a guard, only the role says which requests the condition is for.
    let concerned = match (guarded, knowledge.held) {
        (true, _) => named,
        (false, Some(_)) => held,
        (false, None) => DataActionSet::EMPTY,
    };
    let concerned = concerned.iter().filter(|action| held.contains(*action));
    warnings.extend(absent(expr, knowledge, concerned));
    warnings
}

/// Actions that do not have an attribute and that no guard exempts.
fn no_guard(expr: &Expr, knowledge: &Knowledge<'_>, held: DataActionSet) -> Option<Warning> {
    let lacking = held.iter().find_map(|action| {
        let leaves = leaves(expr);
        let lacking = leaves
            .iter()
            .flat_map(|leaf| attributes(leaf.expr))
            .find(|attribute| !(knowledge.can_have)(action, attribute))?;
        Some(format!("{action} does not have {lacking}"))
    });
    lacking.map(|detail| Warning::new(Lint::NoGuard, expr, detail))
}

/// Every kind of request with `action`.
fn requests(action: DataAction, knowledge: &Knowledge<'_>) -> impl Iterator<Item = Request> {
    let suboperations = (knowledge.suboperations)(action).iter().copied().map(Some);
    std::iter::once(None)
        .chain(suboperations)
        .map(move |suboperation| Request {
            action,
            suboperation,
        })
}

/// Attributes that requests do not have, with the actions of these requests.
fn absent(
    expr: &Expr,
    knowledge: &Knowledge<'_>,
    actions: impl Iterator<Item = DataAction>,
) -> Vec<Warning> {
    let mut found: BTreeMap<(Lint, String), Vec<&'static str>> = BTreeMap::new();
    for request in actions.flat_map(|action| requests(action, knowledge)) {
        for attribute in request.reached(expr).into_iter().flat_map(attributes) {
            if let Some(lint) = trap(request, attribute, knowledge) {
                let actions = found.entry((lint, attribute.to_string())).or_default();
                let name = if lint == Lint::ObjectAttributeOnList {
                    request.suboperation.unwrap_or_default()
                } else {
                    request.action.as_str()
                };
                if !actions.contains(&name) {
                    actions.push(name);
                }
            }
        }
    }
    let warning = |((lint, attribute), actions): ((Lint, String), Vec<&str>)| {
        Warning::new(lint, &attribute, format!("for {}", actions.join(", ")))
    };
    found.into_iter().map(warning).collect()
}

fn trap(request: Request, attribute: &Attribute, knowledge: &Knowledge<'_>) -> Option<Lint> {
    let known = attribute.known?;
    if !(knowledge.can_have)(request.action, attribute) {
        let in_other = other_source(attribute)
            .is_some_and(|other| (knowledge.can_have)(request.action, &other));
        return Some(if in_other {
            Lint::WrongSource
        } else {
            Lint::NeverPresent
        });
    }
    let of_object = matches!(known.origin(), Origin::Line(_) | Origin::Metadata(..))
        && super::walk::is_of_vault(known);
    let is_list = |name: &str| name.ends_with(".List") || name.ends_with(".ListDeleted");
    (of_object && request.suboperation.is_some_and(is_list)).then_some(Lint::ObjectAttributeOnList)
}

/// The attribute of the same name in the other of the two sources that concern the object.
fn other_source(attribute: &Attribute) -> Option<Attribute> {
    let source = match attribute.source {
        Source::Resource => Source::Request,
        Source::Request => Source::Resource,
        Source::Principal | Source::Environment => return None,
    };
    let known = Known::resolve(source, &attribute.path, &attribute.form)?;
    Some(Attribute {
        source,
        known: Some(known),
        ..attribute.clone()
    })
}

fn equivalents(expr: &Expr, held: DataActionSet) -> Vec<Warning> {
    let is_exempt = |action: &DataAction| {
        let request = Request {
            action: *action,
            suboperation: None,
        };
        request.settles(expr) == Some(true)
    };
    EQUIVALENT
        .iter()
        .filter_map(|group| {
            let (exempt, bound): (Vec<&DataAction>, Vec<_>) = group
                .iter()
                .filter(|action| held.contains(**action))
                .partition(|action| is_exempt(action));
            let (first, exempt) = (bound.first()?, exempt.first()?);
            let detail = format!("{first} is bound by it, {exempt} is not");
            let lint = Lint::EquivalentActionLeftOut;
            Some(Warning::new(lint, expr, detail))
        })
        .collect()
}
