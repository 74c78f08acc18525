//! Properties of an object: as a body wants them, or as the vault has them.

use std::collections::{BTreeMap, BTreeSet};

use crate::abac::Values;
use crate::abac::vocabulary::Property;
use crate::keyvault::ObjectVersion;

/// The properties of one object, and its tags; never a value of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// The properties that are there.
    pub values: BTreeMap<Property, Values<'static>>,
    /// Those of which nobody can say whether they are there. SECURITY: they are not "not there".
    pub unknown: BTreeSet<Property>,
    /// Its tags.
    pub tags: BTreeMap<Box<str>, Box<str>>,
    /// Whether some tag could not be read, so that nobody can say which there are.
    pub tags_are_unknown: bool,
}

/// What the vault says about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Its properties.
    pub properties: Properties,
    /// The version they are of; `None` for a deleted object.
    pub version: Option<ObjectVersion>,
    /// Whether that is the current version; `None` if nobody asked.
    pub is_current: Option<bool>,
}
