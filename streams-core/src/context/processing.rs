//! What processors ask of their task: times, commits, schedules, and stores as bytes.

use std::ops::Bound;
use std::sync::Arc;

use super::state::NO_HEADERS;
use super::{Due, TaskContext};
use crate::error::{TaskError, TaskFailure, TaskResult};
use crate::generated::SubTopology;
use crate::generated::unknown_store;
use crate::outbox::Outgoing;
use crate::record::{RecordMetadata, Timestamp};
use crate::store::{Direction, StoreError};
use crate::topology::StoreKind;

/// Where a processor's store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// In the task: its index in the sub-topology.
    Local(usize),
    /// A global one: its index in the topology's.
    Global(usize),
}

/// The metadata of what no record caused.
const NO_RECORD: RecordMetadata = RecordMetadata {
    topic: usize::MAX,
    partition: -1,
    offset: -1,
};

impl TaskContext {
    pub(crate) fn set_stream_time(&mut self, time: Timestamp) {
        self.stream_time = time;
    }

    /// The highest timestamp of the task's records so far, the one being processed included; -1 before the first.
    #[must_use]
    pub fn stream_time(&self) -> Timestamp {
        self.stream_time
    }

    /// The processors get ready.
    pub(crate) fn init(&mut self, code: &mut dyn SubTopology) -> TaskResult {
        self.metadata = NO_RECORD;
        self.guarded_init(|cx| code.init(cx))
    }

    /// A punctuator is due.
    pub(crate) fn punctuate(
        &mut self,
        code: &mut dyn SubTopology,
        due: Due,
        now: Timestamp,
    ) -> TaskResult {
        self.metadata = NO_RECORD;
        self.timestamp = now;
        code.punctuate(due.processor, due.function, now, self)?;
        self.evict(code)
    }

    /// Whether a processor asked for a commit since the last one.
    #[inline]
    #[must_use]
    pub fn is_commit_requested(&self) -> bool {
        self.commit_requested
    }

    pub(crate) fn request_commit(&mut self) {
        self.commit_requested = true;
    }

    pub(crate) fn set_committed(&mut self) {
        self.commit_requested = false;
    }

    /// The record's topic, if a record is being processed and not a punctuator.
    pub(crate) fn source_topic(&self) -> Option<&str> {
        (self.metadata.topic != NO_RECORD.topic).then(|| self.topic_name(self.metadata.topic))
    }

