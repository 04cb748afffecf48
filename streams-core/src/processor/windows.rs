//! The typed window, session and versioned stores of processors.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use super::stores::{Place, corrupt, handle, local, queries, query_place, set_key, unwritable};
use super::{ProcessingResult, ProcessorContext};
use crate::context::{Access, Put, TaskContext, WindowEntries, serialize};
use crate::error::{RecordPart, TaskResult};
use crate::query::{Keys, QueryRegistry, Scan, between};
use crate::record::{Headers, Timestamp, Validity, VersionedRecord};
use crate::serde::Serde;
use crate::store::{Placed, SEGMENT, SegmentKey};
use crate::windowed::{SessionWindow, Windowed};

handle! {
    /// A store of windows: values by key and window start. What is older than its retention is gone for readers, and a put of it is
    /// counted as dropped. `#[store(window_size = "10m", retention = "1h")]` in a processor.
    WindowStore
}
handle! {
    /// A store of sessions: values by key, session start and end. `#[store(retention = "1h")]` in a processor.
    SessionStore
}
handle! {
    /// A store of versions: values by key, each valid from a time on until the next. `#[store(retention = "1h")]` in a processor says
    /// for how long the past is kept.
    VersionedStore
}

/// A window or session that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowEntry<K, V> {
    /// The key.
    pub key: K,
    /// The window's or session's start, in milliseconds since the Unix epoch.
    pub start: Timestamp,
    /// The window's start again, or the session's end.
    pub end: Timestamp,
    /// The value.
    pub value: V,
}

/// The order of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Forward,
    Backward,
}

/// The bytes of keys that are asked for.
enum KeyBytes {
    One(Vec<u8>),
    Range(Bound<Vec<u8>>, Bound<Vec<u8>>),
}

impl KeyBytes {
    fn one<K: Serde>(key: &K) -> ProcessingResult<Self> {
        let mut bytes = Vec::new();
        key.serialize(&mut bytes)?;
        Ok(KeyBytes::One(bytes))
    }

    fn range<K: Serde>(keys: &impl RangeBounds<K>) -> ProcessingResult<Self> {
        let bytes = |bound: Bound<&K>| -> ProcessingResult<Bound<Vec<u8>>> {
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
        Ok(KeyBytes::Range(
            bytes(keys.start_bound())?,
            bytes(keys.end_bound())?,
        ))
    }

    fn keys(&self) -> Keys<'_> {
        match self {
            KeyBytes::One(key) => Keys::One(key),
            KeyBytes::Range(Bound::Unbounded, Bound::Unbounded) => Keys::All,
            KeyBytes::Range(from, to) => Keys::Range(
                from.as_ref().map(Vec::as_slice),
                to.as_ref().map(Vec::as_slice),
            ),
        }
    }
}

fn find<K: Serde, V: Serde>(
    at: &Place,
    scan: Scan<'_>,
    order: Order,
    cx: &mut ProcessorContext<'_>,
) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
    let at = at.access()?;
    let scan = match order {
        Order::Forward => scan,
        Order::Backward => scan.backward(),
    };
    let mut found = WindowEntries::default();
    let segments = cx.task.access_scan(at, &scan, &mut found)?;
    let mut entries = Vec::with_capacity(found.len());
    // As in Kafka Streams, stores in memory have the sessions of one key and end by their starts the other way round.
    let turned = segments.key() == SegmentKey::Session && segments.forgets_singly();
    let (mut run, mut last) = (0, None);
    for (key, value) in found.iter() {
        let Some((key, end, start)) = segments.parse(key) else {
            continue;
        };
        if turned && last != Some((key, end)) {
            turn(&mut entries, run);
            (run, last) = (entries.len(), Some((key, end)));
        }
        let entry = K::deserialize(key).and_then(|key| Ok((key, V::deserialize(value)?)));
        let (key, value) = entry.map_err(|e| corrupt(at, e, cx.task))?;
        entries.push(WindowEntry {
            key,
            start,
            end,
            value,
        });
    }
    if turned {
        turn(&mut entries, run);
    }
    Ok(entries)
}

