//! Layer 7. The typed fields of a test driver: what the macro names after the topology's nodes.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

use super::TestDriver;
use crate::error::Result;
use crate::processor::Processor;
use crate::query::{QueryError, Snapshot};
use crate::record::{Header, Headers, Record, Timestamp};
use crate::serde::{Serde, SerdeError};
use crate::transport::ConsumedRecord;

/// A stream's source topic: what is sent here, the topology reads.
pub struct TestInput<K, V> {
    driver: TestDriver,
    topic: usize,
    types: PhantomData<fn(K, V)>,
}

/// A table's source topic and, where the table has one, its store.
pub struct TestInputTable<K, V> {
    driver: TestDriver,
    topic: usize,
    store: Option<usize>,
    types: PhantomData<fn(K, V)>,
}

/// The topic of a global store, and the store that the processor `P` keeps of it.
pub struct TestGlobalStore<P, K, V> {
    driver: TestDriver,
    topic: usize,
    store: Option<usize>,
    types: PhantomData<fn(P, K, V)>,
}

/// A stream that is written to topics.
pub struct TestOutput<K, V> {
    driver: TestDriver,
    topics: &'static [usize],
    cursors: Cursors,
    types: PhantomData<fn() -> (K, V)>,
}

/// A derived table: its store, and the topics that it is written to.
pub struct TestTable<K, V> {
    driver: TestDriver,
    store: Option<usize>,
    topics: &'static [usize],
    cursors: Cursors,
    types: PhantomData<fn() -> (K, V)>,
}

/// A store that processors share.
pub struct TestStore<K, V> {
    driver: TestDriver,
    store: Option<usize>,
    types: PhantomData<fn() -> (K, V)>,
}

/// How many records of each topic were read, so that two fields of one topic take nothing from each other.
type Cursors = RefCell<Vec<usize>>;

macro_rules! debug_by_topic {
    ($($name:ident)*) => {$(
        impl<K, V> fmt::Debug for $name<K, V> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}
debug_by_topic!(TestInput TestInputTable TestOutput TestStore TestTable);

impl<P, K, V> fmt::Debug for TestGlobalStore<P, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestGlobalStore").finish_non_exhaustive()
    }
}

impl<K: Serde, V: Serde> fmt::Debug for Sending<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl TestDriver {
    /// The field of a stream source. `topic` is an index into the topology's topics.
    #[must_use]
    pub fn input<K, V>(&self, topic: usize) -> TestInput<K, V> {
        TestInput {
            driver: self.clone(),
            topic,
            types: PhantomData,
        }
    }

    /// The field of a table or global table source. `store` is an index into the topology's stores.
    #[must_use]
    pub fn input_table<K, V>(&self, topic: usize, store: Option<usize>) -> TestInputTable<K, V> {
        TestInputTable {
            driver: self.clone(),
            topic,
            store,
            types: PhantomData,
        }
    }

    /// The field of a global store. `store` is an index into the topology's stores.
    #[must_use]
    pub fn global_store<P, K, V>(
        &self,
        topic: usize,
        store: Option<usize>,
    ) -> TestGlobalStore<P, K, V> {
        TestGlobalStore {
            driver: self.clone(),
            topic,
            store,
            types: PhantomData,
        }
    }

    /// The field of a stream that is written to these topics.
    #[must_use]
    pub fn output<K, V>(&self, topics: &'static [usize]) -> TestOutput<K, V> {
        TestOutput {
            driver: self.clone(),
            topics,
            cursors: Cursors::default(),
            types: PhantomData,
        }
    }

    /// The field of a store that processors share.
    #[must_use]
    pub fn store<K, V>(&self, store: Option<usize>) -> TestStore<K, V> {
        TestStore {
            driver: self.clone(),
            store,
            types: PhantomData,
        }
    }

    /// The field of a derived table.
    #[must_use]
    pub fn table<K, V>(&self, store: Option<usize>, topics: &'static [usize]) -> TestTable<K, V> {
        TestTable {
            driver: self.clone(),
            store,
            topics,
            cursors: Cursors::default(),
            types: PhantomData,
        }
    }
}

/// A record on its way into a topic. It is written when this is dropped, at the end of the statement, or by
/// [`pipe`](Self::pipe), which returns the error that dropping can only panic with.
pub struct Sending<'a, K: Serde, V: Serde> {
    driver: &'a TestDriver,
    topic: usize,
    record: Option<(K, Option<V>)>,
    timestamp: Option<Timestamp>,
    partition: Option<i32>,
    headers: Headers,
}

