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
use crate::json::{Branch, JsonError, Level, Members, Name, Tree, occurs_twice};
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
        let mut kinds = None;
        loop {
            let name = match first.take() {
                Some(name) => name,
                None => match members.next_key_seed(Name)? {
                    Some(name) => name,
                    None => break,
                },
            };
            others.admit(&name)?;
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
