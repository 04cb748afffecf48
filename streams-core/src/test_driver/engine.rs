//! Layer 7. What a test driver steps: the application's own workers and global tables, on a log in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize};
use std::time::Duration;

use tempfile::TempDir;
use uuid::Uuid;

use super::{KeyVersions, Schedule, StoreEntry, TestDriverOptions, TestState};
use crate::config::StreamsConfig;
use crate::context::TaskContext;
use crate::error::{BoxError, Error, Result};
use crate::global::{GlobalParts, GlobalTables};
use crate::outbox::{Outbox, Outgoing};
use crate::query::{Partitions, QueryError, QueryRegistry};
use crate::record::{Headers, Timestamp, TopicPartition, Validity, VersionedRecord};
use crate::restore::{Restores, Teller};
use crate::runtime::{Application, Counters, Worker, topic_counts};
use crate::state_dir::StateDirectory;
use crate::store::{SEGMENT, SegmentKey, Segments};
use crate::task::{StateLocation, SubTopologies, state_error};
use crate::time::{Clock, ManualClock};
use crate::topics::{self, full_name};
use crate::topology::{StoreBackend, StoreKind, TopologyDescriptor};
use crate::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use crate::transport::{
    Admin, ConsumedRecord, Consumer, Producer, ProducerSpec, TopicInfo, Transport, TransportError,
};

#[cfg(test)]
mod tests;

/// Steps without an end are a mistake of ours, not of the test's topology; they end with an error.
const MAX_STEPS: usize = 1_000_000;

pub(super) struct Engine {
    descriptor: &'static TopologyDescriptor,
    subtopologies: SubTopologies,
    queries: QueryRegistry,
    options: TestDriverOptions,
    clock: ManualClock,
    transport: Arc<dyn Transport>,
    admin: Box<dyn Admin>,
    /// Writes the test's records.
    producer: Box<dyn Producer>,
    /// Reads what was written, for the test.
    consumer: Box<dyn Consumer>,
    /// Every record of each topic that the test looks at.
    seen: BTreeMap<String, Vec<Placed>>,
    /// How many of them `read_placed` gave out.
    given: BTreeMap<String, usize>,
    running: Option<Instance>,
    /// Records dropped before the last restart.
    dropped_before: u64,
    directory: Option<TempDir>,
}

/// A record, and the partition that it lies in.
pub(super) type Placed = (i32, ConsumedRecord);

/// What a restart replaces.
struct Instance {
    #[cfg(test)]
    simulation: tests::Simulation,
    workers: Vec<Worker>,
    globals: Option<GlobalTables>,
}

impl Engine {
    pub(super) fn new(
        descriptor: &'static TopologyDescriptor,
        subtopologies: SubTopologies,
        options: TestDriverOptions,
    ) -> Result<Self> {
        options.config.validate()?;
        let clock = ManualClock::new(options.now_ms);
        let log = EmbeddedLog::in_memory_with(EmbeddedLogOptions {
            clock: Arc::new(clock.clone()),
            ..EmbeddedLogOptions::default()
        });
        let transport: Arc<dyn Transport> = Arc::new(log);
        let spec = ProducerSpec {
            client_id: "test-driver".to_owned(),
            transactional_id: None,
        };
        let directory = match options.state {
            TestState::Memory => None,
            TestState::Lmdb => Some(tempfile::tempdir().map_err(|source| Error::Io {
                what: "making a temporary state directory".to_owned(),
                source,
            })?),
        };
        let mut engine = Engine {
            descriptor,
            subtopologies,
            queries: QueryRegistry::new(descriptor.stores.len()),
            clock,
            admin: transport.admin()?,
            producer: transport.producer(&spec)?,
            consumer: transport.consumer("test-driver")?,
            transport,
            options,
            seen: BTreeMap::new(),
            given: BTreeMap::new(),
            running: None,
            dropped_before: 0,
            directory,
        };
        engine.create_topics()?;
        engine.start()?;
        Ok(engine)
    }

