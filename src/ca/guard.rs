//! Who could put another file in place of one.
//!
//! Modes say who may write to a directory, and in a sticky one each may replace only what is theirs.
//! Links have every right and mean nothing by it: what counts is the directory a link is in, and
//! where it leads. So a secret of Kubernetes is safe, whose links are root's in a sticky directory,
//! and so is whatever is mounted read-only. Directories further up are not looked at: a pod's own
//! volumes are open to everybody in it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::process::geteuid;

use super::files::directory_of;
use super::{CaError, at};

/// Writing, for the group or for everybody.
const OTHERS_WRITE: u32 = 0o022;

/// Of a directory: only the owner of a file replaces it.
const STICKY: u32 = 0o1000;

/// Links that lead on; the kernel follows 40.
const MAX_LINKS: usize = 16;

/// SECURITY: whoever can write to a directory can put another CA there for applications to trust.
///
/// # Errors
/// [`CaError::Replaceable`], and [`CaError::File`] if it cannot be looked at.
pub(super) fn directory(path: &Path) -> Result<(), CaError> {
    let metadata = fs::metadata(path).map_err(at("look at", path))?;
    let open = metadata.mode() & OTHERS_WRITE != 0 && metadata.mode() & STICKY == 0;
    refuse(open && !is_read_only(path), path)
}

/// SECURITY: a file that others can replace says what they wish.
///
/// # Errors
/// [`CaError::Replaceable`], and [`CaError::File`] if something cannot be looked at.
pub(super) fn file(path: &Path) -> Result<(), CaError> {
    entry(path, MAX_LINKS)
}

fn entry(path: &Path, links: usize) -> Result<(), CaError> {
    let within = directory_of(path);
    let links = links.checked_sub(1);
    let links = links.ok_or_else(|| CaError::Replaceable(path.to_owned()))?;
    directory(within)?;
    let holder = fs::metadata(within).map_err(at("look at", within))?;
    let metadata = fs::symlink_metadata(path).map_err(at("look at", path))?;
    let by_owner = holder.mode() & OTHERS_WRITE != 0 && !is_trusted(&metadata, &holder);
    refuse(by_owner && !is_read_only(within), path)?;
    if is_link(within) {
        entry(within, links)?;
    }
    if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(at("look at", path))?;
        return entry(&within.join(target), links);
    }
    let open = !metadata.is_dir() && metadata.mode() & OTHERS_WRITE != 0;
    refuse(open && !is_read_only(within), path)
}

/// Whether who owns a file can replace it anyway, or is us.
fn is_trusted(file: &Metadata, directory: &Metadata) -> bool {
    [0, directory.uid(), geteuid().as_raw()].contains(&file.uid())
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

/// Whether nobody here can write, whatever the modes say.
fn is_read_only(directory: &Path) -> bool {
    statvfs(directory).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn refuse(replaceable: bool, path: &Path) -> Result<(), CaError> {
    if replaceable {
        return Err(CaError::Replaceable(path.to_owned()));
    }
    Ok(())
}
