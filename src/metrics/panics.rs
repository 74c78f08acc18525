//! Panics, which are counted before there are metrics, and by whoever panics.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Result};

use crate::hardening::panics;

const NAME: &str = "portcullis_panics_total";
const HELP: &str = "Panics; each ended one request or task, and is a defect to be reported. \
    Should be 0.";

/// Shows what [`panics::count`] says.
#[derive(Debug)]
pub(super) struct Panics(IntCounter);

impl Panics {
    pub(super) fn new() -> Result<Self> {
        IntCounter::new(NAME, HELP).map(Self)
    }
}

impl Collector for Panics {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // A new one each time: two readers at once must not both add what is missing.
        let Ok(shown) = IntCounter::new(NAME, HELP) else {
            return Vec::new();
        };
        shown.inc_by(panics::count());
        shown.collect()
    }
}
