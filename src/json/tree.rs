//! A JSON value that borrows the texts of its document: role data, of which there may be a
//! gigabyte, and of which little is kept.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{JsonError, Level, occurs_twice};

/// How many members an object has before they are looked up by their hashes.
const FEW: usize = 32;

/// A JSON value, read as strictly as [`super::Json`]. Numbers are checked and not kept.
pub(crate) enum Tree<'text> {
    /// `[…]`
    Array(Vec<Self>),
    /// `true` or `false`
    Bool(bool),
    /// `null`
    Null,
    /// A number.
    Number,
    /// `{…}`
    Object(Members<'text>),
    /// `"…"`
    String(Cow<'text, str>),
}

/// The members of an object, in the order of the document, each name once.
#[derive(Default)]
pub(crate) struct Members<'text>(Vec<(Cow<'text, str>, Tree<'text>)>);

/// The names an object has had so far, once there are many.
#[derive(Default)]
pub(crate) struct Names<'text>(HashSet<Cow<'text, str>>);

impl<'text> Tree<'text> {
    /// Reads one value and nothing after it but white space.
    ///
    /// # Errors
    /// [`JsonError`] as [`super::Json::parse`] has it.
    pub(crate) fn parse(text: &'text str) -> Result<Self, JsonError> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let tree = Branch(Level::TOP).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(tree)
    }

    /// What an error calls such a value.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Array(_) => "a list",
            Self::Bool(_) => "a boolean",
            Self::Null => "null",
            Self::Number => "a number",
            Self::Object(_) => "an object",
            Self::String(_) => "a text",
        }
    }
}

impl fmt::Debug for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl<'text> Members<'text> {
    /// The members in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Tree<'text>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Adds a member whose name [`Names::admit`] has let in.
    pub(crate) fn push(&mut self, name: Cow<'text, str>, value: Tree<'text>) {
        if self.0.capacity() == 0 {
            // Entries have about as many.
            self.0.reserve(18);
        }
        self.0.push((name, value));
    }
}

impl<'text> Names<'text> {
    /// Refuses a name that is among `members`, all of which have been let in here.
    #[expect(
        clippy::ptr_arg,
        reason = "a borrowed name stays borrowed when it is kept"
    )]
    pub(crate) fn admit<E: Error>(
        &mut self,
        name: &Cow<'text, str>,
        members: &Members<'text>,
    ) -> Result<(), E> {
        let Self(names) = self;
        let mut known = members.0.iter().map(|(known, _)| known);
        let is_new = if members.0.len() < FEW {
            known.all(|known| known != name)
        } else {
            if names.is_empty() {
                names.extend(known.cloned());
            }
            names.insert(name.clone())
        };
        if is_new {
            Ok(())
        } else {
            Err(occurs_twice(name))
        }
    }
}

impl fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
}

/// Reads a [`Tree`] at a level.
#[derive(Clone, Copy)]
pub(crate) struct Branch(pub(crate) Level);

impl<'de> DeserializeSeed<'de> for Branch {
    type Value = Tree<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Branch {
    type Value = Tree<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree<'de>, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number)
    }

    fn visit_u64<E>(self, _value: u64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree<'de>, E> {
        if value.is_finite() {
            Ok(Tree::Number)
        } else {
            Err(E::custom("a number is not finite"))
        }
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Tree<'de>, E> {
        Ok(Tree::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree<'de>, E> {
        Ok(Tree::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree<'de>, A::Error> {
        let inside = Self(self.0.inside()?);
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Tree::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree<'de>, A::Error> {
        let inside = Self(self.0.inside()?);
        let mut object = Members::default();
        let mut names = Names::default();
        while let Some(name) = members.next_key_seed(Name)? {
            names.admit(&name, &object)?;
            object.push(name, members.next_value_seed(inside)?);
        }
        Ok(Tree::Object(object))
    }
}

/// Reads the name of a member.
#[derive(Clone, Copy)]
pub(crate) struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use crate::json::Json;

    use super::*;

    /// The tree as [`Json`] writes it, save numbers.
    fn written(tree: &Tree<'_>) -> String {
        match tree {
            Tree::Array(items) => {
                items
                    .iter()
                    .map(written)
                    .fold(String::from("["), |a, b| a + &b)
                    + "]"
            }
            Tree::Bool(value) => value.to_string(),
            Tree::Null => "null".into(),
            Tree::Number => "0".into(),
            Tree::Object(members) => {
                let members = members.iter();
                let members = members.map(|(name, value)| format!("{name}:{},", written(value)));
                members.fold("{".to_owned(), |a, b| a + &b) + "}"
            }
            Tree::String(text) => format!("{text:?}"),
        }
    }

    #[test]
    fn what_one_reader_refuses_the_other_refuses_in_the_same_words() {
        let nested = "[".repeat(33) + &"]".repeat(33);
        let many: Vec<String> = (0..40).map(|n| format!("\"m{n}\":{n}")).collect();
        let many = many.join(",");
        for text in [
            r#"[{"properties":{"x":1,"condition":"a","condition":null}}]"#,
            r#"{"a":1,"\u0061":2}"#,
            &format!("{{{many},\"m7\":0}}"),
            &format!("{{{many},\"m39\":0}}"),
            &nested,
            "[] []",
            "[{]",
            "1e999",
            "01",
            "[1,]",
            "\"\\ud800\"",
            "\"\u{1}\"",
            "\u{feff}{}",
            "",
        ] {
            let refused = Json::parse(text.as_bytes()).unwrap_err();
            assert_eq!(Tree::parse(text).unwrap_err(), refused, "{text}");
        }
        assert!(Tree::parse(&format!("{{{many}}}")).is_ok());
    }

    #[test]
    fn values_keep_their_kinds_and_names_their_order() {
        let text = r#" {"b":[1,-1,1.5,true,null],"a":"\u00e9","\u0063":"d"} "#;
        let tree = Tree::parse(text).unwrap();
        let expected = r#"{b:[000truenull],a:"é",c:"d",}"#;
        assert_eq!(written(&tree), expected);
        assert_eq!(format!("{tree:?}"), "an object");
    }
}
