//! Layer 5. Global tables and global stores: each instance has all partitions of their topics. Read to the end before the first
//! record is processed, then kept current; every step commits, so readers on any thread see what the last one brought. What a
//! processor keeps is processed in both cases, as Kafka Streams does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::StreamsConfig;
use crate::context::{TaskContext, TaskContextParts};
use crate::error::{RecordPart, TaskError, TaskFailure, TaskResult, of_a_record};
use crate::exceptions::{
    DeadLetter, Decision, DeserializationException, ErrorHandlerContext, ErrorHandlers,
};
use crate::generated::SubTopology;
use crate::outbox::{Outbox, Outgoing};
use crate::query::{ByteReader, QueryRegistry};
use crate::record::{RawRecord, TaskId, TopicPartition};
use crate::restore::{COLLECTED_BYTES, Done, RestoreProgress, Teller, stored_value};
use crate::store::{Segments, StoreError, StoreSettings, StoreSpec, TaskStores};
use crate::task::{StateLocation, SubTopologies, state_error};
use crate::time::Clock;
use crate::topics::ResolvedTopology;
use crate::topology::{KeptBy, StoreDescriptor, TopicDescriptor};
use crate::transport::{
    Admin, ConsumedRecord, Consumer, Fetched, OffsetRange, Producer, ProducerSpec, Transport,
    TransportError,
};

/// Records that are taken in one step.
const RECORDS_PER_STEP: usize = 10_000;

/// What global tables need of an application.
pub(crate) struct GlobalParts<'a> {
    pub(crate) topology: &'a ResolvedTopology,
    pub(crate) subtopologies: &'a SubTopologies,
    pub(crate) config: &'a StreamsConfig,
    pub(crate) state: &'a StateLocation,
    pub(crate) transport: &'a dyn Transport,
    pub(crate) client_id: &'a str,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) teller: Teller,
}

/// All global tables and global stores of an application.
pub(crate) struct GlobalTables {
    consumer: Box<dyn Consumer>,
    admin: Box<dyn Admin>,
    /// The stores, and what the processors that keep some of them see.
    cx: TaskContext,
    /// The processors, if there are any.
    processors: Option<Box<dyn SubTopology>>,
    tables: Vec<Table>,
    partitions: BTreeMap<TopicPartition, Position>,
    errors: ErrorHandlers,
    dead_letters: DeadLetters,
    fetched: Vec<Fetched>,
    dropped_records: u64,
    teller: Teller,
    done: Done,
}

/// What goes to a dead-letter queue: written before the state that leaves it out, so at least once, and by every instance, as
/// each reads all of a global table's topic.
struct DeadLetters {
    /// There if anything may go there.
    producer: Option<Box<dyn Producer>>,
    outbox: Outbox,
    topics: Vec<Arc<str>>,
}

/// A global table.
#[derive(Debug)]
struct Table {
    node: &'static str,
    topic: &'static TopicDescriptor,
    store: &'static StoreDescriptor,
    /// The store's index in the topology.
    index: usize,
    kept_by: KeptBy,
}

/// How far a partition was read.
#[derive(Debug)]
struct Position {
    table: usize,
    next: i64,
    /// Its end when it was opened.
    end: i64,
    /// Records taken since then, and those of them that no commit has yet.
    restored: u64,
    uncommitted: u64,
    /// Whether the listener was told of the start and not of the end.
    told: bool,
}

impl fmt::Debug for GlobalTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalTables")
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

