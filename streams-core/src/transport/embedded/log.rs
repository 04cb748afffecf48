//! Layer 2. What the embedded log stores, over any storage: topics, partitions, transactions, offsets, epochs.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::{BufMut, Bytes};

use super::batch::{BatchInfo, Corrupt, is_whole};
use super::storage::{Read, Storage, Table, Value, Write};
use super::topic::{Topic, put_text, take, take_i64, take_u32};
use crate::record::TopicPartition;
use crate::transport::{CommittedOffset, OffsetRange, TopicInfo, TransportError};

type Result<T> = std::result::Result<T, TransportError>;

const NEXT_TOPIC_ID: &[u8] = b"next-topic-id";

/// The log without groups and waiting.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) storage: Storage,
    /// Where it is, for messages.
    pub(super) place: String,
    /// Topics as they were last read, so that each is decoded once.
    topics: RwLock<BTreeMap<Arc<str>, Arc<Topic>>>,
}

/// A partition, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PartitionId {
    pub(super) topic: u32,
    pub(super) partition: i32,
}

impl PartitionId {
    fn key(self) -> [u8; 8] {
        let mut key = [0; 8];
        key[..4].copy_from_slice(&self.topic.to_be_bytes());
        key[4..].copy_from_slice(&self.partition.to_be_bytes());
        key
    }

    /// The key of the batch with this base offset.
    pub(super) fn batch_key(self, offset: i64) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.key());
        key[8..].copy_from_slice(&offset.to_be_bytes());
        key
    }
}

/// The base offset in a batch's key.
fn base_offset(key: &[u8]) -> i64 {
    key.get(8..)
        .and_then(|b| b.first_chunk())
        .map_or(0, |b| i64::from_be_bytes(*b))
}

/// What the `partitions` table says of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PartitionState {
    /// The first offset that may be read.
    pub(super) start: i64,
    /// The next record's offset.
    pub(super) end: i64,
    /// Bytes of all batches.
    pub(super) bytes: u64,
    /// Up to here it was compacted.
    pub(super) compacted_to: i64,
    /// Bytes that came since the last compaction began.
    pub(super) dirty_bytes: u64,
}

impl PartitionState {
    const VERSION: u8 = 1;

    fn encode(self) -> Bytes {
        let mut bytes = Vec::with_capacity(41);
        bytes.put_u8(Self::VERSION);
        bytes.put_i64(self.start);
        bytes.put_i64(self.end);
        bytes.put_u64(self.bytes);
        bytes.put_i64(self.compacted_to);
        bytes.put_u64(self.dirty_bytes);
        bytes.into()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        if take(&mut rest, 1)? != [Self::VERSION] {
            return None;
        }
        let state = PartitionState {
            start: take_i64(&mut rest)?,
            end: take_i64(&mut rest)?,
            bytes: take_i64(&mut rest)?.cast_unsigned(),
            compacted_to: take_i64(&mut rest)?,
            dirty_bytes: take_i64(&mut rest)?.cast_unsigned(),
        };
        (0 <= state.start && state.start <= state.end).then_some(state)
    }
}

/// Batches for one partition.
#[derive(Debug, Clone)]
pub(super) struct Append {
    pub(super) topic: Arc<Topic>,
    pub(super) partition: i32,
    pub(super) batches: Vec<Bytes>,
}

impl Append {
    pub(super) fn id(&self) -> PartitionId {
        PartitionId {
            topic: self.topic.id,
            partition: self.partition,
        }
    }
}

/// What one write puts into the log, wholly or not at all.
#[derive(Debug, Default)]
pub(super) struct Transaction<'a> {
    /// The transactional id and the epoch it must still have.
    pub(super) producer: Option<(&'a str, u64)>,
    pub(super) appends: &'a [Append],
    /// Group, partition, offset.
    pub(super) offsets: &'a [(String, TopicPartition, CommittedOffset)],
}

/// Called with a batch's base offset and header.
type VisitBatch<'v> = dyn FnMut(i64, BatchInfo, Value<'_>) -> Result<ControlFlow<()>> + 'v;

/// A batch as it was read.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) base: i64,
    pub(super) info: BatchInfo,
    pub(super) bytes: Bytes,
}

impl Stored {
    /// The offset after the batch.
    pub(super) fn next(&self) -> i64 {
        self.base.saturating_add(i64::from(self.info.span))
    }
}

