//! Streams aggregated by key: what becomes of a record on its way into a table.
//!
//! Semantics are Kafka Streams' (4.3.1): `KStreamAggregate`, `KStreamReduce`.

use super::{TableStore, Updated, or_end};
use crate::context::{Made, TaskContext, made_by};
use crate::obligations::{AggregateOf, DeclaredKey, DeclaredValue};
use crate::record::{Change, Record};
use crate::serde::Serde;

/// A record on its way into an aggregating table. Null keys and values are dropped before.
#[derive(Debug)]
pub struct Grouped<CK, CV, K, V> {
    pub(super) record: Record<CK, CV>,
    pub(super) store: TableStore<K, V>,
}

impl<CK, CV, K, V> Grouped<CK, CV, K, V> {
    /// `KGroupedStream.count`.
    ///
    /// # Errors
    /// When the store fails or the key has no bytes.
    #[inline]
    pub fn count<Node>(self, cx: &mut TaskContext) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: DeclaredValue<i64, Node> + Serde,
    {
        self.update::<Node, i64, i64>(
            || Some(0),
            |_, _, count| Ok(Some(count.unwrap_or_default().wrapping_add(1))),
            V::of,
            cx,
        )
    }

    /// `KGroupedStream.reduce`: a key's first value is taken as it is.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn reduce<Node>(
        self,
        reducer: impl FnOnce(V, V) -> V,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: DeclaredValue<CV, Node> + Serde,
    {
        self.update::<Node, V, V>(
            || None,
            |_, value, old| {
                let value = V::of(value);
                Ok(Some(match old {
                    Some(old) => reducer(old, value),
                    None => value,
                }))
            },
            |v| v,
            cx,
        )
    }