impl GlobalTables {
    /// Opens the tables as of their last commit; `None` where the topology has none.
    pub(crate) fn open(parts: GlobalParts<'_>) -> TaskResult<Option<GlobalTables>> {
        let GlobalParts {
            topology,
            config,
            transport,
            client_id,
            ..
        } = parts;
        let descriptor = topology.descriptor;
        let tables: Vec<Table> = descriptor
            .globals
            .iter()
            .filter_map(|global| {
                let topic = descriptor.topics.get(global.topic)?;
                let store = descriptor.stores.get(global.store)?;
                Some(Table {
                    node: global.node,
                    topic,
                    store,
                    index: global.store,
                    kept_by: global.kept_by,
                })
            })
            .collect();
        if tables.is_empty() {
            return Ok(None);
        }
        let processed = tables.iter().any(|t| t.kept_by == KeptBy::Processor);
        let processors = match processed {
            true => Some((parts.subtopologies)(descriptor.subtopologies.len())?),
            false => None,
        };
        let cx = TaskContext::of_globals(TaskContextParts {
            topology: descriptor,
            task: TaskId::GLOBAL,
            topics: topology.names.clone(),
            partitions: topology.partitions.clone(),
            stores: open_stores(&tables, parts.state)?,
            cache_max_bytes: 0,
            globals: Vec::new(),
            clock: parts.clock,
            emit_interval_ms: 0,
            errors: config.errors.clone(),
            timestamp_extractor: config.timestamp_extractor,
        });
        let mut partitions = BTreeMap::new();
        for (table, global) in descriptor.globals.iter().enumerate() {
            let count = i32::try_from(topology.partition_count(global.topic)).unwrap_or(i32::MAX);
            for partition in 0..count {
                let partition = TopicPartition::new(topology.name(global.topic), partition);
                partitions.insert(
                    partition,
                    Position {
                        table,
                        next: 0,
                        end: 0,
                        restored: 0,
                        uncommitted: 0,
                        told: false,
                    },
                );
            }
        }
        let mut globals = GlobalTables {
            consumer: transport.consumer(&format!("{client_id}-global-consumer"))?,
            admin: transport.admin()?,
            cx,
            processors,
            tables,
            partitions,
            dead_letters: DeadLetters {
                producer: if config.errors.need_source() {
                    Some(transport.producer(&ProducerSpec {
                        client_id: format!("{client_id}-global-producer"),
                        transactional_id: None,
                    })?)
                } else {
                    None
                },
                outbox: Outbox::default(),
                topics: Vec::new(),
            },
            errors: config.errors.clone(),
            fetched: Vec::new(),
            dropped_records: 0,
            teller: parts.teller,
            done: Done::default(),
        };
        // Tables in memory begin empty, whatever is remembered of them by those on disk.
        let stores = globals.cx.stores_mut();
        let mut checkpoint = stores.checkpoint().clone();
        checkpoint.inputs.retain(|partition, _| {
            let at = globals.partitions.get(partition);
            at.is_some_and(|at| stores.is_on_disk(at.table))
        });
        stores.commit(checkpoint).map_err(state_error)?;
        globals.seek()?;
        if let Some(processors) = &mut globals.processors {
            globals.cx.init(&mut **processors)?;
        }
        Ok(Some(globals))
    }

    /// Goes on where the last commit stopped; a table whose topic has not these offsets any more is read anew.
    fn seek(&mut self) -> TaskResult {
        let names: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
        let ranges = self.admin.offsets(&names)?;
        // What was processed since the last commit is processed again.
        self.cx.abort();
        let stores = self.cx.stores_mut();
        let mut checkpoint = stores.checkpoint().clone();
        for table in 0..self.tables.len() {
            let mine: Vec<(&TopicPartition, &OffsetRange)> = names
                .iter()
                .zip(&ranges)
                .filter(|(p, _)| self.partitions.get(p).is_some_and(|at| at.table == table))
                .collect();
            let goes_on = mine.iter().all(|(p, range)| {
                checkpoint
                    .inputs
                    .get(*p)
                    .is_some_and(|next| (range.start..=range.end).contains(next))
            });
            if !goes_on {
                let known = mine.iter().any(|(p, _)| checkpoint.inputs.contains_key(*p));
                self.done.wiped += u64::from(known);
                stores.clear(table).map_err(state_error)?;
            }
            for (partition, range) in mine {
                let stored = checkpoint
                    .inputs
                    .get(partition)
                    .copied()
                    .filter(|_| goes_on);
                let next = stored.unwrap_or(range.start);
                checkpoint.inputs.insert(partition.clone(), next);
                if let Some(at) = self.partitions.get_mut(partition) {
                    let store = self.tables.get(table).map_or("", |t| t.store.name);
                    if std::mem::take(&mut at.told) {
                        self.teller.suspended(partition, store, at.restored);
                    }
                    (at.next, at.end) = (next, range.end);
                    (at.restored, at.uncommitted, at.told) = (0, 0, next < range.end);
                    if at.told {
                        self.teller.started(RestoreProgress {
                            partition: partition.clone(),
                            store,
                            task: None,
                            starting_offset: next,
                            offset: next,
                            ending_offset: range.end,
                        });
                    }
                }
            }
        }
        stores.commit(checkpoint).map_err(state_error)?;
        let starts: Vec<(TopicPartition, i64)> = self
            .partitions
            .iter()
            .map(|(partition, at)| (partition.clone(), at.next))
            .collect();
        Ok(self.consumer.assign(&starts)?)
    }

