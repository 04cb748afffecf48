//! A task's stores and record cache as the tables see them: bytes in, bytes out, changelog records into the outbox.
//!
//! With the cache on, a put goes there and is held back. What leaves it, by a flush or to make room, is written to the store,
//! logged and forwarded downstream, as by Kafka Streams' `CachingKeyValueStore`.

use crate::context::TaskContext;
use crate::error::{TaskError, TaskFailure, TaskResult};
use crate::generated::{Flushed, SubTopology, unknown_store};
use crate::outbox::{Outbox, Outgoing};
use crate::record::{Headers, TaskId, Timestamp};
use crate::store::{
    CacheContext, CacheEntry, History, RecordCache, SEGMENT, Segments, StoreError, Stored,
    TaskStores, VersionedRows,
};
use crate::topology::{Changelog, StoreDescriptor, StoreFormat, StoreKind};

mod ahead;
mod buffers;
mod prefix;
mod versioned;

pub(crate) use buffers::{Leaving, Limits};

pub(super) const NO_HEADERS: &Headers = &Headers::new();

/// Stores, cache, and what is known of each store.
#[derive(Debug)]
pub(super) struct State {
    pub(super) slots: Vec<StoreSlot>,
    pub(super) stores: TaskStores,
    pub(super) cache: RecordCache,
    /// Buffers that every flush uses again.
    leaving: Vec<CacheEntry>,
    old: Vec<u8>,
}

/// What the context knows of a store of its sub-topology.
#[derive(Debug)]
pub(super) struct StoreSlot {
    name: &'static str,
    node: &'static str,
    /// The changelog's topic.
    changelog: Option<usize>,
    pub(super) kind: StoreKind,
    /// How it keeps its entries, if it is a window or session store: its keys are local ones then.
    pub(super) segments: Option<Segments>,
    pub(super) cached: bool,
    /// What of a record's headers it knows.
    format: StoreFormat,
    /// Whether updates that leave the cache have to say the old value.
    sends_old: bool,
    /// Whether the cache got anything since it was last asked to make room.
    grown: bool,
    /// How a versioned store's rows are read and written.
    versions: Option<Box<VersionedRows>>,
    /// How the rows of a buffer are.
    buffer: Option<Box<buffers::Slot>>,
}

impl StoreSlot {
    pub(super) fn new(store: &StoreDescriptor) -> Self {
        StoreSlot {
            name: store.name,
            kind: store.kind,
            segments: Segments::of(store.kind, store.backend),
            node: store.node,
            changelog: match store.changelog {
                Changelog::Internal(topic) => Some(topic),
                Changelog::Source(_) | Changelog::None => None,
            },
            cached: store.cache,
            format: store.format,
            sends_old: false,
            grown: false,
            versions: match store.kind {
                StoreKind::Versioned { retention } => {
                    Some(Box::new(VersionedRows::new(History { retention })))
                }
                _ => None,
            },
            buffer: buffers::Slot::of(store.kind).map(Box::new),
        }
    }
}

impl StoreSlot {
    /// The key as Kafka Streams has it.
    #[inline]
    fn store_key<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        match self.segments {
            None => key,
            Some(_) => key.get(SEGMENT..).unwrap_or_default(),
        }
    }

    /// A stored value without its timestamp.
    #[inline]
    fn value<'v>(&self, stored: &'v [u8]) -> Option<&'v [u8]> {
        if self.kind.has_timestamps() {
            stored.get(8..)
        } else {
            Some(stored)
        }
    }
}

/// What is put under `scratch.key`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Put {
    /// `scratch.value`, which begins with this timestamp where the store keeps one; its changelog record has it in any case.
    Scratch(Timestamp),
    /// Nothing: the key is deleted, at this time where the store keeps times of it.
    Tombstone(Timestamp),
}

/// What becomes of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forward {
    /// It goes on at once.
    Now,
    /// The record cache holds it back.
    Later,
    /// It goes on at once, as one of the past: a versioned table has a later value of the key.
    Past,
    /// A versioned table does not keep what is so long ago.
    TooOld,
}

