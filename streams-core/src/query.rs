//! Layer 2. Interactive queries: which readers of a store there are in this process, for any thread to ask.
//!
//! A task registers a reader of each of its stores when it runs, and unregisters it when it closes. A query sees the last
//! commit of every partition that is here.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::lmdb::Direction;
use crate::record::{Timestamp, Validity};
use crate::serde::SerdeError;
use crate::topology::StoreKind;

mod merge;
mod scan;
mod snapshot;

pub use scan::{Keys, SEGMENT, Scan};
pub(crate) use snapshot::between;
pub use snapshot::{Partitions, RawEntries, Snapshot, SnapshotEntries, split, topic_key};

/// What a store's reader fails with.
pub type ReadError = Box<dyn std::error::Error + Send + Sync>;

/// Is shown an entry's key and value; breaks to end a scan.
pub type Visit<'a> = &'a mut (dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a);

/// Is shown when a version was valid, and its value.
pub type VisitVersion<'a> = &'a mut (dyn FnMut(Validity, &[u8]) + 'a);

/// Reads a store's bytes as of its last commit, from any thread.
pub trait ByteReader: Send + Sync {
    /// Appends the stored value of `key` to `value`; `false` if there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ReadError>;

    /// Shows the entries between two keys in the order of the key's bytes, until `visit` breaks.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        visit: Visit<'_>,
    ) -> Result<(), ReadError>;

    /// A view of the last commit.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn snapshot(&self) -> Result<Box<dyn ByteSnapshot>, ReadError>;

    /// Shows entries of a window or session store, with their store keys, until `visit` breaks.
    ///
    /// # Errors
    /// When the store cannot be read, or is of another kind.
    fn scan(&self, scan: &Scan<'_>, visit: Visit<'_>) -> Result<(), ReadError> {
        let snapshot = self.snapshot()?;
        let mut found = snapshot.scan(scan)?;
        while let Some(entry) = match scan.direction {
            Direction::Forward => found.next(),
            Direction::Backward => found.next_back(),
        } {
            let (local, value) = entry?;
            if visit(local.get(SEGMENT..).unwrap_or_default(), value).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Appends the value that `key` had at a time to `value`, and tells when it was valid; `None` if there is none.
    ///
    /// # Errors
    /// When the store cannot be read, or keeps no versions.
    fn as_of(
        &self,
        key: &[u8],
        time: Timestamp,
        value: &mut Vec<u8>,
    ) -> Result<Option<Validity>, ReadError> {
        self.snapshot()?.as_of(key, time, value)
    }
}

/// A key and what is stored under it, while a snapshot lasts.
pub type ByteEntry<'s> = Result<(&'s [u8], &'s [u8]), ReadError>;

/// Entries in the order of their keys' bytes, read as the iterator goes on.
pub type ByteEntries<'s> = Box<dyn DoubleEndedIterator<Item = ByteEntry<'s>> + 's>;

/// A partition of a store as of one moment.
pub trait ByteSnapshot: Send {
    /// What kind of store it is.
    fn kind(&self) -> StoreKind;

    /// What is stored under a key; in a window or session store under a store key, unless it has expired.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<&[u8]>, ReadError>;

    /// The entries between two keys of a store without windows.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<ByteEntries<'_>, ReadError>;

    /// Entries of a window or session store that have not expired, by local keys: the segment in [`SEGMENT`] bytes, and the store key.
    ///
    /// # Errors
    /// When the store cannot be read, or is of another kind.
    fn scan(&self, scan: &Scan<'_>) -> Result<ByteEntries<'_>, ReadError>;

    /// Appends the value that `key` had at a time to `value`, and tells when it was valid; `None` if there is none.
    ///
    /// # Errors
    /// When the store cannot be read, or keeps no versions.
    fn as_of(
        &self,
        key: &[u8],
        time: Timestamp,
        value: &mut Vec<u8>,
    ) -> Result<Option<Validity>, ReadError>;

    /// Shows the versions of `key` that were valid at any moment between two (both included), the latest first.
    ///
    /// # Errors
    /// When the store cannot be read, or keeps no versions.
    fn versions(
        &self,
        key: &[u8],
        from: Timestamp,
        to: Timestamp,
        visit: VisitVersion<'_>,
    ) -> Result<(), ReadError>;

    /// How many entries there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn count(&self) -> Result<u64, ReadError>;
}

impl fmt::Debug for dyn ByteSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByteSnapshot")
    }
}

/// A store that keeps only the latest values was asked for others.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the store keeps only latest values: add `versioned = \"…\"` to its `#[store]`")]
pub struct NotVersioned;

impl fmt::Debug for dyn ByteReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByteReader")
    }
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The application does not run.
    #[error(
        "`{node}` cannot be queried: the application is not running (start it, and wait until its state is RUNNING)"
    )]
    NotRunning {
        /// The table.
        node: &'static str,
    },
    /// The table has no store.
    #[error("`{node}` has no store to query: add `#[store]` to the field")]
    NoStore {
        /// The table.
        node: &'static str,
    },
    /// No partition of the store is here: not yet assigned or restored, or all are on other instances.
    #[error("no partition of `{node}` is on this instance at the moment")]
    NotHere {
        /// The table.
        node: &'static str,
    },
    /// The key is not in the partitions that are here, and its own partition is not.
    #[error(
        "`{node}` has no such key here, and the key's own partition, {partition} by Kafka's partitioner, is not on this instance at the moment: it is on another one, or not restored yet"
    )]
    KeyNotHere {
        /// The table.
        node: &'static str,
        /// The key's partition, by Kafka's own partitioner.
        partition: i32,
    },
    /// A table that is kept by windows was asked as one that is kept by keys.
    #[error(
        "`{node}` is kept by windows, which have no order of keys: ask with `fetch…` by key and time, or with `all` [KS0260]"
    )]
    Windowed {
        /// The table.
        node: &'static str,
    },
    /// A table whose windows are keys of a key-value store was asked by windows.
    #[error(
        "`{node}` has its windows as keys of a key-value store, as tables have that are read, filtered or mapped: ask with `get`, `range` or `all` [KS0261]"
    )]
    NotWindowed {
        /// The table.
        node: &'static str,
    },
    /// The key has no bytes, or the store's bytes are no value of the table's types.
    #[error("`{node}`: {reason}")]
    Serde {
        /// The table.
        node: &'static str,
        /// What is wrong.
        reason: SerdeError,
    },
    /// The store cannot be read.
    #[error("`{node}`: {reason}")]
    Store {
        /// The table.
        node: &'static str,
        /// What is wrong.
        reason: ReadError,
    },
}

