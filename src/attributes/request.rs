//! The attributes of one request.

use crate::abac::{Attribute, Attributes, Lookup};
use crate::keyvault::{DataAction, Operation, OperationKind};

use super::facts::{CustomAttributes, Facts};

/// The attributes of one request, looked up when a condition asks.
#[derive(Debug)]
pub struct RequestAttributes<'a> {
    /// What is asked for.
    pub operation: &'a Operation,
    /// The data action that is decided on; which attributes there are depends on it.
    pub action: DataAction,
    /// What else is known.
    pub facts: &'a Facts<'a>,
    /// The caller's custom security attributes; `None` if nobody said any.
    pub custom: Option<&'a CustomAttributes>,
}

impl Attributes for RequestAttributes<'_> {
    fn look_up(&self, _attribute: &Attribute) -> Lookup<'_> {
        Lookup::Missing
    }
}

/// The suboperation that an operation is, if it is one.
pub const fn suboperation(kind: OperationKind) -> Option<&'static str> {
    let _ = kind;
    None
}

/// The suboperations that operations with this data action can be.
pub const fn suboperations_of(action: DataAction) -> &'static [&'static str] {
    let _ = action;
    &[]
}

/// Whether a request with this data action can have the attribute at all.
pub const fn can_have(action: DataAction, attribute: &Attribute) -> bool {
    let _ = (action, attribute);
    false
}
