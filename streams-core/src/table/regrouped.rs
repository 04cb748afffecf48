//! A table's rows grouped anew: what of an update crosses the repartition topic, and what the aggregation there makes of it.
//!
//! Semantics are Kafka Streams' (4.3.1): `KTableRepartitionMap`, `KTableAggregate`, `KTableReduce`.

use crate::context::{Made, TaskContext, made_by, serialize};
use crate::obligations::{AggregateOf, DeclaredKey, DeclaredValue};
use crate::record::{Change, Record};
use crate::serde::Serde;

use super::{TableStore, Updated, or_end};

/// An update whose rows have the keys of their groups, on its way to a repartition topic.
#[derive(Debug)]
pub struct Regrouping<K, V>(pub Record<(), Change<(K, V)>>);

impl<K, V> Regrouping<K, Option<V>> {
    /// A row whose new value is null is in no group.
    #[inline(always)]
    #[must_use]
    pub fn present(self) -> Regrouping<K, V> {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.0;
        let present = |(key, value): (K, Option<V>)| Some((key, value?));
        Regrouping(Record {
            key,
            value: Change {
                new: value.new.and_then(present),
                old: value.old.and_then(present),
                is_latest: value.is_latest,
            },
            timestamp,
            headers,
        })
    }
}

/// [`Regrouping::present`] of values that have no null.
pub trait PresentRows<K, V> {
    /// The update itself.
    #[must_use]
    fn present(self) -> Regrouping<K, V>;
}

impl<K, V> PresentRows<K, V> for Regrouping<K, V> {
    #[inline(always)]
    fn present(self) -> Regrouping<K, V> {
        self
    }
}

impl<K: Serde, V> Regrouping<K, V> {
    /// What goes to the repartition topic: one update where the row stays in its group, otherwise first that of the group
    /// that it leaves, then that of the one that it enters. Rows whose key is null are in no group, and a versioned table's
    /// updates of the past change none.
    #[inline]
    pub fn rows(
        self,
        cx: &mut TaskContext,
    ) -> impl Iterator<Item = Record<K, Change<V>>> + use<K, V> {
        let Record {
            value,
            timestamp,
            headers,
            ..
        } = self.0;
        let grouped = |(key, _): &(K, V)| value.is_latest && !key.is_null();
        let row = |key, new, old| Record {
            key,
            value: Change::new(new, old),
            timestamp,
            headers: headers.clone(),
        };
        let (first, second) = match (value.old.filter(grouped), value.new.filter(grouped)) {
            (Some((from, old)), Some((to, new))) if same_bytes(&from, &to, cx) => {
                (Some(row(from, Some(new), Some(old))), None)
            }
            (old, new) => (
                old.map(|(key, old)| row(key, None, Some(old))),
                new.map(|(key, new)| row(key, Some(new), None)),
            ),
        };
        first.into_iter().chain(second)
    }
}

/// Whether two keys are one: by their bytes, as everywhere. Keys without bytes are reported when they are written.
pub(crate) fn same_bytes<K: Serde>(a: &K, b: &K, cx: &mut TaskContext) -> bool {
    let (first, second) = (&mut cx.scratch.key, &mut cx.scratch.value);
    first.clear();
    second.clear();
    serialize(a, first).is_ok() && serialize(b, second).is_ok() && first == second
}

/// An update of a group's row, on its way into the aggregating table.
#[derive(Debug)]
pub struct Regrouped<CK, CV, K, V> {
    record: Record<CK, Change<CV>>,
    store: TableStore<K, V>,
}

impl<K, V> TableStore<K, V> {
    /// An update of a row to aggregate into this table.
    #[inline(always)]
    pub fn regrouped<CK, CV>(self, record: Record<CK, Change<CV>>) -> Regrouped<CK, CV, K, V> {
        Regrouped {
            record,
            store: self,
        }
    }

    /// The same store: its values are those of this update. For generated code where no field declares the store's types.
    #[inline(always)]
    #[must_use]
    pub const fn with_rows_like<T>(self, _: &Record<T, Change<V>>) -> Self {
        self
    }
}

impl<CK, CV, K, V> Regrouped<CK, CV, K, V> {
    /// `KGroupedTable.count`.
    ///
    /// # Errors
    /// When the store fails or the key has no bytes.
    #[inline]
    pub fn count<Node>(self, cx: &mut TaskContext) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: DeclaredValue<i64, Node> + Serde,
    {
        self.update::<Node, i64>(
            |_, _, count| Ok(Some(count.wrapping_sub(1))),
            |_, _, count| Ok(Some(count.unwrap_or_default().wrapping_add(1))),
            |count| Some(V::of(count)),
            cx,
        )
    }

