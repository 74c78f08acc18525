//! Properties of objects in bodies and in the vault's answers.

use std::collections::BTreeMap;

use crate::abac::vocabulary::Property;
use crate::abac::{Scalar, Values};
use crate::attributes::Properties;
use crate::json::Json;
use crate::keyvault::{ObjectType, Operation};

/// What the vault says.
pub(crate) fn of_object(_: ObjectType, object: &Json) -> Properties {
    read(object)
}

/// What a body says.
pub(crate) fn of_body(_: &Operation, body: &Json) -> Properties {
    read(body)
}

fn read(object: &Json) -> Properties {
    let mut properties = Properties {
        values: BTreeMap::new(),
        tags: BTreeMap::new(),
    };
    let Json::Object(members) = object else {
        return properties;
    };
    if let Some(Json::Object(tags)) = members.get("tags") {
        for (name, value) in tags {
            if let Some(text) = value.as_text() {
                properties.tags.insert(name.clone(), text.into());
            }
        }
    }
    if let Some(Json::Object(attributes)) = members.get("attributes")
        && let Some(Json::Bool(enabled)) = attributes.get("enabled")
    {
        let value = Values::One(Scalar::Boolean(*enabled));
        properties.values.insert(Property::Enabled, value);
    }
    properties
}
