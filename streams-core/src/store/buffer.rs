//! A store's write buffer: every put since the last commit, read through by get and range, written in key order by a commit.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::hash::Hasher as _;
use std::ops::Bound;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxHasher;

use super::arena::Arena;
use super::segments::Segments;
use super::short_bytes::ShortBytes;
use super::times::{KeyTimes, Placed, TimesOfKey};
use crate::lmdb::Direction;
use crate::record::Timestamp;

/// What an entry costs besides its bytes: header, index, hash table.
const ENTRY_OVERHEAD: usize = 64;

/// How many keys are looked ahead for at once: enough for their waits for memory to overlap, few enough for what was brought close to
/// stay there.
pub const AHEAD: usize = 16;

/// Of fewer entries, all lie near the processor, and looking ahead gains nothing.
pub(super) const FAR: usize = 4096;

/// Uncommitted puts of one store. Entries are only added or overwritten; commit and abort empty it.
#[derive(Debug, Default)]
pub(crate) struct WriteBuffer {
    arena: Arena,
    /// Positions of all entries.
    entries: Vec<u32>,
    index: Index,
    /// Positions in key order; built by the first range since the last commit, and kept from then on.
    ordered: Option<BTreeMap<ShortBytes, u32>>,
    bytes: usize,
}

/// Finds entries.
#[derive(Debug)]
enum Index {
    /// By their keys.
    Keys(HashTable<Hashed>),
    /// Those of a window or session store: by their records' keys and, among those of one key, by time.
    Times(KeyTimes),
}

impl Default for Index {
    fn default() -> Self {
        Index::Keys(HashTable::new())
    }
}

#[derive(Debug, Clone, Copy)]
struct Hashed {
    /// Most keys that are not the one looked for need not be looked at.
    hash: u32,
    at: u32,
}

/// Deterministic, and fast for short keys.
#[inline]
pub(crate) fn hash(key: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    hasher.finish()
}

/// The part of a hash that tables keep.
#[inline]
pub(super) fn short_hash(key: &[u8]) -> u32 {
    (hash(key) >> 32) as u32
}

