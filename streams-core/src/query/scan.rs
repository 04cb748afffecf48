//! What is asked of a window or session store: whose entries, of which times, in which order.

use std::ops::Bound;

use crate::lmdb::Direction;
use crate::record::Timestamp;

/// The length of a local key's first part, the segment; the store key follows it.
pub const SEGMENT: usize = 8;

/// What is read of a window or session store.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'k> {
    /// Whose entries.
    pub keys: Keys<'k>,
    /// From this window start on, or session end.
    pub from: Timestamp,
    /// Up to this window start, or session end.
    pub to: Timestamp,
    /// Sessions that start later are left out.
    pub latest_start: Timestamp,
    /// The order: of segments, keys and times, forward or backward.
    pub direction: Direction,
}

/// Keys, as bytes without window.
#[derive(Debug, Clone, Copy)]
pub enum Keys<'k> {
    /// All.
    All,
    /// This one.
    One(&'k [u8]),
    /// From one to another.
    Range(Bound<&'k [u8]>, Bound<&'k [u8]>),
}

impl<'k> Scan<'k> {
    /// The same, not beyond the latest time that a store has: segments behind it need not be looked for.
    pub(crate) fn until(self, observed: Timestamp) -> Self {
        Scan {
            to: self.to.min(observed),
            ..self
        }
    }

    /// Windows that start, or sessions that end, between two times, both included.
    #[must_use]
    pub fn between(keys: Keys<'k>, from: Timestamp, to: Timestamp) -> Self {
        Scan {
            keys,
            from,
            to,
            latest_start: Timestamp::MAX,
            direction: Direction::Forward,
        }
    }

    /// Sessions that overlap a time: those that end at `earliest_end` or later and start at `latest_start` or earlier.
    #[must_use]
    pub fn sessions(keys: Keys<'k>, earliest_end: Timestamp, latest_start: Timestamp) -> Self {
        Scan {
            latest_start,
            ..Self::between(keys, earliest_end, Timestamp::MAX)
        }
    }

    /// The same, the latest first.
    #[must_use]
    pub fn backward(self) -> Self {
        Scan {
            direction: Direction::Backward,
            ..self
        }
    }
}
