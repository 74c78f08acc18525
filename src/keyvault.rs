//! Key Vault's data plane as types: operations, data actions, names.
//!
//! This room knows the REST surface and nothing of the network: [`route::parse`] turns a method,
//! a path and a query into an [`Operation`], or says why not; [`Operation::path_and_query`] renders
//! what is sent to the vault. In between nobody handles a path.
//!
//! Key Vault facts that shape it:
//!
//! * Names are compared without case, on one namespace per collection.
//! * "No version" is written as an absent segment or as an empty one, by different SDKs.
//! * `/certificates/contacts` and `/certificates/issuers` are not certificates.
//! * The version is not part of an authorization scope; the collection in the URL is. A
//!   certificate's key and secret are therefore authorized as `keys/{name}` and `secrets/{name}`.

mod authority;
mod data_action;
mod name;
mod operation;
mod pattern;
mod query;
pub mod route;

pub use authority::Authority;
pub use data_action::{DataAction, DataActionSet};
pub use name::{ApiVersion, NameError, ObjectName, ObjectVersion, VaultName};
pub use operation::{
    Method, ObjectType, Operation, OperationKind, OperationScope, Row, VersionSegment,
};
pub use pattern::matches_pattern;
pub use query::{Query, QueryError, SkipToken};
