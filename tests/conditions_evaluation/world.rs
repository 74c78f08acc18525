//! Imagined requests: what their attributes are, and how the product is shown them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use portcullis::abac::{
    Attribute, Attributes, Context, Form, Lookup, Needs, Scalar, Source, Values,
};

/// A value, with points in time and GUIDs as texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Name(String),
    Integer(i64),
    Boolean(bool),
    DateTime(String),
    Guid(String),
    Other,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) action: &'static str,
    pub(crate) suboperation: Option<&'static str>,
    /// By source and name; later ones of the same name do not count.
    pub(crate) attributes: Vec<(Source, &'static str, Vec<Value>)>,
    /// By source, path and key.
    pub(crate) entries: Vec<(Source, &'static str, &'static str, Vec<Value>)>,
    /// Attributes nobody has looked at yet, as conditions write them in lower case.
    pub(crate) hidden: BTreeSet<String>,
}

impl World {
    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            action: self.action,
            suboperation: self.suboperation,
            attributes: self,
        }
    }

    /// What the attribute has; nothing if it is missing.
    pub(crate) fn values(&self, attribute: &Attribute) -> Vec<Cow<'_, Value>> {
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        let named = |name: &str| {
            let mut attributes = self.attributes.iter();
            attributes.find(|(source, known, _)| *source == attribute.source && same(known, name))
        };
        let entries = self.entries.iter().filter(|(source, path, ..)| {
            *source == attribute.source && same(path, &attribute.path)
        });
        match &attribute.form {
            Form::Bare => named(&attribute.path).map_or_else(Vec::new, |(.., v)| borrowed(v)),
            Form::Name(name) => {
                let name_of = format!("{}:{name}", attribute.path);
                named(&name_of).map_or_else(
                    || {
                        let wanted = entries.filter(|(_, _, key, _)| same(key, name));
                        wanted.flat_map(|(.., v)| borrowed(v)).collect()
                    },
                    |(.., v)| borrowed(v),
                )
            }
            Form::Key(key) => {
                let wanted = entries.filter(|(_, _, known, _)| *known == &**key);
                wanted.flat_map(|(.., v)| borrowed(v)).collect()
            }
            Form::Keys => entries
                .map(|(_, _, key, _)| Cow::Owned(Value::Text((*key).to_owned())))
                .collect(),
        }
    }

    pub(crate) fn is_hidden(&self, attribute: &Attribute) -> bool {
        !self.hidden.is_empty() && self.hidden.contains(&written(attribute))
    }
}

fn borrowed(values: &[Value]) -> Vec<Cow<'_, Value>> {
    values.iter().map(Cow::Borrowed).collect()
}

/// An attribute as conditions write it, in lower case.
pub(crate) fn written(attribute: &Attribute) -> String {
    attribute.to_string().to_ascii_lowercase()
}

/// What would have to be fetched for an attribute, by chance but always the same.
fn needs(attribute: &Attribute) -> Needs {
    match attribute.path.len() % 3 {
        0 => Needs::BODY,
        1 => Needs::METADATA,
        _ => Needs::CURRENT_VERSION,
    }
}

impl Attributes for World {
    fn look_up(&self, attribute: &Attribute) -> Lookup<'_> {
        if self.is_hidden(attribute) {
            return Lookup::Pending(needs(attribute));
        }
        let mut scalars: Vec<Scalar<'_>> = self
            .values(attribute)
            .iter()
            .map(|value| scalar(value))
            .collect();
        match scalars.len() {
            0 => Lookup::Missing,
            1 => Lookup::Found(Values::One(scalars.remove(0))),
            _ => Lookup::Found(Values::Many(scalars)),
        }
    }
}

fn scalar(value: &Value) -> Scalar<'static> {
    match value {
        Value::Text(text) => Scalar::Text(Cow::Owned(text.clone())),
        Value::Name(name) => Scalar::Name(Cow::Owned(name.clone())),
        Value::Integer(number) => Scalar::Integer(*number),
        Value::Boolean(value) => Scalar::Boolean(*value),
        Value::DateTime(text) => Scalar::DateTime(text.parse().unwrap()),
        Value::Guid(text) => Scalar::Guid(text.parse().unwrap()),
        Value::Other => Scalar::Other,
    }
}
