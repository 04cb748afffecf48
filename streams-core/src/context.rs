//! Layer 4. What a task lends its sub-topology for each record: stores, record cache, outbox, global tables, and where the
//! record came from. Owned, without lifetimes; generated task structs hold only typed handles, so the two never meet in a borrow.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::error::{RecordPart, TaskFailure, TaskResult};
use crate::exceptions::ErrorHandlers;
use crate::generated::SubTopology;
use crate::outbox::Outbox;
use crate::partitioner::partition_for_key;
use crate::query::ByteReader;
use crate::record::{
    Change, Headers, RawRecord, Record, RecordContext, RecordMetadata, TaskId, Timestamp,
};
use crate::serde::{Serde, SerdeError};
use crate::store::TaskStores;
use crate::stream_join::Arrival;
use crate::time::Clock;
use crate::timestamps::{Extracted, TimestampExtractor};
use crate::topology::{SourceDescriptor, SourceTimestamps, TopologyDescriptor};
use crate::transport::TopicCounts;

mod joins;
mod processing;
mod punctuation;
mod routing;
mod state;
mod times;
mod windowed;
pub(crate) use processing::Access;
pub use punctuation::PunctuationType;
pub(crate) use punctuation::{Due, NewSchedule, Punctuations, ScheduleId};
mod failures;
mod partitioned;
mod parts;
mod reading;
pub use failures::InNode;
pub(crate) use failures::{Failed, Made, made_by};
pub(crate) use state::{Forward, Leaving, Limits, Put};
use state::{State, StoreSlot};
use times::Times;
pub(crate) use windowed::Found as WindowEntries;
pub(crate) use windowed::Found;

/// What a [`TaskContext`] is made of.
#[derive(Debug)]
pub struct TaskContextParts {
    /// The topology.
    pub topology: &'static TopologyDescriptor,
    /// The task.
    pub task: TaskId,
    /// Full name of each of the topology's topics.
    pub topics: Arc<[Arc<str>]>,
    /// Partition count of each of the topology's topics; 0 where it is not known, then the producer chooses.
    pub partitions: Arc<[u32]>,
    /// The sub-topology's stores, in its order.
    pub stores: TaskStores,
    /// How many bytes of updates the record cache may hold back; with 0 it holds back nothing.
    pub cache_max_bytes: usize,
    /// A reader for each of the topology's global tables.
    pub globals: Vec<Arc<dyn ByteReader>>,
    /// The clock whose wall time operators see.
    pub clock: Arc<dyn Clock>,
    /// How often closed windows are looked for, in milliseconds of the wall clock.
    pub emit_interval_ms: i64,
    /// What becomes of records that fail.
    pub errors: ErrorHandlers,
    /// `default.timestamp.extractor`.
    pub timestamp_extractor: TimestampExtractor,
}

/// Everything that processing a record may touch.
#[derive(Debug)]
pub struct TaskContext {
    topology: &'static TopologyDescriptor,
    task: TaskId,
    topics: Arc<[Arc<str>]>,
    partitions: Arc<[u32]>,
    globals: Vec<Arc<dyn ByteReader>>,
    errors: ErrorHandlers,
    /// Whether a record's own bytes are kept until it is processed and written.
    keeps_source: bool,
    timestamp_extractor: TimestampExtractor,
    sources: &'static [SourceDescriptor],
    state: State,
    times: Times,
    clock: Arc<dyn Clock>,
    emit_interval_ms: i64,
    join_emit_interval_ms: i64,
    outbox: Outbox,
    /// Names that sinks' closures returned and the topology does not list; their indexes follow the topology's topics.
    dynamic_topics: Vec<Arc<str>>,
    /// The partition counts of these, as far as partitioners asked for them.
    dynamic_counts: Vec<Option<NonZeroU32>>,
    /// Who knows these; none outside a running task.
    topic_counts: Option<Arc<dyn TopicCounts>>,
    metadata: RecordMetadata,
    /// The timestamp of the record that is being processed.
    timestamp: Timestamp,
    source: usize,
    skipped: bool,
    dropped_records: u64,
    /// The highest timestamp of the task's records so far, the one being processed included; -1 before the first.
    stream_time: Timestamp,
    pub(crate) punctuations: Punctuations,
    /// Whether a processor asked for a commit.
    commit_requested: bool,
    pub(crate) scratch: Scratch,
}