impl Forward {
    /// Whether the update goes on, and whether it is the latest of its key.
    pub(crate) fn now(self) -> Option<bool> {
        match self {
            Forward::Now => Some(true),
            Forward::Past => Some(false),
            Forward::Later | Forward::TooOld => None,
        }
    }
}

impl State {
    pub(super) fn new(slots: Vec<StoreSlot>, stores: TaskStores, cache_max_bytes: usize) -> Self {
        let cache = RecordCache::new(cache_max_bytes, slots.len());
        let slots = slots.into_iter().map(|slot| StoreSlot {
            cached: slot.cached && slot.versions.is_none() && cache.is_enabled(),
            ..slot
        });
        State {
            slots: slots.collect(),
            stores,
            cache,
            leaving: Vec::new(),
            old: Vec::new(),
        }
    }

    /// The topic that logs a store's changes.
    pub(super) fn changelog(&self, store: usize) -> Option<usize> {
        self.slots.get(store)?.changelog
    }

    /// The stores, and what the record cache holds back of them.
    pub(super) fn parts(&mut self) -> (&mut TaskStores, &RecordCache) {
        (&mut self.stores, &self.cache)
    }

    #[cold]
    pub(super) fn error(&self, store: usize, reason: StoreError) -> TaskError {
        let store = self.slots.get(store).map_or("?", |s| s.name).to_owned();
        TaskFailure::Store {
            store,
            reason: Box::new(reason),
        }
        .into()
    }

    /// Writes to the store and its changelog. `stored` begins with the value's timestamp where the store keeps one; a window that has
    /// expired is logged all the same, as by Kafka Streams. `logged` is the changelog record's timestamp, and the headers of the
    /// record that this comes from.
    #[inline]
    pub(super) fn write(
        &mut self,
        store: usize,
        key: &[u8],
        stored: Option<&[u8]>,
        (timestamp, headers): (Timestamp, &Headers),
        task: TaskId,
        outbox: &mut Outbox,
    ) -> TaskResult<Stored> {
        let Some(slot) = self.slots.get(store) else {
            return Err(unknown_store(store));
        };
        let put = match slot.segments {
            None => self.stores.put(store, key, stored).map(|()| Stored::Kept),
            Some(_) => self.stores.put_segmented(store, key, stored),
        };
        let put = match put {
            Ok(put) => put,
            Err(e) => return Err(self.error(store, e)),
        };
        if let Some(topic) = slot.changelog {
            outbox.push(Outgoing {
                topic,
                partition: Some(task.partition),
                key: Some(slot.store_key(key)),
                value: stored.and_then(|v| slot.value(v)),
                timestamp: Some(timestamp),
                // A value has headers of its own: none, but a subscription.
                headers: match (slot.format, stored) {
                    (StoreFormat::Headers, None) | (StoreFormat::Logged, _) => headers,
                    _ => NO_HEADERS,
                },
            });
        }
        Ok(put)
    }
}

impl TaskContext {
    /// The task's stores.
    #[must_use]
    pub fn stores(&self) -> &TaskStores {
        &self.state.stores
    }

    /// The task's stores, to be restored and committed.
    pub fn stores_mut(&mut self) -> &mut TaskStores {
        &mut self.state.stores
    }

    /// The task's stores, to be closed. What is uncommitted goes.
    #[must_use]
    pub fn into_stores(self) -> TaskStores {
        self.state.stores
    }

    /// The record cache.
    #[must_use]
    pub fn cache(&self) -> &RecordCache {
        &self.state.cache
    }

    /// The record cache, whose bound changes when tasks come or go.
    pub fn cache_mut(&mut self) -> &mut RecordCache {
        &mut self.state.cache
    }

    /// Drops everything since the last commit: the record cache, uncommitted puts, operators' times, and what was to be written.
    pub fn abort(&mut self) {
        self.state.cache.clear();
        self.state.stores.abort();
        self.times.abort();
        for slot in &mut self.state.slots {
            if let Some(versions) = &mut slot.versions {
                versions.forget();
            }
            if let Some(buffer) = &mut slot.buffer {
                buffer.forget();
            }
        }
        self.outbox.clear();
    }

