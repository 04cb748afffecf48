//! Layer 5. Brings tasks' stores from their last commit to where the group's offsets are, by applying the changelogs' tails.
//!
//! A store's end is what its changelog's end was, uncommitted records included, after the group's offsets were fetched. The
//! records are read committed, until the position has passed that end. A table's source topic that serves as changelog ends
//! at the group's offset: what lies behind it will come as input.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::error::TaskResult;
use crate::record::{TaskId, TopicPartition};
use crate::store::StoreError;
use crate::task::{Task, state_error};
use crate::topology::{Changelog, StoreDescriptor, StoreKind};
use crate::transport::{
    Admin, CommittedOffset, ConsumedRecord, Consumer, Fetched, OffsetRange, TransportError,
};

/// Records that are applied in one step, so that other tasks go on meanwhile.
const RECORDS_PER_STEP: usize = 10_000;

/// The changelogs that are being applied, for all tasks of a worker.
#[derive(Debug, Default)]
pub(crate) struct Restorer {
    targets: BTreeMap<TopicPartition, Target>,
    finished: VecDeque<TaskId>,
    fetched: Vec<Fetched>,
    /// Bytes of values with their timestamps before them.
    values: Vec<u8>,
}

/// A store that is being restored.
#[derive(Debug)]
struct Target {
    task: TaskId,
    /// Its number in the task.
    store: usize,
    descriptor: &'static StoreDescriptor,
    position: i64,
    end: i64,
}

impl Restorer {
    /// Finds what a new task's stores miss. `committed` are the group's offsets of its inputs, fetched just now. Tells how many
    /// stores hold nothing that can be used.
    pub(crate) fn begin(
        &mut self,
        task: &mut Task,
        committed: &[(TopicPartition, Option<CommittedOffset>)],
        admin: &mut dyn Admin,
        consumer: &mut dyn Consumer,
    ) -> TaskResult<u64> {
        let id = task.id();
        report_unlogged(task, committed);
        let logged: Vec<(usize, TopicPartition, &'static StoreDescriptor)> = task
            .stores()
            .iter()
            .enumerate()
            .filter_map(|(n, s)| Some((n, s.changelog.clone()?, s.descriptor)))
            .collect();
        let partitions: Vec<TopicPartition> = logged.iter().map(|(_, p, ..)| p.clone()).collect();
        let ranges = admin.offsets(&partitions)?;
        let (mut assigned, mut targets) = (Vec::new(), Vec::new());
        let mut wiped = 0;
        for ((store, partition, descriptor), range) in logged.into_iter().zip(ranges) {
            let end = match descriptor.changelog {
                Changelog::Source(_) => {
                    let found = committed.iter().find(|(p, _)| *p == partition);
                    found
                        .and_then(|(_, c)| c.as_ref())
                        // Where the topic was made anew, the group may count what it does not have.
                        .map_or(range.start, |c| c.offset.min(range.end))
                }
                _ => range.end,
            };
            let (position, useless) =
                starting_position(task, store, &partition, range).map_err(state_error)?;
            wiped += u64::from(useless);
            if position < end {
                tracing::info!(task = %id, %partition, from = position, to = end, "restoring");
                assigned.push((partition.clone(), position));
                let target = Target {
                    task: id,
                    store,
                    descriptor,
                    position,
                    end,
                };
                targets.push((partition, target));
            }
        }
        // Last what may fail, so that it can be done again.
        if !assigned.is_empty() {
            consumer.assign(&assigned)?;
        }
        task.set_restoring();
        if targets.is_empty() {
            self.finished.push_back(id);
        }
        self.targets.extend(targets);
        Ok(wiped)
    }

    /// Applies what has come. Tells how many records.
    pub(crate) fn step(
        &mut self,
        consumer: &mut dyn Consumer,
        tasks: &mut BTreeMap<TaskId, Task>,
    ) -> TaskResult<usize> {
        if self.targets.is_empty() {
            return Ok(0);
        }
        // Waits a moment, so that a tail on its way is not asked for in a busy loop.
        let polled = consumer.poll(
            Duration::from_millis(1),
            RECORDS_PER_STEP,
            &mut self.fetched,
        );
        let mut fetched = std::mem::take(&mut self.fetched);
        let mut applied = 0;
        for batch in fetched.drain(..) {
            applied += batch.records.len();
            self.apply(&batch, consumer, tasks)?;
        }
        self.fetched = fetched;
        match polled {
            // The tail was compacted away or deleted meanwhile: begin again, from the beginning if need be.
            Err(e @ TransportError::OffsetOutOfRange { .. }) => {
                Err(TransportError::Abortable(e.to_string()).into())
            }
            other => Ok(other.map(|()| applied)?),
        }
    }

    fn apply(
        &mut self,
        batch: &Fetched,
        consumer: &mut dyn Consumer,
        tasks: &mut BTreeMap<TaskId, Task>,
    ) -> TaskResult {
        let Some(target) = self.targets.get_mut(&batch.partition) else {
            return Ok(());
        };
        let Some(task) = tasks.get_mut(&target.task) else {
            return Ok(());
        };
        let id = target.task;
        let next = batch.next_offset.min(target.end);
        let tail = batch.records.iter().filter(|r| r.offset < target.end);
        self.values.clear();
        let entries: Vec<Entry<'_>> = tail
            .filter_map(|record| {
                entry(
                    record,
                    target.descriptor,
                    &batch.partition,
                    &mut self.values,
                )
            })
            .collect();
        let values = &self.values;
        let stored = entries
            .iter()
            .map(|e| (e.key, e.value.clone().and_then(|range| values.get(range))));
        task.bytes()
            .restore(target.store, stored, next)
            .map_err(|e| state_error(e).in_task(id))?;
        target.position = batch.next_offset;
        if target.position >= target.end {
            consumer.unassign(std::slice::from_ref(&batch.partition));
            self.targets.remove(&batch.partition);
            if !self.targets.values().any(|t| t.task == id) {
                tracing::info!(task = %id, "restored");
                self.finished.push_back(id);
            }
        }
        Ok(())
    }

    /// A task that misses nothing any more; the same until [`Restorer::begun`] says that it is processing.
    pub(crate) fn finished(&self) -> Option<TaskId> {
        self.finished.front().copied()
    }

    /// The task that [`Restorer::finished`] told is processing.
    pub(crate) fn begun(&mut self) {
        self.finished.pop_front();
    }

    /// How many tasks are being restored.
    pub(crate) fn remaining(&self) -> usize {
        let restoring: BTreeSet<TaskId> = self.targets.values().map(|t| t.task).collect();
        restoring.len() + self.finished.len()
    }

    /// Stops restoring a task.
    pub(crate) fn cancel(&mut self, task: TaskId, consumer: &mut dyn Consumer) {
        let partitions: Vec<TopicPartition> = self
            .targets
            .iter()
            .filter(|(_, t)| t.task == task)
            .map(|(p, _)| p.clone())
            .collect();
        consumer.unassign(&partitions);
        self.forget(task);
    }

    /// As [`cancel`](Self::cancel), where the consumer is gone.
    pub(crate) fn forget(&mut self, task: TaskId) {
        self.targets.retain(|_, t| t.task != task);
        self.finished.retain(|t| *t != task);
    }
}

/// A record as the store takes it.
struct Entry<'a> {
    key: &'a [u8],
    /// Where in the values' bytes.
    value: Option<std::ops::Range<usize>>,
}

