//! A store as of one moment, typed: what the running application, the test driver and `query` read.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use super::merge::Merged;
use super::{ByteSnapshot, Keys, QueryError, ReadError, SEGMENT, Scan};
use crate::lmdb::prefix_end;
use crate::partitioner::partition_for_key;
use crate::record::{Timestamp, Validity, ValueAndTimestamp, VersionedRecord};
use crate::serde::{Serde, SerdeError};
use crate::topology::StoreKind;
use crate::windowed::{SessionWindow, TimeWindow, Windowed};

/// The partitions of a store that are here, as bytes, each as of its last commit.
pub struct Partitions {
    node: &'static str,
    here: Vec<(i32, Box<dyn ByteSnapshot>)>,
    /// How many there are, here and elsewhere; `None` where all are here.
    count: Option<u32>,
}

impl fmt::Debug for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let here: Vec<i32> = self.here.iter().map(|(partition, _)| *partition).collect();
        f.debug_struct("Partitions")
            .field("node", &self.node)
            .field("here", &here)
            .finish()
    }
}

/// Entries of a store as bytes, in the store's order.
pub type RawEntries<'s> = Merged<'s>;

impl Partitions {
    /// Snapshots by partition, of `count` partitions altogether; `None` if these are all.
    #[must_use]
    pub fn new(
        node: &'static str,
        here: Vec<(i32, Box<dyn ByteSnapshot>)>,
        count: Option<u32>,
    ) -> Self {
        Partitions { node, here, count }
    }

    /// What kind of store it is.
    fn kind(&self) -> StoreKind {
        let first = self.here.first();
        first.map_or(StoreKind::KeyValue, |(_, snapshot)| snapshot.kind())
    }

    /// The value of a key; of a window or session store by its store key. `owner` are the bytes that decide the partition.
    ///
    /// # Errors
    /// When the store cannot be read, or the key's partition is not here.
    pub fn get(&self, key: &[u8], owner: &[u8]) -> Result<Option<&[u8]>, QueryError> {
        self.find(owner, |snapshot| snapshot.get(key))
    }