    /// [`reduce`](Self::reduce) with a reducer that may fail: then the key keeps its value.
    ///
    /// # Errors
    /// As [`reduce`](Self::reduce), and when the reducer failed and the handler says to fail.
    #[inline]
    pub fn try_reduce<Node, R: AggregateOf<V>>(
        self,
        reducer: impl FnOnce(V, V) -> R,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: DeclaredValue<CV, Node> + Serde,
    {
        self.update::<Node, V, V>(
            || None,
            |_, value, old| {
                let value = V::of(value);
                match old {
                    Some(old) => made_by(node, reducer(old, value)).map(Some),
                    None => Ok(Some(value)),
                }
            },
            |v| v,
            cx,
        )
    }

    /// Reads the old value, makes the new one, stores and forwards it. The new timestamp is the later one of the old value's
    /// and the record's. `A` is the aggregate while it is computed, `S` what is stored.
    ///
    /// A key's first update says the initial value as its old one, as in Kafka Streams. Where the aggregator fails, nothing changes.
    #[inline]
    fn update<Node, A, S>(
        self,
        initial: impl FnOnce() -> Option<A>,
        aggregator: impl FnOnce(&K, CV, Option<A>) -> Made<Option<S>>,
        declared: impl FnOnce(S) -> V,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        A: Serde,
        S: Serde,
        V: Serde,
    {
        let Record {
            key,
            value,
            timestamp: record_timestamp,
            headers,
        } = self.record;
        let key = K::of(key);
        or_end!(self.store.set_key(&key, cx), cx);
        let (timestamp, before) = match or_end!(self.store.get::<A>(cx), cx) {
            Some((timestamp, before)) => (timestamp.max(record_timestamp), Some(before)),
            None => (record_timestamp, initial()),
        };
        let old = match &before {
            Some(before) if self.store.sends_old => or_end!(self.store.copy(before, cx), cx),
            _ => None,
        };
        let new = match aggregator(&key, value, before) {
            Ok(new) => new,
            Err(failed) => return cx.decide(failed).map(|()| None),
        };
        let put = self
            .store
            .put(new.as_ref(), timestamp, record_timestamp, &headers, cx);
        let forward = or_end!(put, cx);
        let Some(is_latest) = forward.now() else {
            return Ok(None);
        };
        let new = new.map(declared).filter(|v| !v.is_null());
        Ok(Some(Record {
            key,
            value: Change {
                new,
                old,
                is_latest,
            },
            timestamp,
            headers,
        }))
    }
}

impl<CK, CV, K, A> Grouped<CK, CV, K, Option<A>> {
    /// `KGroupedStream.aggregate` with an aggregator that may return `None`: that deletes the key.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn aggregate<Node>(
        self,
        initializer: impl FnOnce() -> A,
        aggregator: impl FnOnce(&K, CV, A) -> Option<A>,
        cx: &mut TaskContext,
    ) -> Updated<K, Option<A>>
    where
        K: DeclaredKey<CK, Node> + Serde,
        A: Serde,
    {
        self.update::<Node, A, A>(
            || Some(initializer()),
            |key, value, old| Ok(old.and_then(|old| aggregator(key, value, old))),
            Some,
            cx,
        )
    }

    /// [`aggregate`](Self::aggregate) with an aggregator that may fail: then the key keeps its value.
    ///
    /// # Errors
    /// As [`aggregate`](Self::aggregate), and when the aggregator failed and the handler says to fail.
    #[inline]
    pub fn try_aggregate<Node, R: AggregateOf<Option<A>>>(
        self,
        initializer: impl FnOnce() -> A,
        aggregator: impl FnOnce(&K, CV, A) -> R,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> Updated<K, Option<A>>
    where
        K: DeclaredKey<CK, Node> + Serde,
        A: Serde,
    {
        self.update::<Node, A, A>(
            || Some(initializer()),
            |key, value, old| match old {
                Some(old) => made_by(node, aggregator(key, value, old)),
                None => Ok(None),
            },
            Some,
            cx,
        )
    }

    /// `KGroupedStream.reduce` with a reducer that may return `None`: that deletes the key.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn reduce_or_delete<Node>(
        self,
        reducer: impl FnOnce(A, A) -> Option<A>,
        cx: &mut TaskContext,
    ) -> Updated<K, Option<A>>
    where
        K: DeclaredKey<CK, Node> + Serde,
        A: DeclaredValue<CV, Node> + Serde,
    {
        self.update::<Node, A, A>(
            || None,
            |_, value, old| {
                let value = A::of(value);
                Ok(match old {
                    Some(old) => reducer(old, value),
                    None => Some(value),
                })
            },
            Some,
            cx,
        )
    }

    /// [`reduce_or_delete`](Self::reduce_or_delete) with a reducer that may fail: then the key keeps its value.
    ///
    /// # Errors
    /// As [`reduce_or_delete`](Self::reduce_or_delete), and when the reducer failed and the handler says to fail.
    #[inline]
    pub fn try_reduce_or_delete<Node, R: AggregateOf<Option<A>>>(
        self,
        reducer: impl FnOnce(A, A) -> R,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> Updated<K, Option<A>>
    where
        K: DeclaredKey<CK, Node> + Serde,
        A: DeclaredValue<CV, Node> + Serde,
    {
        self.update::<Node, A, A>(
            || None,
            |_, value, old| {
                let value = A::of(value);
                match old {
                    Some(old) => made_by(node, reducer(old, value)),
                    None => Ok(Some(value)),
                }
            },
            Some,
            cx,
        )
    }
}

/// [`Grouped::aggregate`] of tables whose values are not nullable.
pub trait Aggregate<CK, CV, K, V> {
    /// `KGroupedStream.aggregate`.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    fn aggregate<Node>(
        self,
        initializer: impl FnOnce() -> V,
        aggregator: impl FnOnce(&K, CV, V) -> V,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: Serde;

    /// The same with an aggregator that may fail: then the key keeps its value.
    ///
    /// # Errors
    /// As [`aggregate`](Self::aggregate), and when the aggregator failed and the handler says to fail.
    fn try_aggregate<Node, R: AggregateOf<V>>(
        self,
        initializer: impl FnOnce() -> V,
        aggregator: impl FnOnce(&K, CV, V) -> R,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: Serde;
}

impl<CK, CV, K, V> Aggregate<CK, CV, K, V> for Grouped<CK, CV, K, V> {
    #[inline]
    fn aggregate<Node>(
        self,
        initializer: impl FnOnce() -> V,
        aggregator: impl FnOnce(&K, CV, V) -> V,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: Serde,
    {
        self.update::<Node, V, V>(
            || Some(initializer()),
            |key, value, old| Ok(old.map(|old| aggregator(key, value, old))),
            |v| v,
            cx,
        )
    }

    #[inline]
    fn try_aggregate<Node, R: AggregateOf<V>>(
        self,
        initializer: impl FnOnce() -> V,
        aggregator: impl FnOnce(&K, CV, V) -> R,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: Serde,
    {
        self.update::<Node, V, V>(
            || Some(initializer()),
            |key, value, old| {
                old.map(|old| made_by(node, aggregator(key, value, old)))
                    .transpose()
            },
            |v| v,
            cx,
        )
    }
}