/// Into which partition a record goes.
#[derive(Debug, Clone, Copy)]
enum To<'a> {
    /// That of its key. These bytes stand for a key that is null; without them the producer decides about it.
    Key(Option<&'a [u8]>),
    /// This one.
    Partition(i32),
}

/// Buffers that every record uses again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    /// A key to look for, and what was found.
    pub(crate) wanted: Vec<u8>,
    pub(crate) found: Found,
    /// Keys of windows that are looked ahead for.
    ahead: Vec<u8>,
    /// Of joins of streams: as many as were ever at work at once.
    pub(crate) arrivals: Vec<Arrival>,
}

impl TaskContext {
    /// The context of a task that has processed nothing.
    ///
    /// # Errors
    /// When the topology has no such sub-topology.
    pub fn new(parts: TaskContextParts) -> TaskResult<Self> {
        let topology = parts.topology;
        let Some(subtopology) = topology.subtopologies.get(parts.task.subtopology) else {
            return Err(crate::generated::unknown_subtopology(
                parts.task.subtopology,
            ));
        };
        let (stores, sources) = (subtopology.stores.iter(), subtopology.sources);
        let mut cx = Self::over(parts, stores, sources, subtopology.times);
        cx.hold_unemitted();
        Ok(cx)
    }

    /// The context of what keeps the global stores, in the topology's order of them.
    pub(crate) fn of_globals(parts: TaskContextParts) -> Self {
        let stores = parts.topology.globals.iter().map(|global| &global.store);
        Self::over(parts, stores, &[], &[])
    }

