//! A task's window and session stores as their operators see them: store keys made local, ranges over record cache and store together,
//! and windows that are kept until they are emitted.

use std::ops::{ControlFlow, Range};

use crate::context::{Access, TaskContext};
use crate::error::{TaskFailure, TaskResult};
use crate::generated::unknown_store;
use crate::lmdb::Direction;
use crate::query::Scan;
use crate::record::{RecordMetadata, Timestamp};
use crate::store::{SEGMENT, Segments};

/// Entries that were read, in buffers that are used again.
#[derive(Debug, Default)]
pub(crate) struct Found {
    bytes: Vec<u8>,
    entries: Vec<FoundEntry>,
}

#[derive(Debug, Clone)]
struct FoundEntry {
    /// The local key.
    key: Range<usize>,
    /// `None` where the record cache has deleted it.
    value: Option<Range<usize>>,
}

impl Found {
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Adds an entry, whose local key comes in one part or two.
    fn push(&mut self, local: [&[u8]; 2], value: Option<&[u8]>) {
        let start = self.bytes.len();
        for part in local {
            self.bytes.extend_from_slice(part);
        }
        let key = start..self.bytes.len();
        let value = value.map(|value| {
            self.bytes.extend_from_slice(value);
            key.end..self.bytes.len()
        });
        self.entries.push(FoundEntry { key, value });
    }

    /// Store keys and values, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().filter_map(|entry| {
            let key = self.bytes.get(entry.key.start + SEGMENT..entry.key.end)?;
            Some((key, self.bytes.get(entry.value.clone()?)?))
        })
    }

    /// Store key and value of an entry.
    pub(crate) fn get(&self, at: usize) -> Option<(&[u8], &[u8])> {
        let entry = self.entries.get(at)?;
        let key = self.bytes.get(entry.key.start + SEGMENT..entry.key.end)?;
        Some((key, self.bytes.get(entry.value.clone()?)?))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Brings entries into another order: by store keys.
    pub(crate) fn sort_by_key<O: Ord>(&mut self, order: impl Fn(&[u8]) -> O) {
        let bytes = &self.bytes;
        let key = |e: &FoundEntry| {
            let key = bytes.get(e.key.start + SEGMENT..e.key.end);
            order(key.unwrap_or_default())
        };
        self.entries.sort_by_cached_key(key);
    }

    /// Puts what the cache has, pushed behind `stored` entries of the store, in its place.
    fn merge(&mut self, stored: usize, direction: Direction) {
        if self.entries.len() == stored {
            return;
        }
        let Found { bytes, entries } = self;
        // Of equal keys the cache's comes first, and stays.
        entries.rotate_left(stored);
        let key = |e: &FoundEntry| bytes.get(e.key.clone());
        entries.sort_by(|a, b| match direction {
            Direction::Forward => key(a).cmp(&key(b)),
            Direction::Backward => key(b).cmp(&key(a)),
        });
        entries.dedup_by(|later, first| key(later) == key(first));
        entries.retain(|e| e.value.is_some());
    }
}

impl TaskContext {
    /// Completes `scratch.key`, which begins with eight bytes for it, with its segment.
    #[inline]
    pub(crate) fn localize_key(&mut self, store: usize) -> TaskResult {
        let slot = self.state.slots.get(store);
        let Some(segments) = slot.and_then(|s| s.segments) else {
            return Err(unknown_store(store));
        };
        let key = &mut self.scratch.key;
        let prefix = segments.prefix_of(key.get(SEGMENT..).unwrap_or_default());
        if let Some(to) = key.first_chunk_mut::<SEGMENT>() {
            *to = prefix;
        }
        Ok(())
    }

    /// Reads a range of a window or session store, what the record cache holds back included.
    pub(crate) fn store_scan(
        &mut self,
        store: usize,
        scan: &Scan<'_>,
        found: &mut Found,
    ) -> TaskResult {
        found.clear();
        self.scan_into(store, scan, found, Reading::Visible, usize::MAX)
    }

