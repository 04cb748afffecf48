//! What subscriptions and right rows are answered, on the right side, and what answers become on the left one.

use super::murmur3;
use super::wire::{
    CombinedKey, Hash, Instruction, ResponseBytes, Subscription, SubscriptionBytes, read_combined,
    write_combined,
};
use crate::context::{Put, TaskContext, serialize};
use crate::error::{RecordPart, TaskResult};
use crate::partitioner::partition_for_key;
use crate::record::{Change, Headers, RawRecord, Record, Timestamp};
use crate::serde::{Serde, SerdeError};
use crate::table::TableStore;
use crate::table::join::{Row, unreadable};
use crate::windowed::WindowedKey;

/// A join's subscriptions, on the right side, and where its answers go.
#[derive(Debug)]
pub struct Foreign<FK, PK> {
    /// Who subscribed to which right row.
    pub subscriptions: TableStore<CombinedKey<FK, PK>, Subscription<PK>>,
    /// The response topic.
    pub topic: usize,
}

impl<FK, PK> Foreign<FK, PK> {
    /// A subscription to a row of this table arrives: it is kept or deleted, and answered by the right row as it is now.
    ///
    /// # Errors
    /// When it cannot be read and the handler says to fail, or a store fails.
    pub fn subscribed<V>(
        self,
        raw: RawRecord<'_>,
        table: TableStore<FK, V>,
        cx: &mut TaskContext,
    ) -> TaskResult {
        let Some(asked) = keep(raw, self.subscriptions.index(), cx)? else {
            return Ok(());
        };
        let row = match raw.key {
            Some(foreign_key) => table.rows().copy(foreign_key, cx)?,
            None => None,
        };
        answer(raw, asked, row, self.topic, cx)
    }

    /// A subscription to a row of a table without a store arrives: it is kept or deleted. The row is to be found, and then it is
    /// [answered](Asked::answer).
    ///
    /// # Errors
    /// As [`subscribed`](Self::subscribed).
    pub fn keep<'r>(
        self,
        raw: RawRecord<'r>,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Asked<'r, FK>>>
    where
        FK: Serde,
    {
        let foreign_key = match raw.key.map(|key| FK::deserialize(key)).transpose() {
            Ok(foreign_key) => foreign_key,
            Err(reason) => return cx.undecodable(RecordPart::Key, reason, raw),
        };
        let asked = keep(raw, self.subscriptions.index(), cx)?;
        Ok(asked.map(|subscription| Asked {
            foreign_key,
            subscription,
            raw,
            topic: self.topic,
        }))
    }

    /// A right row changes: every subscription to it is answered, in the order of the left keys' bytes.
    ///
    /// # Errors
    /// When a store fails or is damaged, or key or row have no bytes.
    pub fn changed<V>(self, record: Record<FK, Change<V>>, cx: &mut TaskContext) -> TaskResult
    where
        FK: Serde,
        V: Serde,
    {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = record;
        if !value.is_latest {
            cx.drop_record("not the latest of its key");
            return Ok(());
        }
        let (prefix, bytes) = (&mut cx.scratch.key, &mut cx.scratch.value);
        bytes.clear();
        prefix.clear();
        let written = serialize(&key, bytes).and_then(|_| write_combined(bytes, &[], prefix));
        if let Err(reason) = written {
            return cx.unwritable(self.topic, RecordPart::Key, reason);
        }
        bytes.clear();
        let null = match value
            .new
            .as_ref()
            .map_or(Ok(true), |row| serialize(row, bytes))
        {
            Ok(null) => null,
            Err(reason) => return cx.unwritable(self.topic, RecordPart::Value, reason),
        };
        answer_all(
            self.subscriptions.index(),
            self.topic,
            null,
            timestamp,
            &headers,
            cx,
        )
    }
}

/// A subscription that is kept, and what it asks for.
#[derive(Debug)]
pub struct Asked<'r, FK> {
    foreign_key: Option<FK>,
    subscription: SubscriptionBytes<'r>,
    raw: RawRecord<'r>,
    topic: usize,
}

impl<FK> Asked<'_, FK> {
    /// The key of the row that is asked for; `None` where the left row names none.
    #[inline(always)]
    #[must_use]
    pub const fn foreign_key(&self) -> Option<&FK> {
        self.foreign_key.as_ref()
    }

    /// The same, with a key by windows of this size: bytes of a window do not have its end.
    #[must_use]
    pub fn sized(self, size: i64) -> Self
    where
        FK: WindowedKey,
    {
        Asked {
            foreign_key: self.foreign_key.map(|key| key.sized(size)),
            ..self
        }
    }

    /// Answers by the row that was found.
    ///
    /// # Errors
    /// When the row has no bytes.
    pub fn answer<V: Serde>(self, row: Row<V>, cx: &mut TaskContext) -> TaskResult {
        let bytes = &mut cx.scratch.value;
        bytes.clear();
        let row = match row {
            Some((timestamp, row)) => match serialize(&row, bytes) {
                Ok(null) => (!null).then_some(timestamp),
                Err(reason) => return cx.unwritable(self.topic, RecordPart::Value, reason),
            },
            None => None,
        };
        answer(self.raw, self.subscription, row, self.topic, cx)
    }
}