    pub(super) fn reset(&mut self, options: TestDriverOptions) -> Result {
        self.running = None;
        *self = Engine::new(self.descriptor, self.subtopologies.clone(), options)?;
        Ok(())
    }

    /// The topics that are not ours, with the partition counts that the options say.
    fn create_topics(&mut self) -> Result {
        let of_all = self.options.partitions.get("").copied();
        for topic in self
            .descriptor
            .topics
            .iter()
            .filter(|t| !t.role.is_internal())
        {
            let given = self.options.partitions.get(topic.name).copied().or(of_all);
            let partitions = given.or(topic.partitions).unwrap_or(1);
            self.options
                .partitions
                .insert(topic.name.to_owned(), partitions);
            let config = BTreeMap::new();
            self.admin.create_topic(&TopicInfo {
                name: topic.name.to_owned(),
                partitions,
                config,
            })?;
        }
        if let Some(queue) = &self.options.config.errors.dead_letter_queue {
            self.admin.create_topic(&TopicInfo {
                name: queue.to_string(),
                partitions: 1,
                config: BTreeMap::new(),
            })?;
        }
        Ok(())
    }

    fn start(&mut self) -> Result {
        let config = &self.options.config;
        let topology = topics::resolve(
            self.descriptor,
            config,
            &self.options.partitions,
            &mut *self.admin,
        )?;
        let state = match &self.directory {
            None => StateLocation::Memory,
            Some(dir) => {
                let id = self.descriptor.application_id;
                let directory = StateDirectory::open(dir.path(), id, || Uuid::from_u128(1));
                StateLocation::Directory(Arc::new(directory.map_err(|e| state_error(e.into()))?))
            }
        };
        let restores = Arc::new(Restores::default());
        let teller = Teller {
            listener: config.restore_listener(),
            restores: restores.clone(),
        };
        let globals = GlobalTables::open(GlobalParts {
            topology: &topology,
            subtopologies: &self.subtopologies,
            config,
            state: &state,
            transport: &*self.transport,
            client_id: "test-driver",
            clock: Arc::new(self.clock.clone()),
            teller,
        })?;
        if let Some(globals) = &globals {
            globals.register(&self.queries);
        }
        topology.tell(&self.queries);
        let app = Arc::new(Application {
            topology,
            counts: topic_counts(&self.transport, &self.config()),
            config: self.config(),
            subtopologies: self.subtopologies.clone(),
            transport: self.transport.clone(),
            clock: Arc::new(self.clock.clone()),
            state,
            queries: self.queries.clone(),
            globals: globals
                .as_ref()
                .map(GlobalTables::readers)
                .unwrap_or_default(),
            process_id: "test".to_owned(),
            threads: AtomicUsize::new(self.options.workers),
            started_ms: self.clock.now_ms(),
            shutdown: AtomicI64::new(-1),
            restores,
            statistics: Arc::new(Counters::default()),
        });
        let workers = (0..self.options.workers)
            .map(|index| Worker::new(app.clone(), index))
            .collect();
        self.queries.set_running(true);
        let mut instance = Instance {
            #[cfg(test)]
            simulation: tests::Simulation {
                app,
                next_index: self.options.workers,
                zombies: Vec::new(),
                dead: Vec::new(),
            },
            workers,
            globals,
        };
        instance.settle_globals()?;
        // Before the first record every task has to be there, restored.
        for _ in 0..MAX_STEPS {
            let mut idle = true;
            for worker in &mut instance.workers {
                idle &= worker.join()?;
            }
            if idle && instance.workers.iter().all(Worker::is_running) {
                self.running = Some(instance);
                return self.settle();
            }
        }
        Err(stuck())
    }

    /// The configuration in force.
    fn config(&self) -> StreamsConfig {
        // Kafka's own test driver takes whatever topic a sink chooses.
        let mut config = self.options.config.clone().create_topics(true);
        if self.options.schedule == Schedule::CommitEachRecord {
            config.window_emit_interval.get_or_insert(Duration::ZERO);
        }
        if !self.options.purge {
            config.repartition_purge_interval = Duration::MAX;
        }
        config.join_emit_interval.get_or_insert(Duration::ZERO);
        config
    }

