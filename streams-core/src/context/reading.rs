//! A task's stores for tests: what is not committed, and what the record cache holds back, is seen.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::TaskContext;
use crate::error::{TaskError, TaskFailure, TaskResult};
use crate::query::ByteSnapshot;
use crate::record::Validity;
use crate::store::{
    Direction, History, LATEST_PREFIX, SEGMENT, SingleSnapshot, StoreError, TaskStores,
    VersionedRows, key_of_row,
};
use crate::topology::StoreKind;

/// A key, and its versions.
pub(crate) type Versions = (Vec<u8>, Vec<(Validity, Vec<u8>)>);

impl TaskContext {
    /// Looks into a store, record cache and write buffer included. A window's or session's key is its store key.
    pub(crate) fn read(&mut self, store: usize, key: &[u8]) -> TaskResult<Option<Vec<u8>>> {
        let mut local = Vec::new();
        let segments = self.stores().segments(store);
        let key = match segments {
            Some(segments) => {
                segments.local(key, &mut local);
                &local
            }
            None => key,
        };
        if let Some((_, cached)) = self.cache().dirty(store).find(|(k, _)| *k == key) {
            return Ok(cached.map(<[u8]>::to_vec));
        }
        let versioned = self.history(store).map(|_| [LATEST_PREFIX, key].concat());
        let key = versioned.as_deref().unwrap_or(key);
        let stores = self.stores_mut();
        let found = match segments {
            Some(_) => stores.get_unexpired(store, key),
            None => stores.get(store, key),
        };
        Ok(found.map_err(state_error)?.map(<[u8]>::to_vec))
    }

    /// The history that a store keeps, if it is a versioned one.
    fn history(&self, store: usize) -> Option<History> {
        match self.store_kind(store) {
            StoreKind::Versioned { retention } => Some(History { retention }),
            _ => None,
        }
    }

    /// Everything in a store that has not expired, record cache and write buffer included, in the store's order. Keys of windows and
    /// sessions are local ones.
    pub(crate) fn read_all(&mut self, store: usize) -> TaskResult<BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut all = BTreeMap::new();
        let latest = self.history(store).map(|_| LATEST_PREFIX);
        let (from, to) = (
            latest.map_or(Bound::Unbounded, Bound::Included),
            Bound::Unbounded,
        );
        let prefix = latest.map_or(0, <[u8]>::len);
        let stored = self.stores_mut().range(store, from, to, Direction::Forward);
        for entry in stored.map_err(state_error)? {
            let (key, value) = entry.map_err(state_error)?;
            all.insert(
                key.get(prefix..).unwrap_or_default().to_vec(),
                value.to_vec(),
            );
        }
        for (key, value) in self.cache().dirty(store) {
            match value {
                Some(value) => all.insert(key.to_vec(), value.to_vec()),
                None => all.remove(key),
            };
        }
        if let Some(segments) = self.stores().segments(store) {
            let visible_from = segments.visible_from(self.stores().observed(store));
            let time = |key: &[u8]| segments.time(key.get(SEGMENT..).unwrap_or_default());
            all.retain(|key, _| time(key) >= visible_from);
            // What has expired and still lies in the record cache can be read, as in Kafka Streams.
            let cache = self.cache_mut();
            let everything = (Bound::Unbounded, Bound::Unbounded);
            cache.range(store, everything.0, everything.1, &mut |key, value| {
                if let Some(value) = value {
                    all.insert(key.to_vec(), value.to_vec());
                }
            });
        }
        Ok(all)
    }

    /// A store as of now, record cache and write buffer included: a copy of its rows.
    pub(crate) fn snapshot(&mut self, store: usize) -> TaskResult<Box<dyn ByteSnapshot>> {
        let rows = match self.history(store) {
            None => self.read_all(store)?,
            // The past too; there is no record cache before it.
            Some(_) => copy_rows(self.stores_mut(), store).map_err(state_error)?,
        };
        let kind = self.store_kind(store);
        let segments = self.stores().segments(store);
        Ok(Box::new(SingleSnapshot::of_rows(rows, kind, segments)))
    }

    /// Everything in a versioned store, the past included, in the order of the keys; the oldest version of each first.
    pub(crate) fn read_versions(&mut self, store: usize) -> TaskResult<Vec<Versions>> {
        let Some(history) = self.history(store) else {
            return Ok(Vec::new());
        };
        let stores = self.stores_mut();
        let mut keys = BTreeSet::new();
        let rows = stores.range(
            store,
            Bound::Unbounded,
            Bound::Unbounded,
            Direction::Forward,
        );
        for row in rows.map_err(state_error)? {
            let (row, _) = row.map_err(state_error)?;
            keys.extend(key_of_row(row).map(<[u8]>::to_vec));
        }
        let mut rows = VersionedRows::new(history);
        let mut all = Vec::new();
        for key in keys {
            let mut versions = Vec::new();
            rows.all(stores, store, &key, &mut |validity, value| {
                versions.push((validity, value.to_vec()));
            })
            .map_err(state_error)?;
            versions.reverse();
            all.push((key, versions));
        }
        Ok(all)
    }
}

/// All rows of a store, write buffer included.
fn copy_rows(
    stores: &mut TaskStores,
    store: usize,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
    let rows = stores.range(
        store,
        Bound::Unbounded,
        Bound::Unbounded,
        Direction::Forward,
    )?;
    rows.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())))
        .collect()
}

fn state_error(e: StoreError) -> TaskError {
    TaskFailure::State(Box::new(e)).into()
}
