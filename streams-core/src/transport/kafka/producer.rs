//! Layer 2. Kafka's producer: idempotent, or transactional where it has an id. Says of each failure what has to be done about it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::errors::{self, Code, Failure};
use super::handle::millis;
use super::sending::{Sender, Undelivered};
use super::settings::{Role, Settings};
use crate::outbox::{Outbox, Outgoing};
use crate::partitioner::partition_for_key;
use crate::record::TopicPartition;
use crate::time::{Clock, SystemClock};
use crate::transport::{CommittedOffset, GroupMetadata, Producer, ProducerSpec, TransportError};

type Result<T> = std::result::Result<T, TransportError>;

/// How long a call waits for brokers before it says "try again". What it began goes on meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a topic that a broker does not know may be one that it does not know yet.
const NEW_TOPIC: Duration = Duration::from_secs(2);
/// How long to believe in a partition count, as Kafka's `metadata.max.age.ms`.
const TOPIC_AGE: Duration = Duration::from_secs(300);
/// Records and bytes that may be under way before `send` waits for some to arrive.
const MAX_IN_FLIGHT: usize = 100_000;
const MAX_BYTES_IN_FLIGHT: usize = 64 << 20;
/// What a batch of one record has beyond key, value and headers, at least.
const BATCH_OVERHEAD: usize = 61;

/// A producer of a Kafka cluster.
#[derive(Debug)]
pub(super) struct KafkaProducer {
    sender: Sender,
    clock: SystemClock,
    id: Option<String>,
    /// `transaction.timeout.ms`.
    expiry: Duration,
    compressed: bool,
    /// How much librdkafka puts into a batch.
    batch_size: usize,
    state: State,
    /// Why the transaction can only be aborted.
    doomed: Option<String>,
    /// Whether a record of the transaction was refused. A broker would refuse the next one, too, whose number does not follow.
    has_gap: bool,
    /// By index into the `topics` of the last `send`.
    names: Vec<Option<(Arc<str>, usize)>>,
    /// By the sender's topic index.
    topics: Vec<Topic>,
    /// Where each record of the outbox at hand goes.
    routes: Vec<(usize, i32)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// No transactional id.
    Plain,
    /// `init` is still to come.
    New,
    /// Between transactions.
    Ready,
    /// In one, since then.
    Open(Duration),
    /// A commit of it is under way; only it can be repeated.
    Committing(Duration),
    /// An abort of it is under way; only it can be repeated.
    Aborting(Duration),
    /// Another producer took over.
    Fenced(String),
    /// Of no more use.
    Unusable(String),
}

/// A topic as a broker last told.
#[derive(Debug)]
struct Topic {
    partitions: u32,
    /// Its `max.message.bytes`, if that may be asked.
    limit: Option<usize>,
    asked: Duration,
    /// Where the next record without key and partition goes.
    turn: u32,
    /// Bytes of a batch with all that is queued, by partition. Only counted where the topic takes less than a batch.
    queued: BTreeMap<i32, usize>,
}

/// Why a record does not fit a topic.
enum Misfit {
    /// Too little is known about the topic, or for too long.
    Stale,
    TooLarge {
        size: usize,
        limit: usize,
    },
    NoPartition(i32),
}

impl Topic {
    fn queued_for(&mut self, partition: i32) -> &mut usize {
        self.queued.entry(partition).or_insert(BATCH_OVERHEAD)
    }

    /// The partition of a record.
    fn place(
        &mut self,
        record: &Outgoing<'_>,
        compressed: bool,
        now: Duration,
    ) -> std::result::Result<i32, Misfit> {
        let size = record_size(record);
        // What is compressed only the broker can measure.
        if let Some(limit) = self.limit
            && size + BATCH_OVERHEAD > limit
            && !compressed
        {
            return Err(Misfit::TooLarge { size, limit });
        }
        if let Some(partition) = record.partition {
            return match u32::try_from(partition) {
                Ok(p) if p < self.partitions => Ok(partition),
                _ => Err(Misfit::NoPartition(partition)),
            };
        }
        if self.partitions == 0 || now.saturating_sub(self.asked) > TOPIC_AGE {
            return Err(Misfit::Stale);
        }
        if let Some(key) = record.key {
            return Ok(partition_for_key(key, self.partitions));
        }
        let turn = self.turn.checked_rem(self.partitions).unwrap_or_default();
        self.turn = turn.wrapping_add(1);
        Ok(i32::try_from(turn).unwrap_or_default())
    }
}

