//! Finds what a write buffer holds of a window or session store: by the records' keys, and among those of one key by time.
//!
//! An operator asks for the windows of one key, and mostly writes a key's windows in the order of their times: a look-up by hash finds
//! them together, in order, whatever lies between them in the store.

use std::cmp::Ordering;
use std::ops::Bound;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::arena::Arena;
use super::buffer::{short_hash, spread};
use super::segments::{SEGMENT, Segments};
use super::short_bytes::ShortBytes;
use crate::record::Timestamp;

/// Positions in an arena, whose keys are local ones.
#[derive(Debug)]
pub(super) struct KeyTimes {
    keys: HashTable<OfKey>,
    segments: Segments,
}

/// What there is of a key; never nothing.
#[derive(Debug)]
struct OfKey {
    hash: u32,
    /// Once more, so that a look-up need not go to an entry, which hardly ever lies in the processor's cache.
    key: ShortBytes,
    times: Times,
}

/// One entry needs no allocation.
#[derive(Debug)]
enum Times {
    One(Timed),
    /// In the order of time, then of what follows it in the store key.
    Several(Vec<Timed>),
}

/// An entry and its time. As the bytes of times are, negative ones are behind all others.
#[derive(Debug, Clone, Copy)]
struct Timed {
    time: u64,
    at: u32,
}

/// Where a put comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// The key has an entry already, with its old value.
    Old(u32),
    /// It is a new entry.
    New(u32),
}

/// Some entries of a key, from both ends.
#[derive(Debug, Clone, Default)]
pub(super) struct TimesOfKey<'a>(std::slice::Iter<'a, Timed>);

impl Iterator for TimesOfKey<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        self.0.next().map(|timed| timed.at)
    }
}

impl DoubleEndedIterator for TimesOfKey<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<u32> {
        self.0.next_back().map(|timed| timed.at)
    }
}

/// A local key in its parts.
#[derive(Debug, Clone, Copy)]
struct Parts<'k> {
    key: &'k [u8],
    time: u64,
    suffix: &'k [u8],
}

fn parts(local: &[u8], suffix: usize) -> Parts<'_> {
    let at = local.len().checked_sub(suffix).filter(|at| *at >= SEGMENT);
    let key = at.and_then(|at| Some((local.get(SEGMENT..at)?, local.get(at..)?)));
    // What is no local key is one for itself.
    let (key, suffix) = key.unwrap_or((local, local));
    Parts {
        key,
        time: suffix.first_chunk().map_or(0, |t| u64::from_be_bytes(*t)),
        suffix,
    }
}

impl OfKey {
    #[inline]
    fn all(&self) -> &[Timed] {
        match &self.times {
            Times::One(timed) => std::slice::from_ref(timed),
            Times::Several(all) => all,
        }
    }

    fn insert(&mut self, position: usize, timed: Timed) {
        match &mut self.times {
            Times::One(first) => {
                let mut all = Vec::with_capacity(4);
                all.push(*first);
                all.insert(position.min(1), timed);
                self.times = Times::Several(all);
            }
            Times::Several(all) => all.insert(position.min(all.len()), timed),
        }
    }
}

impl KeyTimes {
    pub(super) fn new(segments: Segments) -> Self {
        KeyTimes {
            keys: HashTable::new(),
            segments,
        }
    }

    /// The position of an entry.
    #[inline]
    pub(super) fn find(&self, arena: &Arena, local: &[u8]) -> Option<u32> {
        let wanted = parts(local, self.segments.suffix());
        let all = self.all(wanted.key);
        let timed = all.get(self.position(arena, all, wanted))?;
        (arena.key(timed.at) == local).then_some(timed.at)
    }

    /// Finds the entry of a key, or adds one.
    #[inline]
    pub(super) fn place(
        &mut self,
        arena: &mut Arena,
        local: &[u8],
        value: Option<&[u8]>,
    ) -> Placed {
        let new = parts(local, self.segments.suffix());
        let (hash, suffix) = (short_hash(new.key), self.segments.suffix());
        let entry = {
            let is = |of: &OfKey| of.hash == hash && of.key.as_slice() == new.key;
            self.keys.entry(spread(hash), is, |of| spread(of.hash))
        };
        let time = new.time;
        match entry {
            Entry::Occupied(found) => {
                let of = found.into_mut();
                let position = position(arena, of.all(), new, suffix);
                if let Some(timed) = of.all().get(position)
                    && arena.key(timed.at) == local
                {
                    return Placed::Old(timed.at);
                }
                let at = arena.push(local, value);
                of.insert(position, Timed { time, at });
                Placed::New(at)
            }
            Entry::Vacant(room) => {
                let at = arena.push(local, value);
                let times = Times::One(Timed { time, at });
                let key = new.key.into();
                room.insert(OfKey { hash, key, times });
                Placed::New(at)
            }
        }
    }

