//! Layer 4. A table's typed handle and what can be done with it. The handle is an index; the bytes are in the context.
//!
//! Semantics are Kafka Streams' (4.3.1): `KTableSource`, `KStreamAggregate`, `KStreamReduce`, `KStreamKTableJoin`, and the
//! record cache before a store as `CachingKeyValueStore`.

pub mod join;
pub(crate) mod waiting;

use std::fmt;
use std::marker::PhantomData;

use crate::context::{Forward, Put, TaskContext, serialize};
use crate::error::{RecordPart, TaskFailure, TaskResult};
use crate::generated::Flushed;
use crate::obligations::JoinKey;
use crate::record::{Change, Headers, Record, Timestamp};
use crate::serde::{Serde, SerdeError};

mod grouped;
mod regrouped;
mod rows;

pub use grouped::{Aggregate, Grouped};
pub(crate) use rows::{RowKeys, Rows};

pub(crate) use regrouped::same_bytes;
pub use regrouped::{AggregateRows, PresentRows, Regrouped, Regrouping};

/// A table's store in a task: its index in the sub-topology, with the types of its keys and values.
pub struct TableStore<K, V> {
    index: usize,
    keys: RowKeys,
    sends_old: bool,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for TableStore<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for TableStore<K, V> {}

impl<K, V> fmt::Debug for TableStore<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TableStore").field(&self.index).finish()
    }
}

impl<K, V> TableStore<K, V> {
    /// The sub-topology's store of that index.
    #[must_use]
    pub const fn new(index: usize) -> Self {
        TableStore {
            index,
            keys: RowKeys::Plain,
            sends_old: false,
            types: PhantomData,
        }
    }

    /// The rows of a table by windows, to be looked up.
    pub(crate) const fn by_windows(index: usize, keys: RowKeys) -> Self {
        TableStore {
            index,
            keys,
            sends_old: false,
            types: PhantomData,
        }
    }

    /// The same store, whose updates say the old value too, because a filter after the table asks for it. (A filter of a
    /// table that has a store leaves out the updates of rows that it neither let pass before nor does now.)
    #[must_use]
    pub const fn sending_old_values(mut self) -> Self {
        self.sends_old = true;
        self
    }

    /// The same store: its keys are this record's. For generated code where no field declares the store's types.
    #[inline(always)]
    #[must_use]
    pub const fn with_keys_of<T>(self, _: &Record<K, T>) -> Self {
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

    /// The store's index in the sub-topology.
    pub(crate) const fn index(self) -> usize {
        self.index
    }

    /// The rows without their types.
    pub(crate) const fn rows(self) -> Rows {
        Rows {
            store: self.index,
            keys: self.keys,
        }
    }

    /// A record to aggregate into this table.
    #[inline(always)]
    pub fn grouped<CK, CV>(self, record: Record<CK, CV>) -> Grouped<CK, CV, K, V> {
        Grouped {
            record,
            store: self,
        }
    }

    /// A stream's record to join with this table.
    #[inline(always)]
    pub fn joining<CK, CV>(self, record: Record<CK, CV>) -> Joining<CK, CV, K, V, (), ()> {
        Joining {
            record,
            store: self,
            nodes: PhantomData,
        }
    }
}

/// The value, or, where a store did not take what a record became, the end of the record: nothing goes on from here.
macro_rules! or_end {
    ($result:expr, $cx:ident) => {
        match $result {
            Ok(value) => value,
            Err(error) => return $cx.declined(error).map(|()| None),
        }
    };
}
pub(crate) use or_end;

impl<K, V> TableStore<K, V> {
    /// An update from the table's topic: stored, then forwarded; `None` where the record cache holds it back.
    /// An older timestamp overwrites, and the same value is forwarded again.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn source(
        self,
        record: Record<K, Option<V>>,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<K, Change<V>>>>
    where
        K: Serde,
        V: Serde,
    {
        self.materialize(crate::ops::to_table(record), cx)
    }

    /// An update of a derived table that has a store of its own: its old value is what that store has.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn materialize(
        self,
        mut record: Record<K, Change<V>>,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<K, Change<V>>>>
    where
        K: Serde,
        V: Serde,
    {
        or_end!(self.set_key(&record.key, cx), cx);
        record.value.old = if self.sends_old {
            or_end!(self.get(cx), cx).map(|(_, old)| old)
        } else {
            None
        };
        self.store(record, cx)
    }

    /// An update of a joined table that has a store of its own: its old value is what the join says.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn materialize_joined(
        self,
        mut record: Record<K, Change<V>>,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<K, Change<V>>>>
    where
        K: Serde,
        V: Serde,
    {
        or_end!(self.set_key(&record.key, cx), cx);
        if !self.sends_old {
            record.value.old = None;
        }
        self.store(record, cx)
    }

