//! Layer 4. The types of a topology's fields. In the running application a table's field answers queries.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use crate::query::{QueryError, QueryRegistry, StoreQuery};
use crate::record::{Timestamp, VersionedRecord};
use crate::serde::Serde;

/// A stream: an endless sequence of records, each a fact of its own.
pub struct KStream<K, V> {
    node: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> KStream<K, V> {
    /// The field of a node, for generated code.
    #[doc(hidden)]
    #[must_use]
    pub const fn of_node(node: &'static str) -> Self {
        KStream {
            node,
            types: PhantomData,
        }
    }
}

impl<K, V> fmt::Debug for KStream<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KStream").field(&self.node).finish()
    }
}

macro_rules! table {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<K, V> {
            query: StoreQuery,
            types: PhantomData<fn() -> (K, V)>,
        }

        impl<K, V> $name<K, V> {
            /// The field of a node, for generated code; `store` counts in the topology's stores.
            #[doc(hidden)]
            #[must_use]
            pub fn of_node(node: &'static str, store: Option<usize>, registry: &QueryRegistry) -> Self {
                $name { query: StoreQuery { node, store, registry: registry.clone() }, types: PhantomData }
            }
        }

        impl<K: Serde, V: Serde> $name<K, V> {
            /// The value of a key as of the last commit, if the key is in a partition that this instance has.
            ///
            /// # Errors
            /// When the application does not run, no partition is here, or the store cannot be read.
            pub fn get(&self, key: &K) -> Result<Option<V>, QueryError> {
                self.query.get(key)
            }

            /// The entries of a range of keys as of the last commit, in the order of the keys' bytes.
            ///
            /// # Errors
            /// As [`get`](Self::get).
            pub fn range(&self, keys: impl RangeBounds<K>) -> Result<Vec<(K, V)>, QueryError> {
                self.query.range(keys.start_bound(), keys.end_bound())
            }

            /// All entries as of the last commit, in the order of the keys' bytes.
            ///
            /// # Errors
            /// As [`get`](Self::get).
            pub fn all(&self) -> Result<Vec<(K, V)>, QueryError> {
                self.range(..)
            }
        }

        impl<K, V> fmt::Debug for $name<K, V> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.query.node).finish()
            }
        }
    };
}

table! {
    /// A table: the latest value of each key. In the running application it answers queries, if it has a store.
    KTable
}
table! {
    /// A table of which every instance holds all partitions; a stream joins it by any key.
    GlobalKTable
}

/// What a table with `#[store(versioned = "…")]` answers besides. Other tables answer with an error.
impl<K: Serde, V: Serde> KTable<K, V> {
    /// The value that a key had at a time, as of the last commit. Of times that are longer ago than the store keeps its history
    /// only a value is told that is still the latest.
    ///
    /// # Errors
    /// As [`get`](Self::get), and when the table is not versioned.
    pub fn get_as_of(
        &self,
        key: &K,
        time: Timestamp,
    ) -> Result<Option<VersionedRecord<V>>, QueryError> {
        self.query.as_of(key, time)
    }

    /// The values that a key had at any time of a range, the latest first, as of the last commit. What is longer ago than
    /// the store keeps its history may be there or not.
    ///
    /// # Errors
    /// As [`get_as_of`](Self::get_as_of).
    pub fn get_versions(
        &self,
        key: &K,
        times: impl RangeBounds<Timestamp>,
    ) -> Result<Vec<VersionedRecord<V>>, QueryError> {
        let from = match times.start_bound() {
            Bound::Included(time) => *time,
            Bound::Excluded(time) => time.saturating_add(1),
            Bound::Unbounded => Timestamp::MIN,
        };
        let to = match times.end_bound() {
            Bound::Included(time) => *time,
            Bound::Excluded(time) => time.saturating_sub(1),
            Bound::Unbounded => Timestamp::MAX,
        };
        self.query.versions(key, from, to)
    }
}