    /// The entries between two keys.
    ///
    /// # Errors
    /// When the store cannot be read, or is kept by windows.
    pub fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<RawEntries<'_>, QueryError> {
        if self.kind().retention_ms().is_some() {
            return Err(QueryError::Windowed { node: self.node });
        }
        self.merged(|snapshot| snapshot.range(from, to))
    }

    /// Windows or sessions, by local keys: the segment in [`SEGMENT`] bytes, and the store key.
    ///
    /// # Errors
    /// When the store cannot be read, or is not kept by windows, or the partition of the one key that is asked for is not here.
    pub fn scan(&self, scan: &Scan<'_>) -> Result<RawEntries<'_>, QueryError> {
        if self.kind().retention_ms().is_none() {
            return Err(QueryError::NotWindowed { node: self.node });
        }
        let mut found = self.merged(|snapshot| snapshot.scan(scan))?;
        if let Keys::One(key) = scan.keys
            && found.is_empty()
        {
            self.is_here(key)?;
        }
        Ok(found)
    }

    /// All entries: in the order of the keys' bytes, or of segments and local keys.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn all(&self) -> Result<RawEntries<'_>, QueryError> {
        match self.kind().retention_ms() {
            None => self.range(Bound::Unbounded, Bound::Unbounded),
            Some(_) => self.scan(&Scan::between(Keys::All, 0, Timestamp::MAX)),
        }
    }

    /// Appends the value that a key had at a time to `value`.
    ///
    /// # Errors
    /// As [`get`](Self::get), and when the store is not versioned.
    pub fn as_of(
        &self,
        key: &[u8],
        owner: &[u8],
        time: Timestamp,
        value: &mut Vec<u8>,
    ) -> Result<Option<Validity>, QueryError> {
        self.find(owner, |snapshot| snapshot.as_of(key, time, value))
    }

    /// How many entries there are; of window and session stores with those that have expired and are not deleted yet.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn count(&self) -> Result<u64, QueryError> {
        let each = self.here.iter().map(|(_, snapshot)| snapshot.count());
        each.sum::<Result<u64, ReadError>>()
            .map_err(|reason| self.unreadable(reason))
    }

    /// Looks in the key's partition first. Who wrote the topic may have had a partitioner of his own, so that the key is in another.
    fn find<'s, T>(
        &'s self,
        owner: &[u8],
        mut look: impl FnMut(&'s dyn ByteSnapshot) -> Result<Option<T>, ReadError>,
    ) -> Result<Option<T>, QueryError> {
        let first = self.count.map(|count| partition_for_key(owner, count));
        let is_first = |partition: &i32| first == Some(*partition);
        let by_partition = self.here.iter().filter(|(p, _)| is_first(p));
        let others = self.here.iter().filter(|(p, _)| !is_first(p));
        for (_, snapshot) in by_partition.chain(others) {
            if let Some(found) = look(&**snapshot).map_err(|reason| self.unreadable(reason))? {
                return Ok(Some(found));
            }
        }
        self.is_here(owner).map(|()| None)
    }

    /// Whether a key that was not found would be here.
    fn is_here(&self, owner: &[u8]) -> Result<(), QueryError> {
        let Some(count) = self.count else {
            return Ok(());
        };
        let partition = partition_for_key(owner, count);
        if self.here.iter().any(|(here, _)| *here == partition) {
            Ok(())
        } else {
            let node = self.node;
            Err(QueryError::KeyNotHere { node, partition })
        }
    }

    fn merged<'s>(
        &'s self,
        mut read: impl FnMut(&'s dyn ByteSnapshot) -> Result<super::ByteEntries<'s>, ReadError>,
    ) -> Result<RawEntries<'s>, QueryError> {
        let parts = self.here.iter().map(|(_, snapshot)| read(&**snapshot));
        let parts: Result<Vec<_>, ReadError> = parts.collect();
        Ok(Merged::new(parts.map_err(|e| self.unreadable(e))?))
    }

    fn unreadable(&self, reason: ReadError) -> QueryError {
        let node = self.node;
        QueryError::Store { node, reason }
    }

    fn malformed(&self, reason: SerdeError) -> QueryError {
        let node = self.node;
        QueryError::Serde { node, reason }
    }

    fn bytes<T: Serde>(&self, value: &T) -> Result<Vec<u8>, QueryError> {
        let mut bytes = Vec::new();
        match value.serialize(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(reason) => Err(self.malformed(reason)),
        }
    }

    fn bounds<T: Serde>(&self, keys: &impl RangeBounds<T>) -> Result<Bounds, QueryError> {
        let bytes = |bound: Bound<&T>| {
            Ok::<_, QueryError>(match bound {
                Bound::Included(key) => Bound::Included(self.bytes(key)?),
                Bound::Excluded(key) => Bound::Excluded(self.bytes(key)?),
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        Ok((bytes(keys.start_bound())?, bytes(keys.end_bound())?))
    }
}

type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

fn borrowed(bounds: &Bounds) -> (Bound<&[u8]>, Bound<&[u8]>) {
    let (from, to) = bounds;
    (
        from.as_ref().map(Vec::as_slice),
        to.as_ref().map(Vec::as_slice),
    )
}

/// What a store holds, as of one moment: in the running application as of the last commit of each of its partitions that is here, in
/// the test driver as of now. A value that a table's `snapshot` gives; reads of it belong together.
///
/// Iterators borrow it, and it borrows the field, so the compiler sees that neither is kept for longer than it can be. Nothing is
/// collected: entries are read from the store, one by one, as the iterator goes on. Each iterator goes both ways; `rev()` is what
/// Kafka Streams' `reverse…` and `backward…` are.
///
/// While a snapshot lives, LMDB keeps the pages that it sees, the state's files grow, and a task that is to be closed waits for it (up
/// to half a minute). So take one for a batch of reads, and drop it. The guide `docs/queries.md` has an example that runs.
pub struct Snapshot<'a, K, V> {
    partitions: Partitions,
    field: PhantomData<&'a ()>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> fmt::Debug for Snapshot<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Snapshot").field(&self.partitions).finish()
    }
}

impl<K, V> Snapshot<'_, K, V> {
    pub(crate) fn of(partitions: Partitions) -> Self {
        Snapshot {
            partitions,
            field: PhantomData,
            types: PhantomData,
        }
    }

    /// The partitions that it sees, which this instance has.
    pub fn partitions(&self) -> impl Iterator<Item = i32> {
        self.partitions.here.iter().map(|(partition, _)| *partition)
    }

    /// About how many entries there are; of window and session stores with those that have expired and are not deleted yet.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn approximate_num_entries(&self) -> Result<u64, QueryError> {
        self.partitions.count()
    }

    fn entries<'s>(&'s self, merged: RawEntries<'s>) -> SnapshotEntries<'s, K, V> {
        SnapshotEntries {
            merged,
            kind: self.partitions.kind(),
            node: self.partitions.node,
            types: PhantomData,
        }
    }
}

