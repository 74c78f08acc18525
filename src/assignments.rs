//! Role data: where it comes from and what is promised about it.
//!
//! The policy information point: [`load`] reads the exports of `az`, Azure PowerShell and Azure
//! Resource Manager into [`crate::rbac::RoleData`], and [`watch::spawn`] does so again whenever
//! they change. Overlay files ([`overlay`]) are part of the same load. Deciding is [`crate::rbac`]'s.
//!
//! * All files of a load are good, or nothing of it is used; every bad file is reported.
//! * What cannot be understood is an error. What two files tell differently grants nothing.
//! * A load that lost much of what the last one had is held back until it is seen again.
//! * Files are read as a whole set: one that changes during a load makes the load start over.

pub mod builtin;
pub mod overlay;
pub mod wire;

mod files;
mod held;
mod merge;
mod report;
pub mod store;
pub mod watch;

pub use files::{FileError, LoadError, Loaded, load};
pub use held::{Counts, Gate, Shrunk, Verdict};
pub use report::{Item, LoadReport, LoadWarning};
pub use watch::{LoadOutcome, WatchHandle};
