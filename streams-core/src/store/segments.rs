//! Window and session stores: where their entries lie, what of them has expired, and how they are read by key and time.
//!
//! A *store key* is Kafka Streams': a window's is key, start (8 bytes) and sequence number (4), a session's key, end and start
//! (8 each). A *local key* is `segment:8 | store key`: entries of a time lie together, and what is too old lies in front, where it
//! is cut off without a scan. As in Kafka Streams, stores on disk forget whole segments, those in memory single entries, and neither
//! shows what is older than its retention.

use std::ops::{Bound, ControlFlow};

use super::StoreError;
use super::cache::VisitCached;
use crate::lmdb::Direction;
use crate::query::{Keys, Scan, Visit};
use crate::record::Timestamp;
use crate::topology::{StoreBackend, StoreKind};

mod entries;

pub use crate::query::SEGMENT;
pub(super) use entries::SegmentEntries;

/// Behind all that follows a time in a store key.
const BEHIND: [u8; 9] = [u8::MAX; 9];

/// More segments than that are looked for, not tried one by one.
const FEW: i64 = 4;

/// How a window or session store keeps its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// How long entries are kept, measured from the largest timestamp written.
    retention: i64,
    /// How much of it is forgotten at once.
    interval: i64,
    /// How much lies together under one prefix.
    layout: i64,
    /// Readers see entries that are older by so much.
    slack: i64,
    /// Whether several values of one key and time are kept.
    duplicates: bool,
    key: SegmentKey,
}

/// Which of a store's two keys it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentKey {
    /// Key, window start, sequence number.
    Window,
    /// Key, session end, session start.
    Session,
}

impl Segments {
    /// How a store of this kind keeps its entries; `None` if it has no windows.
    #[must_use]
    pub fn of(kind: StoreKind, backend: StoreBackend) -> Option<Segments> {
        let (retention, key, by_time, slack) = match kind {
            StoreKind::Window { retention_ms, .. } => (retention_ms, SegmentKey::Window, false, 0),
            StoreKind::TimestampedWindow {
                retention_ms,
                emits_by_time,
                emitted,
                ..
            } => {
                // Kafka Streams' stores of windows that are emitted when they close see a millisecond more.
                let slack = i64::from(emitted.is_some() && backend == StoreBackend::Lmdb);
                (retention_ms, SegmentKey::Window, emits_by_time, slack)
            }
            StoreKind::Session { retention_ms, .. } => {
                (retention_ms, SegmentKey::Session, false, 0)
            }
            _ => return None,
        };
        let interval = match backend {
            StoreBackend::Lmdb => (retention / 2).max(60_000),
            StoreBackend::Memory => 1,
        };
        Some(Segments {
            retention,
            interval,
            layout: if by_time { 1 } else { interval },
            slack,
            key,
            duplicates: matches!(
                kind,
                StoreKind::Window {
                    duplicates: true,
                    ..
                }
            ),
        })
    }

    /// Whether single entries are forgotten, as by Kafka Streams' stores in memory, and not whole segments.
    #[must_use]
    pub fn forgets_singly(&self) -> bool {
        self.interval == 1
    }

    /// Whether nulls in the changelog mean nothing at all: where duplicates are kept on disk, they neither delete nor move the store's
    /// time when they are put.
    pub(super) fn ignores_nulls(&self) -> bool {
        self.duplicates && !self.forgets_singly()
    }

    /// Which key it has.
    #[must_use]
    pub fn key(&self) -> SegmentKey {
        self.key
    }

    /// The length of what follows the key in a store key.
    pub(super) fn suffix(self) -> usize {
        match self.key {
            SegmentKey::Window => 12,
            SegmentKey::Session => 16,
        }
    }

