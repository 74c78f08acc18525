//! Overlay files: what Azure cannot hold, in TOML, beside the exports.
//!
//! Role assignments of our own, conditions that narrow role assignments further, and custom
//! security attributes of principals. People write these files, so they are read strictly: an
//! unknown key, a mistake in a condition or an attribute that does not exist is an error of the
//! file, and nothing of the load is used.
//!
//! ```toml
//! [[role_assignments]]
//! name = "7c1f4f3e-93a1-4d52-8a4e-0c6b1d2e3f40"
//! principal_id = "0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b"
//! role_definition_id = "Key Vault Secrets User"
//! scope = "/subscriptions/…/providers/Microsoft.KeyVault/vaults/payments"
//! condition = "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'app-'"
//!
//! [[conditions]]
//! role_assignment_id = "b24988ac-6180-42a0-ab88-20f7382dd24c"
//! condition = "@Environment[UtcNow] DateTimeLessThan '2027-01-01T00:00:00.0Z'"
//!
//! [[custom_security_attributes]]
//! principal_id = "0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b"
//! attributes = { Engineering_Project = ["Baker", "Cascade"], Engineering_Level = 3 }
//! ```

mod apply;
mod error;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;
use toml::Value;

use crate::abac::{Attribute, Expr, Mode, Operand, Scalar, Values};
use crate::attributes::CustomAttributes;
use crate::principal::{Guid, ObjectId};
use crate::rbac::{AssignmentId, ConditionText, Origin, RoleAssignment, RoleDefinitionId, Scope};

pub(super) use apply::apply;
pub use error::{OverlayEntry, OverlayError, OverlayErrors};

use super::wire::MAX_FILE_BYTES;

/// What one overlay file holds, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Role assignments.
    pub role_assignments: Vec<OverlayAssignment>,
    /// Conditions on role assignments, whoever made those.
    pub conditions: Vec<(AssignmentId, ConditionText)>,
    /// Custom security attributes by principal.
    pub custom_attributes: Vec<(ObjectId, CustomAttributes)>,
}

/// A role assignment whose role may still have to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayAssignment {
    /// Its name.
    pub id: AssignmentId,
    /// Where it applies, with everything below.
    pub scope: Scope,
    /// Who holds the role.
    pub principal: ObjectId,
    /// The role.
    pub role: RoleReference,
    /// What must hold besides.
    pub condition: Option<ConditionText>,
}

/// How an overlay file names a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleReference {
    /// By its GUID, or an id that ends in one.
    Id(RoleDefinitionId),
    /// By its display name, exactly.
    Name(Box<str>),
}

