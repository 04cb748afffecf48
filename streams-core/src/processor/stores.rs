//! The typed stores of processors. A store is a handle: its bytes are in the task, which the context lends.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use super::{ProcessingError, ProcessingResult, ProcessorContext, unbound};
use crate::context::{Access, TaskContext, serialize};
use crate::error::{RecordPart, TaskError, TaskFailure, TaskResult};
use crate::query::{QueryRegistry, StoreQuery};
pub use crate::record::ValueAndTimestamp;
use crate::serde::{Serde, SerdeError};
use crate::store::Direction;
use crate::table::decode_timestamped;
use crate::topology::StoreKind;

/// Entries that a cursor reads at once.
const PAGE_ENTRIES: usize = 256;
/// Bytes of entries that a cursor reads at once; a larger entry comes alone.
const PAGE_BYTES: usize = 64 << 10;

/// Where a handle leads.
#[derive(Debug, Clone, Default)]
pub(super) enum Place {
    /// Nowhere yet.
    #[default]
    Unbound,
    /// To a task's store.
    Task(Access),
    /// To the stores of the running application, for queries.
    Query(Box<StoreQuery>),
}

impl Place {
    pub(super) fn access(&self) -> ProcessingResult<Access> {
        match self {
            Place::Task(access) => Ok(*access),
            Place::Unbound | Place::Query(_) => Err(unbound()),
        }
    }
}

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<K, V> {
            pub(super) at: Place,
            types: PhantomData<fn() -> (K, V)>,
        }

        impl<K, V> $name<K, V> {
            pub(super) const fn placed(at: Place) -> Self {
                $name { at, types: PhantomData }
            }

            /// A store that leads nowhere until it is bound, for generated code.
            #[doc(hidden)]
            #[must_use]
            pub const fn unbound() -> Self {
                Self::placed(Place::Unbound)
            }

            /// The store of that index in the task, for generated code.
            #[doc(hidden)]
            #[must_use]
            pub const fn local(index: usize) -> Self {
                Self::placed(Place::Task(Access::Local(index)))
            }

            /// The global store of that index, for generated code.
            #[doc(hidden)]
            #[must_use]
            pub const fn global(index: usize) -> Self {
                Self::placed(Place::Task(Access::Global(index)))
            }
        }

        impl<K, V> fmt::Debug for $name<K, V> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.at).finish()
            }
        }
    };
}

pub(super) use handle;

handle! {
    /// A key-value store: a field of a processor (its own with `#[store]`, or shared), or a field of a topology that processors
    /// share.
    ///
    /// In a processor every function takes the context, which lends the task's bytes: `self.counts.get(&record.key, cx)?`. The guide
    /// `docs/processors.md` has an example that runs.
    KeyValueStore
}
handle! {
    /// A key-value store that keeps a timestamp with each value, as the stores of tables do.
    TimestampedKeyValueStore
}
handle! {
    /// What a processor reads and does not write: a table's store, a global table's or global store's, or one that it shares.
    ReadOnlyKeyValueStore
}

impl<K, V> KeyValueStore<K, V> {
    /// The field of a topology, whose stores the running application can query; `store` counts in the topology's stores.
    #[doc(hidden)]
    #[must_use]
    pub fn of_node(node: &'static str, store: Option<usize>, registry: &QueryRegistry) -> Self {
        Self::placed(query_place(node, store, registry))
    }
}

impl<K, V> TimestampedKeyValueStore<K, V> {
    /// As [`KeyValueStore::of_node`].
    #[doc(hidden)]
    #[must_use]
    pub fn of_node(node: &'static str, store: Option<usize>, registry: &QueryRegistry) -> Self {
        Self::placed(query_place(node, store, registry))
    }
}

pub(super) fn query_place(
    node: &'static str,
    store: Option<usize>,
    registry: &QueryRegistry,
) -> Place {
    Place::Query(Box::new(StoreQuery {
        node,
        store,
        registry: registry.clone(),
    }))
}

macro_rules! queries {
    ($($name:ident: $key:ty;)*) => {$(
        impl<K, V> $name<K, V> {
            /// In the running application: the store as of the last commit, to be read by anybody. Elsewhere processors read it with
            /// their context.
            ///
            /// # Errors
            /// When the application does not run, no partition is here, or the store cannot be read.
            pub fn snapshot(&self) -> Result<crate::query::Snapshot<'_, $key, V>, crate::query::QueryError> {
                match &self.at {
                    super::stores::Place::Query(query) => query.snapshot(),
                    _ => Err(crate::query::QueryError::NotRunning { node: "store" }),
                }
            }
        }
    )*};
}
pub(super) use queries;
queries! {
    KeyValueStore: K;
    TimestampedKeyValueStore: K;
}

