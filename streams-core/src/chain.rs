//! Layer 4. Receivers that generated code wraps a record in: the end of a chain against the declared types, and nulls.
//!
//! An inherent method of the `Option` instantiation wins over the trait's method of the same name, which serves all other
//! types; so one generated line fits nullable and plain types alike. It works only where the record's type is known, as it
//! is in generated code.

use crate::context::TaskContext;
use crate::obligations::{
    CogroupedKey, DeclaredKey, DeclaredValue, MergedKey, MergedValue, TellsApart,
};
use crate::record::{Change, Record};
use crate::serde::Serde;
use crate::windowed::WindowedKey;

/// The end of a stream's chain.
#[derive(Debug)]
pub struct Chain<K, V>(pub Record<K, V>);

impl<CK, CV> Chain<CK, CV> {
    /// The record with the node's declared types, which are those that the chain yields, or a message says what differs.
    #[inline(always)]
    pub fn declared<Node, K, V>(self) -> Record<K, V>
    where
        K: DeclaredKey<CK, Node>,
        V: DeclaredValue<CV, Node>,
    {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.0;
        Record {
            key: K::of(key),
            value: V::of(value),
            timestamp,
            headers,
        }
    }
}

impl<CK, CV> Chain<CK, CV> {
    /// The record with the types of the stream that it is merged with: `Other`'s, which has to be the same.
    #[inline(always)]
    pub fn merged<Node, Other, K, V>(self) -> Record<K, V>
    where
        K: MergedKey<CK, Node, Other>,
        V: MergedValue<CV, Node, Other>,
    {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.0;
        Record {
            key: K::of(key),
            value: V::of(value),
            timestamp,
            headers,
        }
    }
}

/// An input of a cogroup. Null keys were dropped before.
impl<CK, CV> Chain<CK, CV> {
    /// The record with the key of the aggregate, which has to be the same.
    #[inline(always)]
    pub fn cogrouped<Node, Other, K>(self) -> Record<K, CV>
    where
        K: CogroupedKey<CK, Node, Other>,
    {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.0;
        Record {
            key: K::of(key),
            value,
            timestamp,
            headers,
        }
    }
}

/// An input of a cogroup by windows. Null keys were dropped before.
impl<CK, CV> Chain<CK, CV> {
    /// The record with the key of the aggregate, which has to be the same, without its window.
    #[inline(always)]
    pub fn cogrouped_by_windows<Node, Other, K>(self) -> Record<K::Key, CV>
    where
        K: WindowedKey<Key: CogroupedKey<CK, Node, Other>>,
    {
        self.cogrouped::<Node, Other, K::Key>()
    }
}

/// The end of a table's chain, and a table on its way to a stream.
#[derive(Debug)]
pub struct TableChain<K, V>(pub Record<K, Change<V>>);

impl<CK, CV> TableChain<CK, CV> {
    /// The update with the node's declared types. A value that is null by its own type is no value.
    #[inline(always)]
    pub fn declared<Node, K, V>(self) -> Record<K, Change<V>>
    where
        K: DeclaredKey<CK, Node>,
        V: DeclaredValue<CV, Node> + Serde,
    {
        let Record {
            key,
            value:
                Change {
                    new,
                    old,
                    is_latest,
                },
            timestamp,
            headers,
        } = self.0;
        let value = Change {
            new: new.map(V::of).filter(|v| !v.is_null()),
            old: old.map(V::of).filter(|v| !v.is_null()),
            is_latest,
        };
        Record {
            key: K::of(key),
            value,
            timestamp,
            headers,
        }
    }
}

impl<K, V> TableChain<K, Option<V>> {
    /// As [`ops::to_stream`](crate::ops::to_stream); a nullable value does not become doubly nullable.
    #[inline(always)]
    pub fn to_stream(self) -> Record<K, Option<V>> {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.0;
        Record {
            key,
            value: value.new.flatten(),
            timestamp,
            headers,
        }
    }

    /// The update after a `map_values` that may yield null: a null value is no value for the operators after it.
    #[inline(always)]
    #[must_use]
    pub fn present(mut self) -> Record<K, Change<Option<V>>> {
        let Change { new, old, .. } = &mut self.0.value;
        new.take_if(|value| value.is_none());
        old.take_if(|value| value.is_none());
        self.0
    }

    /// As [`ops::to_stream_present`](crate::ops::to_stream_present), for nullable values: nothing is left out.
    #[inline(always)]
    pub fn to_stream_present(self) -> Option<Record<K, Option<V>>> {
        Some(self.to_stream())
    }
}

/// [`TableChain::to_stream`] of tables whose values are not nullable.
pub trait ToStream<K, V> {
    /// As [`ops::to_stream`](crate::ops::to_stream).
    fn to_stream(self) -> Record<K, Option<V>>;
    /// As [`ops::to_stream_present`](crate::ops::to_stream_present).
    fn to_stream_present(self) -> Option<Record<K, V>>;
    /// The update itself.
    fn present(self) -> Record<K, Change<V>>;
}

