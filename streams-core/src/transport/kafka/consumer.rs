//! Layer 2. A consumer of given partitions on Kafka: no group, positions of its own, a queue for each partition.
//!
//! It counts positions itself: an end of partition tells the offset past markers and aborted records, and librdkafka's own
//! position is one too far after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::errors;
use super::partition_queue::{Bell, PartitionQueue};
use super::settings::{Context, Role, Settings};
use crate::record::TopicPartition;
use crate::transport::{Consumer, Fetched, TransportError};

type Result<T = ()> = std::result::Result<T, TransportError>;

/// Messages that are taken from one queue before the next has its turn.
const TURN: usize = 1_000;
/// The longest that a wait goes without a look at the queues, whatever the bell says.
const SLICE: Duration = Duration::from_millis(20);

impl ConsumerContext for Context {}

/// A consumer on Kafka.
#[derive(Debug)]
pub(super) struct KafkaConsumer {
    settings: Arc<Settings>,
    partitions: Vec<Assigned>,
    /// Whose turn is first.
    turn: usize,
    bell: Arc<Bell>,
    /// Partition counts of topics that were looked up.
    topics: BTreeMap<Arc<str>, i32>,
    client: Client,
}

struct Client(Arc<BaseConsumer<Context>>);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

#[derive(Debug)]
struct Assigned {
    partition: TopicPartition,
    queue: PartitionQueue,
    /// The next offset to hand out.
    position: i64,
    paused: bool,
    /// Why it cannot be read until it is moved.
    failed: Option<RDKafkaErrorCode>,
}

impl KafkaConsumer {
    pub(super) fn new(settings: &Arc<Settings>, client_id: &str) -> Result<Self> {
        let config = settings.client_config(Role::of_consumer(client_id), client_id);
        let client = config.create_with_context(Context::default());
        let client = client.map_err(|e| errors::client("making a consumer", &e))?;
        Ok(KafkaConsumer {
            settings: settings.clone(),
            partitions: Vec::new(),
            turn: 0,
            bell: Arc::default(),
            topics: BTreeMap::new(),
            client: Client(Arc::new(client)),
        })
    }

    fn check(&mut self, partition: &TopicPartition) -> Result {
        let count = match self.topics.get(&partition.topic) {
            Some(count) => *count,
            None => {
                let count = partition_count(
                    &self.client.0,
                    &partition.topic,
                    self.settings.request_timeout(),
                )?;
                self.topics.insert(partition.topic.clone(), count);
                count
            }
        };
        if (0..count).contains(&partition.partition) {
            Ok(())
        } else {
            Err(TransportError::UnknownPartition(partition.clone()))
        }
    }

    fn set_paused(&mut self, partitions: &[TopicPartition], paused: bool) {
        for assigned in &mut self.partitions {
            if partitions.contains(&assigned.partition) {
                assigned.paused = paused;
            }
        }
    }

    /// Takes what the queues have, in turns.
    fn fetch(&mut self, max_records: usize, into: &mut Vec<Fetched>) {
        let count = self.partitions.len();
        if count == 0 {
            return;
        }
        self.turn = (self.turn + 1) % count;
        let (before, first) = self.partitions.split_at_mut(self.turn);
        let mut room = max_records;
        for assigned in first.iter_mut().chain(before) {
            if room == 0 {
                break;
            }
            if !assigned.paused && assigned.failed.is_none() {
                room = room.saturating_sub(assigned.take(room.min(TURN), into));
            }
        }
    }

    /// The first partition that cannot be read.
    fn failure(&self) -> Result {
        let failed = self.partitions.iter().find_map(|a| Some((a, a.failed?)));
        let Some((assigned, code)) = failed else {
            return Ok(());
        };
        let partition = assigned.partition.clone();
        Err(match code {
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
                TransportError::OffsetOutOfRange {
                    partition,
                    offset: assigned.position,
                }
            }
            RDKafkaErrorCode::UnknownPartition => TransportError::UnknownPartition(partition),
            code => errors::of_topic("reading", &partition.topic, code),
        })
    }

    /// What librdkafka has to say about the client as a whole. A broker that is away is no error here: fetching goes on when
    /// it is back, and whoever has to commit meanwhile finds out.
    fn listen(&self) -> Result {
        while let Some(event) = self.client.0.poll(Duration::ZERO) {
            let Err(error) = event else { continue };
            let failed = errors::client("reading", &error);
            match (failed, self.client.0.context().last_error()) {
                (TransportError::Unauthorized(told), Some(reason)) => {
                    return Err(TransportError::Unauthorized(format!("{told}: {reason}")));
                }
                (failed @ TransportError::Unauthorized(_), None) => return Err(failed),
                (failed, _) => tracing::debug!("{failed}"),
            }
        }
        Ok(())
    }
}

