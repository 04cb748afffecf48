//! Layer 0. The clock port. The only file that names the machine's clocks and sleeps; everything else is told the time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::record::Timestamp;

/// Where the runtime gets its time from. Tests and simulations bring their own.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock: milliseconds since the Unix epoch. May jump.
    fn now_ms(&self) -> Timestamp;
    /// Time since the clock was made. Never goes back; intervals and time-outs are measured with it.
    fn elapsed(&self) -> Duration;
    /// Waits. A manual clock returns at once.
    fn sleep(&self, duration: Duration);
}

/// The machine's clocks.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// The machine's clocks; [`Clock::elapsed`] counts from now on.
    #[must_use]
    pub fn new() -> Self {
        SystemClock {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::try_from(since_epoch.as_millis()).unwrap_or(Timestamp::MAX)
    }
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A clock that stands still until it is told otherwise. Clones share their time.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    time: Arc<ManualTime>,
}

#[derive(Debug, Default)]
struct ManualTime {
    wall_ms: AtomicI64,
    elapsed_ns: AtomicU64,
}

impl ManualClock {
    /// A clock whose wall shows `now_ms`.
    #[must_use]
    pub fn new(now_ms: Timestamp) -> Self {
        let clock = ManualClock::default();
        clock.time.wall_ms.store(now_ms, Ordering::SeqCst);
        clock
    }

    /// Moves both times forward. The wall counts whole milliseconds.
    pub fn advance(&self, by: Duration) {
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let before = self.time.elapsed_ns.fetch_add(ns, Ordering::SeqCst);
        let ms = (before.wrapping_add(ns) / 1_000_000).saturating_sub(before / 1_000_000);
        self.time
            .wall_ms
            .fetch_add(i64::try_from(ms).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as an administrator would.
    pub fn set_wall_clock(&self, now_ms: Timestamp) {
        self.time.wall_ms.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> Timestamp {
        self.time.wall_ms.load(Ordering::SeqCst)
    }
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.time.elapsed_ns.load(Ordering::SeqCst))
    }
    fn sleep(&self, _: Duration) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(1_000);
        let other = clock.clone();
        clock.advance(Duration::from_micros(1_500));
        assert_eq!(
            (other.now_ms(), other.elapsed()),
            (1_001, Duration::from_micros(1_500))
        );
        clock.advance(Duration::from_micros(500));
        assert_eq!(other.now_ms(), 1_002, "parts of a millisecond add up");
        clock.sleep(Duration::from_secs(1));
        assert_eq!(other.now_ms(), 1_002);
        clock.set_wall_clock(5);
        assert_eq!(
            (other.now_ms(), other.elapsed()),
            (5, Duration::from_millis(2))
        );
    }
}
