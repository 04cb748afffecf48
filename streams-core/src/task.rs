//! Layer 5. A task: one partition of one sub-topology, with its input buffers, its generated code, its state, and what it
//! wants written. It processes and commits; when, the worker decides.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::StreamsConfig;
use crate::context::{PunctuationType, TaskContext, TaskContextParts};
use crate::error::{TaskError, TaskFailure, TaskResult};
use crate::exceptions::ProductionException;
use crate::generated::SubTopology;
use crate::lmdb::LmdbError;
use crate::outbox::Outbox;
use crate::query::{ByteReader, QueryRegistry};
use crate::record::{RawRecord, TaskId, Timestamp, TopicPartition};
use crate::state_dir::{Found, StateDirectory};
use crate::store::{Segments, StoreError, StoreSettings, StoreSpec, TaskStores};
use crate::time::Clock;
use crate::topics::ResolvedTopology;
use crate::topology::{Changelog, StoreBackend, StoreDescriptor, TopicRole};
use crate::transport::{Admin, CommittedOffset, ConsumedRecord, Fetched, TopicCounts, TopicInfo};

pub(crate) mod metadata;
mod partition_group;

use partition_group::{Next, PartitionGroup};

/// Makes a sub-topology's generated code, for a task.
pub(crate) type SubTopologies =
    Arc<dyn Fn(usize) -> TaskResult<Box<dyn SubTopology>> + Send + Sync>;

/// Where tasks keep their state.
#[derive(Debug, Clone)]
pub(crate) enum StateLocation {
    /// In memory, whatever the topology says.
    Memory,
    /// In the application's state directory.
    Directory(Arc<StateDirectory>),
}

/// What a task is made of.
pub(crate) struct TaskParts<'a> {
    pub(crate) id: TaskId,
    pub(crate) topology: &'a ResolvedTopology,
    pub(crate) subtopologies: &'a SubTopologies,
    pub(crate) state: &'a StateLocation,
    pub(crate) config: &'a StreamsConfig,
    /// A reader for each global table.
    pub(crate) globals: Vec<Arc<dyn ByteReader>>,
    pub(crate) cache_max_bytes: usize,
    pub(crate) clock: Arc<dyn Clock>,
    /// Who knows the topics that its sinks choose.
    pub(crate) counts: Arc<dyn TopicCounts>,
}

/// A task that this worker has.
pub(crate) struct Task {
    id: TaskId,
    phase: Phase,
    group: PartitionGroup,
    subtopology: Box<dyn SubTopology>,
    cx: TaskContext,
    stores: Vec<TaskStore>,
    /// How many stores were found useless and removed when it was opened.
    wiped: u64,
    /// How many of the topics that its sinks chose freely are known to be there.
    chosen_topics: usize,
    /// Whether anything was processed, or skipped as it is no record, since the last commit.
    commit_is_needed: bool,
    /// Whether anything was processed since the state was last committed.
    state_is_behind: bool,
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Opened as of its last commit.
    New,
    /// Its changelogs are being applied.
    Restoring,
    /// It reads its partitions.
    Processing,
}

