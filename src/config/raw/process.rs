//! The keys of what the process gives up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Process, Sandbox};

/// What the process gives up once it has read its configuration.
#[derive(Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawProcess {
    /// Whether a crash may leave the memory of the process in a file, tokens and secrets included.
    pub(in crate::config) core_dumps: bool,
    /// Whether the process confines itself to the files, ports and system calls it needs.
    pub(in crate::config) sandbox: RawSandbox,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RawSandbox {
    #[default]
    IfAvailable,
    Off,
    Required,
}

impl RawProcess {
    pub(in crate::config) const fn meant(&self) -> Process {
        Process {
            core_dumps: self.core_dumps,
            sandbox: match self.sandbox {
                RawSandbox::IfAvailable => Sandbox::IfAvailable,
                RawSandbox::Off => Sandbox::Off,
                RawSandbox::Required => Sandbox::Required,
            },
        }
    }
}
