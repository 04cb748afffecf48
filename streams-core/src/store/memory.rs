//! The memory backend: ordered maps that a commit publishes, so that readers on other threads see whole commits.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use super::buffer::is_empty;
use super::short_bytes::ShortBytes;
use crate::lmdb::Direction;
use crate::record::Timestamp;

/// A store's committed entries.
pub(crate) type Map = BTreeMap<ShortBytes, ShortBytes>;

/// What readers of other threads see of a task's memory stores: one map per store, of the same commit, with the largest timestamp
/// written to it. Positions of stores that lie elsewhere hold an empty map.
pub(crate) type Published = Arc<RwLock<Vec<(Arc<Map>, Timestamp)>>>;

/// The maps of a task. The task reads its own without a lock.
#[derive(Debug)]
pub(crate) struct MemoryMaps {
    current: Vec<Arc<Map>>,
    observed: Vec<Timestamp>,
    published: Published,
}

impl MemoryMaps {
    pub(crate) fn new(stores: usize) -> Self {
        let current: Vec<Arc<Map>> = (0..stores).map(|_| Arc::default()).collect();
        let observed = vec![-1; stores];
        let published = current.iter().cloned().zip(observed.iter().copied());
        MemoryMaps {
            published: Arc::new(RwLock::new(published.collect())),
            current,
            observed,
        }
    }

    pub(crate) fn published(&self) -> Published {
        Arc::clone(&self.published)
    }

    pub(crate) fn map(&self, store: usize) -> Option<&Map> {
        self.current.get(store).map(Arc::as_ref)
    }

    /// Changes maps and publishes them all at once. A map is copied only if a reader holds it at this moment.
    pub(crate) fn update(
        &mut self,
        change: impl FnOnce(&mut dyn FnMut(usize, &[u8], Option<&[u8]>)),
    ) {
        let mut published = self
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Without the published references the task is the only owner, and nothing is copied.
        published.clear();
        let current = &mut self.current;
        change(&mut |store, key, value| {
            let Some(map) = current.get_mut(store).map(Arc::make_mut) else {
                return;
            };
            match value {
                None => {
                    map.remove(key);
                }
                Some(value) => match map.get_mut(key) {
                    Some(old) => old.set(value),
                    None => {
                        map.insert(key.into(), value.into());
                    }
                },
            }
        });
        published.extend(current.iter().cloned().zip(self.observed.iter().copied()));
    }

    /// Removes the entries below a key and remembers the largest timestamp written; the next update publishes both.
    pub(crate) fn truncate(&mut self, store: usize, before: Option<&[u8]>, observed: Timestamp) {
        if let Some(slot) = self.observed.get_mut(store) {
            *slot = observed;
        }
        let map = self.current.get_mut(store);
        let (Some(before), Some(map)) = (before, map) else {
            return;
        };
        let expired = |map: &Map| {
            let first = map.first_key_value();
            first.is_some_and(|(key, _)| key.as_slice() < before)
        };
        if expired(map) {
            // Without the published reference the task is the only owner, and nothing is copied.
            let mut published = self
                .published
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            published.clear();
            let map = Arc::make_mut(map);
            while expired(map) {
                map.pop_first();
            }
            published.extend(
                self.current
                    .iter()
                    .cloned()
                    .zip(self.observed.iter().copied()),
            );
        }
    }

    /// Empties a store.
    pub(crate) fn clear(&mut self, store: usize) {
        if let Some(map) = self.current.get_mut(store) {
            *map = Arc::default();
        }
        if let Some(observed) = self.observed.get_mut(store) {
            *observed = -1;
        }
        self.update(|_| {});
    }
}

/// The entries of a map between two keys.
pub(crate) fn range<'a>(
    map: &'a Map,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
    direction: Direction,
) -> MapRange<'a> {
    let inner = if is_empty(from, to) {
        None
    } else {
        Some(map.range::<[u8], _>((from, to)))
    };
    MapRange { inner, direction }
}

/// Entries in order of their keys.
#[derive(Debug)]
pub(crate) struct MapRange<'a> {
    inner: Option<btree_map::Range<'a, ShortBytes, ShortBytes>>,
    direction: Direction,
}

impl<'a> Iterator for MapRange<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let inner = self.inner.as_mut()?;
        let (key, value) = match self.direction {
            Direction::Forward => inner.next(),
            Direction::Backward => inner.next_back(),
        }?;
        Some((key.as_slice(), value.as_slice()))
    }
}

impl DoubleEndedIterator for MapRange<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let inner = self.inner.as_mut()?;
        let (key, value) = match self.direction {
            Direction::Forward => inner.next_back(),
            Direction::Backward => inner.next(),
        }?;
        Some((key.as_slice(), value.as_slice()))
    }
}
