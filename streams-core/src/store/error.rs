//! What can go wrong with a store.

use std::path::PathBuf;
use std::sync::Arc;

use super::disk;
use crate::lmdb::{LmdbError, MAX_KEY_LENGTH};
use crate::state_dir::StateDirectoryError;

/// What went wrong with a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A key is longer than [`MAX_KEY_LENGTH`].
    #[error(
        "a key of {length} bytes is too long for store `{store}`: at most {MAX_KEY_LENGTH} are possible"
    )]
    KeyTooLong {
        /// The store.
        store: Arc<str>,
        /// The key's length.
        length: usize,
    },
    /// There is no store of this number.
    #[error("the task has no store number {store}")]
    UnknownStore {
        /// The number asked for.
        store: usize,
    },
    /// A name that cannot be a store's.
    #[error("`{name}` cannot be the name of a store: {reason}")]
    BadName {
        /// The name.
        name: Arc<str>,
        /// Why not.
        reason: &'static str,
    },
    /// The task was closed.
    #[error("the store is closed: its task has ended or moved to another instance")]
    Closed,
    /// The state was written by a later version of kstreams.
    #[error(
        "the state in {} has layout {found}, and this version knows {} at most; use the version that wrote it, or remove the \
         directory to have the state rebuilt from the changelogs", path.display(), disk::LAYOUT
    )]
    NewerLayout {
        /// The task's directory.
        path: PathBuf,
        /// The layout found.
        found: u8,
    },
    /// The state's own notes cannot be read.
    #[error("the state in {} is damaged ({what}); remove the directory to have it rebuilt from the changelogs", path.display())]
    Damaged {
        /// The task's directory.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A row is not of its store's format.
    #[error(
        "{what} cannot be read; remove the task's directory to have its state rebuilt from the changelogs"
    )]
    Malformed {
        /// What it was to be.
        what: &'static str,
    },
    /// The files.
    #[error(transparent)]
    Lmdb(#[from] LmdbError),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] StateDirectoryError),
}

impl StoreError {
    /// Whether the state's files themselves are unusable, so that removing them and restoring from the changelogs helps.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            StoreError::Damaged { .. } | StoreError::Lmdb(LmdbError::Damaged { .. })
        )
    }
}
