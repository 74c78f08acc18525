//! Where lines end up: standard output, or a file that is rotated by size.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// How long the writer waits before it tries a descriptor again that somebody made non-blocking.
const WOULD_BLOCK_PAUSE: Duration = Duration::from_millis(1);

/// Takes whole lines.
pub(super) trait Sink: Send {
    /// How many bytes fit before the sink would rotate.
    fn room(&self) -> u64;

    /// Whether an append of `bytes` goes straight to the system and is taken at once, as far as one
    /// can know: into a file that neither is broken off nor must be put aside.
    fn is_prompt(&self, bytes: u64) -> bool;

    /// Writes `lines`, whole lines with their line feeds, in one call where the system lets it.
    /// On an error none of them counts as written.
    fn append(&mut self, lines: &[u8]) -> io::Result<()>;

    /// Waits until what was written is on the disk, where there is one.
    fn sync(&mut self) -> io::Result<()>;
}

/// Standard output.
pub(super) struct Stdout {
    /// A duplicate of the descriptor: `std::io::stdout` would buffer, and would take writes to a
    /// closed descriptor for successes.
    file: File,
    torn: bool,
}

impl Stdout {
    pub(super) fn open() -> io::Result<Self> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self { file, torn: false })
    }
}

impl Sink for Stdout {
    fn room(&self) -> u64 {
        u64::MAX
    }

