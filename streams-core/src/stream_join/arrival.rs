//! A record arrives at a join: what it meets, gathered as bytes. One for all types of records, and no allocation once its buffers
//! have grown; a join behind a join has buffers of its own.

use std::ops::Bound;

use super::windows::Side;
use super::{JoinKind, JoinParts, unmatched};
use crate::context::TaskContext;
use crate::error::{TaskFailure, TaskResult};
use crate::record::{Headers, Timestamp};
use crate::serde::SerdeError;

/// How many bytes of records that got no partner are gathered at a time.
const PAGE: usize = 64 << 10;

/// No record without partner is known.
const NOBODY: Timestamp = Timestamp::MAX;

/// What a record meets, and the record's own bytes.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) has_key: bool,
    pub(super) has_value: bool,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    next: usize,
    stage: Stage,
    /// The last key of the store of records without partner that a page looked at.
    looked_at: Vec<u8>,
    open: Open,
    /// A key of that store on its way.
    composed: Vec<u8>,
}

/// What is still to be gathered.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Records whose window closed without a partner, then the record's own partners.
    Closed,
    Partners,
    #[default]
    Done,
}

/// For each side, whether the search came to a window that is still open.
#[derive(Debug, Default, Clone, Copy)]
struct Open {
    left: bool,
    right: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: Kind,
    timestamp: Timestamp,
    start: usize,
    key_end: usize,
    value_end: usize,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A record of that side whose window closed without a partner.
    Closed(Side),
    /// The record and one of the other side.
    Partner,
    /// The record alone.
    Alone,
    /// An earlier record of the stream itself as the left one, the record as the right one.
    Reverse,
    /// The record twice.
    Itself,
}

/// An entry with its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meeting<'f> {
    pub(super) kind: Kind,
    pub(super) timestamp: Timestamp,
    /// Whether it is the last that needs the record's own key.
    pub(super) last: bool,
    pub(super) key: &'f [u8],
    pub(super) value: &'f [u8],
    /// The arrived record's own.
    pub(super) own_key: &'f [u8],
    pub(super) own_value: &'f [u8],
}

impl Arrival {
    /// Ready for another record.
    pub(super) fn clear(&mut self) {
        self.key.clear();
        self.value.clear();
        self.forget();
        self.stage = Stage::Done;
        self.looked_at.clear();
        self.open = Open::default();
    }

    fn forget(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.next = 0;
    }

    /// Takes the record in: time goes on, and its own window store gets it. What it meets is gathered by [`Arrival::next`].
    pub(super) fn arrive(
        &mut self,
        parts: &JoinParts,
        side: Side,
        timestamp: Timestamp,
        headers: &Headers,
        cx: &mut TaskContext,
    ) -> TaskResult {
        let joinable = self.has_key && self.has_value;
        // A stream joined with itself over one store looks at nothing else than records that join.
        let now = if joinable || parts.kind != JoinKind::Itself {
            cx.advance_time(parts.time, timestamp)
        } else {
            timestamp
        };
        if joinable {
            let may_close = timestamp == now && Self::may_close(parts, side, now, cx);
            self.stage = if may_close {
                Stage::Closed
            } else {
                Stage::Partners
            };
        } else if self.has_value && parts.kind.keeps(side) {
            self.add(Kind::Alone, timestamp, &[], &[]);
        } else {
            cx.drop_record(if self.has_key {
                "null value"
            } else {
                "null key"
            });
        }
        if parts.kind == JoinKind::Itself {
            // It must not meet itself twice: what is stored so far is gathered first.
            self.gather(parts, side, timestamp, cx)?;
        }
        if self.has_key {
            let store = match side {
                Side::Left => parts.left,
                Side::Right => parts.right,
            };
            let value = self.has_value.then_some(self.value.as_slice());
            cx.window_put(store, &self.key, timestamp, value, headers)?;
        }
        Ok(())
    }

    /// Whether it is time to look for records whose window closed without a partner. The sums wrap as in Kafka Streams: where
    /// nobody is known to wait, it looks.
    fn may_close(parts: &JoinParts, side: Side, now: Timestamp, cx: &mut TaskContext) -> bool {
        let (Some(least), Some(next_search)) = (parts.least, parts.next_search) else {
            return false;
        };
        if parts.windows.is_open(side, least_time(least, cx), now) || !cx.may_search(next_search) {
            return false;
        }
        cx.set_time(least, NOBODY);
        true
    }