    /// The full name of a topology's `application.id`.
    pub(crate) fn application_id(&self) -> &'static str {
        self.topology.application_id
    }

    pub(crate) fn access_name(&self, store: Access) -> &'static str {
        match store {
            Access::Local(store) => self.store_name(store),
            Access::Global(global) => self.global_name(global),
        }
    }

    /// What a store holds.
    pub(crate) fn access_kind(&self, store: Access) -> StoreKind {
        match store {
            Access::Local(store) => self.store_kind(store),
            Access::Global(global) => {
                let of = self.topology.globals.get(global);
                of.and_then(|global| self.topology.stores.get(global.store))
                    .map_or(StoreKind::KeyValue, |store| store.kind)
            }
        }
    }

    /// The stored bytes of `scratch.key`.
    pub(crate) fn access_get(&mut self, store: Access) -> TaskResult<Option<&[u8]>> {
        match store {
            Access::Local(store) => self.store_get(store),
            Access::Global(global) => {
                let found = self.global_get(global)?;
                Ok(found.then_some(self.scratch.value.as_slice()))
            }
        }
    }

    /// Puts `scratch.value` (or nothing) under `scratch.key` into a store that is not cached; `logged` is what of the value its
    /// changelog gets.
    pub(crate) fn put_logged(
        &mut self,
        store: usize,
        deleted: bool,
        logged_from: usize,
        timestamp: Timestamp,
    ) -> TaskResult {
        let key = &self.scratch.key;
        let value = (!deleted).then_some(self.scratch.value.as_slice());
        let (stores, _) = self.state.parts();
        if let Err(e) = stores.put(store, key, value) {
            return Err(self.store_error(store, e));
        }
        if let Some(topic) = self.state.changelog(store) {
            self.outbox.push(Outgoing {
                topic,
                partition: Some(self.task.partition),
                key: Some(key),
                value: value.and_then(|v| v.get(logged_from..)),
                timestamp: Some(timestamp),
                headers: NO_HEADERS,
            });
        }
        Ok(())
    }

    #[cold]
    pub(crate) fn store_error(&self, store: usize, reason: StoreError) -> TaskError {
        TaskFailure::Store {
            store: self.store_name(store).to_owned(),
            reason: Box::new(reason),
        }
        .into()
    }

    /// Shows the entries between two keys, in their order, until `visit` says that it has enough. What the record cache holds back
    /// is seen, too.
    pub(crate) fn access_range(
        &mut self,
        store: Access,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> TaskResult {
        match store {
            Access::Local(store) => self.local_range(store, (from, to), direction, visit),
            Access::Global(global) => self.global_range(global, from, to, direction, visit),
        }
    }

    fn local_range(
        &mut self,
        store: usize,
        keys: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> TaskResult {
        let name = self.store_name(store);
        let failed = |reason: StoreError| {
            TaskError::from(TaskFailure::Store {
                store: name.to_owned(),
                reason: Box::new(reason),
            })
        };
        let (stores, cache) = self.state.parts();
        if is_empty(keys) {
            return Ok(());
        }
        let inside = |key: &[u8]| {
            (match keys.0 {
                Bound::Included(from) => key >= from,
                Bound::Excluded(from) => key > from,
                Bound::Unbounded => true,
            }) && (match keys.1 {
                Bound::Included(to) => key <= to,
                Bound::Excluded(to) => key < to,
                Bound::Unbounded => true,
            })
        };
        let mut held: Vec<(&[u8], Option<&[u8]>)> =
            cache.dirty(store).filter(|(key, _)| inside(key)).collect();
        held.sort_unstable_by(|a, b| match direction {
            Direction::Forward => a.0.cmp(b.0),
            Direction::Backward => b.0.cmp(a.0),
        });
        let mut held = held.into_iter().peekable();
        let before = |a: &[u8], b: &[u8]| match direction {
            Direction::Forward => a < b,
            Direction::Backward => a > b,
        };
        let stored = stores
            .range(store, keys.0, keys.1, direction)
            .map_err(failed)?;
        for entry in stored {
            let (key, value) = entry.map_err(failed)?;
            while let Some((first, held_value)) = held.next_if(|(held, _)| before(held, key)) {
                if held_value.is_some_and(|value| !visit(first, value)) {
                    return Ok(());
                }
            }
            let value = match held.next_if(|(held, _)| *held == key) {
                Some((_, held_value)) => held_value,
                None => Some(value),
            };
            if value.is_some_and(|value| !visit(key, value)) {
                return Ok(());
            }
        }
        for (key, value) in held {
            if value.is_some_and(|value| !visit(key, value)) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn global_range(
        &mut self,
        global: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> TaskResult {
        use std::ops::ControlFlow::{Break, Continue};
        let Some(reader) = self.globals.get(global).map(Arc::clone) else {
            return Err(TaskFailure::Internal(format!("no global store {global}")).into());
        };
        let failed = |reason| {
            TaskError::from(TaskFailure::Store {
                store: self.global_name(global).to_owned(),
                reason,
            })
        };
        if direction == Direction::Forward {
            let mut go_on = |key: &[u8], value: &[u8]| match visit(key, value) {
                true => Continue(()),
                false => Break(()),
            };
            return reader.range(from, to, &mut go_on).map_err(failed);
        }
        // Readers of other threads go forward only.
        let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut collect = |key: &[u8], value: &[u8]| {
            entries.push((key.to_vec(), value.to_vec()));
            Continue(())
        };
        reader.range(from, to, &mut collect).map_err(failed)?;
        for (key, value) in entries.iter().rev() {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    /// How many entries a store has, a global one too.
    pub(crate) fn access_count(&mut self, store: Access) -> TaskResult<u64> {
        let global = match store {
            Access::Local(store) => return self.count_entries(store),
            Access::Global(global) => global,
        };
        let Some(reader) = self.globals.get(global) else {
            return Err(unknown_store(global));
        };
        let counted = reader.snapshot().and_then(|snapshot| snapshot.count());
        counted.map_err(|reason| {
            let store = self.global_name(global).to_owned();
            TaskFailure::Store { store, reason }.into()
        })
    }

    /// How many entries a store has.
    pub(crate) fn count_entries(&mut self, store: usize) -> TaskResult<u64> {
        match self.stores_mut().count(store) {
            Ok(count) => Ok(count),
            Err(e) => Err(self.store_error(store, e)),
        }
    }
}

/// Whether nothing can lie between two bounds. A range whose end comes before its begin is empty, as in Kafka Streams.
fn is_empty(keys: (Bound<&[u8]>, Bound<&[u8]>)) -> bool {
    match keys {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        _ => false,
    }
}
