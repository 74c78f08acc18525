//! Files and directories -> one consistent set of role data.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::num::NonZero;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use aws_lc_rs::digest::{self, SHA256};
use thiserror::Error;

use crate::rbac::RoleData;

use super::merge::{Merger, count};
use super::overlay::{self, Overlay, OverlayErrors};
use super::report::LoadReport;
use super::wire::{self, Parsed, WireErrors};

/// How often a set of files that changes while it is read is read again before giving up.
const ATTEMPTS: usize = 3;

/// How many files are read at a time. Each may be as large as [`wire::MAX_FILE_BYTES`].
const MAX_THREADS: usize = 2;

/// How many files can be read at a time on this machine.
fn threads() -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    cores.min(MAX_THREADS)
}

/// One successful load.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What all files say together, with the compiled-in role definitions.
    pub data: RoleData,
    /// What was found and what is odd about it.
    pub report: LoadReport,
    /// SHA-256 over the contents of the files in their order: equal for equal contents. The names
    /// of the files do not count.
    pub fingerprint: [u8; 32],
}

/// Why one path cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// It changed each time it was read.
    #[error("keeps changing while it is read")]
    Changing,
    /// The load was stopped before it was done.
    #[error("the load was stopped")]
    Interrupted,
    /// It is no overlay file.
    #[error("{0}")]
    Overlay(OverlayErrors),
    /// A pipe, a socket, or a directory named `….json`.
    #[error("expected a file")]
    NotAFile,
    /// It cannot be opened, listed or read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// It is no role data.
    #[error("{0}")]
    Wire(WireErrors),
}

/// All paths that cannot be used, each with the reason; at least one. Nothing of the load can be
/// used.
#[derive(Debug)]
pub struct LoadError {
    problems: Vec<(PathBuf, FileError)>,
}

impl LoadError {
    /// The paths in the order of the load.
    pub fn problems(&self) -> &[(PathBuf, FileError)] {
        &self.problems
    }

    pub(super) fn interrupted(paths: &[PathBuf]) -> Self {
        let interrupted = |path: &PathBuf| (path.clone(), FileError::Interrupted);
        Self {
            problems: paths.iter().map(interrupted).collect(),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (path, error)) in self.problems.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(f, "{separator}`{}`: {error}", path.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

/// Reads all role data there is.
///
/// `paths` are files, whatever their names, or directories, of which the `*.json` files are read
/// in the order of their names. Names that begin with a dot are passed over, which are hidden
/// files and what Kubernetes keeps behind a mounted volume; links to files are followed,
/// directories in directories are not entered. A file that is reached by two paths is read once.
/// `overlay_files` are files in the form of [`overlay`], whatever their names.
///
/// Blocks on the file system, and uses up to two cores. Each holds one file at a time, so
/// what is kept grows with what the files say and not with how they say it.
///
/// # Errors
/// [`LoadError`] with every path that cannot be read or holds something else than role data.
pub fn load(paths: &[PathBuf], overlay_files: &[PathBuf]) -> Result<Loaded, LoadError> {
    load_with(paths, overlay_files, threads())
}

/// As [`load`], with so many files at a time.
pub(super) fn load_with(
    paths: &[PathBuf],
    overlay_files: &[PathBuf],
    threads: usize,
) -> Result<Loaded, LoadError> {
    for _ in 0..ATTEMPTS {
        let before = find(paths, overlay_files)?;
        let understood = understand(&before, threads);
        // SECURITY: a volume may be swapped between two files. New assignments with old deny
        // assignments are a state that nobody ever approved.
        if find(paths, overlay_files)? == before
            && let Some(understood) = understood.transpose()
        {
            return understood;
        }
    }
    let changing = |path: &PathBuf| (path.clone(), FileError::Changing);
    Err(LoadError {
        problems: paths.iter().chain(overlay_files).map(changing).collect(),
    })
}

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Export,
    Overlay,
}

/// A file to read, as it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    path: PathBuf,
    role: Role,
    /// What links lead to.
    target: PathBuf,
    /// Device, inode, length, and modification time in seconds and nanoseconds.
    stamp: (u64, u64, u64, i64, i64),
}

/// The files that are there, in the order of the load.
pub(super) fn find(paths: &[PathBuf], overlay_files: &[PathBuf]) -> Result<Vec<Found>, LoadError> {
    let mut found: Vec<Found> = Vec::new();
    let mut problems = Vec::new();
    let exports = paths.iter().map(|path| (path, Role::Export, list(path)));
    let overlays = overlay_files
        .iter()
        .map(|path| (path, Role::Overlay, Ok(vec![path.clone()])));
    for (path, role, listed) in exports.chain(overlays) {
        match listed {
            Ok(files) => {
                for file in files {
                    match examine(&file, role) {
                        Ok(one) if found.iter().any(|known| known.target == one.target) => {}
                        Ok(one) => found.push(one),
                        Err(error) => problems.push((file, error)),
                    }
                }
            }
            Err(error) => problems.push((path.clone(), FileError::Read(error))),
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(LoadError { problems })
    }
}

/// The files that a configured path stands for.
fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if is_listed(&file) {
            files.push(file);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Whether a name in a directory is one that is read.
pub(super) fn is_listed(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let json = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    json && !hidden
}

fn examine(path: &Path, role: Role) -> Result<Found, FileError> {
    let metadata = fs::metadata(path).map_err(FileError::Read)?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile);
    }
    Ok(Found {
        path: path.to_path_buf(),
        role,
        target: fs::canonicalize(path).map_err(FileError::Read)?,
        stamp: stamp(&metadata),
    })
}

fn stamp(metadata: &Metadata) -> (u64, u64, u64, i64, i64) {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    )
}

