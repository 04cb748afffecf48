//! Layer 4. Aggregations by windows: the windows, the typed handle of a windowed table, and what all of them share. The handle is an
//! index; the bytes are in the context.
//!
//! Semantics are Kafka Streams' (4.3.1): `KStreamWindowAggregate`, `KStreamSlidingWindowAggregate`, `KStreamSessionWindowAggregate`.
//! Each update of a window goes on at once, by a closure that generated code writes: a record may update any number of windows.

use std::fmt;
use std::marker::PhantomData;

use crate::context::{Failed, Forward, Found, Put, TaskContext, serialize};
use crate::error::{RecordPart, TaskError, TaskFailure, TaskResult};
use crate::foreign_key::Responded;
use crate::generated::Flushed;
use crate::obligations::DeclaredKey;
use crate::query::{Keys, Scan};
use crate::record::{Change, Headers, RawRecord, Record, Timestamp};
use crate::serde::{Serde, SerdeError};
use crate::table::join::Row;
use crate::table::{Joining, RowKeys, TableStore, decode_timestamped};
use crate::windowed::{Window, Windowed, WindowedKey};

mod aggregate;
mod cogroup;
mod session;
mod sliding;
mod spec;
mod time;

pub use aggregate::{Aggregated, Merged, SessionAggregate, WindowedAggregate, WindowedRecord};
pub use cogroup::{MergeSessions, Merging};
pub use spec::{
    AllWindows, SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows, WindowOf, ms,
    retention_fits, window_size_fits,
};

/// Windows that are emitted at a time, where they can be read in the order in which they are emitted.
const PAGE: usize = 1024;

/// A windowed table's store in a task: its index in the sub-topology, its windows, and the types of its keys and values.
pub struct WindowedTable<K, V, S> {
    index: usize,
    /// The slot of the highest timestamp seen.
    time: usize,
    /// If windows are emitted only when they close: the slot of the time up to which they were, and that of the wall clock's time
    /// before which nobody looks again.
    emitted: Option<(usize, usize)>,
    sends_old: bool,
    windows: S,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V, S: Copy> Clone for WindowedTable<K, V, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V, S: Copy> Copy for WindowedTable<K, V, S> {}

impl<K, V, S> fmt::Debug for WindowedTable<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WindowedTable").field(&self.index).finish()
    }
}

impl<K, V, S: Copy> WindowedTable<K, V, S> {
    /// The sub-topology's store of that index, with the slot of its operator's time.
    #[must_use]
    pub const fn new(index: usize, time: usize, windows: S) -> Self {
        WindowedTable {
            index,
            time,
            emitted: None,
            sends_old: false,
            windows,
            types: PhantomData,
        }
    }

    /// The same, whose records move another time: that of an input of a cogroup.
    #[must_use]
    pub const fn at_time(mut self, time: usize) -> Self {
        self.time = time;
        self
    }

    /// The same, whose windows are sent on only when they have closed; with the slots of the time up to which they were, and of the
    /// wall clock's time before which nobody looks again.
    #[must_use]
    pub const fn emitting_on_close(mut self, emitted: usize, next: usize) -> Self {
        self.emitted = Some((emitted, next));
        self
    }

    /// The same, whose updates say the old value too.
    #[must_use]
    pub const fn sending_old_values(mut self) -> Self {
        self.sends_old = true;
        self
    }

    /// The same store: its values are this record's.
    #[inline(always)]
    #[must_use]
    pub const fn with_values_like<T>(self, _: &Record<T, V>) -> Self {
        self
    }

    /// The same store: its values are what this makes.
    #[inline(always)]
    #[must_use]
    pub const fn with_values_of(self, _: &impl FnOnce() -> V) -> Self {
        self
    }

    /// A record to aggregate into this table.
    #[inline(always)]
    pub fn windowed<CK, CV>(self, record: Record<CK, CV>) -> WindowedRecord<CK, CV, K, V, S> {
        WindowedRecord {
            record,
            table: self,
        }
    }

