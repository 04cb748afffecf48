//! The windows themselves: sizes and bounds, and what only the compiler can check of them.

use std::time::Duration;

use crate::record::Timestamp;
use crate::windowed::{SessionWindow, TimeWindow, Window, WindowedKey};

/// Tumbling and hopping windows: of one size, one beginning `advance` after the other, from time 0 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeWindows {
    /// Their size in milliseconds.
    pub size: i64,
    /// How far apart they begin, in milliseconds; tumbling windows as far as they are long.
    pub advance: i64,
    /// How long after their end records are taken, in milliseconds of stream time.
    pub grace: i64,
}

/// One window without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnlimitedWindows {
    /// Where it starts; earlier records belong to none.
    pub start: Timestamp,
}

/// Windows that records make: those that begin or end with a record, and hold all within a time difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingWindows {
    /// The largest difference of two records of a window, in milliseconds.
    pub difference: i64,
    /// How long after their end records are taken, in milliseconds of stream time.
    pub grace: i64,
}

/// Records of a key without a gap between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionWindows {
    /// What separates sessions, in milliseconds: longer than that nothing happens.
    pub gap: i64,
    /// How long after that records are taken, in milliseconds of stream time.
    pub grace: i64,
}

/// What stores and handles ask of all windows.
pub trait AllWindows: Copy {
    /// The length of what follows the key in store keys.
    const SUFFIX: usize;
    /// Whether stored values begin with their timestamp.
    const TIMESTAMPED: bool;
    /// Whether stores of windows that are emitted when they close are in the order of their emission.
    const EMITS_BY_TIME: bool;
    /// The size of a window, 0 where keys have both ends.
    fn size(&self) -> i64;
    /// By what windows are ordered when they are emitted.
    fn emission_order(store_key: &[u8]) -> (Timestamp, Timestamp, Vec<u8>) {
        let at = store_key.len().saturating_sub(Self::SUFFIX);
        let (key, suffix) = store_key.split_at_checked(at).unwrap_or_default();
        let time = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |b| Timestamp::from_be_bytes(*b));
        let first = time(suffix.first_chunk());
        let second = if Self::TIMESTAMPED {
            first
        } else {
            time(suffix.last_chunk())
        };
        (first, second, key.to_vec())
    }
}

impl AllWindows for TimeWindows {
    const SUFFIX: usize = 12;
    const TIMESTAMPED: bool = true;
    const EMITS_BY_TIME: bool = true;
    fn size(&self) -> i64 {
        self.size
    }
}

impl AllWindows for UnlimitedWindows {
    const SUFFIX: usize = 12;
    const TIMESTAMPED: bool = true;
    const EMITS_BY_TIME: bool = true;
    fn size(&self) -> i64 {
        i64::MAX
    }
}

impl AllWindows for SlidingWindows {
    const SUFFIX: usize = 12;
    const TIMESTAMPED: bool = true;
    const EMITS_BY_TIME: bool = false;
    fn size(&self) -> i64 {
        self.difference
    }
}

impl AllWindows for SessionWindows {
    const SUFFIX: usize = 16;
    const TIMESTAMPED: bool = false;
    const EMITS_BY_TIME: bool = false;
    fn size(&self) -> i64 {
        0
    }
}

impl TimeWindows {
    /// The starts of the windows that a time belongs to, the earliest first.
    #[inline]
    pub fn starts(self, timestamp: Timestamp) -> impl Iterator<Item = Timestamp> {
        let first = (timestamp - self.size + self.advance).max(0) / self.advance * self.advance;
        std::iter::successors(Some(first), move |start| start.checked_add(self.advance))
            .take_while(move |start| *start <= timestamp)
    }
}

/// The windows of keys against the windows that are aggregated by.
#[diagnostic::on_unimplemented(
    message = "these windows yield keys with another kind of window than `{Self}` [KS0246]",
    label = "declared with windows of type `{Self}`",
    note = "sessions yield `Windowed<K, SessionWindow>`, all other windows `Windowed<K>`"
)]
pub trait WindowOf<S>: Window {}

impl<const SIZE: i64> WindowOf<TimeWindows> for TimeWindow<SIZE> {}
impl<const SIZE: i64> WindowOf<UnlimitedWindows> for TimeWindow<SIZE> {}
impl<const SIZE: i64> WindowOf<SlidingWindows> for TimeWindow<SIZE> {}
impl WindowOf<SessionWindows> for SessionWindow {}

/// A time argument that is a const expression: `ms(EXPR).get()` is its milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Ms<T>(T);