impl<K: Serde, V: Serde> Sending<'_, K, V> {
    /// The record's timestamp; otherwise it is the driver's wall clock.
    pub fn at(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Adds a header.
    pub fn header(mut self, key: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        let value = Some(bytes::Bytes::copy_from_slice(value.as_ref()));
        self.headers.push(Header {
            key: key.into(),
            value,
        });
        self
    }

    /// The partition; otherwise it is the key's, as Kafka's producers choose it.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Writes the record and lets the topology process it.
    ///
    /// # Errors
    /// When the record cannot be written, or a task fails.
    pub fn pipe(mut self) -> Result {
        self.write()
    }

    fn write(&mut self) -> Result {
        let Some((key, value)) = self.record.take() else {
            return Ok(());
        };
        let key = to_bytes(&key)?;
        let value = value.map_or(Ok(None), |v| to_bytes(&v))?;
        let headers = std::mem::take(&mut self.headers);
        self.driver.pipe_to(
            self.topic,
            self.partition,
            key.as_deref(),
            value.as_deref(),
            self.timestamp,
            headers,
        )
    }
}

impl<K: Serde, V: Serde> Drop for Sending<'_, K, V> {
    #[expect(
        clippy::panic,
        reason = "a test's statement has no other way to fail; `pipe` returns the error"
    )]
    fn drop(&mut self) {
        if let Err(e) = self.write()
            && !std::thread::panicking()
        {
            panic!("{e}");
        }
    }
}

impl<K: Serde, V: Serde> TestInput<K, V> {
    /// A record for the topic: `t.orders.send(id, order).at(1_000);`.
    ///
    /// # Panics
    /// When the record cannot be written, or a task fails: as it is dropped. [`Sending::pipe`] returns the error.
    pub fn send(&self, key: impl Into<K>, value: impl Into<V>) -> Sending<'_, K, V> {
        sending(&self.driver, self.topic, key.into(), Some(value.into()))
    }
}

macro_rules! snapshots {
    ($($name:ident)*) => {$(
        impl<K, V> $name<K, V> {
            /// What the store has now, committed or not, to be read as the running application's
            /// [`Snapshot`] is, by keys, times and versions. It is a copy: what comes later is not in it.
            ///
            /// # Errors
            /// When the field has no store, or its bytes cannot be read.
            pub fn snapshot(&self) -> Result<Snapshot<'_, K, V>, QueryError> {
                self.driver.snapshot(self.store)
            }
        }
    )*};
}
snapshots!(TestInputTable TestTable TestStore);

impl<P, K, V> TestGlobalStore<P, K, V> {
    /// As [`TestStore::snapshot`].
    ///
    /// # Errors
    /// When the store's bytes cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot<'_, K, V>, QueryError> {
        self.driver.snapshot(self.store)
    }
}

impl<K: Serde, V: Serde> TestInputTable<K, V> {
    /// A key's new value.
    ///
    /// # Panics
    /// When the record cannot be written, or a task fails: as it is dropped. [`Sending::pipe`] returns the error.
    pub fn send(&self, key: impl Into<K>, value: impl Into<V>) -> Sending<'_, K, V> {
        sending(&self.driver, self.topic, key.into(), Some(value.into()))
    }

    /// A tombstone: the key has no value any more.
    ///
    /// # Panics
    /// When the record cannot be written, or a task fails: as it is dropped. [`Sending::pipe`] returns the error.
    pub fn delete(&self, key: impl Into<K>) -> Sending<'_, K, V> {
        sending(&self.driver, self.topic, key.into(), None)
    }

    /// What the table has for a key, committed or not.
    ///
    /// # Errors
    /// When the table has no store, or its bytes cannot be read.
    pub fn get(&self, key: impl Into<K>) -> Result<Option<V>> {
        get(&self.driver, self.store, &key.into())
    }

    /// All the table has, committed or not, in the order of the keys' bytes; of windows, in the order of the store.
    ///
    /// # Errors
    /// When the table has no store, or its bytes cannot be read.
    pub fn all(&self) -> Result<Vec<(K, V)>> {
        all(&self.driver, self.store)
    }
}

impl<P, K, V> TestGlobalStore<P, K, V> {
    /// A record for the topic, of the types that the processor takes.
    ///
    /// # Panics
    /// When the record cannot be written, or a task fails: as it is dropped. [`Sending::pipe`] returns the error.
    pub fn send<TK: Serde, TV: Serde>(
        &self,
        key: impl Into<TK>,
        value: impl Into<TV>,
    ) -> Sending<'_, TK, TV>
    where
        P: Processor<TK, TV>,
    {
        sending(&self.driver, self.topic, key.into(), Some(value.into()))
    }

    /// A record without a value.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    pub fn delete<TK: Serde, TV: Serde>(&self, key: impl Into<TK>) -> Sending<'_, TK, TV>
    where
        P: Processor<TK, TV>,
    {
        sending(&self.driver, self.topic, key.into(), None)
    }
}

impl<P, K: Serde, V: Serde> TestGlobalStore<P, K, V> {
    /// What the store has for a key; of a versioned one the latest value. For the rest there is a
    /// [`snapshot`](Self::snapshot).
    ///
    /// # Errors
    /// When the store's bytes cannot be read.
    pub fn get(&self, key: impl Into<K>) -> Result<Option<V>> {
        get(&self.driver, self.store, &key.into())
    }