    /// Empties the record cache of updates, before a commit: what it held back is stored, logged and forwarded, and so is
    /// what that causes.
    ///
    /// # Errors
    /// What stops the task.
    pub fn flush(&mut self, code: &mut dyn SubTopology) -> TaskResult {
        // Forwarding may put into any other store's cache.
        while let Some(store) =
            (0..self.state.slots.len()).find(|store| self.state.cache.is_dirty(*store))
        {
            let mut leaving = std::mem::take(&mut self.state.leaving);
            self.state.cache.flush(store, &mut leaving);
            self.pass_on(store, leaving, code)?;
        }
        self.log_buffers()
    }

    /// Brings the record cache back under its bound after a record.
    #[inline]
    pub(super) fn evict(&mut self, code: &mut dyn SubTopology) -> TaskResult {
        if self.state.cache.size_in_bytes() <= self.state.cache.limit() {
            return Ok(());
        }
        for store in 0..self.state.slots.len() {
            let grown = self
                .state
                .slots
                .get_mut(store)
                .is_some_and(|s| std::mem::take(&mut s.grown));
            if grown {
                let mut leaving = std::mem::take(&mut self.state.leaving);
                self.state.cache.evict(store, &mut leaving);
                self.pass_on(store, leaving, code)?;
            }
        }
        Ok(())
    }

    /// Stores, logs and forwards what left the cache.
    fn pass_on(
        &mut self,
        store: usize,
        mut leaving: Vec<CacheEntry>,
        code: &mut dyn SubTopology,
    ) -> TaskResult {
        let slot = self.state.slots.get(store);
        let sends_old = slot.is_some_and(|s| s.sends_old);
        // Windows that are sent when they close are read from cache and store by then.
        let forwards = slot.is_some_and(|s| s.kind.emitted().is_none());
        let mut old = std::mem::take(&mut self.state.old);
        let before = self.metadata;
        for entry in &leaving {
            let (key, stored) = (entry.key(), entry.value());
            let context = &entry.context;
            let mut had = false;
            if forwards && (sends_old || stored.is_none()) {
                old.clear();
                let found = match self.state.stores.segments(store) {
                    None => self.state.stores.get(store, key),
                    Some(_) => self.state.stores.get_unexpired(store, key),
                };
                match found {
                    Ok(Some(bytes)) => {
                        old.extend_from_slice(bytes);
                        had = true;
                    }
                    Ok(None) => {}
                    Err(e) => return Err(self.state.error(store, e)),
                }
                if stored.is_none() && !had {
                    continue;
                }
            }
            let Some(slot) = self.state.slots.get(store) else {
                return Err(unknown_store(store));
            };
            let of_value = stored.filter(|_| slot.kind.has_timestamps());
            let timestamp = of_value
                .and_then(|v| v.first_chunk())
                .map_or(context.timestamp, |t| Timestamp::from_be_bytes(*t));
            let flushed = Flushed {
                key: slot.store_key(key),
                value: stored.and_then(|v| slot.value(v)),
                old: slot.value(&old).filter(|_| had),
                timestamp,
                headers: match (slot.format, slot.kind) {
                    (StoreFormat::Headers, StoreKind::Session { .. }) => NO_HEADERS,
                    _ => &context.headers,
                },
                metadata: context.metadata,
            };
            self.metadata = context.metadata;
            self.timestamp = timestamp;
            let logged = (timestamp, &context.headers);
            let written =
                self.state
                    .write(store, key, stored, logged, self.task, &mut self.outbox)?;
            if written == Stored::Expired {
                self.drop_record("its window has expired in the store");
            }
            if !forwards {
                continue;
            }
            // What is still to leave is not lost to a panic.
            self.guarded(self.store_node(store), |cx| {
                code.flushed(store, flushed, cx)
            })?;
        }
        self.metadata = before;
        leaving.clear();
        self.state.leaving = leaving;
        self.state.old = old;
        Ok(())
    }

