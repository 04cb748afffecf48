//! What can go wrong in an environment, each with the path and what to do.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use heed::MdbError;

use super::MAX_KEY_LENGTH;

const EIO: i32 = 5;

/// What went wrong in an environment. Nothing that was committed is damaged by any of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LmdbError {
    /// No space left, or a quota or file size limit is reached.
    #[error("no space left for {}; free some and try again: nothing that was committed is lost", path.display())]
    DiskFull {
        /// The environment.
        path: PathBuf,
    },
    /// The file system is mounted read-only.
    #[error("{} is on a read-only file system; mount it writable or choose another directory", path.display())]
    ReadOnlyFileSystem {
        /// The environment.
        path: PathBuf,
    },
    /// The environment was opened for reading only.
    #[error("{} was opened for reading only", path.display())]
    ReadOnly {
        /// The environment.
        path: PathBuf,
    },
    /// Permissions forbid it.
    #[error("no permission for {}; give this user read and write access, or choose another directory", path.display())]
    PermissionDenied {
        /// The environment.
        path: PathBuf,
    },
    /// There is something else under that name.
    #[error("{} is not a directory; remove it or choose another directory", path.display())]
    NotADirectory {
        /// The environment.
        path: PathBuf,
    },
    /// There is no environment.
    #[error("there is nothing at {}", path.display())]
    Missing {
        /// The environment.
        path: PathBuf,
    },
    /// The files are truncated, overwritten or otherwise not what was written.
    #[error("{} is damaged ({detail}); restore it from a backup or remove it", path.display())]
    Damaged {
        /// The environment.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The files were written by an incompatible LMDB.
    #[error("{} was written by an incompatible version of LMDB; use the version that wrote it, or remove it", path.display())]
    VersionMismatch {
        /// The environment.
        path: PathBuf,
    },
    /// This process has it open already.
    #[error("{} is already open in this process", path.display())]
    AlreadyOpen {
        /// The environment.
        path: PathBuf,
    },
    /// It has been closed.
    #[error("{} has been closed", path.display())]
    Closed {
        /// The environment.
        path: PathBuf,
    },
    /// The map is full and cannot be grown.
    #[error("the memory map of {} ({size} bytes) is full and could not be grown: {reason}", path.display())]
    MapFull {
        /// The environment.
        path: PathBuf,
        /// The map's size now.
        size: usize,
        /// Why not.
        reason: &'static str,
    },
    /// A key is longer than [`MAX_KEY_LENGTH`].
    #[error("a key of {length} bytes is longer than the {MAX_KEY_LENGTH} that {} can hold", path.display())]
    KeyTooLong {
        /// The environment.
        path: PathBuf,
        /// Its length.
        length: usize,
    },
    /// LMDB has no empty keys.
    #[error("an empty key cannot be written to {}", path.display())]
    EmptyKey {
        /// The environment.
        path: PathBuf,
    },
    /// A write inside a write of the same environment would wait for itself.
    #[error("a write to {} was begun inside another one", path.display())]
    NestedWrite {
        /// The environment.
        path: PathBuf,
    },
    /// Too many snapshots at once.
    #[error("too many readers of {} at once", path.display())]
    TooManyReaders {
        /// The environment.
        path: PathBuf,
    },
    /// More databases than the environment was opened for.
    #[error("too many databases in {}", path.display())]
    TooManyDatabases {
        /// The environment.
        path: PathBuf,
    },
    /// Anything else.
    #[error("{}: {source}", path.display())]
    Io {
        /// The environment.
        path: PathBuf,
        /// What the system or LMDB said.
        source: io::Error,
    },
}

impl LmdbError {
    /// Translates an error of the file system at `path`.
    #[must_use]
    pub fn from_io(path: &Path, error: io::Error) -> Self {
        let path = path.to_path_buf();
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => LmdbError::DiskFull { path },
            io::ErrorKind::ReadOnlyFilesystem => LmdbError::ReadOnlyFileSystem { path },
            io::ErrorKind::PermissionDenied => LmdbError::PermissionDenied { path },
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                LmdbError::NotADirectory { path }
            }
            io::ErrorKind::NotFound => LmdbError::Missing { path },
            _ => LmdbError::Io {
                path,
                source: error,
            },
        }
    }

    pub(super) fn from_heed(path: &Path, error: heed::Error) -> Self {
        let error = match error {
            // What LMDB makes of a write that only partly fitted.
            heed::Error::Io(error) if error.raw_os_error() == Some(EIO) => {
                return LmdbError::from_io(path, probe_space(path).err().unwrap_or(error));
            }
            heed::Error::Io(error) => return LmdbError::from_io(path, error),
            heed::Error::EnvAlreadyOpened => {
                return LmdbError::AlreadyOpen {
                    path: path.to_path_buf(),
                };
            }
            heed::Error::Encoding(e) | heed::Error::Decoding(e) => {
                return LmdbError::Io {
                    path: path.to_path_buf(),
                    source: io::Error::other(e),
                };
            }
            heed::Error::Mdb(error) => error,
        };
        let path = path.to_path_buf();
        match error {
            MdbError::PageNotFound
            | MdbError::Corrupted
            | MdbError::Invalid
            | MdbError::CursorFull
            | MdbError::PageFull
            | MdbError::Incompatible => LmdbError::Damaged {
                path,
                detail: error.to_string(),
            },
            MdbError::VersionMismatch => LmdbError::VersionMismatch { path },
            MdbError::DbsFull => LmdbError::TooManyDatabases { path },
            MdbError::ReadersFull => LmdbError::TooManyReaders { path },
            other => LmdbError::Io {
                path,
                source: io::Error::other(other.to_string()),
            },
        }
    }
}

/// Whether a file as long as the environment's could be written to where the environment is, and some more.
fn probe_space(path: &Path) -> io::Result<()> {
    let length = std::fs::metadata(path.join("data.mdb"))?.len();
    let name = path.join("probe.tmp");
    let written = (|| {
        let mut file = File::create(&name)?;
        // Up to there a hole, which takes no space, but counts for a limit of file sizes.
        file.seek(SeekFrom::Start(length))?;
        // What LMDB writes at a time.
        file.write_all(&[0; 256 << 10])?;
        file.sync_all()
    })();
    let _ = std::fs::remove_file(&name);
    written
}
