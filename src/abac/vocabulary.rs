//! The attributes that mean something to Key Vault, Azure's own and ours.

use super::expr::{Form, Source};
use super::truth::Needs;

/// An attribute of the vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Known {
    /// `@Resource[Microsoft.KeyVault/vaults:name]`
    VaultName,
}

/// A property of a key, secret or certificate, in a body or in the vault's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Property {
    /// `:enabled`
    Enabled,
}

/// The type of an attribute's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A point in time.
    DateTime,
    /// A GUID.
    Guid,
}

impl Known {
    /// The attribute of this name, without regard to ASCII case.
    pub fn resolve(source: Source, path: &str, form: &Form) -> Option<Self> {
        let _ = (source, path, form);
        None
    }

    /// The type of its values.
    pub const fn value_type(self) -> ValueType {
        ValueType::String
    }

    /// Whether it may have several values.
    pub const fn is_list(self) -> bool {
        false
    }

    /// What has to be fetched before it is known.
    pub const fn needs(self) -> Needs {
        Needs::NOTHING
    }
}