/// What a task knows of one of its stores.
#[derive(Debug)]
pub(crate) struct TaskStore {
    pub(crate) descriptor: &'static StoreDescriptor,
    /// Its index in the topology.
    pub(crate) index: usize,
    /// The partition that logs its changes.
    pub(crate) changelog: Option<TopicPartition>,
    /// The next offset of its changelog, as far as it was told since the last commit.
    logged: Option<i64>,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl Task {
    /// Opens a task's state as of its last commit.
    pub(crate) fn open(parts: TaskParts<'_>) -> TaskResult<Task> {
        let TaskParts {
            id,
            topology,
            config,
            ..
        } = parts;
        let unknown = || crate::generated::unknown_subtopology(id.subtopology);
        let subtopology = topology.subtopology(id.subtopology).ok_or_else(unknown)?;
        let stores: Vec<TaskStore> = subtopology
            .stores
            .iter()
            .filter_map(|index| {
                let descriptor = topology.descriptor.stores.get(*index)?;
                let changelog = topology.changelog(*index, id.partition);
                Some(TaskStore {
                    descriptor,
                    index: *index,
                    changelog,
                    logged: None,
                })
            })
            .collect();
        let specs: Vec<StoreSpec> = stores
            .iter()
            .map(|s| StoreSpec {
                name: s.descriptor.name.into(),
                backend: s.descriptor.backend,
                segments: Segments::of(s.descriptor.kind, s.descriptor.backend),
            })
            .collect();
        let (opened, wiped) = open_stores(parts.state, id, &specs, config)?;
        let stream_times = opened.checkpoint().stream_times.clone();
        let mut cx = TaskContext::new(TaskContextParts {
            topology: topology.descriptor,
            task: id,
            topics: topology.names.clone(),
            partitions: topology.partitions.clone(),
            globals: parts.globals,
            errors: config.errors.clone(),
            timestamp_extractor: config.timestamp_extractor,
            stores: opened,
            cache_max_bytes: parts.cache_max_bytes,
            clock: parts.clock,
            emit_interval_ms: i64::try_from(config.window_emit_interval().as_millis())
                .unwrap_or(i64::MAX),
        })?;
        for (name, time) in &stream_times {
            cx.restore_time(name, *time);
        }
        cx.set_join_emit_interval(config.join_emit_interval());
        cx.set_topic_counts(parts.counts);
        let mut group = PartitionGroup::new(topology.inputs(id), config.max_task_idle);
        for source in cx.stamped_sources() {
            group.stamp(source);
        }
        Ok(Task {
            id,
            phase: Phase::New,
            group,
            subtopology: (parts.subtopologies)(id.subtopology)?,
            cx,
            stores,
            wiped,
            chosen_topics: 0,
            commit_is_needed: false,
            state_is_behind: false,
        })
    }

    /// The task's name.
    pub(crate) fn id(&self) -> TaskId {
        self.id
    }

    /// How many of its stores held nothing that could be used when it was opened, and were emptied.
    pub(crate) fn wiped(&self) -> u64 {
        self.wiped
    }

    /// Whether it is restored and reads its partitions.
    pub(crate) fn is_processing(&self) -> bool {
        self.phase == Phase::Processing
    }

    /// Says that its changelogs are being applied.
    pub(crate) fn set_restoring(&mut self) {
        self.phase = Phase::Restoring;
    }

    /// Says that it is restored: its processors get ready.
    pub(crate) fn set_processing(&mut self) -> TaskResult {
        self.cx.set_stream_time(self.group.stream_time());
        self.cx.init(&mut *self.subtopology)?;
        self.phase = Phase::Processing;
        Ok(())
    }

    /// Says that it ends, whether or not its work is committed.
    pub(crate) fn close_processors(&mut self) {
        if std::mem::replace(&mut self.phase, Phase::New) == Phase::Processing {
            self.subtopology.close();
        }
    }

    /// Its stores, in the sub-topology's order.
    pub(crate) fn stores(&self) -> &[TaskStore] {
        &self.stores
    }

    /// Their bytes.
    pub(crate) fn bytes(&mut self) -> &mut TaskStores {
        self.cx.stores_mut()
    }

    /// The partitions it reads, each with the index of its source, in the sources' order.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (usize, &TopicPartition)> {
        self.group.inputs()
    }

    /// Where a source's reading begins.
    pub(crate) fn start_at(&mut self, source: usize, offset: i64, partition_time: Timestamp) {
        self.group.start(source, offset, partition_time);
    }

    /// Sets its operators' times to those that the group committed with the offsets, under these names; the later one where
    /// partitions disagree. What they do not say stays as the state has it.
    pub(crate) fn restore_times(&mut self, committed: &[metadata::Metadata]) {
        let mut times: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for (name, time) in committed.iter().flat_map(|m| &m.times) {
            let latest = times.entry(name).or_insert(*time);
            *latest = (*latest).max(*time);
        }
        for (name, time) in times {
            self.cx.restore_time(name, time);
        }
    }

    /// Takes what was fetched into its buffers.
    pub(crate) fn add(&mut self, fetched: Fetched) {
        // As Kafka Streams does: otherwise the last transaction's mark would count as a record that waits, for ever.
        self.commit_is_needed |= self.group.add(fetched);
    }