/// Reads a file into `buffer`, at most one byte more than [`wire::parse`] accepts; `false` if it is not
/// the file any more that was found.
fn read(found: &Found, buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.clear();
    let file = File::open(&found.path)?;
    if stamp(&file.metadata()?) != found.stamp {
        return Ok(false);
    }
    // Whatever its length is said to be, no more is set aside than is read.
    let length = found.stamp.2.min(wire::MAX_FILE_BYTES).saturating_add(1);
    buffer.reserve_exact(usize::try_from(length).unwrap_or_default());
    file.take(wire::MAX_FILE_BYTES + 1).read_to_end(buffer)?;
    Ok(true)
}

/// SHA-256 over the contents of the files in their order, as [`Loaded::fingerprint`] has it; `None` if
/// one cannot be read or is not the file any more that was found.
pub(super) fn fingerprint(files: &[Found]) -> Option<[u8; 32]> {
    let mut whole = Fingerprint::new();
    let mut buffer = vec![0; 64 * 1024];
    for found in files {
        let mut file = File::open(&found.path).ok()?;
        if stamp(&file.metadata().ok()?) != found.stamp {
            return None;
        }
        let mut one = digest::Context::new(&SHA256);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => one.update(buffer.get(..count)?),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        whole.file(one.finish().as_ref());
    }
    Some(whole.finish())
}

/// Digests have one length, so no two sets of files run together to the same bytes.
struct Fingerprint(digest::Context);

impl Fingerprint {
    fn new() -> Self {
        Self(digest::Context::new(&SHA256))
    }

    fn file(&mut self, digest: &[u8]) {
        self.0.update(digest);
    }

    fn finish(self) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        let whole = self.0.finish();
        for (to, from) in fingerprint.iter_mut().zip(whole.as_ref()) {
            *to = *from;
        }
        fingerprint
    }
}

/// What a file says.
enum Content {
    Export(Parsed),
    Overlay(Overlay),
}

fn content(role: Role, bytes: &[u8]) -> Result<Content, FileError> {
    match role {
        Role::Export => wire::parse(bytes)
            .map(Content::Export)
            .map_err(FileError::Wire),
        Role::Overlay => overlay::parse(bytes)
            .map(Content::Overlay)
            .map_err(FileError::Overlay),
    }
}

/// A file's digest, and what it says; `None` if it is not the file any more that was found.
type Understood = Result<Option<(digest::Digest, Content)>, FileError>;

fn understand_one(found: &Found, buffer: &mut Vec<u8>) -> Understood {
    if !read(found, buffer).map_err(FileError::Read)? {
        return Ok(None);
    }
    let digest = digest::digest(&SHA256, buffer);
    content(found.role, buffer).map(|content| Some((digest, content)))
}

/// Understands some files at the same time: the first one here, each other one on a thread.
fn understand_some(files: &[Found], buffers: &mut [Vec<u8>]) -> Vec<Understood> {
    let mut tasks = files.iter().zip(buffers);
    let first = tasks.next();
    thread::scope(|scope| {
        let others = tasks.map(|(found, buffer)| scope.spawn(|| understand_one(found, buffer)));
        let others: Vec<_> = others.collect();
        let first = first.map(|(found, buffer)| understand_one(found, buffer));
        let others = others
            .into_iter()
            .map(|one| one.join().unwrap_or(Err(FileError::Interrupted)));
        first.into_iter().chain(others).collect()
    })
}

/// What the files say together, `threads` of them at a time; `None` if one is not the file any more
/// that was found.
fn understand(files: &[Found], threads: usize) -> Result<Option<Loaded>, LoadError> {
    let mut whole = Fingerprint::new();
    let mut merger = Merger::default();
    let mut overlays: Vec<(PathBuf, Overlay)> = Vec::new();
    let mut problems = Vec::new();
    let mut same = true;
    let mut buffers = vec![Vec::new(); threads.max(1)];
    for some in files.chunks(threads.max(1)) {
        for (file, understood) in some.iter().zip(understand_some(some, &mut buffers)) {
            let path = &file.path;
            match understood {
                Ok(None) => same = false,
                Ok(Some((digest, content))) => {
                    whole.file(digest.as_ref());
                    match content {
                        Content::Export(one) => merger.file(path, one),
                        Content::Overlay(one) => overlays.push((path.clone(), one)),
                    }
                }
                Err(error) => problems.push((path.clone(), error)),
            }
        }
    }
    drop(buffers);
    if !problems.is_empty() {
        return Err(LoadError { problems });
    }
    if !same {
        return Ok(None);
    }
    join(merger, overlays, whole.finish()).map(Some)
}

fn join(
    merger: Merger,
    overlays: Vec<(PathBuf, Overlay)>,
    fingerprint: [u8; 32],
) -> Result<Loaded, LoadError> {
    let (mut data, mut report) = merger.finish();
    overlay::apply(overlays, &mut data, &mut report).map_err(|problems| {
        let problems = problems.into_iter();
        let problems = problems.map(|(path, errors)| (path, FileError::Overlay(errors)));
        LoadError {
            problems: problems.collect(),
        }
    })?;
    count(&mut report, &data);
    Ok(Loaded {
        data,
        report,
        fingerprint,
    })
}
