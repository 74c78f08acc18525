//! Reading what large files are without holding it: lists of entries, pages of entries, lists of
//! pages, and groups. One entry is read, understood and let go before the next.
//!
//! Whatever else a file may be, and whatever is wrong with it, is left to [`super::Reader`], which
//! then sees the file whole. So this must take nothing that the other would refuse or understand
//! otherwise; a test holds them against each other.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::kind::Kind;
use super::{Page, Reader, groups};
use crate::json::{Branch, JsonError, Level, Members, Name, Names, Tree, occurs_twice};
use crate::principal::Guid;

/// Reads `text` into `reader`.
///
/// # Errors
/// For everything that has to be seen whole. What `reader` has then counts for nothing.
pub(super) fn read(text: &str, reader: &mut Reader) -> Result<(), JsonError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let document = Document {
        reader,
        level: Level::TOP,
    };
    deserializer.deserialize_any(document)?;
    deserializer.end()?;
    Ok(())
}

/// To be seen whole.
fn odd<E: Error>() -> E {
    E::custom("not a list, a page or groups")
}

/// The outermost list or object.
struct Document<'r> {
    reader: &'r mut Reader,
    level: Level,
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { reader, level } = self;
        let level = level.inside()?;
        let mut pages: Vec<Page> = Vec::new();
        loop {
            let page = Some(pages.len());
            let item = Item {
                reader: &mut *reader,
                page,
                level,
            };
            match items.next_element_seed(item)? {
                None => break,
                Some(Found::Page(page)) => pages.push(page),
                // Not all are pages, so all are entries.
                Some(Found::Other(_)) if !pages.is_empty() => return Err(odd()),
                Some(Found::Other(members)) => {
                    reader.entry(None, 0, &Tree::Object(members));
                    return entries(reader, None, 1, level, items).map(drop);
                }
            }
        }
        for (at, page) in pages.iter().enumerate() {
            reader.completeness(Some(at), page, pages.get(at + 1));
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { reader, level } = self;
        let level = level.inside()?;
        let Some(name) = members.next_key_seed(Name)? else {
            return Err(odd());
        };
        if name.parse::<Guid>().is_ok() {
            return groups_from(reader, level, name, members);
        }
        let item = Item {
            reader: &mut *reader,
            page: None,
            level,
        };
        match item.members(Some(name), members)? {
            Found::Page(page) => {
                reader.completeness(None, &page, None);
                Ok(())
            }
            Found::Other(_) => Err(odd()),
        }
    }
}

/// Reads the members of a groups file, from the first one's value on.
fn groups_from<'de, A: MapAccess<'de>>(
    reader: &mut Reader,
    level: Level,
    mut name: Cow<'de, str>,
    mut members: A,
) -> Result<(), A::Error> {
    let mut names = HashSet::new();
    loop {
        if name.eq_ignore_ascii_case("value") {
            // It may be a page.
            return Err(odd());
        }
        if !names.insert(name.clone()) {
            return Err(occurs_twice(&name));
        }
        let value = members.next_value_seed(Branch(level))?;
        match groups::read(&name, &value) {
            Ok(read) => reader.parsed.groups.extend(read),
            Err(error) => reader.errors.push(error),
        }
        match members.next_key_seed(Name)? {
            None => return Ok(()),
            Some(next) => name = next,
        }
    }
}

/// Reads the entries that are left of a list.
fn entries<'de, A: SeqAccess<'de>>(
    reader: &mut Reader,
    page: Option<usize>,
    first: usize,
    level: Level,
    mut items: A,
) -> Result<BTreeSet<Kind>, A::Error> {
    let mut kinds = BTreeSet::new();
    let mut index = first;
    while let Some(entry) = items.next_element_seed(Branch(level))? {
        if !matches!(entry, Tree::Object(_)) {
            return Err(odd());
        }
        kinds.extend(reader.entry(page, index, &entry));
        index += 1;
    }
    Ok(kinds)
}

/// An object that may be a page.
struct Item<'r> {
    reader: &'r mut Reader,
    page: Option<usize>,
    level: Level,
}

/// What it is.
enum Found<'de> {
    Page(Page),
    Other(Members<'de>),
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, members: A) -> Result<Self::Value, A::Error> {
        self.level = self.level.inside()?;
        self.members(None, members)
    }
}

