//! Layer 4. The types of a topology's fields. In the running application a table's field answers queries.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeBounds;

use crate::query::{QueryError, QueryRegistry, Snapshot, StoreQuery};
use crate::record::{Timestamp, VersionedRecord};
use crate::serde::Serde;
use crate::windowed::{SessionWindow, TimeWindow, Windowed};

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

            /// The table as of the last commit of each partition that this instance has. Everything can be asked of it, with iterators
            /// that collect nothing; the other functions are short for one question to a snapshot of its own.
            ///
            /// # Errors
            /// When the application does not run, no partition is here, or the store cannot be read.
            pub fn snapshot(&self) -> Result<Snapshot<'_, K, V>, QueryError> {
                self.query.snapshot()
            }
        }

        impl<K: Serde, V: Serde> $name<K, V> {
            /// The value of a key as of the last commit.
            ///
            /// # Errors
            /// As [`snapshot`](Self::snapshot), and when the key's partition is on another instance.
            pub fn get(&self, key: &K) -> Result<Option<V>, QueryError> {
                self.snapshot()?.get(key)
            }

            /// The entries of a range of keys as of the last commit, in the order of the keys' bytes, collected. More than fits into
            /// memory is read from a [`snapshot`](Self::snapshot).
            ///
            /// # Errors
            /// As [`snapshot`](Self::snapshot), and when the table is kept by windows.
            pub fn range(&self, keys: impl RangeBounds<K>) -> Result<Vec<(K, V)>, QueryError> {
                self.snapshot()?.range(keys)?.collect()
            }

            /// All entries as of the last commit, in the order of the keys' bytes (of windows, in the order of the store), collected.
            /// More than fits into memory is read from a [`snapshot`](Self::snapshot).
            ///
            /// # Errors
            /// As [`snapshot`](Self::snapshot).
            pub fn all(&self) -> Result<Vec<(K, V)>, QueryError> {
                self.snapshot()?.all()?.collect()
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
        self.snapshot()?.get_as_of(key, time)
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
        self.snapshot()?.get_versions(key, times)
    }
}

/// Windows with their keys and values.
type Found<K, W, V> = Vec<(Windowed<K, W>, V)>;

/// What a table of tumbling, hopping, sliding or unlimited windows answers besides.
impl<K: Serde, V: Serde, const SIZE: i64> KTable<Windowed<K, TimeWindow<SIZE>>, V> {
    /// The value of a key in the window that starts then, as of the last commit.
    ///
    /// # Errors
    /// As [`get`](Self::get), and when the table's windows are keys of a key-value store.
    pub fn fetch_at(&self, key: &K, start: Timestamp) -> Result<Option<V>, QueryError> {
        self.snapshot()?.fetch_at(key, start)
    }

    /// The windows of a key that start in a range of times, the earliest first, as of the last commit, collected.
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn fetch(
        &self,
        key: &K,
        starts: impl RangeBounds<Timestamp>,
    ) -> Result<Found<K, TimeWindow<SIZE>, V>, QueryError> {
        self.snapshot()?.fetch(key, starts)?.collect()
    }
}

/// What a table of sessions answers besides.
impl<K: Serde, V: Serde> KTable<Windowed<K, SessionWindow>, V> {
    /// The value of exactly this session, as of the last commit.
    ///
    /// # Errors
    /// As [`get`](Self::get), and when the table's sessions are keys of a key-value store.
    pub fn fetch_session(
        &self,
        key: &K,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<Option<V>, QueryError> {
        self.snapshot()?.fetch_session(key, start, end)
    }

    /// All sessions of a key, the earliest first, as of the last commit, collected.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn fetch(&self, key: &K) -> Result<Found<K, SessionWindow, V>, QueryError> {
        self.snapshot()?.fetch(key)?.collect()
    }
}
