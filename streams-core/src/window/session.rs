//! Sessions: a record joins the sessions of its key that are near enough, and they become one.

use super::aggregate::SessionFunctions;
use super::{Next, SessionWindows, Stop, Work};
use crate::context::{Found, TaskContext};
use crate::error::TaskResult;
use crate::obligations::DeclaredKey;
use crate::query::{Keys, Scan};
use crate::record::{Change, Headers, Timestamp};
use crate::serde::{Serde, SerdeError};
use crate::windowed::{Windowed, WindowedKey};

impl<CK: Clone, K: WindowedKey, V: Serde> Work<'_, CK, K, V, SessionWindows> {
    /// `KStreamSessionWindowAggregate`.
    pub(super) fn in_sessions<Node, CV, A: Serde, N: Next<K, V>>(
        &self,
        value: CV,
        f: &mut impl SessionFunctions<CK, CV, A, V>,
        cx: &mut TaskContext,
        next: &mut N,
    ) -> Result<(), Stop>
    where
        K: DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let SessionWindows { gap, grace } = self.table.windows;
        let observed = cx.advance_time(self.table.time, self.timestamp);
        let close = observed.saturating_sub(grace).saturating_sub(gap);
        let mut found = std::mem::take(&mut cx.scratch.found);
        let done = self.merge::<Node, _, _, _>(value, (close, observed), f, &mut found, cx, next);
        found.clear();
        cx.scratch.found = found;
        done?;
        let Some(last) = self.emission(close, cx) else {
            return Ok(());
        };
        let (from, to) = (last.max(0), close - 1);
        if to < 0 || to < from {
            return Ok(());
        }
        Ok(self.emit::<Node, N>(close, (from, to), cx, next)?)
    }

    fn merge<Node, CV, A: Serde, N: Next<K, V>>(
        &self,
        value: CV,
        (close, observed): (Timestamp, Timestamp),
        f: &mut impl SessionFunctions<CK, CV, A, V>,
        found: &mut Found,
        cx: &mut TaskContext,
        next: &mut N,
    ) -> Result<(), Stop>
    where
        K: DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let (gap, now) = (self.table.windows.gap, self.timestamp);
        let near = Scan::sessions(
            Keys::One(self.bytes),
            now.saturating_sub(gap),
            now.saturating_add(gap),
        );
        cx.store_scan(self.table.index, &near, found)?;
        let (mut start, mut end) = (now, now);
        let mut aggregate = f.initial();
        for (key, stored) in found.iter() {
            let session = self.bounds(key, cx)?;
            let other = A::deserialize(stored).map_err(|e| self.table.corrupt(e, cx))?;
            aggregate = f.merge(self.key, aggregate, other)?;
            (start, end) = (start.min(session.0), end.max(session.1));
        }
        if end < close {
            cx.drop_late(now, close, observed);
            return Ok(());
        }
        // Before the merged sessions go: Kafka Streams loses them if the aggregator fails.
        let new = f.add(self.key, value, aggregate)?;
        if (start, end) != (now, now) {
            for at in 0..found.len() {
                let (key, stored) = found.get(at).unwrap_or_default();
                let session = self.bounds(key, cx)?;
                self.set_key(session.0, session.1, cx)?;
                if self.put::<A>(None, now, cx)? {
                    let old = if self.table.sends_old {
                        Some(V::deserialize(stored).map_err(|e| self.table.corrupt(e, cx))?)
                    } else {
                        None
                    };
                    let gone = Change::new(None, old);
                    next(
                        self.update::<Node>(session, gone, session.1, Headers::new()),
                        cx,
                    )?;
                }
            }
        }
        self.set_key(start, end, cx)?;
        if self.put(new.as_ref(), now, cx)? {
            let new = new.map(|new| f.declared(new)).filter(|v| !v.is_null());
            next(
                self.update::<Node>((start, end), Change::new(new, None), end, Headers::new()),
                cx,
            )?;
        }
        Ok(())
    }

    /// A store key's start and end.
    fn bounds(&self, store_key: &[u8], cx: &TaskContext) -> TaskResult<(Timestamp, Timestamp)> {
        let window = store_key.len().checked_sub(16);
        let window = window.and_then(|at| store_key.get(at..));
        let parts = window.and_then(|w| Some((*w.last_chunk()?, *w.first_chunk()?)));
        match parts {
            Some((start, end)) => Ok((
                Timestamp::from_be_bytes(start),
                Timestamp::from_be_bytes(end),
            )),
            None => {
                let torn = SerdeError::Length {
                    type_name: "a stored session",
                    expected: 16,
                    actual: store_key.len(),
                };
                Err(self.table.corrupt(torn, cx))
            }
        }
    }
}