    fn is_prompt(&self, _bytes: u64) -> bool {
        // Whoever reads it may not.
        false
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        mend(&mut self.file, &mut self.torn)?;
        write_whole(&mut self.file, lines).map_err(|(written, error)| {
            self.torn = written > 0;
            error
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is renamed to `.1` when it is full; `.1` becomes `.2`, and so on.
///
/// One process writes to a path. The file is created for its owner only; the mode of a file that
/// exists is left alone.
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// `None` for what cannot be rotated: a device or a pipe.
    max_bytes: Option<u64>,
    keep: u32,
    /// Whether the file ends in the middle of a line.
    torn: bool,
    /// Whether the last attempt to rotate failed, so that it is said once.
    stuck: bool,
}

impl RotatingFile {
    pub(super) fn open(path: &Path, max_bytes: u64, keep: u32) -> io::Result<Self> {
        let file = options().append(true).open(path)?;
        let metadata = file.metadata()?;
        let rotates = metadata.is_file();
        Ok(Self {
            path: path.to_owned(),
            torn: rotates && ends_inside_a_line(path, metadata.len())?,
            file,
            bytes: metadata.len(),
            max_bytes: rotates.then_some(max_bytes),
            keep,
            stuck: false,
        })
    }

    fn numbered(&self, number: u32) -> PathBuf {
        self.suffixed(&number.to_string())
    }

    fn suffixed(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(".");
        name.push(suffix);
        PathBuf::from(name)
    }

    /// Puts the full file aside and begins an empty one.
    ///
    /// The new file is made first: once renaming has begun only renames are left to fail, and a
    /// failure leaves every line in some file.
    fn rotate(&mut self) -> io::Result<()> {
        let next = self.suffixed("new");
        // `truncate` and `append` exclude each other; a leftover of a crash holds no line.
        if let Err(error) = fs::remove_file(&next)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let file = options().append(true).open(&next)?;
        self.file.sync_data()?;
        if self.keep > 0 {
            // Only as far as there is no gap: repeated failures must not push files off the end.
            let free = (1..self.keep).find(|number| !self.numbered(*number).exists());
            for number in (1..free.unwrap_or(self.keep)).rev() {
                fs::rename(self.numbered(number), self.numbered(number + 1))?;
            }
            fs::rename(&self.path, self.numbered(1))?;
        }
        fs::rename(&next, &self.path)?;
        self.file = file;
        self.bytes = 0;
        self.torn = false;
        Ok(())
    }

    fn rotate_or_go_on(&mut self) {
        match self.rotate() {
            Ok(()) => self.stuck = false,
            Err(error) => {
                if !self.stuck {
                    tracing::error!(%error, path = %self.path.display(),
                        "cannot rotate the file of decision records; it grows beyond its limit");
                }
                self.stuck = true;
            }
        }
    }
}

impl Sink for RotatingFile {
    fn room(&self) -> u64 {
        self.max_bytes
            .map_or(u64::MAX, |max| max.saturating_sub(self.bytes))
    }

    fn is_prompt(&self, bytes: u64) -> bool {
        let is_regular = self.max_bytes.is_some();
        is_regular && !self.torn && (self.bytes == 0 || bytes <= self.room())
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let count = lines.len() as u64;
        if self.bytes > 0 && count > self.room() {
            self.rotate_or_go_on();
        }
        if self.torn {
            mend(&mut self.file, &mut self.torn)?;
            self.bytes += 1;
        }
        match write_whole(&mut self.file, lines) {
            Ok(()) => {
                self.bytes += count;
                Ok(())
            }
            Err((written, error)) => {
                // Half a line must not stay: the next one would be joined to it.
                if written > 0 && self.file.set_len(self.bytes).is_err() {
                    self.torn = true;
                    self.bytes += written;
                }
                Err(error)
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.max_bytes.is_some() {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

fn ends_inside_a_line(path: &Path, bytes: u64) -> io::Result<bool> {
    let Some(last) = bytes.checked_sub(1) else {
        return Ok(false);
    };
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(last))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte != *b"\n")
}

/// Ends a line that a failed write left open.
fn mend(file: &mut File, torn: &mut bool) -> io::Result<()> {
    if *torn {
        write_whole(file, b"\n").map_err(|(_, error)| error)?;
        *torn = false;
    }
    Ok(())
}

/// Writes all of `bytes`; an error comes with how many were written before it.
fn write_whole(file: &mut File, bytes: &[u8]) -> Result<(), (u64, io::Error)> {
    let mut written = 0;
    while let Some((_, rest)) = bytes
        .split_at_checked(written)
        .filter(|(_, r)| !r.is_empty())
    {
        match file.write(rest) {
            Ok(0) => return Err((written as u64, io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(WOULD_BLOCK_PAUSE);
            }
            Err(error) => return Err((written as u64, error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_full_file_is_put_aside_and_only_so_many_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("decisions.ndjson");
        let mut file = RotatingFile::open(&path, 10, 2).unwrap();
        for line in [
            b"aaaa\n", b"bbbb\n", b"cccc\n", b"dddd\n", b"eeee\n", b"ffff\n", b"gggg\n",
        ] {
            file.append(line).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), b"gggg\n");
        assert_eq!(fs::read(file.numbered(1)).unwrap(), b"eeee\nffff\n");
        assert_eq!(fs::read(file.numbered(2)).unwrap(), b"cccc\ndddd\n");
        assert!(!file.numbered(3).exists() && !file.suffixed("new").exists());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn nothing_need_be_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("decisions.ndjson");
        let mut file = RotatingFile::open(&path, 5, 0).unwrap();
        file.append(b"aaaa\n").unwrap();
        file.append(b"bbbb\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"bbbb\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_rotation_loses_no_line_and_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("decisions.ndjson");
        let mut file = RotatingFile::open(&path, 5, 2).unwrap();
        fs::write(file.numbered(1), "old\n").unwrap();
        // A directory in the way of the new file.
        fs::create_dir(file.suffixed("new")).unwrap();
        for line in [b"aaaa\n", b"bbbb\n", b"cccc\n"] {
            file.append(line).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), b"aaaa\nbbbb\ncccc\n");
        assert_eq!(fs::read(file.numbered(1)).unwrap(), b"old\n");
        fs::remove_dir(file.suffixed("new")).unwrap();
        file.append(b"dddd\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"dddd\n");
        assert_eq!(fs::read(file.numbered(2)).unwrap(), b"old\n");
    }

    #[test]
    fn a_line_that_a_crash_left_open_is_ended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("decisions.ndjson");
        fs::write(&path, "{\"v\":1,\"se").unwrap();
        let mut file = RotatingFile::open(&path, 1000, 1).unwrap();
        file.append(b"{}\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"v\":1,\"se\n{}\n");
        assert_eq!(file.bytes, fs::metadata(&path).unwrap().len());
    }
}