impl<K: Serde, V: Serde> Snapshot<'_, K, V> {
    /// The value of a key.
    ///
    /// # Errors
    /// When the store cannot be read or holds what is none of its types, or the key's partition is not here.
    pub fn get(&self, key: &K) -> Result<Option<V>, QueryError> {
        Ok(self.get_with_timestamp(key)?.map(|found| found.value))
    }

    /// The value of a key with its timestamp; -1 where the store keeps none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_with_timestamp(&self, key: &K) -> Result<Option<ValueAndTimestamp<V>>, QueryError> {
        let mut bytes = self.partitions.bytes(key)?;
        let owner = K::partition_bytes(&bytes).len();
        let kind = self.partitions.kind();
        if matches!(
            kind,
            StoreKind::Window { .. } | StoreKind::TimestampedWindow { .. }
        ) {
            bytes.extend_from_slice(&[0; 4]);
        }
        let owner = bytes.get(..owner).unwrap_or_default();
        let found = self.partitions.get(&bytes, owner)?;
        found.map(|stored| self.value(stored)).transpose()
    }

    /// The entries of a range of keys, in the order of the keys' bytes.
    ///
    /// # Errors
    /// When the store cannot be read, or is kept by windows.
    pub fn range(
        &self,
        keys: impl RangeBounds<K>,
    ) -> Result<SnapshotEntries<'_, K, V>, QueryError> {
        let bounds = self.partitions.bounds(&keys)?;
        let (from, to) = borrowed(&bounds);
        Ok(self.entries(self.partitions.range(from, to)?))
    }

    /// The entries whose keys' bytes begin with those of `prefix` (Kafka Streams' `prefixScan`), in the order of the keys' bytes. The
    /// prefix may be of another type: of `String` keys a `String`, of keys with several parts the first of them.
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn prefix<P: Serde>(&self, prefix: &P) -> Result<SnapshotEntries<'_, K, V>, QueryError> {
        let prefix = self.partitions.bytes(prefix)?;
        let end = prefix_end(&prefix);
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self.entries(self.partitions.range(Bound::Included(&prefix), to)?))
    }

    /// All entries: in the order of the keys' bytes; of window and session stores those that have not expired, in the order of the
    /// store (segments of time, keys, times).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn all(&self) -> Result<SnapshotEntries<'_, K, V>, QueryError> {
        Ok(self.entries(self.partitions.all()?))
    }

    /// The value that a key had at a time, of a versioned table. Of times that are longer ago than the store keeps its history only a
    /// value is told that is still the latest.
    ///
    /// # Errors
    /// As [`get`](Self::get), and when the table is not versioned.
    pub fn get_as_of(
        &self,
        key: &K,
        time: Timestamp,
    ) -> Result<Option<VersionedRecord<V>>, QueryError> {
        let bytes = self.partitions.bytes(key)?;
        let owner = K::partition_bytes(&bytes);
        let mut value = Vec::new();
        let found = self.partitions.as_of(&bytes, owner, time, &mut value)?;
        found
            .map(|validity| self.version(validity, &value))
            .transpose()
    }

    /// The values that a key had at any time of a range, the latest first, of a versioned table. What is longer ago than the store keeps
    /// its history may be there or not. They are one key's, and collected.
    ///
    /// # Errors
    /// As [`get_as_of`](Self::get_as_of).
    pub fn get_versions(
        &self,
        key: &K,
        times: impl RangeBounds<Timestamp>,
    ) -> Result<Vec<VersionedRecord<V>>, QueryError> {
        let partitions = &self.partitions;
        let bytes = partitions.bytes(key)?;
        let (from, to) = between(&times);
        let mut all: Vec<(Validity, Vec<u8>)> = Vec::new();
        partitions.find(K::partition_bytes(&bytes), |snapshot| {
            snapshot.versions(&bytes, from, to, &mut |validity, value| {
                all.push((validity, value.to_vec()));
            })?;
            Ok((!all.is_empty()).then_some(()))
        })?;
        all.iter()
            .map(|(validity, value)| self.version(*validity, value))
            .collect()
    }

    fn version(&self, validity: Validity, value: &[u8]) -> Result<VersionedRecord<V>, QueryError> {
        let value = V::deserialize(value);
        Ok(VersionedRecord {
            value: value.map_err(|reason| self.partitions.malformed(reason))?,
            valid_from: validity.from,
            valid_to: validity.to,
        })
    }

    fn value(&self, stored: &[u8]) -> Result<ValueAndTimestamp<V>, QueryError> {
        let (timestamp, value) =
            split(self.partitions.kind(), stored).map_err(|e| self.partitions.malformed(e))?;
        let value = V::deserialize(value).map_err(|e| self.partitions.malformed(e))?;
        Ok(ValueAndTimestamp { value, timestamp })
    }
}

