//! Layer 5. How far restores are: for the listener of the configuration, and for whoever looks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::StateRestoreListener;
use crate::record::{TaskId, TopicPartition};

/// A store that is being restored, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreProgress {
    /// The changelog, or the topic of a global table.
    pub partition: TopicPartition,
    /// The store.
    pub store: &'static str,
    /// Its task; `None` for a global table.
    pub task: Option<TaskId>,
    /// The first offset that was to be read.
    pub starting_offset: i64,
    /// The next offset to read.
    pub offset: i64,
    /// The offset after the last one to be read.
    pub ending_offset: i64,
}

/// Every restore of an application that is under way.
#[derive(Debug, Default)]
pub(crate) struct Restores(Mutex<BTreeMap<TopicPartition, RestoreProgress>>);

impl Restores {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, RestoreProgress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, by partition.
    pub(crate) fn all(&self) -> Vec<RestoreProgress> {
        self.lock().values().cloned().collect()
    }
}

/// Tells of the restores of one thread.
#[derive(Clone)]
pub(crate) struct Teller {
    pub(crate) listener: Option<Arc<dyn StateRestoreListener>>,
    pub(crate) restores: Arc<Restores>,
}

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}

impl Teller {
    pub(crate) fn started(&self, progress: RestoreProgress) {
        let RestoreProgress {
            partition,
            store,
            starting_offset,
            ending_offset,
            ..
        } = &progress;
        tracing::info!(%partition, store, from = starting_offset, to = ending_offset, "restoring");
        if let Some(listener) = &self.listener {
            listener.on_restore_start(partition, store, *starting_offset, *ending_offset);
        }
        let partition = partition.clone();
        self.restores.lock().insert(partition, progress);
    }

    /// Records were read.
    pub(crate) fn reached(&self, partition: &TopicPartition, offset: i64) {
        if let Some(progress) = self.restores.lock().get_mut(partition) {
            progress.offset = offset.min(progress.ending_offset);
        }
    }

    /// Records were written.
    pub(crate) fn batch(&self, partition: &TopicPartition, store: &str, next: i64, records: u64) {
        if let Some(listener) = &self.listener {
            listener.on_batch_restored(partition, store, next, records);
        }
    }

    pub(crate) fn ended(&self, partition: &TopicPartition, store: &str, records: u64) {
        self.restores.lock().remove(partition);
        tracing::info!(%partition, store, records, "restored");
        if let Some(listener) = &self.listener {
            listener.on_restore_end(partition, store, records);
        }
    }

    pub(crate) fn suspended(&self, partition: &TopicPartition, store: &str, records: u64) {
        self.restores.lock().remove(partition);
        if let Some(listener) = &self.listener {
            listener.on_restore_suspended(partition, store, records);
        }
    }
}