    /// Lets the topology do what its schedule says now.
    fn settle(&mut self) -> Result {
        let Some(instance) = &mut self.running else {
            return Ok(());
        };
        match self.options.schedule {
            Schedule::OnDemand => Ok(()),
            Schedule::AtOnce => instance.run(),
            Schedule::CommitEachRecord => instance.run_one_by_one(),
        }
    }

    pub(super) fn run(&mut self) -> Result {
        self.producer.flush()?;
        let Some(instance) = &mut self.running else {
            return Ok(());
        };
        match self.options.schedule {
            Schedule::CommitEachRecord => instance.run_one_by_one(),
            Schedule::OnDemand | Schedule::AtOnce => instance.run(),
        }
    }

    pub(super) fn advance(&mut self, by: Duration) -> Result {
        self.clock.advance(by);
        // As Kafka's own test driver: the clock's punctuators, a commit, then what they wrote.
        if self.options.schedule == Schedule::CommitEachRecord
            && let Some(instance) = &mut self.running
        {
            for worker in &mut instance.workers {
                worker.punctuate_wall_clock()?;
                worker.commit()?;
            }
        }
        self.settle()
    }

    pub(super) fn commit(&mut self) -> Result {
        if let Some(instance) = &mut self.running {
            for worker in &mut instance.workers {
                worker.commit()?;
            }
        }
        self.settle()
    }

    pub(super) fn restart(&mut self) -> Result {
        if let Some(instance) = self.running.take() {
            self.dropped_before += instance.dropped_records();
            for worker in instance.workers {
                worker.close()?;
            }
            if let Some(globals) = instance.globals {
                globals.close()?;
            }
        }
        self.start()
    }

    pub(super) fn crash(&mut self) -> Result {
        if let Some(instance) = self.running.take() {
            self.dropped_before += instance.dropped_records();
        }
        self.start()
    }

    pub(super) fn now_ms(&self) -> Timestamp {
        self.clock.now_ms()
    }

    pub(super) fn pipe(
        &mut self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Option<Timestamp>,
        headers: Headers,
    ) -> Result {
        let mut outbox = Outbox::default();
        // Without a key, and without being told, the first partition: a test wants to know where its records are.
        let partition = partition.or(if key.is_none() { Some(0) } else { None });
        let timestamp = Some(timestamp.unwrap_or_else(|| self.clock.now_ms()));
        outbox.push(Outgoing {
            topic: 0,
            partition,
            key,
            value,
            timestamp,
            headers: &headers,
        });
        self.producer.send(&outbox, &[topic.into()])?;
        if self.options.schedule == Schedule::OnDemand {
            return Ok(());
        }
        self.producer.flush()?;
        self.settle()
    }

    /// All records of a topic so far.
    fn seen(&mut self, topic: &str) -> Result<&[Placed]> {
        if !self.seen.contains_key(topic) {
            let infos = self.admin.describe_topics(&[topic])?;
            let Some(info) = infos.into_iter().flatten().next() else {
                let mut names = self.topics()?;
                names.sort();
                let text = format!(
                    "there is no topic `{topic}`; there are: {}",
                    names.join(", ")
                );
                return Err(BoxError::from(text).into());
            };
            let count = i32::try_from(info.partitions).unwrap_or(i32::MAX);
            let partitions: Vec<_> = (0..count)
                .map(|p| (TopicPartition::new(topic, p), 0))
                .collect();
            self.consumer.assign(&partitions)?;
            self.seen.insert(topic.to_owned(), Vec::new());
        }
        let mut fetched = Vec::new();
        loop {
            self.consumer.poll(Duration::ZERO, 10_000, &mut fetched)?;
            let mut count = 0;
            for batch in fetched.drain(..) {
                count += batch.records.len();
                let partition = batch.partition.partition;
                let records = batch.records.into_iter().map(|record| (partition, record));
                self.seen
                    .entry(batch.partition.topic.to_string())
                    .or_default()
                    .extend(records);
            }
            if count == 0 {
                break;
            }
        }
        Ok(self.seen.get(topic).map_or(&[], Vec::as_slice))
    }