impl KafkaProducer {
    /// A producer, not yet connected.
    pub(super) fn new(settings: &Arc<Settings>, spec: &ProducerSpec) -> Result<Self> {
        let mut config = settings.client_config(Role::Producer, &spec.client_id);
        let mut default = |key: &str, value: &str| {
            if config.get(key).is_none() {
                config.set(key, value);
            }
        };
        // The topic's limit is the one that counts.
        default("message.max.bytes", "1000000000");
        if spec.transactional_id.is_some() {
            default("transaction.timeout.ms", "10000");
        } else {
            // What is to be given up is for `task.timeout.ms` to say.
            default("message.timeout.ms", "0");
        }
        if let Some(id) = &spec.transactional_id {
            config.set("transactional.id", id);
        }
        let setting = |key: &str| config.get(key).map(str::to_owned);
        let expiry = setting("transaction.timeout.ms")
            .and_then(|ms| ms.parse().ok())
            .unwrap_or(60_000);
        let codec = setting("compression.type").or_else(|| setting("compression.codec"));
        Ok(KafkaProducer {
            sender: Sender::new(&config)?,
            clock: SystemClock::new(),
            id: spec.transactional_id.clone(),
            expiry: Duration::from_millis(expiry),
            compressed: codec.is_some_and(|codec| codec != "none"),
            batch_size: setting("batch.size")
                .and_then(|bytes| bytes.parse().ok())
                .unwrap_or(1_000_000),
            state: if spec.transactional_id.is_some() {
                State::New
            } else {
                State::Plain
            },
            doomed: None,
            has_gap: false,
            names: Vec::new(),
            topics: Vec::new(),
            routes: Vec::new(),
        })
    }

    /// What a call in the wrong state means.
    fn misuse(&self, call: &str) -> TransportError {
        match &self.state {
            State::Fenced(why) => TransportError::Fenced(why.clone()),
            State::Unusable(why) => TransportError::Unusable(why.clone()),
            State::Committing(_) | State::Aborting(_) => TransportError::Unusable(format!(
                "`{call}` while the end of a transaction is still under way"
            )),
            State::New => TransportError::Fatal(format!("`{call}` before `init`")),
            State::Ready => TransportError::Fatal(format!("`{call}` outside a transaction")),
            State::Open(_) => TransportError::Fatal(format!("`{call}` within a transaction")),
            State::Plain => {
                TransportError::Fatal(format!("`{call}` on a producer without transactional id"))
            }
        }
    }

    /// What has to be done about a failure of a call, and remembers what it means for the next one.
    fn failed(&mut self, call: &str, failure: Failure) -> TransportError {
        let failure = match self.sender.handle().fatal() {
            Some(fatal) if !failure.fatal => fatal,
            _ => failure,
        };
        let text = failure.report(call);
        if fences(&failure) && (failure.fatal || failure.is(Code::Fenced)) {
            let since = match self.state {
                State::Open(since) | State::Committing(since) | State::Aborting(since) => since,
                _ => self.clock.elapsed(),
            };
            let open = self.clock.elapsed().saturating_sub(since);
            // A broker tells both with the same code.
            if open >= self.expiry {
                let why = format!(
                    "the transaction was open for {open:?}, longer than transaction.timeout.ms = {}: the broker aborted it. \
                     Commit more often, or raise `producer.transaction.timeout.ms`: {text}",
                    self.expiry.as_millis()
                );
                self.state = State::Unusable(why.clone());
                return TransportError::Unusable(why);
            }
            let id = self.id.as_deref().unwrap_or_default();
            let why =
                format!("a newer producer with transactional id `{id}` has taken over: {text}");
            self.state = State::Fenced(why.clone());
            return TransportError::Fenced(why);
        }
        if failure.fatal && failure.is_refusal() {
            return failure.class(call);
        }
        if failure.fatal || failure.is(Code::Conflict) {
            self.state = State::Unusable(text.clone());
            return TransportError::Unusable(text);
        }
        if failure.is(Code::FencedInstanceId) {
            return TransportError::Fenced(text);
        }
        if failure.abort {
            self.doomed = Some(text.clone());
            if failure.is_refusal() {
                return failure.class(call);
            }
            return TransportError::Abortable(text);
        }
        // What the connections say waits to be called for.
        self.sender.poll(0);
        match self.sender.handle().last_error() {
            // Waiting longer does not help.
            Some(reason) if reason.is_refusal() => reason.class(call),
            reason if failure.retriable => errors::because(TransportError::Retriable(text), reason),
            reason => errors::because(failure.class(call), reason),
        }
    }

