//! The memory backend: ordered maps that a commit publishes, so that readers on other threads see whole commits.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use super::buffer::is_empty;
use super::short_bytes::ShortBytes;
use crate::lmdb::Direction;

/// A store's committed entries.
pub(crate) type Map = BTreeMap<ShortBytes, ShortBytes>;

/// What readers of other threads see of a task's memory stores: one map per store, of the same commit.
/// Positions of stores that lie elsewhere hold an empty map.
pub(crate) type Published = Arc<RwLock<Vec<Arc<Map>>>>;

/// The maps of a task. The task reads its own without a lock.
#[derive(Debug)]
pub(crate) struct MemoryMaps {
    current: Vec<Arc<Map>>,
    published: Published,
}

impl MemoryMaps {
    pub(crate) fn new(stores: usize) -> Self {
        let current: Vec<Arc<Map>> = (0..stores).map(|_| Arc::default()).collect();
        MemoryMaps {
            published: Arc::new(RwLock::new(current.clone())),
            current,
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
        published.extend(current.iter().cloned());
    }

    /// Empties a store.
    pub(crate) fn clear(&mut self, store: usize) {
        if let Some(map) = self.current.get_mut(store) {
            *map = Arc::default();
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
