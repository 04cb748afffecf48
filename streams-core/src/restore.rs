//! Layer 5. Brings tasks' stores from their last commit to where the group's offsets are, by applying the changelogs' tails.
//!
//! A store's end is what its changelog's end was, uncommitted records included, after the group's offsets were fetched. The
//! records are read committed, until the position has passed that end. A table's source topic that serves as changelog ends
//! at the group's offset: what lies behind it will come as input.
//!
//! Records are collected and written many at a time in the order of their keys: LMDB copies a page for each one that a
//! transaction touches, so that ten thousand keys here and there cost as much as all of them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::error::{BoxError, TaskFailure, TaskResult};
use crate::record::{TaskId, TopicPartition};
use crate::store::{MAX_KEY_LENGTH, StoreError, fits};
use crate::task::{Task, state_error};
use crate::topology::{Changelog, StoreDescriptor, StoreKind};
use crate::transport::{
    Admin, CommittedOffset, ConsumedRecord, Consumer, Fetched, OffsetRange, TransportError,
};

mod progress;
mod replay;

pub use progress::RestoreProgress;
pub(crate) use progress::{Restores, Teller};

/// Records that are fetched in one step, so that a task can be taken back soon.
const RECORDS_PER_STEP: usize = 10_000;

/// Bytes of all stores that are collected before they are written.
pub(crate) const COLLECTED_BYTES: usize = 64 << 20;

/// The changelogs that are being applied, for some tasks.
#[derive(Debug)]
pub(crate) struct Restorer {
    targets: BTreeMap<TopicPartition, Target>,
    /// Partitions that the consumer is not told of yet, and where they begin.
    unassigned: Vec<(TopicPartition, i64)>,
    finished: VecDeque<TaskId>,
    fetched: Vec<Fetched>,
    /// Bytes of the records that all targets have collected.
    collected: usize,
    teller: Teller,
    done: Done,
}

/// What was done in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Records that were written.
    pub(crate) restored: u64,
    /// Stores whose state was of no use and was thrown away.
    pub(crate) wiped: u64,
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
    /// Read and not written.
    records: Vec<ConsumedRecord>,
    /// About how much memory they take.
    bytes: usize,
    written: u64,
}

impl Restorer {
    pub(crate) fn new(teller: Teller) -> Self {
        Restorer {
            targets: BTreeMap::new(),
            unassigned: Vec::new(),
            finished: VecDeque::new(),
            fetched: Vec::new(),
            collected: 0,
            teller,
            done: Done::default(),
        }
    }

