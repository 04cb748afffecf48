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
    CacheContext, CacheEntry, History, RecordCache, StoreError, TaskStores, VersionedRows,
};
use crate::topology::{Changelog, StoreDescriptor, StoreKind};

mod versioned;

pub(super) const NO_HEADERS: &Headers = &Headers::new();

/// Stores, cache, and what is known of each store.
#[derive(Debug)]
pub(super) struct State {
    slots: Vec<StoreSlot>,
    stores: TaskStores,
    cache: RecordCache,
    /// Buffers that every flush uses again.
    leaving: Vec<CacheEntry>,
    old: Vec<u8>,
}

/// What the context knows of a store of its sub-topology.
#[derive(Debug)]
pub(super) struct StoreSlot {
    name: &'static str,
    kind: StoreKind,
    /// The changelog's topic.
    changelog: Option<usize>,
    cached: bool,
    /// Whether updates that leave the cache have to say the old value.
    sends_old: bool,
    /// Whether the cache got anything since it was last asked to make room.
    grown: bool,
    /// How a versioned store's rows are read and written.
    versions: Option<Box<VersionedRows>>,
}

impl StoreSlot {
    pub(super) fn new(store: &StoreDescriptor) -> Self {
        StoreSlot {
            name: store.name,
            kind: store.kind,
            changelog: match store.changelog {
                Changelog::Internal(topic) => Some(topic),
                Changelog::Source(_) | Changelog::None => None,
            },
            cached: store.cache,
            sends_old: false,
            grown: false,
            versions: match store.kind {
                StoreKind::Versioned { retention } => {
                    Some(Box::new(VersionedRows::new(History { retention })))
                }
                _ => None,
            },
        }
    }
}

/// What is put under `scratch.key`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Put {
    /// `scratch.value`, which begins with this timestamp.
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
    fn error(&self, store: usize, reason: StoreError) -> TaskError {
        let store = self.slots.get(store).map_or("?", |s| s.name).to_owned();
        TaskFailure::Store {
            store,
            reason: Box::new(reason),
        }
        .into()
    }

    /// Writes to the store and its changelog. `stored` begins with the value's timestamp.
    #[inline]
    fn write(
        &mut self,
        store: usize,
        key: &[u8],
        stored: Option<&[u8]>,
        timestamp: Timestamp,
        task: TaskId,
        outbox: &mut Outbox,
    ) -> TaskResult {
        if let Err(e) = self.stores.put(store, key, stored) {
            return Err(self.error(store, e));
        }
        if let Some(StoreSlot {
            changelog: Some(topic),
            ..
        }) = self.slots.get(store)
        {
            outbox.push(Outgoing {
                topic: *topic,
                partition: Some(task.partition),
                key: Some(key),
                value: stored.and_then(|v| v.get(8..)),
                timestamp: Some(timestamp),
                headers: NO_HEADERS,
            });
        }
        Ok(())
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
        Ok(())
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
        let sends_old = self.state.slots.get(store).is_some_and(|s| s.sends_old);
        let mut old = std::mem::take(&mut self.state.old);
        let before = self.metadata;
        for entry in &leaving {
            let (key, stored) = (entry.key(), entry.value());
            let context = &entry.context;
            let mut had = false;
            if sends_old || stored.is_none() {
                old.clear();
                match self.state.stores.get(store, key) {
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
            let timestamp = stored
                .and_then(|v| v.first_chunk())
                .map_or(context.timestamp, |t| Timestamp::from_be_bytes(*t));
            self.state
                .write(store, key, stored, timestamp, self.task, &mut self.outbox)?;
            self.metadata = context.metadata;
            let flushed = Flushed {
                key,
                value: stored.and_then(|v| v.get(8..)),
                old: old.get(8..).filter(|_| had),
                timestamp,
                headers: &context.headers,
                metadata: self.metadata,
            };
            code.flushed(store, flushed, self)?;
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
            return stores.get(store, key).map_err(failed);
        }
        if let Some(at) = cache.find(store, key) {
            return Ok(cache.value_at(store, at));
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
            self.state
                .write(store, key, stored, timestamp, self.task, &mut self.outbox)?;
            return Ok(Forward::Now);
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

    pub(crate) fn store_name(&self, store: usize) -> &'static str {
        self.state.slots.get(store).map_or("?", |s| s.name)
    }
}