impl Assigned {
    /// Takes at most so many records; tells how many.
    fn take(&mut self, max: usize, into: &mut Vec<Fetched>) -> usize {
        let batch = self.queue.take(max);
        if let Some(code) = batch.error {
            if lasts(code) {
                self.failed = Some(code);
            } else {
                tracing::debug!(partition = %self.partition, "reading: {code}");
            }
        }
        if let Some(last) = batch.records.last() {
            self.position = last.offset + 1;
        }
        if let Some(end) = batch.end {
            self.position = self.position.max(end);
        }
        let count = batch.records.len();
        if count > 0 || batch.end.is_some() {
            into.push(Fetched {
                partition: self.partition.clone(),
                records: batch.records,
                next_offset: self.position,
                at_end: batch.end.is_some(),
            });
        }
        count
    }
}

/// Whether librdkafka has given the partition up until it is begun anew. All else it tries again by itself.
fn lasts(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AutoOffsetReset
            | Code::OffsetOutOfRange
            | Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopicId
            | Code::UnknownPartition
            | Code::TopicAuthorizationFailed
            | Code::LogTruncation
            | Code::BadMessage
            | Code::InvalidMessage
    )
}

/// How many partitions a topic has, asked of a broker.
fn partition_count(client: &BaseConsumer<Context>, topic: &str, timeout: Duration) -> Result<i32> {
    let metadata = client.fetch_metadata(Some(topic), timeout).map_err(|e| {
        let failed = match &e {
            KafkaError::MetadataFetch(code) => errors::of_topic("looking up", topic, *code),
            other => errors::client("looking up a topic", other),
        };
        errors::with_reason(failed, client.context().last_error())
    })?;
    let found = metadata.topics().iter().find(|t| t.name() == topic);
    let Some(found) = found else {
        return Err(TransportError::UnknownTopic(topic.to_owned()));
    };
    match found.error() {
        Some(code) => Err(errors::of_topic("looking up", topic, code.into())),
        None => Ok(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)),
    }
}

impl Consumer for KafkaConsumer {
    fn assign(&mut self, partitions: &[(TopicPartition, i64)]) -> Result {
        for (partition, _) in partitions {
            self.check(partition)?;
        }
        for (partition, offset) in partitions {
            // The old one ends before the new one begins: librdkafka fetches a partition only once.
            self.unassign(std::slice::from_ref(partition));
            let queue = PartitionQueue::start(
                &self.client.0,
                &partition.topic,
                partition.partition,
                *offset,
                &self.bell,
            );
            let queue =
                queue.map_err(|e| errors::of_topic("beginning to read", &partition.topic, e))?;
            self.partitions.push(Assigned {
                partition: partition.clone(),
                queue,
                position: *offset,
                paused: false,
                failed: None,
            });
        }
        Ok(())
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) {
        self.partitions
            .retain(|a| !partitions.contains(&a.partition));
    }

    fn pause(&mut self, partitions: &[TopicPartition]) {
        self.set_paused(partitions, true);
    }

    fn resume(&mut self, partitions: &[TopicPartition]) {
        self.set_paused(partitions, false);
    }

    fn poll(&mut self, timeout: Duration, max_records: usize, into: &mut Vec<Fetched>) -> Result {
        let before = into.len();
        let mut left = timeout;
        loop {
            self.bell.silence();
            self.fetch(max_records, into);
            self.failure()?;
            if into.len() > before {
                return Ok(());
            }
            self.listen()?;
            if left.is_zero() {
                return Ok(());
            }
            // Not by the clock: what matters is that it ends, also where only a paused partition rings.
            let slice = left.min(SLICE);
            let waited = if self.bell.wait(slice) {
                Duration::from_millis(1)
            } else {
                slice
            };
            left = left.saturating_sub(waited);
        }
    }
}
