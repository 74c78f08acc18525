//! Every attribute of the vocabulary, held against every operation.
#![cfg(test)]

#[path = "support/facts.rs"]
mod facts;
#[path = "vocabulary/reference.rs"]
mod reference;
#[path = "vocabulary/world.rs"]
mod world;

use portcullis::abac::vocabulary::{Known, Origin, Part, Shape, ValueType};
use portcullis::abac::{Attribute, Attributes, Form, Lookup, Needs, Scalar, Source, Values};
use portcullis::attributes::{RequestAttributes, Stage, can_have};
use portcullis::keyvault::{DataAction, OperationKind};
use portcullis::principal::TokenGroups;

use world::{World, operation};

/// An attribute as a condition names it; of a dictionary, one key.
fn attribute(known: Known) -> Attribute {
    let (path, form) = match (known.path_and_name().split_once(':'), known.shape()) {
        (Some((path, name)), _) => (path, Form::Name(name.into())),
        (None, Shape::Dictionary(_)) => (known.path_and_name(), Form::Key("team".into())),
        (None, Shape::Custom) => (
            known.path_and_name(),
            Form::Name("Engineering_Project".into()),
        ),
        (None, Shape::One(_) | Shape::Many(_)) => (known.path_and_name(), Form::Bare),
    };
    named(known.source(), path, form)
}

fn named(source: Source, path: &str, form: Form) -> Attribute {
    Attribute {
        source,
        path: path.into(),
        known: Known::resolve(source, path, &form),
        form,
    }
}

/// Every way in which a request can come to be decided on.
fn requests() -> impl Iterator<Item = (OperationKind, DataAction, bool)> {
    OperationKind::ALL.iter().flat_map(|kind| {
        let actions = kind.row().data_actions.iter();
        actions.flat_map(|action| [(*kind, *action, false), (*kind, *action, true)])
    })
}

/// What is found in a request of which everything is known.
fn found(
    world: &World,
    request: (OperationKind, DataAction, bool),
    wanted: &Attribute,
) -> Option<Values<'static>> {
    looked_up(world, request, wanted, |lookup| match lookup {
        Lookup::Missing | Lookup::Unknown => None,
        Lookup::Found(values) => Some(world::owned(&values)),
        Lookup::Pending(needs) => panic!("{request:?}: {wanted:?} still needs {needs:?}"),
    })
}

fn is_unknown(
    world: &World,
    request: (OperationKind, DataAction, bool),
    wanted: &Attribute,
) -> bool {
    looked_up(world, request, wanted, |lookup| lookup == Lookup::Unknown)
}