impl Item<'_> {
    /// Reads the members, of which `first` is a name that was read already. The level is theirs.
    fn members<'de, A: MapAccess<'de>>(
        self,
        mut first: Option<Cow<'de, str>>,
        mut members: A,
    ) -> Result<Found<'de>, A::Error> {
        let mut others = Members::default();
        let mut names = Names::default();
        let mut kinds = None;
        loop {
            let name = match first.take() {
                Some(name) => name,
                None => match members.next_key_seed(Name)? {
                    Some(name) => name,
                    None => break,
                },
            };
            names.admit(&name, &others)?;
            if name.eq_ignore_ascii_case("value") {
                let page = Value {
                    reader: &mut *self.reader,
                    page: self.page,
                    level: self.level,
                };
                let found = members.next_value_seed(page)?;
                if kinds.replace(found).is_some() {
                    return Err(odd());
                }
            } else {
                others.push(name, members.next_value_seed(Branch(self.level))?);
            }
        }
        Ok(match kinds {
            Some(kinds) => Found::Page(Page::of(kinds, &others)),
            None => Found::Other(others),
        })
    }
}

/// The list of entries of a page.
struct Value<'r> {
    reader: &'r mut Reader,
    page: Option<usize>,
    level: Level,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = BTreeSet<Kind>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = BTreeSet<Kind>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        let level = self.level.inside()?;
        entries(self.reader, self.page, 0, level, items)
    }
}

#[cfg(test)]
mod tests {
    use crate::assignments::wire::{Parsed, WireErrors};

    use super::*;

    const ENTRY: &str = r#"{"name":"7c1f4f3e-93a1-4d52-8a4e-0c6b1d2e3f40","type":"Microsoft.Authorization/roleAssignments","properties":{"scope":"/subscriptions/s","principalId":"0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b","principalType":"User","roleDefinitionId":"4633458b-17de-408a-b874-0445c86b69e6","condition":null}}"#;

    fn streamed(text: &str) -> Option<Result<Parsed, WireErrors>> {
        let mut reader = Reader::default();
        read(text, &mut reader).ok()?;
        Some(reader.finish())
    }

    fn whole(text: &str) -> Option<Result<Parsed, WireErrors>> {
        let mut reader = Reader::default();
        reader.document(&Tree::parse(text).ok()?);
        Some(reader.finish())
    }

    /// Documents of every shape around an entry, most of them wrong.
    fn documents() -> Vec<String> {
        let id = "0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b";
        let with_value = ENTRY.replacen('{', r#"{"value":[],"#, 1);
        let mut documents = Vec::new();
        for one in [ENTRY, &with_value, "null", "\"text\"", "7", "{}", "[]"] {
            for link in [
                "",
                r#","nextLink":"https://x/roleAssignments""#,
                r#","Value":[]"#,
            ] {
                let page = format!(r#"{{"value":[{one},{ENTRY}]{link}}}"#);
                let late = format!(r#"{{"a":[{{"b":{one}}}]{link},"value":[{one}]}}"#);
                documents.extend([
                    format!("[{page}]"),
                    format!("[{page},{late}]"),
                    format!("[{page},{ENTRY}]"),
                    format!("[{ENTRY},{page}]"),
                    format!(r#"{{"{id}":["{id}"],"x":{page}}}"#),
                    page,
                    late,
                ]);
            }
            documents.extend([
                one.to_owned(),
                format!("[{one}]"),
                format!("[{one},{one}]"),
                format!("[{with_value},{one}]"),
                format!("[{ENTRY},{one},{ENTRY}]"),
                format!(r#"{{"{id}":{one}}}"#),
                format!(r#"{{"{id}":["{id}"],"value":[{one}]}}"#),
                format!(r#"{{"{id}":["{id}"],"{id}":null}}"#),
                format!(r#"{{"value":{one}}}"#),
                format!(r#"{{"value":[{one}],"value":[{one}]}}"#),
                format!(r#"{{"error":{{"code":{one}}}}}"#),
                format!("[{one}"),
                format!("[{one}] x"),
            ]);
        }
        documents
    }

    #[test]
    fn what_is_read_in_passing_is_what_is_read_from_the_whole() {
        let documents = documents();
        let mut taken = 0;
        for document in &documents {
            if let Some(streamed) = streamed(document) {
                taken += 1;
                assert_eq!(Some(streamed), whole(document), "{document}");
            }
        }
        assert!(
            taken * 3 > documents.len(),
            "{taken} of {}",
            documents.len()
        );
    }

    #[test]
    fn lists_pages_and_groups_are_read_in_passing() {
        let id = "0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b";
        for document in [
            format!("[{ENTRY},{ENTRY}]"),
            format!(r#"{{"value":[{ENTRY}]}}"#),
            format!(r#"[{{"value":[{ENTRY}],"nextLink":null}},{{"value":[]}}]"#),
            format!(r#"{{"{id}":["{id}"]}}"#),
            "[]".to_owned(),
        ] {
            assert!(
                streamed(&document).is_some_and(|read| read.is_ok()),
                "{document}"
            );
        }
    }
}