    /// What a record that never will be in the log means.
    fn undelivered(&mut self, lost: &Undelivered) -> TransportError {
        let failure = Failure::of_number(lost.code);
        let name = self
            .sender
            .name(lost.topic)
            .cloned()
            .unwrap_or_else(|| "?".into());
        let partition = TopicPartition::new(name.clone(), lost.partition);
        let limit = self.topics.get(lost.topic).and_then(|t| t.limit);
        let fits = limit.is_some_and(|limit| lost.size + BATCH_OVERHEAD <= limit);
        let error = if failure.is(Code::MessageSizeTooLarge) && fits {
            // Its batch was too large: the topic takes less than it did when it was asked.
            self.forget(lost.topic);
            TransportError::Abortable(failure.report(&format!(
                "a batch with a record for {partition} was refused"
            )))
        } else if failure.is(Code::MessageSizeTooLarge) {
            TransportError::RecordTooLarge {
                topic: name.to_string(),
                size: lost.size,
                limit,
            }
        } else if failure.is_unknown_topic()
            || (is_of_partition(&failure) && self.is_gone(lost.topic))
        {
            self.forget(lost.topic);
            TransportError::UnknownTopic(name.to_string())
        } else if failure.is(Code::UnknownPartition) {
            self.forget(lost.topic);
            TransportError::UnknownPartition(partition)
        } else if failure.is_refusal() {
            failure.class(&format!("writing to {partition}"))
        } else {
            let not_written = format!("a record for {partition} was not written");
            match self.failed_transaction() {
                Some(failed) if failed.is_refusal() => {
                    failed.class(&format!("writing to {partition}"))
                }
                Some(failed) if is_thrown_away(&failure) => {
                    TransportError::Abortable(failed.report(&not_written))
                }
                _ => TransportError::Abortable(failure.report(&not_written)),
            }
        };
        if matches!(self.state, State::Open(_) | State::Committing(_)) {
            self.doomed = Some(error.to_string());
            self.has_gap = true;
        }
        error
    }

    /// Why the open transaction has failed, if it has. Its records only tell that they were thrown away.
    fn failed_transaction(&self) -> Option<Failure> {
        if !matches!(self.state, State::Open(_)) {
            return None;
        }
        // What is begun already is not begun again: a failed transaction answers with its error, any other one with its state.
        let answer = self.sender.begin().err();
        answer.filter(|failure| failure.abort)
    }

    /// Why records were not taken within [`PATIENCE`]. librdkafka waits for a topic that vanished, and says nothing about it.
    fn waited_in_vain(&mut self, call: &str, failure: Failure) -> TransportError {
        let topics = 0..self.topics.len();
        if let Some(topic) = errors::first_unknown(topics, |topic| self.still_there(topic)) {
            self.forget(topic);
            let name = self.sender.name(topic).map_or("?", |name| name);
            return TransportError::UnknownTopic(name.to_owned());
        }
        self.failed(call, failure)
    }

    /// Whether a topic that was there is not any more.
    fn is_gone(&self, topic: usize) -> bool {
        self.still_there(topic).is_err_and(|e| e.is_unknown_topic())
    }

    fn still_there(&self, topic: usize) -> std::result::Result<(), Failure> {
        let (sender, setting) = (&self.sender, "max.message.bytes");
        sender
            .topic_setting(topic, setting, millis(PATIENCE))
            .map(|_| ())
    }