    /// Finds what a new task's stores miss. `committed` are the group's offsets of its inputs, and `range` tells the changelogs'
    /// ends, asked after those were fetched.
    pub(crate) fn begin(
        &mut self,
        task: &mut Task,
        committed: &[(TopicPartition, Option<CommittedOffset>)],
        range: impl Fn(&TopicPartition) -> Option<OffsetRange>,
    ) -> TaskResult {
        let id = task.id();
        report_unlogged(task, committed);
        let logged: Vec<(usize, TopicPartition, &'static StoreDescriptor)> = task
            .stores()
            .iter()
            .enumerate()
            .filter_map(|(n, s)| Some((n, s.changelog.clone()?, s.descriptor)))
            .collect();
        let mut targets = Vec::new();
        for (store, partition, descriptor) in logged {
            let Some(range) = range(&partition) else {
                return Err(TransportError::UnknownPartition(partition).into());
            };
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
            let position = self
                .starting_position(task, store, &partition, range)
                .map_err(state_error)?;
            if position < end {
                let target = Target {
                    task: id,
                    store,
                    descriptor,
                    position,
                    end,
                    records: Vec::new(),
                    bytes: 0,
                    written: 0,
                };
                targets.push((partition, target));
            }
        }
        task.set_restoring();
        if targets.is_empty() {
            self.finished.push_back(id);
        }
        for (partition, target) in targets {
            self.start(partition, target);
        }
        Ok(())
    }

    fn start(&mut self, partition: TopicPartition, target: Target) {
        self.teller.started(RestoreProgress {
            partition: partition.clone(),
            store: target.descriptor.name,
            task: Some(target.task),
            starting_offset: target.position,
            offset: target.position,
            ending_offset: target.end,
        });
        self.unassigned.push((partition.clone(), target.position));
        self.targets.insert(partition, target);
    }

    /// Where a changelog has to be read from: the last commit's offset, or the beginning, with an empty store, where that
    /// offset is not in the changelog any more.
    fn starting_position(
        &mut self,
        task: &mut Task,
        store: usize,
        partition: &TopicPartition,
        range: OffsetRange,
    ) -> Result<i64, StoreError> {
        let stored = task.bytes().checkpoint().changelog_offset(store);
        if let Some(offset) = stored.filter(|o| (range.start..=range.end).contains(o)) {
            return Ok(offset);
        }
        if let Some(offset) = stored {
            tracing::warn!(
                task = %task.id(), %partition, offset, start = range.start, end = range.end,
                "the changelog is not the one that the state was written with, or was cut since; restoring all of it"
            );
            self.done.wiped += 1;
        }
        task.bytes().clear(store)?;
        Ok(range.start)
    }

    /// Takes what has come, waiting for it up to `wait`, and applies it. Tells how many records came.
    pub(crate) fn step(
        &mut self,
        consumer: &mut dyn Consumer,
        admin: &mut dyn Admin,
        tasks: &mut BTreeMap<TaskId, Task>,
        wait: Duration,
    ) -> TaskResult<usize> {
        if self.targets.is_empty() {
            return Ok(0);
        }
        if !self.unassigned.is_empty() {
            consumer.assign(&self.unassigned)?;
            self.unassigned.clear();
        }
        let polled = consumer.poll(wait, RECORDS_PER_STEP, &mut self.fetched);
        let mut fetched = std::mem::take(&mut self.fetched);
        let mut count = 0;
        for batch in fetched.drain(..) {
            count += batch.records.len();
            self.take(batch, consumer, tasks)?;
        }
        self.fetched = fetched;
        if self.collected >= COLLECTED_BYTES {
            let all: Vec<TopicPartition> = self.targets.keys().cloned().collect();
            for partition in all {
                self.write(&partition, tasks)?;
            }
        }
        match polled {
            Err(TransportError::OffsetOutOfRange { partition, .. })
                if self.targets.contains_key(&partition) =>
            {
                self.begin_anew(&partition, admin, tasks)?;
            }
            other => other?,
        }
        Ok(count)
    }

    /// Collects a batch, and writes when all is there.
    fn take(
        &mut self,
        batch: Fetched,
        consumer: &mut dyn Consumer,
        tasks: &mut BTreeMap<TaskId, Task>,
    ) -> TaskResult {
        let partition = batch.partition;
        let Some(target) = self.targets.get_mut(&partition) else {
            return Ok(());
        };
        let before = target.bytes;
        for record in batch.records {
            if record.offset < target.end && target.wants(&record, &partition)? {
                target.bytes += size(&record);
                target.records.push(record);
            }
        }
        self.collected += target.bytes - before;
        target.position = batch.next_offset;
        self.teller.reached(&partition, target.position);
        // Wrong on purpose, and never so in a build that ships (CONTRIBUTING.md): the torture has to find it out.
        let at_lso = cfg!(kstreams_mutant = "restore_to_lso") && batch.at_end;
        if target.position < target.end && !at_lso {
            return Ok(());
        }
        self.write(&partition, tasks)?;
        consumer.unassign(std::slice::from_ref(&partition));
        if let Some(target) = self.targets.remove(&partition) {
            let (id, store) = (target.task, target.descriptor.name);
            self.teller.ended(&partition, store, target.written);
            if !self.targets.values().any(|t| t.task == id) {
                self.finished.push_back(id);
            }
        }
        Ok(())
    }

    /// Writes what was collected for a store, with the offset that it reaches to.
    fn write(
        &mut self,
        partition: &TopicPartition,
        tasks: &mut BTreeMap<TaskId, Task>,
    ) -> TaskResult {
        let Some(target) = self.targets.get_mut(partition) else {
            return Ok(());
        };
        let Some(task) = tasks.get_mut(&target.task) else {
            return Ok(());
        };
        let next = target.position.min(target.end);
        if replay::is_replayed(target.descriptor.kind) {
            let replayed = replay::replay(
                task.bytes(),
                target.store,
                target.descriptor.kind,
                partition,
                &target.records,
                next,
            );
            match replayed {
                Ok(()) => {}
                Err((Some(offset), e)) => {
                    return Err(target.refused(partition, offset, e.into()).into());
                }
                Err((None, e)) => return Err(state_error(e).in_task(target.task)),
            }
            return self.written(partition, next);
        }
        let mut values = Vec::new();
        let entries: Vec<(&[u8], Option<std::ops::Range<usize>>)> = target
            .records
            .iter()
            .filter_map(|record| {
                let value = record.value.as_deref().map(|value| {
                    let start = values.len();
                    stored_value(target.descriptor.kind, record.timestamp, value, &mut values);
                    start..values.len()
                });
                Some((record.key.as_deref()?, value))
            })
            .collect();
        let stored = entries
            .iter()
            .map(|(key, value)| (*key, value.clone().and_then(|range| values.get(range))));
        let restored = task.bytes().restore(target.store, stored, next);
        restored.map_err(|e| match e {
            StoreError::KeyTooLong { length, .. } => {
                let mut records = target.records.iter();
                let offset = records
                    .find(|r| r.key.as_ref().is_some_and(|key| key.len() == length))
                    .map_or(next, |r| r.offset);
                target.refused(partition, offset, e.into())
            }
            e => state_error(e).in_task(target.task).into_failure(),
        })?;
        self.written(partition, next)
    }

    /// Counts what was collected for a store and is written now.
    fn written(&mut self, partition: &TopicPartition, next: i64) -> TaskResult {
        let Some(target) = self.targets.get_mut(partition) else {
            return Ok(());
        };
        let count = target.records.len() as u64;
        self.collected -= target.bytes;
        target.records.clear();
        target.bytes = 0;
        target.written += count;
        self.done.restored += count;
        self.teller
            .batch(partition, target.descriptor.name, next, count);
        Ok(())
    }

    /// The tail was compacted away or deleted meanwhile: what the store has may be what was deleted, so it begins anew, from
    /// what there is.
    fn begin_anew(
        &mut self,
        partition: &TopicPartition,
        admin: &mut dyn Admin,
        tasks: &mut BTreeMap<TaskId, Task>,
    ) -> TaskResult {
        let ranges = admin.offsets(std::slice::from_ref(partition))?;
        let (Some(range), Some(target)) = (ranges.first(), self.targets.get(partition)) else {
            return Ok(());
        };
        let Some(task) = tasks.get_mut(&target.task) else {
            return Ok(());
        };
        tracing::warn!(
            task = %target.task, %partition, offset = target.position, start = range.start,
            "the changelog's records are gone before they were read; restoring all of it"
        );
        task.bytes().clear(target.store).map_err(state_error)?;
        self.done.wiped += 1;
        if let Some(target) = self.targets.remove(partition) {
            self.collected -= target.bytes;
            let store = target.descriptor.name;
            self.teller.suspended(partition, store, target.written);
            // Begins even where nothing is left to read: then the first poll tells that the end is reached.
            let target = Target {
                position: range.start,
                end: target.end.max(range.start),
                records: Vec::new(),
                bytes: 0,
                written: 0,
                ..target
            };
            self.start(partition.clone(), target);
        }
        Ok(())
    }

    /// A task that misses nothing any more.
    pub(crate) fn pop_finished(&mut self) -> Option<TaskId> {
        self.finished.pop_front()
    }

    /// What was done so far.
    pub(crate) fn done(&self) -> Done {
        self.done
    }

    /// Stops restoring a task. What was written stays, with its offset.
    pub(crate) fn cancel(&mut self, task: TaskId, consumer: Option<&mut (dyn Consumer + 'static)>) {
        self.finished.retain(|t| *t != task);
        let mut partitions = Vec::new();
        let (teller, collected) = (&self.teller, &mut self.collected);
        self.targets.retain(|partition, target| {
            if target.task != task {
                return true;
            }
            *collected -= target.bytes;
            teller.suspended(partition, target.descriptor.name, target.written);
            partitions.push(partition.clone());
            false
        });
        self.unassigned.retain(|(p, _)| !partitions.contains(p));
        if let Some(consumer) = consumer {
            consumer.unassign(&partitions);
        }
    }
}

/// Whether a store takes the key of a record of its table.
fn takes_key(kind: StoreKind, key: &[u8]) -> bool {
    match kind {
        // There is one byte before it.
        StoreKind::Versioned { .. } => key.len() < MAX_KEY_LENGTH,
        _ => fits(key),
    }
}

impl Target {
    /// Whether a record is one for the store. In a source topic that serves as changelog there may be records that were
    /// dropped, or that the deserialization handler skipped; a changelog of our own has nothing but what the store had.
    fn wants(&self, record: &ConsumedRecord, partition: &TopicPartition) -> TaskResult<bool> {
        let (store, offset) = (self.descriptor, record.offset);
        let Some(key) = record.key.as_deref() else {
            tracing::warn!(%partition, offset, "changelog record without a key is skipped");
            return Ok(false);
        };
        let checked = (store.key.check)(Some(store.kind.topic_key(key))).and_then(|()| {
            let value = record.value.as_deref();
            value.map_or(Ok(()), |v| (store.value.check)(Some(v)))
        });
        match (checked, store.changelog) {
            // The processing exception handler skipped it, or it would not have been committed.
            (Ok(()), Changelog::Source(_)) if !takes_key(store.kind, key) => {
                tracing::warn!(%partition, offset, length = key.len(), "record is skipped, as when it was read first: its key is too long");
                Ok(false)
            }
            (Ok(()), _) => Ok(true),
            (Err(e), Changelog::Source(_)) => {
                tracing::warn!(%partition, offset, "record is skipped, as when it was read first: {e}");
                Ok(false)
            }
            (Err(e), _) => Err(self.refused(partition, offset, e.into()).into()),
        }
    }

    fn refused(&self, partition: &TopicPartition, offset: i64, reason: BoxError) -> TaskFailure {
        TaskFailure::ChangelogRecord {
            partition: partition.clone(),
            offset,
            store: self.descriptor.name,
            reason,
        }
    }
}

/// About how much memory a record takes while it is collected.
fn size(record: &ConsumedRecord) -> usize {
    let bytes = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
    size_of::<ConsumedRecord>() + bytes(&record.key) + bytes(&record.value)
}

/// A changelog record's value as its store holds it.
pub(crate) fn stored_value(kind: StoreKind, timestamp: i64, value: &[u8], out: &mut Vec<u8>) {
    if kind.has_timestamps() {
        out.extend_from_slice(&timestamp.to_be_bytes());
    }
    out.extend_from_slice(value);
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
