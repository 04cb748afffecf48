//! Layer 7. The test driver: a topology on a log in memory and a clock that stands still, stepped on the test's own thread.
//!
//! It runs the same workers, tasks, stores and commits as the application. What it adds is the schedule: when a worker
//! takes its next step, when the clock moves, and when everything stops.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{ProcessingGuarantee, StreamsConfig};
use crate::error::Result;
use crate::generated::Topology;
use crate::query::{QueryError, Snapshot};
use crate::record::{Headers, Timestamp, VersionedRecord};
use crate::topology::StoreKind;
use crate::transport::ConsumedRecord;

mod engine;
mod fields;

use engine::Engine;
pub use fields::{
    Sending, TestGlobalStore, TestInput, TestInputTable, TestOutput, TestStore, TestTable,
};

/// How a test driver is set up.
///
/// The default processes each record as soon as it is sent, with one worker, without a record cache, at least once, and
/// commits whenever `commit.interval.ms` has passed on the driver's clock.
#[derive(Debug, Clone)]
pub struct TestDriverOptions {
    pub(crate) config: StreamsConfig,
    pub(crate) partitions: BTreeMap<String, u32>,
    pub(crate) state: TestState,
    pub(crate) schedule: Schedule,
    pub(crate) workers: usize,
    /// Whether processed records of repartition topics are deleted; a test may want to look at them.
    pub(crate) purge: bool,
    pub(crate) now_ms: Timestamp,
}

/// Where a test driver's state lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestState {
    /// In memory: a restart restores it from the changelogs.
    Memory,
    /// In LMDB, in a temporary directory that goes with the driver.
    Lmdb,
}

/// When a test driver processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// As soon as something is sent, until nothing is left.
    AtOnce,
    /// As `AtOnce`, but one record at a time, lowest timestamp first, with a commit after each.
    CommitEachRecord,
    /// When [`TestDriver::run`] is called.
    OnDemand,
}

impl Default for TestDriverOptions {
    fn default() -> Self {
        TestDriverOptions {
            config: StreamsConfig::new().cache_max_bytes(0),
            partitions: BTreeMap::new(),
            state: TestState::Memory,
            schedule: Schedule::AtOnce,
            workers: 1,
            purge: false,
            now_ms: 0,
        }
    }
}

impl TestDriverOptions {
    /// The default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The schedule of Apache Kafka's `TopologyTestDriver`: every record is processed alone and followed by a commit; records
    /// of internal topics next, lowest timestamp first.
    #[must_use]
    pub fn like_topology_test_driver() -> Self {
        TestDriverOptions {
            schedule: Schedule::CommitEachRecord,
            ..Self::default()
        }
        .partitions_of_all(1)
    }

    /// Process only when [`TestDriver::run`] is called, in batches.
    #[must_use]
    pub fn on_demand(mut self) -> Self {
        self.schedule = Schedule::OnDemand;
        self
    }

    /// The configuration: guarantee, commit interval, cache, handlers.
    #[must_use]
    pub fn config(mut self, config: StreamsConfig) -> Self {
        self.config = config;
        self
    }

    /// `processing.guarantee`.
    #[must_use]
    pub fn guarantee(mut self, guarantee: ProcessingGuarantee) -> Self {
        self.config = self.config.processing_guarantee(guarantee);
        self
    }

    /// `statestore.cache.max.bytes`; 0 unless set.
    #[must_use]
    pub fn cache_max_bytes(mut self, bytes: usize) -> Self {
        self.config = self.config.cache_max_bytes(bytes);
        self
    }

    /// A topic's partition count, in place of the declared one.
    #[must_use]
    pub fn partitions(mut self, topic: impl Into<String>, count: u32) -> Self {
        self.partitions.insert(topic.into(), count);
        self
    }

    /// The partition count of every topic that is not given one of its own.
    #[must_use]
    pub fn partitions_of_all(mut self, count: u32) -> Self {
        self.partitions.insert(String::new(), count);
        self
    }

    /// State in memory or in LMDB.
    #[must_use]
    pub fn state(mut self, state: TestState) -> Self {
        self.state = state;
        self
    }

