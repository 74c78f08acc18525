//! Bodies in both directions: streamed, bounded, and never read to their end by accident.

mod request;
mod response;

pub(super) use request::Leftover;
pub use request::{BodyProgress, RequestBody, RequestBodyError};
pub use response::{BodyEnd, BodyOutcome, RelayError, ResponseBody};