    /// A topic that changed is asked about anew.
    fn forget(&mut self, topic: usize) {
        self.names.clear();
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.partitions = 0;
        }
    }

    /// The sender's index of a topic index, known well enough to send to it.
    fn queue(&mut self, index: usize, topics: &[Arc<str>]) -> Result<usize> {
        let name = topics.get(index).ok_or_else(|| {
            TransportError::Fatal(format!(
                "topic index {index} is beyond the {} topics given",
                topics.len()
            ))
        })?;
        if let Some(Some((known, queue))) = self.names.get(index)
            && (Arc::ptr_eq(known, name) || known == name)
        {
            return Ok(*queue);
        }
        let queue = self.sender.topic(name)?;
        self.ask(queue)?;
        if self.names.len() <= index {
            self.names.resize(index + 1, None);
        }
        if let Some(slot) = self.names.get_mut(index) {
            *slot = Some((name.clone(), queue));
        }
        Ok(queue)
    }

    /// Asks a broker about a topic.
    fn ask(&mut self, queue: usize) -> Result<()> {
        let begin = self.clock.elapsed();
        let (limit, partitions) = loop {
            let failure = match self.asked(queue) {
                Ok(found) => break found,
                Err(failure) => failure,
            };
            if failure.is_unknown_topic() {
                if self.clock.elapsed().saturating_sub(begin) < NEW_TOPIC {
                    self.sender.poll(50);
                    continue;
                }
                let name = self.sender.name(queue).map(ToString::to_string);
                return Err(TransportError::UnknownTopic(name.unwrap_or_default()));
            }
            return Err(self.failed("asking about a topic", failure));
        };
        let now = self.clock.elapsed();
        while self.topics.len() <= queue {
            self.topics.push(Topic {
                partitions: 0,
                limit: None,
                asked: now,
                turn: 0,
                queued: BTreeMap::new(),
            });
        }
        if let Some(topic) = self.topics.get_mut(queue) {
            *topic = Topic {
                partitions,
                limit,
                asked: now,
                turn: topic.turn,
                queued: std::mem::take(&mut topic.queued),
            };
        }
        Ok(())
    }

    /// Limit and partition count. The limit first: asking for it does not create a topic, where brokers create them.
    fn asked(&self, queue: usize) -> std::result::Result<(Option<usize>, u32), Failure> {
        let limit = self
            .sender
            .topic_setting(queue, "max.message.bytes", millis(PATIENCE));
        let limit = match limit {
            Ok(limit) => limit.and_then(|limit| limit.parse().ok()),
            // Who may only write does so without being told the limit.
            Err(e)
                if e.is(Code::TopicAuthorizationFailed)
                    || e.is(Code::ClusterAuthorizationFailed) =>
            {
                None
            }
            Err(e) => return Err(e),
        };
        Ok((limit, self.sender.partitions(queue, millis(PATIENCE))?))
    }

    /// Where a record goes, if it may.
    fn route(
        &mut self,
        record: &Outgoing<'_>,
        topics: &[Arc<str>],
        now: Duration,
    ) -> Result<(usize, i32)> {
        let queue = self.queue(record.topic, topics)?;
        let compressed = self.compressed;
        let place = |this: &mut Self| {
            let topic = this.topics.get_mut(queue);
            topic.map_or(Err(Misfit::Stale), |t| t.place(record, compressed, now))
        };
        let mut placed = place(self);
        if placed.is_err() {
            // The topic may have been altered since.
            self.ask(queue)?;
            placed = place(self);
        }
        let name = || self.sender.name(queue).cloned().unwrap_or_default();
        match placed {
            Ok(partition) => Ok((queue, partition)),
            Err(Misfit::TooLarge { size, limit }) => Err(TransportError::RecordTooLarge {
                topic: name().to_string(),
                size,
                limit: Some(limit),
            }),
            Err(Misfit::NoPartition(partition)) => Err(TransportError::UnknownPartition(
                TopicPartition::new(name(), partition),
            )),
            Err(Misfit::Stale) => Err(TransportError::UnknownTopic(name().to_string())),
        }
    }

    /// Waits until there is room for more.
    fn make_room(&mut self) -> Result<()> {
        self.sender.poll(0);
        if self.sender.in_flight() == 0 {
            self.nothing_is_queued();
        }
        let begin = self.clock.elapsed();
        while self.sender.in_flight() > MAX_IN_FLIGHT
            || self.sender.bytes_in_flight() > MAX_BYTES_IN_FLIGHT
        {
            if self.clock.elapsed().saturating_sub(begin) >= PATIENCE {
                let full = Failure::of(Code::QueueFull);
                return Err(self.waited_in_vain("sending", full));
            }
            self.sender.poll(1);
        }
        Ok(())
    }

    /// Has what is queued sent before a record that would make its batch larger than the topic takes: librdkafka fills batches
    /// without asking what that is, and the broker refuses them whole.
    fn begin_batch(
        &mut self,
        record: &Outgoing<'_>,
        (topic, partition): (usize, i32),
    ) -> Result<()> {
        let Some(asked) = self.topics.get_mut(topic) else {
            return Ok(());
        };
        let Some(limit) = asked.limit.filter(|limit| *limit < self.batch_size) else {
            return Ok(());
        };
        let size = batched_size(record);
        let queued = asked.queued_for(partition);
        if *queued == BATCH_OVERHEAD || *queued + size <= limit {
            *queued += size;
            return Ok(());
        }
        let flushed = self.sender.flush(millis(PATIENCE));
        self.reported()?;
        if let Err(failure) = flushed {
            // Others of this outbox are queued already: what was begun has to end.
            return Err(self.undelivered(&Undelivered {
                topic,
                partition,
                size,
                code: failure.code,
            }));
        }
        self.nothing_is_queued();
        if let Some(asked) = self.topics.get_mut(topic) {
            *asked.queued_for(partition) += size;
        }
        Ok(())
    }

    /// All that was sent is answered.
    fn nothing_is_queued(&mut self) {
        for topic in &mut self.topics {
            topic.queued.clear();
        }
    }

    /// Queues a record that was found good.
    fn queue_record(&mut self, record: &Outgoing<'_>, route: (usize, i32)) -> Result<()> {
        self.begin_batch(record, route)?;
        // librdkafka takes 0 for "now".
        let timestamp = match record.timestamp {
            None => 0,
            Some(0) => 1,
            Some(timestamp) => timestamp,
        };
        let (topic, partition) = route;
        let mut full_since = None;
        loop {
            let queued = self.sender.produce(
                topic,
                partition,
                record.key,
                record.value,
                timestamp,
                record.headers,
            );
            let Err(failure) = queued else { return Ok(()) };
            let now = self.clock.elapsed();
            let waited = now.saturating_sub(*full_since.get_or_insert(now));
            if failure.is(Code::QueueFull) && waited < PATIENCE {
                self.sender.poll(10);
                continue;
            }
            return Err(if self.sender.handle().fatal().is_some() {
                self.failed("sending", failure)
            } else {
                // Others of this outbox may be queued already: what was begun has to end.
                let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                self.undelivered(&Undelivered {
                    topic,
                    partition,
                    size,
                    code: failure.code,
                })
            });
        }
    }

    /// What the reports of the records so far mean.
    fn reported(&mut self) -> Result<()> {
        match self.sender.take_undelivered() {
            Some(lost) => Err(self.undelivered(&lost)),
            None => Ok(()),
        }
    }

    /// A transaction has ended.
    fn ended(&mut self) {
        self.state = if self.has_gap {
            State::Unusable("a record of its last transaction was refused".to_owned())
        } else {
            State::Ready
        };
        self.doomed = None;
    }
}

