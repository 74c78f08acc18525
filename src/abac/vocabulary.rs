//! The attributes that mean something to Key Vault, Azure's own and ours.
//!
//! Azure knows two of them on Key Vault and some from other services; the rest imitate Azure's way
//! of naming. An attribute about the proxy itself has the provider `Portcullis`, so that it cannot
//! collide with one that Azure may publish.
//!
//! Sources: <https://learn.microsoft.com/azure/key-vault/general/rbac-abac>,
//! <https://learn.microsoft.com/azure/role-based-access-control/conditions-format>.

mod known;
mod origin;
mod property;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::expr::{Form, Source};
use super::truth::Needs;

pub use known::Known;
pub use origin::{Clock, Configuration, Connection, Line, Origin, Part, Token};
pub use property::Property;

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

/// How many values of which type an attribute has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// At most one.
    One(ValueType),
    /// A list.
    Many(ValueType),
    /// One for each key; the keys themselves are a list of texts.
    Dictionary(ValueType),
    /// One or a list for each name, of types that are not known beforehand.
    Custom,
}

/// Whether Azure knows an attribute, and so whether it can be stored in an Azure role assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Azure {
    /// On Key Vault, in preview.
    Preview,
    /// On another service.
    OtherService,
    /// No: it is ours, and only the overlay file can hold a condition with it.
    Ours,
}

/// The vocabulary by source, and name in lower case.
static BY_NAME: LazyLock<HashMap<(Source, Box<str>), Known>> = LazyLock::new(|| {
    let row = |known: &Known| {
        let name = known.path_and_name().to_ascii_lowercase().into();
        ((known.source(), name), *known)
    };
    Known::ALL.iter().map(row).collect()
});

impl Known {
    /// The attribute of this name, without regard to ASCII case; for every key of a dictionary,
    /// and for the list of its keys, the dictionary.
    pub fn resolve(source: Source, path: &str, form: &Form) -> Option<Self> {
        let find = |name: &str| {
            let key = (source, name.to_ascii_lowercase().into());
            BY_NAME.get(&key).copied()
        };
        let find_shape = |fits: fn(Shape) -> bool| find(path).filter(|known| fits(known.shape()));
        match form {
            Form::Bare => find_shape(|shape| matches!(shape, Shape::One(_) | Shape::Many(_))),
            Form::Name(name) => find(&format!("{path}:{name}")).or_else(|| {
                find_shape(|shape| matches!(shape, Shape::Dictionary(_) | Shape::Custom))
            }),
            Form::Key(_) | Form::Keys => find_shape(|shape| matches!(shape, Shape::Dictionary(_))),
        }
    }

    /// The word after `@`.
    pub const fn source(self) -> Source {
        self.row().source
    }

    /// What stands in the brackets; of a dictionary, what precedes the key.
    pub const fn path_and_name(self) -> &'static str {
        self.row().path_and_name
    }

    /// How many values of which type it has.
    pub const fn shape(self) -> Shape {
        self.row().shape
    }

    /// The type of its values; `None` if that is not known beforehand.
    pub const fn value_type(self) -> Option<ValueType> {
        match self.shape() {
            Shape::One(value_type) | Shape::Many(value_type) | Shape::Dictionary(value_type) => {
                Some(value_type)
            }
            Shape::Custom => None,
        }
    }

    /// Whether its values are names that are read without regard to case:
    /// [`Scalar::Name`](super::Scalar::Name).
    pub const fn is_name(self) -> bool {
        match self.origin() {
            Origin::Line(line) => matches!(line, Line::Name(_) | Line::Issuer),
            Origin::Body(_, part) | Origin::Metadata(_, part) => match part {
                Part::Property(property) => property.is_name(),
                Part::Tags | Part::IsCurrent => false,
            },
            Origin::Connection(fact) => {
                matches!(fact, Connection::PrivateEndpoint | Connection::Subnet)
            }
            Origin::Configuration(setting) => {
                matches!(setting, Configuration::VaultName | Configuration::VaultId)
            }
            Origin::Token(_) | Origin::Clock(_) | Origin::Custom => false,
        }
    }

    /// Whether it may have several values. The list of a dictionary's keys always may.
    pub const fn is_list(self) -> bool {
        matches!(self.shape(), Shape::Many(_) | Shape::Custom)
    }

    /// Whether it stands for all keys of a dictionary.
    pub const fn is_dictionary(self) -> bool {
        matches!(self.shape(), Shape::Dictionary(_))
    }

    /// Where its value comes from.
    pub const fn origin(self) -> Origin {
        self.row().origin
    }

    /// What has to be fetched before it is known.
    pub const fn needs(self) -> Needs {
        self.origin().needs()
    }

    /// Whether Azure knows it.
    pub const fn azure(self) -> Azure {
        self.row().azure
    }
}