    /// Puts an update, whose key is in `scratch.key`.
    #[inline]
    fn store(
        self,
        mut record: Record<K, Change<V>>,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<K, Change<V>>>>
    where
        K: Serde,
        V: Serde,
    {
        let put = self.put(
            record.value.new.as_ref(),
            record.timestamp,
            record.timestamp,
            &record.headers,
            cx,
        );
        let forward = or_end!(put, cx);
        Ok(forward.now().map(|is_latest| {
            record.value.is_latest = is_latest;
            record
        }))
    }

    /// An update of a filtered table that has a store of its own, where the table before it sends old values or one after
    /// it asks for them: a tombstone for a key that is not in it is neither stored nor forwarded.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn materialize_filtered(
        self,
        record: Record<K, Change<V>>,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<K, Change<V>>>>
    where
        K: Serde,
        V: Serde,
    {
        if record.value.new.is_none() {
            or_end!(self.set_key(&record.key, cx), cx);
            if cx.store_get(self.index)?.is_none() {
                return Ok(None);
            }
        }
        self.materialize(record, cx)
    }

    /// An update that the record cache let go, to be forwarded.
    ///
    /// # Errors
    /// When the bytes are none of this table's types.
    pub fn flushed(
        self,
        entry: Flushed<'_>,
        cx: &mut TaskContext,
    ) -> TaskResult<Record<K, Change<V>>>
    where
        K: Serde,
        V: Serde,
    {
        let key = K::deserialize(entry.key).map_err(|e| self.corrupt(e, cx))?;
        let new = entry
            .value
            .map(V::deserialize)
            .transpose()
            .map_err(|e| self.corrupt(e, cx))?;
        let old = if self.sends_old {
            entry
                .old
                .map(V::deserialize)
                .transpose()
                .map_err(|e| self.corrupt(e, cx))?
        } else {
            None
        };
        Ok(Record {
            key,
            value: Change::new(new, old),
            timestamp: entry.timestamp,
            headers: entry.headers.clone(),
        })
    }

    #[inline]
    fn set_key(self, key: &K, cx: &mut TaskContext) -> TaskResult
    where
        K: Serde,
        V: Serde,
    {
        self.keys.begin(cx);
        match key.serialize(&mut cx.scratch.key) {
            Ok(()) => self.keys.complete(self.index, cx),
            Err(reason) => Err(self.unwritable(RecordPart::Key, reason, cx)),
        }
    }

    /// What is stored under `scratch.key`, with its timestamp.
    #[inline]
    fn get<T: Serde>(self, cx: &mut TaskContext) -> TaskResult<Option<(Timestamp, T)>>
    where
        K: Serde,
        V: Serde,
    {
        let end = self.keys.end(cx);
        let Some(stored) = cx.store_get(self.index)? else {
            return Ok(None);
        };
        let found = self.keys.apart(end, stored);
        match found.and_then(|(timestamp, value)| Ok((timestamp, T::deserialize(value)?))) {
            Ok(found) => Ok(Some(found)),
            Err(e) => Err(self.corrupt(e, cx)),
        }
    }

    /// What a versioned store had under `scratch.key` at a time, and since when.
    fn get_as_of<T: Serde>(
        self,
        time: Timestamp,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<(Timestamp, T)>>
    where
        K: Serde,
        V: Serde,
    {
        let Some((since, stored)) = cx.versioned_get(self.index, time)? else {
            return Ok(None);
        };
        match T::deserialize(stored) {
            Ok(found) => Ok(Some((since, found))),
            Err(e) => Err(self.corrupt(e, cx)),
        }
    }

    /// Puts a value under `scratch.key`. A tombstone's changelog record has the timestamp of the record that caused it.
    #[inline]
    fn put<T: Serde>(
        self,
        value: Option<&T>,
        timestamp: Timestamp,
        record_timestamp: Timestamp,
        headers: &Headers,
        cx: &mut TaskContext,
    ) -> TaskResult<Forward>
    where
        K: Serde,
        V: Serde,
    {
        let out = &mut cx.scratch.value;
        out.clear();
        out.extend_from_slice(&timestamp.to_be_bytes());
        let null = match value.map_or(Ok(true), |v| serialize(v, out)) {
            Ok(null) => null,
            Err(reason) => return Err(self.unwritable(RecordPart::Value, reason, cx)),
        };
        let put = if null {
            Put::Tombstone(timestamp)
        } else {
            Put::Scratch(timestamp)
        };
        cx.store_put(self.index, put, record_timestamp, headers, self.sends_old)
    }

    /// A value as the table's type has it, by way of its bytes: aggregates need not be `Clone`.
    fn copy<T: Serde>(self, value: &T, cx: &mut TaskContext) -> TaskResult<Option<V>>
    where
        K: Serde,
        V: Serde,
    {
        let out = &mut cx.scratch.value;
        out.clear();
        match serialize(value, out) {
            Ok(true) => Ok(None),
            Ok(false) => match V::deserialize(out) {
                Ok(value) => Ok(Some(value)),
                Err(e) => Err(self.corrupt(e, cx)),
            },
            Err(reason) => Err(self.unwritable(RecordPart::Value, reason, cx)),
        }
    }

    #[cold]
    fn corrupt(self, reason: SerdeError, cx: &TaskContext) -> crate::error::TaskError
    where
        K: Serde,
        V: Serde,
    {
        let store = cx.store_name(self.index).to_owned();
        TaskFailure::Store {
            store,
            reason: Box::new(reason),
        }
        .into()
    }

    #[cold]
    fn unwritable(
        self,
        part: RecordPart,
        reason: SerdeError,
        cx: &TaskContext,
    ) -> crate::error::TaskError
    where
        K: Serde,
        V: Serde,
    {
        let destination = format!("store {}", cx.store_name(self.index));
        TaskFailure::Serialization {
            destination,
            part,
            reason,
        }
        .into()
    }
}

/// Eight bytes of timestamp, then the value.
#[inline]
pub(crate) fn decode_timestamped<T: Serde>(stored: &[u8]) -> Result<(Timestamp, T), SerdeError> {
    match stored.split_first_chunk::<8>() {
        Some((timestamp, value)) => {
            Ok((Timestamp::from_be_bytes(*timestamp), T::deserialize(value)?))
        }
        None => Err(SerdeError::Length {
            type_name: "a stored value with its timestamp",
            expected: 8,
            actual: stored.len(),
        }),
    }
}

/// What goes on of an update; `None` where nothing does.
type Updated<K, V> = TaskResult<Option<Record<K, Change<V>>>>;

/// A stream's record that meets a table. Null values are dropped before, and for an inner join null keys.
pub struct Joining<CK, CV, K, V, Node, Table> {
    record: Record<CK, CV>,
    store: TableStore<K, V>,
    nodes: PhantomData<fn() -> (Node, Table)>,
}

impl<CK, CV, K, V, Node, Table> fmt::Debug for Joining<CK, CV, K, V, Node, Table> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Joining").field(&self.store).finish()
    }
}

impl<CK, CV, K, V> Joining<CK, CV, K, V, (), ()> {
    /// Names the two sides, for messages.
    #[inline(always)]
    pub fn between<Node, Table>(self) -> Joining<CK, CV, K, V, Node, Table> {
        Joining {
            record: self.record,
            store: self.store,
            nodes: PhantomData,
        }
    }
}

impl<CK, CV, K, V, Node, Table> Joining<CK, CV, K, V, Node, Table> {
    /// `KStream.join` with a table: `None` where the table has no value for the key.
    ///
    /// # Errors
    /// When the store fails or the key has no bytes.
    #[inline]
    pub fn join<O>(
        self,
        joiner: impl FnOnce(CV, &V) -> O,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        CK: JoinKey<K, Node, Table>,
        K: Serde,
        V: Serde,
    {
        self.join_with_key(|_, value, other| joiner(value, other), cx)
    }

    /// [`join`](Self::join) with the key to look at.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    #[inline]
    pub fn join_with_key<O>(
        self,
        joiner: impl FnOnce(&CK, CV, &V) -> O,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        CK: JoinKey<K, Node, Table>,
        K: Serde,
        V: Serde,
    {
        let other = or_end!(self.lookup(cx), cx);
        Ok(other.map(|other| {
            crate::ops::map_values_with_key(self.record, |key, value| joiner(key, value, &other))
        }))
    }

    /// `KStream.leftJoin` with a table: a record without a key, or without a counterpart, meets `None`.
    ///
    /// # Errors
    /// When the store fails or the key has no bytes.
    #[inline]
    pub fn left_join<O>(
        self,
        joiner: impl FnOnce(CV, Option<&V>) -> O,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        CK: JoinKey<K, Node, Table>,
        K: Serde,
        V: Serde,
    {
        self.left_join_with_key(|_, value, other| joiner(value, other), cx)
    }

    /// [`left_join`](Self::left_join) with the key to look at.
    ///
    /// # Errors
    /// As [`left_join`](Self::left_join).
    #[inline]
    pub fn left_join_with_key<O>(
        self,
        joiner: impl FnOnce(&CK, CV, Option<&V>) -> O,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        CK: JoinKey<K, Node, Table>,
        K: Serde,
        V: Serde,
    {
        let other = or_end!(self.lookup(cx), cx);
        Ok(Some(crate::ops::map_values_with_key(
            self.record,
            |key, value| joiner(key, value, other.as_ref()),
        )))
    }

    #[inline]
    fn lookup(&self, cx: &mut TaskContext) -> TaskResult<Option<V>>
    where
        CK: JoinKey<K, Node, Table>,
        K: Serde,
        V: Serde,
    {
        let Some(key) = self.record.key.as_key() else {
            return Ok(None);
        };
        self.store.set_key(key, cx)?;
        let found = if cx.is_versioned(self.store.index) {
            self.store.get_as_of(self.record.timestamp, cx)?
        } else {
            self.store.get(cx)?
        };
        Ok(found.map(|(_, value)| value))
    }
}