/// What a table needs of a hash, made of what it keeps.
#[inline]
pub(super) fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl WriteBuffer {
    /// The buffer of a window or session store, or of another one.
    pub(super) fn of(segments: Option<Segments>) -> Self {
        WriteBuffer {
            index: segments.map_or_else(Index::default, |s| Index::Times(KeyTimes::new(s))),
            ..WriteBuffer::default()
        }
    }

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
        match &self.index {
            Index::Keys(keys) => {
                let hash = short_hash(key);
                let is = |h: &Hashed| h.hash == hash && self.arena.key(h.at) == key;
                Some(keys.find(spread(hash), is)?.at)
            }
            Index::Times(times) => times.find(&self.arena, key),
        }
    }

    /// Brings close what look-ups of keys will need: of a window or session store, of records' keys.
    pub(super) fn look_ahead(&self, keys: &[&[u8]]) {
        if self.entries.len() < FAR {
            return;
        }
        let find = |key: &&[u8]| match &self.index {
            Index::Keys(_) => self.find(key),
            Index::Times(times) => times.last(key),
        };
        let mut found = [None; AHEAD];
        for (at, key) in found.iter_mut().zip(keys) {
            *at = find(key);
        }
        for at in found.into_iter().flatten() {
            self.arena.look_ahead(at);
        }
    }

    /// The value of an entry; `None` if it deletes its key.
    #[inline]
    pub(crate) fn value(&self, at: u32) -> Option<&[u8]> {
        self.arena.value(at)
    }

    /// Puts or deletes a key.
    pub(crate) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        let arena = &mut self.arena;
        let placed = match &mut self.index {
            Index::Keys(keys) => {
                let hash = short_hash(key);
                let is = |h: &Hashed| h.hash == hash && arena.key(h.at) == key;
                match keys.entry(spread(hash), is, |h| spread(h.hash)) {
                    Entry::Occupied(found) => Placed::Old(found.get().at),
                    Entry::Vacant(room) => {
                        let at = arena.push(key, value);
                        room.insert(Hashed { hash, at });
                        Placed::New(at)
                    }
                }
            }
            Index::Times(times) => times.place(arena, key, value),
        };
        let added = value.map_or(0, <[u8]>::len);
        match placed {
            Placed::Old(at) => {
                self.bytes -= arena.value(at).map_or(0, <[u8]>::len);
                self.bytes += added;
                arena.set(at, value);
            }
            Placed::New(at) => {
                if let Some(ordered) = &mut self.ordered {
                    ordered.insert(key.into(), at);
                }
                self.entries.push(at);
                self.bytes += key.len() + added + ENTRY_OVERHEAD;
            }
        }
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
        let unusual = self.entries.capacity() > 4 * self.entries.len() + 1024;
        if unusual {
            self.entries = Vec::new();
        }
        match &mut self.index {
            Index::Keys(keys) if unusual => *keys = HashTable::new(),
            Index::Keys(keys) => keys.clear(),
            Index::Times(times) => times.clear(unusual),
        }
        self.arena.clear();
        self.entries.clear();
        self.ordered = None;
        self.bytes = 0;
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
        match &self.ordered {
            Some(ordered) => ordered.values().map(|at| self.arena.get(*at)).collect(),
            None => {
                // Most keys differ in their first bytes, which lie side by side here.
                let begins = |at: &u32| (beginning(self.arena.key(*at)), *at);
                let mut all: Vec<_> = self.entries.iter().map(begins).collect();
                all.sort_unstable_by(|(a, at), (b, other)| {
                    let whole = || self.arena.key(*at).cmp(self.arena.key(*other));
                    a.cmp(b).then_with(whole)
                });
                all.iter().map(|(_, at)| self.arena.get(*at)).collect()
            }
        }
    }

    /// Makes [`WriteBuffer::range`] see everything. Separate, so that the range itself borrows nothing mutably.
    pub(crate) fn order(&mut self) {
        if self.ordered.is_none() && !self.entries.is_empty() {
            let entries = self.entries.iter();
            let all = entries.map(|at| (self.arena.key(*at).into(), *at));
            self.ordered = Some(all.collect());
        }
    }

    /// The entries between two keys, after [`WriteBuffer::order`].
    pub(crate) fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
    ) -> BufferRange<'_> {
        let within = match &self.ordered {
            Some(ordered) if !is_empty(from, to) => {
                Within::All(ordered.range::<[u8], _>((from, to)))
            }
            _ => Within::Key(TimesOfKey::default()),
        };
        BufferRange {
            arena: &self.arena,
            within,
            direction,
        }
    }

    /// The entries of a window or session store that are of one record's key and lie between two of the store's: no need to
    /// [order](WriteBuffer::order) all.
    pub(super) fn range_of_key(
        &self,
        key: &[u8],
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
    ) -> BufferRange<'_> {
        let within = match &self.index {
            Index::Times(times) => times.between(&self.arena, key, from, to),
            Index::Keys(_) => TimesOfKey::default(),
        };
        BufferRange {
            arena: &self.arena,
            within: Within::Key(within),
            direction,
        }
    }

    /// The entries of a window or session store that are of one record's key and of two times or between.
    pub(super) fn times_of_key(
        &self,
        key: &[u8],
        (from, to): (Timestamp, Timestamp),
        direction: Direction,
    ) -> BufferRange<'_> {
        let within = match &self.index {
            Index::Times(times) => times.within(key, from, to),
            Index::Keys(_) => TimesOfKey::default(),
        };
        BufferRange {
            arena: &self.arena,
            within: Within::Key(within),
            direction,
        }
    }
}

/// The first 24 bytes of a key as numbers of the same order; missing ones are zeros.
#[inline]
pub(super) fn beginning(key: &[u8]) -> [u64; 3] {
    let mut bytes = [0; 24];
    let length = key.len().min(bytes.len());
    if let (Some(to), Some(from)) = (bytes.get_mut(..length), key.get(..length)) {
        to.copy_from_slice(from);
    }
    let mut numbers = [0; 3];
    for (to, from) in numbers.iter_mut().zip(bytes.as_chunks().0) {
        *to = u64::from_be_bytes(*from);
    }
    numbers
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
    arena: &'a Arena,
    within: Within<'a>,
    direction: Direction,
}

#[derive(Debug)]
enum Within<'a> {
    All(btree_map::Range<'a, ShortBytes, u32>),
    Key(TimesOfKey<'a>),
}

impl<'a> Iterator for BufferRange<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = match (&mut self.within, self.direction) {
            (Within::All(range), Direction::Forward) => *range.next()?.1,
            (Within::All(range), Direction::Backward) => *range.next_back()?.1,
            (Within::Key(times), Direction::Forward) => times.next()?,
            (Within::Key(times), Direction::Backward) => times.next_back()?,
        };
        Some(self.arena.get(at))
    }
}