impl Log {
    pub(super) fn new(storage: Storage, place: String) -> Self {
        Log {
            storage,
            place,
            topics: RwLock::default(),
        }
    }

    /// An error for bytes that this log cannot have written.
    pub(super) fn damaged(&self, what: &str) -> TransportError {
        TransportError::Fatal(format!(
            "the embedded log {} is damaged: {what}. Put back a copy of the directory, or delete it to begin anew.",
            self.place
        ))
    }

    pub(super) fn corrupt(
        &self,
        topic: &str,
        partition: i32,
        base: i64,
        corrupt: &Corrupt,
    ) -> TransportError {
        self.damaged(&format!(
            "{topic}-{partition} at offset {base}: {}",
            corrupt.0
        ))
    }

    /// A topic, if there is one.
    pub(super) fn topic(&self, name: &str) -> Result<Option<Arc<Topic>>> {
        // Always asked: another process may have deleted it, and made another of this name.
        self.storage.read(|r| self.stored_topic(r, name))
    }

    /// A topic that has to be there.
    pub(super) fn known_topic(&self, name: &str) -> Result<Arc<Topic>> {
        self.topic(name)?
            .ok_or_else(|| TransportError::UnknownTopic(name.to_owned()))
    }

    /// A partition that has to be there.
    pub(super) fn known_partition(
        &self,
        partition: &TopicPartition,
    ) -> Result<(Arc<Topic>, PartitionId)> {
        let topic = self.known_topic(&partition.topic)?;
        if !topic.has_partition(partition.partition) {
            return Err(TransportError::UnknownPartition(partition.clone()));
        }
        let id = PartitionId {
            topic: topic.id,
            partition: partition.partition,
        };
        Ok((topic, id))
    }

    fn stored_topic(&self, r: &(impl Read + ?Sized), name: &str) -> Result<Option<Arc<Topic>>> {
        let Some(bytes) = r.get(Table::Topics, name.as_bytes())? else {
            return Ok(None);
        };
        let known = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = known.get(name).filter(|t| t.is(&bytes)) {
            return Ok(Some(topic.clone()));
        }
        drop(known);
        let topic = self.decode_topic(name, &bytes)?;
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.insert(topic.name.clone(), topic.clone());
        Ok(Some(topic))
    }

    fn decode_topic(&self, name: &str, bytes: &[u8]) -> Result<Arc<Topic>> {
        Topic::decode(name, bytes)
            .map(Arc::new)
            .ok_or_else(|| self.damaged(&format!("the entry of topic `{name}` cannot be read")))
    }

    pub(super) fn all_topics(&self) -> Result<Vec<Arc<Topic>>> {
        let mut all = Vec::new();
        self.storage.read(|r| {
            // Names are ASCII, so this is past the last one.
            r.scan(Table::Topics, b"", &[0xff], &mut |name, value| {
                let name = String::from_utf8_lossy(name);
                all.push(self.decode_topic(&name, value.slice())?);
                Ok(ControlFlow::Continue(()))
            })
        })?;
        Ok(all)
    }

    /// Makes a topic; one that is there with as many partitions stays as it is.
    pub(super) fn create_topic(&self, info: &TopicInfo) -> Result<()> {
        let wanted = Topic::new(0, info)?;
        self.storage.write(|w| {
            if let Some(there) = self.stored_topic(w, &info.name)? {
                if there.partitions == wanted.partitions {
                    return Ok(());
                }
                return Err(TransportError::InvalidTopic {
                    topic: info.name.clone(),
                    reason: format!(
                        "it is there with {} partitions, not {}; use that number, or another topic",
                        there.partitions, wanted.partitions
                    ),
                });
            }
            let id = match w.get(Table::Meta, NEXT_TOPIC_ID)? {
                None => 0,
                Some(bytes) => take_u32(&mut &bytes[..])
                    .ok_or_else(|| self.damaged("the number of topics cannot be read"))?,
            };
            let topic = Topic::new(id, info)?;
            w.put(Table::Topics, info.name.as_bytes(), topic.encode())?;
            w.put(
                Table::Meta,
                NEXT_TOPIC_ID,
                Bytes::copy_from_slice(&(id + 1).to_be_bytes()),
            )
        })
    }