    pub(super) fn read_placed(&mut self, topic: &str) -> Result<Vec<Placed>> {
        let given = self.given.get(topic).copied().unwrap_or_default();
        let new: Vec<Placed> = self.seen(topic)?.iter().skip(given).cloned().collect();
        self.given.insert(topic.to_owned(), given + new.len());
        Ok(new)
    }

    pub(super) fn records(
        &mut self,
        topic: usize,
        from: usize,
        limit: usize,
    ) -> Result<Vec<ConsumedRecord>> {
        let name = self.topic_name(topic);
        Ok(self
            .seen(&name)?
            .iter()
            .skip(from)
            .take(limit)
            .map(|(_, record)| record.clone())
            .collect())
    }

    pub(super) fn topics(&mut self) -> Result<Vec<String>> {
        Ok(self
            .admin
            .list_topics()?
            .into_iter()
            .map(|info| info.name)
            .collect())
    }

    pub(super) fn topic_config(&mut self, topic: &str) -> Result<BTreeMap<String, String>> {
        let info = self.admin.describe_topics(&[topic])?.pop().flatten();
        info.map(|info| info.config)
            .ok_or_else(|| TransportError::UnknownTopic(topic.to_owned()).into())
    }

    pub(super) fn topic_name(&self, topic: usize) -> String {
        let descriptor = self.descriptor;
        descriptor
            .topics
            .get(topic)
            .map(|t| full_name(descriptor.application_id, t))
            .unwrap_or_default()
    }

    pub(super) fn dropped_records_total(&self) -> u64 {
        self.dropped_before + self.running.as_ref().map_or(0, Instance::dropped_records)
    }

    pub(super) fn store_entries(&mut self, store: &str) -> Result<Vec<StoreEntry>> {
        let index = self.store_index(store)?;
        self.store_all(Some(index))
    }

    pub(super) fn store_size(&mut self, store: &str) -> Result<u64> {
        let index = self.store_index(store)?;
        let Some(instance) = &mut self.running else {
            return Ok(0);
        };
        let mut size = 0;
        for task in instance.workers.iter_mut().flat_map(Worker::tasks_mut) {
            if let Some(local) = task.stores().iter().position(|s| s.index == index) {
                size += task.bytes().reader().snapshot()?.size(local)?;
            }
        }
        Ok(size)
    }

    pub(super) fn store_versions(&mut self, store: &str) -> Result<Vec<KeyVersions>> {
        let index = self.store_index(store)?;
        let Some(instance) = &mut self.running else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for (stores, local) in instance.parts_of(index) {
            for (key, versions) in stores.read_versions(local)? {
                let version = |(validity, value): (Validity, Vec<u8>)| VersionedRecord {
                    value,
                    valid_from: validity.from,
                    valid_to: validity.to,
                };
                let versions = versions.into_iter().map(version).collect();
                all.push(KeyVersions { key, versions });
            }
        }
        all.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(all)
    }

    pub(super) fn store_waiting(&mut self, store: &str) -> Result<Option<(u64, Timestamp)>> {
        let index = self.store_index(store)?;
        let Some(instance) = &mut self.running else {
            return Ok(None);
        };
        let mut all: Option<(u64, Timestamp)> = None;
        for task in instance.workers.iter_mut().flat_map(Worker::tasks_mut) {
            if let Some(local) = task.stores().iter().position(|s| s.index == index)
                && let Some((records, first)) = task.waiting(local)?
            {
                let (before, earliest) = all.unwrap_or((0, Timestamp::MAX));
                all = Some((before + records, earliest.min(first)));
            }
        }
        Ok(all)
    }