    /// Partitions to pause and to resume.
    pub(crate) fn change_flow(
        &mut self,
        limit: usize,
        pause: &mut Vec<TopicPartition>,
        resume: &mut Vec<TopicPartition>,
    ) {
        self.group.change_flow(limit, pause, resume);
    }

    /// Whether a record may be processed now.
    pub(crate) fn is_ready(&mut self, now: Duration) -> bool {
        self.group.ready(now)
    }

    /// The timestamp of the record that is next, if there is one.
    pub(crate) fn head_timestamp(&mut self) -> TaskResult<Option<Timestamp>> {
        self.stamp_heads()?;
        Ok(self.group.head_timestamp())
    }

    /// Lets timestamp extractors decide about the records that may be next.
    fn stamp_heads(&mut self) -> TaskResult {
        let Task {
            group,
            cx,
            subtopology,
            ..
        } = self;
        group.stamp_heads(|source, record, partition_time| {
            cx.stamp(
                &mut **subtopology,
                source,
                record.offset,
                raw(record),
                partition_time,
            )
        })
    }

    /// Processes records, as many as are ready, up to `limit`, and until the write buffer is full. Tells how many.
    pub(crate) fn process(&mut self, now: Duration, limit: usize) -> TaskResult<usize> {
        let mut count = 0;
        while count < limit && self.group.ready(now) && !self.wants_commit() {
            self.process_next()?;
            count += 1;
        }
        Ok(count)
    }

    /// Processes the record that is next, if there is one.
    pub(crate) fn process_next(&mut self) -> TaskResult {
        self.stamp_heads()?;
        self.group.look_ahead(|coming| self.cx.look_ahead(coming));
        let Some(Next { source, record }) = self.group.pop() else {
            return Ok(());
        };
        self.commit_is_needed = true;
        self.state_is_behind = true;
        // Processors see the time with this record; one that turns out to be unreadable leaves it where it was.
        let before = self.group.stream_time();
        self.cx.set_stream_time(before.max(record.timestamp));
        self.cx
            .process(&mut *self.subtopology, source, record.offset, raw(&record))?;
        if !self.cx.has_skipped_record() {
            self.group.passed(source, record.timestamp);
        }
        self.punctuate_stream_time().map(drop)
    }

    /// Calls the punctuators that stream time has reached. Tells how many.
    pub(crate) fn punctuate_stream_time(&mut self) -> TaskResult<usize> {
        let stream_time = self.group.stream_time();
        self.cx.set_stream_time(stream_time);
        if stream_time == metadata::UNKNOWN {
            return Ok(0);
        }
        self.punctuate(PunctuationType::StreamTime, stream_time)
    }

    /// The highest timestamp of the records that were processed so far; -1 before the first.
    pub(crate) fn stream_time(&self) -> Timestamp {
        self.group.stream_time()
    }

    /// Records of other tasks moved time on, where all count as one.
    pub(crate) fn reach_stream_time(&mut self, time: Timestamp) {
        self.group.reach(time);
    }

    /// Calls the punctuators that the wall clock has reached. Tells how many.
    pub(crate) fn punctuate_wall_clock(&mut self) -> TaskResult<usize> {
        let now = self.cx.system_time_ms();
        self.punctuate(PunctuationType::WallClockTime, now)
    }

    /// When the wall clock reaches the next punctuator, if there is one.
    pub(crate) fn next_punctuation(&self) -> Option<Timestamp> {
        self.cx.punctuations.next_wall_clock()
    }

    fn punctuate(&mut self, of: PunctuationType, now: Timestamp) -> TaskResult<usize> {
        let mut count = 0;
        while let Some(due) = self.cx.punctuations.pop(of, now) {
            self.commit_is_needed = true;
            self.state_is_behind = true;
            self.cx.punctuate(&mut *self.subtopology, due, now)?;
            self.cx.punctuations.called(of, due, now);
            count += 1;
        }
        Ok(count)
    }

    /// Passes on what the record cache holds back.
    pub(crate) fn flush_caches(&mut self) -> TaskResult {
        self.cx.flush(&mut *self.subtopology)
    }

    /// What it wants written.
    pub(crate) fn outbox(&self) -> &Outbox {
        self.cx.outbox()
    }

    /// What it wants written, to be emptied once it is handed on.
    pub(crate) fn outbox_mut(&mut self) -> &mut Outbox {
        self.cx.outbox_mut()
    }