fn turn<T>(entries: &mut [T], from: usize) {
    if let Some(run) = entries.get_mut(from..) {
        run.reverse();
    }
}

/// Puts under key and times; `None` deletes.
fn put<K: Serde, V: Serde>(
    at: &Place,
    key: &K,
    times: &[Timestamp],
    more: &[u8],
    value: Option<&V>,
    cx: &mut ProcessorContext<'_>,
) -> ProcessingResult {
    let (store, timestamp) = (local(at)?, cx.timestamp);
    let task = &mut *cx.task;
    set_key(Access::Local(store), key, task)?;
    let bytes = &mut task.scratch.key;
    bytes.splice(..0, [0; SEGMENT]);
    for time in times {
        bytes.extend_from_slice(&time.to_be_bytes());
    }
    bytes.extend_from_slice(more);
    task.localize_key(store)?;
    let deleted = set_value(store, value, task)?;
    let put = if deleted {
        Put::Tombstone(timestamp)
    } else {
        Put::Scratch(timestamp)
    };
    task.store_put(store, put, timestamp, &Headers::new(), false)?;
    Ok(())
}

/// Writes a value's bytes to `scratch.value`; tells whether it is null.
fn set_value<V: Serde>(
    store: usize,
    value: Option<&V>,
    task: &mut TaskContext,
) -> TaskResult<bool> {
    let out = &mut task.scratch.value;
    out.clear();
    value
        .map_or(Ok(true), |value| serialize(value, out))
        .map_err(|e| unwritable(Access::Local(store), RecordPart::Value, e, task))
}