    /// A reader for each table, in the topology's order.
    pub(crate) fn readers(&self) -> Vec<Arc<dyn ByteReader>> {
        let reader = self.cx.stores().reader();
        let single = |(number, table): (usize, &Table)| {
            Arc::new(reader.single(number, table.store.kind)) as Arc<dyn ByteReader>
        };
        self.tables.iter().enumerate().map(single).collect()
    }

    /// Makes the tables queryable.
    pub(crate) fn register(&self, queries: &QueryRegistry) {
        for (table, reader) in self.tables.iter().zip(self.readers()) {
            queries.register(table.index, 0, reader);
        }
    }

    /// Whether everything that was there when they were opened was read.
    pub(crate) fn is_bootstrapped(&self) -> bool {
        self.partitions.values().all(|at| at.next >= at.end)
    }

    /// Takes what is new, waiting for it up to `wait`, and commits it. Tells how many records.
    pub(crate) fn step(&mut self, wait: Duration) -> TaskResult<usize> {
        let polled = self
            .consumer
            .poll(wait, RECORDS_PER_STEP, &mut self.fetched);
        let fetched = std::mem::take(&mut self.fetched);
        let mut count = 0;
        for batch in &fetched {
            count += batch.records.len();
            self.take(batch)?;
        }
        // What is there already is written in large parts: LMDB copies every page that a commit touches.
        let enough =
            self.is_bootstrapped() || self.cx.stores().uncommitted_bytes() >= COLLECTED_BYTES;
        if !fetched.is_empty() && enough {
            self.commit()?;
        }
        match polled {
            Err(TransportError::OffsetOutOfRange { partition, offset }) => {
                tracing::warn!(%partition, offset, "records of a global table's topic are gone; reading it anew");
                self.seek()?;
            }
            other => other?,
        }
        Ok(count)
    }

    fn commit(&mut self) -> TaskResult {
        self.send_dead_letters()?;
        let mut checkpoint = self.cx.stores().checkpoint().clone();
        for (partition, at) in &self.partitions {
            checkpoint.inputs.insert(partition.clone(), at.next);
        }
        self.cx
            .stores_mut()
            .commit(checkpoint)
            .map_err(state_error)?;
        for (partition, at) in self.partitions.iter_mut().filter(|(_, at)| at.told) {
            let store = self.tables.get(at.table).map_or("", |t| t.store.name);
            let next = at.next.min(at.end);
            if at.uncommitted > 0 {
                self.teller.batch(partition, store, next, at.uncommitted);
                self.done.restored += at.uncommitted;
                at.restored += at.uncommitted;
                at.uncommitted = 0;
            }
            if at.next >= at.end {
                at.told = false;
                self.teller.ended(partition, store, at.restored);
            }
        }
        Ok(())
    }