impl<K: Serde, V: Serde, const SIZE: i64> Snapshot<'_, Windowed<K, TimeWindow<SIZE>>, V> {
    /// The value of a key in the window that starts then.
    ///
    /// # Errors
    /// When the store cannot be read or holds what is none of its types, the key's partition is not here, or the table's windows are
    /// keys of a key-value store.
    pub fn fetch_at(&self, key: &K, start: Timestamp) -> Result<Option<V>, QueryError> {
        let mut found = self.fetch(key, start..=start)?;
        Ok(found.next().transpose()?.map(|(_, value)| value))
    }

    /// The windows of a key that start in a range of times, the earliest first.
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn fetch(
        &self,
        key: &K,
        starts: impl RangeBounds<Timestamp>,
    ) -> Result<SnapshotEntries<'_, Windowed<K, TimeWindow<SIZE>>, V>, QueryError> {
        let key = self.partitions.bytes(key)?;
        let (from, to) = between(&starts);
        self.scan(&Scan::between(Keys::One(&key), from, to))
    }

    /// The windows of a range of keys that start in a range of times: Kafka Streams' `fetch` of two keys. In the order of the store:
    /// segments of time, keys, starts.
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn fetch_range(
        &self,
        keys: impl RangeBounds<K>,
        starts: impl RangeBounds<Timestamp>,
    ) -> Result<SnapshotEntries<'_, Windowed<K, TimeWindow<SIZE>>, V>, QueryError> {
        let bounds = self.partitions.bounds(&keys)?;
        let (from, to) = between(&starts);
        self.scan(&Scan::between(keys_between(&bounds), from, to))
    }

    /// The windows of all keys that start in a range of times, in the order of the store.
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn fetch_all(
        &self,
        starts: impl RangeBounds<Timestamp>,
    ) -> Result<SnapshotEntries<'_, Windowed<K, TimeWindow<SIZE>>, V>, QueryError> {
        let (from, to) = between(&starts);
        self.scan(&Scan::between(Keys::All, from, to))
    }

    fn scan(
        &self,
        scan: &Scan<'_>,
    ) -> Result<SnapshotEntries<'_, Windowed<K, TimeWindow<SIZE>>, V>, QueryError> {
        Ok(self.entries(self.partitions.scan(scan)?))
    }
}

/// Sessions, with their keys and values.
type Sessions<'s, K, V> = SnapshotEntries<'s, Windowed<K, SessionWindow>, V>;

impl<K: Serde, V: Serde> Snapshot<'_, Windowed<K, SessionWindow>, V> {
    /// The value of exactly this session.
    ///
    /// # Errors
    /// When the store cannot be read or holds what is none of its types, the key's partition is not here, or the table's sessions are
    /// keys of a key-value store.
    pub fn fetch_session(
        &self,
        key: &K,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<Option<V>, QueryError> {
        let key = self.partitions.bytes(key)?;
        for found in self.scan(&Scan::between(Keys::One(&key), end, end))? {
            let (session, value) = found?;
            if session.start() == start {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// All sessions of a key, the earliest first.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn fetch(&self, key: &K) -> Result<Sessions<'_, K, V>, QueryError> {
        self.find_sessions(key, 0, Timestamp::MAX)
    }

    /// All sessions of a range of keys, in the order of the store: segments of time, keys, ends, starts.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn fetch_range(&self, keys: impl RangeBounds<K>) -> Result<Sessions<'_, K, V>, QueryError> {
        self.find_sessions_of(keys, 0, Timestamp::MAX)
    }

    /// The sessions of a key that end at `earliest_end` or later and start at `latest_start` or earlier: with a time in both places,
    /// those that the time belongs to.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn find_sessions(
        &self,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
    ) -> Result<Sessions<'_, K, V>, QueryError> {
        let key = self.partitions.bytes(key)?;
        self.scan(&Scan::sessions(Keys::One(&key), earliest_end, latest_start))
    }

    /// As [`find_sessions`](Self::find_sessions), of a range of keys (`..` for all), in the order of the store.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn find_sessions_of(
        &self,
        keys: impl RangeBounds<K>,
        earliest_end: Timestamp,
        latest_start: Timestamp,
    ) -> Result<Sessions<'_, K, V>, QueryError> {
        let bounds = self.partitions.bounds(&keys)?;
        let keys = keys_between(&bounds);
        self.scan(&Scan::sessions(keys, earliest_end, latest_start))
    }

    fn scan(&self, scan: &Scan<'_>) -> Result<Sessions<'_, K, V>, QueryError> {
        Ok(self.entries(self.partitions.scan(scan)?))
    }
}

