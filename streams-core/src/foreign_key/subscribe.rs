//! The left side of a foreign-key join: an update of its table subscribes to the right row that it names.

use std::fmt;
use std::marker::PhantomData;

use super::murmur3;
use super::wire::{Hash, Instruction, SubscriptionBytes};
use crate::context::{TaskContext, serialize};
use crate::error::{BoxError, RecordPart, TaskResult};
use crate::obligations::{ForeignKey, TriedKey};
use crate::partitioner::{IntoPartitions, Partitions};
use crate::record::{Change, Headers, Record, Timestamp};
use crate::serde::Serde;
use crate::table::same_bytes;

/// An update of the left table, which subscribes to right rows. `Node` and `Table` name both sides for messages.
pub struct Subscribing<K, V, Node = (), Table = (), P = Kafkas> {
    record: Record<K, Change<V>>,
    topic: usize,
    node: &'static str,
    /// How the right table is partitioned.
    partitioner: P,
    nodes: PhantomData<fn() -> (Node, Table)>,
}

/// Kafka's own partitioner.
#[derive(Debug, Clone, Copy)]
pub struct Kafkas;

/// A partitioner of the user's: a function of topic, foreign key and number of partitions.
#[derive(Debug, Clone, Copy)]
pub struct Given<F>(F);

/// Finds the partition of a right row by its key. Not `StreamPartitioner` itself, which messages about the user's types name.
pub trait FindsRows<FK> {
    /// Where the rows of a key are.
    fn partitions(&self, topic: &str, key: &FK, count: u32) -> Partitions;
}

#[diagnostic::do_not_recommend]
impl<FK> FindsRows<FK> for Kafkas {
    #[inline(always)]
    fn partitions(&self, _: &str, _: &FK, _: u32) -> Partitions {
        Partitions::Default
    }
}

#[diagnostic::do_not_recommend]
impl<FK, F: Fn(&str, &FK, u32) -> Partitions> FindsRows<FK> for Given<F> {
    #[inline(always)]
    fn partitions(&self, topic: &str, key: &FK, count: u32) -> Partitions {
        self.0(topic, key, count)
    }
}

impl<K, V, Node, Table, P> fmt::Debug for Subscribing<K, V, Node, Table, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscribing").field(&self.topic).finish()
    }
}

impl<K, V> Subscribing<K, V> {
    /// An update whose subscriptions go to this topic.
    #[inline(always)]
    #[must_use]
    pub const fn new(record: Record<K, Change<V>>, topic: usize) -> Self {
        Subscribing {
            record,
            topic,
            node: "?",
            partitioner: Kafkas,
            nodes: PhantomData,
        }
    }

    /// Names the two sides.
    #[inline(always)]
    #[must_use]
    pub fn between<Node, Table>(self) -> Subscribing<K, V, Node, Table> {
        self.with("?", Kafkas)
    }
}

impl<K, V, Node, Table, P> Subscribing<K, V, Node, Table, P> {
    #[inline(always)]
    fn with<OtherNode, OtherTable, Q>(
        self,
        node: &'static str,
        partitioner: Q,
    ) -> Subscribing<K, V, OtherNode, OtherTable, Q> {
        Subscribing {
            record: self.record,
            topic: self.topic,
            node,
            partitioner,
            nodes: PhantomData,
        }
    }

    /// The right table is partitioned by this function. A subscription has no value to go by.
    #[expect(clippy::type_complexity, reason = "the function has no name")]
    #[inline(always)]
    pub fn by<FK, R: IntoPartitions>(
        self,
        node: &'static str,
        partitioner: impl Fn(&str, &FK, &(), u32) -> R,
    ) -> Subscribing<K, V, Node, Table, Given<impl Fn(&str, &FK, u32) -> Partitions>> {
        let by = move |topic: &str, key: &FK, count| {
            partitioner(topic, key, &(), count).into_partitions()
        };
        self.with(node, Given(by))
    }
}