    fn take(&mut self, batch: &Fetched) -> TaskResult {
        let Some(at) = self.partitions.get_mut(&batch.partition) else {
            return Ok(());
        };
        let number = at.table;
        let mut value = Vec::new();
        for record in &batch.records {
            let Some(table) = self.tables.get(number) else {
                continue;
            };
            if let (KeptBy::Processor, Some(processors)) = (table.kept_by, &mut self.processors) {
                // As Kafka Streams does, while it restores.
                if record.key.is_none() && record.offset < at.end {
                    continue;
                }
                let raw = RawRecord {
                    key: record.key.as_deref(),
                    value: record.value.as_deref(),
                    timestamp: record.timestamp,
                    headers: &record.headers,
                };
                let (partition, offset) = (batch.partition.partition, record.offset);
                let processed =
                    self.cx
                        .process_global(&mut **processors, number, partition, offset, raw);
                if processed.is_err() {
                    last_dead_letters(&mut self.cx, &mut self.dead_letters);
                }
                processed?;
                continue;
            }
            match check(table, record) {
                Ok(Some(key)) => {
                    value.clear();
                    if let Some(bytes) = record.value.as_deref() {
                        stored_value(table.store.kind, record.timestamp, bytes, &mut value);
                    }
                    let stored = record.value.as_ref().map(|_| value.as_slice());
                    let stores = self.cx.stores_mut();
                    stores.put(number, key, stored).map_err(state_error)?;
                }
                // What was there before is restored, not processed: Kafka Streams does not count it.
                Ok(None) if record.offset < at.end => {}
                Ok(None) => self.dropped_records += 1,
                Err(error) => {
                    let partition = &batch.partition;
                    let failed = failed(
                        &self.errors,
                        &mut self.dead_letters,
                        table,
                        partition,
                        record,
                        error,
                    );
                    if failed.is_err() {
                        last_dead_letters(&mut self.cx, &mut self.dead_letters);
                    }
                    failed?;
                    self.dropped_records += 1;
                }
            }
        }
        at.next = batch.next_offset;
        if at.told {
            let there = batch.records.iter().filter(|r| r.offset < at.end);
            at.uncommitted += there.count() as u64;
            self.teller.reached(&batch.partition, at.next);
        }
        Ok(())
    }

    fn send_dead_letters(&mut self) -> TaskResult {
        send_dead_letters(&mut self.cx, &mut self.dead_letters)
    }

    /// What was done to bring the tables up to date.
    pub(crate) fn done(&self) -> Done {
        self.done
    }

    /// Records that were not taken.
    pub(crate) fn dropped_records(&self) -> u64 {
        self.dropped_records + self.cx.dropped_records()
    }

    /// What reads the stores for tests, and a store's number there by its index in the topology.
    pub(crate) fn reading(&mut self, index: usize) -> Option<(&mut TaskContext, usize)> {
        let number = self.tables.iter().position(|t| t.index == index)?;
        Some((&mut self.cx, number))
    }

    /// Closes the state cleanly.
    pub(crate) fn close(mut self) -> TaskResult {
        if let Some(processors) = &mut self.processors {
            processors.close();
        }
        self.cx.into_stores().close().map_err(state_error)
    }
}

/// The key, if the record is one of the table's types; `None` has no key.
fn check<'r>(
    table: &Table,
    record: &'r ConsumedRecord,
) -> Result<Option<&'r [u8]>, DeserializationException> {
    let unreadable = |part, reason| DeserializationException { part, reason };
    let Some(key) = record.key.as_deref() else {
        return Ok(None);
    };
    (table.topic.key.check)(Some(key)).map_err(|e| unreadable(RecordPart::Key, e))?;
    if let Some(value) = record.value.as_deref() {
        (table.topic.value.check)(Some(value)).map_err(|e| unreadable(RecordPart::Value, e))?;
    }
    Ok(Some(key))
}

