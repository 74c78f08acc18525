//! Files that are there whole or not at all, with the right mode from their first byte.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use uuid::Uuid;

/// The mode of what everybody may read.
pub const MODE_PUBLIC: u32 = 0o644;

/// The mode of a key.
pub(super) const MODE_PRIVATE: u32 = 0o600;

/// What becomes of a file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is written.
    Keep,
    /// It is replaced.
    Replace,
}

/// Puts a file with these contents and this mode in place, in one step, and on the disk.
///
/// # Errors
/// Of the system; [`io::ErrorKind::AlreadyExists`] if a file was to be kept.
pub fn place(path: &Path, contents: &[u8], mode: u32, existing: Existing) -> io::Result<()> {
    let directory = directory_of(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = directory.join(format!(".{name}.{}", Uuid::new_v4()));
    let placed = write_new(&draft, contents, mode).and_then(|()| match existing {
        // A link that somebody put there is not followed: the one fails, the other replaces it.
        Existing::Keep => fs::hard_link(&draft, path),
        Existing::Replace => fs::rename(&draft, path),
    });
    // Once renamed it is gone already.
    let _gone = fs::remove_file(&draft);
    placed?;
    File::open(directory)?.sync_all()
}

/// Whether two paths lead to one file, or to one place if nothing is there.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let file = |path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    let place = |path: &Path| {
        let directory = fs::canonicalize(directory_of(path)).ok()?;
        Some((directory, path.file_name()?.to_owned()))
    };
    let same_file = file(one).is_some_and(|found| Some(found) == file(other));
    same_file || place(one).is_some_and(|found| Some(found) == place(other))
}

/// The directory that a file is in.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn write_new(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    // SECURITY: the mode is given when the file is made, not afterwards, and `create_new` follows no
    // link and opens nothing that was there.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    // The umask can have taken from it, never added to it.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(contents)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_that_is_to_be_kept_is_kept_and_nothing_is_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.key");
        place(&path, b"one", MODE_PRIVATE, Existing::Keep).unwrap();
        assert_eq!(mode(&path), 0o600);
        let again = place(&path, b"two", MODE_PRIVATE, Existing::Keep).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("key"), directory.path().join("other"));
        fs::write(&other, "theirs").unwrap();
        symlink(&other, &path).unwrap();
        let kept = place(&path, b"ours", MODE_PRIVATE, Existing::Keep).unwrap_err();
        assert_eq!(kept.kind(), io::ErrorKind::AlreadyExists);
        place(&path, b"ours", MODE_PRIVATE, Existing::Replace).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"theirs");
        assert_eq!(fs::read(&path).unwrap(), b"ours");
        assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
    }

    #[test]
    fn a_mode_of_before_does_not_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        place(&path, b"new", MODE_PRIVATE, Existing::Replace).unwrap();
        assert_eq!(mode(&path), 0o600);
        place(&path, b"new", MODE_PUBLIC, Existing::Replace).unwrap();
        assert_eq!(mode(&path), 0o644);
    }
}
