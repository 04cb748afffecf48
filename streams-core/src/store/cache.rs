//! The record cache of a task: holds back updates of tables as Kafka Streams' `ThreadCache` and `NamedCache` do, so that
//! several updates of a key go downstream as one. Bounded by bytes; least recently used goes first.
//!
//! It calls nobody. Who puts asks [`RecordCache::evict`] afterwards, and passes on what that returns.

use std::fmt;
use std::ops::Bound;

use super::AHEAD;
use super::short_bytes::ShortBytes;
use crate::record::{Header, Headers, RecordMetadata, Timestamp};
use named::NamedCache;

mod list;
mod named;

/// What Kafka Streams counts for an entry beside key, value and headers: three references of the list, the dirty flag,
/// timestamp, offset and partition. (It adds the topic's name, of which there is only an index here.)
const ENTRY_OVERHEAD: usize = 3 * 8 + 1 + 8 + 8 + 4;

/// The record that a cached update came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheContext {
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Its headers.
    pub headers: Headers,
    /// Where it came from.
    pub metadata: RecordMetadata,
}

impl CacheContext {
    fn size(&self) -> usize {
        let header = |h: &Header| h.key.len() + h.value.as_ref().map_or(0, |v| v.len());
        self.headers.iter().map(header).sum()
    }
}

/// A dirty entry that leaves the cache, or stays there as a clean one: to be written to the store and passed on.
#[derive(Clone)]
pub struct CacheEntry {
    key: ShortBytes,
    value: Option<ShortBytes>,
    /// The record of its last update.
    pub context: CacheContext,
}

impl CacheEntry {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.as_slice()
    }

    /// The value, as the store will hold it; `None` deletes the key.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_ref().map(ShortBytes::as_slice)
    }
}

impl fmt::Debug for CacheEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheEntry")
            .field("key", &self.key)
            .field("value", &self.value)
            .field("context", &self.context)
            .finish()
    }
}

/// Is shown a cached entry's key and value; `None` is a deletion.
pub type VisitCached<'a> = &'a mut dyn FnMut(&[u8], Option<&[u8]>);

/// The cached entries of a task's stores.
#[derive(Debug)]
pub struct RecordCache {
    stores: Vec<NamedCache>,
    bytes: usize,
    limit: usize,
}

impl RecordCache {
    /// A cache of so many bytes for so many stores. With 0 bytes it is disabled: everything put is evicted at once.
    #[must_use]
    pub fn new(limit: usize, stores: usize) -> Self {
        let stores = (0..stores).map(|_| NamedCache::new()).collect();
        RecordCache {
            stores,
            bytes: 0,
            limit,
        }
    }

    /// Whether it holds anything back at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.limit > 0
    }

    /// The bytes it may take.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Changes the bound, when tasks come or go. Takes effect with the next [`RecordCache::evict`].
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The bytes it takes, counted as Kafka Streams does.
    #[must_use]
    pub fn size_in_bytes(&self) -> usize {
        self.bytes
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stores.iter().map(NamedCache::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a store has entries here, flushed or not.
    #[must_use]
    pub fn holds(&self, store: usize) -> bool {
        self.stores.get(store).is_some_and(|named| named.len() > 0)
    }

    /// Whether a store has entries that were not flushed.
    #[must_use]
    pub fn is_dirty(&self, store: usize) -> bool {
        self.stores.get(store).is_some_and(NamedCache::is_dirty)
    }

    /// The cached value of a key: outer `None` if it is not cached, inner `None` if the key was deleted. Counts as a use.
    #[inline]
    pub fn get(&mut self, store: usize, key: &[u8]) -> Option<Option<&[u8]>> {
        self.stores.get_mut(store)?.get(key)
    }

    /// Puts an update that nobody downstream has seen. Ask [`RecordCache::evict`] afterwards. A store beyond those that the
    /// cache was made for is an error of the caller, and ignored.
    #[inline]
    pub fn put(&mut self, store: usize, key: &[u8], value: Option<&[u8]>, context: &CacheContext) {
        self.change(store, |named| named.put(key, value, context));
    }

    /// The position of a key's entry, for [`RecordCache::value_at`] before the next change. Counts as a use.
    #[inline]
    pub fn find(&mut self, store: usize, key: &[u8]) -> Option<u32> {
        self.stores.get_mut(store)?.find_used(key)
    }

    /// Whether a store has so many entries here that it is worth to [look ahead](RecordCache::look_ahead).
    #[inline]
    #[must_use]
    pub fn is_far(&self, store: usize) -> bool {
        self.stores.get(store).is_some_and(NamedCache::is_far)
    }

    /// Brings close what look-ups of up to [`AHEAD`] keys will need; tells which are here. Does not count as a use.
    pub fn look_ahead(&self, store: usize, keys: &[&[u8]]) -> [bool; AHEAD] {
        let of = self.stores.get(store);
        of.map_or([false; AHEAD], |s| s.look_ahead(keys))
    }

    /// The value of an entry; `None` if the key was deleted.
    #[inline]
    #[must_use]
    pub fn value_at(&self, store: usize, at: u32) -> Option<&[u8]> {
        self.stores.get(store)?.value(at)
    }

    /// Remembers what the store holds, for the next read. Does nothing if the key is cached already. Ask
    /// [`RecordCache::evict`] afterwards.
    pub fn put_clean(&mut self, store: usize, key: &[u8], value: &[u8]) {
        self.change(store, |named| named.put_clean(key, value));
    }

    /// Brings the cache back under its bound, as far as this store's entries can: removes the least recently used one, and, if
    /// that is dirty, flushes it and after it every dirty entry of the store in the order of their last update. Appends what
    /// is to be written and passed on to `flushed`.
    pub fn evict(&mut self, store: usize, flushed: &mut Vec<CacheEntry>) {
        while self.bytes > self.limit {
            let mut evicted = false;
            self.change(store, |named| evicted = named.evict(flushed));
            if !evicted {
                return;
            }
        }
    }

    /// Appends every dirty entry of a store in the order of their last update, and marks them clean.
    pub fn flush(&mut self, store: usize, flushed: &mut Vec<CacheEntry>) {
        self.change(store, |named| named.flush(flushed));
    }

    /// Shows a store's entries between two keys, in the order of the keys: `None` is a deletion. Does not count as a use.
    pub fn range(
        &mut self,
        store: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        visit: VisitCached<'_>,
    ) {
        if let Some(named) = self.stores.get_mut(store) {
            named.range(from, to, visit);
        }
    }

    /// The dirty entries of a store in the order of their last update. Does not count as a use.
    pub fn dirty(&self, store: usize) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.stores
            .get(store)
            .into_iter()
            .flat_map(NamedCache::dirty)
    }

    /// Forgets everything, dirty entries too (an abort).
    pub fn clear(&mut self) {
        *self = RecordCache::new(self.limit, self.stores.len());
    }

    #[inline]
    fn change(&mut self, store: usize, change: impl FnOnce(&mut NamedCache)) {
        if let Some(named) = self.stores.get_mut(store) {
            let before = named.bytes();
            change(named);
            self.bytes = self.bytes - before + named.bytes();
        }
    }
}

#[cfg(test)]
mod tests;