/// A partition, and what reads a store's part of it.
pub type PartitionReader = (i32, Arc<dyn ByteReader>);

/// Which readers there are: by store (index into the topology's stores) and partition. Clones share it.
#[derive(Debug, Clone)]
pub struct QueryRegistry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    running: AtomicBool,
    /// Shared by the workers that are committing; taken alone, and given back at once, by whoever is about to query.
    commits: RwLock<()>,
    stores: RwLock<Vec<Readers>>,
    /// How many partitions each store has, here and elsewhere; `None` of global ones.
    partitions: RwLock<Vec<Option<u32>>>,
}

type Readers = BTreeMap<i32, Arc<dyn ByteReader>>;

impl QueryRegistry {
    /// A registry for a topology's `stores` stores, of an application that does not run yet.
    #[must_use]
    pub fn new(stores: usize) -> Self {
        let readers = (0..stores).map(|_| Readers::new()).collect();
        QueryRegistry(Arc::new(Shared {
            running: AtomicBool::new(false),
            commits: RwLock::new(()),
            stores: RwLock::new(readers),
            partitions: RwLock::new(vec![None; stores]),
        }))
    }

    /// Says whether queries are answered.
    pub fn set_running(&self, running: bool) {
        self.0.running.store(running, Ordering::Release);
    }

    /// Says how many partitions a store has, here and elsewhere.
    pub fn set_partitions(&self, store: usize, count: u32) {
        let partitions = self.0.partitions.write();
        let mut partitions = partitions.unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = partitions.get_mut(store) {
            *slot = Some(count);
        }
    }

    /// How many partitions a store has; `None` if it is global or nobody said it.
    #[must_use]
    pub fn partitions(&self, store: usize) -> Option<u32> {
        let partitions = self.0.partitions.read();
        let partitions = partitions.unwrap_or_else(PoisonError::into_inner);
        partitions.get(store).copied().flatten()
    }

    /// To be held by a commit while the log may have it and the state not yet, so that who saw its output or its offsets
    /// also sees its state: queries wait until none is between the two.
    pub(crate) fn committing(&self) -> RwLockReadGuard<'_, ()> {
        self.0
            .commits
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a partition of a store readable, in place of the reader that it had.
    pub fn register(&self, store: usize, partition: i32, reader: Arc<dyn ByteReader>) {
        let mut stores = self
            .0
            .stores
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(readers) = stores.get_mut(store) {
            readers.insert(partition, reader);
        }
    }

    /// Takes a partition's reader away.
    pub fn unregister(&self, store: usize, partition: i32) {
        let mut stores = self
            .0
            .stores
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(readers) = stores.get_mut(store) {
            readers.remove(&partition);
        }
    }

    /// The readers of a store, by partition.
    #[must_use]
    pub fn readers(&self, store: usize) -> Vec<PartitionReader> {
        let stores = self.0.stores.read().unwrap_or_else(PoisonError::into_inner);
        let readers = stores.get(store).into_iter().flatten();
        readers
            .map(|(partition, reader)| (*partition, Arc::clone(reader)))
            .collect()
    }
}

/// A table field's access to its store.
#[derive(Debug, Clone)]
pub(crate) struct StoreQuery {
    pub(crate) node: &'static str,
    pub(crate) store: Option<usize>,
    pub(crate) registry: QueryRegistry,
}

impl StoreQuery {
    /// The store as of the last commit of each partition that is here.
    pub(crate) fn snapshot<K, V>(&self) -> Result<Snapshot<'_, K, V>, QueryError> {
        let node = self.node;
        let Some(store) = self.store else {
            return Err(QueryError::NoStore { node });
        };
        if !self.registry.0.running.load(Ordering::Acquire) {
            return Err(QueryError::NotRunning { node });
        }
        drop(
            self.registry
                .0
                .commits
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let readers = self.registry.readers(store);
        if readers.is_empty() {
            return Err(QueryError::NotHere { node });
        }
        let here = readers.into_iter().map(|(partition, reader)| {
            let snapshot = reader.snapshot();
            snapshot.map(|snapshot| (partition, snapshot))
        });
        let here: Result<Vec<_>, ReadError> = here.collect();
        let here = here.map_err(|reason| QueryError::Store { node, reason })?;
        let partitions = Partitions::new(node, here, self.registry.partitions(store));
        Ok(Snapshot::of(partitions))
    }
}