macro_rules! reads {
    ($name:ident, $read:ident, $out:ty) => {
        impl<K: Serde, V: Serde> $name<K, V> {
            /// The value of a key, as of the last put.
            ///
            /// # Errors
            /// When the store cannot be read, or holds what is none of its types.
            pub fn get(
                &self,
                key: &K,
                cx: &mut ProcessorContext<'_>,
            ) -> ProcessingResult<Option<$out>> {
                let at = self.at.access()?;
                Ok(get(at, key, $read, cx.task)?)
            }

            /// The entries of a range of keys, in the order of the keys' bytes; read page by page while the cursor goes on.
            ///
            /// # Errors
            /// When a bound has no bytes.
            pub fn range(&self, keys: impl RangeBounds<K>) -> ProcessingResult<Entries<K, $out>> {
                Entries::over(&self.at, keys, Direction::Forward, $read)
            }

            /// The entries of a range of keys, the last one first.
            ///
            /// # Errors
            /// When a bound has no bytes.
            pub fn reverse_range(
                &self,
                keys: impl RangeBounds<K>,
            ) -> ProcessingResult<Entries<K, $out>> {
                Entries::over(&self.at, keys, Direction::Backward, $read)
            }

            /// All entries, in the order of the keys' bytes.
            ///
            /// # Errors
            /// When the processor is run by nobody.
            pub fn all(&self) -> ProcessingResult<Entries<K, $out>> {
                self.range(..)
            }

            /// All entries, the last one first.
            ///
            /// # Errors
            /// When the processor is run by nobody.
            pub fn reverse_all(&self) -> ProcessingResult<Entries<K, $out>> {
                self.reverse_range(..)
            }

            /// The entries whose keys' bytes begin with those of `prefix`, in the order of the keys' bytes.
            ///
            /// # Errors
            /// When the prefix has no bytes.
            pub fn prefix_scan<S: Serde>(&self, prefix: &S) -> ProcessingResult<Entries<K, $out>> {
                let mut bytes = Vec::new();
                prefix.serialize(&mut bytes)?;
                let end = crate::lmdb::prefix_end(&bytes);
                let to = end.map_or(Bound::Unbounded, Bound::Excluded);
                let keys = (Bound::Included(bytes), to);
                Ok(Entries::new(
                    self.at.access()?,
                    keys,
                    Direction::Forward,
                    $read,
                ))
            }
        }
    };
}
reads!(KeyValueStore, read_value, V);
reads!(ReadOnlyKeyValueStore, read_value, V);
reads!(
    TimestampedKeyValueStore,
    read_timestamped,
    ValueAndTimestamp<V>
);

impl<K: Serde, V: Serde> ReadOnlyKeyValueStore<K, V> {
    /// The value of a key with its timestamp; -1 where the store keeps none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_with_timestamp(
        &self,
        key: &K,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<ValueAndTimestamp<V>>> {
        let at = self.at.access()?;
        Ok(get(at, key, read_timestamped, cx.task)?)
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn approximate_num_entries(&self, cx: &mut ProcessorContext<'_>) -> ProcessingResult<u64> {
        Ok(cx.task.access_count(self.at.access()?)?)
    }
}

impl<K: Serde, V: Serde> KeyValueStore<K, V> {
    /// Puts a value; one that is null by its type deletes the key.
    ///
    /// # Errors
    /// When the key is null or too long, or key or value have no bytes.
    pub fn put(&self, key: &K, value: &V, cx: &mut ProcessorContext<'_>) -> ProcessingResult {
        let at = local(&self.at)?;
        set_key(Access::Local(at), key, cx.task)?;
        put_plain(at, Some(value), cx)
    }

    /// Puts a value if the key has none. Tells the value that it has.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_if_absent(
        &self,
        key: &K,
        value: &V,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<V>> {
        let before = self.get(key, cx)?;
        if before.is_none() {
            self.put(key, value, cx)?;
        }
        Ok(before)
    }