    fn store_index(&self, store: &str) -> Result<usize> {
        let index = self.descriptor.stores.iter().position(|s| s.name == store);
        let Some(index) = index else {
            let names: Vec<&str> = self.descriptor.stores.iter().map(|s| s.name).collect();
            let text = format!(
                "there is no store `{store}`; there are: {}",
                names.join(", ")
            );
            return Err(BoxError::from(text).into());
        };
        Ok(index)
    }

    pub(super) fn store_all(&mut self, store: Option<usize>) -> Result<Vec<StoreEntry>> {
        let (index, kind) = self.store(store)?;
        let Some(instance) = &mut self.running else {
            return Ok(Vec::new());
        };
        let mut all = BTreeMap::new();
        for (stores, local) in instance.parts_of(index) {
            all.extend(stores.read_all(local)?);
        }
        let all = all.into_iter().collect();
        let backend = self.descriptor.stores.get(index).map(|s| s.backend);
        Ok(in_order(kind, backend == Some(StoreBackend::Memory), all)
            .into_iter()
            .map(|(key, stored)| entry(kind, key, stored))
            .collect())
    }

    /// The partitions of a table's store as of now.
    pub(super) fn partitions(&mut self, store: Option<usize>) -> Result<Partitions, QueryError> {
        let descriptor = store.and_then(|index| self.descriptor.stores.get(index));
        let (Some(index), Some(descriptor)) = (store, descriptor) else {
            return Err(QueryError::NoStore { node: "the table" });
        };
        let node = descriptor.node;
        let unreadable = |reason| QueryError::Store { node, reason };
        let Some(instance) = &mut self.running else {
            return Err(QueryError::NotRunning { node });
        };
        let mut here = Vec::new();
        for (stores, local) in instance.parts_of(index) {
            let snapshot = stores.snapshot(local).map_err(|e| unreadable(e.into()))?;
            here.push((stores.task().partition.max(0), snapshot));
        }
        here.sort_by_key(|(partition, _)| *partition);
        Ok(Partitions::new(node, here, self.queries.partitions(index)))
    }

    pub(super) fn store_get(
        &mut self,
        store: Option<usize>,
        key: &[u8],
    ) -> Result<Option<StoreEntry>> {
        let (index, kind) = self.store(store)?;
        let Some(instance) = &mut self.running else {
            return Ok(None);
        };
        let mut found = None;
        for (stores, local) in instance.parts_of(index) {
            found = found.or(stores.read(local, key)?);
        }
        Ok(found.map(|stored| entry(kind, key.to_vec(), stored)))
    }

    /// What kind of store a table has, if it has one.
    pub(super) fn store_kind(&self, store: Option<usize>) -> Option<StoreKind> {
        self.store(store).ok().map(|(_, kind)| kind)
    }

    fn store(&self, store: Option<usize>) -> Result<(usize, StoreKind)> {
        let found = store.and_then(|index| Some((index, self.descriptor.stores.get(index)?.kind)));
        found.ok_or_else(|| {
            BoxError::from("the table has no store: put `#[store]` on the field").into()
        })
    }
}

/// What was read, with keys as topics have them. Stores of windows that are emitted when they close show them by
/// time first; those of sessions have an index by key for that. Stores in memory show sessions of one key and end the other way round.
fn in_order(
    kind: StoreKind,
    in_memory: bool,
    mut all: Vec<(Vec<u8>, Vec<u8>)>,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let Some(segments) = Segments::of(kind, StoreBackend::Lmdb) else {
        return all;
    };
    for (key, _) in &mut all {
        key.drain(..SEGMENT.min(key.len()));
    }
    if kind.emitted().is_some() && segments.key() == SegmentKey::Window {
        all.sort_by_cached_key(|(key, _)| {
            let parsed = segments.parse(key);
            parsed.map(|(key, time, start)| (time, start, key.to_vec()))
        });
    }
    if in_memory && segments.key() == SegmentKey::Session {
        let of = |key: &[u8]| segments.parse(key).map(|(key, end, _)| (key.to_vec(), end));
        all.chunk_by_mut(|(one, _), (other, _)| of(one) == of(other))
            .for_each(<[_]>::reverse);
    }
    for (key, _) in &mut all {
        let length = kind.topic_key(key).len();
        key.truncate(length);
    }
    all
}

