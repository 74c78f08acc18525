//! One object of an export, read field by field.
//!
//! Azure's own answers nest the fields in `properties`, the command line tools do not, and
//! PowerShell writes them in Pascal case: a field is looked up without case in both places.
//! `null` means missing everywhere.

use std::str::FromStr;
use std::sync::Arc;

use crate::principal::Guid;
use crate::rbac::{ConditionText, Permission, Scope};

use super::error::EntryError;
use super::time;
use crate::json::{Members, Tree, shorten};

/// What a GUID looks like, for errors.
pub(super) const EXPECTED_GUID: &str = "a GUID such as `0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b`";

/// How errors name a text that does not have the expected form.
const ANOTHER_TEXT: &str = "another text";

/// An object whose fields may be nested.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// Where in the entry this object is, such as `permissions[0].`; empty for the entry itself.
    prefix: String,
    outer: &'a Members<'a>,
    nested: Option<&'a Members<'a>>,
}

impl<'a> Fields<'a> {
    /// Views an entry.
    pub(super) fn of_entry(json: &'a Tree<'a>) -> Result<Self, EntryError> {
        let mut fields = Self::of_object(json, String::new())?;
        fields.nested = match fields.find_outer("properties")? {
            None => None,
            Some(Tree::Object(object)) => Some(object),
            Some(other) => return Err(fields.wrong("properties", "an object", other.kind())),
        };
        Ok(fields)
    }

    fn of_object(json: &'a Tree<'a>, prefix: String) -> Result<Self, EntryError> {
        let Tree::Object(outer) = json else {
            return Err(EntryError::NotAnObject(json.kind()));
        };
        Ok(Self {
            prefix,
            outer,
            nested: None,
        })
    }

    /// Whether the field is written at all, be it as null.
    pub(super) fn has(&self, name: &str) -> bool {
        let written =
            |object: &Members<'_>| object.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        written(self.outer) || self.nested.is_some_and(written)
    }

    /// Whether the field is there and not null.
    pub(super) fn is_given(&self, name: &str) -> Result<bool, EntryError> {
        self.find(name).map(|found| found.is_some())
    }

    fn find_outer(&self, name: &str) -> Result<Option<&'a Tree<'a>>, EntryError> {
        member(self.outer, name).map_err(|()| EntryError::Ambiguous(self.path(name)))
    }

    fn find(&self, name: &str) -> Result<Option<&'a Tree<'a>>, EntryError> {
        let ambiguous = || EntryError::Ambiguous(self.path(name));
        let nested = match self.nested {
            Some(object) => member(object, name).map_err(|()| ambiguous())?,
            None => None,
        };
        match (self.find_outer(name)?, nested) {
            // SECURITY: a condition beside an empty `properties` must not be overlooked.
            (Some(_), Some(_)) => Err(ambiguous()),
            (outer, nested) => Ok(outer.or(nested)),
        }
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, EntryError> {
        self.find(name)?
            .map(|json| self.as_text(name, json))
            .transpose()
    }

    /// A text of the entry itself, never of `properties`, which has a `type` of its own.
    pub(super) fn outer_text(&self, name: &str) -> Result<Option<&'a str>, EntryError> {
        self.find_outer(name)?
            .map(|json| self.as_text(name, json))
            .transpose()
    }