    /// `KGroupedTable.reduce`: a group's first row is taken as it is.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn reduce<Node>(
        self,
        adder: impl FnOnce(V, V) -> V,
        subtractor: impl FnOnce(V, V) -> V,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: DeclaredValue<CV, Node> + Serde,
    {
        self.update::<Node, V>(
            |_, row, before| Ok(Some(subtractor(before, V::of(row)))),
            |_, row, before| {
                let row = V::of(row);
                Ok(Some(match before {
                    Some(before) => adder(before, row),
                    None => row,
                }))
            },
            Some,
            cx,
        )
    }

    /// [`reduce`](Self::reduce) with functions that may fail: then the group keeps its value, also if the old row was taken out.
    ///
    /// # Errors
    /// As [`reduce`](Self::reduce), and when one failed and the handler says to fail.
    #[inline]
    pub fn try_reduce<Node, R: AggregateOf<V>, S: AggregateOf<V>>(
        self,
        adder: impl FnOnce(V, V) -> R,
        subtractor: impl FnOnce(V, V) -> S,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: DeclaredValue<CV, Node> + Serde,
    {
        self.update::<Node, V>(
            |_, row, before| made_by(node, subtractor(before, V::of(row))).map(Some),
            |_, row, before| {
                let row = V::of(row);
                match before {
                    Some(before) => made_by(node, adder(before, row)).map(Some),
                    None => Ok(Some(row)),
                }
            },
            Some,
            cx,
        )
    }

    /// Takes the old row out, puts the new one in, stores and forwards the result. `A` is the aggregate; its timestamp is the
    /// later one of the old aggregate's and the record's. Where a function fails, nothing changes.
    #[inline]
    fn update<Node, A>(
        self,
        subtractor: impl FnOnce(&K, CV, A) -> Made<Option<A>>,
        adder: impl FnOnce(&K, CV, Option<A>) -> Made<Option<A>>,
        declared: impl FnOnce(A) -> Option<V>,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        A: Serde,
        V: Serde,
    {
        let Record {
            key,
            value: change,
            timestamp: record_timestamp,
            headers,
        } = self.record;
        let key = K::of(key);
        or_end!(self.store.set_key(&key, cx), cx);
        let (timestamp, before) = match or_end!(self.store.get::<A>(cx), cx) {
            Some((timestamp, before)) => (timestamp.max(record_timestamp), Some(before)),
            None => (record_timestamp, None),
        };
        let old = match &before {
            Some(before) if self.store.sends_old => or_end!(self.store.copy(before, cx), cx),
            _ => None,
        };
        let without = match (change.old, before) {
            (Some(row), Some(before)) => subtractor(&key, row, before),
            (_, before) => Ok(before),
        };
        let new = match (without, change.new) {
            (Ok(without), Some(row)) => adder(&key, row, without),
            (without, _) => without,
        };
        let new = match new {
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
        let new = new.and_then(declared).filter(|v| !v.is_null());
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

impl<CK, CV, K, A> Regrouped<CK, CV, K, Option<A>> {
    /// `KGroupedTable.aggregate` with functions that may return `None`: that deletes the group.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn aggregate<Node>(
        self,
        initializer: impl FnOnce() -> A,
        adder: impl FnOnce(&K, CV, A) -> Option<A>,
        subtractor: impl FnOnce(&K, CV, A) -> Option<A>,
        cx: &mut TaskContext,
    ) -> Updated<K, Option<A>>
    where
        K: DeclaredKey<CK, Node> + Serde,
        A: Serde,
    {
        self.update::<Node, A>(
            |key, row, before| Ok(subtractor(key, row, before)),
            |key, row, before| Ok(adder(key, row, before.unwrap_or_else(initializer))),
            |aggregate| Some(Some(aggregate)),
            cx,
        )
    }

    /// [`aggregate`](Self::aggregate) with functions that may fail: then the group keeps its value, also if the old row was taken
    /// out.
    ///
    /// # Errors
    /// As [`aggregate`](Self::aggregate), and when one failed and the handler says to fail.
    #[inline]
    pub fn try_aggregate<Node, R: AggregateOf<Option<A>>, S: AggregateOf<Option<A>>>(
        self,
        initializer: impl FnOnce() -> A,
        adder: impl FnOnce(&K, CV, A) -> R,
        subtractor: impl FnOnce(&K, CV, A) -> S,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> Updated<K, Option<A>>
    where
        K: DeclaredKey<CK, Node> + Serde,
        A: Serde,
    {
        self.update::<Node, A>(
            |key, row, before| made_by(node, subtractor(key, row, before)),
            |key, row, before| {
                let before = before.unwrap_or_else(initializer);
                made_by(node, adder(key, row, before))
            },
            |aggregate| Some(Some(aggregate)),
            cx,
        )
    }

    /// `KGroupedTable.reduce` with functions that may return `None`: that deletes the group.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn reduce_or_delete<Node>(
        self,
        adder: impl FnOnce(A, A) -> Option<A>,
        subtractor: impl FnOnce(A, A) -> Option<A>,
        cx: &mut TaskContext,
    ) -> Updated<K, Option<A>>
    where
        K: DeclaredKey<CK, Node> + Serde,
        A: DeclaredValue<CV, Node> + Serde,
    {
        self.update::<Node, A>(
            |_, row, before| Ok(subtractor(before, A::of(row))),
            |_, row, before| {
                let row = A::of(row);
                Ok(match before {
                    Some(before) => adder(before, row),
                    None => Some(row),
                })
            },
            |aggregate| Some(Some(aggregate)),
            cx,
        )
    }

    /// [`reduce_or_delete`](Self::reduce_or_delete) with functions that may fail: then the group keeps its value.
    ///
    /// # Errors
    /// As [`reduce_or_delete`](Self::reduce_or_delete), and when one failed and the handler says to fail.
    #[inline]
    pub fn try_reduce_or_delete<Node, R: AggregateOf<Option<A>>, S: AggregateOf<Option<A>>>(
        self,
        adder: impl FnOnce(A, A) -> R,
        subtractor: impl FnOnce(A, A) -> S,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> Updated<K, Option<A>>
    where
        K: DeclaredKey<CK, Node> + Serde,
        A: DeclaredValue<CV, Node> + Serde,
    {
        self.update::<Node, A>(
            |_, row, before| made_by(node, subtractor(before, A::of(row))),
            |_, row, before| {
                let row = A::of(row);
                match before {
                    Some(before) => made_by(node, adder(before, row)),
                    None => Ok(Some(row)),
                }
            },
            |aggregate| Some(Some(aggregate)),
            cx,
        )
    }
}

/// [`Regrouped::aggregate`] of tables whose values are not nullable.
pub trait AggregateRows<CK, CV, K, V> {
    /// `KGroupedTable.aggregate`.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    fn aggregate<Node>(
        self,
        initializer: impl FnOnce() -> V,
        adder: impl FnOnce(&K, CV, V) -> V,
        subtractor: impl FnOnce(&K, CV, V) -> V,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: Serde;

    /// The same with functions that may fail: then the group keeps its value, also if the old row was taken out.
    ///
    /// # Errors
    /// As [`aggregate`](Self::aggregate), and when one failed and the handler says to fail.
    fn try_aggregate<Node, R: AggregateOf<V>, S: AggregateOf<V>>(
        self,
        initializer: impl FnOnce() -> V,
        adder: impl FnOnce(&K, CV, V) -> R,
        subtractor: impl FnOnce(&K, CV, V) -> S,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: Serde;
}

impl<CK, CV, K, V> AggregateRows<CK, CV, K, V> for Regrouped<CK, CV, K, V> {
    #[inline]
    fn aggregate<Node>(
        self,
        initializer: impl FnOnce() -> V,
        adder: impl FnOnce(&K, CV, V) -> V,
        subtractor: impl FnOnce(&K, CV, V) -> V,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: Serde,
    {
        self.update::<Node, V>(
            |key, row, before| Ok(Some(subtractor(key, row, before))),
            |key, row, before| Ok(Some(adder(key, row, before.unwrap_or_else(initializer)))),
            Some,
            cx,
        )
    }

    #[inline]
    fn try_aggregate<Node, R: AggregateOf<V>, S: AggregateOf<V>>(
        self,
        initializer: impl FnOnce() -> V,
        adder: impl FnOnce(&K, CV, V) -> R,
        subtractor: impl FnOnce(&K, CV, V) -> S,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> Updated<K, V>
    where
        K: DeclaredKey<CK, Node> + Serde,
        V: Serde,
    {
        self.update::<Node, V>(
            |key, row, before| made_by(node, subtractor(key, row, before)).map(Some),
            |key, row, before| {
                let before = before.unwrap_or_else(initializer);
                made_by(node, adder(key, row, before)).map(Some)
            },
            Some,
            cx,
        )
    }
}