    /// The topics that its outbox counts: the topology's, then those that sinks chose freely.
    pub(crate) fn topic_names(&self, of_topology: &Arc<[Arc<str>]>) -> Arc<[Arc<str>]> {
        match self.cx.dynamic_topics() {
            [] => of_topology.clone(),
            dynamic => of_topology.iter().chain(dynamic).cloned().collect(),
        }
    }

    /// Makes the topics that its sinks chose freely and that are not there.
    pub(crate) fn create_chosen_topics(
        &mut self,
        admin: &mut dyn Admin,
        replication_factor: Option<u16>,
    ) -> TaskResult {
        let chosen = self.cx.dynamic_topics();
        for name in chosen.iter().skip(self.chosen_topics) {
            if matches!(admin.describe_topics(&[name])?.as_slice(), [Some(_)]) {
                continue;
            }
            tracing::info!(topic = &**name, "creating a topic that a sink chose");
            let chosen = TopicInfo {
                name: name.to_string(),
                partitions: 1,
                config: BTreeMap::new(),
            };
            admin.create_replicated(&chosen, replication_factor)?;
        }
        self.chosen_topics = chosen.len();
        Ok(())
    }

    /// The record of that number in its outbox cannot be written: `Ok` where the handler says to go on without it.
    pub(crate) fn not_written(&mut self, number: usize, error: ProductionException) -> TaskResult {
        let topic = self.cx.outbox().get(number).map_or(usize::MAX, |r| r.topic);
        self.cx
            .not_written(number, topic, error)
            .map_err(|e| e.in_task(self.id))
    }

    /// Whether anything was processed, or skipped as it is no record, since the last commit.
    pub(crate) fn commit_is_needed(&self) -> bool {
        self.commit_is_needed
    }

    /// Whether its write buffer is full, or a processor asked for a commit.
    pub(crate) fn wants_commit(&self) -> bool {
        self.cx.stores().is_full() || self.cx.is_commit_requested()
    }