    fn as_text(&self, name: &str, json: &'a Tree<'a>) -> Result<&'a str, EntryError> {
        if let Tree::String(text) = json {
            return Ok(text);
        }
        Err(self.wrong(name, "a text", json.kind()))
    }

    /// A text that must be there.
    pub(super) fn required(&self, name: &str, expected: &str) -> Result<&'a str, EntryError> {
        self.text(name)?.ok_or_else(|| self.missing(name, expected))
    }

    /// A GUID that must be there.
    pub(super) fn guid(&self, name: &str) -> Result<Guid, EntryError> {
        let text = self.required(name, EXPECTED_GUID)?;
        self.as_guid(name, text)
    }

    pub(super) fn as_guid(&self, name: &str, text: &str) -> Result<Guid, EntryError> {
        text.parse()
            .map_err(|_| self.wrong(name, EXPECTED_GUID, ANOTHER_TEXT))
    }

    /// The GUID at the end of `…/{collection}/{guid}`, or a GUID alone.
    ///
    /// Azure: the prefixes of `roleDefinitionId` differ between listings of the same role, so
    /// only the last GUID counts
    /// (<https://github.com/Azure/azure-rest-api-specs/issues/11103>).
    pub(super) fn last_guid(
        &self,
        name: &str,
        collection: &str,
    ) -> Result<Option<Guid>, EntryError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let (prefix, last) = text.rsplit_once('/').unwrap_or((collection, text));
        let parent = prefix.rsplit('/').next().unwrap_or("");
        let guid = last
            .parse()
            .ok()
            .filter(|_| parent.eq_ignore_ascii_case(collection));
        let expected = || format!("a GUID or an id that ends in `/{collection}/{{GUID}}`");
        guid.map(Some)
            .ok_or_else(|| self.wrong(name, &expected(), ANOTHER_TEXT))
    }

    /// The scope, which must be there.
    pub(super) fn scope(&self) -> Result<Scope, EntryError> {
        let expected = "a scope such as `/subscriptions/{id}/resourceGroups/{name}`";
        let text = self.required("scope", expected)?;
        Scope::from_str(text).map_err(|error| {
            let form = error.to_string();
            let form = form.strip_prefix("expected ").unwrap_or(&form);
            self.wrong("scope", form, ANOTHER_TEXT)
        })
    }

    /// A boolean; missing is `false`.
    pub(super) fn flag(&self, name: &str) -> Result<bool, EntryError> {
        match self.find(name)? {
            None => Ok(false),
            Some(&Tree::Bool(value)) => Ok(value),
            Some(other) => Err(self.wrong(name, "`true` or `false`", other.kind())),
        }
    }

    /// A time.
    pub(super) fn time(&self, name: &str) -> Result<Option<std::time::SystemTime>, EntryError> {
        let parse = |text: &str| {
            time::parse(text).ok_or_else(|| self.wrong(name, time::EXPECTED, ANOTHER_TEXT))
        };
        self.text(name)?.map(parse).transpose()
    }

    /// The items of a list; missing is empty.
    pub(super) fn list(&self, name: &str) -> Result<&'a [Tree<'a>], EntryError> {
        match self.find(name)? {
            None => Ok(&[]),
            Some(Tree::Array(items)) => Ok(items),
            // `ConvertTo-Json` without `-Depth` flattens deeper lists into one text.
            Some(other) => Err(self.wrong(
                name,
                "a list (PowerShell: `ConvertTo-Json -Depth 10`)",
                other.kind(),
            )),
        }
    }

    /// The objects of a list; missing is empty.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>, EntryError> {
        let item = |(index, json): (usize, &'a Tree<'a>)| {
            let field = format!("{name}[{index}]");
            Self::of_object(json, format!("{}.", self.path(&field))).map_err(|_| {
                self.wrong(
                    &field,
                    "an object (PowerShell: `ConvertTo-Json -Depth 10`)",
                    json.kind(),
                )
            })
        };
        self.list(name)?.iter().enumerate().map(item).collect()
    }

    fn patterns(&self, name: &str) -> Result<Vec<Box<str>>, EntryError> {
        let item = |(index, json): (usize, &'a Tree<'a>)| {
            self.as_text(&format!("{name}[{index}]"), json)
                .map(Box::from)
        };
        self.list(name)?.iter().enumerate().map(item).collect()
    }

    /// The data actions, what is subtracted from them, and the condition on both.
    pub(super) fn permission(&self) -> Result<Permission, EntryError> {
        Ok(Permission {
            data_actions: self.patterns("dataActions")?,
            not_data_actions: self.patterns("notDataActions")?,
            condition: self.condition()?,
        })
    }

    /// The condition.
    ///
    /// SECURITY: a `conditionVersion` alone tells of a condition that got lost on the way, and an
    /// empty text may be one. Both are carried as an empty condition, which no evaluator can
    /// read: on a role assignment it grants nothing, on a deny assignment it lets nothing pass.
    pub(super) fn condition(&self) -> Result<Option<ConditionText>, EntryError> {
        let version = self.text("conditionVersion")?;
        let version = version.filter(|version| !version.trim().is_empty());
        let text = self.text("condition")?;
        if text.is_none() && version.is_none() {
            return Ok(None);
        }
        Ok(Some(ConditionText {
            text: text.unwrap_or("").trim().into(),
            version: version.map(Arc::from),
        }))
    }

    /// The GUID that names an entry: `name`, or the end of `id`; both must agree.
    pub(super) fn entry_guid(
        &self,
        name: &'static str,
        id: &'static str,
        collection: &str,
    ) -> Result<Option<Guid>, EntryError> {
        let named = self.text(name)?.map(|text| self.as_guid(name, text));
        match (named.transpose()?, self.last_guid(id, collection)?) {
            (Some(named), Some(last)) if named != last => Err(EntryError::IdMismatch(name, id)),
            (named, last) => Ok(named.or(last)),
        }
    }

    /// What messages call the entry: its name, or the end of its id.
    pub(super) fn label(&self) -> Option<Box<str>> {
        [
            "roleAssignmentName",
            "name",
            "roleName",
            "id",
            "roleAssignmentId",
        ]
        .iter()
        .find_map(|field| self.text(field).ok().flatten())
        .map(|text| shorten(text.rsplit('/').next().unwrap_or(text)).into())
    }

    fn path(&self, name: &str) -> Box<str> {
        format!("{}{name}", self.prefix).into()
    }

    pub(super) fn missing(&self, name: &str, expected: &str) -> EntryError {
        EntryError::Missing {
            field: self.path(name),
            expected: expected.into(),
        }
    }

    pub(super) fn wrong(&self, name: &str, expected: &str, found: &'static str) -> EntryError {
        EntryError::Wrong {
            field: self.path(name),
            expected: expected.into(),
            found,
        }
    }
}

/// A member by its name without case; null is none. `Err` if there are several.
pub(super) fn member<'a>(object: &'a Members<'_>, name: &str) -> Result<Option<&'a Tree<'a>>, ()> {
    let mut named = object
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value);
    match (named.next(), named.next()) {
        (Some(_), Some(_)) => Err(()),
        (first, _) => Ok(first.filter(|value| !matches!(value, Tree::Null))),
    }
}
