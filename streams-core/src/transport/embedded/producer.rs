//! Layer 2. The embedded log's producer: encodes as it is told, writes at the commit or flush.

use std::sync::Arc;

use super::Shared;
use super::batch::{BatchWriter, MAX_RECORD_SIZE, Mark, record_size};
use super::log::{Append, PartitionState, Transaction};
use super::topic::Topic;
use crate::outbox::{Outbox, Outgoing};
use crate::partitioner::partition_for_key;
use crate::record::TopicPartition;
use crate::transport::{CommittedOffset, GroupMetadata, Producer, ProducerSpec, TransportError};

type Result<T> = std::result::Result<T, TransportError>;

/// A producer on the embedded log. What was sent but not committed or flushed goes with it.
#[derive(Debug)]
pub(super) struct EmbeddedProducer {
    shared: Arc<Shared>,
    transactional_id: Option<String>,
    state: State,
    /// By index into the `topics` of the last `send`.
    names: Vec<Option<(Arc<str>, usize)>>,
    topics: Vec<Queued>,
    /// Which partitions have records, in the order in which they got the first.
    touched: Vec<(usize, usize)>,
    /// Which of them the current `send` wrote.
    marked: Vec<(usize, usize)>,
    /// What a failed write left to be tried again.
    unsent: Vec<Append>,
    /// Why the transaction can only be aborted.
    doomed: Option<String>,
    offsets: Vec<(String, TopicPartition, CommittedOffset)>,
    groups: Vec<GroupMetadata>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No transactional id.
    Plain,
    /// `init` is still to come.
    New,
    /// Between transactions.
    Ready(u64),
    /// In one.
    Open(u64),
    /// Another producer took over.
    Fenced,
}

/// A topic that this producer writes.
#[derive(Debug)]
struct Queued {
    topic: Arc<Topic>,
    /// Where the next record without a key and a partition goes.
    turn: usize,
    partitions: Vec<QueuedPartition>,
}

#[derive(Debug, Default)]
struct QueuedPartition {
    writer: BatchWriter,
    /// Where to go back to if the current `send` fails.
    mark: Option<Mark>,
    /// Whether it is among the touched.
    touched: bool,
    /// What the last transaction took, as a guess for the next.
    size: usize,
}

impl EmbeddedProducer {
    pub(super) fn new(shared: Arc<Shared>, spec: &ProducerSpec) -> Self {
        EmbeddedProducer {
            shared,
            state: if spec.transactional_id.is_some() {
                State::New
            } else {
                State::Plain
            },
            transactional_id: spec.transactional_id.clone(),
            names: Vec::new(),
            topics: Vec::new(),
            touched: Vec::new(),
            marked: Vec::new(),
            unsent: Vec::new(),
            doomed: None,
            offsets: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn misuse(&self, call: &str) -> TransportError {
        match (self.state, &self.transactional_id) {
            (State::Fenced, Some(id)) => TransportError::Fenced(format!(
                "a newer producer with transactional id `{id}` has taken over"
            )),
            (State::New, _) => TransportError::Fatal(format!("`{call}` before `init`")),
            (State::Ready(_), _) => {
                TransportError::Fatal(format!("`{call}` outside a transaction"))
            }
            (State::Open(_), _) => TransportError::Fatal(format!("`{call}` within a transaction")),
            (State::Plain | State::Fenced, _) => {
                TransportError::Fatal(format!("`{call}` on a producer without transactional id"))
            }
        }
    }

    /// The queue of a topic index.
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
        let queue = match self.topics.iter().position(|q| q.topic.name == *name) {
            Some(queue) => queue,
            None => {
                let topic = self.shared.log.known_topic(name)?;
                let partitions = (0..topic.partitions)
                    .map(|_| QueuedPartition::default())
                    .collect();
                self.topics.push(Queued {
                    topic,
                    turn: 0,
                    partitions,
                });
                self.topics.len() - 1
            }
        };
        if self.names.len() <= index {
            self.names.resize(index + 1, None);
        }
        if let Some(slot) = self.names.get_mut(index) {
            *slot = Some((name.clone(), queue));
        }
        Ok(queue)
    }

    fn push(&mut self, record: &Outgoing<'_>, topics: &[Arc<str>], now: i64) -> Result<()> {
        let index = self.queue(record.topic, topics)?;
        let Some(queue) = self.topics.get_mut(index) else {
            return Ok(());
        };
        let size = record_size(record);
        let limit = queue.topic.settings.max_message_bytes;
        if size > limit.min(MAX_RECORD_SIZE) {
            return Err(TransportError::RecordTooLarge {
                topic: queue.topic.name.as_ref().to_owned(),
                size,
                limit: Some(limit),
            });
        }
        let partition = match (record.partition, record.key) {
            (Some(partition), _) => usize::try_from(partition).unwrap_or(usize::MAX),
            (None, Some(key)) => {
                usize::try_from(partition_for_key(key, queue.topic.partitions)).unwrap_or_default()
            }
            (None, None) => {
                let turn = queue.turn % queue.partitions.len().max(1);
                queue.turn = turn + 1;
                turn
            }
        };
        let Some(slot) = queue.partitions.get_mut(partition) else {
            let partition = record.partition.unwrap_or_default();
            return Err(TransportError::UnknownPartition(TopicPartition {
                topic: queue.topic.name.clone(),
                partition,
            }));
        };
        if slot.mark.is_none() {
            slot.writer.reserve(slot.size);
            slot.mark = Some(slot.writer.mark());
            self.marked.push((index, partition));
        }
        slot.writer.push(record, record.timestamp.unwrap_or(now));
        Ok(())
    }

    /// Moves the queued batches to the unsent ones, in the order in which their partitions were first written.
    fn close_batches(&mut self) {
        for (index, partition) in self.touched.drain(..) {
            let Some(queue) = self.topics.get_mut(index) else {
                continue;
            };
            let Some(slot) = queue.partitions.get_mut(partition) else {
                continue;
            };
            slot.touched = false;
            slot.size = slot.writer.size();
            self.unsent.push(Append {
                topic: queue.topic.clone(),
                partition: i32::try_from(partition).unwrap_or(i32::MAX),
                batches: std::mem::take(&mut slot.writer).finish(),
            });
        }
    }

    fn discard(&mut self) {
        self.close_batches();
        self.unsent.clear();
        self.offsets.clear();
        self.groups.clear();
        self.doomed = None;
    }

    /// Remembers what an error means for what comes after it.
    fn noted(&mut self, error: TransportError) -> TransportError {
        match &error {
            TransportError::Fenced(_) => {
                self.state = State::Fenced;
                self.discard();
            }
            TransportError::Abortable(why) => self.doomed = Some(why.clone()),
            _ => {}
        }
        error
    }

    fn check_epoch(&mut self, epoch: u64) -> Result<()> {
        let Some(id) = self.transactional_id.as_deref() else {
            return Ok(());
        };
        let log = &self.shared.log;
        log.storage
            .read(|r| log.check_epoch(r, id, epoch))
            .map_err(|e| self.noted(e))
    }

    /// After a write: wakes readers and tells the next offsets.
    fn written(&mut self, states: &[PartitionState]) -> Vec<(TopicPartition, i64)> {
        let appends = std::mem::take(&mut self.unsent);
        self.shared.appended(&appends, states);
        appends
            .iter()
            .zip(states)
            .map(|(a, state)| {
                (
                    TopicPartition {
                        topic: a.topic.name.clone(),
                        partition: a.partition,
                    },
                    state.end,
                )
            })
            .collect()
    }
}

impl Producer for EmbeddedProducer {
    fn init(&mut self) -> Result<()> {
        if !matches!(self.state, State::New | State::Ready(_)) {
            return Err(self.misuse("init"));
        }
        let Some(id) = &self.transactional_id else {
            return Err(self.misuse("init"));
        };
        self.state = State::Ready(self.shared.log.bump_epoch(id)?);
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        let State::Ready(epoch) = self.state else {
            return Err(self.misuse("begin"));
        };
        self.state = State::Open(epoch);
        Ok(())
    }

