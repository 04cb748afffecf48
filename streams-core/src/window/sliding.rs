//! Sliding windows: each record makes the window that ends with it, and the windows that begin right after those before it.

use super::aggregate::Functions;
use super::{Next, SlidingWindows, Stop, Value, Work};
use crate::context::{Found, TaskContext};
use crate::error::TaskResult;
use crate::obligations::DeclaredKey;
use crate::query::{Keys, Scan};
use crate::record::{Change, Timestamp};
use crate::serde::{Serde, SerdeError};
use crate::table::decode_timestamped;
use crate::windowed::{Windowed, WindowedKey};

/// A window that was found: its start, the time of its latest record, and its place among those found.
#[derive(Debug, Clone, Copy)]
struct Seen {
    start: Timestamp,
    latest: Timestamp,
    at: usize,
}

/// What a look at the windows around a record told.
#[derive(Debug, Default)]
struct Around {
    /// The window whose aggregate the record's right window begins with.
    right: Option<Seen>,
    /// The window whose aggregate the record's left window begins with.
    left: Option<Seen>,
    left_exists: bool,
    right_exists: bool,
    /// The time of the record before.
    previous: Option<Timestamp>,
}

impl<CK: Clone, K: WindowedKey, V: Serde> Work<'_, CK, K, V, SlidingWindows> {
    /// `KStreamSlidingWindowAggregate`.
    pub(super) fn in_sliding_windows<Node, CV: Clone, A: Serde, N: Next<K, V>>(
        &self,
        value: &CV,
        f: &mut impl Functions<CK, CV, A, V>,
        cx: &mut TaskContext,
        next: &mut N,
    ) -> Result<(), Stop>
    where
        K: DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let SlidingWindows { difference, grace } = self.table.windows;
        let observed = cx.advance_time(self.table.time, self.timestamp);
        let close = observed - grace;
        if self.timestamp.saturating_add(difference) < close {
            cx.drop_late(self.timestamp, close, observed);
            return Ok(());
        }
        let mut found = std::mem::take(&mut cx.scratch.found);
        let early = self.timestamp < difference;
        let done = if early {
            self.early::<Node, _, A, _>(value, close, f, &mut found, cx, next)
        } else {
            self.ordinary::<Node, _, A, _>(value, close, f, &mut found, cx, next)
        };
        found.clear();
        cx.scratch.found = found;
        done?;
        if early {
            return Ok(());
        }
        let Some(last) = self.emission(close, cx) else {
            return Ok(());
        };
        let to = close - difference - 1;
        if to < 0 {
            return Ok(());
        }
        let from = if last < 0 {
            0
        } else {
            (last - difference).max(0)
        };
        Ok(self.emit::<Node, N>(close, (from, to), cx, next)?)
    }

    /// Reads the key's windows that start between two times.
    fn around(
        &self,
        (from, to): (Timestamp, Timestamp),
        found: &mut Found,
        cx: &mut TaskContext,
    ) -> TaskResult {
        let scan = Scan::between(Keys::One(self.bytes), from, to);
        cx.store_scan(self.table.index, &scan, found)
    }

    /// Looks from the latest window to the earliest, updating those that the record is in; then makes the ones that are missing.
    fn ordinary<Node, CV: Clone, A: Serde, N: Next<K, V>>(
        &self,
        value: &CV,
        close: Timestamp,
        f: &mut impl Functions<CK, CV, A, V>,
        found: &mut Found,
        cx: &mut TaskContext,
        next: &mut N,
    ) -> Result<(), Stop>
    where
        K: DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let (difference, now) = (self.table.windows.difference, self.timestamp);
        // One more, so that the record's right window is seen if it exists.
        let from = now.saturating_sub(difference.saturating_mul(2)).max(0);
        self.around((from, now.saturating_add(1)), found, cx)?;
        let mut seen = Around::default();
        for at in (0..found.len()).rev() {
            let window = self.seen(found, at, cx)?;
            let end = window.start.saturating_add(difference);
            if window.start == now.saturating_add(1) {
                seen.right_exists = true;
            } else if end > now {
                seen.right.get_or_insert(window);
                self.update_found::<Node, _, A, _>(window, value, close, f, found, cx, next)?;
            } else if end == now {
                seen.left_exists = true;
                self.update_found::<Node, _, A, _>(window, value, close, f, found, cx, next)?;
                if window.latest >= now {
                    // Another record of this time has made all windows.
                    return Ok(());
                }
                seen.previous = Some(window.latest);
            } else {
                seen.left = Some(window);
                seen.previous = Some(window.latest);
                break;
            }
        }
        if let Some(previous) = seen.previous {
            let start = previous.saturating_add(1);
            if !self.exists(found, start) && start.saturating_add(difference) >= now {
                let empty = f.initial().map(|initial| (now, initial));
                self.add::<Node, _, A, _>(start, empty, value, close, f, cx, next)?;
            }
        }
        if !seen.left_exists {
            let holds = |previous: Timestamp| now - difference <= previous;
            let before = match seen.left.filter(|_| seen.previous.is_some_and(holds)) {
                Some(left) => Some((now, self.value::<A>(found, left, cx)?)),
                None => f.initial().map(|initial| (now, initial)),
            };
            self.add::<Node, _, A, _>(now - difference, before, value, close, f, cx, next)?;
        }
        self.make_right::<Node, A, _, _, _>(&seen, f, found, cx, next)
    }

    /// Records at the very beginning, whose left windows would start before time 0, share the window that starts there.
    fn early<Node, CV: Clone, A: Serde, N: Next<K, V>>(
        &self,
        value: &CV,
        close: Timestamp,
        f: &mut impl Functions<CK, CV, A, V>,
        found: &mut Found,
        cx: &mut TaskContext,
        next: &mut N,
    ) -> Result<(), Stop>
    where
        K: DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let now = self.timestamp;
        self.around((0, now.saturating_add(1)), found, cx)?;
        let mut seen = Around::default();
        let mut combined = None;
        for at in 0..found.len() {
            let window = self.seen(found, at, cx)?;
            if window.start == 0 {
                combined = Some(window);
                seen.previous = Some(window.latest).filter(|latest| *latest < now);
            } else if window.start <= now {
                seen.right = Some(window);
                self.update_found::<Node, _, A, _>(window, value, close, f, found, cx, next)?;
            } else {
                seen.right_exists = true;
            }
        }
        if seen.right.is_none() {
            seen.right = combined.filter(|window| window.latest > now);
        }
        self.make_right::<Node, A, _, _, _>(&seen, f, found, cx, next)?;
        if let Some(previous) = seen.previous {
            let start = previous.saturating_add(1);
            if !self.exists(found, start) {
                let empty = f.initial().map(|initial| (now, initial));
                self.add::<Node, _, A, _>(start, empty, value, close, f, cx, next)?;
            }
        }
        match combined {
            Some(window) => {
                self.update_found::<Node, _, A, _>(window, value, close, f, found, cx, next)
            }
            None => {
                let empty = f.initial().map(|initial| (now, initial));
                self.add::<Node, _, A, _>(0, empty, value, close, f, cx, next)
            }
        }
    }

    /// Makes the window that begins right after the record, if later records are in it.
    fn make_right<Node, A: Serde, CV, F: Functions<CK, CV, A, V>, N: Next<K, V>>(
        &self,
        seen: &Around,
        f: &mut F,
        found: &Found,
        cx: &mut TaskContext,
        next: &mut N,
    ) -> Result<(), Stop>
    where
        K: DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let later = seen.right.filter(|w| w.latest > self.timestamp);
        let Some(right) = later.filter(|_| !seen.right_exists) else {
            return Ok(());
        };
        let value: A = self.value(found, right, cx)?;
        let start = self.timestamp + 1;
        let bounds = (start, start.saturating_add(self.table.windows.difference));
        self.set_key(bounds.0, bounds.1, cx)?;
        if self.put(Some(&value), right.latest, cx)? {
            let new = Some(f.declared(value)).filter(|v| !v.is_null());
            let (change, headers) = (Change::new(new, None), self.headers.clone());
            next(
                self.update::<Node>(bounds, change, right.latest, headers),
                cx,
            )?;
        }
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "parts of one step, each borrowed from another place"
    )]
    fn update_found<Node, CV: Clone, A: Serde, N: Next<K, V>>(
        &self,
        window: Seen,
        value: &CV,
        close: Timestamp,
        f: &mut impl Functions<CK, CV, A, V>,
        found: &Found,
        cx: &mut TaskContext,
        next: &mut N,
    ) -> Result<(), Stop>
    where
        K: DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let before = Some((window.latest, self.value::<A>(found, window, cx)?));
        self.add::<Node, _, A, _>(window.start, before, value, close, f, cx, next)
    }

    /// Adds the record to a window, unless that has closed.
    #[expect(
        clippy::too_many_arguments,
        reason = "parts of one step, each borrowed from another place"
    )]
    fn add<Node, CV: Clone, A: Serde, N: Next<K, V>>(
        &self,
        start: Timestamp,
        before: Option<Value<A>>,
        value: &CV,
        close: Timestamp,
        f: &mut impl Functions<CK, CV, A, V>,
        cx: &mut TaskContext,
        next: &mut N,
    ) -> Result<(), Stop>
    where
        K: DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let end = start.saturating_add(self.table.windows.difference);
        if end < close {
            let observed = cx.time(self.table.time);
            cx.drop_late(self.timestamp, close, observed);
            return Ok(());
        }
        let timestamp = before
            .as_ref()
            .map_or(self.timestamp, |(latest, _)| self.timestamp.max(*latest));
        let before = before.map(|(_, before)| before);
        let old = self.old(before.as_ref(), cx)?;
        let new = f.add(self.key, value.clone(), before)?;
        self.set_key(start, end, cx)?;
        if self.put(new.as_ref(), timestamp, cx)? {
            let new = new.map(|new| f.declared(new)).filter(|v| !v.is_null());
            let (change, headers) = (Change::new(new, old), self.headers.clone());
            next(
                self.update::<Node>((start, end), change, timestamp, headers),
                cx,
            )?;
        }
        Ok(())
    }

    /// The window at a place among those found.
    fn seen(&self, found: &Found, at: usize, cx: &TaskContext) -> TaskResult<Seen> {
        let torn = || SerdeError::Length {
            type_name: "a stored window",
            expected: 20,
            actual: 0,
        };
        let parts = found.get(at).and_then(|(key, stored)| {
            let start = key.get(key.len().checked_sub(12)?..)?.first_chunk()?;
            let latest = stored.first_chunk()?;
            Some((*start, *latest))
        });
        let (start, latest) = parts.ok_or_else(|| self.table.corrupt(torn(), cx))?;
        Ok(Seen {
            start: Timestamp::from_be_bytes(start),
            latest: Timestamp::from_be_bytes(latest),
            at,
        })
    }

    fn exists(&self, found: &Found, start: Timestamp) -> bool {
        found.iter().any(|(key, _)| {
            let bytes = key.len().checked_sub(12).and_then(|at| key.get(at..at + 8));
            bytes == Some(&start.to_be_bytes()[..])
        })
    }

    fn value<A: Serde>(&self, found: &Found, window: Seen, cx: &TaskContext) -> TaskResult<A> {
        let (_, stored) = found.get(window.at).unwrap_or_default();
        match decode_timestamped(stored) {
            Ok((_, value)) => Ok(value),
            Err(e) => Err(self.table.corrupt(e, cx)),
        }
    }
}