    /// The entries of a key of two times or between.
    pub(super) fn within(&self, key: &[u8], from: Timestamp, to: Timestamp) -> TimesOfKey<'_> {
        if from > to || to < 0 {
            return TimesOfKey::default();
        }
        let (from, to) = (from.max(0).cast_unsigned(), to.cast_unsigned());
        let all = self.all(key);
        let start = all.partition_point(|timed| timed.time < from);
        let all = all.get(start..).unwrap_or_default();
        let end = all.partition_point(|timed| timed.time <= to);
        TimesOfKey(all.get(..end).unwrap_or_default().iter())
    }

    /// The entries of a key between two local keys, but for those of negative times, which nobody asks for.
    pub(super) fn between(
        &self,
        arena: &Arena,
        key: &[u8],
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> TimesOfKey<'_> {
        let all = self.all(key);
        let is_negative = |timed: &Timed| timed.time.cast_signed() < 0;
        let end = all.partition_point(|timed| !is_negative(timed));
        let all = all.get(..end).unwrap_or_default();
        let compare = |timed: &Timed, bound: &[u8]| self.compare(arena, timed, bound, key);
        let start = all.partition_point(|timed| match from {
            Bound::Included(from) => compare(timed, from).is_lt(),
            Bound::Excluded(from) => compare(timed, from).is_le(),
            Bound::Unbounded => false,
        });
        let all = all.get(start..).unwrap_or_default();
        let end = all.partition_point(|timed| match to {
            Bound::Included(to) => compare(timed, to).is_le(),
            Bound::Excluded(to) => compare(timed, to).is_lt(),
            Bound::Unbounded => true,
        });
        TimesOfKey(all.get(..end).unwrap_or_default().iter())
    }

    /// An entry of a key and a local key, which is mostly one of the same record's key: then segment and time tell, without a look at
    /// the entry.
    fn compare(&self, arena: &Arena, timed: &Timed, bound: &[u8], key: &[u8]) -> Ordering {
        let in_segment = bound.split_first_chunk::<SEGMENT>();
        let told = in_segment.and_then(|(segment, rest)| {
            let time = rest.strip_prefix(key)?.first_chunk()?;
            Some((*segment, u64::from_be_bytes(*time)))
        });
        let is = || self.segments.prefix(timed.time.cast_signed());
        let by_time = told.map_or(Ordering::Equal, |bound| (is(), timed.time).cmp(&bound));
        by_time.then_with(|| arena.key(timed.at).cmp(bound))
    }

    /// The position of a key's last entry.
    #[inline]
    pub(super) fn last(&self, key: &[u8]) -> Option<u32> {
        self.all(key).last().map(|timed| timed.at)
    }

    /// Forgets everything, and the memory too if it was `unusual`ly much.
    pub(super) fn clear(&mut self, unusual: bool) {
        if unusual {
            self.keys = HashTable::new();
        } else {
            self.keys.clear();
        }
    }

    /// The entries of a key, in order.
    #[inline]
    fn all(&self, key: &[u8]) -> &[Timed] {
        let hash = short_hash(key);
        let is = |of: &OfKey| of.hash == hash && of.key.as_slice() == key;
        self.keys.find(spread(hash), is).map_or(&[], OfKey::all)
    }

    #[inline]
    fn position(&self, arena: &Arena, all: &[Timed], wanted: Parts<'_>) -> usize {
        position(arena, all, wanted, self.segments.suffix())
    }
}

