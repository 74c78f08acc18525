//! Random conditions over a few attributes, and random values for those.

use portcullis::abac::vocabulary::Property;
use portcullis::abac::{Scalar, Values};
use portcullis::attributes::{CustomAttributes, Metadata, Properties};
use portcullis::rbac::ConditionText;

use crate::dice::Dice;

const LEAVES: &[&str] = &[
    "ActionMatches{'Microsoft.KeyVault/vaults/secrets/*'}",
    "ActionMatches{'*/read'}",
    "SubOperationMatches{'Secret.List'}",
    "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringEquals 'app'",
    "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringNotEquals 'app'",
    "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringEqualsIgnoreCase 'APP'",
    "@Resource[Microsoft.KeyVault/vaults/keys:name] StringLike 'a*'",
    "@Request[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'app'",
    "Exists @Resource[Microsoft.KeyVault/vaults/secrets:name]",
    "@Resource[Microsoft.KeyVault/vaults:name] StringEquals 'kv'",
    "@Resource[Microsoft.KeyVault/vaults:name] StringEquals 'other'",
    "@Environment[UtcNow] DateTimeLessThan '2027-01-15T08:00:05.0Z'",
    "@Principal[Microsoft.Directory/CustomSecurityAttributes/Id:Engineering_Project] \
     ForAnyOfAnyValues:StringEquals {'Baker', 'Cascade'}",
    "@Resource[Microsoft.KeyVault/vaults/secrets/tags:env<$key_case_sensitive$>] StringEquals 'prod'",
    "@Resource[Microsoft.KeyVault/vaults/secrets/tags&$keys$&] \
     ForAnyOfAnyValues:StringEquals {'env'}",
    "@Resource[Microsoft.KeyVault/vaults/secrets:enabled] BoolEquals true",
    "@Resource[Microsoft.KeyVault/vaults/keys:enabled] BoolEquals true",
    "@Request[Microsoft.KeyVault/vaults/secrets/tags:env<$key_case_sensitive$>] StringEquals 'prod'",
    "@Request[Microsoft.KeyVault/vaults/keys:enabled] BoolEquals true",
    "Exists @Request[Microsoft.KeyVault/vaults/secrets/tags:env<$key_case_sensitive$>]",
    "@Resource[Microsoft.KeyVault/vaults/secrets:colour] StringEquals 'red'",
    "Exists @Resource[Microsoft.KeyVault/vaults/secrets:colour]",
];

fn expression(dice: &mut Dice, depth: u64) -> String {
    if depth == 0 || dice.one_in(3) {
        return (*dice.pick(LEAVES)).to_owned();
    }
    let mut part = || expression(dice, depth - 1);
    let (first, second, third) = (part(), part(), part());
    match dice.below(8) {
        0 => format!("NOT ({first})"),
        1 | 2 => format!("({first}) OR ({second})"),
        3 => format!("({first}) AND ({second}) OR ({third})"),
        4 => format!("NOT (({first}) AND ({second}))"),
        // What the portal writes: it does not matter for other actions.
        5 | 6 => format!("!(ActionMatches{{'*/secrets/*'}}) OR ({first})"),
        _ => format!("({first}) AND ({second})"),
    }
}

pub(crate) fn condition(dice: &mut Dice, one_in: u64) -> Option<ConditionText> {
    if !dice.one_in(one_in) {
        return None;
    }
    let readable = !dice.one_in(10);
    Some(ConditionText {
        text: if readable || dice.one_in(2) {
            expression(dice, 2).into()
        } else {
            "@@@".into()
        },
        version: if readable {
            dice.pick(&[None, Some("2.0".into())]).clone()
        } else {
            dice.pick(&[Some("1.0".into()), Some("2.0".into())]).clone()
        },
    })
}

fn properties(dice: &mut Dice) -> Properties {
    let mut properties = Properties::default();
    if !dice.one_in(3) {
        let enabled = Scalar::Boolean(dice.one_in(2));
        properties
            .values
            .insert(Property::Enabled, Values::One(enabled));
    }
    if !dice.one_in(3) {
        let value = *dice.pick(&["prod", "Prod", "test"]);
        properties.tags.insert("env".into(), value.into());
    }
    properties
}

/// What there is to be fetched for a request.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) body: Option<Properties>,
    pub(crate) metadata: Option<Metadata>,
}

pub(crate) fn fetched(dice: &mut Dice) -> Fetched {
    Fetched {
        body: (!dice.one_in(4)).then(|| properties(dice)),
        metadata: (!dice.one_in(4)).then(|| Metadata {
            properties: properties(dice),
            version: None,
            is_current: Some(true),
        }),
    }
}

pub(crate) fn custom_attributes(dice: &mut Dice) -> CustomAttributes {
    let text = |text: &&'static str| Scalar::Text((*text).into());
    let values = match dice.below(3) {
        0 => Values::One(text(dice.pick(&["Baker", "baker"]))),
        1 => Values::Many(["Alpine", "Cascade"].iter().map(text).collect()),
        _ => Values::One(Scalar::Integer(3)),
    };
    CustomAttributes([("engineering_project".into(), values)].into())
}
