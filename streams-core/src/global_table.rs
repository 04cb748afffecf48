//! Layer 4. A global table's typed handle: a stream's records meet it by any key that a mapper finds.

use std::fmt;
use std::marker::PhantomData;

use crate::context::TaskContext;
use crate::error::{RecordPart, TaskFailure, TaskResult};
use crate::obligations::{GlobalKey, TriedKey};
use crate::record::Record;
use crate::serde::Serde;
use crate::table::{decode_timestamped, or_end};

/// A global table in a task: its index in the topology's global tables, with the types of its keys and values.
pub struct GlobalTable<K, V> {
    index: usize,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for GlobalTable<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for GlobalTable<K, V> {}

impl<K, V> fmt::Debug for GlobalTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GlobalTable").field(&self.index).finish()
    }
}

impl<K, V> GlobalTable<K, V> {
    /// The topology's global table of that index.
    #[must_use]
    pub const fn new(index: usize) -> Self {
        GlobalTable {
            index,
            types: PhantomData,
        }
    }

    /// The table's index in the topology's.
    pub(crate) const fn index(self) -> usize {
        self.index
    }

    /// A stream's record to join with this table.
    #[inline(always)]
    pub fn joining<CK, CV>(self, record: Record<CK, CV>) -> GlobalJoining<CK, CV, K, V, (), ()> {
        GlobalJoining {
            record,
            table: self,
            nodes: PhantomData,
        }
    }
}

/// A stream's record that meets a global table. Null values are dropped before; a null key is no matter.
pub struct GlobalJoining<CK, CV, K, V, Node, Table> {
    record: Record<CK, CV>,
    table: GlobalTable<K, V>,
    nodes: PhantomData<fn() -> (Node, Table)>,
}

impl<CK, CV, K, V, Node, Table> fmt::Debug for GlobalJoining<CK, CV, K, V, Node, Table> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GlobalJoining").field(&self.table).finish()
    }
}

impl<CK, CV, K, V> GlobalJoining<CK, CV, K, V, (), ()> {
    /// Names the two sides, for messages.
    #[inline(always)]
    pub fn between<Node, Table>(self) -> GlobalJoining<CK, CV, K, V, Node, Table> {
        GlobalJoining {
            record: self.record,
            table: self.table,
            nodes: PhantomData,
        }
    }
}