impl<K: Serde, V: Serde> WindowStore<K, V> {
    /// Puts a value; one that is null by its type deletes.
    ///
    /// # Errors
    /// When the key is null or too long, or key or value have no bytes.
    pub fn put(
        &self,
        key: &K,
        value: &V,
        start: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult {
        put(&self.at, key, &[start], &[0; 4], Some(value), cx)
    }

    /// Deletes a window.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn delete(
        &self,
        key: &K,
        start: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult {
        put::<K, V>(&self.at, key, &[start], &[0; 4], None, cx)
    }

    /// The value of a key in the window that starts then.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what is none of its types.
    pub fn fetch_at(
        &self,
        key: &K,
        start: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<V>> {
        let found = self.fetch(key, start..=start, cx)?;
        Ok(found.into_iter().next().map(|entry| entry.value))
    }

    /// The windows of a key that start in a range of times, the earliest first.
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn fetch(
        &self,
        key: &K,
        starts: impl RangeBounds<Timestamp>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.find(&KeyBytes::one(key)?, &starts, Order::Forward, cx)
    }

    /// The windows of a key that start in a range of times, the latest first.
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn backward_fetch(
        &self,
        key: &K,
        starts: impl RangeBounds<Timestamp>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.find(&KeyBytes::one(key)?, &starts, Order::Backward, cx)
    }

    /// The windows of a range of keys (`..` for all) that start in a range of times: Kafka Streams' `fetch` of two keys, and
    /// `fetchAll`. They come in the order of the store: segments, keys, starts.
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn fetch_range(
        &self,
        keys: impl RangeBounds<K>,
        starts: impl RangeBounds<Timestamp>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.find(&KeyBytes::range(&keys)?, &starts, Order::Forward, cx)
    }

    /// As [`fetch_range`](Self::fetch_range), the other way round.
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn backward_fetch_range(
        &self,
        keys: impl RangeBounds<K>,
        starts: impl RangeBounds<Timestamp>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.find(&KeyBytes::range(&keys)?, &starts, Order::Backward, cx)
    }

    /// The windows of all keys that start in a range of times.
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn fetch_all(
        &self,
        starts: impl RangeBounds<Timestamp>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.fetch_range(.., starts, cx)
    }

    /// As [`fetch_all`](Self::fetch_all), the other way round.
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn backward_fetch_all(
        &self,
        starts: impl RangeBounds<Timestamp>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.backward_fetch_range(.., starts, cx)
    }

    /// All windows that have not expired.
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn all(&self, cx: &mut ProcessorContext<'_>) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.fetch_range(.., .., cx)
    }

    /// As [`all`](Self::all), the other way round.
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn backward_all(
        &self,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.backward_fetch_range(.., .., cx)
    }

    fn find(
        &self,
        keys: &KeyBytes,
        starts: &impl RangeBounds<Timestamp>,
        order: Order,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        let (from, to) = between(starts);
        find(&self.at, Scan::between(keys.keys(), from, to), order, cx)
    }
}

impl<K: Serde, V: Serde> SessionStore<K, V> {
    /// Puts the value of a session; one that is null by its type removes it.
    ///
    /// # Errors
    /// When the key is null or too long, or key or value have no bytes.
    pub fn put(
        &self,
        key: &K,
        start: Timestamp,
        end: Timestamp,
        value: &V,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult {
        put(&self.at, key, &[end, start], &[], Some(value), cx)
    }

    /// Removes a session.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn remove(
        &self,
        key: &K,
        start: Timestamp,
        end: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult {
        put::<K, V>(&self.at, key, &[end, start], &[], None, cx)
    }

    /// The value of exactly this session.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what is none of its types.
    pub fn fetch_session(
        &self,
        key: &K,
        start: Timestamp,
        end: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<V>> {
        let keys = KeyBytes::one(key)?;
        let scan = Scan::between(keys.keys(), end, end);
        let found: Vec<WindowEntry<K, V>> = find(&self.at, scan, Order::Forward, cx)?;
        let session = found.into_iter().find(|entry| entry.start == start);
        Ok(session.map(|entry| entry.value))
    }

    /// All sessions of a key.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn fetch(
        &self,
        key: &K,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.find_sessions(key, 0, Timestamp::MAX, cx)
    }

    /// All sessions of a key, the latest first.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn backward_fetch(
        &self,
        key: &K,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.backward_find_sessions(key, 0, Timestamp::MAX, cx)
    }

    /// All sessions of a range of keys (`..` for all): Kafka Streams' `fetch` of two keys.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn fetch_range(
        &self,
        keys: impl RangeBounds<K>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.find_sessions_of(keys, 0, Timestamp::MAX, cx)
    }

    /// As [`fetch_range`](Self::fetch_range), the other way round.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn backward_fetch_range(
        &self,
        keys: impl RangeBounds<K>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.backward_find_sessions_of(keys, 0, Timestamp::MAX, cx)
    }

    /// The sessions of a key that end at `earliest_end` or later and start at `latest_start` or earlier.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn find_sessions(
        &self,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        let times = (earliest_end, latest_start);
        self.find(&KeyBytes::one(key)?, times, Order::Forward, cx)
    }

    /// As [`find_sessions`](Self::find_sessions), the latest first.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn backward_find_sessions(
        &self,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        let times = (earliest_end, latest_start);
        self.find(&KeyBytes::one(key)?, times, Order::Backward, cx)
    }

    /// As [`find_sessions`](Self::find_sessions), of a range of keys.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn find_sessions_of(
        &self,
        keys: impl RangeBounds<K>,
        earliest_end: Timestamp,
        latest_start: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        let times = (earliest_end, latest_start);
        self.find(&KeyBytes::range(&keys)?, times, Order::Forward, cx)
    }

    /// As [`find_sessions_of`](Self::find_sessions_of), the other way round.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn backward_find_sessions_of(
        &self,
        keys: impl RangeBounds<K>,
        earliest_end: Timestamp,
        latest_start: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        let times = (earliest_end, latest_start);
        self.find(&KeyBytes::range(&keys)?, times, Order::Backward, cx)
    }

    fn find(
        &self,
        keys: &KeyBytes,
        (earliest_end, latest_start): (Timestamp, Timestamp),
        order: Order,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        let scan = Scan::sessions(keys.keys(), earliest_end, latest_start);
        find(&self.at, scan, order, cx)
    }
}

