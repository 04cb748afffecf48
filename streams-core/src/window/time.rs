//! Tumbling, hopping and unlimited windows: which a record belongs to follows from its timestamp alone.

use super::aggregate::Functions;
use super::{AllWindows, Next, Stop, TimeWindows, UnlimitedWindows, Work};
use crate::context::TaskContext;
use crate::obligations::DeclaredKey;
use crate::record::{Change, Timestamp};
use crate::serde::Serde;
use crate::windowed::{Windowed, WindowedKey};

/// Windows whose bounds are fixed.
pub(super) trait FixedWindows: AllWindows {
    /// Starts and ends of the windows that a time belongs to, the earliest first.
    fn of(self, timestamp: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)>;
    /// How long after their end records are taken.
    fn grace(self) -> i64;
    /// Starts of the windows, between two included, that closed since `last`, with a new closing time; `None` where there are none.
    fn closed(self, last: Timestamp, close: Timestamp) -> Option<(Timestamp, Timestamp)>;
}

impl FixedWindows for TimeWindows {
    #[inline]
    fn of(self, timestamp: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        self.starts(timestamp)
            .map(move |start| (start, start.saturating_add(self.size)))
    }

    fn grace(self) -> i64 {
        self.grace
    }

    fn closed(self, last: Timestamp, close: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let to = close - self.size;
        if to < 0 {
            return None;
        }
        if last < 0 {
            return Some((0, to));
        }
        let from = (last - self.size).max(0) + 1;
        // No window begins between.
        if self.starts(to).eq(self.starts(from - 1)) {
            return None;
        }
        Some((from, to))
    }
}

impl FixedWindows for UnlimitedWindows {
    #[inline]
    fn of(self, timestamp: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        (timestamp >= self.start)
            .then_some((self.start, Timestamp::MAX))
            .into_iter()
    }

    fn grace(self) -> i64 {
        0
    }

    fn closed(self, _: Timestamp, _: Timestamp) -> Option<(Timestamp, Timestamp)> {
        None
    }
}

impl<CK: Clone, K: WindowedKey, V: Serde, S: FixedWindows> Work<'_, CK, K, V, S> {
    /// `KStreamWindowAggregate`: updates each window that is still open.
    #[inline]
    pub(super) fn in_fixed_windows<Node, CV: Clone, A: Serde, N: Next<K, V>>(
        &self,
        value: CV,
        f: &mut impl Functions<CK, CV, A, V>,
        cx: &mut TaskContext,
        next: &mut N,
    ) -> Result<(), Stop>
    where
        K: DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let windows = self.table.windows;
        let observed = cx.advance_time(self.table.time, self.timestamp);
        let close = observed - windows.grace();
        let mut value = Some(value);
        let mut all = windows.of(self.timestamp).peekable();
        while let Some((start, end)) = all.next() {
            // The last window takes the value itself.
            let value = match all.peek() {
                Some(_) => value.clone(),
                None => value.take(),
            };
            if end <= close {
                cx.drop_late(self.timestamp, close, observed);
                continue;
            }
            let Some(value) = value else { break };
            self.set_key(start, end, cx)?;
            let (timestamp, before) = match self.get::<A>(cx)? {
                Some((timestamp, before)) => (timestamp.max(self.timestamp), Some(before)),
                None => (self.timestamp, f.initial()),
            };
            let old = self.old(before.as_ref(), cx)?;
            let new = f.add(self.key, value, before)?;
            if self.put(new.as_ref(), timestamp, cx)? {
                let new = new.map(|new| f.declared(new)).filter(|v| !v.is_null());
                let change = Change::new(new, old);
                let headers = self.headers.clone();
                next(
                    self.update::<Node>((start, end), change, timestamp, headers),
                    cx,
                )?;
            }
        }
        let Some(last) = self.emission(close, cx) else {
            return Ok(());
        };
        match windows.closed(last, close) {
            Some(starts) => Ok(self.emit::<Node, N>(close, starts, cx, next)?),
            None => Ok(()),
        }
    }
}