    /// How many workers share the tasks, as many threads would.
    #[must_use]
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = count.max(1);
        self
    }

    /// The wall clock at the start, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(mut self, now: Timestamp) -> Self {
        self.now_ms = now;
        self
    }
}

/// A key of a versioned store as bytes, and its values with the times at which they were valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyVersions {
    /// The key.
    pub key: Vec<u8>,
    /// The values, the oldest first.
    pub versions: Vec<VersionedRecord<Vec<u8>>>,
}

/// An entry of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreEntry {
    /// The key's bytes.
    pub key: Vec<u8>,
    /// The value's bytes, without the timestamp that the store puts before them.
    pub value: Vec<u8>,
    /// The timestamp, where the store keeps one.
    pub timestamp: Option<Timestamp>,
}

/// A topology under test. Clones are the same driver.
///
/// What `App::builder().test_driver()` gives derefs to it, and has a typed field for each node that is read or written. The guide
/// `docs/testing.md` has an example that runs.
#[derive(Clone)]
pub struct TestDriver {
    engine: Rc<RefCell<Engine>>,
}

impl fmt::Debug for TestDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestDriver").finish_non_exhaustive()
    }
}

impl TestDriver {
    /// Makes the topics, starts the workers and waits until each task is ready.
    ///
    /// # Errors
    /// When the topology does not fit the given partition counts, or a state directory cannot be made.
    pub fn new<A: Topology>(app: &Arc<A>, options: TestDriverOptions) -> Result<Self> {
        let app = app.clone();
        let subtopologies = Arc::new(move |index| A::subtopology(&app, index));
        let engine = Engine::new(A::TOPOLOGY, subtopologies, options)?;
        Ok(TestDriver {
            engine: Rc::new(RefCell::new(engine)),
        })
    }

