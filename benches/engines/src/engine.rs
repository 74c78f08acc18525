//! The engines, and what they have in common.

mod casbin;
mod cedar;
mod cedar_naive;
mod cedar_text;
mod plain;
pub(crate) mod portcullis;
mod probe;
mod rego;

use std::path::Path;
use std::time::Duration;

use crate::Failure;
use crate::world::{Answer, Ask, World};

/// What an engine is loaded from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// The tenant.
    pub world: &'a World,
    /// Its exports, as Portcullis reads them.
    pub exports: &'a Path,
    /// The point in time at which everything is asked, in seconds since 1970.
    pub now: i64,
}

/// Something that decides.
pub(crate) trait Engine {
    /// Takes in what belongs to a request's surroundings and not to the request. Not measured.
    ///
    /// # Errors
    /// What went wrong.
    fn prepare(&mut self, _ask: &Ask) -> Result<(), Failure> {
        Ok(())
    }

    /// Whether it makes out by itself what a request asks for, as Portcullis does.
    fn reads_requests(&self) -> bool {
        false
    }

    /// Decides on one request, from its strings.
    ///
    /// # Errors
    /// What went wrong: the comparison ends.
    fn decide(&mut self, ask: &Ask) -> Result<Answer, Failure>;

    /// Decides on all of them once and says how much processor time that took; `None` if that is
    /// measured by calling [`Engine::decide`] for each.
    ///
    /// # Errors
    /// What went wrong.
    fn measure(&mut self, _asks: &[Ask]) -> Result<Option<Duration>, Failure> {
        Ok(None)
    }
}

/// An engine as it is modelled here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    /// Its name on the command line and in the results.
    pub name: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// The largest tenant it is given; it would take absurdly long for more.
    pub most_assignments: usize,
    /// The most requests it is given, for the same reason.
    pub most_requests: usize,
    /// Makes it ready to decide.
    pub load: fn(&Source<'_>) -> Result<Box<dyn Engine>, Failure>,
}

/// All of them. The first is the one that the others are compared with.
pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "portcullis",
        what: "from strings: route, caller's cached entitlements, decision",
        load: portcullis::from_strings,
        ..UNLIMITED
    },
    Model {
        name: "portcullis-decide",
        what: "the decision alone",
        load: portcullis::decision_alone,
        ..UNLIMITED
    },
    Model {
        name: "portcullis-new-caller",
        what: "from strings, entitlements gathered each time",
        load: portcullis::new_callers,
        ..UNLIMITED
    },
    Model {
        name: "probe",
        what: "two hash probes and a bit test, no conditions: the floor",
        load: probe::load,
        ..UNLIMITED
    },
    Model {
        name: "plain",
        what: "a HashMap by principal, as an application would write it",
        load: plain::load,
        ..UNLIMITED
    },
    Model {
        name: "cedar-kept",
        what: "a slice for each caller, kept",
        load: cedar::kept,
        ..UNLIMITED
    },
    Model {
        name: "cedar-sliced",
        what: "a slice for each request, by principal and scope",
        load: cedar::sliced,
        ..UNLIMITED
    },
    Model {
        name: "cedar-naive",
        what: "all policies in one set",
        most_assignments: 4_000,
        most_requests: 500,
        load: cedar_naive::load,
    },
    Model {
        name: "regorus",
        what: "bytecode, data by principal and scope",
        load: rego::load,
        ..UNLIMITED
    },
    Model {
        name: "casbin-kept",
        what: "an enforcer for each caller, kept",
        load: casbin::kept,
        ..UNLIMITED
    },
    Model {
        name: "casbin-naive",
        what: "all policies in one enforcer",
        most_assignments: 4_000,
        most_requests: 500,
        load: casbin::naive,
    },
];

/// A model that is given everything.
const UNLIMITED: Model = Model {
    name: "",
    what: "",
    most_assignments: usize::MAX,
    most_requests: usize::MAX,
    load: plain::load,
};

/// The model of this name.
pub(crate) fn model(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.name == name)
}