    fn send(&mut self, outbox: &Outbox, topics: &[Arc<str>]) -> Result<()> {
        if !matches!(self.state, State::Plain | State::Open(_)) {
            return Err(self.misuse("send"));
        }
        let now = self.shared.clock.now_ms();
        let result = outbox
            .iter()
            .try_for_each(|record| self.push(&record, topics, now));
        for (index, partition) in self.marked.drain(..) {
            let queue = self.topics.get_mut(index);
            let Some(slot) = queue.and_then(|q| q.partitions.get_mut(partition)) else {
                continue;
            };
            let mark = slot.mark.take();
            match (&result, mark) {
                (Err(_), Some(mark)) => slot.writer.rewind(mark),
                _ if !slot.touched => {
                    slot.touched = true;
                    self.touched.push((index, partition));
                }
                _ => {}
            }
        }
        result
    }

    fn send_offsets(
        &mut self,
        group: &GroupMetadata,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<()> {
        let State::Open(epoch) = self.state else {
            return Err(self.misuse("send_offsets"));
        };
        self.check_epoch(epoch)?;
        self.shared.groups.check(group).map_err(|e| self.noted(e))?;
        let offsets = self.shared.group_offsets(group, offsets)?;
        self.offsets.extend(offsets);
        if !self.groups.contains(group) {
            self.groups.push(group.clone());
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<Vec<(TopicPartition, i64)>> {
        let State::Open(epoch) = self.state else {
            return Err(self.misuse("commit"));
        };
        if let Some(why) = &self.doomed {
            return Err(TransportError::Abortable(why.clone()));
        }
        self.close_batches();
        let transaction = Transaction {
            producer: self.transactional_id.as_deref().map(|id| (id, epoch)),
            appends: &self.unsent,
            offsets: &self.offsets,
        };
        let committed = {
            let _guard = self.shared.groups.committing();
            let check = || {
                self.groups
                    .iter()
                    .try_for_each(|g| self.shared.groups.check(g))
            };
            self.shared.log.commit(&transaction, &check)
        };
        // After an error everything is still here: the commit may be tried again, or the transaction aborted.
        let states = committed.map_err(|e| self.noted(e))?;
        self.state = State::Ready(epoch);
        let written = self.written(&states);
        self.discard();
        Ok(written)
    }

    fn abort(&mut self) -> Result<()> {
        let State::Open(epoch) = self.state else {
            return Err(self.misuse("abort"));
        };
        self.discard();
        self.check_epoch(epoch)?;
        self.state = State::Ready(epoch);
        Ok(())
    }

    fn flush(&mut self) -> Result<Vec<(TopicPartition, i64)>> {
        match self.state {
            State::Plain => {}
            // Everything becomes durable at the commit.
            State::Open(_) | State::Ready(_) => return Ok(Vec::new()),
            State::New | State::Fenced => return Err(self.misuse("flush")),
        }
        self.close_batches();
        if self.unsent.is_empty() {
            return Ok(Vec::new());
        }
        let transaction = Transaction {
            appends: &self.unsent,
            ..Transaction::default()
        };
        let states = self.shared.log.commit(&transaction, &|| Ok(()))?;
        Ok(self.written(&states))
    }
}
