//! Bodies in both directions: streamed, bounded, and never read to their end by accident.

mod inspect;
mod request;
mod response;

pub use inspect::BodyDefect;
pub(super) use inspect::{Document, inspect};
pub(super) use request::Leftover;
pub use request::{BodyProgress, RequestBody, RequestBodyError};
pub use response::{BodyEnd, BodyOutcome, RelayError, ResponseBody};
