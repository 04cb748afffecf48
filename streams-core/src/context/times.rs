//! Operators' times: for each a slot that only moves forward, committed with the state and the offsets, and back where it was
//! after an abort.

use crate::context::TaskContext;
use crate::record::Timestamp;

/// Before the first record.
const NONE: Timestamp = -1;

/// The slots of a sub-topology.
#[derive(Debug)]
pub(super) struct Times {
    names: &'static [&'static str],
    now: Vec<Timestamp>,
    committed: Vec<Timestamp>,
}

impl Times {
    pub(super) fn new(names: &'static [&'static str]) -> Self {
        Times {
            names,
            now: vec![NONE; names.len()],
            committed: vec![NONE; names.len()],
        }
    }

    pub(super) fn abort(&mut self) {
        self.now.clone_from(&self.committed);
    }
}

impl TaskContext {
    /// An operator's time, by its place in [`SubtopologyDescriptor::times`](crate::topology::SubtopologyDescriptor::times); -1 before
    /// it was first advanced.
    #[inline]
    #[must_use]
    pub fn time(&self, slot: usize) -> Timestamp {
        self.times.now.get(slot).copied().unwrap_or(NONE)
    }

    /// Moves an operator's time forward to `timestamp`, never back, and tells what it is then.
    #[inline]
    pub fn advance_time(&mut self, slot: usize, timestamp: Timestamp) -> Timestamp {
        match self.times.now.get_mut(slot) {
            Some(time) => {
                *time = timestamp.max(*time);
                *time
            }
            None => timestamp,
        }
    }

    /// Sets an operator's time, also back.
    #[inline]
    pub(crate) fn set_time(&mut self, slot: usize, timestamp: Timestamp) {
        if let Some(time) = self.times.now.get_mut(slot) {
            *time = timestamp;
        }
    }

    /// Whether the wall clock's time in a slot has come; if so, it comes again when the interval has passed. A clock that was set back
    /// does not hold it up.
    pub(super) fn is_due(&mut self, slot: usize, interval: i64) -> bool {
        let (now, next) = (self.system_time_ms(), self.time(slot));
        if now < next && next <= now.saturating_add(interval) {
            return false;
        }
        self.set_time(slot, now.saturating_add(interval));
        true
    }

    /// The wall clock: milliseconds since the Unix epoch.
    #[must_use]
    pub fn system_time_ms(&self) -> Timestamp {
        self.clock.now_ms()
    }

    /// The operators' times that are known, by name.
    pub fn times(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        let all = self.times.names.iter().copied().zip(&self.times.now);
        all.filter(|(_, time)| **time > NONE)
            .map(|(name, time)| (name, *time))
    }

    /// Sets an operator's time to what was committed. Names that this topology does not have are left out.
    pub fn restore_time(&mut self, name: &str, time: Timestamp) {
        let Times {
            names,
            now,
            committed,
        } = &mut self.times;
        if let Some(slot) = names.iter().position(|n| *n == name) {
            for times in [now, committed] {
                if let Some(to) = times.get_mut(slot) {
                    *to = time;
                }
            }
        }
        self.hold_unemitted();
    }

    /// The times as they are now are committed: an abort goes back to them.
    pub fn commit_times(&mut self) {
        let Times { now, committed, .. } = &mut self.times;
        committed.clone_from(now);
    }
}
