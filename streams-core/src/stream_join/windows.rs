//! Which records of two streams meet: the arithmetic of `JoinWindows` (4.3.1).

use crate::record::Timestamp;

/// How far apart in time two records may be that join, and how late one may come. All in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinWindows {
    /// How much earlier than the left record the right one may be.
    pub before: i64,
    /// How much later than the left record the right one may be.
    pub after: i64,
    /// How long after a window's end its late records are still waited for.
    pub grace: i64,
}

/// A side of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The stream that the operator is called on.
    Left,
    /// The other stream.
    Right,
}

impl Side {
    /// The opposite side.
    #[must_use]
    pub const fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

impl JoinWindows {
    /// From the earliest to the latest right record that a left one joins.
    #[must_use]
    pub const fn size(self) -> i64 {
        self.before.saturating_add(self.after)
    }

    /// How long both window stores keep a record.
    #[must_use]
    pub const fn retention(self) -> i64 {
        self.size().saturating_add(self.grace)
    }

    /// How much earlier and later the other side's record may be, seen from this one.
    pub(super) const fn reach(self, side: Side) -> (i64, i64) {
        match side {
            Side::Left => (self.before, self.after),
            Side::Right => (self.after, self.before),
        }
    }

    /// The first and last time at which a record of this side finds partners. As in Kafka Streams, times do not go below 0,
    /// and sums wrap.
    pub(super) fn partners(self, side: Side, timestamp: Timestamp) -> (Timestamp, Timestamp) {
        let (before, after) = self.reach(side);
        (
            timestamp.wrapping_sub(before).max(0),
            timestamp.wrapping_add(after).max(0),
        )
    }

    /// Whether a record without partner of this side and time may still find one.
    pub(super) const fn is_open(self, side: Side, timestamp: Timestamp, now: Timestamp) -> bool {
        let (_, after) = self.reach(side);
        timestamp.wrapping_add(after).wrapping_add(self.grace) >= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: JoinWindows = JoinWindows {
        before: 4,
        after: 8,
        grace: 5,
    };

    #[test]
    fn both_sides_see_the_same_pairs() {
        for (left, right) in (0..40).flat_map(|l| (0..40).map(move |r| (l, r))) {
            let meet = |side, this, that| {
                let (from, to) = WINDOWS.partners(side, this);
                (from..=to).contains(&that)
            };
            let expected = right - left <= 8 && left - right <= 4;
            assert_eq!(meet(Side::Left, left, right), expected, "{left} {right}");
            assert_eq!(meet(Side::Right, right, left), expected, "{left} {right}");
        }
        assert_eq!((WINDOWS.size(), WINDOWS.retention()), (12, 17));
    }

    #[test]
    fn a_window_is_open_until_its_grace_is_over() {
        assert!(WINDOWS.is_open(Side::Left, 10, 10 + 8 + 5));
        assert!(!WINDOWS.is_open(Side::Left, 10, 10 + 8 + 5 + 1));
        assert!(WINDOWS.is_open(Side::Right, 10, 10 + 4 + 5));
        assert!(!WINDOWS.is_open(Side::Right, 10, 10 + 4 + 5 + 1));
    }

    #[test]
    fn times_do_not_go_below_zero() {
        assert_eq!(WINDOWS.partners(Side::Left, 2), (0, 10));
        let negative = JoinWindows {
            before: 10,
            after: -5,
            grace: 0,
        };
        assert_eq!(negative.partners(Side::Left, 2), (0, 0));
        assert_eq!(negative.size(), 5);
    }
}