    /// A store key's key, the time that decides its segment, and, of a session, its start.
    #[must_use]
    pub fn parse<'b>(&self, store_key: &'b [u8]) -> Option<(&'b [u8], Timestamp, Timestamp)> {
        let at = store_key.len().checked_sub(self.suffix())?;
        let (key, suffix) = store_key.split_at_checked(at)?;
        let time = Timestamp::from_be_bytes(*suffix.first_chunk()?);
        let start = match self.key {
            SegmentKey::Window => time,
            SegmentKey::Session => Timestamp::from_be_bytes(*suffix.last_chunk()?),
        };
        Some((key, time, start))
    }

    /// The time that decides a store key's segment; 0 of one that is none.
    #[must_use]
    pub fn time(&self, store_key: &[u8]) -> Timestamp {
        self.parse(store_key).map_or(0, |(_, time, _)| time)
    }

    /// Makes a store key local.
    #[inline]
    pub fn local(&self, store_key: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.prefix(self.time(store_key)));
        out.extend_from_slice(store_key);
    }

    /// The segment of a store key, as bytes.
    #[inline]
    #[must_use]
    pub fn prefix_of(&self, store_key: &[u8]) -> [u8; SEGMENT] {
        self.prefix(self.time(store_key))
    }

    /// Appends the local key of a record's window, as long as these are.
    pub(crate) fn append_tumbling(self, key: &[u8], time: Timestamp, size: i64, out: &mut Vec<u8>) {
        let start = time - time.checked_rem(size).unwrap_or_default();
        out.extend_from_slice(&self.prefix(start));
        out.extend_from_slice(key);
        out.extend_from_slice(&start.to_be_bytes());
        out.extend_from_slice(&0_i32.to_be_bytes());
    }

    pub(super) fn prefix(self, time: Timestamp) -> [u8; SEGMENT] {
        // Windows start at 0 at the earliest; bytes of negative numbers would lie behind all others.
        (time.max(0) / self.layout).to_be_bytes()
    }

    /// The earliest time that readers see.
    #[must_use]
    pub fn visible_from(&self, observed: Timestamp) -> Timestamp {
        observed
            .saturating_sub(self.retention)
            .saturating_add(1 - self.slack)
    }

    /// Whether an entry of this time is kept: on disk as long as its segment is, in memory as long as it can be seen.
    #[must_use]
    pub fn keeps(&self, time: Timestamp, observed: Timestamp) -> bool {
        time >= self.kept_from(observed)
    }

    /// The earliest time that is kept.
    fn kept_from(self, observed: Timestamp) -> Timestamp {
        if self.interval == 1 {
            return self.visible_from(observed);
        }
        // Java's division, and Rust's, is towards zero.
        let first = observed.saturating_sub(self.retention) / self.interval;
        first.saturating_mul(self.interval)
    }

    /// The local key below which nothing is kept; entries of `held` and later are in any case.
    #[must_use]
    pub fn bound(&self, observed: Timestamp, held: Timestamp) -> Option<[u8; SEGMENT]> {
        let time = self.kept_from(observed).min(held);
        (time > 0).then(|| self.prefix(time))
    }

    /// Whether an entry is asked for.
    pub(super) fn wants(self, scan: &Scan<'_>, visible_from: Timestamp, store_key: &[u8]) -> bool {
        let Some((key, time, start)) = self.parse(store_key) else {
            return false;
        };
        let in_time = time >= scan.from.max(visible_from) && time <= scan.to;
        let of_key = match scan.keys {
            Keys::All => true,
            Keys::One(wanted) => key == wanted,
            Keys::Range(from, to) => {
                let above = match from {
                    Bound::Included(from) => key >= from,
                    Bound::Excluded(from) => key > from,
                    Bound::Unbounded => true,
                };
                let below = match to {
                    Bound::Included(to) => key <= to,
                    Bound::Excluded(to) => key < to,
                    Bound::Unbounded => true,
                };
                above && below
            }
        };
        in_time && of_key && start <= scan.latest_start
    }

    /// As [`Segments::scan`], of local keys that lie in a cache: `range` shows those between two, `take` gets those asked for.
    pub(crate) fn scan_cached(
        &self,
        scan: &Scan<'_>,
        range: impl FnOnce(Bound<&[u8]>, Bound<&[u8]>, VisitCached<'_>),
        take: VisitCached<'_>,
    ) {
        let (low, high) = (
            self.first_of(scan.from.max(0) / self.layout),
            self.last_of(scan.to / self.layout),
        );
        range(
            Bound::Included(&low),
            high.as_ref()
                .map_or(Bound::Unbounded, |k| Bound::Excluded(k)),
            &mut |local, value| {
                let store_key = local.get(SEGMENT..).unwrap_or_default();
                if self.wants(scan, Timestamp::MIN, store_key) {
                    take(local, value);
                }
            },
        );
    }

    /// Reads what is asked for: `read` shows the entries between two local keys, `visit` gets store keys and values.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn scan(
        &self,
        scan: &Scan<'_>,
        visible_from: Timestamp,
        read: &mut ReadRange<'_>,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        let from = scan.from.max(visible_from).max(0);
        if from > scan.to {
            return Ok(());
        }
        let (first, last) = (from / self.layout, scan.to / self.layout);
        let mut flow = ControlFlow::Continue(());
        let mut matching = |local: &[u8], value: &[u8]| {
            let store_key = local.get(SEGMENT..).unwrap_or_default();
            if self.wants(scan, visible_from, store_key) {
                flow = visit(store_key, value);
            }
            flow
        };
        if matches!(scan.keys, Keys::All) {
            // Segments follow one another.
            let (low, high) = (self.first_of(first), self.last_of(last));
            return read(
                Bound::Included(&low),
                high.as_ref()
                    .map_or(Bound::Unbounded, |k| Bound::Excluded(k)),
                scan.direction,
                &mut matching,
            );
        }
        let length = match scan.keys {
            Keys::One(key) => SEGMENT + key.len() + 8 + BEHIND.len(),
            _ => 0,
        };
        let (mut low, mut high) = (Vec::with_capacity(length), Vec::with_capacity(length));
        let mut within = |segment: i64, read: &mut ReadRange<'_>| {
            self.bounds_in(segment, scan, from, &mut low, &mut high);
            read(
                Bound::Included(&low),
                Bound::Included(&high),
                scan.direction,
                &mut matching,
            )
        };
        if last - first < FEW {
            for step in 0..=last - first {
                let segment = match scan.direction {
                    Direction::Forward => first + step,
                    Direction::Backward => last - step,
                };
                within(segment, read)?;
            }
            return Ok(());
        }
        let (mut first, mut last) = (first, last);
        while let Some(segment) = self.next_segment(first, last, scan.direction, read)? {
            within(segment, read)?;
            match scan.direction {
                Direction::Forward => first = segment.saturating_add(1),
                Direction::Backward => last = segment - 1,
            }
        }
        Ok(())
    }

    /// The first segment between two that has entries.
    fn next_segment(
        self,
        first: i64,
        last: i64,
        direction: Direction,
        read: &mut ReadRange<'_>,
    ) -> Result<Option<i64>, StoreError> {
        if first > last {
            return Ok(None);
        }
        let mut found = None;
        let (low, high) = (self.first_of(first), self.last_of(last));
        read(
            Bound::Included(&low),
            high.as_ref()
                .map_or(Bound::Unbounded, |k| Bound::Excluded(k)),
            direction,
            &mut |local, _| {
                found = local.first_chunk().map(|id| i64::from_be_bytes(*id));
                ControlFlow::Break(())
            },
        )?;
        Ok(found)
    }

    fn first_of(self, segment: i64) -> [u8; SEGMENT] {
        segment.to_be_bytes()
    }

    /// The key behind a segment, if there can be one.
    fn last_of(self, segment: i64) -> Option<[u8; SEGMENT]> {
        segment.checked_add(1).map(i64::to_be_bytes)
    }

    /// The local keys between which a segment's matching entries lie.
    fn bounds_in(
        self,
        segment: i64,
        scan: &Scan<'_>,
        from: Timestamp,
        low: &mut Vec<u8>,
        high: &mut Vec<u8>,
    ) {
        let (low_key, high_key) = match scan.keys {
            Keys::One(key) => (key, Some(key)),
            Keys::Range(from, to) => (
                match from {
                    Bound::Included(key) | Bound::Excluded(key) => key,
                    Bound::Unbounded => &[],
                },
                match to {
                    Bound::Included(key) | Bound::Excluded(key) => Some(key),
                    Bound::Unbounded => None,
                },
            ),
            Keys::All => (&[][..], None),
        };
        let one = matches!(scan.keys, Keys::One(_));
        low.clear();
        low.extend_from_slice(&segment.to_be_bytes());
        low.extend_from_slice(low_key);
        if one {
            low.extend_from_slice(&from.to_be_bytes());
        }
        high.clear();
        let Some(key) = high_key else {
            high.extend_from_slice(&segment.saturating_add(1).to_be_bytes());
            return;
        };
        high.extend_from_slice(&segment.to_be_bytes());
        let last = self.last_time(segment).min(scan.to).to_be_bytes();
        if one {
            high.extend_from_slice(key);
            high.extend_from_slice(&last);
            high.extend_from_slice(&BEHIND);
            return;
        }
        // A key that others begin with may lie behind them, as times follow it.
        let begun = (0..=key.len()).filter_map(|length| key.get(..length));
        let highest = begun.map(|key| [key, &last, &BEHIND].concat()).max();
        high.extend_from_slice(&highest.unwrap_or_default());
    }

    /// The last time of a segment.
    fn last_time(self, segment: i64) -> Timestamp {
        let behind = segment.saturating_add(1).saturating_mul(self.layout);
        behind.saturating_sub(1)
    }
}

/// Shows the entries between two local keys.
pub(crate) type ReadRange<'a> =
    dyn FnMut(Bound<&[u8]>, Bound<&[u8]>, Direction, Visit<'_>) -> Result<(), StoreError> + 'a;