/// Keeps or deletes a subscription. Without types, as keys and values only pass through.
fn keep<'r>(
    raw: RawRecord<'r>,
    subscriptions: usize,
    cx: &mut TaskContext,
) -> TaskResult<Option<SubscriptionBytes<'r>>> {
    let Some(bytes) = raw.value else {
        let reason = SerdeError::Null {
            type_name: "a subscription",
        };
        return cx.undecodable(RecordPart::Value, reason, raw);
    };
    let subscription = match SubscriptionBytes::read(bytes) {
        Ok(subscription) => subscription,
        Err(reason) => return cx.undecodable(RecordPart::Value, reason, raw),
    };
    if raw.timestamp < 0 {
        return cx.undated(raw);
    }
    let instruction = subscription.instruction;
    let Some(foreign_key) = raw.key else {
        if instruction != Instruction::PropagateNull {
            cx.drop_record("null foreign key");
            return Ok(None);
        }
        return Ok(Some(subscription));
    };
    cx.scratch.key.clear();
    let combined = write_combined(foreign_key, subscription.primary_key, &mut cx.scratch.key);
    if let Err(reason) = combined {
        return cx.undecodable(RecordPart::Key, reason, raw);
    }
    let put = match instruction {
        Instruction::DeleteNoPropagate | Instruction::DeleteAndPropagate => {
            Put::Tombstone(raw.timestamp)
        }
        Instruction::PropagateNull | Instruction::PropagateOnlyIfAvailable => {
            let stored = &mut cx.scratch.value;
            stored.clear();
            stored.extend_from_slice(&raw.timestamp.to_be_bytes());
            stored.extend_from_slice(bytes);
            Put::Scratch(raw.timestamp)
        }
    };
    // The store has no cache: nothing is held back, and nobody listens.
    cx.store_put(subscriptions, put, raw.timestamp, raw.headers, false)?;
    Ok(Some(subscription))
}

/// Answers a subscription. `row` is the timestamp of the row in `scratch.value`, if there is one.
fn answer(
    raw: RawRecord<'_>,
    asked: SubscriptionBytes<'_>,
    row: Option<Timestamp>,
    topic: usize,
    cx: &mut TaskContext,
) -> TaskResult {
    let found = row.is_some();
    let answers = match asked.instruction {
        Instruction::DeleteNoPropagate => false,
        Instruction::PropagateOnlyIfAvailable => found,
        Instruction::DeleteAndPropagate | Instruction::PropagateNull => true,
    };
    if !answers {
        return Ok(());
    }
    let timestamp = row.map_or(raw.timestamp, |row| row.max(raw.timestamp));
    let row = std::mem::take(&mut cx.scratch.value);
    let response = ResponseBytes {
        hash: asked.hash,
        value: (found && asked.instruction != Instruction::DeleteAndPropagate)
            .then_some(row.as_slice()),
    };
    let written = cx.write_parts(
        topic,
        asked.partition,
        timestamp,
        raw.headers,
        |out| {
            out.extend_from_slice(asked.primary_key);
            Ok(false)
        },
        |out| {
            response.write(out);
            Ok(false)
        },
    );
    cx.scratch.value = row;
    written
}

/// Answers the subscriptions whose keys begin with `scratch.key`, with the row in `scratch.value` unless it is `null`.
fn answer_all(
    subscriptions: usize,
    topic: usize,
    null: bool,
    timestamp: Timestamp,
    headers: &Headers,
    cx: &mut TaskContext,
) -> TaskResult {
    let partitions = cx.partition_count(topic);
    let row = std::mem::take(&mut cx.scratch.value);
    let prefix = std::mem::take(&mut cx.scratch.key);
    let value = (!null).then_some(row.as_slice());
    let answered = cx.for_each_with_prefix(subscriptions, &prefix, |key, stored, outbox| {
        let (_, primary_key) = read_combined(key)?;
        let subscription = SubscriptionBytes::read(stored.get(8..).unwrap_or_default())?;
        let of_key = || (partitions > 0).then(|| partition_for_key(primary_key, partitions));
        outbox.write(
            topic,
            Some(timestamp),
            headers.clone(),
            |out| {
                out.extend_from_slice(primary_key);
                Ok(false)
            },
            |_| subscription.partition.or_else(of_key),
            |out| {
                let hash = subscription.hash;
                ResponseBytes { hash, value }.write(out);
                Ok(false)
            },
        )
    });
    cx.scratch.value = row;
    cx.scratch.key = prefix;
    answered
}

/// An answer that arrived for a left row.
#[derive(Debug)]
pub struct Answer<'r, K, FV> {
    key: K,
    hash: Option<Hash>,
    right: Option<FV>,
    raw: RawRecord<'r>,
}