    /// Reads a range of a window or session store of the task, or of a global one; tells how its keys are read.
    pub(crate) fn access_scan(
        &mut self,
        at: Access,
        scan: &Scan<'_>,
        found: &mut Found,
    ) -> TaskResult<Segments> {
        let global = match at {
            Access::Local(store) => {
                self.store_scan(store, scan, found)?;
                let segments = self.state.slots.get(store).and_then(|s| s.segments);
                return segments.ok_or_else(|| unknown_store(store));
            }
            Access::Global(global) => global,
        };
        found.clear();
        let store = self.topology.globals.get(global);
        let store = store.and_then(|global| self.topology.stores.get(global.store));
        let segments = store.and_then(|store| Segments::of(store.kind, store.backend));
        let (Some(segments), Some(reader)) = (segments, self.globals.get(global)) else {
            return Err(unknown_store(global));
        };
        let mut take = |store_key: &[u8], value: &[u8]| {
            found.push([&segments.prefix_of(store_key), store_key], Some(value));
            ControlFlow::Continue(())
        };
        match reader.scan(scan, &mut take) {
            Ok(()) => Ok(segments),
            Err(reason) => Err(TaskFailure::Store {
                store: self.global_name(global).to_owned(),
                reason,
            }
            .into()),
        }
    }

    /// Reads up to `limit` windows to emit: expired ones too, if they were not emitted yet.
    pub(crate) fn store_scan_held(
        &mut self,
        store: usize,
        scan: &Scan<'_>,
        found: &mut Found,
        limit: usize,
    ) -> TaskResult {
        found.clear();
        self.scan_into(store, scan, found, Reading::Held, limit)
    }

    fn scan_into(
        &mut self,
        store: usize,
        scan: &Scan<'_>,
        found: &mut Found,
        reading: Reading,
        limit: usize,
    ) -> TaskResult {
        let Some(slot) = self.state.slots.get(store) else {
            return Err(unknown_store(store));
        };
        let Some(segments) = slot.segments else {
            return Err(unknown_store(store));
        };
        let cached = slot.cached && self.state.cache.holds(store);
        // What the cache has lies anywhere between.
        let limit = if cached { usize::MAX } else { limit };
        let mut take = |store_key: &[u8], value: &[u8]| {
            found.push([&segments.prefix_of(store_key), store_key], Some(value));
            if found.len() < limit {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let read = match reading {
            Reading::Visible => self.state.stores.scan(store, scan, &mut take),
            Reading::Held => self.state.stores.scan_held(store, scan, &mut take),
        };
        if let Err(e) = read {
            return Err(self.state.error(store, e));
        }
        if cached {
            let stored = found.len();
            let cache = &mut self.state.cache;
            segments.scan_cached(
                scan,
                |from, to, visit| cache.range(store, from, to, visit),
                &mut |local, value| found.push([local, &[]], value),
            );
            found.merge(stored, scan.direction);
        }
        Ok(())
    }

    /// Drops a record, counted (`dropped-records`) and logged, as a window that it belongs to has closed.
    #[cold]
    pub(crate) fn drop_late(
        &mut self,
        timestamp: Timestamp,
        close: Timestamp,
        observed: Timestamp,
    ) {
        let (
            task,
            RecordMetadata {
                partition, offset, ..
            },
        ) = (self.task(), self.metadata());
        tracing::warn!(
            %task, partition, offset, timestamp, closed_until = close, stream_time = observed,
            "record dropped: its window has closed"
        );
        self.count_drop();
    }

    /// Whether closed windows are to be looked for now: not more often than the interval says.
    pub(crate) fn emission_is_due(&mut self, slot: usize) -> bool {
        self.is_due(slot, self.emit_interval_ms)
    }

    /// Says up to when windows are emitted: what closed before need not be kept for it.
    pub(crate) fn hold_unemitted(&mut self) {
        for store in 0..self.state.slots.len() {
            let Some(slot) = self.state.slots.get(store) else {
                continue;
            };
            let Some(emitted) = slot.kind.emitted() else {
                continue;
            };
            let from = self
                .time(emitted)
                .saturating_sub(slot.kind.size_ms())
                .max(0);
            // The store is there, so this cannot fail.
            let _ = self.state.stores.hold(store, from);
        }
    }
}

/// Which entries are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Those that have not expired.
    Visible,
    /// Those, and expired ones that are held.
    Held,
}