/// The first that is not before a key.
#[inline]
fn position(arena: &Arena, all: &[Timed], wanted: Parts<'_>, suffix: usize) -> usize {
    // Most are behind all that there are.
    if all.last().is_some_and(|last| last.time < wanted.time) {
        return all.len();
    }
    all.partition_point(|timed| {
        timed.time < wanted.time
            || timed.time == wanted.time
                && parts(arena.key(timed.at), suffix).suffix < wanted.suffix
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lmdb::Direction;
    use crate::store::buffer::WriteBuffer;
    use crate::topology::{StoreBackend, StoreKind};

    /// As windows' suffixes are.
    const SUFFIX: usize = 12;
    const MINUTE: i64 = 60_000;

    fn by_time() -> WriteBuffer {
        let kind = StoreKind::Window {
            retention_ms: MINUTE,
            size_ms: MINUTE,
            duplicates: true,
        };
        WriteBuffer::of(Segments::of(kind, StoreBackend::Lmdb))
    }

    /// Some keys begin with others, and times come in any order, negative ones too.
    fn local(key: u8, time: i64, sequence: u32) -> Vec<u8> {
        let key = [&b"a"[..], b"b", b"b\0\0\0\0\0\0\0\0", b""][usize::from(key % 4)];
        let time = time * MINUTE / 10;
        let segment = time.max(0) / MINUTE;
        [
            &segment.to_be_bytes()[..],
            key,
            &time.to_be_bytes(),
            &sequence.to_be_bytes(),
        ]
        .concat()
    }

    proptest! {
        #[test]
        fn a_buffer_by_times_is_a_buffer_by_keys(
            puts in proptest::collection::vec((0..4_u8, -3..40_i64, 0..3_u32, any::<Option<u8>>()), 0..80),
            key in 0..4_u8, from in -3..40_i64, to in -3..40_i64,
        ) {
            let (mut by_time, mut by_key) = (by_time(), WriteBuffer::of(None));
            for round in 0..2 {
                for (key, time, sequence, value) in &puts {
                    let value = value.map(|v| vec![v; usize::from(v)]);
                    for buffer in [&mut by_time, &mut by_key] {
                        buffer.put(&local(*key, *time, *sequence), value.as_deref());
                    }
                    prop_assert_eq!(by_time.bytes(), by_key.bytes());
                }
                prop_assert_eq!(by_time.sorted(), by_key.sorted());
                for (key, time, sequence, _) in &puts {
                    for other in [*sequence, sequence + 1] {
                        let local = local(*key, *time, other);
                        prop_assert_eq!(by_time.get(&local), by_key.get(&local));
                    }
                }
                let wanted = local(key, 0, 0);
                let wanted = &wanted[SEGMENT..wanted.len() - SUFFIX];
                let of_key = |local: &[u8]| &local[SEGMENT..local.len() - SUFFIX] == wanted;
                let time = |local: &[u8]| parts(local, SUFFIX).time.cast_signed();
                let (first, last) = (from * MINUTE / 10, to * MINUTE / 10);
                for direction in [Direction::Forward, Direction::Backward] {
                    by_key.order();
                    let (low, high) = (local(key, from, 1), local(key, to, 1));
                    let (low, high) = (Bound::Included(&*low), Bound::Excluded(&*high));
                    let expected: Vec<_> = by_key.range(low, high, direction).filter(|(k, _)| of_key(k) && time(k) >= 0).collect();
                    let found: Vec<_> = by_time.range_of_key(wanted, low, high, direction).collect();
                    prop_assert_eq!(found, expected);
                    let all = by_key.range(Bound::Unbounded, Bound::Unbounded, direction);
                    let expected: Vec<_> = all.filter(|(k, _)| of_key(k) && (first.max(0)..=last).contains(&time(k))).collect();
                    let found: Vec<_> = by_time.times_of_key(wanted, (first, last), direction).collect();
                    prop_assert_eq!(found, expected);
                }
                if round == 0 {
                    by_time.clear();
                    by_key.clear();
                    prop_assert!(by_time.is_empty() && by_time.get(&local(key, from, 0)).is_none());
                }
            }
        }
    }

    #[test]
    fn what_is_no_local_key_is_found_all_the_same() {
        let mut buffer = by_time();
        for length in 0..30 {
            buffer.put(&[7; 30][..length], Some(&[1]));
            buffer.put(&[7; 30][..length], Some(&[2]));
        }
        assert_eq!(buffer.sorted().len(), 30);
        for length in 0..30 {
            assert_eq!(buffer.get(&[7; 30][..length]), Some(Some(&[2][..])));
        }
    }
}
