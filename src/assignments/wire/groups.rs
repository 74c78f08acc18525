//! The groups file: `{ "<principal object id>": ["<group object id>", …] }`.
//!
//! A value may also be Graph's answer to `getMemberObjects`, whole. The groups are transitive. A
//! principal that is absent, or whose value is null, is one whose groups are unknown; an empty
//! list says that there are none.
//!
//! Source: <https://learn.microsoft.com/graph/api/directoryobject-getmemberobjects>.

use crate::principal::{Guid, ObjectId};

use super::error::{EntryError, Place, WireError};
use super::fields::{EXPECTED_GUID, member};
use crate::json::{Members, Tree, shorten};

/// Whether this is a groups file: a member is named by a GUID.
pub(super) fn is_groups(object: &Members<'_>) -> bool {
    object.iter().any(|(key, _)| key.parse::<Guid>().is_ok())
}

/// Reads one member; `None` if its groups are unknown.
pub(super) fn read(
    name: &str,
    value: &Tree<'_>,
) -> Result<Option<(ObjectId, Vec<ObjectId>)>, WireError> {
    let refuse = |error| WireError::Entry {
        place: Place::Member(shorten(name).into()),
        error,
    };
    let principal = name
        .parse()
        .map_err(|_| refuse(wrong("name", EXPECTED_GUID, "another text")))?;
    if matches!(value, Tree::Null) {
        return Ok(None);
    }
    let items = list(value).map_err(refuse)?;
    let group = |(index, json): (usize, &Tree<'_>)| {
        let bad = |found| wrong(&format!("[{index}]"), EXPECTED_GUID, found);
        let Tree::String(text) = json else {
            return Err(bad(json.kind()));
        };
        text.parse().map_err(|_| bad("another text"))
    };
    let groups = items.iter().enumerate().map(group);
    let groups: Result<Vec<ObjectId>, _> = groups.collect();
    let mut groups = groups.map_err(refuse)?;
    groups.sort_unstable();
    groups.dedup();
    Ok(Some((principal, groups)))
}

fn list<'a>(value: &'a Tree<'a>) -> Result<&'a [Tree<'a>], EntryError> {
    if let Tree::Array(items) = value {
        return Ok(items);
    }
    let Tree::Object(answer) = value else {
        let expected = "a list of group object ids or Graph's `{\"value\": […]}`";
        return Err(wrong("value", expected, value.kind()));
    };
    // SECURITY: a missing group could let a deny assignment pass.
    if !matches!(member(answer, "@odata.nextLink"), Ok(None)) {
        let expected = "the whole answer, without a next page";
        return Err(wrong("@odata.nextLink", expected, "a next page"));
    }
    match member(answer, "value") {
        Ok(Some(Tree::Array(items))) => Ok(items),
        Ok(Some(other)) => Err(wrong("value", "a list", other.kind())),
        Ok(None) => Err(wrong("value", "a list", "nothing")),
        Err(()) => Err(EntryError::Ambiguous("value".into())),
    }
}

fn wrong(field: &str, expected: &str, found: &'static str) -> EntryError {
    EntryError::Wrong {
        field: field.into(),
        expected: expected.into(),
        found,
    }
}
