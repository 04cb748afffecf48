//! Layer 2. The embedded log's consumer: reads assigned partitions in turns, waits for commits.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::batch::BatchReader;
use super::log::{PartitionId, PartitionState, Stored};
use super::topic::Topic;
use crate::record::TopicPartition;
use crate::transport::{Consumer, Fetched, TransportError};

type Result<T> = std::result::Result<T, TransportError>;

/// A consumer on the embedded log.
#[derive(Debug)]
pub(super) struct EmbeddedConsumer {
    shared: Arc<Shared>,
    partitions: Vec<Assigned>,
    /// Whose turn is first.
    turn: usize,
}

#[derive(Debug)]
struct Assigned {
    partition: TopicPartition,
    topic: Arc<Topic>,
    id: PartitionId,
    /// The next offset to hand out.
    position: i64,
    paused: bool,
    /// A batch that was handed out in part, and the offset after it.
    rest: Option<(BatchReader, i64)>,
    /// Whether it was said that the end is reached.
    end_told: bool,
}

impl EmbeddedConsumer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        EmbeddedConsumer {
            shared,
            partitions: Vec::new(),
            turn: 0,
        }
    }

    fn set_paused(&mut self, partitions: &[TopicPartition], paused: bool) {
        for assigned in &mut self.partitions {
            if partitions.contains(&assigned.partition) {
                assigned.paused = paused;
            }
        }
    }

    /// Reads what is there now.
    fn fetch(&mut self, max_records: usize, into: &mut Vec<Fetched>) -> Result<()> {
        let count = self.partitions.len();
        if count == 0 {
            return Ok(());
        }
        self.turn = (self.turn + 1) % count;
        let (later, first) = self.partitions.split_at_mut(self.turn);
        let mut active: Vec<&mut Assigned> = first
            .iter_mut()
            .chain(later)
            .filter(|a| !a.paused)
            .collect();
        let log = &self.shared.log;

        // One view of all partitions, so that a transaction over several is seen at once or not at all.
        let read = log.storage.read(|r| {
            let mut states = Vec::with_capacity(active.len());
            for assigned in &active {
                let state = log.read_state(r, &assigned.topic, assigned.id)?;
                if assigned.position < state.start || assigned.position > state.end {
                    return Err(TransportError::OffsetOutOfRange {
                        partition: assigned.partition.clone(),
                        offset: assigned.position,
                    });
                }
                states.push(state);
            }
            let mut ready = states
                .iter()
                .zip(&active)
                .filter(|(state, assigned)| assigned.position < state.end)
                .count();
            let mut left = max_records.max(1);
            let mut read = Vec::with_capacity(active.len());
            for (assigned, state) in active.iter().zip(states) {
                let mut share = Share {
                    state,
                    ..Share::default()
                };
                if assigned.position < state.end && left > 0 {
                    // What is left is shared among those that have something.
                    share.records = left.div_ceil(ready.max(1));
                    ready -= 1;
                    let (rest, from) = match &assigned.rest {
                        Some((rest, next)) => (rest.remaining(), *next),
                        None => (0, assigned.position),
                    };
                    let wanted = share.records.saturating_sub(rest);
                    if wanted > 0 {
                        (share.batches, share.to_the_end) =
                            log.batches(r, assigned.id, from, state.end, wanted)?;
                    }
                    let found: usize = share.batches.iter().map(|b| b.info.count as usize).sum();
                    left -= share.records.min(rest + found);
                }
                read.push(share);
            }
            Ok(read)
        })?;

        for (assigned, share) in active.iter_mut().zip(read) {
            into.extend(self.shared.hand_out(assigned, share)?);
        }
        Ok(())
    }
}

/// What a partition may give in one poll.
#[derive(Debug, Default)]
struct Share {
    state: PartitionState,
    /// At most so many records.
    records: usize,
    /// What was read for it, behind the rest of the last batch.
    batches: Vec<Stored>,
    /// Whether nothing comes behind these.
    to_the_end: bool,
}

impl Shared {
    /// Decodes a partition's share.
    fn hand_out(&self, assigned: &mut Assigned, share: Share) -> Result<Option<Fetched>> {
        let before = assigned.position;
        let rest = assigned.rest.take();
        let known = rest.as_ref().map_or(0, |(rest, _)| rest.remaining())
            + share
                .batches
                .iter()
                .map(|b| b.info.count as usize)
                .sum::<usize>();
        let mut records = Vec::with_capacity(known.min(share.records));
        let mut to_the_end = share.to_the_end;
        let stored = share.batches.into_iter().map(|b| {
            let next = b.next();
            (BatchReader::new(b.base, b.bytes), next)
        });
        for (mut reader, next) in rest.into_iter().chain(stored) {
            if records.len() >= share.records {
                to_the_end = false;
                break;
            }
            let limit = share.records - records.len();
            let used_up = reader
                .read(assigned.position, limit, &mut records)
                .map_err(|e| {
                    let (topic, partition) = (&assigned.partition.topic, assigned.id.partition);
                    self.log.corrupt(topic, partition, assigned.position, &e)
                })?;
            if !used_up {
                assigned.position = records.last().map_or(assigned.position, |r| r.offset + 1);
                assigned.rest = Some((reader, next));
                to_the_end = false;
                break;
            }
            assigned.position = next;
        }
        if to_the_end {
            // Past the gap that a compaction may have left there.
            assigned.position = share.state.end;
        }
        let at_end = assigned.position >= share.state.end;
        let news = assigned.position > before || (at_end && !assigned.end_told);
        assigned.end_told = at_end;
        Ok(news.then(|| Fetched {
            partition: assigned.partition.clone(),
            records,
            next_offset: assigned.position,
            at_end,
        }))
    }
}

impl Consumer for EmbeddedConsumer {
    fn assign(&mut self, partitions: &[(TopicPartition, i64)]) -> Result<()> {
        let mut new = Vec::with_capacity(partitions.len());
        for (partition, offset) in partitions {
            let (topic, id) = self.shared.log.known_partition(partition)?;
            new.push(Assigned {
                partition: TopicPartition {
                    topic: topic.name.clone(),
                    partition: partition.partition,
                },
                topic,
                id,
                position: *offset,
                paused: false,
                rest: None,
                end_told: false,
            });
        }
        for assigned in new {
            match self
                .partitions
                .iter_mut()
                .find(|a| a.partition == assigned.partition)
            {
                Some(there) => {
                    *there = Assigned {
                        paused: there.paused,
                        ..assigned
                    }
                }
                None => self.partitions.push(assigned),
            }
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

    fn poll(
        &mut self,
        timeout: Duration,
        max_records: usize,
        into: &mut Vec<Fetched>,
    ) -> Result<()> {
        let before = into.len();
        let mut left = timeout;
        let mut seen = self.shared.changed.now();
        loop {
            self.fetch(max_records, into)?;
            if into.len() > before || left.is_zero() {
                return Ok(());
            }
            let waited = self.shared.wait(seen, left);
            left = left.saturating_sub(waited);
            let now = self.shared.changed.now();
            if now.groups != seen.groups {
                // The group's business is more urgent than waiting for records.
                return Ok(());
            }
            seen = now;
        }
    }
}