fn looked_up<T>(
    world: &World,
    (kind, action, versioned): (OperationKind, DataAction, bool),
    wanted: &Attribute,
    read: impl FnOnce(Lookup<'_>) -> T,
) -> T {
    let operation = operation(kind, versioned);
    let facts = world.facts();
    let request = RequestAttributes {
        operation: &operation,
        action,
        facts: &facts,
        custom: Some(&world.custom),
    };
    read(request.look_up(wanted))
}

fn type_of(value: &Scalar<'_>) -> ValueType {
    match value {
        Scalar::Text(_) | Scalar::Name(_) => ValueType::String,
        Scalar::Integer(_) => ValueType::Integer,
        Scalar::Boolean(_) => ValueType::Boolean,
        Scalar::DateTime(_) => ValueType::DateTime,
        Scalar::Guid(_) => ValueType::Guid,
        Scalar::Other => panic!("no request has a value that nothing compares"),
    }
}

#[test]
fn every_attribute_is_found_in_some_request_and_has_its_type() {
    let world = World::new();
    for &known in Known::ALL {
        let wanted = attribute(known);
        assert_eq!(wanted.known, Some(known));
        let all: Vec<_> = requests()
            .filter_map(|request| found(&world, request, &wanted))
            .collect();
        assert!(!all.is_empty(), "{known} is never found");
        for values in all {
            let (values, is_list) = match values {
                Values::One(value) => (vec![value], false),
                Values::Many(values) => (values, true),
            };
            assert!(
                !values.is_empty() && (!is_list || known.is_list()),
                "{known}"
            );
            for value in values {
                // What is said about objects is made elsewhere.
                if !matches!(known.origin(), Origin::Body(..) | Origin::Metadata(..)) {
                    assert_eq!(matches!(value, Scalar::Name(_)), known.is_name(), "{known}");
                }
                if let Some(declared) = known.value_type() {
                    assert_eq!(type_of(&value), declared, "{known}");
                }
            }
        }
    }
}

#[test]
fn what_a_request_has_its_action_can_have() {
    let world = World::new();
    for &known in Known::ALL {
        let wanted = attribute(known);
        for request in requests() {
            if found(&world, request, &wanted).is_some() {
                assert!(can_have(request.1, &wanted), "{request:?} has {known}");
            }
        }
    }
}

#[test]
fn what_an_action_can_have_some_request_has() {
    let world = World::new();
    for &known in Known::ALL {
        let wanted = attribute(known);
        for &action in DataAction::ALL {
            let any = requests()
                .filter(|request| request.1 == action)
                .any(|request| found(&world, request, &wanted).is_some());
            assert_eq!(can_have(action, &wanted), any, "{action} and {known}");
        }
    }
}

#[test]
fn a_list_and_a_restore_have_no_name() {
    let world = World::new();
    let names = [
        Known::SecretName,
        Known::RequestedSecretName,
        Known::KeyName,
        Known::RequestedKeyName,
        Known::CertificateName,
        Known::RequestedCertificateName,
    ];
    for request in requests() {
        let label = request.0.as_label();
        let count = names
            .iter()
            .filter(|known| found(&world, request, &attribute(**known)).is_some())
            .count();
        let of_object = request.0.row().scope != portcullis::keyvault::OperationScope::Vault;
        assert_eq!(count, usize::from(of_object), "{label}");
    }
}

#[test]
fn names_of_secrets_are_where_azure_puts_them() {
    use DataAction as A;
    for (action, source) in [
        (A::SecretsGetSecret, Source::Resource),
        (A::SecretsReadMetadata, Source::Resource),
        (A::SecretsUpdate, Source::Resource),
        (A::SecretsDelete, Source::Resource),
        (A::SecretsBackup, Source::Resource),
        (A::SecretsRecover, Source::Resource),
        (A::SecretsPurge, Source::Resource),
        (A::SecretsSetSecret, Source::Request),
    ] {
        for known in [Known::SecretName, Known::RequestedSecretName] {
            let expected = known.source() == source;
            assert_eq!(can_have(action, &attribute(known)), expected, "{action}");
        }
    }
}

#[test]
fn what_nobody_has_read_is_pending_and_what_is_not_there_is_missing() {
    let world = World::new();
    for &known in Known::ALL {
        let wanted = attribute(known);
        for (kind, action, versioned) in requests() {
            let operation = operation(kind, versioned);
            let look = |body, metadata| {
                let mut facts = world.facts();
                facts.body = body;
                facts.metadata = metadata;
                let request = RequestAttributes {
                    operation: &operation,
                    action,
                    facts: &facts,
                    custom: None,
                };
                match request.look_up(&wanted) {
                    Lookup::Pending(needs) => Some(needs),
                    Lookup::Missing | Lookup::Unknown | Lookup::Found(_) => None,
                }
            };
            let later = found(&world, (kind, action, versioned), &wanted).is_some();
            let needs = (later && known.needs() != Needs::NOTHING).then_some(known.needs());
            assert_eq!(
                look(Stage::Unread, Stage::Unread),
                needs,
                "{kind:?} {known}"
            );
            assert_eq!(look(Stage::Absent, Stage::Absent), None, "{kind:?} {known}");
        }
    }
}

#[test]
fn names_are_resolved_in_any_case_and_others_not_at_all() {
    let resolve =
        |source, path: &str, name: &str| Known::resolve(source, path, &Form::Name(name.into()));
    let path = "MICROSOFT.keyvault/Vaults/SECRETS";
    assert_eq!(
        resolve(Source::Resource, path, "NAME"),
        Some(Known::SecretName)
    );
    assert_eq!(
        resolve(Source::Request, path, "Name"),
        Some(Known::RequestedSecretName)
    );
    assert_eq!(resolve(Source::Principal, path, "name"), None);
    assert_eq!(resolve(Source::Resource, path, "nam"), None);
    assert_eq!(resolve(Source::Resource, "", "name"), None);
    let environment = |name: &str| Known::resolve(Source::Environment, name, &Form::Bare);
    assert_eq!(environment("utcnow"), Some(Known::UtcNow));
    assert_eq!(environment("Microsoft.KeyVault/vaults/tags"), None);
}

#[test]
fn all_forms_of_a_dictionary_are_the_dictionary() {
    let world = World::new();
    let request = (
        OperationKind::SecretGet,
        DataAction::SecretsGetSecret,
        false,
    );
    let path = "Microsoft.KeyVault/vaults/secrets/tags";
    let look = |form| {
        let wanted = named(Source::Resource, path, form);
        assert_eq!(wanted.known, Some(Known::SecretTags));
        found(&world, request, &wanted)
    };
    let value = Some(Values::One(Scalar::Text("payments".into())));
    assert_eq!(look(Form::Key("team".into())), value);
    assert_eq!(look(Form::Key("Team".into())), None);
    assert_eq!(look(Form::Name("Team".into())), value);
    // Two tags of this name, in two cases: there is one, and nobody can say which is meant.
    let unclear = Some(Values::One(Scalar::Other));
    assert_eq!(look(Form::Name("env".into())), unclear);
    let keys = ["Env", "env", "team"].map(|key| Scalar::Text(key.into()));
    assert_eq!(look(Form::Keys), Some(Values::Many(keys.to_vec())));
    let bare = Known::resolve(Source::Resource, path, &Form::Bare);
    assert_eq!(bare, None);
}

#[test]
fn groups_that_the_token_does_not_tell_are_missing_not_none() {
    let mut world = World::new();
    world.blank.claims.groups = TokenGroups::Absent;
    let request = (
        OperationKind::SecretGet,
        DataAction::SecretsGetSecret,
        false,
    );
    assert_eq!(found(&world, request, &attribute(Known::GroupIds)), None);
}

#[test]
fn nobody_knows_in_which_ranges_a_client_without_an_address_is() {
    let request = (
        OperationKind::SecretGet,
        DataAction::SecretsGetSecret,
        false,
    );
    let mut world = World::new();
    let of_address = [Known::ClientAddress, Known::ClientRanges, Known::Subnet];
    for known in of_address {
        assert!(found(&world, request, &attribute(known)).is_some());
    }
    // A process on this machine.
    world.blank.connection.address = None;
    world.blank.connection.ranges = Vec::new();
    world.blank.connection.subnet = None;
    for known in of_address {
        // SECURITY: a condition that there be no such range must not be granted either.
        assert!(is_unknown(&world, request, &attribute(known)), "{known}");
    }
    // Who is known to be in none has none.
    world.blank.connection.address = Some([192, 0, 2, 1].into());
    for known in [Known::ClientRanges, Known::Subnet] {
        assert_eq!(found(&world, request, &attribute(known)), None, "{known}");
        assert!(!is_unknown(&world, request, &attribute(known)), "{known}");
    }
}

#[test]
fn a_property_has_the_same_type_wherever_it_occurs() {
    for &one in Known::ALL {
        for &other in Known::ALL {
            if let (Some(property), Some(same)) = (world::property(one), world::property(other))
                && property == same
            {
                assert_eq!(one.shape(), other.shape(), "{one} and {other}");
            }
        }
    }
    let current = Known::SecretIsCurrentVersion.origin();
    assert!(matches!(current, Origin::Metadata(_, Part::IsCurrent)));
}
