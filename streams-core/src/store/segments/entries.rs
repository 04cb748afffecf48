//! What a window or session store has of some keys and times, lazily and from both ends.

use std::fmt;
use std::ops::Bound;

use super::{FEW, SEGMENT, Segments};
use crate::lmdb::Direction;
use crate::query::{Keys, Scan};
use crate::record::Timestamp;
use crate::store::{Entries, StoreError};

/// Entries by local keys, in the store's order: segments, and keys in them. `read` gives those between two local keys.
pub(crate) struct SegmentEntries<'a, R> {
    segments: Segments,
    keys: OwnedKeys,
    from: Timestamp,
    to: Timestamp,
    latest_start: Timestamp,
    read: R,
    /// The first and the last segment that are not opened yet.
    rest: Option<(i64, i64)>,
    front: Option<Entries<'a>>,
    back: Option<Entries<'a>>,
}

impl<R> fmt::Debug for SegmentEntries<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentEntries")
            .field("rest", &self.rest)
            .finish_non_exhaustive()
    }
}

enum OwnedKeys {
    All,
    One(Box<[u8]>),
    Range(Bound<Box<[u8]>>, Bound<Box<[u8]>>),
}

impl OwnedKeys {
    fn of(keys: Keys<'_>) -> Self {
        match keys {
            Keys::All => OwnedKeys::All,
            Keys::One(key) => OwnedKeys::One(key.into()),
            Keys::Range(from, to) => OwnedKeys::Range(from.map(Into::into), to.map(Into::into)),
        }
    }

    fn keys(&self) -> Keys<'_> {
        match self {
            OwnedKeys::All => Keys::All,
            OwnedKeys::One(key) => Keys::One(key),
            OwnedKeys::Range(from, to) => Keys::Range(
                from.as_ref().map(AsRef::as_ref),
                to.as_ref().map(AsRef::as_ref),
            ),
        }
    }
}

type Entry<'a> = Result<(&'a [u8], &'a [u8]), StoreError>;

impl<'a, R> SegmentEntries<'a, R>
where
    R: Fn(Bound<&[u8]>, Bound<&[u8]>) -> Result<Entries<'a>, StoreError>,
{
    pub(crate) fn new(
        segments: Segments,
        scan: &Scan<'_>,
        visible_from: Timestamp,
        read: R,
    ) -> Self {
        let from = scan.from.max(visible_from);
        let first = from.max(0);
        let rest = (first <= scan.to).then(|| (first / segments.layout, scan.to / segments.layout));
        SegmentEntries {
            segments,
            keys: OwnedKeys::of(scan.keys),
            from,
            to: scan.to,
            latest_start: scan.latest_start,
            read,
            rest,
            front: None,
            back: None,
        }
    }

    fn asked(&self) -> Scan<'_> {
        Scan {
            keys: self.keys.keys(),
            from: self.from,
            to: self.to,
            latest_start: self.latest_start,
            direction: Direction::Forward,
        }
    }

    fn advance(&mut self, direction: Direction) -> Option<Entry<'a>> {
        loop {
            if let Some(found) = self.take(direction, direction) {
                return Some(found);
            }
            match self.open(direction) {
                Ok(Some(opened)) => *self.end(direction) = Some(opened),
                // What the other end has begun is the last.
                Ok(None) => return self.take(opposite(direction), direction),
                Err(e) => {
                    self.rest = None;
                    return Some(Err(e));
                }
            }
        }
    }

    fn end(&mut self, direction: Direction) -> &mut Option<Entries<'a>> {
        match direction {
            Direction::Forward => &mut self.front,
            Direction::Backward => &mut self.back,
        }
    }

    /// The next entry that is asked for, of what was opened at one end.
    fn take(&mut self, end: Direction, direction: Direction) -> Option<Entry<'a>> {
        loop {
            let entries = self.end(end).as_mut()?;
            let next = match direction {
                Direction::Forward => entries.next(),
                Direction::Backward => entries.next_back(),
            };
            match next {
                Some(Ok((local, value))) => {
                    let store_key = local.get(SEGMENT..).unwrap_or_default();
                    let scan = self.asked();
                    if self.segments.wants(&scan, self.from, store_key) {
                        return Some(Ok((local, value)));
                    }
                }
                Some(Err(e)) => return Some(Err(e)),
                None => {
                    *self.end(end) = None;
                    return None;
                }
            }
        }
    }

    /// Opens the next segment that may have entries.
    fn open(&mut self, direction: Direction) -> Result<Option<Entries<'a>>, StoreError> {
        let Some((first, last)) = self.rest else {
            return Ok(None);
        };
        if matches!(self.keys, OwnedKeys::All) {
            // Segments follow one another.
            self.rest = None;
            return self.whole(first, last).map(Some);
        }
        let segment = if last - first < FEW {
            match direction {
                Direction::Forward => first,
                Direction::Backward => last,
            }
        } else {
            let mut entries = self.whole(first, last)?;
            let next = match direction {
                Direction::Forward => entries.next(),
                Direction::Backward => entries.next_back(),
            };
            let Some((local, _)) = next.transpose()? else {
                self.rest = None;
                return Ok(None);
            };
            local.first_chunk().map_or(0, |id| i64::from_be_bytes(*id))
        };
        self.rest = match direction {
            Direction::Forward if segment < last => Some((segment + 1, last)),
            Direction::Backward if segment > first => Some((first, segment - 1)),
            _ => None,
        };
        let (mut low, mut high) = (Vec::new(), Vec::new());
        let from = self.from.max(0);
        self.segments
            .bounds_in(segment, &self.asked(), from, &mut low, &mut high);
        (self.read)(Bound::Included(&low), Bound::Included(&high)).map(Some)
    }

    fn whole(&self, first: i64, last: i64) -> Result<Entries<'a>, StoreError> {
        let (low, high) = (self.segments.first_of(first), self.segments.last_of(last));
        let high = high.as_ref();
        (self.read)(
            Bound::Included(&low),
            high.map_or(Bound::Unbounded, |k| Bound::Excluded(k)),
        )
    }
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Forward => Direction::Backward,
        Direction::Backward => Direction::Forward,
    }
}

impl<'a, R> Iterator for SegmentEntries<'a, R>
where
    R: Fn(Bound<&[u8]>, Bound<&[u8]>) -> Result<Entries<'a>, StoreError>,
{
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance(Direction::Forward)
    }
}

impl<'a, R> DoubleEndedIterator for SegmentEntries<'a, R>
where
    R: Fn(Bound<&[u8]>, Bound<&[u8]>) -> Result<Entries<'a>, StoreError>,
{
    fn next_back(&mut self) -> Option<Self::Item> {
        self.advance(Direction::Backward)
    }
}
