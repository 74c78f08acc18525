//! The attributes of an imagined request, from JSON.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::abac::vocabulary::{Known, ValueType};
use crate::abac::{self, Attribute, Attributes, Form, Lookup, Scalar, Source, Values};

/// What is wrong with a context.
#[derive(Debug, Error)]
pub(super) enum ContextError {
    #[error("the context is not of the expected form")]
    Form(#[from] serde_json::Error),
    #[error("`{source_name}` in the context has `{name}` twice; the case of names means nothing")]
    Twice {
        source_name: &'static str,
        name: String,
    },
    #[error(
        "`{source_name}` in the context has `{name}`: write the keys of a dictionary as an object, \
         such as \"{dictionary}\": {{\"key\": \"value\"}}"
    )]
    Key {
        source_name: &'static str,
        name: String,
        dictionary: String,
    },
    #[error(
        "`{source_name}` in the context: `{name}` holds {found}, where only text, numbers, \
         booleans, lists of them, and an object of these can be"
    )]
    Nested {
        source_name: &'static str,
        name: String,
        found: &'static str,
    },
}

/// A context as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    action: String,
    #[serde(default, rename = "subOperation")]
    suboperation: Option<String>,
    #[serde(default)]
    resource: Map<String, Value>,
    #[serde(default)]
    request: Map<String, Value>,
    #[serde(default)]
    principal: Map<String, Value>,
    #[serde(default)]
    environment: Map<String, Value>,
}

/// An imagined request.
pub(super) struct Imagined {
    action: String,
    suboperation: Option<String>,
    /// By source and name in lower case.
    attributes: HashMap<(Source, String), Value>,
}

impl Imagined {
    /// The request that `json` describes.
    pub(super) fn new(json: Value) -> Result<Self, ContextError> {
        let written = Written::deserialize(json)?;
        let mut attributes = HashMap::new();
        for (source, source_name, values) in [
            (Source::Resource, "resource", written.resource),
            (Source::Request, "request", written.request),
            (Source::Principal, "principal", written.principal),
            (Source::Environment, "environment", written.environment),
        ] {
            for (name, value) in values {
                check(source_name, &name, &value)?;
                let key = (source, name.to_ascii_lowercase());
                if attributes.insert(key, value).is_some() {
                    return Err(ContextError::Twice { source_name, name });
                }
            }
        }
        Ok(Self {
            action: written.action,
            suboperation: written.suboperation,
            attributes,
        })
    }

    /// What a condition is evaluated in.
    pub(super) fn as_context(&self) -> abac::Context<'_> {
        abac::Context {
            action: &self.action,
            suboperation: self.suboperation.as_deref(),
            attributes: self,
        }
    }

    fn get(&self, source: Source, name: &str) -> Option<&Value> {
        self.attributes.get(&(source, name.to_ascii_lowercase()))
    }
}

/// Refuses what no attribute can be.
fn check(source_name: &'static str, name: &str, value: &Value) -> Result<(), ContextError> {
    if let Some((dictionary, _)) = name.split_once("<$").or_else(|| name.split_once("&$")) {
        let dictionary = dictionary
            .split_once(':')
            .map_or(dictionary, |(path, _)| path);
        return Err(ContextError::Key {
            source_name,
            name: name.to_owned(),
            dictionary: dictionary.to_owned(),
        });
    }
    let nested = |name: String, found| ContextError::Nested {
        source_name,
        name,
        found,
    };
    if let Value::Object(entries) = value {
        return entries.iter().try_for_each(|(key, value)| {
            let name = format!("{name}.{key}");
            match value {
                Value::Object(_) => Err(nested(name, "an object in an object")),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => check_list(value).map_or(Ok(()), |(at, found)| {
                    Err(nested(format!("{name}[{at}]"), found))
                }),
            }
        });
    }
    check_list(value).map_or(Ok(()), |(at, found)| {
        Err(nested(format!("{name}[{at}]"), found))
    })
}

/// The first element of a list that cannot be in one.
fn check_list(value: &Value) -> Option<(usize, &'static str)> {
    let elements = value.as_array()?.iter().enumerate();
    elements
        .into_iter()
        .find_map(|(at, element)| match element {
            Value::Null => Some((at, "null")),
            Value::Array(_) => Some((at, "a list in a list")),
            Value::Object(_) => Some((at, "an object in a list")),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        })
}

impl Attributes for Imagined {
    fn look_up(&self, attribute: &Attribute) -> Lookup<'_> {
        let Attribute {
            source,
            path,
            form,
            known,
        } = attribute;
        let kind = Kind::of(*known);
        let dictionary = || self.get(*source, path).and_then(Value::as_object);
        let found: Vec<&Value> = match form {
            Form::Bare => self.get(*source, path).into_iter().collect(),
            Form::Name(name) => self
                .get(*source, &format!("{path}:{name}"))
                .map(|value| vec![value])
                .or_else(|| {
                    let entries = dictionary()?.iter();
                    let named = entries.filter(|(key, _)| key.eq_ignore_ascii_case(name));
                    Some(named.map(|(_, value)| value).collect())
                })
                .unwrap_or_default(),
            Form::Key(key) => {
                let entries = dictionary();
                entries
                    .and_then(|entries| entries.get(&**key))
                    .into_iter()
                    .collect()
            }
            Form::Keys => {
                let keys = dictionary().into_iter().flat_map(Map::keys);
                return found(keys.map(|key| Scalar::Text(Cow::Borrowed(key))).collect());
            }
        };
        let elements = found.into_iter().flat_map(|value| match value {
            Value::Array(elements) => elements.as_slice(),
            Value::Null => &[],
            Value::Object(entries) if entries.is_empty() => &[],
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                std::slice::from_ref(value)
            }
        });
        self::found(elements.map(|value| scalar(value, kind)).collect())
    }
}

fn found(mut scalars: Vec<Scalar<'_>>) -> Lookup<'_> {
    match scalars.len() {
        0 => Lookup::Missing,
        1 => scalars
            .pop()
            .map_or(Lookup::Missing, |scalar| Lookup::Found(Values::One(scalar))),
        _ => Lookup::Found(Values::Many(scalars)),
    }
}

/// What the text of an attribute stands for in a request.
#[derive(Clone, Copy)]
enum Kind {
    DateTime,
    Guid,
    Name,
    Text,
}

impl Kind {
    fn of(known: Option<Known>) -> Self {
        match known.and_then(Known::value_type) {
            Some(ValueType::DateTime) => Self::DateTime,
            Some(ValueType::Guid) => Self::Guid,
            _ if known.is_some_and(Known::is_name) => Self::Name,
            _ => Self::Text,
        }
    }
}

/// A value as a request has it. What does not fit stays as it is, so that the comparison is
/// undefined as it would be in Azure.
fn scalar(value: &Value, kind: Kind) -> Scalar<'_> {
    match value {
        Value::String(text) => {
            let converted = match kind {
                Kind::DateTime => text.parse().ok().map(Scalar::DateTime),
                Kind::Guid => text.parse().ok().map(Scalar::Guid),
                Kind::Name => Some(Scalar::Name(Cow::Borrowed(text))),
                Kind::Text => None,
            };
            converted.unwrap_or(Scalar::Text(Cow::Borrowed(text)))
        }
        Value::Bool(value) => Scalar::Boolean(*value),
        Value::Number(number) => number.as_i64().map_or(Scalar::Other, Scalar::Integer),
        Value::Null | Value::Array(_) | Value::Object(_) => Scalar::Other,
    }
}