impl<K, V> ToStream<K, V> for TableChain<K, V> {
    #[inline(always)]
    fn to_stream(self) -> Record<K, Option<V>> {
        crate::ops::to_stream(self.0)
    }
    #[inline(always)]
    fn to_stream_present(self) -> Option<Record<K, V>> {
        crate::ops::to_stream_present(self.0)
    }
    #[inline(always)]
    fn present(self) -> Record<K, Change<V>> {
        self.0
    }
}

/// The end of a chain that updates a table (`to_table`): `None` deletes.
#[derive(Debug)]
pub struct Updates<K, V>(pub Record<K, Option<V>>);

impl<CK, CV> Updates<CK, CV> {
    /// The update with the declared types of the table.
    #[inline(always)]
    pub fn declared<Node, K, V>(self) -> Record<K, Option<V>>
    where
        K: DeclaredKey<CK, Node>,
        V: DeclaredValue<CV, Node>,
    {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.0;
        Record {
            key: K::of(key),
            value: value.map(V::of),
            timestamp,
            headers,
        }
    }
}

/// A record whose key may be null by its type.
#[derive(Debug)]
pub struct Keyed<K, V>(pub Record<K, V>);

impl<K, V> Keyed<Option<K>, V> {
    /// Leaves out records without a key, as before a repartition topic: not counted, as in Kafka Streams.
    #[inline(always)]
    pub fn not_null_key(self) -> Option<Record<K, V>> {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.0;
        key.map(|key| Record {
            key,
            value,
            timestamp,
            headers,
        })
    }

    /// Drops records without a key, and counts them (`dropped-records`).
    #[inline(always)]
    pub fn not_null_key_counted(self, cx: &mut TaskContext) -> Option<Record<K, V>> {
        let record = self.not_null_key();
        if record.is_none() {
            cx.drop_record("null key");
        }
        record
    }

    /// The record, whose key may be null.
    #[inline(always)]
    pub fn nullable_key(self) -> Record<Option<K>, V> {
        self.0
    }
}

/// Records without a key cannot be told apart: refused with [`TellsApart`]'s message, where Kafka Streams drops them all.
impl<V> Keyed<(), V> {
    /// Refused.
    #[inline(always)]
    pub fn not_null_key(self) -> Option<Record<(), V>>
    where
        (): TellsApart<V>,
    {
        Some(self.0)
    }

    /// Refused.
    #[inline(always)]
    pub fn not_null_key_counted(self, _: &mut TaskContext) -> Option<Record<(), V>>
    where
        (): TellsApart<V>,
    {
        Some(self.0)
    }

    /// Refused.
    #[inline(always)]
    pub fn nullable_key(self) -> Record<Option<()>, V>
    where
        (): TellsApart<V>,
    {
        self.0.nullable_key()
    }
}

/// [`Keyed`] of types that have no null.
pub trait NotNullKey<K, V> {
    /// The record itself.
    fn not_null_key(self) -> Option<Record<K, V>>;
    /// The record itself.
    fn not_null_key_counted(self, cx: &mut TaskContext) -> Option<Record<K, V>>;
    /// The record, with a key.
    fn nullable_key(self) -> Record<Option<K>, V>;
}

impl<K, V> NotNullKey<K, V> for Keyed<K, V> {
    #[inline(always)]
    fn not_null_key(self) -> Option<Record<K, V>> {
        Some(self.0)
    }
    #[inline(always)]
    fn not_null_key_counted(self, _: &mut TaskContext) -> Option<Record<K, V>> {
        Some(self.0)
    }
    #[inline(always)]
    fn nullable_key(self) -> Record<Option<K>, V> {
        self.0.nullable_key()
    }
}

/// A record whose value may be null by its type.
#[derive(Debug)]
pub struct Valued<K, V>(pub Record<K, V>);

impl<K, V> Valued<K, Option<V>> {
    /// Drops records without a value, and counts them (`dropped-records`).
    #[inline(always)]
    pub fn not_null_value_counted(self, cx: &mut TaskContext) -> Option<Record<K, V>> {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.0;
        match value {
            Some(value) => Some(Record {
                key,
                value,
                timestamp,
                headers,
            }),
            None => {
                cx.drop_record("null value");
                None
            }
        }
    }

    /// The value as a table's update: null deletes.
    #[inline(always)]
    pub fn nullable(self) -> Record<K, Option<V>> {
        self.0
    }
}

/// [`Valued`] of types that have no null.
pub trait NotNullValue<K, V> {
    /// The record itself.
    fn not_null_value_counted(self, cx: &mut TaskContext) -> Option<Record<K, V>>;
    /// The value as a table's update.
    fn nullable(self) -> Record<K, Option<V>>;
}

impl<K, V> NotNullValue<K, V> for Valued<K, V> {
    #[inline(always)]
    fn not_null_value_counted(self, _: &mut TaskContext) -> Option<Record<K, V>> {
        Some(self.0)
    }
    #[inline(always)]
    fn nullable(self) -> Record<K, Option<V>> {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.0;
        Record {
            key,
            value: Some(value),
            timestamp,
            headers,
        }
    }
}