    /// Its rows, to be looked up by their keys.
    #[must_use]
    pub fn rows(self) -> TableStore<K, V>
    where
        S: AllWindows,
    {
        let keys = match S::TIMESTAMPED {
            true => RowKeys::Windows,
            false => RowKeys::Sessions,
        };
        TableStore::by_windows(self.index, keys)
    }

    /// A stream's record to join with this table.
    #[inline(always)]
    pub fn joining<CK, CV>(self, record: Record<CK, CV>) -> Joining<CK, CV, K, V, (), ()>
    where
        S: AllWindows,
    {
        self.rows().joining(record)
    }

    #[cold]
    fn corrupt(self, reason: SerdeError, cx: &TaskContext) -> TaskError {
        let store = cx.store_name(self.index).to_owned();
        TaskFailure::Store {
            store,
            reason: Box::new(reason),
        }
        .into()
    }

    #[cold]
    fn unwritable(self, part: RecordPart, reason: SerdeError, cx: &TaskContext) -> TaskError {
        let destination = format!("store {}", cx.store_name(self.index));
        TaskFailure::Serialization {
            destination,
            part,
            reason,
        }
        .into()
    }
}

impl<K, W, V, S: Copy> WindowedTable<Windowed<K, W>, V, S> {
    /// The same store: its keys without window are this record's. For generated code where no field declares the store's types.
    #[inline(always)]
    #[must_use]
    pub const fn with_keys_of<T>(self, _: &Record<K, T>) -> Self {
        self
    }

    /// The same store: its keys without window are those of the records that this makes.
    #[must_use]
    pub const fn with_keys_like<R, T>(self, _: &impl Fn(R) -> Option<Record<K, T>>) -> Self {
        self
    }

    /// What says the types of a function that merges sessions of this store.
    #[must_use]
    pub const fn merging(self) -> Merging<Windowed<K, W>, V> {
        Merging::new()
    }
}

impl<K: WindowedKey, V: Serde, S: AllWindows> WindowedTable<K, V, S> {
    /// The row of a key.
    ///
    /// # Errors
    /// When the store fails or the key has no bytes.
    #[inline]
    pub fn find(self, key: &K, cx: &mut TaskContext) -> TaskResult<Row<V>> {
        self.rows().find(key, cx)
    }

    /// An answer arrives for a row of this table, as [`TableStore::responded`] takes it.
    ///
    /// # Errors
    /// When it cannot be read and the handler says to fail, or the store fails.
    pub fn responded<FV: Serde>(
        self,
        raw: RawRecord<'_>,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Responded<K, V, FV>>> {
        let responded = self.rows().responded(raw, cx)?;
        let size = self.windows.size();
        Ok(responded.map(|responded| responded.with_key(|key: K| key.sized(size))))
    }

    /// An update that the record cache let go, to be forwarded.
    ///
    /// # Errors
    /// When the bytes are none of this table's types.
    pub fn flushed(
        self,
        entry: Flushed<'_>,
        cx: &mut TaskContext,
    ) -> TaskResult<Record<K, Change<V>>> {
        let of_window = entry.key.len().saturating_sub(S::SUFFIX);
        let topic_key = entry.key.get(..of_window + K::Window::LENGTH);
        let key = K::deserialize(topic_key.unwrap_or(entry.key));
        let key = key.map_err(|e| self.corrupt(e, cx))?;
        let key = key.sized(self.windows.size());
        let value = |bytes: Option<&[u8]>| bytes.map(V::deserialize).transpose();
        let new = value(entry.value).map_err(|e| self.corrupt(e, cx))?;
        let old = entry.old.filter(|_| self.sends_old);
        let old = value(old).map_err(|e| self.corrupt(e, cx))?;
        let timestamp = if S::TIMESTAMPED {
            entry.timestamp
        } else {
            key.bounds().1
        };
        Ok(Record {
            key,
            value: Change::new(new, old),
            timestamp,
            headers: entry.headers.clone(),
        })
    }
}

/// A record on its way through a table: what its windows' updates have in common.
struct Work<'r, CK, K, V, S> {
    table: WindowedTable<K, V, S>,
    key: &'r CK,
    /// The key's bytes.
    bytes: &'r [u8],
    timestamp: Timestamp,
    headers: &'r Headers,
}

