//! Layer 1. Who is told of the restoring of stores: Kafka Streams' `StateRestoreListener`.

use std::fmt;
use std::sync::Arc;

use crate::record::TopicPartition;

/// Is told how stores are brought up to date from their changelogs, as Kafka Streams' `StateRestoreListener`; set by
/// [`StreamsConfig::on_restore`](super::StreamsConfig::on_restore). Each method does nothing until it is overridden.
///
/// The calls come on the threads that restore, several at a time where there are several, and the restore waits for them. Of
/// one partition they come in order: `on_restore_start`, `on_batch_restored`…, then `on_restore_end` or
/// `on_restore_suspended`. A store that lacks nothing is not told of.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::sync::Arc;
/// use streams_core::config::{StateRestoreListener, StreamsConfig};
/// use streams_core::record::TopicPartition;
///
/// #[derive(Default)]
/// struct Restored(AtomicU64);
///
/// impl StateRestoreListener for Restored {
///     fn on_restore_start(&self, partition: &TopicPartition, store: &str, from: i64, to: i64) {
///         println!("{store}: restoring {partition}, offsets {from} to {to}");
///     }
///     fn on_batch_restored(&self, _: &TopicPartition, _: &str, _: i64, restored: u64) {
///         self.0.fetch_add(restored, Ordering::Relaxed);
///     }
/// }
///
/// let restored = Arc::new(Restored::default());
/// let config = StreamsConfig::embedded("data").on_restore(restored.clone());
/// ```
pub trait StateRestoreListener: Send + Sync {
    /// A store begins to be restored. `starting_offset` is the first offset that is read, `ending_offset` the one after the
    /// last.
    fn on_restore_start(
        &self,
        partition: &TopicPartition,
        store: &str,
        starting_offset: i64,
        ending_offset: i64,
    ) {
        let _ = (partition, store, starting_offset, ending_offset);
    }

    /// Records were written to the store. `batch_end_offset` is the offset after the last of them, `restored` how many records
    /// there were.
    fn on_batch_restored(
        &self,
        partition: &TopicPartition,
        store: &str,
        batch_end_offset: i64,
        restored: u64,
    ) {
        let _ = (partition, store, batch_end_offset, restored);
    }

    /// The store lacks nothing any more. `total_restored` is how many records were written since the start.
    fn on_restore_end(&self, partition: &TopicPartition, store: &str, total_restored: u64) {
        let _ = (partition, store, total_restored);
    }

    /// The restore ends before its end: the task moved to another instance or thread, or the store is restored anew from its
    /// changelog's beginning.
    fn on_restore_suspended(&self, partition: &TopicPartition, store: &str, total_restored: u64) {
        let _ = (partition, store, total_restored);
    }
}

/// The listener of a configuration. Two are equal when they are the same.
#[derive(Clone, Default)]
pub(crate) struct RestoreListener(pub(crate) Option<Arc<dyn StateRestoreListener>>);

impl fmt::Debug for RestoreListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "none" })
    }
}

impl PartialEq for RestoreListener {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for RestoreListener {}
