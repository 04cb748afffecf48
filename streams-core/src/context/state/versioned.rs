//! Versioned stores of a task: puts at a time, reads as of a time. They have no record cache, as in Kafka Streams.

use super::{Forward, NO_HEADERS, Put};
use crate::context::{Access, TaskContext};
use crate::error::{TaskError, TaskFailure, TaskResult};
use crate::generated::unknown_store;
use crate::outbox::Outgoing;
use crate::query::VisitVersion;
use crate::record::{Timestamp, Validity};
use crate::store::{Placed, StoreError};

impl TaskContext {
    /// Puts `scratch.value` under `scratch.key`. The changelog gets everything, also what is too old for the store.
    pub(super) fn versioned_put(&mut self, store: usize, put: Put) -> TaskResult<Forward> {
        let (deleted, timestamp) = match put {
            Put::Scratch(timestamp) => (false, timestamp),
            Put::Tombstone(timestamp) => (true, timestamp),
        };
        Ok(match self.versioned_place(store, 8, deleted, timestamp)? {
            Placed::Latest => Forward::Now,
            Placed::Until(_) => Forward::Past,
            Placed::TooOld => Forward::TooOld,
        })
    }

    /// Puts what `scratch.value` has from `begins` on, or nothing, under `scratch.key`. Tells what became of it.
    pub(crate) fn versioned_place(
        &mut self,
        store: usize,
        begins: usize,
        deleted: bool,
        timestamp: Timestamp,
    ) -> TaskResult<Placed> {
        let value = self.scratch.value.get(begins..).filter(|_| !deleted);
        let key = &self.scratch.key;
        let Some(slot) = self.state.slots.get_mut(store) else {
            return Err(unknown_store(store));
        };
        let Some(versions) = &mut slot.versions else {
            return Err(not_versioned(slot.name));
        };
        let placed = match versions.put(&mut self.state.stores, store, key, value, timestamp) {
            Ok(placed) => placed,
            Err(e) => return Err(failed(slot.name, e)),
        };
        if let Some(topic) = slot.changelog {
            self.outbox.push(Outgoing {
                topic,
                partition: Some(self.task.partition),
                key: Some(key),
                value,
                timestamp: Some(timestamp),
                headers: NO_HEADERS,
            });
        }
        if placed == Placed::TooOld {
            self.drop_record("older than the history that the store keeps");
        }
        Ok(placed)
    }

    /// The value of `scratch.key` at a time, or its latest, and when it is valid.
    pub(crate) fn versioned_find(
        &mut self,
        store: usize,
        time: Option<Timestamp>,
    ) -> TaskResult<Option<(Validity, &[u8])>> {
        let Some(slot) = self.state.slots.get_mut(store) else {
            return Err(unknown_store(store));
        };
        let Some(versions) = &mut slot.versions else {
            return Err(not_versioned(slot.name));
        };
        let (key, stores) = (&self.scratch.key, &mut self.state.stores);
        let found = match time {
            Some(time) => versions.as_of(stores, store, key, time),
            None => versions.latest(stores, store, key),
        };
        match found {
            Ok(Some(found)) => Ok(Some((found.validity, versions.value(&found)))),
            Ok(None) => Ok(None),
            Err(e) => Err(failed(slot.name, e)),
        }
    }

    /// As [`versioned_find`](Self::versioned_find), of a global store too.
    pub(crate) fn access_find(
        &mut self,
        at: Access,
        time: Option<Timestamp>,
    ) -> TaskResult<Option<(Validity, &[u8])>> {
        let global = match at {
            Access::Local(store) => return self.versioned_find(store, time),
            Access::Global(global) => global,
        };
        let Some(time) = time else {
            if !self.global_get(global)? {
                return Ok(None);
            }
            let Some((from, value)) = self.scratch.value.split_first_chunk() else {
                return Err(not_versioned(self.global_name(global)));
            };
            let validity = Validity {
                from: Timestamp::from_be_bytes(*from),
                to: None,
            };
            return Ok(Some((validity, value)));
        };
        let Some(reader) = self.globals.get(global) else {
            return Err(unknown_store(global));
        };
        self.scratch.value.clear();
        match reader.as_of(&self.scratch.key, time, &mut self.scratch.value) {
            Ok(found) => Ok(found.map(|validity| (validity, self.scratch.value.as_slice()))),
            Err(reason) => Err(TaskFailure::Store {
                store: self.global_name(global).to_owned(),
                reason,
            }
            .into()),
        }
    }

    /// Shows the values that `scratch.key` had between two times, both included, the latest first.
    pub(crate) fn access_versions(
        &mut self,
        at: Access,
        (from, to): (Timestamp, Timestamp),
        visit: VisitVersion<'_>,
    ) -> TaskResult {
        let key = &self.scratch.key;
        match at {
            Access::Local(store) => {
                let Some(slot) = self.state.slots.get_mut(store) else {
                    return Err(unknown_store(store));
                };
                let Some(versions) = &mut slot.versions else {
                    return Err(not_versioned(slot.name));
                };
                let stores = &mut self.state.stores;
                let read = versions.between(stores, store, key, (from, to), visit);
                read.map_err(|e| failed(slot.name, e))
            }
            Access::Global(global) => {
                let Some(reader) = self.globals.get(global) else {
                    return Err(unknown_store(global));
                };
                let snapshot = reader.snapshot();
                let read = snapshot.and_then(|rows| rows.versions(key, from, to, visit));
                read.map_err(|reason| {
                    let store = self.global_name(global).to_owned();
                    TaskFailure::Store { store, reason }.into()
                })
            }
        }
    }

    /// The value of `scratch.key` at a time.
    pub(crate) fn versioned_get(
        &mut self,
        store: usize,
        time: Timestamp,
    ) -> TaskResult<Option<(Timestamp, &[u8])>> {
        let Some(slot) = self.state.slots.get_mut(store) else {
            return Err(unknown_store(store));
        };
        let Some(versions) = &mut slot.versions else {
            return Err(not_versioned(slot.name));
        };
        let key = &self.scratch.key;
        match versions.as_of(&mut self.state.stores, store, key, time) {
            Ok(Some(found)) => Ok(Some((found.validity.from, versions.value(&found)))),
            Ok(None) => Ok(None),
            Err(e) => Err(failed(slot.name, e)),
        }
    }

    /// Whether a store keeps the past.
    pub(crate) fn is_versioned(&self, store: usize) -> bool {
        let slot = self.state.slots.get(store);
        slot.is_some_and(|slot| slot.versions.is_some())
    }
}

#[cold]
fn not_versioned(store: &str) -> TaskError {
    TaskFailure::Internal(format!("store {store} is not versioned")).into()
}

#[cold]
fn failed(store: &str, reason: StoreError) -> TaskError {
    TaskFailure::Store {
        store: store.to_owned(),
        reason: Box::new(reason),
    }
    .into()
}