impl<K: Serde, V: Serde> VersionedStore<K, V> {
    /// Puts a value that is valid from `timestamp` on; one that is null by its type ends the one before. What is older than the
    /// retention is not put, and counted as dropped.
    ///
    /// # Errors
    /// When the key is null or too long, or key or value have no bytes.
    pub fn put(
        &self,
        key: &K,
        value: &V,
        timestamp: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Placed> {
        self.place(key, Some(value), timestamp, cx)
    }

    /// Ends a key's value at `timestamp`. Tells what was valid then; nothing where that is longer ago than the retention, and nothing is
    /// ended.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn delete(
        &self,
        key: &K,
        timestamp: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<VersionedRecord<V>>> {
        let before = self.get_as_of(key, timestamp, cx)?;
        match self.place(key, None, timestamp, cx)? {
            Placed::TooOld => Ok(None),
            Placed::Latest | Placed::Until(_) => Ok(before),
        }
    }

    /// The latest value of a key.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what is none of its types.
    pub fn get(
        &self,
        key: &K,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<VersionedRecord<V>>> {
        self.find(key, None, cx)
    }

    /// The value that a key had at a time.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_as_of(
        &self,
        key: &K,
        time: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<VersionedRecord<V>>> {
        self.find(key, Some(time), cx)
    }

    /// The values that a key had at any time of a range, the latest first. What is longer ago than the store keeps its history may be
    /// there or not.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_versions(
        &self,
        key: &K,
        times: impl RangeBounds<Timestamp>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<VersionedRecord<V>>> {
        let at = self.at.access()?;
        set_key(at, key, cx.task)?;
        let mut all = Vec::new();
        let mut read = |validity: Validity, bytes: &[u8]| {
            let value = V::deserialize(bytes);
            all.push(value.map(|value| VersionedRecord {
                value,
                valid_from: validity.from,
                valid_to: validity.to,
            }));
        };
        cx.task.access_versions(at, between(&times), &mut read)?;
        let all: Result<Vec<_>, _> = all.into_iter().collect();
        Ok(all.map_err(|e| corrupt(at, e, cx.task))?)
    }

    fn place(
        &self,
        key: &K,
        value: Option<&V>,
        timestamp: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Placed> {
        let store = local(&self.at)?;
        set_key(Access::Local(store), key, cx.task)?;
        let deleted = set_value(store, value, cx.task)?;
        Ok(cx.task.versioned_place(store, 0, deleted, timestamp)?)
    }

    fn find(
        &self,
        key: &K,
        time: Option<Timestamp>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<VersionedRecord<V>>> {
        let at = self.at.access()?;
        set_key(at, key, cx.task)?;
        let found = match cx.task.access_find(at, time)? {
            Some((validity, bytes)) => V::deserialize(bytes).map(|value| (validity, value)),
            None => return Ok(None),
        };
        let (validity, value) = found.map_err(|e| corrupt(at, e, cx.task))?;
        Ok(Some(VersionedRecord {
            value,
            valid_from: validity.from,
            valid_to: validity.to,
        }))
    }
}

macro_rules! of_node {
    ($($name:ident)*) => {$(
        impl<K, V> $name<K, V> {
            /// The field of a topology, whose stores processors share.
            #[doc(hidden)]
            #[must_use]
            pub fn of_node(node: &'static str, store: Option<usize>, registry: &QueryRegistry) -> Self {
                Self::placed(query_place(node, store, registry))
            }
        }
    )*};
}
of_node!(WindowStore SessionStore VersionedStore);
queries! {
    WindowStore: Windowed<K>;
    SessionStore: Windowed<K, SessionWindow>;
    VersionedStore: K;
}