    /// Puts several values.
    ///
    /// # Errors
    /// As [`put`](Self::put); those before are put.
    pub fn put_all(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult {
        entries
            .into_iter()
            .try_for_each(|(key, value)| self.put(&key, &value, cx))
    }

    /// Deletes a key. Tells the value that it had.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn delete(&self, key: &K, cx: &mut ProcessorContext<'_>) -> ProcessingResult<Option<V>> {
        let before = self.get(key, cx)?;
        put_plain::<V>(local(&self.at)?, None, cx)?;
        Ok(before)
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn approximate_num_entries(&self, cx: &mut ProcessorContext<'_>) -> ProcessingResult<u64> {
        Ok(cx.task.count_entries(local(&self.at)?)?)
    }
}

impl<K: Serde, V: Serde> TimestampedKeyValueStore<K, V> {
    /// Puts a value with its timestamp; one that is null by its type deletes the key.
    ///
    /// # Errors
    /// When the key is null or too long, or key or value have no bytes.
    pub fn put(
        &self,
        key: &K,
        value: &ValueAndTimestamp<V>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult {
        let at = local(&self.at)?;
        set_key(Access::Local(at), key, cx.task)?;
        put_timestamped(at, Some(value), cx)
    }

    /// Puts a value if the key has none. Tells what it has.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_if_absent(
        &self,
        key: &K,
        value: &ValueAndTimestamp<V>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<ValueAndTimestamp<V>>> {
        let before = self.get(key, cx)?;
        if before.is_none() {
            self.put(key, value, cx)?;
        }
        Ok(before)
    }

    /// Deletes a key. Tells what it had.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn delete(
        &self,
        key: &K,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<ValueAndTimestamp<V>>> {
        let before = self.get(key, cx)?;
        put_timestamped::<V>(local(&self.at)?, None, cx)?;
        Ok(before)
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn approximate_num_entries(&self, cx: &mut ProcessorContext<'_>) -> ProcessingResult<u64> {
        Ok(cx.task.count_entries(local(&self.at)?)?)
    }
}

/// The store's index, where it is one of the task's: only these are written.
pub(super) fn local(at: &Place) -> ProcessingResult<usize> {
    match at.access()? {
        Access::Local(index) => Ok(index),
        Access::Global(_) => Err(unbound()),
    }
}

/// Reads what a store of that kind holds under a key.
pub(super) type Read<T> = fn(&[u8], StoreKind) -> Result<T, SerdeError>;

/// The value alone.
fn read_value<V: Serde>(stored: &[u8], kind: StoreKind) -> Result<V, SerdeError> {
    match kind {
        StoreKind::TimestampedKeyValue => decode_timestamped(stored).map(|(_, value)| value),
        _ => V::deserialize(stored),
    }
}

/// The value with its timestamp.
fn read_timestamped<V: Serde>(
    stored: &[u8],
    kind: StoreKind,
) -> Result<ValueAndTimestamp<V>, SerdeError> {
    let (timestamp, value) = match kind {
        StoreKind::TimestampedKeyValue => decode_timestamped(stored)?,
        _ => (-1, V::deserialize(stored)?),
    };
    Ok(ValueAndTimestamp { value, timestamp })
}

/// Writes a key's bytes to `scratch.key`.
pub(super) fn set_key<K: Serde>(at: Access, key: &K, task: &mut TaskContext) -> TaskResult {
    task.scratch.key.clear();
    match serialize(key, &mut task.scratch.key) {
        Ok(false) => Ok(()),
        Ok(true) => {
            let null = SerdeError::Null {
                type_name: std::any::type_name::<K>(),
            };
            Err(unwritable(at, RecordPart::Key, null, task))
        }
        Err(reason) => Err(unwritable(at, RecordPart::Key, reason, task)),
    }
}

fn get<K: Serde, T>(
    at: Access,
    key: &K,
    read: Read<T>,
    task: &mut TaskContext,
) -> TaskResult<Option<T>> {
    set_key(at, key, task)?;
    let kind = task.access_kind(at);
    let read = match task.access_get(at)? {
        Some(stored) => read(stored, kind),
        None => return Ok(None),
    };
    read.map(Some).map_err(|reason| corrupt(at, reason, task))
}

/// Puts under `scratch.key`, with the timestamp of what is being processed in the changelog.
fn put_plain<V: Serde>(
    at: usize,
    value: Option<&V>,
    cx: &mut ProcessorContext<'_>,
) -> ProcessingResult {
    let out = &mut cx.task.scratch.value;
    out.clear();
    let deleted = match value.map_or(Ok(true), |value| serialize(value, out)) {
        Ok(null) => null,
        Err(reason) => {
            return Err(unwritable(Access::Local(at), RecordPart::Value, reason, cx.task).into());
        }
    };
    Ok(cx.task.put_logged(at, deleted, 0, cx.timestamp)?)
}

/// Puts under `scratch.key`, with the value's timestamp in the changelog; a tombstone has that of what is being processed.
fn put_timestamped<V: Serde>(
    at: usize,
    value: Option<&ValueAndTimestamp<V>>,
    cx: &mut ProcessorContext<'_>,
) -> ProcessingResult {
    let timestamp = value.map_or(cx.timestamp, |value| value.timestamp);
    let out = &mut cx.task.scratch.value;
    out.clear();
    out.extend_from_slice(&timestamp.to_be_bytes());
    let deleted = match value.map_or(Ok(true), |value| serialize(&value.value, out)) {
        Ok(null) => null,
        Err(reason) => {
            return Err(unwritable(Access::Local(at), RecordPart::Value, reason, cx.task).into());
        }
    };
    Ok(cx.task.put_logged(at, deleted, 8, timestamp)?)
}

#[cold]
pub(super) fn corrupt(at: Access, reason: SerdeError, task: &TaskContext) -> TaskError {
    TaskFailure::Store {
        store: task.access_name(at).to_owned(),
        reason: Box::new(reason),
    }
    .into()
}

#[cold]
pub(super) fn unwritable(
    at: Access,
    part: RecordPart,
    reason: SerdeError,
    task: &TaskContext,
) -> TaskError {
    TaskFailure::Serialization {
        destination: format!("store {}", task.access_name(at)),
        part,
        reason,
    }
    .into()
}

/// Goes through entries of a store, a page at a time. It borrows nothing, so records can be forwarded and the store be written
/// meanwhile: what is written behind the current page is seen.
pub struct Entries<K, T> {
    at: Access,
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    direction: Direction,
    read: Read<T>,
    page: VecDeque<(Vec<u8>, Vec<u8>)>,
    at_end: bool,
    keys: PhantomData<fn() -> K>,
}

impl<K, T> fmt::Debug for Entries<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries")
            .field("at", &self.at)
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

impl<K: Serde, T> Entries<K, T> {
    fn over(
        at: &Place,
        keys: impl RangeBounds<K>,
        direction: Direction,
        read: Read<T>,
    ) -> ProcessingResult<Self> {
        let bytes = |bound: Bound<&K>| -> Result<Bound<Vec<u8>>, SerdeError> {
            let mut out = Vec::new();
            Ok(match bound {
                Bound::Included(key) => {
                    key.serialize(&mut out)?;
                    Bound::Included(out)
                }
                Bound::Excluded(key) => {
                    key.serialize(&mut out)?;
                    Bound::Excluded(out)
                }
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        let keys = (bytes(keys.start_bound())?, bytes(keys.end_bound())?);
        Ok(Self::new(at.access()?, keys, direction, read))
    }

    fn new(
        at: Access,
        keys: (Bound<Vec<u8>>, Bound<Vec<u8>>),
        direction: Direction,
        read: Read<T>,
    ) -> Self {
        Entries {
            at,
            from: keys.0,
            to: keys.1,
            direction,
            read,
            page: VecDeque::new(),
            at_end: false,
            keys: PhantomData,
        }
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what is none of its types.
    pub fn next(&mut self, cx: &mut ProcessorContext<'_>) -> ProcessingResult<Option<(K, T)>> {
        if self.page.is_empty() && !self.at_end {
            self.turn(cx.task)?;
        }
        let Some((key, value)) = self.page.pop_front() else {
            return Ok(None);
        };
        let kind = cx.task.access_kind(self.at);
        let entry = K::deserialize(&key).and_then(|key| Ok((key, (self.read)(&value, kind)?)));
        let entry = entry.map_err(|reason| corrupt(self.at, reason, cx.task));
        entry.map(Some).map_err(ProcessingError::from)
    }

    /// All entries that are left.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn collect(mut self, cx: &mut ProcessorContext<'_>) -> ProcessingResult<Vec<(K, T)>> {
        let mut all = Vec::new();
        while let Some(entry) = self.next(cx)? {
            all.push(entry);
        }
        Ok(all)
    }

    /// Reads the next page, and remembers where it ends.
    fn turn(&mut self, task: &mut TaskContext) -> TaskResult {
        let (page, mut bytes) = (&mut self.page, 0);
        let mut full = false;
        task.access_range(
            self.at,
            self.from.as_ref().map(Vec::as_slice),
            self.to.as_ref().map(Vec::as_slice),
            self.direction,
            &mut |key, value| {
                bytes += key.len() + value.len();
                page.push_back((key.to_vec(), value.to_vec()));
                full = page.len() >= PAGE_ENTRIES || bytes >= PAGE_BYTES;
                !full
            },
        )?;
        self.at_end = !full;
        if let Some((last, _)) = page.back() {
            let beyond = Bound::Excluded(last.clone());
            match self.direction {
                Direction::Forward => self.from = beyond,
                Direction::Backward => self.to = beyond,
            }
        }
        Ok(())
    }
}
