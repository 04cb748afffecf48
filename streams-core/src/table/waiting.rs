//! Records that wait: a stream's for a table (a join with a grace), and updates that a suppression holds back.
//!
//! Semantics are Kafka Streams' (4.3.1): `KStreamKTableJoinProcessor` with a buffer, `KTableSuppressProcessor`.

use super::join::UNKNOWN;
use crate::context::{Leaving, Limits, TaskContext, serialize};
use crate::error::{RecordPart, TaskError, TaskFailure, TaskResult};
use crate::record::{Change, Record, Timestamp};
use crate::serde::{Serde, SerdeError};
use crate::windowed::WindowedKey;

/// The buffer of a join with a grace: its index in the sub-topology, and that of its time.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    store: usize,
    time: usize,
}

/// What came of a record that arrived at a join with a grace.
#[derive(Debug)]
pub enum Arrived<K, V> {
    /// It waits for nothing: it is joined at once, and nobody else leaves.
    Late(Option<Record<K, V>>),
    /// It waits, and others may have waited long enough.
    Held,
}

impl Waiting {
    /// The sub-topology's buffer of that index.
    #[must_use]
    pub const fn new(store: usize, time: usize) -> Self {
        Waiting { store, time }
    }

    /// A record arrives. One without a key has nothing to wait for, and neither has one that is late by more than the grace.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    pub fn arrive<K: Serde, V: Serde>(
        self,
        record: Record<K, V>,
        cx: &mut TaskContext,
    ) -> TaskResult<Arrived<K, V>> {
        if record.key.is_null() {
            return Ok(Arrived::Late(Some(record)));
        }
        match self.hold(&record, cx) {
            Ok(true) => {
                cx.advance_time(self.time, record.timestamp);
                Ok(Arrived::Held)
            }
            Ok(false) => Ok(Arrived::Late(Some(record))),
            Err(error) => cx.declined(error).map(|()| Arrived::Late(None)),
        }
    }

    /// Puts a record into the buffer, unless it is too late.
    fn hold<K: Serde, V: Serde>(
        self,
        record: &Record<K, V>,
        cx: &mut TaskContext,
    ) -> TaskResult<bool> {
        write(self.store, RecordPart::Key, &record.key, cx)?;
        write(self.store, RecordPart::Value, &record.value, cx)?;
        cx.join_buffer_put(self.store, record.timestamp, &record.headers)
    }

    /// The next record to be joined.
    ///
    /// # Errors
    /// When the store fails, or its bytes are no such record.
    pub fn next<K: Serde, V: Serde>(
        self,
        arrived: &mut Arrived<K, V>,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<K, V>>> {
        if let Arrived::Late(record) = arrived {
            return Ok(record.take());
        }
        let Some(leaving) = cx.join_buffer_next(self.store)? else {
            return Ok(None);
        };
        let read = |cx: &TaskContext| {
            let value = leaving.new.clone().and_then(|r| cx.scratch.value.get(r));
            Ok((
                K::deserialize(&cx.scratch.key)?,
                V::deserialize_nullable(value)?,
            ))
        };
        match read(cx) {
            Ok((key, value)) => Ok(Some(Record {
                key,
                value,
                timestamp: leaving.timestamp,
                headers: leaving.headers,
            })),
            Err(e) => Err(corrupt(self.store, e, cx)),
        }
    }
}

/// A suppression: its buffer, how long updates wait, and how many may.
#[derive(Debug, Clone, Copy)]
pub struct Suppress {
    node: &'static str,
    store: usize,
    time: usize,
    wait: i64,
    max_records: u64,
    max_bytes: u64,
    strict: bool,
    drops_tombstones: bool,
}

/// What leaves a suppression now.
#[derive(Debug)]
pub enum Leave<K, V> {
    /// The updates that have waited since this time, or longer.
    Since(Timestamp),
    /// A row that is looked up, and no update.
    Row(Option<Record<K, Change<V>>>),
}

impl Suppress {
    /// The suppression of a node, with its buffer and its time in the sub-topology. Updates wait so many milliseconds.
    #[must_use]
    pub const fn new(node: &'static str, store: usize, time: usize, wait: i64) -> Self {
        Suppress {
            node,
            store,
            time,
            wait,
            max_records: u64::MAX,
            max_bytes: u64::MAX,
            strict: false,
            drops_tombstones: false,
        }
    }

    /// At most so many keys wait.
    #[must_use]
    pub const fn max_records(mut self, records: u64) -> Self {
        self.max_records = records;
        self
    }

