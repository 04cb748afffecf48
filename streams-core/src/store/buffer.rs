//! A store's write buffer: every put since the last commit, read through by get and range, written in key order by a commit.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::hash::Hasher as _;
use std::ops::Bound;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

use super::short_bytes::ShortBytes;
use crate::lmdb::Direction;

/// What an entry costs besides its bytes beyond the inline ones: slot, index, hash table.
const ENTRY_OVERHEAD: usize = 64;

/// Uncommitted puts of one store. Entries are only added or overwritten; commit and abort empty it.
#[derive(Debug, Default)]
pub(crate) struct WriteBuffer {
    entries: Vec<Buffered>,
    /// Positions in `entries` by key.
    index: HashTable<u32>,
    /// Positions in key order; built by the first range since the last commit, and kept from then on.
    ordered: Option<BTreeMap<ShortBytes, u32>>,
    bytes: usize,
}

#[derive(Debug)]
struct Buffered {
    key: ShortBytes,
    /// `None` deletes the key.
    value: Option<ShortBytes>,
}

/// Deterministic, and fast for short keys.
#[inline]
pub(crate) fn hash(key: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    hasher.finish()
}

impl WriteBuffer {
    /// The buffered value of a key: outer `None` if the key was not put, inner `None` if it was deleted.
    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let at = self.find(key)?;
        Some(self.value(at))
    }

    /// The position of a key's entry.
    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let at = self.index.find(hash(key), |at| self.key_at(*at) == key)?;
        Some(*at)
    }

    /// The value of an entry; `None` if it deletes its key.
    #[inline]
    pub(crate) fn value(&self, at: u32) -> Option<&[u8]> {
        let entry = self.entries.get(at as usize)?;
        entry.value.as_ref().map(ShortBytes::as_slice)
    }

    /// Puts or deletes a key.
    pub(crate) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        let hash = hash(key);
        let added = value.map_or(0, <[u8]>::len);
        let entries = &mut self.entries;
        let found = self.index.find(hash, |at| {
            entries
                .get(*at as usize)
                .is_some_and(|e| e.key.as_slice() == key)
        });
        if let Some(entry) = found.and_then(|at| entries.get_mut(*at as usize)) {
            self.bytes -= entry.value.as_ref().map_or(0, ShortBytes::len);
            self.bytes += added;
            match (&mut entry.value, value) {
                (Some(old), Some(new)) => old.set(new),
                (old, new) => *old = new.map(ShortBytes::from),
            }
            return;
        }
        // Far more than fits into memory: an entry takes over 64 bytes.
        let at = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let short = ShortBytes::from(key);
        if let Some(ordered) = &mut self.ordered {
            ordered.insert(short.clone(), at);
        }
        entries.push(Buffered {
            key: short,
            value: value.map(ShortBytes::from),
        });
        self.index.insert_unique(hash, at, |at| {
            entries
                .get(*at as usize)
                .map_or(0, |e| self::hash(e.key.as_slice()))
        });
        self.bytes += key.len() + added + ENTRY_OVERHEAD;
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing was put.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets everything; keeps the memory, unless it was for an unusual load.
    pub(crate) fn clear(&mut self) {
        if self.entries.capacity() > 4 * self.entries.len() + 1024 {
            *self = WriteBuffer::default();
        } else {
            self.entries.clear();
            self.index.clear();
            self.ordered = None;
            self.bytes = 0;
        }
    }

    /// Every entry from a key on, in key order: `None` as the value deletes the key.
    pub(crate) fn sorted_from(&self, from: &[u8]) -> Vec<(&[u8], Option<&[u8]>)> {
        let mut all = self.sorted();
        let first = all.partition_point(|(key, _)| *key < from);
        all.drain(..first);
        all
    }

    /// Every entry in key order: `None` as the value deletes the key.
    pub(crate) fn sorted(&self) -> Vec<(&[u8], Option<&[u8]>)> {
        let mut all: Vec<(&[u8], Option<&[u8]>)> = match &self.ordered {
            Some(ordered) => ordered.values().filter_map(|at| self.entry(*at)).collect(),
            None => (0..).map_while(|at| self.entry(at)).collect(),
        };
        if self.ordered.is_none() {
            all.sort_unstable_by_key(|(key, _)| *key);
        }
        all
    }

    /// Makes [`WriteBuffer::range`] see everything. Separate, so that the range itself borrows nothing mutably.
    pub(crate) fn order(&mut self) {
        if self.ordered.is_none() && !self.entries.is_empty() {
            self.ordered = Some(
                self.entries
                    .iter()
                    .map(|e| e.key.clone())
                    .zip(0..)
                    .collect(),
            );
        }
    }

    /// The entries between two keys, after [`WriteBuffer::order`].
    pub(crate) fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
    ) -> BufferRange<'_> {
        let inner = match &self.ordered {
            Some(ordered) if !is_empty(from, to) => Some(ordered.range::<[u8], _>((from, to))),
            _ => None,
        };
        BufferRange {
            buffer: self,
            inner,
            direction,
        }
    }

    fn entry(&self, at: u32) -> Option<(&[u8], Option<&[u8]>)> {
        let entry = self.entries.get(at as usize)?;
        Some((
            entry.key.as_slice(),
            entry.value.as_ref().map(ShortBytes::as_slice),
        ))
    }

    fn key_at(&self, at: u32) -> &[u8] {
        self.entries
            .get(at as usize)
            .map_or(&[], |e| e.key.as_slice())
    }
}

/// Whether no key can lie between the bounds; `BTreeMap::range` panics on some of these.
pub(crate) fn is_empty(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low), Bound::Excluded(high))
        | (Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => low >= high,
        _ => false,
    }
}

/// Buffered entries in order of their keys.
#[derive(Debug)]
pub(crate) struct BufferRange<'a> {
    buffer: &'a WriteBuffer,
    inner: Option<btree_map::Range<'a, ShortBytes, u32>>,
    direction: Direction,
}

impl<'a> Iterator for BufferRange<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let inner = self.inner.as_mut()?;
        let (_, at) = match self.direction {
            Direction::Forward => inner.next(),
            Direction::Backward => inner.next_back(),
        }?;
        self.buffer.entry(*at)
    }
}