    /// Deletes topics with everything that belongs to them. Their numbers are not given again.
    pub(super) fn delete_topics(&self, names: &[&str]) -> Result<()> {
        self.storage.write(|w| {
            for name in names {
                let Some(topic) = self.stored_topic(w, name)? else {
                    continue;
                };
                let (from, to) = (
                    topic.id.to_be_bytes(),
                    topic.id.saturating_add(1).to_be_bytes(),
                );
                for table in [Table::Partitions, Table::Records] {
                    for key in keys(w, table, &from, &to, |_| true)? {
                        w.delete(table, &key)?;
                    }
                }
                let of_topic = |key: &[u8]| topic_of_offset(key) == Some(name.as_bytes());
                for key in keys(w, Table::Offsets, &[], &[0xff], of_topic)? {
                    w.delete(Table::Offsets, &key)?;
                }
                w.delete(Table::Topics, name.as_bytes())?;
            }
            Ok(())
        })
    }

    /// An error if a topic is not the one that it was.
    fn still_there(&self, r: &(impl Read + ?Sized), topic: &Topic) -> Result<()> {
        match r.get(Table::Topics, topic.name.as_bytes())? {
            Some(bytes) if topic.is(&bytes) => Ok(()),
            _ => Err(TransportError::UnknownTopic(topic.name.as_ref().to_owned())),
        }
    }

    /// The state of a partition that is read; an error if its topic was deleted.
    pub(super) fn read_state(
        &self,
        r: &(impl Read + ?Sized),
        topic: &Topic,
        id: PartitionId,
    ) -> Result<PartitionState> {
        let state = self.state(r, id)?;
        if state == PartitionState::default() {
            // Never written, or deleted.
            self.still_there(r, topic)?;
        }
        Ok(state)
    }

    /// Whether a group has committed anything.
    pub(super) fn is_group(&self, group: &str) -> Result<bool> {
        let mut prefix = Vec::new();
        put_text(&mut prefix, group);
        let mut found = false;
        self.storage.read(|r| {
            r.scan(Table::Offsets, &prefix, &[0xff], &mut |key, _| {
                found = key.starts_with(&prefix);
                Ok(ControlFlow::Break(()))
            })
        })?;
        Ok(found)
    }

    pub(super) fn state(
        &self,
        r: &(impl Read + ?Sized),
        id: PartitionId,
    ) -> Result<PartitionState> {
        match r.get(Table::Partitions, &id.key())? {
            None => Ok(PartitionState::default()),
            Some(bytes) => PartitionState::decode(&bytes).ok_or_else(|| {
                self.damaged(&format!(
                    "the state of partition {} of topic {} cannot be read",
                    id.partition, id.topic
                ))
            }),
        }
    }

    pub(super) fn set_state(
        &self,
        w: &mut dyn Write,
        id: PartitionId,
        state: PartitionState,
    ) -> Result<()> {
        w.put(Table::Partitions, &id.key(), state.encode())
    }

    pub(super) fn offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<OffsetRange>> {
        let ids = partitions
            .iter()
            .map(|p| self.known_partition(p))
            .collect::<Result<Vec<_>>>()?;
        self.storage.read(|r| {
            ids.iter()
                .map(|(_, id)| {
                    self.state(r, *id).map(|state| OffsetRange {
                        start: state.start,
                        end: state.end,
                    })
                })
                .collect()
        })
    }

    /// Writes a transaction; tells the new state of each append's partition. `check` is asked once the write has begun.
    pub(super) fn commit(
        &self,
        transaction: &Transaction<'_>,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Vec<PartitionState>> {
        self.storage.write(|w| {
            check()?;
            if let Some((id, epoch)) = transaction.producer {
                self.check_epoch(w, id, epoch)?;
            }
            for (group, partition, offset) in transaction.offsets {
                w.put(
                    Table::Offsets,
                    &offset_key(group, partition),
                    encode_offset(offset),
                )?;
            }
            transaction
                .appends
                .iter()
                .map(|append| self.append(w, append))
                .collect()
        })
    }

    fn append(&self, w: &mut dyn Write, append: &Append) -> Result<PartitionState> {
        let id = append.id();
        self.still_there(w, &append.topic)?;
        let mut state = self.state(w, id)?;
        for batch in &append.batches {
            let info = BatchInfo::read(batch)
                .map_err(|e| self.corrupt(&append.topic.name, id.partition, state.end, &e))?;
            let next = state.end.checked_add(i64::from(info.span)).ok_or_else(|| {
                self.damaged(&format!(
                    "{}-{} has used up its offsets",
                    append.topic.name, id.partition
                ))
            })?;
            w.put(Table::Records, &id.batch_key(state.end), batch.clone())?;
            state.end = next;
            state.bytes += batch.len() as u64;
            state.dirty_bytes += batch.len() as u64;
        }
        self.set_state(w, id, state)?;
        Ok(state)
    }