impl OverlayAssignment {
    fn with_role(self, role_definition: RoleDefinitionId) -> RoleAssignment {
        RoleAssignment {
            id: self.id,
            origin: Origin::Overlay,
            scope: self.scope,
            principal: self.principal,
            role_definition,
            condition: self.condition,
            principal_deleted: false,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawOverlay {
    role_assignments: Vec<RawAssignment>,
    conditions: Vec<RawCondition>,
    custom_security_attributes: Vec<RawAttributes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAssignment {
    name: String,
    principal_id: String,
    role_definition_id: String,
    scope: String,
    condition: Option<String>,
    #[serde(rename = "description")]
    _description: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCondition {
    role_assignment_id: String,
    condition: String,
    #[serde(rename = "description")]
    _description: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAttributes {
    principal_id: String,
    attributes: BTreeMap<String, Value>,
}

/// Reads an overlay file. Pure: no file is opened here.
///
/// # Errors
/// [`OverlayErrors`] with everything that is wrong in the entries, or the first violation of TOML
/// or of the form.
pub fn parse(bytes: &[u8]) -> Result<Overlay, OverlayErrors> {
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
        return Err(OverlayError::TooLarge.into());
    }
    let text = str::from_utf8(bytes).map_err(|error| OverlayError::Utf8(error.valid_up_to()))?;
    let raw: RawOverlay = toml::from_str(text).map_err(|error| OverlayError::toml(text, &error))?;
    let mut reader = Reader::default();
    for (index, one) in raw.role_assignments.into_iter().enumerate() {
        reader.role_assignment(OverlayEntry::RoleAssignment(index), one);
    }
    for (index, one) in raw.conditions.into_iter().enumerate() {
        reader.condition_on(OverlayEntry::Condition(index), one);
    }
    for (index, one) in raw.custom_security_attributes.into_iter().enumerate() {
        reader.custom_attributes(OverlayEntry::CustomSecurityAttributes(index), &one);
    }
    reader.errors.unless_any(reader.overlay)
}

#[derive(Default)]
struct Reader {
    overlay: Overlay,
    names: HashSet<AssignmentId>,
    principals: HashSet<ObjectId>,
    errors: OverlayErrors,
}

impl Reader {
    fn role_assignment(&mut self, entry: OverlayEntry, raw: RawAssignment) {
        let name = self.guid(entry, "name", &raw.name).map(AssignmentId);
        let principal = self.guid(entry, "principal_id", &raw.principal_id);
        let scope = raw.scope.parse();
        if scope.is_err() {
            let expected = "a resource id such as `/subscriptions/{GUID}/resourceGroups/{name}`";
            self.wrong(entry, "scope", expected);
        }
        let condition = raw.condition.map(|text| self.condition(entry, text));
        if name.is_some_and(|name| !self.names.insert(name)) {
            self.errors.push(OverlayError::Twice(entry, "name"));
        }
        if let (Some(id), Some(principal), Ok(scope)) = (name, principal, scope) {
            self.overlay.role_assignments.push(OverlayAssignment {
                id,
                scope,
                principal: ObjectId(principal),
                role: match last_guid(&raw.role_definition_id) {
                    Some(id) => RoleReference::Id(RoleDefinitionId(id)),
                    None => RoleReference::Name(raw.role_definition_id.into()),
                },
                condition,
            });
        }
    }

    fn condition_on(&mut self, entry: OverlayEntry, raw: RawCondition) {
        let id = last_guid(&raw.role_assignment_id);
        if id.is_none() {
            let expected = "the GUID of a role assignment, or an id that ends in it";
            self.wrong(entry, "role_assignment_id", expected);
        }
        let condition = self.condition(entry, raw.condition);
        let narrowed = id.map(|id| (AssignmentId(id), condition));
        self.overlay.conditions.extend(narrowed);
    }

    fn custom_attributes(&mut self, entry: OverlayEntry, raw: &RawAttributes) {
        let principal = self.guid(entry, "principal_id", &raw.principal_id);
        let mut attributes = HashMap::with_capacity(raw.attributes.len());
        for (key, value) in &raw.attributes {
            if !key.contains('_') {
                let expected = "names of the form `{set}_{attribute}`";
                self.wrong(entry, "attributes", expected);
            }
            let Some(values) = values_of(value) else {
                let expected = "texts, whole numbers, true or false, or lists of one of these";
                self.wrong(entry, "attributes", expected);
                continue;
            };
            if attributes
                .insert(key.to_ascii_lowercase().into(), values)
                .is_some()
            {
                self.errors.push(OverlayError::Twice(entry, "attributes"));
            }
        }
        let Some(principal) = principal.map(ObjectId) else {
            return;
        };
        if !self.principals.insert(principal) {
            self.errors.push(OverlayError::Twice(entry, "principal_id"));
        }
        let custom = CustomAttributes(attributes);
        self.overlay.custom_attributes.push((principal, custom));
    }

    /// Checks a condition: Azure takes none from here that it would have refused.
    fn condition(&mut self, entry: OverlayEntry, text: String) -> ConditionText {
        let condition = ConditionText {
            text: text.into(),
            version: None,
        };
        match condition.read(Mode::Strict) {
            Err(error) => self.errors.push(OverlayError::Condition(entry, error)),
            Ok(expr) => {
                if let Some(unknown) = unknown_attribute(&expr) {
                    let unknown = unknown.to_string().into();
                    let error = OverlayError::UnknownAttribute(entry, unknown);
                    self.errors.push(error);
                }
            }
        }
        condition
    }

    fn guid(&mut self, entry: OverlayEntry, field: &'static str, text: &str) -> Option<Guid> {
        let guid = text.parse().ok();
        if guid.is_none() {
            let expected = "a GUID such as `0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b`";
            self.wrong(entry, field, expected);
        }
        guid
    }

    fn wrong(&mut self, entry: OverlayEntry, field: &'static str, expected: &'static str) {
        let error = OverlayError::Wrong {
            entry,
            field,
            expected,
        };
        self.errors.push(error);
    }
}

/// The GUID that a text is or, after a slash, ends in.
fn last_guid(text: &str) -> Option<Guid> {
    text.rsplit('/').next()?.parse().ok()
}

fn values_of(value: &Value) -> Option<Values<'static>> {
    let Value::Array(list) = value else {
        return scalar(value).map(Values::One);
    };
    let same = |one: &Value| list.first().is_some_and(|first| first.same_type(one));
    if !list.iter().all(same) {
        return None;
    }
    let scalars: Option<Vec<_>> = list.iter().map(scalar).collect();
    scalars.map(Values::Many)
}

fn scalar(value: &Value) -> Option<Scalar<'static>> {
    match value {
        Value::String(text) => Some(Scalar::Text(text.clone().into())),
        Value::Integer(number) => Some(Scalar::Integer(*number)),
        Value::Boolean(truth) => Some(Scalar::Boolean(*truth)),
        Value::Array(_) | Value::Datetime(_) | Value::Float(_) | Value::Table(_) => None,
    }
}

/// The first attribute of a condition that no request ever has.
fn unknown_attribute(expr: &Expr) -> Option<&Attribute> {
    let unknown = |attribute: &&Attribute| attribute.known.is_none();
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().find_map(unknown_attribute),
        Expr::Mixed(mixed) => std::iter::once(&mixed.first)
            .chain(mixed.rest.iter().map(|(_, part)| part))
            .find_map(unknown_attribute),
        Expr::Not(part) => unknown_attribute(part),
        Expr::Action(_) | Expr::SubOperation(_) => None,
        Expr::Exists(attribute) => Some(attribute).filter(unknown),
        Expr::Compare(comparison) => [&comparison.left, &comparison.right]
            .into_iter()
            .filter_map(attribute_of)
            .find(unknown),
    }
}

const fn attribute_of(operand: &Operand) -> Option<&Attribute> {
    match operand {
        Operand::Attribute(attribute) => Some(attribute),
        Operand::Literal(_) | Operand::Set(_) => None,
    }
}