impl Producer for KafkaProducer {
    fn init(&mut self) -> Result<()> {
        match self.state {
            State::New => {}
            // librdkafka begins an epoch once for each client.
            State::Ready => return Ok(()),
            _ => return Err(self.misuse("init")),
        }
        self.sender
            .init_transactions(millis(PATIENCE))
            .map_err(|e| self.failed("init_transactions", e))?;
        self.state = State::Ready;
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        if self.state != State::Ready {
            return Err(self.misuse("begin"));
        }
        self.sender
            .begin()
            .map_err(|e| self.failed("begin_transaction", e))?;
        self.state = State::Open(self.clock.elapsed());
        Ok(())
    }

    fn send(&mut self, outbox: &Outbox, topics: &[Arc<str>]) -> Result<()> {
        if !matches!(self.state, State::Plain | State::Open(_)) {
            return Err(self.misuse("send"));
        }
        self.make_room()?;
        self.reported()?;
        let mut routes = std::mem::take(&mut self.routes);
        routes.clear();
        let now = self.clock.elapsed();
        let mut sent = Ok(());
        for record in outbox.iter() {
            match self.route(&record, topics, now) {
                Ok(route) => routes.push(route),
                Err(e) => {
                    sent = Err(e);
                    break;
                }
            }
        }
        if sent.is_ok() {
            sent = outbox
                .iter()
                .zip(&routes)
                .try_for_each(|(record, route)| self.queue_record(&record, *route));
        }
        self.routes = routes;
        sent
    }