fn entry(kind: StoreKind, key: Vec<u8>, stored: Vec<u8>) -> StoreEntry {
    match (kind, stored.split_first_chunk::<8>()) {
        (kind, Some((timestamp, value)))
            if kind.has_timestamps() || matches!(kind, StoreKind::Versioned { .. }) =>
        {
            StoreEntry {
                key,
                value: value.to_vec(),
                timestamp: Some(Timestamp::from_be_bytes(*timestamp)),
            }
        }
        _ => StoreEntry {
            key,
            value: stored,
            timestamp: None,
        },
    }
}

fn stuck() -> Error {
    BoxError::from("the topology does not come to rest: a step always leaves another to do").into()
}

impl Instance {
    fn dropped_records(&self) -> u64 {
        let globals = self
            .globals
            .as_ref()
            .map_or(0, GlobalTables::dropped_records);
        globals
            + self
                .workers
                .iter()
                .map(|worker| worker.stats().dropped)
                .sum::<u64>()
    }

    /// The parts of a store, by its index in the topology: what reads it, and its number there.
    fn parts_of(&mut self, index: usize) -> impl Iterator<Item = (&mut TaskContext, usize)> {
        let tasks = self.workers.iter_mut().flat_map(Worker::tasks_mut);
        let of_tasks = tasks.filter_map(move |task| {
            let local = task.stores().iter().position(|s| s.index == index)?;
            Some((task.reading(), local))
        });
        let globals = self.globals.as_mut();
        of_tasks.chain(globals.and_then(|globals| globals.reading(index)))
    }

    /// Brings the global tables up to date.
    fn settle_globals(&mut self) -> Result<usize> {
        let Some(globals) = &mut self.globals else {
            return Ok(0);
        };
        let mut count = 0;
        for _ in 0..MAX_STEPS {
            let taken = globals.step(Duration::ZERO)?;
            count += taken;
            if taken == 0 && globals.is_bootstrapped() {
                return Ok(count);
            }
        }
        Err(stuck())
    }

    /// Steps everything until nothing is left to do.
    fn run(&mut self) -> Result {
        for _ in 0..MAX_STEPS {
            let mut idle = self.settle_globals()? == 0;
            for worker in &mut self.workers {
                idle &= worker.step(Duration::ZERO)?.is_idle();
            }
            if idle {
                return Ok(());
            }
        }
        Err(stuck())
    }

    fn stream_time(&self) -> Timestamp {
        let times = self.workers.iter().map(Worker::stream_time);
        times.max().unwrap_or(-1)
    }

    /// Processes one record at a time, the lowest timestamp first, and commits after each. As in Kafka's own test driver, all
    /// sub-topologies are one task as far as its stream time goes.
    fn run_one_by_one(&mut self) -> Result {
        for _ in 0..MAX_STEPS {
            self.settle_globals()?;
            for worker in &mut self.workers {
                worker.join()?;
                worker.fetch_all()?;
            }
            let mut next = None;
            for (index, worker) in self.workers.iter_mut().enumerate() {
                if let Some(head) = worker.next_record()? {
                    next = Some(next.map_or((head, index), |next: ((i64, _), usize)| {
                        next.min((head, index))
                    }));
                }
            }
            let Some(((_, task), index)) = next else {
                return Ok(());
            };
            let time = self.stream_time();
            if let Some(worker) = self.workers.get_mut(index) {
                worker.process_next(task, time)?;
            }
            let time = self.stream_time();
            for (other, worker) in self.workers.iter_mut().enumerate() {
                if worker.reach_stream_time(time)? > 0 || other == index {
                    worker.commit()?;
                }
            }
        }
        Err(stuck())
    }
}