    /// Batches from an offset on, until they hold about as many records as wanted; and whether there are no more.
    pub(super) fn batches(
        &self,
        r: &(impl Read + ?Sized),
        id: PartitionId,
        from: i64,
        until: i64,
        records: usize,
    ) -> Result<(Vec<Stored>, bool)> {
        let mut count = 0;
        self.take_batches(r, id, from, until, |info, _| {
            let enough = count >= records;
            count += info.count as usize;
            !enough
        })
    }

    /// Batches from an offset on, one at least and about so many bytes of them.
    pub(super) fn batches_of_size(
        &self,
        r: &(impl Read + ?Sized),
        id: PartitionId,
        from: i64,
        until: i64,
        bytes: usize,
    ) -> Result<Vec<Stored>> {
        let mut size = 0;
        self.take_batches(r, id, from, until, |_, length| {
            let enough = size >= bytes;
            size += length;
            !enough
        })
        .map(|(batches, _)| batches)
    }

    /// Batches from an offset on while they are wanted, each checked; and whether all were.
    fn take_batches(
        &self,
        r: &(impl Read + ?Sized),
        id: PartitionId,
        from: i64,
        until: i64,
        mut wanted: impl FnMut(BatchInfo, usize) -> bool,
    ) -> Result<(Vec<Stored>, bool)> {
        let mut found = Vec::new();
        let mut all = true;
        self.scan_batches(r, id, from, until, &mut |base, info, value| {
            if !wanted(info, value.slice().len()) {
                all = false;
                return Ok(ControlFlow::Break(()));
            }
            if let Value::Mapped(batch) = value
                && !is_whole(batch)
            {
                let corrupt = Corrupt("a batch does not have its checksum");
                return Err(self.damaged_batch(id, base, &corrupt));
            }
            found.push(Stored {
                base,
                info,
                bytes: value.to_bytes(),
            });
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((found, all))
    }

    /// Shows batches from an offset on: base offset, header, size.
    pub(super) fn visit_batches(
        &self,
        r: &(impl Read + ?Sized),
        id: PartitionId,
        from: i64,
        until: i64,
        visit: &mut dyn FnMut(i64, BatchInfo, u64) -> ControlFlow<()>,
    ) -> Result<()> {
        self.scan_batches(r, id, from, until, &mut |base, info, value| {
            Ok(visit(base, info, value.slice().len() as u64))
        })
    }

    fn scan_batches(
        &self,
        r: &(impl Read + ?Sized),
        id: PartitionId,
        from: i64,
        until: i64,
        visit: &mut VisitBatch<'_>,
    ) -> Result<()> {
        if from >= until {
            return Ok(());
        }
        // The first one may begin before `from`.
        let first = r
            .at_or_before(Table::Records, &id.batch_key(from))?
            .filter(|key| key.get(..8) == Some(&id.key()[..]))
            .unwrap_or_else(|| id.batch_key(from).to_vec());
        r.scan(
            Table::Records,
            &first,
            &id.batch_key(until),
            &mut |key, value| {
                let base = base_offset(key);
                let info =
                    BatchInfo::read(value.slice()).map_err(|e| self.damaged_batch(id, base, &e))?;
                if base.saturating_add(i64::from(info.span)) <= from {
                    return Ok(ControlFlow::Continue(()));
                }
                visit(base, info, value)
            },
        )
    }

    fn damaged_batch(&self, id: PartitionId, base: i64, corrupt: &Corrupt) -> TransportError {
        self.damaged(&format!(
            "topic {}, partition {}, offset {base}: {}",
            id.topic, id.partition, corrupt.0
        ))
    }

    /// Moves the start of partitions forward; batches wholly before it go.
    pub(super) fn delete_records(&self, before: &[(TopicPartition, i64)]) -> Result<()> {
        let mut wanted = Vec::with_capacity(before.len());
        for (partition, offset) in before {
            wanted.push((self.known_partition(partition)?.1, partition, *offset));
        }
        self.storage.write(|w| {
            for (id, partition, offset) in &wanted {
                let state = self.state(w, *id)?;
                if *offset < 0 || *offset > state.end {
                    return Err(TransportError::OffsetOutOfRange {
                        partition: (*partition).clone(),
                        offset: *offset,
                    });
                }
                if *offset > state.start {
                    self.truncate(w, *id, state, *offset)?;
                }
            }
            Ok(())
        })
    }

    /// Sets a new start and deletes the batches wholly before it.
    pub(super) fn truncate(
        &self,
        w: &mut dyn Write,
        id: PartitionId,
        mut state: PartitionState,
        start: i64,
    ) -> Result<()> {
        let mut doomed = Vec::new();
        self.visit_batches(w, id, 0, start, &mut |base, info, size| {
            if base.saturating_add(i64::from(info.span)) > start {
                return ControlFlow::Break(());
            }
            doomed.push((base, size));
            ControlFlow::Continue(())
        })?;
        for (base, size) in doomed {
            w.delete(Table::Records, &id.batch_key(base))?;
            state.bytes = state.bytes.saturating_sub(size);
        }
        state.start = start;
        state.dirty_bytes = state.dirty_bytes.min(state.bytes);
        self.set_state(w, id, state)
    }

    pub(super) fn committed(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>> {
        self.storage.read(|r| {
            partitions
                .iter()
                .map(|partition| {
                    r.get(Table::Offsets, &offset_key(group, partition))?
                        .map(|bytes| {
                            decode_offset(&bytes).ok_or_else(|| {
                                self.damaged(&format!(
                                    "the offset of group `{group}` for {partition} cannot be read"
                                ))
                            })
                        })
                        .transpose()
                })
                .collect()
        })
    }

    /// A new epoch for a transactional id; older producers are fenced from now on.
    pub(super) fn bump_epoch(&self, id: &str) -> Result<u64> {
        self.storage.write(|w| {
            let epoch = self.epoch(w, id)?.map_or(0, |epoch| epoch + 1);
            w.put(
                Table::Producers,
                id.as_bytes(),
                Bytes::copy_from_slice(&epoch.to_be_bytes()),
            )?;
            Ok(epoch)
        })
    }

    fn epoch(&self, r: &(impl Read + ?Sized), id: &str) -> Result<Option<u64>> {
        r.get(Table::Producers, id.as_bytes())?
            .map(|bytes| {
                bytes
                    .first_chunk()
                    .map(|b| u64::from_be_bytes(*b))
                    .ok_or_else(|| {
                        self.damaged(&format!(
                            "the epoch of transactional id `{id}` cannot be read"
                        ))
                    })
            })
            .transpose()
    }

    /// An error unless the producer with this epoch is still the last one.
    pub(super) fn check_epoch(&self, r: &(impl Read + ?Sized), id: &str, epoch: u64) -> Result<()> {
        match self.epoch(r, id)? {
            Some(current) if current == epoch => Ok(()),
            _ => Err(TransportError::Fenced(format!(
                "a newer producer with transactional id `{id}` has taken over"
            ))),
        }
    }
}

fn offset_key(group: &str, partition: &TopicPartition) -> Vec<u8> {
    let mut key = Vec::with_capacity(12 + group.len() + partition.topic.len());
    put_text(&mut key, group);
    put_text(&mut key, &partition.topic);
    key.put_i32(partition.partition);
    key
}

/// The topic in the key of an offset.
fn topic_of_offset(key: &[u8]) -> Option<&[u8]> {
    let mut rest = key;
    let group = take_u32(&mut rest)?;
    take(&mut rest, group as usize)?;
    let topic = take_u32(&mut rest)?;
    take(&mut rest, topic as usize)
}

/// The keys of a table from one on to before another, those that are wanted.
fn keys(
    r: &(impl Read + ?Sized),
    table: Table,
    from: &[u8],
    to: &[u8],
    wanted: impl Fn(&[u8]) -> bool,
) -> Result<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    r.scan(table, from, to, &mut |key, _| {
        if wanted(key) {
            keys.push(key.to_vec());
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(keys)
}

fn encode_offset(offset: &CommittedOffset) -> Bytes {
    let mut bytes = Vec::with_capacity(9 + offset.metadata.len());
    bytes.put_u8(1);
    bytes.put_i64(offset.offset);
    bytes.extend_from_slice(offset.metadata.as_bytes());
    bytes.into()
}

fn decode_offset(bytes: &[u8]) -> Option<CommittedOffset> {
    let mut rest = bytes;
    if take(&mut rest, 1)? != [1] {
        return None;
    }
    let offset = take_i64(&mut rest)?;
    Some(CommittedOffset {
        offset,
        metadata: String::from_utf8(rest.to_vec()).ok()?,
    })
}