    fn send_offsets(
        &mut self,
        group: &GroupMetadata,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<()> {
        if !matches!(self.state, State::Open(_)) {
            return Err(self.misuse("send_offsets"));
        }
        if let Some(why) = &self.doomed {
            return Err(TransportError::Abortable(why.clone()));
        }
        // A little more than its own time-out, which it keeps when all is well.
        let sent = self
            .sender
            .send_offsets(group, offsets, millis(PATIENCE), 2 * PATIENCE)?;
        match sent {
            Some(sent) => sent.map_err(|e| self.failed("send_offsets_to_transaction", e)),
            None => {
                let why = format!(
                    "send_offsets_to_transaction has not returned within {:?}: the coordinator of group `{}` has died, or is \
                     out of reach",
                    2 * PATIENCE,
                    group.group
                );
                self.state = State::Unusable(why.clone());
                Err(TransportError::Unusable(why))
            }
        }
    }

    fn commit(&mut self) -> Result<Vec<(TopicPartition, i64)>> {
        let (State::Open(since) | State::Committing(since)) = self.state else {
            return Err(self.misuse("commit"));
        };
        if let Some(why) = &self.doomed {
            return Err(TransportError::Abortable(why.clone()));
        }
        match self.sender.commit(millis(PATIENCE)) {
            Ok(()) => {
                self.ended();
                Ok(self.sender.take_ends())
            }
            Err(failure) => {
                let fatal = failure.fatal || self.sender.handle().fatal().is_some();
                if !fatal && failure.abort {
                    // The record's own error says more than "a record failed".
                    self.doomed = Some(failure.text.clone());
                    self.state = State::Open(since);
                    self.reported()?;
                }
                if !fatal && failure.retriable {
                    self.state = State::Committing(since);
                }
                Err(self.failed("commit_transaction", failure))
            }
        }
    }

    fn abort(&mut self) -> Result<()> {
        let (State::Open(since) | State::Aborting(since)) = self.state else {
            return Err(self.misuse("abort"));
        };
        match self.sender.abort(millis(PATIENCE)) {
            Ok(()) => {
                self.ended();
                // What was thrown away is neither written nor missing.
                self.sender.take_ends();
                self.sender.take_undelivered();
                Ok(())
            }
            Err(failure) => {
                if failure.retriable {
                    self.state = State::Aborting(since);
                }
                Err(self.failed("abort_transaction", failure))
            }
        }
    }

    fn flush(&mut self) -> Result<Vec<(TopicPartition, i64)>> {
        match self.state {
            State::Plain => {}
            // Everything becomes durable at the commit.
            State::Open(_) | State::Ready => return Ok(Vec::new()),
            _ => return Err(self.misuse("flush")),
        }
        let flushed = self.sender.flush(millis(PATIENCE));
        self.reported()?;
        flushed.map_err(|e| self.waited_in_vain("flush", e))?;
        Ok(self.sender.take_ends())
    }
}

/// Key, value and headers.
fn record_size(record: &Outgoing<'_>) -> usize {
    let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let headers: usize = record
        .headers
        .iter()
        .map(|h| h.key.len() + len(h.value.as_deref()))
        .sum();
    len(record.key) + len(record.value) + headers
}

/// What a record adds to its batch at the most: lengths, offset and timestamp beside its bytes.
fn batched_size(record: &Outgoing<'_>) -> usize {
    const RECORD_OVERHEAD: usize = 36;
    const HEADER_OVERHEAD: usize = 10;
    record_size(record) + RECORD_OVERHEAD + HEADER_OVERHEAD * record.headers.iter().count()
}

/// Whether it says only that the client has thrown a record away.
fn is_thrown_away(failure: &Failure) -> bool {
    failure.is(Code::PurgeQueue) || failure.is(Code::PurgeInflight)
}

/// Whether it says that a partition is not there any more.
fn is_of_partition(failure: &Failure) -> bool {
    failure.is(Code::BrokerDestroy) || failure.is(Code::UnknownPartition)
}

/// Whether it says that another producer has this one's name, or the broker ended its transaction.
fn fences(failure: &Failure) -> bool {
    failure.is(Code::Fenced)
        || failure.is(Code::ProducerFenced)
        || failure.is(Code::InvalidProducerEpoch)
}