/// A record that cannot be read: `Ok` where the handler says to go on without it.
fn failed(
    errors: &ErrorHandlers,
    dead_letters: &mut DeadLetters,
    table: &Table,
    partition: &TopicPartition,
    record: &ConsumedRecord,
    error: DeserializationException,
) -> TaskResult {
    let context = ErrorHandlerContext {
        topic: &partition.topic,
        partition: partition.partition,
        offset: record.offset,
        headers: &record.headers,
        node: table.node,
        task: None,
        timestamp: record.timestamp,
        source_raw_key: record.key.as_deref(),
        source_raw_value: record.value.as_deref(),
        dead_letter_queue: errors.dead_letter_queue.as_ref(),
    };
    let response = errors.deserialization(&context, &error);
    let response = response.map_err(|message| TaskFailure::Handler {
        handler: "deserialization exception handler",
        message,
        about: context.to_string(),
    })?;
    for letter in &response.dead_letters {
        dead_letters.push(letter);
    }
    if response.result == Decision::Fail {
        return Err(TaskFailure::Deserialization {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            offset: record.offset,
            node: table.node,
            part: error.part,
            reason: error.reason,
        }
        .into());
    }
    Ok(())
}

impl DeadLetters {
    fn push(&mut self, letter: &DeadLetter) {
        let known = self.topics.iter().position(|topic| *topic == letter.topic);
        let topic = known.unwrap_or_else(|| {
            self.topics.push(letter.topic.clone());
            self.topics.len() - 1
        });
        self.outbox.push_dead_letter(Outgoing {
            topic,
            partition: None,
            key: letter.key.as_deref(),
            value: letter.value.as_deref(),
            timestamp: Some(letter.timestamp).filter(|timestamp| *timestamp >= 0),
            headers: &letter.headers,
        });
    }
}

/// Brings dead letters into the log: those of tables, and those of processors.
fn send_dead_letters(cx: &mut TaskContext, letters: &mut DeadLetters) -> TaskResult {
    let DeadLetters {
        producer,
        outbox,
        topics,
    } = letters;
    send(producer, outbox, topics)?;
    if !cx.outbox().is_empty() {
        let topics = cx.outbox_topics();
        send(producer, cx.outbox_mut(), &topics)?;
    }
    Ok(())
}

/// The same where a record has failed for good: that is the error then, whatever becomes of its dead letter.
fn last_dead_letters(cx: &mut TaskContext, letters: &mut DeadLetters) {
    if let Err(e) = send_dead_letters(cx, letters) {
        tracing::warn!("a dead letter was not written: {e}");
    }
}

fn send(
    producer: &mut Option<Box<dyn Producer>>,
    outbox: &mut Outbox,
    topics: &[Arc<str>],
) -> TaskResult {
    if outbox.is_empty() {
        return Ok(());
    }
    if let Some(producer) = producer {
        producer
            .send(outbox, topics)
            .and_then(|()| producer.flush())
            .map_err(|e| match of_a_record(e) {
                Ok(reason) => TaskError::from(TaskFailure::DeadLetter { reason }),
                Err(e) => e.into(),
            })?;
    }
    outbox.clear();
    Ok(())
}

fn open_stores(tables: &[Table], state: &StateLocation) -> TaskResult<TaskStores> {
    let specs: Vec<StoreSpec> = tables
        .iter()
        .map(|t| StoreSpec {
            name: t.store.name.into(),
            backend: t.store.backend,
            segments: Segments::of(t.store.kind, t.store.backend),
        })
        .collect();
    let settings = StoreSettings::default();
    let StateLocation::Directory(directory) = state else {
        return TaskStores::in_memory(&specs, &settings).map_err(state_error);
    };
    let open = || -> Result<TaskStores, StoreError> {
        TaskStores::open(directory.global()?, &specs, &settings)
    };
    match open() {
        Err(e) if e.is_damage() => {
            tracing::warn!("the global tables' state is damaged and will be read anew: {e}");
            directory
                .remove_global()
                .map_err(|e| state_error(e.into()))?;
            open().map_err(state_error)
        }
        other => other.map_err(state_error),
    }
}
