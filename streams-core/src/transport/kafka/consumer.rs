//! Layer 2. A consumer of given partitions on Kafka: no group, positions of its own, a queue for each partition.
//!
//! It counts positions itself: an end of partition tells the offset past markers and aborted records, and librdkafka's own
//! position is one too far after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};

use super::counts;
use super::errors::{self, Code, Failure};
use super::handle::millis;
use super::partition_queue::{Bell, PartitionQueue};
use super::settings::{Context, Role, Settings};
use crate::record::TopicPartition;
use crate::time::{Clock as _, SystemClock};
use crate::transport::{Consumer, Fetched, TransportError};

type Result<T = ()> = std::result::Result<T, TransportError>;

/// Messages that are taken from one queue before the next has its turn.
const TURN: usize = 1_000;
/// The longest that a wait goes without a look at the queues, whatever the bell says.
const SLICE: Duration = Duration::from_millis(20);
/// How long a broker may take to answer before it is asked again.
const PIECE: Duration = Duration::from_secs(2);
/// How often it is asked for a topic or partition that seems not to be there.
const ATTEMPTS: usize = 25;

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
    clock: SystemClock,
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
    failed: Option<Failure>,
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
            clock: SystemClock::new(),
            client: Client(Arc::new(client)),
        })
    }

    /// That a partition is there, so that a misspelt topic is no reader that waits for ever.
    fn check(&mut self, partition: &TopicPartition) -> Result {
        let is_there = |count: i32| (0..count).contains(&partition.partition);
        if let Some(count) = self.topics.get(&partition.topic)
            && is_there(*count)
        {
            return Ok(());
        }
        // Brokers hear of new topics and partitions one after the other, and another one was asked when it was made.
        let mut attempt = 1;
        loop {
            let timeout = self.settings.request_timeout();
            let missing = match partition_count(&self.client.0, &partition.topic, timeout) {
                Ok(count) => {
                    self.topics.insert(partition.topic.clone(), count);
                    if is_there(count) {
                        return Ok(());
                    }
                    TransportError::UnknownPartition(partition.clone())
                }
                Err(missing @ TransportError::UnknownTopic(_)) => missing,
                Err(other) => return Err(other),
            };
            if attempt == ATTEMPTS {
                return Err(missing);
            }
            attempt += 1;
            self.clock.sleep(SLICE);
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
        let failed = self
            .partitions
            .iter()
            .find_map(|a| Some((a, a.failed.as_ref()?)));
        let Some((assigned, failure)) = failed else {
            return Ok(());
        };
        let partition = assigned.partition.clone();
        Err(match failure.known() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                TransportError::OffsetOutOfRange {
                    partition,
                    offset: assigned.position,
                }
            }
            Some(Code::UnknownPartition) => TransportError::UnknownPartition(partition),
            _ => failure.class_of_topic("reading", &partition.topic),
        })
    }

    /// Looks whether what is read is still there. Where no broker answers, it is.
    fn verify(&mut self) {
        let mut counts = BTreeMap::new();
        for assigned in &mut self.partitions {
            let topic = &assigned.partition.topic;
            let count = counts
                .entry(topic.clone())
                .or_insert_with(|| partition_count(&self.client.0, topic, PIECE));
            match count {
                Ok(count) if (0..*count).contains(&assigned.partition.partition) => {}
                Ok(_) => assigned.failed = Some(Failure::of(Code::UnknownPartition)),
                Err(TransportError::UnknownTopic(_)) => {
                    self.topics.remove(topic);
                    assigned.failed = Some(Failure::of(Code::UnknownTopic));
                }
                Err(error) => tracing::debug!("looking whether it is still there: {error}"),
            }
        }
    }

    /// What librdkafka has to say about the client as a whole. A broker that is away is no error here: fetching goes on when
    /// it is back, and whoever has to commit meanwhile finds out.
    fn listen(&self) -> Result {
        while let Some(event) = self.client.0.poll(Duration::ZERO) {
            let Err(error) = event else { continue };
            match errors::because(
                errors::client("reading", &error),
                self.client.0.context().last_error(),
            ) {
                failed @ (TransportError::Unauthorized(_) | TransportError::Unauthenticated(_)) => {
                    return Err(failed);
                }
                failed => tracing::debug!("{failed}"),
            }
        }
        Ok(())
    }
}

impl Assigned {
    /// Takes at most so many records; tells how many.
    fn take(&mut self, max: usize, into: &mut Vec<Fetched>) -> usize {
        let batch = self.queue.take(max);
        if let Some(failure) = batch.error {
            if lasts(&failure) {
                self.failed = Some(failure);
            } else {
                tracing::debug!(partition = %self.partition, "reading: {}", failure.text);
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
fn lasts(failure: &Failure) -> bool {
    matches!(
        failure.known(),
        Some(
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
    )
}

/// How many partitions a topic has, asked of a broker.
#[expect(unsafe_code, reason = "asks with the client's pointer; see SAFETY")]
fn partition_count(client: &BaseConsumer<Context>, topic: &str, timeout: Duration) -> Result<i32> {
    let context = client.context();
    context.forget_error();
    let mut left = timeout;
    loop {
        // In pieces: a client that is not let in hears of it between them only.
        let piece = left.min(PIECE);
        left = left.saturating_sub(piece);
        // SAFETY: the client lives.
        let asked =
            unsafe { counts::partitions(client.client().native_ptr(), topic, millis(piece)) };
        let failure = match asked {
            Ok(count) => return Ok(count),
            Err(failure) if failure.is_unknown_topic() => {
                return Err(TransportError::UnknownTopic(topic.to_owned()));
            }
            Err(failure) => failure,
        };
        while client.poll(Duration::ZERO).is_some() {}
        let told = context.last_error();
        if left.is_zero() || told.as_ref().is_some_and(Failure::shuts_out) {
            let failed = failure.class(&format!("looking up topic `{topic}`"));
            return Err(errors::because(failed, told));
        }
    }
}

impl Consumer for KafkaConsumer {
    fn assign(&mut self, partitions: &[(TopicPartition, i64)]) -> Result {
        for (partition, _) in partitions {
            self.check(partition)?;
        }
        for (partition, offset) in partitions {
            let there = self.partitions.iter().find(|a| a.partition == *partition);
            let paused = there.is_some_and(|a| a.paused);
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
                queue.map_err(|e| e.class_of_topic("beginning to read", &partition.topic))?;
            self.partitions.push(Assigned {
                partition: partition.clone(),
                queue,
                position: *offset,
                paused,
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
            if self.client.0.context().doubts() {
                self.verify();
            }
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
