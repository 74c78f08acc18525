//! What is left of conditions, by example.

use portcullis::abac::{
    Attribute, Attributes, Lookup, Mode, Needs, Pending, Residual, Scalar, Target, Truth, Values,
    parse,
};

const GET: &str = "Microsoft.KeyVault/vaults/secrets/getSecret/action";
const LIST: &str = "Microsoft.KeyVault/vaults/secrets/readMetadata/action";
const NAME: &str = "@Resource[Microsoft.KeyVault/vaults/secrets:name]";

/// Every attribute has this value, or none.
struct Everything(Option<Scalar<'static>>);

impl Attributes for Everything {
    fn look_up(&self, _attribute: &Attribute) -> Lookup<'_> {
        self.0
            .clone()
            .map_or(Lookup::Missing, |value| Lookup::Found(Values::One(value)))
    }
}

fn text(value: &'static str) -> Everything {
    Everything(Some(Scalar::Text(value.into())))
}

/// What is left for requests that can have every attribute, or none.
fn left_of(condition: &str, action: &str, can_have: bool) -> Residual {
    let expr = parse(condition, Mode::Compatible).unwrap();
    let target = Target {
        action,
        suboperations: &[],
        can_have: &|_| can_have,
    };
    Residual::specialise(&expr, &target)
}

fn blamed(residual: &Residual, attributes: &Everything) -> (String, Option<String>) {
    let blame = residual.blame(None, attributes).unwrap();
    (blame.expression.into(), blame.missing.map(Into::into))
}

#[test]
fn an_action_that_is_not_targeted_leaves_nothing_to_ask() {
    let guarded = format!("!(ActionMatches{{'{GET}'}}) OR {NAME} StringStartsWith 'app-'");
    let other = left_of(&guarded, LIST, true);
    assert_eq!(other, Residual::constant(Truth::True));
    let bare = left_of(&format!("{NAME} StringStartsWith 'app-'"), GET, true);
    assert_eq!(left_of(&guarded, GET, true), bare);
    assert_eq!(bare.as_constant(), None);
}

#[test]
fn an_attribute_that_a_request_never_has_is_blamed() {
    let residual = left_of(&format!("NOT {NAME} StringStartsWith 'app-'"), LIST, false);
    assert_eq!(residual.as_constant(), Some(Truth::Undefined));
    let (expression, missing) = blamed(&residual, &Everything(None));
    assert!(
        expression.contains("StringStartsWith 'app-'"),
        "{expression}"
    );
    assert_eq!(missing.as_deref(), Some(NAME));
}

#[test]
fn the_test_is_blamed_and_not_its_guard() {
    let guarded = format!(
        "!(ActionMatches{{'{GET}'}} AND NOT SubOperationMatches{{'Secret.List'}}) OR \
         ({NAME} StringEquals 'a' AND NOT {NAME} StringEquals 'b')"
    );
    let residual = left_of(&guarded, GET, true);
    let (expression, missing) = blamed(&residual, &text("c"));
    assert_eq!(
        (expression, missing),
        (format!("{NAME} StringEquals 'a'"), None)
    );
    let not_b = left_of(&format!("NOT {NAME} StringEquals 'b'"), GET, true);
    let (expression, _) = blamed(&not_b, &text("b"));
    let negated = parse(&expression, Mode::Strict).unwrap();
    assert_eq!(left_of(&negated.to_string(), GET, true), not_b);
}

#[test]
fn a_name_in_another_case_passes_no_test_that_case_decides() {
    for condition in [
        "StringEquals 'prod-db'",
        "StringNotEquals 'prod-db'",
        "StringStartsWith 'prod-'",
        "StringNotStartsWith 'prod-'",
        "StringLike 'prod-*'",
        "StringNotLike 'prod-*'",
        "ForAnyOfAnyValues:StringNotEquals {'prod-db'}",
    ] {
        let name = Everything(Some(Scalar::Name("PROD-db".into())));
        for negation in ["", "NOT "] {
            let residual = left_of(&format!("{negation}{NAME} {condition}"), GET, true);
            assert_eq!(
                residual.evaluate(None, &name),
                Truth::Undefined,
                "{negation}{condition}"
            );
        }
    }
}

