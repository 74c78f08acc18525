//! What attributes have: typed values, or none.

use std::borrow::Cow;

use uuid::Uuid;

use super::datetime::DateTime;
use super::expr::Attribute;
use super::truth::Needs;

/// One value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A name for which case makes no difference to the vault, in a case the caller may have picked.
    ///
    /// SECURITY: a comparison with regard to case that would come out differently without is
    /// undefined, so that no spelling passes a negative test, whatever `NOT` stands before it.
    Name(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// A point in time.
    DateTime(DateTime),
    /// A GUID.
    Guid(Uuid),
    /// A value that no operator compares, such as a fraction.
    Other,
}

/// All values of an attribute that has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values<'a> {
    /// One.
    One(Scalar<'a>),
    /// A list; an empty one counts as missing.
    Many(Vec<Scalar<'a>>),
}

impl<'a> Values<'a> {
    /// All of them.
    pub const fn as_slice(&self) -> &[Scalar<'a>] {
        match self {
            Self::One(scalar) => std::slice::from_ref(scalar),
            Self::Many(scalars) => scalars.as_slice(),
        }
    }
}

impl Scalar<'_> {
    /// The same value, borrowed.
    pub fn borrowed(&self) -> Scalar<'_> {
        match self {
            Self::Text(text) => Scalar::Text(Cow::Borrowed(text)),
            Self::Name(name) => Scalar::Name(Cow::Borrowed(name)),
            Self::Integer(value) => Scalar::Integer(*value),
            Self::Boolean(value) => Scalar::Boolean(*value),
            Self::DateTime(value) => Scalar::DateTime(*value),
            Self::Guid(value) => Scalar::Guid(*value),
            Self::Other => Scalar::Other,
        }
    }
}

impl Values<'_> {
    /// The same values, borrowed.
    pub fn borrowed(&self) -> Values<'_> {
        match self {
            Self::One(value) => Values::One(value.borrowed()),
            Self::Many(values) => Values::Many(values.iter().map(Scalar::borrowed).collect()),
        }
    }
}

/// What was found for an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// It has no value.
    Missing,
    /// Nobody here knows whether it has a value: it stands for nothing we know, or nobody told us.
    Unknown,
    /// Whether it has one is not known until these are fetched.
    Pending(Needs),
    /// It has these.
    Found(Values<'a>),
}

/// Whoever knows the attributes of a request.
pub trait Attributes {
    /// The value or values of `attribute`.
    fn look_up(&self, attribute: &Attribute) -> Lookup<'_>;
}