    fn over<'s>(
        parts: TaskContextParts,
        stores: impl Iterator<Item = &'s usize>,
        sources: &'static [SourceDescriptor],
        times: &'static [&'static str],
    ) -> Self {
        let topology = parts.topology;
        let stores = stores.filter_map(|index| topology.stores.get(*index));
        let slots = stores.map(StoreSlot::new).collect();
        TaskContext {
            topology,
            task: parts.task,
            topics: parts.topics,
            partitions: parts.partitions,
            globals: parts.globals,
            keeps_source: parts.errors.need_source(),
            errors: parts.errors,
            timestamp_extractor: parts.timestamp_extractor,
            sources,
            state: State::new(slots, parts.stores, parts.cache_max_bytes),
            emit_interval_ms: parts.emit_interval_ms,
            times: Times::new(times),
            clock: parts.clock,
            join_emit_interval_ms: 1_000,
            outbox: Outbox::default(),
            dynamic_topics: Vec::new(),
            dynamic_counts: Vec::new(),
            topic_counts: None,
            metadata: RecordMetadata::default(),
            timestamp: -1,
            source: 0,
            skipped: false,
            dropped_records: 0,
            stream_time: -1,
            punctuations: Punctuations::default(),
            commit_requested: false,
            scratch: Scratch::default(),
        }
    }

    /// Processes a record, and passes on what the record cache lets go to make room.
    ///
    /// # Errors
    /// What stops the task.
    #[inline]
    pub fn process(
        &mut self,
        code: &mut dyn SubTopology,
        source: usize,
        offset: i64,
        raw: RawRecord<'_>,
    ) -> TaskResult {
        self.begin_record(source, offset);
        self.process_begun(code, source, raw)
    }

    /// Processes a record of a global store's topic; `source` counts the topology's globals.
    ///
    /// # Errors
    /// What stops what keeps them.
    pub(crate) fn process_global(
        &mut self,
        code: &mut dyn SubTopology,
        source: usize,
        partition: i32,
        offset: i64,
        raw: RawRecord<'_>,
    ) -> TaskResult {
        self.source = source;
        self.skipped = false;
        let of = self.topology.globals.get(source);
        self.metadata = RecordMetadata {
            topic: of.map_or(usize::MAX, |global| global.topic),
            partition,
            offset,
        };
        self.process_begun(code, source, raw)
    }

    #[inline]
    fn process_begun(
        &mut self,
        code: &mut dyn SubTopology,
        source: usize,
        raw: RawRecord<'_>,
    ) -> TaskResult {
        self.timestamp = raw.timestamp;
        if self.keeps_source {
            self.outbox.begin_record(self.metadata, raw);
        }
        let node = self.source_node();
        let processed = self.guarded(node, |cx| code.process(source, raw, cx));
        self.outbox.end_record();
        processed?;
        self.evict(code)
    }

    /// Says which record comes next: the source's index in the sub-topology, and the record's offset.
    #[inline]
    pub fn begin_record(&mut self, source: usize, offset: i64) {
        let topic = self.sources.get(source).map_or(usize::MAX, |s| s.topic);
        self.source = source;
        self.skipped = false;
        self.metadata = RecordMetadata {
            topic,
            partition: self.task.partition,
            offset,
        };
    }

    /// The node that reads the record that is being processed.
    fn source_node(&self) -> &'static str {
        match self.sources.get(self.source) {
            Some(source) => source.node,
            None if self.is_global() => self.global_name(self.source),
            None => "?",
        }
    }

    /// Whether it keeps the global stores.
    pub(crate) fn is_global(&self) -> bool {
        self.task == TaskId::GLOBAL
    }

    /// Whether the record could not be read and was skipped: it moves no time forward.
    #[must_use]
    pub fn has_skipped_record(&self) -> bool {
        self.skipped
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// Where the record that is being processed came from.
    #[must_use]
    pub fn metadata(&self) -> RecordMetadata {
        self.metadata
    }

    /// The names of the topology's topics, to be told of them while the context is at work.
    #[must_use]
    pub fn topics(&self) -> Arc<[Arc<str>]> {
        Arc::clone(&self.topics)
    }

    /// What a record has beside key and value; `topics` are the context's own.
    #[must_use]
    pub fn record_context<'r, K, V>(
        &self,
        record: &'r Record<K, V>,
        topics: &'r [Arc<str>],
    ) -> RecordContext<'r> {
        let RecordMetadata {
            topic,
            partition,
            offset,
        } = self.metadata;
        RecordContext {
            timestamp: record.timestamp,
            headers: &record.headers,
            topic: topics.get(topic).map(|name| &**name),
            partition,
            offset,
        }
    }

    /// What processing wants written.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// What processing wants written, to be emptied once it is.
    pub fn outbox_mut(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Full names of the topics that the outbox counts: the topology's, then those that were chosen freely.
    pub(crate) fn outbox_topics(&self) -> Vec<Arc<str>> {
        let listed = self.topics.iter().chain(&self.dynamic_topics);
        listed.cloned().collect()
    }

    /// Full names of the topics that sinks chose freely; the outbox counts them on from the topology's topics.
    #[must_use]
    pub fn dynamic_topics(&self) -> &[Arc<str>] {
        &self.dynamic_topics
    }

    /// How many records were dropped since the task began (`dropped-records-total`).
    #[must_use]
    pub fn dropped_records(&self) -> u64 {
        self.dropped_records
    }

    /// Gives a global table another reader (a newer snapshot).
    pub fn set_global(&mut self, global: usize, reader: Arc<dyn ByteReader>) {
        if let Some(slot) = self.globals.get_mut(global) {
            *slot = reader;
        }
    }

    pub(crate) fn count_drop(&mut self) {
        self.dropped_records += 1;
    }

    /// Counts a dropped record and warns of it.
    #[cold]
    pub fn drop_record(&mut self, reason: &str) {
        self.count_drop();
        let RecordMetadata {
            partition, offset, ..
        } = self.metadata;
        tracing::warn!(task = %self.task, topic = self.topic_name(self.metadata.topic), partition, offset, "record dropped: {reason}");
    }

    /// Reads a source's record; `None` where it cannot be read and the handler says to go on.
    ///
    /// # Errors
    /// When it cannot be read and the handler says to fail.
    #[inline]
    pub fn decode<K: Serde, V: Serde>(
        &mut self,
        raw: RawRecord<'_>,
    ) -> TaskResult<Option<Record<K, V>>> {
        let key = match K::deserialize_nullable(raw.key) {
            Ok(key) => key,
            Err(reason) => return self.undecodable(RecordPart::Key, reason, raw),
        };
        let value = match V::deserialize_nullable(raw.value) {
            Ok(value) => value,
            Err(reason) => return self.undecodable(RecordPart::Value, reason, raw),
        };
        if raw.timestamp < 0 {
            return self.undated(raw);
        }
        Ok(Some(Record {
            key,
            value,
            timestamp: raw.timestamp,
            headers: raw.headers.clone(),
        }))
    }

    /// Reads a table's record: a null value deletes, a record without a key is dropped and counted.
    ///
    /// # Errors
    /// When it cannot be read and the handler says to fail.
    #[inline]
    pub fn decode_table<K: Serde, V: Serde>(
        &mut self,
        raw: RawRecord<'_>,
    ) -> TaskResult<Option<Record<K, Option<V>>>> {
        // As in Kafka Streams, key and value are read before anybody looks for nulls: bad bytes are reported first.
        let key = match raw.key.map(K::deserialize).transpose() {
            Ok(key) => key,
            Err(reason) => return self.undecodable(RecordPart::Key, reason, raw),
        };
        let value = match raw.value.map(V::deserialize).transpose() {
            Ok(value) => value,
            Err(reason) => return self.undecodable(RecordPart::Value, reason, raw),
        };
        if raw.timestamp < 0 {
            return self.undated(raw);
        }
        let Some(key) = key else {
            self.drop_record("null key");
            return Ok(None);
        };
        Ok(Some(Record {
            key,
            value,
            timestamp: raw.timestamp,
            headers: raw.headers.clone(),
        }))
    }

    /// The timestamp of a record that may be next, where an extractor decides about it; negative where it is invalid, which the
    /// reading of the record tells then.
    pub(crate) fn stamp(
        &mut self,
        code: &mut dyn SubTopology,
        source: usize,
        offset: i64,
        raw: RawRecord<'_>,
        partition_time: Timestamp,
    ) -> TaskResult<Timestamp> {
        match self.sources.get(source).map(|s| s.timestamps) {
            Some(SourceTimestamps::Extracted) => {
                let before = (self.metadata, self.source);
                self.begin_record(source, offset);
                let extracted =
                    self.guarded_extractor(|cx| code.timestamp(source, raw, partition_time, cx))?;
                (self.metadata, self.source) = before;
                Ok(extracted.unwrap_or(raw.timestamp))
            }
            Some(SourceTimestamps::By(extractor)) => {
                Ok(self.stamped(extractor, raw.timestamp, partition_time))
            }
            Some(SourceTimestamps::Configured) | None => {
                Ok(self.stamped(self.timestamp_extractor, raw.timestamp, partition_time))
            }
        }
    }

    fn stamped(
        &self,
        extractor: TimestampExtractor,
        timestamp: Timestamp,
        partition_time: Timestamp,
    ) -> Timestamp {
        match extractor {
            TimestampExtractor::WallclockTimestampExtractor => self.system_time_ms(),
            TimestampExtractor::UsePartitionTimeOnInvalidTimestamp if timestamp < 0 => {
                partition_time
            }
            _ => timestamp,
        }
    }

    /// The sources whose records' timestamps are not simply their own.
    pub(crate) fn stamped_sources(&self) -> Vec<usize> {
        let stamps = |extractor| {
            matches!(
                extractor,
                TimestampExtractor::WallclockTimestampExtractor
                    | TimestampExtractor::UsePartitionTimeOnInvalidTimestamp
            )
        };
        let sources = self.sources.iter().enumerate();
        sources
            .filter(|(_, source)| match source.timestamps {
                SourceTimestamps::Extracted => true,
                SourceTimestamps::By(extractor) => stamps(extractor),
                SourceTimestamps::Configured => stamps(self.timestamp_extractor),
            })
            .map(|(index, _)| index)
            .collect()
    }

    /// The timestamp that an extractor finds in a stream's record; `None` where the record cannot be read, or has none.
    ///
    /// # Errors
    /// The extractor's.
    pub fn extract<K: Serde, V: Serde, T: Extracted>(
        &mut self,
        raw: RawRecord<'_>,
        partition_time: Timestamp,
        extractor: impl FnOnce(&Record<K, V>, Timestamp) -> T,
    ) -> TaskResult<Option<Timestamp>> {
        // What cannot be read is told when it is processed.
        let (Ok(key), Ok(value)) = (
            K::deserialize_nullable(raw.key),
            V::deserialize_nullable(raw.value),
        ) else {
            return Ok(None);
        };
        let record = Record {
            key,
            value,
            timestamp: raw.timestamp,
            headers: raw.headers.clone(),
        };
        match extractor(&record, partition_time).extracted() {
            Ok(timestamp) => Ok(Some(timestamp)),
            Err(reason) => Err(self.not_extracted(reason)),
        }
    }

    /// Writes a record to a topic, to the partition of its key.
    ///
    /// # Errors
    /// When key or value have no bytes.
    #[inline]
    pub fn send<K: Serde, V: Serde>(&mut self, topic: usize, record: &Record<K, V>) -> TaskResult {
        self.write(
            topic,
            &record.key,
            &record.value,
            record.timestamp,
            &record.headers,
            To::Key(None),
        )
    }

    /// Writes a table's update to a topic.
    ///
    /// # Errors
    /// When key or value have no bytes.
    #[inline]
    pub fn send_change<K: Serde, V: Serde>(
        &mut self,
        topic: usize,
        record: &Record<K, Change<V>>,
    ) -> TaskResult {
        self.write(
            topic,
            &record.key,
            &record.value.new,
            record.timestamp,
            &record.headers,
            To::Key(None),
        )
    }

    /// Writes a record to a repartition topic. A key type with only one value (`()`) puts all records together.
    #[inline]
    pub(crate) fn repartition<K: Serde, V: Serde>(
        &mut self,
        topic: usize,
        record: &Record<K, V>,
    ) -> TaskResult {
        let null_key = (size_of::<K>() == 0).then_some(&[][..]);
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = record;
        self.write(topic, key, value, *timestamp, headers, To::Key(null_key))
    }

    /// Appends a record to the outbox.
    #[inline]
    fn write<K: Serde, V: Serde>(
        &mut self,
        topic: usize,
        key: &K,
        value: &V,
        timestamp: Timestamp,
        headers: &Headers,
        to: To<'_>,
    ) -> TaskResult {
        let partitions = self.partitions.get(topic).copied().unwrap_or(0);
        let written = self.outbox.write(
            topic,
            Some(timestamp),
            headers.clone(),
            |out| serialize(key, out).map_err(|e| (RecordPart::Key, e)),
            |key| match to {
                To::Partition(partition) => Some(partition),
                To::Key(null_key) => match key.or(null_key) {
                    Some(key) if partitions > 0 => {
                        Some(partition_for_key(K::partition_bytes(key), partitions))
                    }
                    _ => None,
                },
            },
            |out| serialize(value, out).map_err(|e| (RecordPart::Value, e)),
        );
        match written {
            Ok(()) => Ok(()),
            Err((part, reason)) => self.unwritable(topic, part, reason),
        }
    }

    pub(crate) fn topic_name(&self, topic: usize) -> &str {
        let listed = self.topics.get(topic);
        listed
            .or_else(|| {
                self.dynamic_topics
                    .get(topic.checked_sub(self.topics.len())?)
            })
            .map_or("?", |name| name)
    }

    /// Reads a global table's value into `scratch.value`; the key is in `scratch.key`.
    pub(crate) fn global_get(&mut self, global: usize) -> TaskResult<bool> {
        let Some(reader) = self.globals.get(global) else {
            return Err(TaskFailure::Internal(format!("no global table {global}")).into());
        };
        self.scratch.value.clear();
        reader
            .get(&self.scratch.key, &mut self.scratch.value)
            .map_err(|reason| {
                let store = self.topology.globals.get(global).map_or("?", |g| g.node);
                TaskFailure::Store {
                    store: store.to_owned(),
                    reason,
                }
                .into()
            })
    }

    pub(crate) fn global_name(&self, global: usize) -> &'static str {
        self.topology.globals.get(global).map_or("?", |g| g.node)
    }
}

/// Appends a value's bytes; tells whether it is null.
#[inline]
pub(crate) fn serialize<T: Serde>(value: &T, out: &mut Vec<u8>) -> Result<bool, SerdeError> {
    if value.is_null() {
        return Ok(true);
    }
    value.serialize(out).map(|()| false)
}

/// A sink's topic, by a closure that also takes what the record has beside key and value.
#[inline]
pub fn in_context<'r, K, V, N>(
    choose: impl FnOnce(&'r K, &'r V, &RecordContext<'_>) -> N,
    key: &'r K,
    value: &'r V,
    context: &RecordContext<'_>,
) -> N {
    choose(key, value, context)
}
