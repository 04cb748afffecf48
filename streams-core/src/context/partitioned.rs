//! Records whose partitions a partitioner of the user's chooses: one, several, none, or that of Kafka's own rule.

use super::{TaskContext, To};
use crate::error::TaskResult;
use crate::exceptions::ProductionException;
use crate::partitioner::{IntoPartitions, Partitions, StreamPartitioner};
use crate::record::{Change, Headers, Record, Timestamp};
use crate::serde::Serde;

/// Whether a partition's number is one of so many.
fn is_below(partition: i32, partitions: u32) -> bool {
    u32::try_from(partition).is_ok_and(|partition| partition < partitions)
}

impl TaskContext {
    /// Writes a record to a topic, to the partitions that `partitioner` chooses.
    ///
    /// # Errors
    /// When key or value have no bytes, or the topic has no such partition, and the handler says to fail.
    #[inline]
    pub fn send_by<K: Serde, V: Serde, R: IntoPartitions>(
        &mut self,
        topic: usize,
        record: &Record<K, V>,
        partitioner: impl FnOnce(&str, &K, &V, u32) -> R,
    ) -> TaskResult {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = record;
        let chosen = |name: &str, count| partitioner(name, key, value, count);
        self.spread(topic, chosen, |cx, partition| {
            cx.write_to(topic, key, value, *timestamp, headers, partition)
        })
    }

    /// Writes a table's update to a topic, to the partitions that `partitioner` chooses.
    ///
    /// # Errors
    /// As [`send_by`](Self::send_by).
    #[inline]
    pub fn send_change_by<K: Serde, V: Serde, R: IntoPartitions>(
        &mut self,
        topic: usize,
        record: &Record<K, Change<V>>,
        partitioner: impl FnOnce(&str, &K, &Option<V>, u32) -> R,
    ) -> TaskResult {
        let Record {
            key,
            value: Change { new: value, .. },
            timestamp,
            headers,
        } = record;
        let chosen = |name: &str, count| partitioner(name, key, value, count);
        self.spread(topic, chosen, |cx, partition| {
            cx.write_to(topic, key, value, *timestamp, headers, partition)
        })
    }

    /// As [`send_by`](Self::send_by), by what is no closure.
    ///
    /// # Errors
    /// As [`send_by`](Self::send_by).
    #[inline]
    pub fn send_partitioned<K: Serde, V: Serde>(
        &mut self,
        topic: usize,
        record: &Record<K, V>,
        partitioner: &impl StreamPartitioner<K, V>,
    ) -> TaskResult {
        self.send_by(topic, record, |topic, key, value, count| {
            partitioner.partitions(topic, key, value, count)
        })
    }

    /// As [`send_change_by`](Self::send_change_by), by what is no closure.
    ///
    /// # Errors
    /// As [`send_by`](Self::send_by).
    #[inline]
    pub fn send_change_partitioned<K: Serde, V: Serde>(
        &mut self,
        topic: usize,
        record: &Record<K, Change<V>>,
        partitioner: &impl StreamPartitioner<K, Option<V>>,
    ) -> TaskResult {
        self.send_change_by(topic, record, |topic, key, value, count| {
            partitioner.partitions(topic, key, value, count)
        })
    }

    /// Asks a partitioner, and writes a record as often as it says.
    #[inline]
    pub(crate) fn spread<R: IntoPartitions>(
        &mut self,
        topic: usize,
        partitioner: impl FnOnce(&str, u32) -> R,
        mut write: impl FnMut(&mut Self, Option<i32>) -> TaskResult,
    ) -> TaskResult {
        let mut partitions = self.partition_count(topic);
        if partitions == 0 {
            partitions = self.asked_count(topic)?;
        }
        if partitions == 0 {
            let topic_name = self.topic_name(topic).to_owned();
            return self.unpartitioned(
                topic,
                ProductionException::UnknownTopic { topic: topic_name },
            );
        }
        let is_there = |partition: i32| is_below(partition, partitions);
        match partitioner(self.topic_name(topic), partitions).into_partitions() {
            Partitions::Default => write(self, None),
            Partitions::One(partition) if is_there(partition) => write(self, Some(partition)),
            Partitions::One(partition) => self.out_of_range(topic, partition),
            Partitions::Nowhere => {
                self.drop_record("its partitioner chose no partition");
                Ok(())
            }
            Partitions::Several(all) => all.into_iter().try_for_each(|partition| {
                if is_there(partition) {
                    write(self, Some(partition))
                } else {
                    self.out_of_range(topic, partition)
                }
            }),
        }
    }

    /// Whether a topic has a partition of that number, as far as its count is known.
    pub(crate) fn has_partition(&self, topic: usize, partition: i32) -> bool {
        let partitions = self.partition_count(topic);
        partitions == 0 || is_below(partition, partitions)
    }

    #[cold]
    pub(crate) fn out_of_range(&mut self, topic: usize, partition: i32) -> TaskResult {
        let error = ProductionException::PartitionOutOfRange {
            topic: self.topic_name(topic).to_owned(),
            partition,
            partitions: self.partition_count(topic),
        };
        self.unpartitioned(topic, error)
    }

    /// Writes a record to a repartition topic's partition.
    #[inline]
    pub(crate) fn repartition_to<K: Serde, V: Serde>(
        &mut self,
        topic: usize,
        record: &Record<K, V>,
        partition: i32,
    ) -> TaskResult {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = record;
        self.write_to(topic, key, value, *timestamp, headers, Some(partition))
    }

    #[inline]
    fn write_to<K: Serde, V: Serde>(
        &mut self,
        topic: usize,
        key: &K,
        value: &V,
        timestamp: Timestamp,
        headers: &Headers,
        partition: Option<i32>,
    ) -> TaskResult {
        let to = partition.map_or(To::Key(None), To::Partition);
        self.write(topic, key, value, timestamp, headers, to)
    }
}