impl<K: Serde, V: Serde, Node, Table, P> Subscribing<K, V, Node, Table, P> {
    /// The left side of an inner join. A row without a foreign key is dropped and counted.
    ///
    /// # Errors
    /// When a key or the row has no bytes.
    #[inline]
    pub fn join_on<FK, E>(
        self,
        mut extractor: impl FnMut(&K, &V) -> E,
        cx: &mut TaskContext,
    ) -> TaskResult
    where
        FK: Serde,
        E: ForeignKey<FK, Node, Table>,
        P: FindsRows<FK>,
    {
        self.inner(|key, row| Ok(extractor(key, row).into_key()), "?", cx)
    }

    /// The left side of a left join. A row without a foreign key asks too, with a null key, and is answered that it has no
    /// partner.
    ///
    /// # Errors
    /// When a key or the row has no bytes.
    #[inline]
    pub fn left_join_on<FK, E>(
        self,
        mut extractor: impl FnMut(&K, &V) -> E,
        cx: &mut TaskContext,
    ) -> TaskResult
    where
        FK: Serde,
        E: ForeignKey<FK, Node, Table>,
        P: FindsRows<FK>,
    {
        self.left(|key, row| Ok(extractor(key, row).into_key()), "?", cx)
    }

    /// [`join_on`](Self::join_on) with an extractor that may fail: then the update is dropped. A row that it failed on has no foreign key when
    /// it is the old one.
    ///
    /// # Errors
    /// As [`join_on`](Self::join_on), and when the extractor failed and the handler says to fail.
    #[inline]
    pub fn try_join_on<FK, E>(
        self,
        mut extractor: impl FnMut(&K, &V) -> E,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> TaskResult
    where
        FK: Serde,
        E: TriedKey<FK, Node, Table>,
        P: FindsRows<FK>,
    {
        self.inner(|key, row| extractor(key, row).try_into_key(), node, cx)
    }

    /// [`left_join_on`](Self::left_join_on) with an extractor that may fail: then the update is dropped. A row that it failed on has no foreign key when
    /// it is the old one.
    ///
    /// # Errors
    /// As [`left_join_on`](Self::left_join_on), and when the extractor failed and the handler says to fail.
    #[inline]
    pub fn try_left_join_on<FK, E>(
        self,
        mut extractor: impl FnMut(&K, &V) -> E,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> TaskResult
    where
        FK: Serde,
        E: TriedKey<FK, Node, Table>,
        P: FindsRows<FK>,
    {
        self.left(|key, row| extractor(key, row).try_into_key(), node, cx)
    }

    #[inline]
    fn inner<FK: Serde>(
        self,
        extractor: impl FnMut(&K, &V) -> Result<Option<FK>, BoxError>,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> TaskResult
    where
        P: FindsRows<FK>,
    {
        let Some(update) = self.update(extractor, node, cx)? else {
            return Ok(());
        };
        let deleted = update.hash.is_none();
        match (&update.old, &update.new) {
            (old, None) => {
                if !deleted {
                    cx.drop_record("null foreign key");
                }
                match old {
                    Some(_) => update.send(&update.old, Instruction::DeleteAndPropagate, cx),
                    None => Ok(()),
                }
            }
            (Some(old), Some(new)) if !same_bytes(old, new, cx) => {
                update.send(&update.old, Instruction::DeleteNoPropagate, cx)?;
                update.send(&update.new, Instruction::PropagateNull, cx)
            }
            (_, Some(_)) => update.send(&update.new, Instruction::PropagateOnlyIfAvailable, cx),
        }
    }

    #[inline]
    fn left<FK: Serde>(
        self,
        extractor: impl FnMut(&K, &V) -> Result<Option<FK>, BoxError>,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> TaskResult
    where
        P: FindsRows<FK>,
    {
        let Change { new, old, .. } = &self.record.value;
        if new.is_none() && old.is_none() {
            return Ok(());
        }
        let Some(update) = self.update(extractor, node, cx)? else {
            return Ok(());
        };
        let left = match (&update.old, &update.new) {
            (Some(old), Some(new)) => !same_bytes(old, new, cx),
            (old, _) => old.is_some(),
        };
        if left {
            update.send(&update.old, Instruction::DeleteNoPropagate, cx)?;
        }
        update.send(&update.new, Instruction::PropagateNull, cx)
    }

    /// The update with its foreign keys; `None` where it is one of a versioned table's past, which is dropped and counted.
    #[inline]
    fn update<FK: Serde>(
        self,
        mut extractor: impl FnMut(&K, &V) -> Result<Option<FK>, BoxError>,
        node: &'static str,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Update<K, FK, P>>> {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.record;
        if !value.is_latest {
            cx.drop_record("not the latest of its key");
            return Ok(None);
        }
        let hash = match &value.new {
            Some(row) => match hash_of(row, self.topic, cx)? {
                Some(hash) => Some(hash),
                None => return Ok(None),
            },
            None => None,
        };
        let mut foreign_key = |row: Option<&V>| -> Result<Option<FK>, BoxError> {
            let Some(row) = row else { return Ok(None) };
            let foreign_key = extractor(&key, row)?;
            Ok(foreign_key.filter(|key| !key.is_null()))
        };
        // What the extractor failed on never subscribed.
        let old = foreign_key(value.old.as_ref()).unwrap_or_default();
        let Some(new) = cx.tried(node, foreign_key(value.new.as_ref()))? else {
            return Ok(None);
        };
        Ok(Some(Update {
            key,
            old,
            new,
            hash,
            topic: self.topic,
            node: self.node,
            partitioner: self.partitioner,
            timestamp,
            headers,
        }))
    }
}

/// `None` where the row has no bytes and the handler says to go on.
fn hash_of<V: Serde>(row: &V, topic: usize, cx: &mut TaskContext) -> TaskResult<Option<Hash>> {
    let bytes = &mut cx.scratch.value;
    bytes.clear();
    match serialize(row, bytes) {
        Ok(_) => Ok(Some(murmur3::hash(bytes))),
        Err(reason) => cx
            .unwritable(topic, RecordPart::Value, reason)
            .map(|()| None),
    }
}

/// An update of the left table with the foreign keys that it had and has.
struct Update<K, FK, P> {
    key: K,
    old: Option<FK>,
    new: Option<FK>,
    hash: Option<Hash>,
    topic: usize,
    node: &'static str,
    partitioner: P,
    timestamp: Timestamp,
    headers: Headers,
}

impl<K: Serde, FK: Serde, P: FindsRows<FK>> Update<K, FK, P> {
    fn send(
        &self,
        foreign_key: &Option<FK>,
        instruction: Instruction,
        cx: &mut TaskContext,
    ) -> TaskResult {
        let chosen = foreign_key.as_ref().map_or(Partitions::Default, |key| {
            let (topic, count) = (cx.topic_name(self.topic), cx.partition_count(self.topic));
            self.partitioner.partitions(topic, key, count)
        });
        let partition = match chosen {
            Partitions::Default => None,
            Partitions::One(partition) => Some(partition),
            Partitions::Nowhere | Partitions::Several(_) => {
                let wrong = "the partitioner of a foreign-key join has to choose one partition for each key";
                return cx.tried::<(), _>(self.node, Err(wrong)).map(drop);
            }
        };
        if let Some(partition) = partition
            && !cx.has_partition(self.topic, partition)
        {
            return cx.out_of_range(self.topic, partition);
        }
        let bytes = SubscriptionBytes {
            instruction,
            hash: self.hash,
            primary_key: &[],
            partition: Some(cx.task().partition),
        };
        cx.write_parts(
            self.topic,
            partition,
            self.timestamp,
            &self.headers,
            |out| serialize(foreign_key, out),
            |out| {
                bytes.write_head(out);
                self.key.serialize(out)?;
                bytes.write_tail(out);
                Ok(false)
            },
        )
    }
}