    /// Starts again with other options: an empty log, empty stores.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn reset(&self, options: TestDriverOptions) -> Result {
        self.engine.borrow_mut().reset(options)
    }

    /// Starts again with the schedule of Apache Kafka's `TopologyTestDriver`: call it before the first record.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn like_topology_test_driver(&self) -> Result {
        self.reset(TestDriverOptions::like_topology_test_driver())
    }

    /// Moves the clock. Commits that fall due are done.
    ///
    /// # Errors
    /// When a task fails.
    pub fn advance(&self, by: Duration) -> Result {
        self.engine.borrow_mut().advance(by)
    }

    /// Processes what is there, until nothing is left.
    ///
    /// # Errors
    /// When a task fails.
    pub fn run(&self) -> Result {
        self.engine.borrow_mut().run()
    }

    /// Commits now.
    ///
    /// # Errors
    /// When a task fails.
    pub fn commit(&self) -> Result {
        self.engine.borrow_mut().commit()
    }

    /// Stops the workers cleanly, with a last commit, and starts them again: state comes from disk and the changelogs.
    ///
    /// # Errors
    /// When a task fails.
    pub fn restart(&self) -> Result {
        self.engine.borrow_mut().restart()
    }

    /// Drops the workers as a power cut would, without a commit, and starts them again. State in memory is gone, and comes
    /// back from the changelogs.
    ///
    /// # Errors
    /// When a task fails.
    pub fn crash(&self) -> Result {
        self.engine.borrow_mut().crash()
    }

    /// As [`crash`](Self::crash), under the name that the conformance runner knows.
    ///
    /// # Errors
    /// When a task fails.
    pub fn kill_and_restore(&self) -> Result {
        self.crash()
    }

    /// The driver's wall clock.
    #[must_use]
    pub fn now_ms(&self) -> Timestamp {
        self.engine.borrow().now_ms()
    }

    /// Writes a record of bytes to a topic, to the partition of its key, and lets the topology process it.
    ///
    /// # Errors
    /// When there is no such topic, or a task fails.
    pub fn pipe_raw(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Timestamp,
        headers: Headers,
    ) -> Result {
        self.engine
            .borrow_mut()
            .pipe(topic, None, key, value, Some(timestamp), headers)
    }

    /// The records that were written to a topic since the last call, changelogs and repartition topics included, by full name.
    ///
    /// # Errors
    /// When there is no such topic.
    pub fn read_raw(&self, topic: &str) -> Result<Vec<ConsumedRecord>> {
        let placed = self.read_with_partitions(topic)?;
        Ok(placed.into_iter().map(|(_, record)| record).collect())
    }

    /// As [`read_raw`](Self::read_raw), each record with the partition that it was written to.
    ///
    /// # Errors
    /// When there is no such topic.
    pub fn read_with_partitions(&self, topic: &str) -> Result<Vec<(i32, ConsumedRecord)>> {
        self.engine.borrow_mut().read_placed(topic)
    }

    /// What a store holds, committed or not, in the order of the keys' bytes, over all partitions.
    ///
    /// # Errors
    /// When there is no such store.
    pub fn store_entries(&self, store: &str) -> Result<Vec<StoreEntry>> {
        self.engine.borrow_mut().store_entries(store)
    }

    /// How many bytes the committed entries of a store take, over all partitions: with state in LMDB the pages of its databases, in
    /// memory the keys and values alone.
    ///
    /// # Errors
    /// When there is no such store, or it cannot be read.
    pub fn store_size(&self, store: &str) -> Result<u64> {
        self.engine.borrow_mut().store_size(store)
    }

    /// Everything in a versioned store, the past that it keeps included: by key, each with its versions, the oldest first.
    ///
    /// # Errors
    /// When there is no such store.
    pub fn store_versions(&self, store: &str) -> Result<Vec<KeyVersions>> {
        self.engine.borrow_mut().store_versions(store)
    }

    /// How many records wait in the buffer of a suppression or of a join with a grace, and before which time there are none;
    /// `None` where the store is no such buffer.
    ///
    /// # Errors
    /// When there is no such store.
    pub fn store_waiting(&self, store: &str) -> Result<Option<(u64, Timestamp)>> {
        self.engine.borrow_mut().store_waiting(store)
    }

    /// Records that were dropped since the driver was made (`dropped-records-total`).
    #[must_use]
    pub fn dropped_records_total(&self) -> u64 {
        self.engine.borrow().dropped_records_total()
    }

    /// Full names of all topics that were made.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn topics(&self) -> Result<Vec<String>> {
        self.engine.borrow_mut().topics()
    }

    /// The settings that a topic was made with.
    ///
    /// # Errors
    /// When there is no such topic, or the log cannot be read.
    pub fn topic_config(&self, topic: &str) -> Result<BTreeMap<String, String>> {
        self.engine.borrow_mut().topic_config(topic)
    }

    fn pipe_to(
        &self,
        topic: usize,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Option<Timestamp>,
        headers: Headers,
    ) -> Result {
        let mut engine = self.engine.borrow_mut();
        let topic = engine.topic_name(topic);
        engine.pipe(&topic, partition, key, value, timestamp, headers)
    }

    /// Up to `limit` records of a topic, without the first `from`.
    fn records(&self, topic: usize, from: usize, limit: usize) -> Result<Vec<ConsumedRecord>> {
        self.engine.borrow_mut().records(topic, from, limit)
    }

    fn store_get(&self, store: Option<usize>, key: &[u8]) -> Result<Option<StoreEntry>> {
        let mut engine = self.engine.borrow_mut();
        let windowed = matches!(
            engine.store_kind(store),
            Some(StoreKind::Window { .. } | StoreKind::TimestampedWindow { .. })
        );
        // A window store puts a sequence number behind the table's key.
        let sequence: &[u8] = if windowed { &[0; 4] } else { &[] };
        engine.store_get(store, &[key, sequence].concat())
    }

    /// What a store holds, as of now.
    fn snapshot<K, V>(&self, store: Option<usize>) -> Result<Snapshot<'_, K, V>, QueryError> {
        let partitions = self.engine.borrow_mut().partitions(store)?;
        Ok(Snapshot::of(partitions))
    }
}

#[cfg(test)]
mod tests;
