//! What the attributes of a condition stand for in a request: the values behind the vocabulary.
//!
//! [`Facts`] holds what is known of a request besides its operation; [`RequestAttributes`] answers
//! a condition's questions from both. What has to be fetched first, a body or an object's metadata,
//! is [`Stage::Unread`] until it is: then the answer is "pending", and the caller of
//! [`crate::rbac::decide()`] is told what to fetch.

mod facts;
mod properties;
mod request;

pub use facts::{
    ClientCertificate, Connection, CustomAttributes, Facts, LocalTime, Stage, Surroundings,
    VaultFacts,
};
pub use properties::{Metadata, Properties};
pub use request::{
    RequestAttributes, can_have, depends_on_request, suboperation, suboperations_of,
};