#[test]
fn joining_folds_what_is_constant() {
    let [yes, no, undefined] =
        [Truth::True, Truth::False, Truth::Undefined].map(Residual::constant);
    let test = left_of(&format!("{NAME} StringEquals 'a'"), GET, true);
    assert_eq!(Residual::all([]), yes);
    assert_eq!(Residual::any([]), no);
    assert_eq!(Residual::all([yes.clone(), test.clone()]), test);
    assert_eq!(Residual::any([no.clone(), test.clone()]), test);
    assert_eq!(Residual::all([test.clone(), no.clone()]), no);
    assert_eq!(Residual::any([test.clone(), yes.clone()]), yes);
    let half = Residual::all([undefined.clone(), test.clone(), undefined.clone()]);
    assert_eq!(half.as_constant(), None);
    assert_eq!(half, Residual::all([undefined, Residual::all([test])]));
    assert_eq!(half.evaluate(None, &text("a")), Truth::Undefined);
    assert_eq!(half.evaluate(None, &text("b")), Truth::False);
    assert_eq!(half.needs(), Needs::NOTHING);
}

#[test]
fn a_constant_is_never_pending() {
    let residual = Residual::constant(Truth::Pending(Pending::on(Needs::BODY)));
    assert_eq!(residual.as_constant(), Some(Truth::Undefined));
    assert_eq!(residual.blame(None, &Everything(None)), None);
}

/// The name of the object is in this request, its tags are yet to be fetched, and that is all.
struct BeforeFetching(&'static str);

impl Attributes for BeforeFetching {
    fn look_up(&self, attribute: &Attribute) -> Lookup<'_> {
        match attribute.to_string().as_str() {
            NAME => Lookup::Found(Values::One(Scalar::Name(self.0.into()))),
            TAG => Lookup::Pending(Needs::METADATA),
            _ => Lookup::Missing,
        }
    }
}

const TAG: &str = "@Resource[Microsoft.KeyVault/vaults/secrets/tags:env<$key_case_sensitive$>]";
const LENGTH: &str = "@Request[Microsoft.KeyVault/vaults/secrets:valueLength]";

#[test]
fn what_is_not_known_yet_is_not_blamed() {
    let (tag, name) = (
        format!("{TAG} StringEquals 'prod'"),
        format!("{NAME} StringEquals 'a'"),
    );
    let length = format!("{LENGTH} NumericLessThan 9");
    for (condition, expression, missing) in [
        (format!("{tag} AND {name}"), &name, None),
        (format!("NOT ((NOT {tag}) OR (NOT {name}))"), &name, None),
        // Nor is what cannot be said, where something is plainly false.
        (format!("{length} AND {name}"), &name, None),
        (format!("{name} OR {length}"), &length, Some(LENGTH)),
        // Nobody can say, whatever is fetched.
        (format!("{tag} AND {length}"), &length, Some(LENGTH)),
    ] {
        let residual = left_of(&condition, GET, true);
        let blame = residual.blame(None, &BeforeFetching("b")).unwrap();
        assert_eq!(*blame.expression, **expression, "{condition}");
        assert_eq!(blame.missing.as_deref(), missing, "{condition}");
    }
}

#[test]
fn more_may_be_pending_than_can_change_the_outcome() {
    let tag = format!("{TAG} StringEquals 'prod'");
    let length = format!("{LENGTH} NumericLessThan 9");
    for (condition, may_hold, may_fail) in [
        (tag.clone(), true, true),
        (format!("{tag} AND {length}"), false, true),
        (format!("{tag} OR {length}"), true, false),
        (format!("NOT ({tag} AND {length})"), true, false),
        (format!("({tag} AND {length}) OR {tag}"), true, true),
        (format!("({tag} AND {length}) OR {length}"), false, false),
    ] {
        let residual = left_of(&condition, GET, true);
        let truth = residual.evaluate(None, &BeforeFetching("b"));
        let tags = |may: bool| may.then_some(Needs::METADATA);
        let expected = (tags(may_hold), tags(may_fail));
        let found = match truth {
            Truth::Pending(pending) => (pending.to_hold(), pending.to_fail()),
            Truth::True | Truth::False | Truth::Undefined => (None, None),
        };
        assert_eq!(found, expected, "{condition}: {truth:?}");
    }
}