impl<CK, CV, K, V, Node, Table> GlobalJoining<CK, CV, K, V, Node, Table> {
    /// `KStream.join` with a global table: `None` where the table has no value for the mapped key. A record that has no
    /// mapped key is dropped and counted.
    ///
    /// # Errors
    /// When the store fails or the mapped key has no bytes.
    #[inline]
    pub fn join<M, O>(
        self,
        mapper: impl FnOnce(&CK, &CV) -> M,
        joiner: impl FnOnce(CV, &V) -> O,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        M: GlobalKey<K, Node, Table>,
        K: Serde,
        V: Serde,
    {
        let key = mapper(&self.record.key, &self.record.value).into_key();
        self.join_by(key, |_, value, other| joiner(value, other), cx)
    }

    /// [`join`](Self::join) with the stream's key to look at.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    #[inline]
    pub fn join_with_key<M, O>(
        self,
        mapper: impl FnOnce(&CK, &CV) -> M,
        joiner: impl FnOnce(&CK, CV, &V) -> O,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        M: GlobalKey<K, Node, Table>,
        K: Serde,
        V: Serde,
    {
        let key = mapper(&self.record.key, &self.record.value).into_key();
        self.join_by(key, joiner, cx)
    }

    /// `KStream.leftJoin` with a global table: a record without a mapped key, or without a counterpart, meets `None`.
    ///
    /// # Errors
    /// When the store fails or the mapped key has no bytes.
    #[inline]
    pub fn left_join<M, O>(
        self,
        mapper: impl FnOnce(&CK, &CV) -> M,
        joiner: impl FnOnce(CV, Option<&V>) -> O,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        M: GlobalKey<K, Node, Table>,
        K: Serde,
        V: Serde,
    {
        let key = mapper(&self.record.key, &self.record.value).into_key();
        self.left_join_by(key, |_, value, other| joiner(value, other), cx)
    }

    /// [`left_join`](Self::left_join) with the stream's key to look at.
    ///
    /// # Errors
    /// As [`left_join`](Self::left_join).
    #[inline]
    pub fn left_join_with_key<M, O>(
        self,
        mapper: impl FnOnce(&CK, &CV) -> M,
        joiner: impl FnOnce(&CK, CV, Option<&V>) -> O,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        M: GlobalKey<K, Node, Table>,
        K: Serde,
        V: Serde,
    {
        let key = mapper(&self.record.key, &self.record.value).into_key();
        self.left_join_by(key, joiner, cx)
    }

    /// [`join`](Self::join) with a mapper that may fail: then the record is dropped.
    ///
    /// # Errors
    /// As [`join`](Self::join), and when the mapper failed and the handler says to fail.
    #[inline]
    pub fn try_join<M, O>(
        self,
        mapper: impl FnOnce(&CK, &CV) -> M,
        joiner: impl FnOnce(CV, &V) -> O,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        M: TriedKey<K, Node, Table>,
        K: Serde,
        V: Serde,
    {
        self.try_join_with_key(mapper, |_, value, other| joiner(value, other), node, cx)
    }

    /// [`join_with_key`](Self::join_with_key) with a mapper that may fail: then the record is dropped.
    ///
    /// # Errors
    /// As [`join_with_key`](Self::join_with_key), and when the mapper failed and the handler says to fail.
    #[inline]
    pub fn try_join_with_key<M, O>(
        self,
        mapper: impl FnOnce(&CK, &CV) -> M,
        joiner: impl FnOnce(&CK, CV, &V) -> O,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        M: TriedKey<K, Node, Table>,
        K: Serde,
        V: Serde,
    {
        let key = mapper(&self.record.key, &self.record.value).try_into_key();
        match cx.tried(node, key)? {
            Some(key) => self.join_by(key, joiner, cx),
            None => Ok(None),
        }
    }

    /// [`left_join`](Self::left_join) with a mapper that may fail: then the record is dropped.
    ///
    /// # Errors
    /// As [`left_join`](Self::left_join), and when the mapper failed and the handler says to fail.
    #[inline]
    pub fn try_left_join<M, O>(
        self,
        mapper: impl FnOnce(&CK, &CV) -> M,
        joiner: impl FnOnce(CV, Option<&V>) -> O,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        M: TriedKey<K, Node, Table>,
        K: Serde,
        V: Serde,
    {
        self.try_left_join_with_key(mapper, |_, value, other| joiner(value, other), node, cx)
    }

    /// [`left_join_with_key`](Self::left_join_with_key) with a mapper that may fail: then the record is dropped.
    ///
    /// # Errors
    /// As [`left_join_with_key`](Self::left_join_with_key), and when the mapper failed and the handler says to fail.
    #[inline]
    pub fn try_left_join_with_key<M, O>(
        self,
        mapper: impl FnOnce(&CK, &CV) -> M,
        joiner: impl FnOnce(&CK, CV, Option<&V>) -> O,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        M: TriedKey<K, Node, Table>,
        K: Serde,
        V: Serde,
    {
        let key = mapper(&self.record.key, &self.record.value).try_into_key();
        match cx.tried(node, key)? {
            Some(key) => self.left_join_by(key, joiner, cx),
            None => Ok(None),
        }
    }

    #[inline]
    fn join_by<O>(
        self,
        key: Option<K>,
        joiner: impl FnOnce(&CK, CV, &V) -> O,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        K: Serde,
        V: Serde,
    {
        let Some(key) = key else {
            cx.drop_record("null key for the global table");
            return Ok(None);
        };
        let other = or_end!(self.lookup(&key, cx), cx);
        Ok(other.map(|other| {
            crate::ops::map_values_with_key(self.record, |key, value| joiner(key, value, &other))
        }))
    }

    #[inline]
    fn left_join_by<O>(
        self,
        key: Option<K>,
        joiner: impl FnOnce(&CK, CV, Option<&V>) -> O,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<CK, O>>>
    where
        K: Serde,
        V: Serde,
    {
        let other = match key {
            Some(key) => or_end!(self.lookup(&key, cx), cx),
            None => None,
        };
        Ok(Some(crate::ops::map_values_with_key(
            self.record,
            |key, value| joiner(key, value, other.as_ref()),
        )))
    }

    fn lookup(&self, key: &K, cx: &mut TaskContext) -> TaskResult<Option<V>>
    where
        K: Serde,
        V: Serde,
    {
        let index = self.table.index;
        cx.scratch.key.clear();
        if let Err(reason) = key.serialize(&mut cx.scratch.key) {
            let destination = format!("global table {}", cx.global_name(index));
            return Err(TaskFailure::Serialization {
                destination,
                part: RecordPart::Key,
                reason,
            }
            .into());
        }
        if !cx.global_get(index)? {
            return Ok(None);
        }
        match decode_timestamped(&cx.scratch.value) {
            Ok((_, value)) => Ok(Some(value)),
            Err(reason) => {
                let store = cx.global_name(index).to_owned();
                Err(TaskFailure::Store {
                    store,
                    reason: Box::new(reason),
                }
                .into())
            }
        }
    }
}
