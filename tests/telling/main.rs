//! What the proxy tells: records in a file, metrics, and the administration listener.
#![cfg(test)]

mod admin;
mod metrics;
mod records;

use std::time::{Duration, SystemTime};

pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}
