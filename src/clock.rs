//! The wall clock, as a port: everything else takes `now` as an argument.
//!
//! Token lifetimes and PIM windows are wall-clock facts, so the type is [`SystemTime`]. Two
//! implementations exist: [`SystemClock`] and the one the tests move by hand.

use std::time::SystemTime;

mod zone;

pub use zone::Zone;

/// Where the present time comes from.
pub trait Clock: std::fmt::Debug + Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> SystemTime;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that reads the clock"
        )]
        SystemTime::now()
    }
}