fn keys_between(bounds: &Bounds) -> Keys<'_> {
    match borrowed(bounds) {
        (Bound::Unbounded, Bound::Unbounded) => Keys::All,
        (from, to) => Keys::Range(from, to),
    }
}

/// Times from a range: both bounds included.
pub(crate) fn between(times: &impl RangeBounds<Timestamp>) -> (Timestamp, Timestamp) {
    let from = match times.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(from) => from.saturating_add(1),
        Bound::Unbounded => Timestamp::MIN,
    };
    let to = match times.end_bound() {
        Bound::Included(to) => *to,
        Bound::Excluded(to) => to.saturating_sub(1),
        Bound::Unbounded => Timestamp::MAX,
    };
    (from, to)
}

/// Entries of a [`Snapshot`], from both ends, each read when the iterator comes to it. An entry that cannot be read is an error, and
/// the next one comes after it.
pub struct SnapshotEntries<'s, K, V> {
    merged: RawEntries<'s>,
    kind: StoreKind,
    node: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> fmt::Debug for SnapshotEntries<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotEntries")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

type Read<K, V> = Result<(K, ValueAndTimestamp<V>), QueryError>;

impl<'s, K: Serde, V: Serde> SnapshotEntries<'s, K, V> {
    /// The same, with the timestamps that the store keeps with its values; -1 where it keeps none.
    pub fn with_timestamps(self) -> impl DoubleEndedIterator<Item = Read<K, V>> + use<'s, K, V> {
        let SnapshotEntries {
            merged, kind, node, ..
        } = self;
        merged.map(move |entry| read(node, kind, entry))
    }
}

fn without_timestamp<K, V>(entry: Read<K, V>) -> Result<(K, V), QueryError> {
    entry.map(|(key, stored)| (key, stored.value))
}

impl<K: Serde, V: Serde> Iterator for SnapshotEntries<'_, K, V> {
    type Item = Result<(K, V), QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.merged.next()?;
        Some(without_timestamp(read(self.node, self.kind, entry)))
    }
}

impl<K: Serde, V: Serde> DoubleEndedIterator for SnapshotEntries<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let entry = self.merged.next_back()?;
        Some(without_timestamp(read(self.node, self.kind, entry)))
    }
}

fn read<K: Serde, V: Serde>(
    node: &'static str,
    kind: StoreKind,
    entry: super::ByteEntry<'_>,
) -> Read<K, V> {
    let (key, stored) = entry.map_err(|reason| QueryError::Store { node, reason })?;
    let typed = || {
        let key = K::deserialize(topic_key(kind, key))?.of_window_size(kind.size_ms());
        let (timestamp, value) = split(kind, stored)?;
        let value = V::deserialize(value)?;
        Ok((key, ValueAndTimestamp { value, timestamp }))
    };
    typed().map_err(|reason| QueryError::Serde { node, reason })
}

/// The key of an entry as topics have it, and the key's type reads it.
#[must_use]
pub fn topic_key(kind: StoreKind, key: &[u8]) -> &[u8] {
    match kind.retention_ms() {
        None => key,
        Some(_) => kind.topic_key(key.get(SEGMENT..).unwrap_or_default()),
    }
}

/// A stored value's timestamp, -1 where it has none, and the value's own bytes.
///
/// # Errors
/// When it is shorter than the timestamp.
pub fn split(kind: StoreKind, stored: &[u8]) -> Result<(Timestamp, &[u8]), SerdeError> {
    if !kind.has_timestamps() {
        return Ok((-1, stored));
    }
    match stored.split_first_chunk() {
        Some((timestamp, value)) => Ok((Timestamp::from_be_bytes(*timestamp), value)),
        None => Err(SerdeError::Length {
            type_name: "a stored value with its timestamp",
            expected: 8,
            actual: stored.len(),
        }),
    }
}