    /// The next meeting, gathering more where there is more.
    pub(super) fn next(
        &mut self,
        parts: &JoinParts,
        side: Side,
        timestamp: Timestamp,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Meeting<'_>>> {
        while self.next == self.entries.len() && self.stage != Stage::Done {
            self.forget();
            self.gather(parts, side, timestamp, cx)?;
        }
        let Some(entry) = self.entries.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        Ok(Some(Meeting {
            kind: entry.kind,
            timestamp: entry.timestamp,
            last: self.next == self.entries.len() && self.stage == Stage::Done,
            key: self
                .bytes
                .get(entry.start..entry.key_end)
                .unwrap_or_default(),
            value: self
                .bytes
                .get(entry.key_end..entry.value_end)
                .unwrap_or_default(),
            own_key: &self.key,
            own_value: &self.value,
        }))
    }

    /// The joiner failed on what came last: the record meets nobody else. Records whose window closed go on, as they are others.
    #[cold]
    pub(super) fn leave(&mut self) {
        let last = self.next.checked_sub(1).and_then(|at| self.entries.get(at));
        if !matches!(
            last,
            Some(Entry {
                kind: Kind::Closed(_),
                ..
            })
        ) {
            self.forget();
            self.stage = Stage::Done;
        }
    }

    #[inline]
    fn add(&mut self, kind: Kind, timestamp: Timestamp, key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.entries.push(Entry {
            kind,
            timestamp,
            start,
            key_end,
            value_end: self.bytes.len(),
        });
    }

    fn gather(
        &mut self,
        parts: &JoinParts,
        side: Side,
        timestamp: Timestamp,
        cx: &mut TaskContext,
    ) -> TaskResult {
        match (self.stage, parts.unmatched, parts.least) {
            (Stage::Done, ..) => Ok(()),
            (Stage::Closed, Some(store), Some(least)) => {
                if self.closed(parts, store, least, timestamp, cx)? {
                    self.stage = Stage::Partners;
                }
                Ok(())
            }
            _ => {
                self.stage = Stage::Done;
                if parts.kind == JoinKind::Itself {
                    self.itself(parts, timestamp, cx)
                } else {
                    self.partners(parts, side, timestamp, cx)
                }
            }
        }
    }