/// `None` for what the store never got: in a source topic that serves as changelog there may be records that were dropped
/// or that the deserialization handler skipped.
fn entry<'a>(
    record: &'a ConsumedRecord,
    store: &StoreDescriptor,
    partition: &TopicPartition,
    values: &mut Vec<u8>,
) -> Option<Entry<'a>> {
    let Some(key) = record.key.as_deref() else {
        tracing::warn!(%partition, offset = record.offset, "changelog record without a key is skipped");
        return None;
    };
    if matches!(store.changelog, Changelog::Source(_)) {
        let value = record.value.as_deref();
        let checked = (store.key.check)(Some(key));
        let checked = checked.and_then(|()| value.map_or(Ok(()), |v| (store.value.check)(Some(v))));
        if let Err(e) = checked {
            tracing::warn!(%partition, offset = record.offset, "record is skipped, as when it was read first: {e}");
            return None;
        }
    }
    let value = record.value.as_deref().map(|value| {
        let start = values.len();
        stored_value(store.kind, record.timestamp, value, values);
        start..values.len()
    });
    Some(Entry { key, value })
}

/// A changelog record's value as its store holds it.
pub(crate) fn stored_value(kind: StoreKind, timestamp: i64, value: &[u8], out: &mut Vec<u8>) {
    match kind {
        StoreKind::KeyValue => {}
        StoreKind::TimestampedKeyValue => out.extend_from_slice(&timestamp.to_be_bytes()),
    }
    out.extend_from_slice(value);
}

/// Where a changelog has to be read from: the last commit's offset, or the beginning, with an empty store, where that offset is
/// not in the changelog any more. Tells whether that is so.
fn starting_position(
    task: &mut Task,
    store: usize,
    partition: &TopicPartition,
    range: OffsetRange,
) -> Result<(i64, bool), StoreError> {
    let stored = task.bytes().checkpoint().changelog_offset(store);
    if let Some(offset) = stored.filter(|o| (range.start..=range.end).contains(o)) {
        return Ok((offset, false));
    }
    if let Some(offset) = stored {
        tracing::warn!(
            task = %task.id(), %partition, offset, start = range.start, end = range.end,
            "the changelog is not the one that the state was written with; restoring all of it"
        );
    }
    task.bytes().clear(store)?;
    Ok((range.start, stored.is_some()))
}

/// A store without changelog that missed a commit cannot be brought back: that is said aloud.
fn report_unlogged(task: &mut Task, committed: &[(TopicPartition, Option<CommittedOffset>)]) {
    let unlogged: Vec<&'static str> = task
        .stores()
        .iter()
        .filter(|s| s.changelog.is_none())
        .map(|s| s.descriptor.name)
        .collect();
    if unlogged.is_empty() {
        return;
    }
    let id = task.id();
    let inputs = task.bytes().checkpoint().inputs.clone();
    for (partition, committed) in committed {
        let Some(group) = committed.as_ref().map(|c| c.offset) else {
            continue;
        };
        let state = inputs.get(partition).copied();
        if state.is_none_or(|state| state < group) {
            tracing::warn!(
                task = %id, %partition, stores = ?unlogged, state, group,
                "stores without changelog lack the updates of records that were processed before a crash or elsewhere"
            );
        }
    }
}