/// Why a record goes no further.
enum Stop {
    Task(TaskError),
    /// A function of the user's failed.
    Failed(Failed),
}

impl From<TaskError> for Stop {
    fn from(error: TaskError) -> Self {
        Stop::Task(error)
    }
}

impl From<Failed> for Stop {
    fn from(failed: Failed) -> Self {
        Stop::Failed(failed)
    }
}

/// An aggregate with the time of its latest record.
type Value<A> = (Timestamp, A);

/// What an operator does with an update.
trait Next<K, V>: FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult {}

impl<K, V, F: FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult> Next<K, V> for F {}

impl<CK: Clone, K: WindowedKey, V: Serde, S: AllWindows> Work<'_, CK, K, V, S> {
    /// Makes `scratch.key` the local key of a window.
    #[inline]
    fn set_key(&self, start: Timestamp, end: Timestamp, cx: &mut TaskContext) -> TaskResult {
        let key = &mut cx.scratch.key;
        key.clear();
        key.extend_from_slice(&[0; 8]);
        key.extend_from_slice(self.bytes);
        if S::TIMESTAMPED {
            key.extend_from_slice(&start.to_be_bytes());
            key.extend_from_slice(&0_i32.to_be_bytes());
        } else {
            key.extend_from_slice(&end.to_be_bytes());
            key.extend_from_slice(&start.to_be_bytes());
        }
        cx.localize_key(self.table.index)
    }

    /// The aggregate of the window whose key is `scratch.key`.
    #[inline]
    fn get<A: Serde>(&self, cx: &mut TaskContext) -> TaskResult<Option<Value<A>>> {
        let Some(stored) = cx.store_get(self.table.index)? else {
            return Ok(None);
        };
        match decode_timestamped(stored) {
            Ok(found) => Ok(Some(found)),
            Err(e) => Err(self.table.corrupt(e, cx)),
        }
    }

    /// Puts an aggregate under `scratch.key`; a null one deletes it. Tells whether it goes on now.
    #[inline]
    fn put<A: Serde>(
        &self,
        value: Option<&A>,
        timestamp: Timestamp,
        cx: &mut TaskContext,
    ) -> TaskResult<bool> {
        let out = &mut cx.scratch.value;
        out.clear();
        if S::TIMESTAMPED {
            out.extend_from_slice(&timestamp.to_be_bytes());
        }
        let null = match value.map_or(Ok(true), |v| serialize(v, out)) {
            Ok(null) => null,
            Err(reason) => return Err(self.table.unwritable(RecordPart::Value, reason, cx)),
        };
        let put = if null {
            Put::Tombstone(self.timestamp)
        } else {
            Put::Scratch(timestamp)
        };
        let table = &self.table;
        let forward = cx.store_put(
            table.index,
            put,
            self.timestamp,
            self.headers,
            table.sends_old,
        )?;
        Ok(forward == Forward::Now && table.emitted.is_none())
    }

    /// The update of a window, of the declared types.
    #[inline]
    fn update<Node>(
        &self,
        (start, end): (Timestamp, Timestamp),
        value: Change<V>,
        timestamp: Timestamp,
        headers: Headers,
    ) -> Record<K, Change<V>>
    where
        K: DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let window = K::Window::between(start, end);
        let key = Windowed::new(self.key.clone(), window);
        Record {
            key: <K as DeclaredKey<Windowed<CK, K::Window>, Node>>::of(key),
            value,
            timestamp,
            headers,
        }
    }

    /// A value as the table's type has it, by way of its bytes: aggregates need not be `Clone`. Only where somebody asks for it.
    fn old<A: Serde>(&self, value: Option<&A>, cx: &mut TaskContext) -> TaskResult<Option<V>> {
        let Some(value) = value.filter(|_| self.table.sends_old) else {
            return Ok(None);
        };
        let out = &mut cx.scratch.value;
        out.clear();
        match serialize(value, out) {
            Ok(true) => Ok(None),
            Ok(false) => match V::deserialize(out) {
                Ok(value) => Ok(Some(value)),
                Err(e) => Err(self.table.corrupt(e, cx)),
            },
            Err(reason) => Err(self.table.unwritable(RecordPart::Value, reason, cx)),
        }
    }

    /// Sends windows on that have closed: those of the store between two times, both included, in the order of their times.
    fn emit<Node, N: Next<K, V>>(
        &self,
        close: Timestamp,
        (from, to): (Timestamp, Timestamp),
        cx: &mut TaskContext,
        next: &mut N,
    ) -> TaskResult
    where
        K: DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let mut found = std::mem::take(&mut cx.scratch.found);
        let emitted = self.emit_found::<Node, N>((from, to), &mut found, cx, next);
        found.clear();
        cx.scratch.found = found;
        emitted?;
        if let Some((slot, _)) = self.table.emitted {
            cx.advance_time(slot, close);
            cx.hold_unemitted();
        }
        Ok(())
    }

    fn emit_found<Node, N: Next<K, V>>(
        &self,
        (mut from, to): (Timestamp, Timestamp),
        found: &mut Found,
        cx: &mut TaskContext,
        next: &mut N,
    ) -> TaskResult
    where
        K: DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let index = self.table.index;
        if !S::EMITS_BY_TIME {
            cx.store_scan_held(
                index,
                &Scan::between(Keys::All, from, to),
                found,
                usize::MAX,
            )?;
            found.sort_by_key(|key| S::emission_order(key));
            return self.emit_page(found, cx, next).map(|_| ());
        }
        let mut last: Option<(Vec<u8>, Timestamp)> = None;
        loop {
            let scan = match &last {
                Some((key, start)) => {
                    let rest = Keys::Range(
                        std::ops::Bound::Excluded(key.as_slice()),
                        std::ops::Bound::Unbounded,
                    );
                    Scan::between(rest, *start, *start)
                }
                None => Scan::between(Keys::All, from, to),
            };
            cx.store_scan_held(index, &scan, found, PAGE)?;
            let full = found.len() >= PAGE;
            let reached = self.emit_page(found, cx, next)?;
            match (full, last) {
                // The rest of the windows that start with the last one.
                (true, _) => last = reached,
                // Then those that start later.
                (false, Some((_, start))) if start < to => {
                    last = None;
                    from = start + 1;
                }
                (false, _) => return Ok(()),
            }
        }
    }

    /// Sends on what was found. Tells the last one's key and start.
    fn emit_page<N: Next<K, V>>(
        &self,
        found: &Found,
        cx: &mut TaskContext,
        next: &mut N,
    ) -> TaskResult<Option<(Vec<u8>, Timestamp)>> {
        let mut last = None;
        for (store_key, stored) in found.iter() {
            let of_window = store_key.len().saturating_sub(S::SUFFIX);
            let topic_key = store_key.get(..of_window + K::Window::LENGTH);
            let key = K::deserialize(topic_key.unwrap_or(store_key));
            let key = key.map_err(|e| self.table.corrupt(e, cx))?;
            let key = key.sized(self.table.windows.size());
            let (start, end) = key.bounds();
            let (timestamp, value) = if S::TIMESTAMPED {
                decode_timestamped(stored)
            } else {
                V::deserialize(stored).map(|value| (end, value))
            }
            .map_err(|e| self.table.corrupt(e, cx))?;
            let record = Record {
                key,
                value: Change::new(Some(value), None),
                timestamp,
                headers: self.headers.clone(),
            };
            last = Some((store_key.get(..of_window).unwrap_or_default(), start));
            next(record, cx)?;
        }
        Ok(last.map(|(key, start)| (key.to_vec(), start)))
    }

    /// The time up to which windows were emitted, if closed ones are to be looked for now.
    fn emission(&self, close: Timestamp, cx: &mut TaskContext) -> Option<Timestamp> {
        let (slot, next) = self.table.emitted?;
        if !cx.emission_is_due(next) {
            return None;
        }
        let last = cx.time(slot);
        (last < 0 || last < close).then_some(last)
    }
}