    /// All the store has, in the order of the keys' bytes.
    ///
    /// # Errors
    /// When the store's bytes cannot be read.
    pub fn all(&self) -> Result<Vec<(K, V)>> {
        all(&self.driver, self.store)
    }
}

impl<K: Serde, V: Serde> TestOutput<K, V> {
    /// The records that were written since the last call.
    ///
    /// # Panics
    /// When they cannot be read; [`try_read`](Self::try_read) returns the error.
    pub fn read(&self) -> Vec<Record<K, V>> {
        expect(self.try_read())
    }

    /// The next record that was written, if there is one.
    ///
    /// # Panics
    /// As [`read`](Self::read).
    pub fn read_one(&self) -> Option<Record<K, V>> {
        expect(
            take(&self.driver, self.topics, &self.cursors, 1).map(|list| list.into_iter().next()),
        )
    }

    /// The records that were written since the last call.
    ///
    /// # Errors
    /// When the topic cannot be read or its bytes are no records of these types.
    pub fn try_read(&self) -> Result<Vec<Record<K, V>>> {
        take(&self.driver, self.topics, &self.cursors, usize::MAX)
    }
}

impl<K: Serde, V: Serde> TestTable<K, V> {
    /// What the table has for a key, committed or not.
    ///
    /// # Errors
    /// When the table has no store, or its bytes cannot be read.
    pub fn get(&self, key: impl Into<K>) -> Result<Option<V>> {
        get(&self.driver, self.store, &key.into())
    }

    /// All the table has, committed or not, in the order of the keys' bytes; of windows, in the order of the store.
    ///
    /// # Errors
    /// When the table has no store, or its bytes cannot be read.
    pub fn all(&self) -> Result<Vec<(K, V)>> {
        all(&self.driver, self.store)
    }

    /// The updates that were written to the table's sinks since the last call; `None` is a tombstone. Panics where they
    /// cannot be read; see [`try_read`](Self::try_read).
    pub fn read(&self) -> Vec<Record<K, Option<V>>> {
        expect(self.try_read())
    }

    /// The next update that was written, if there is one.
    pub fn read_one(&self) -> Option<Record<K, Option<V>>> {
        expect(
            take(&self.driver, self.topics, &self.cursors, 1).map(|list| list.into_iter().next()),
        )
    }

    /// The updates that were written to the table's sinks since the last call.
    ///
    /// # Errors
    /// When the topic cannot be read or its bytes are no records of these types.
    pub fn try_read(&self) -> Result<Vec<Record<K, Option<V>>>> {
        take(&self.driver, self.topics, &self.cursors, usize::MAX)
    }
}

fn sending<K: Serde, V: Serde>(
    driver: &TestDriver,
    topic: usize,
    key: K,
    value: Option<V>,
) -> Sending<'_, K, V> {
    let record = Some((key, value));
    Sending {
        driver,
        topic,
        record,
        timestamp: None,
        partition: None,
        headers: Headers::new(),
    }
}

#[expect(
    clippy::panic,
    reason = "a test has no other way to fail; `try_read` returns the error"
)]
fn expect<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|e| panic!("{e}"))
}

fn take<K: Serde, V: Serde>(
    driver: &TestDriver,
    topics: &[usize],
    cursors: &Cursors,
    mut limit: usize,
) -> Result<Vec<Record<K, V>>> {
    let mut cursors = cursors.borrow_mut();
    cursors.resize(topics.len(), 0);
    let mut all = Vec::new();
    for (topic, cursor) in topics.iter().zip(cursors.iter_mut()) {
        for record in driver.records(*topic, *cursor, limit)? {
            *cursor += 1;
            limit -= 1;
            all.push(typed(&record)?);
        }
    }
    Ok(all)
}

fn typed<K: Serde, V: Serde>(record: &ConsumedRecord) -> Result<Record<K, V>, SerdeError> {
    Ok(Record {
        key: K::deserialize_nullable(record.key.as_deref())?,
        value: V::deserialize_nullable(record.value.as_deref())?,
        timestamp: record.timestamp,
        headers: record.headers.clone(),
    })
}

fn to_bytes<T: Serde>(value: &T) -> Result<Option<Vec<u8>>, SerdeError> {
    if value.is_null() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    value.serialize(&mut bytes)?;
    Ok(Some(bytes))
}

fn get<K: Serde, V: Serde>(
    driver: &TestDriver,
    store: Option<usize>,
    key: &K,
) -> Result<Option<V>> {
    let mut bytes = Vec::new();
    key.serialize(&mut bytes)?;
    let found = driver.store_get(store, &bytes)?;
    Ok(found
        .map(|entry| V::deserialize(&entry.value))
        .transpose()?)
}

fn all<K: Serde, V: Serde>(driver: &TestDriver, store: Option<usize>) -> Result<Vec<(K, V)>> {
    let snapshot = driver.snapshot(store)?;
    Ok(snapshot.all()?.collect::<Result<_, QueryError>>()?)
}
