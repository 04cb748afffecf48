//! Layer 2. Interactive queries: which readers of a store there are in this process, for any thread to ask.
//!
//! A task registers a reader of each of its stores when it runs, and unregisters it when it closes. A query sees the last
//! commit of every partition that is here.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::record::{Timestamp, Validity, VersionedRecord};
use crate::serde::{Serde, SerdeError};

mod scan;

pub use scan::{Keys, Scan};

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

    /// Appends the value that `key` had at a time to `value`, and tells when it was valid; `None` if there is none.
    ///
    /// # Errors
    /// When the store cannot be read, or keeps no versions.
    fn as_of(
        &self,
        _key: &[u8],
        _time: Timestamp,
        _value: &mut Vec<u8>,
    ) -> Result<Option<Validity>, ReadError> {
        Err(NotVersioned.into())
    }

    /// Shows the versions of `key` that were valid at any moment between two (both included), the latest first.
    ///
    /// # Errors
    /// When the store cannot be read, or keeps no versions.
    fn versions(
        &self,
        _key: &[u8],
        _from: Timestamp,
        _to: Timestamp,
        _visit: VisitVersion<'_>,
    ) -> Result<(), ReadError> {
        Err(NotVersioned.into())
    }

    /// Shows entries of a window or session store, with their store keys, until `visit` breaks.
    ///
    /// # Errors
    /// When the store cannot be read, or is of another kind.
    fn scan(&self, _scan: &Scan<'_>, _visit: Visit<'_>) -> Result<(), ReadError> {
        Err("the store has no windows".into())
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
}

type Readers = BTreeMap<i32, Arc<dyn ByteReader>>;

impl QueryRegistry {
    /// A registry for a topology's `stores` stores, of an application that does not run yet.
    #[must_use]
    pub fn new(stores: usize) -> Self {
        let stores = RwLock::new((0..stores).map(|_| Readers::new()).collect());
        QueryRegistry(Arc::new(Shared {
            running: AtomicBool::new(false),
            commits: RwLock::new(()),
            stores,
        }))
    }

    /// Says whether queries are answered.
    pub fn set_running(&self, running: bool) {
        self.0.running.store(running, Ordering::Release);
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
    fn readers(&self) -> Result<Vec<PartitionReader>, QueryError> {
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
            Err(QueryError::NotHere { node })
        } else {
            Ok(readers)
        }
    }

    pub(crate) fn get<K: Serde, V: Serde>(&self, key: &K) -> Result<Option<V>, QueryError> {
        let readers = self.readers()?;
        let key = self.key_bytes(key)?;
        let mut value = Vec::new();
        for (_, reader) in readers {
            let found = reader.get(&key, &mut value);
            if found.map_err(|reason| QueryError::Store {
                node: self.node,
                reason,
            })? {
                return self.value(&value).map(Some);
            }
        }
        Ok(None)
    }

    /// The value that a key had at a time.
    pub(crate) fn as_of<K: Serde, V: Serde>(
        &self,
        key: &K,
        time: Timestamp,
    ) -> Result<Option<VersionedRecord<V>>, QueryError> {
        let readers = self.readers()?;
        let key = self.key_bytes(key)?;
        let mut value = Vec::new();
        for (_, reader) in readers {
            let found = reader.as_of(&key, time, &mut value);
            if let Some(validity) = found.map_err(|reason| self.unreadable(reason))? {
                return self.version(validity, &value).map(Some);
            }
        }
        Ok(None)
    }

    /// The values that a key had between two times, both included, the latest first.
    pub(crate) fn versions<K: Serde, V: Serde>(
        &self,
        key: &K,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<VersionedRecord<V>>, QueryError> {
        let readers = self.readers()?;
        let key = self.key_bytes(key)?;
        let mut all: Vec<(Validity, Vec<u8>)> = Vec::new();
        for (_, reader) in readers {
            let read = reader.versions(&key, from, to, &mut |validity, value| {
                all.push((validity, value.to_vec()));
            });
            read.map_err(|reason| self.unreadable(reason))?;
        }
        all.iter()
            .map(|(validity, value)| self.version(*validity, value))
            .collect()
    }

    fn version<V: Serde>(
        &self,
        validity: Validity,
        value: &[u8],
    ) -> Result<VersionedRecord<V>, QueryError> {
        Ok(VersionedRecord {
            value: self.deserialize(value)?,
            valid_from: validity.from,
            valid_to: validity.to,
        })
    }

    fn unreadable(&self, reason: ReadError) -> QueryError {
        QueryError::Store {
            node: self.node,
            reason,
        }
    }

    /// Entries between two keys, merged over the partitions in the order of the keys' bytes.
    pub(crate) fn range<K: Serde, V: Serde>(
        &self,
        from: Bound<&K>,
        to: Bound<&K>,
    ) -> Result<Vec<(K, V)>, QueryError> {
        let bytes = |bound: Bound<&K>| {
            Ok(match bound {
                Bound::Included(key) => Bound::Included(self.key_bytes(key)?),
                Bound::Excluded(key) => Bound::Excluded(self.key_bytes(key)?),
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        let (from, to) = (bytes(from)?, bytes(to)?);
        let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (_, reader) in self.readers()? {
            let read = reader.range(
                from.as_ref().map(Vec::as_slice),
                to.as_ref().map(Vec::as_slice),
                &mut |key, value| {
                    entries.push((key.to_vec(), value.to_vec()));
                    ControlFlow::Continue(())
                },
            );
            read.map_err(|reason| QueryError::Store {
                node: self.node,
                reason,
            })?;
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries
            .iter()
            .map(|(key, value)| Ok((self.deserialize(key)?, self.value(value)?)))
            .collect()
    }

    fn key_bytes<K: Serde>(&self, key: &K) -> Result<Vec<u8>, QueryError> {
        let mut bytes = Vec::new();
        match key.serialize(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(reason) => Err(QueryError::Serde {
                node: self.node,
                reason,
            }),
        }
    }

    /// A stored value: eight bytes of timestamp, then the value.
    fn value<V: Serde>(&self, stored: &[u8]) -> Result<V, QueryError> {
        match stored.split_first_chunk::<8>() {
            Some((_, value)) => self.deserialize(value),
            None => Err(QueryError::Serde {
                node: self.node,
                reason: SerdeError::Length {
                    type_name: "a stored value with its timestamp",
                    expected: 8,
                    actual: stored.len(),
                },
            }),
        }
    }

    fn deserialize<T: Serde>(&self, bytes: &[u8]) -> Result<T, QueryError> {
        T::deserialize(bytes).map_err(|reason| QueryError::Serde {
            node: self.node,
            reason,
        })
    }
}