/// Wraps a `Duration`, or milliseconds.
#[must_use]
pub const fn ms<T: Copy>(time: T) -> Ms<T> {
    Ms(time)
}

impl Ms<i64> {
    /// The milliseconds.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl Ms<Duration> {
    /// The milliseconds. Parts of one are left out.
    ///
    /// # Panics
    /// When it is longer than 292 million years; at compile time.
    #[must_use]
    pub const fn get(self) -> i64 {
        let ms = self.0.as_millis();
        assert!(ms <= i64::MAX as u128, "this duration is too long");
        #[expect(clippy::cast_possible_truncation, reason = "compared just before")]
        {
            ms as i64
        }
    }
}

impl TimeWindows {
    /// Tumbling or hopping windows, whose times were consts.
    ///
    /// # Panics
    /// When they are no windows; at compile time.
    #[must_use]
    pub const fn checked(self) -> Self {
        assert!(self.size > 0, "windows have to be longer than 0 [KS0412]");
        assert!(
            self.advance > 0 && self.advance <= self.size,
            "hopping windows have to advance by more than 0 and at most by their size [KS0413]"
        );
        assert!(self.grace >= 0, "grace cannot be negative [KS0414]");
        self
    }

    /// How long windows have to be kept.
    #[must_use]
    pub const fn retention(self) -> i64 {
        self.size.saturating_add(self.grace)
    }
}

impl UnlimitedWindows {
    /// Unlimited windows, whose start was a const.
    ///
    /// # Panics
    /// When they start before time 0; at compile time.
    #[must_use]
    pub const fn checked(self) -> Self {
        assert!(self.start >= 0, "no window starts before time 0 [KS0412]");
        self
    }

    /// How long windows have to be kept: for ever.
    #[must_use]
    pub const fn retention(self) -> i64 {
        i64::MAX
    }
}

impl SlidingWindows {
    /// Sliding windows, whose times were consts.
    ///
    /// # Panics
    /// When they are no windows; at compile time.
    #[must_use]
    pub const fn checked(self) -> Self {
        assert!(
            self.difference >= 0,
            "a time difference cannot be negative [KS0412]"
        );
        assert!(self.grace >= 0, "grace cannot be negative [KS0414]");
        self
    }

    /// How long windows have to be kept: a record may still need those of twice the difference before it.
    #[must_use]
    pub const fn retention(self) -> i64 {
        self.difference.saturating_mul(2).saturating_add(self.grace)
    }
}

impl SessionWindows {
    /// Sessions, whose times were consts.
    ///
    /// # Panics
    /// When they are no windows; at compile time.
    #[must_use]
    pub const fn checked(self) -> Self {
        assert!(
            self.gap >= 0,
            "the gap of sessions cannot be negative [KS0412]"
        );
        assert!(self.grace >= 0, "grace cannot be negative [KS0414]");
        self
    }

    /// How long sessions have to be kept.
    #[must_use]
    pub const fn retention(self) -> i64 {
        self.gap.saturating_add(self.grace)
    }
}

/// Refuses, at compile time, a store that forgets windows which late records may still reach.
///
/// # Panics
/// When it does; at compile time.
pub const fn retention_fits(retention: i64, needed: i64) {
    assert!(
        retention >= needed,
        "the store forgets windows that late records may still reach: `retention` has to be as long as windows and grace [KS0415]"
    );
}

/// Refuses, at compile time, keys whose type says another size than the windows have.
///
/// # Panics
/// When it does; at compile time.
pub const fn window_size_fits<K: WindowedKey>(size: i64) {
    let declared = <K::Window as Window>::SIZE;
    assert!(
        declared == 0 || declared == size,
        "the size in the type of the table's windows is not that of `windowed_by` [KS0247]"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_belongs_to_the_windows_around_it() {
        let starts = |size, advance, at| {
            let windows = TimeWindows {
                size,
                advance,
                grace: 0,
            };
            windows.starts(at).collect::<Vec<_>>()
        };
        assert_eq!(starts(10, 10, 9), [0]);
        assert_eq!(starts(10, 10, 10), [10]);
        assert_eq!(starts(10, 5, 12), [5, 10]);
        assert_eq!(starts(10, 5, 3), [0]);
        assert_eq!(starts(10, 3, 10), [3, 6, 9]);
        assert_eq!(starts(10, 10, i64::MAX - 3), [i64::MAX - 7]);
    }

    #[test]
    fn durations_and_milliseconds_are_times() {
        const MINUTE: Duration = Duration::from_secs(60);
        const HOUR: i64 = 3_600_000;
        assert_eq!((ms(MINUTE).get(), ms(HOUR).get()), (60_000, 3_600_000));
    }
}