    /// At most so many bytes wait, as Kafka Streams estimates them.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// More than may wait is an error; otherwise what waits longest leaves early.
    #[must_use]
    pub const fn shut_down_when_full(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Only results are forwarded: a tombstone of what nobody has seen says nothing.
    #[must_use]
    pub const fn final_results(mut self) -> Self {
        self.drops_tombstones = true;
        self
    }

    /// A record of a windowed table, whose window gets its end back: a buffer's bytes do not have it.
    #[inline(always)]
    #[must_use]
    pub fn sized<K: WindowedKey, V>(record: Record<K, V>, size: i64) -> Record<K, V> {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = record;
        Record {
            key: key.sized(size),
            value,
            timestamp,
            headers,
        }
    }

    /// The longest of some times.
    #[must_use]
    pub const fn longest(times: &[i64]) -> i64 {
        let (mut longest, mut i) = (0, 0);
        while i < times.len() {
            if times[i] > longest {
                longest = times[i];
            }
            i += 1;
        }
        longest
    }

    /// An update arrives, and waits from `time` on.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    pub fn arrive<K: Serde, V: Serde>(
        self,
        record: &Record<K, Change<V>>,
        time: Timestamp,
        cx: &mut TaskContext,
    ) -> TaskResult<Leave<K, V>> {
        let now = cx.advance_time(self.time, record.timestamp);
        match self.hold(record, time, cx) {
            Ok(()) => Ok(Leave::Since(now.saturating_sub(self.wait))),
            Err(error) => cx.declined(error).map(|()| Leave::Row(None)),
        }
    }

    fn hold<K: Serde, V: Serde>(
        self,
        record: &Record<K, Change<V>>,
        time: Timestamp,
        cx: &mut TaskContext,
    ) -> TaskResult {
        write(self.store, RecordPart::Key, &record.key, cx)?;
        cx.scratch.value.clear();
        let new = append(self.store, record.value.new.as_ref(), cx)?;
        let old = append(self.store, record.value.old.as_ref(), cx)?;
        let update = Leaving {
            timestamp: record.timestamp,
            headers: record.headers.clone(),
            old,
            new,
        };
        cx.suppress_put(self.store, time, &update)
    }

    /// A row of the table before it is looked up: while an update of its key waits, it is what it was before.
    ///
    /// # Errors
    /// When the store fails, or the key has no bytes.
    pub fn look_up<K: Serde, V: Serde>(
        self,
        mut row: Record<K, Change<V>>,
        cx: &mut TaskContext,
    ) -> TaskResult<Leave<K, V>> {
        if let Err(error) = write(self.store, RecordPart::Key, &row.key, cx) {
            return cx.declined(error).map(|()| Leave::Row(None));
        }
        let prior = match cx.suppress_prior(self.store)? {
            Some(prior) => prior.map(V::deserialize).transpose(),
            None => return Ok(Leave::Row(Some(row))),
        };
        row.timestamp = UNKNOWN;
        row.value.new = prior.map_err(|e| corrupt(self.store, e, cx))?;
        Ok(Leave::Row(Some(row)))
    }

    /// The next update that leaves.
    ///
    /// # Errors
    /// When the store fails, or more waits than may.
    pub fn next<K: Serde, V: Serde>(
        self,
        leave: &mut Leave<K, V>,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<K, Change<V>>>> {
        let until = match leave {
            Leave::Since(until) => *until,
            Leave::Row(row) => return Ok(row.take()),
        };
        let limits = Limits {
            until,
            max_records: self.max_records,
            max_bytes: self.max_bytes,
            strict: self.strict,
            drops_tombstones: self.drops_tombstones,
        };
        let Some(leaving) = cx.suppress_next(self.store, self.node, limits)? else {
            return Ok(None);
        };
        let read = |cx: &TaskContext| {
            let part = |range: &Option<std::ops::Range<usize>>| {
                let bytes = range.clone().and_then(|r| cx.scratch.value.get(r));
                bytes.map(V::deserialize).transpose()
            };
            let change = Change::new(part(&leaving.new)?, part(&leaving.old)?);
            Ok((K::deserialize(&cx.scratch.key)?, change))
        };
        match read(cx) {
            Ok((key, value)) => Ok(Some(Record {
                key,
                value,
                timestamp: leaving.timestamp,
                headers: leaving.headers,
            })),
            Err(e) => Err(corrupt(self.store, e, cx)),
        }
    }
}

/// Serializes a record's key or value into the scratch buffer of its own.
fn write<T: Serde>(store: usize, part: RecordPart, value: &T, cx: &mut TaskContext) -> TaskResult {
    let out = match part {
        RecordPart::Key => &mut cx.scratch.key,
        RecordPart::Value => &mut cx.scratch.value,
    };
    out.clear();
    match serialize(value, out) {
        Ok(_) => Ok(()),
        Err(reason) => Err(unwritable(store, part, reason, cx)),
    }
}

/// Appends a value to `scratch.value`; `None` for none, or for one that is null by its type.
fn append<T: Serde>(
    store: usize,
    value: Option<&T>,
    cx: &mut TaskContext,
) -> TaskResult<Option<std::ops::Range<usize>>> {
    let Some(value) = value else { return Ok(None) };
    let start = cx.scratch.value.len();
    match serialize(value, &mut cx.scratch.value) {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some(start..cx.scratch.value.len())),
        Err(reason) => Err(unwritable(store, RecordPart::Value, reason, cx)),
    }
}

#[cold]
fn unwritable(store: usize, part: RecordPart, reason: SerdeError, cx: &TaskContext) -> TaskError {
    let destination = format!("store {}", cx.store_name(store));
    TaskFailure::Serialization {
        destination,
        part,
        reason,
    }
    .into()
}

#[cold]
fn corrupt(store: usize, reason: SerdeError, cx: &TaskContext) -> TaskError {
    TaskFailure::Store {
        store: cx.store_name(store).to_owned(),
        reason: Box::new(reason),
    }
    .into()
}