    // ----- what table.rs is built on

    /// The stored bytes of `scratch.key` (timestamp and value).
    #[inline]
    pub(crate) fn store_get(&mut self, store: usize) -> TaskResult<Option<&[u8]>> {
        let State {
            slots,
            stores,
            cache,
            ..
        } = &mut self.state;
        let Some(slot) = slots.get_mut(store) else {
            return Err(unknown_store(store));
        };
        let key = &self.scratch.key;
        let failed = |reason| {
            TaskError::from(TaskFailure::Store {
                store: slot.name.to_owned(),
                reason: Box::new(reason),
            })
        };
        if let Some(versions) = &mut slot.versions {
            return versions.latest_stored(stores, store, key).map_err(failed);
        }
        if !slot.cached {
            return match slot.segments {
                None => stores.get(store, key),
                Some(_) => stores.get_unexpired(store, key),
            }
            .map_err(failed);
        }
        if let Some(at) = cache.find(store, key) {
            return Ok(cache.value_at(store, at));
        }
        if slot.segments.is_some() {
            return stores.get_unexpired(store, key).map_err(failed);
        }
        // The write buffer answers as fast as the cache does: only what was read from the backend is worth a place there.
        if let Some(at) = stores.find_buffered(store, key) {
            return Ok(stores.buffered_at(store, at));
        }
        let found = stores.get(store, key).map_err(failed)?;
        if let Some(stored) = found {
            slot.grown = true;
            cache.put_clean(store, key, stored);
        }
        Ok(found)
    }

    /// Puts under `scratch.key`. A tombstone's changelog record has the timestamp of the record that caused it.
    #[inline]
    pub(crate) fn store_put(
        &mut self,
        store: usize,
        put: Put,
        record_timestamp: Timestamp,
        headers: &Headers,
        sends_old: bool,
    ) -> TaskResult<Forward> {
        let (stored, timestamp) = match put {
            Put::Scratch(timestamp) => (Some(self.scratch.value.as_slice()), timestamp),
            Put::Tombstone(_) => (None, record_timestamp),
        };
        let Some(slot) = self.state.slots.get_mut(store) else {
            return Err(unknown_store(store));
        };
        if slot.versions.is_some() {
            return self.versioned_put(store, put);
        }
        if !slot.cached {
            let key = &self.scratch.key;
            let removes_session =
                stored.is_none() && matches!(slot.kind, StoreKind::Session { .. });
            let logged = (timestamp, headers);
            let written =
                self.state
                    .write(store, key, stored, logged, self.task, &mut self.outbox)?;
            if written == Stored::Expired && !removes_session {
                self.drop_record("its window has expired in the store");
            }
            return Ok(Forward::Now);
        }
        // What leaves the cache later is not to fail: its record would be gone by then.
        if let Err(e) = self.state.stores.check_key(store, &self.scratch.key) {
            return Err(self.state.error(store, e));
        }
        slot.sends_old |= sends_old;
        slot.grown = true;
        let context = CacheContext {
            timestamp: record_timestamp,
            headers: headers.clone(),
            metadata: self.metadata,
        };
        self.state
            .cache
            .put(store, &self.scratch.key, stored, &context);
        Ok(Forward::Later)
    }

    pub(crate) fn store_kind(&self, store: usize) -> StoreKind {
        let slot = self.state.slots.get(store);
        slot.map_or(StoreKind::KeyValue, |s| s.kind)
    }

    fn store_node(&self, store: usize) -> &'static str {
        self.state.slots.get(store).map_or("?", |s| s.node)
    }

    /// The node of a store of that name.
    pub(super) fn owner_of(&self, store: &str) -> Option<&'static str> {
        let mut slots = self.state.slots.iter();
        slots.find(|slot| slot.name == store).map(|slot| slot.node)
    }

    pub(crate) fn store_name(&self, store: usize) -> &'static str {
        self.state.slots.get(store).map_or("?", |s| s.name)
    }
}