    /// Gathers and deletes a page of records whose window closed without a partner. Tells whether that was the last.
    ///
    /// As in Kafka Streams, the least time becomes that of the last record that was looked at, not that of the first that stays.
    fn closed(
        &mut self,
        parts: &JoinParts,
        store: usize,
        least: usize,
        now: Timestamp,
        cx: &mut TaskContext,
    ) -> TaskResult<bool> {
        let looked_at = std::mem::take(&mut self.looked_at);
        let from = if looked_at.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Excluded(looked_at.as_slice())
        };
        let (mut time, mut last, mut broken) = (None, Vec::new(), false);
        let mut finished = true;
        cx.unmatched_scan(store, from, |key, list| {
            let Some((timestamp, side, record_key)) = unmatched::read_key(key) else {
                broken = true;
                return false;
            };
            time = Some(timestamp);
            if self.open.left && self.open.right {
                return false;
            }
            if parts.windows.is_open(side, timestamp, now) {
                match side {
                    Side::Left => self.open.left = true,
                    Side::Right => self.open.right = true,
                }
                // Their iterator gives the values of a list one by one, and the next one ends the search: at this time.
                if self.open.left && self.open.right && unmatched::values(list).count() > 1 {
                    return false;
                }
            } else {
                for value in unmatched::values(list) {
                    match value {
                        Some((_, value)) => {
                            self.add(Kind::Closed(side), timestamp, record_key, value);
                        }
                        None => broken = true,
                    }
                }
            }
            if self.bytes.len() >= PAGE {
                last.extend_from_slice(key);
                finished = false;
                return false;
            }
            true
        })?;
        if broken {
            return Err(corrupt(store, cx));
        }
        if let Some(time) = time {
            cx.set_time(least, time);
        }
        let mut before: Option<(Timestamp, Side, usize, usize)> = None;
        for entry in &self.entries {
            let Kind::Closed(side) = entry.kind else {
                continue;
            };
            let this = (entry.timestamp, side, entry.start, entry.key_end);
            let key = |(_, _, start, end): (Timestamp, Side, usize, usize)| {
                self.bytes.get(start..end).unwrap_or_default()
            };
            let same = before.is_some_and(|before| {
                (before.0, before.1) == (this.0, this.1) && key(before) == key(this)
            });
            if !same {
                unmatched::write_key(&mut self.composed, entry.timestamp, side, key(this));
                cx.unmatched_put(store, &self.composed, None, now)?;
            }
            before = Some(this);
        }
        self.looked_at = last;
        Ok(finished)
    }

    /// Gathers the record's partners. Without one it waits for a partner if the join keeps it and its window is not over, else it
    /// goes on alone.
    fn partners(
        &mut self,
        parts: &JoinParts,
        side: Side,
        timestamp: Timestamp,
        cx: &mut TaskContext,
    ) -> TaskResult {
        let other = match side {
            Side::Left => parts.right,
            Side::Right => parts.left,
        };
        let (from, to) = parts.windows.partners(side, timestamp);
        let key = std::mem::take(&mut self.key);
        let fetched = cx.window_fetch(other, &key, from, to, |at, value| {
            self.add(Kind::Partner, at, &[], value);
        });
        self.key = key;
        fetched?;
        if let Some(store) = parts.unmatched {
            for entry in &self.entries {
                let waited = entry.timestamp;
                unmatched::write_key(&mut self.composed, waited, side.other(), &self.key);
                if cx.unmatched_get(store, &self.composed)?.is_some() {
                    cx.unmatched_put(store, &self.composed, None, timestamp)?;
                }
            }
        }
        if !self.entries.is_empty() || !parts.kind.keeps(side) {
            return Ok(());
        }
        match (parts.unmatched, parts.least) {
            (Some(store), Some(least)) if to >= cx.time(parts.time) => {
                cx.set_time(least, least_time(least, cx).min(timestamp));
                unmatched::write_key(&mut self.composed, timestamp, side, &self.key);
                self.bytes.clear();
                if let Some(list) = cx.unmatched_get(store, &self.composed)? {
                    self.bytes.extend_from_slice(list);
                }
                unmatched::add_value(&mut self.bytes, side, &self.value);
                cx.unmatched_put(store, &self.composed, Some(&self.bytes), timestamp)
            }
            _ => {
                self.add(Kind::Alone, timestamp, &[], &[]);
                Ok(())
            }
        }
    }

    /// Gathers what the record of a stream joined with itself meets: earlier ones as its right partners, then as its left ones, and
    /// itself before the first of those that is later than it.
    fn itself(
        &mut self,
        parts: &JoinParts,
        timestamp: Timestamp,
        cx: &mut TaskContext,
    ) -> TaskResult {
        let expired = cx
            .time(parts.time)
            .wrapping_sub(parts.windows.retention())
            .wrapping_add(1);
        let mut itself = timestamp > expired;
        let key = std::mem::take(&mut self.key);
        for (side, kind) in [(Side::Left, Kind::Partner), (Side::Right, Kind::Reverse)] {
            let (from, to) = parts.windows.partners(side, timestamp);
            let fetched = cx.window_fetch(parts.left, &key, from, to, |at, value| {
                if kind == Kind::Reverse && at > timestamp && std::mem::take(&mut itself) {
                    self.add(Kind::Itself, timestamp, &[], &[]);
                }
                self.add(kind, at, &[], value);
            });
            if fetched.is_err() {
                self.key = key;
                return fetched;
            }
        }
        self.key = key;
        if itself {
            self.add(Kind::Itself, timestamp, &[], &[]);
        }
        Ok(())
    }
}

fn least_time(slot: usize, cx: &TaskContext) -> Timestamp {
    match cx.time(slot) {
        time if time < 0 => NOBODY,
        time => time,
    }
}

#[cold]
fn corrupt(store: usize, cx: &TaskContext) -> crate::error::TaskError {
    let store = cx.store_name(store).to_owned();
    TaskFailure::Store {
        store,
        reason: Box::new(SerdeError::Invalid {
            type_name: "a record without partner",
            reason: "its key or its list of values is damaged".to_owned(),
        }),
    }
    .into()
}