    /// Next offset and partition time of each partition.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&TopicPartition, i64, Timestamp)> {
        self.group.positions()
    }

    /// What a commit tells the group.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = (TopicPartition, CommittedOffset)> {
        let times: Vec<_> = self.cx.times().collect();
        self.group
            .positions()
            .map(move |(partition, offset, time)| {
                (
                    partition.clone(),
                    CommittedOffset {
                        offset,
                        metadata: metadata::encode(time, &times),
                    },
                )
            })
    }

    /// Remembers the next offsets of the partitions that a flush or commit wrote.
    pub(crate) fn logged(&mut self, ends: &BTreeMap<&TopicPartition, i64>) {
        for store in &mut self.stores {
            let end = store.changelog.as_ref().and_then(|c| ends.get(c));
            if let (Some(end), Changelog::Internal(_)) = (end, store.descriptor.changelog) {
                store.logged = Some(*end);
            }
        }
    }

    /// Commits the state: every put, with the offsets that it belongs to. Done already for this commit, it does nothing.
    pub(crate) fn commit_state(&mut self) -> TaskResult {
        if !self.state_is_behind {
            return Ok(());
        }
        if !self.stores.is_empty() {
            let mut checkpoint = self.cx.stores().checkpoint().clone();
            checkpoint.inputs = self
                .group
                .positions()
                .map(|(p, offset, _)| (p.clone(), offset))
                .collect();
            let times = self.cx.times().map(|(name, time)| (name.into(), time));
            checkpoint.stream_times.extend(times);
            for (local, store) in self.stores.iter().enumerate() {
                let next = match store.descriptor.changelog {
                    Changelog::Internal(_) => store.logged,
                    Changelog::Source(_) => store
                        .changelog
                        .as_ref()
                        .and_then(|c| checkpoint.inputs.get(c).copied()),
                    Changelog::None => None,
                };
                if next.is_some() {
                    checkpoint.set_changelog_offset(local, next);
                }
            }
            self.cx
                .stores_mut()
                .commit(checkpoint)
                .map_err(state_error)?;
        }
        self.cx.commit_times();
        self.state_is_behind = false;
        Ok(())
    }

    /// Everything up to here is committed.
    pub(crate) fn committed(&mut self) {
        self.commit_is_needed = false;
        self.cx.set_committed();
    }

    /// Repartition topics' records that are processed and committed, and may be deleted.
    pub(crate) fn purgeable(&self, topology: &ResolvedTopology) -> Vec<(TopicPartition, i64)> {
        let subtopology = topology.subtopology(self.id.subtopology);
        let role = |source: usize| {
            let source = subtopology?.sources.get(source)?;
            Some(topology.descriptor.topics.get(source.topic)?.role)
        };
        let inputs = self.group.inputs().zip(self.group.positions());
        inputs
            .filter(|((source, _), _)| role(*source) == Some(TopicRole::Repartition))
            .map(|(_, (partition, offset, _))| (partition.clone(), offset))
            .collect()
    }

    /// Its part of the record cache.
    pub(crate) fn set_cache_max_bytes(&mut self, bytes: usize) {
        self.cx.cache_mut().set_limit(bytes);
    }

    /// `dropped-records-total`.
    pub(crate) fn dropped_records(&self) -> u64 {
        self.cx.dropped_records()
    }

    /// Makes its stores queryable.
    pub(crate) fn register(&self, queries: &QueryRegistry) {
        let reader = self.cx.stores().reader();
        for (local, store) in self.stores.iter().enumerate() {
            let reader = Arc::new(reader.single(local, store.descriptor.kind));
            queries.register(store.index, self.id.partition, reader);
        }
    }

    /// Takes its stores away from queries.
    pub(crate) fn unregister(&self, queries: &QueryRegistry) {
        for store in &self.stores {
            queries.unregister(store.index, self.id.partition);
        }
    }

    /// What reads its stores for tests.
    pub(crate) fn reading(&mut self) -> &mut TaskContext {
        &mut self.cx
    }

    /// How many records wait in a buffer, and before which time there are none.
    pub(crate) fn waiting(&mut self, store: usize) -> TaskResult<Option<(u64, Timestamp)>> {
        self.cx.buffer_content(store)
    }

    /// Closes its state cleanly. What is uncommitted is dropped.
    pub(crate) fn close(self) -> TaskResult {
        self.cx.into_stores().close().map_err(state_error)
    }
}

fn raw(record: &ConsumedRecord) -> RawRecord<'_> {
    RawRecord {
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        timestamp: record.timestamp,
        headers: &record.headers,
    }
}

/// The stores, and how many of them were damaged and are empty now.
fn open_stores(
    state: &StateLocation,
    id: TaskId,
    specs: &[StoreSpec],
    config: &StreamsConfig,
) -> TaskResult<(TaskStores, u64)> {
    let settings = StoreSettings {
        buffer_limit: config.write_buffer_max_bytes,
        ..StoreSettings::default()
    };
    let StateLocation::Directory(directory) = state else {
        let stores = TaskStores::in_memory(specs, &settings).map_err(state_error)?;
        return Ok((stores, 0));
    };
    if specs.is_empty() {
        let stores = TaskStores::in_memory(specs, &settings).map_err(state_error)?;
        return Ok((stores, 0));
    }
    let on_disk = specs.iter().filter(|s| s.backend == StoreBackend::Lmdb);
    let all = on_disk.count() as u64;
    let open = || -> Result<_, StoreError> {
        let directory = directory.task(id)?;
        let lost = directory.found() == Found::RemovedAfterPowerLoss;
        let stores = TaskStores::open(directory, specs, &settings)?;
        Ok((stores, if lost { all } else { 0 }))
    };
    match open() {
        Err(e) if e.is_damage() => {
            tracing::warn!(task = %id, "state is damaged and will be restored from its changelogs: {e}");
            directory
                .remove_task(id)
                .map_err(|e| state_error(e.into()))?;
            let (stores, _) = open().map_err(state_error)?;
            Ok((stores, all))
        }
        other => other.map_err(state_error),
    }
}

pub(crate) fn state_error(e: StoreError) -> TaskError {
    match e {
        StoreError::Lmdb(LmdbError::AlreadyOpen { .. }) => {
            TaskFailure::StateInUse(Box::new(e)).into()
        }
        e => TaskFailure::State(Box::new(e)).into(),
    }
}