impl<'r, K: Serde, FV: Serde> Answer<'r, K, FV> {
    /// An answer arrives; `None` where it cannot be read and the handler says to go on.
    ///
    /// # Errors
    /// When it cannot be read and the handler says to fail.
    pub fn arrived(raw: RawRecord<'r>, cx: &mut TaskContext) -> TaskResult<Option<Self>> {
        let key = match K::deserialize_nullable(raw.key) {
            Ok(key) => key,
            Err(reason) => return cx.undecodable(RecordPart::Key, reason, raw),
        };
        let Some(bytes) = raw.value else {
            let reason = SerdeError::Null {
                type_name: "a response",
            };
            return cx.undecodable(RecordPart::Value, reason, raw);
        };
        let read = ResponseBytes::read(bytes).and_then(|response| {
            let right = response.value.map(FV::deserialize).transpose()?;
            Ok((response.hash, right))
        });
        let (hash, right) = match read {
            Ok(read) => read,
            Err(reason) => return cx.undecodable(RecordPart::Value, reason, raw),
        };
        if raw.timestamp < 0 {
            return cx.undated(raw);
        }
        Ok(Some(Answer {
            key,
            hash,
            right,
            raw,
        }))
    }

    /// The same, with a key by windows of this size: bytes of a window do not have its end.
    #[must_use]
    pub fn sized(self, size: i64) -> Self
    where
        K: WindowedKey,
    {
        Answer {
            key: self.key.sized(size),
            ..self
        }
    }

    /// The key of the row that it is for.
    #[inline(always)]
    pub const fn key(&self) -> &K {
        &self.key
    }

    /// With the left row that was found: `None` where it is no longer the one that asked (counted as dropped).
    ///
    /// # Errors
    /// When the row has no bytes.
    pub fn to<V: Serde>(
        self,
        row: Row<V>,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Responded<K, V, FV>>> {
        let bytes = &mut cx.scratch.value;
        bytes.clear();
        let left = row.map(|(_, row)| row);
        let hash = match left.as_ref().map(|row| serialize(row, bytes)).transpose() {
            Ok(None | Some(true)) => None,
            Ok(Some(false)) => Some(murmur3::hash(bytes)),
            Err(reason) => return Err(unreadable(RecordPart::Value, reason)),
        };
        Ok(self.by(hash, left, cx))
    }

    /// The row of that hash answers, if it is the one that asked.
    fn by<V>(
        self,
        hash: Option<Hash>,
        left: Option<V>,
        cx: &mut TaskContext,
    ) -> Option<Responded<K, V, FV>> {
        if self.hash != hash {
            // An answer to a row that has changed since: another is on its way.
            cx.count_drop();
            return None;
        }
        Some(Responded {
            key: self.key,
            left,
            right: self.right,
            timestamp: self.raw.timestamp,
            headers: self.raw.headers.clone(),
        })
    }
}

/// An answer whose left row is still the one that asked.
#[derive(Debug)]
pub struct Responded<K, V, FV> {
    key: K,
    left: Option<V>,
    right: Option<FV>,
    timestamp: Timestamp,
    headers: Headers,
}

impl<K: Serde, V: Serde> TableStore<K, V> {
    /// An answer arrives for a row of this table: `None` where the row is no longer the one that asked (counted as dropped), or
    /// the answer cannot be read and the handler says to go on.
    ///
    /// # Errors
    /// When it cannot be read and the handler says to fail, or the store fails.
    pub fn responded<FV: Serde>(
        self,
        raw: RawRecord<'_>,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Responded<K, V, FV>>> {
        let Some(answer) = Answer::arrived(raw, cx)? else {
            return Ok(None);
        };
        let found = self.rows().copy(raw.key.unwrap_or_default(), cx)?;
        let row = found.map(|_| cx.scratch.value.as_slice());
        let left = match row.map(V::deserialize).transpose() {
            Ok(left) => left,
            Err(reason) => return Err(cx.corrupt_store(self.index(), reason)),
        };
        Ok(answer.by(row.map(murmur3::hash), left, cx))
    }
}

impl<K, V, FV> Responded<K, V, FV> {
    /// The same, with its key made another.
    pub(crate) fn with_key(self, key: impl FnOnce(K) -> K) -> Self {
        Responded {
            key: key(self.key),
            ..self
        }
    }

    /// The joined row of an inner join: none where either side is missing.
    #[inline(always)]
    pub fn join_on<O>(self, joiner: impl FnOnce(&V, &FV) -> O) -> Record<K, Change<O>> {
        self.joined(|left, right| right.map(|right| joiner(left, right)))
    }

    /// The joined row of a left join: none where the left row was deleted.
    #[inline(always)]
    pub fn left_join_on<O>(
        self,
        joiner: impl FnOnce(&V, Option<&FV>) -> O,
    ) -> Record<K, Change<O>> {
        self.joined(|left, right| Some(joiner(left, right)))
    }

    #[inline(always)]
    fn joined<O>(self, joiner: impl FnOnce(&V, Option<&FV>) -> Option<O>) -> Record<K, Change<O>> {
        let right = self.right.as_ref();
        let new = self.left.as_ref().and_then(|left| joiner(left, right));
        Record {
            key: self.key,
            value: Change::new(new, None),
            timestamp: self.timestamp,
            headers: self.headers,
        }
    }
}
