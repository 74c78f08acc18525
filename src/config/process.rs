//! What the process gives up once it has read its configuration.

/// How the process protects itself, and others from itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Whether the system may write the process's memory to a file when it crashes, and let others
    /// of the same user look into it.
    pub core_dumps: bool,
    /// Whether it confines itself to what it needs.
    pub sandbox: Sandbox,
}

/// Whether the process confines itself to the files, ports and system calls it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// As far as the kernel can.
    #[default]
    IfAvailable,
    /// Not at all.
    Off,
    /// It does not start where the kernel cannot.
    Required,
}
