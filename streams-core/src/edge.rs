//! Layer 4. A repartition topic between two sub-topologies, as a value that carries its types: what one side sends is what
//! the other receives, and rustc infers both at once.

use std::fmt;

use crate::context::TaskContext;
use crate::error::TaskResult;
use crate::partitioner::{IntoPartitions, StreamPartitioner};
use crate::record::{RawRecord, Record};
use crate::serde::Serde;

/// The types of the records of a repartition topic, and how they are written and read. The functions are constants of the method
/// that makes the edge, so the compiler calls them directly; that the types have a wire format is asked once, by [`edge`].
pub struct Edge<K, V> {
    write: Write<K, V>,
    write_to: WriteTo<K, V>,
    read: Read<K, V>,
}

type Write<K, V> = fn(&mut TaskContext, usize, &Record<K, V>) -> TaskResult;
type WriteTo<K, V> = fn(&mut TaskContext, usize, &Record<K, V>, i32) -> TaskResult;
type Read<K, V> = for<'a> fn(&mut TaskContext, RawRecord<'a>) -> TaskResult<Option<Record<K, V>>>;

impl<K, V> Clone for Edge<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Edge<K, V> {}

impl<K, V> fmt::Debug for Edge<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Edge")
    }
}

/// An edge whose types rustc infers from its two ends.
#[inline(always)]
#[must_use]
pub const fn edge<K: Serde, V: Serde>() -> Edge<K, V> {
    Edge {
        write: TaskContext::repartition::<K, V>,
        write_to: TaskContext::repartition_to::<K, V>,
        read: TaskContext::decode::<K, V>,
    }
}

impl<K, V> Edge<K, V> {
    /// Writes a record to the repartition topic of index `topic`, to the partition of its key. A key type
    /// with only one value (`()`) puts all records together.
    ///
    /// # Errors
    /// When key or value have no bytes.
    #[inline(always)]
    pub fn send(self, topic: usize, record: Record<K, V>, cx: &mut TaskContext) -> TaskResult {
        (self.write)(cx, topic, &record)
    }

    /// Writes a record to the repartition topic, to the partitions that `partitioner` chooses.
    ///
    /// # Errors
    /// When key or value have no bytes, or the topic has no such partition, and the handler says to fail.
    #[inline(always)]
    pub fn send_by<R: IntoPartitions>(
        self,
        topic: usize,
        record: Record<K, V>,
        partitioner: impl FnOnce(&str, &K, &V, u32) -> R,
        cx: &mut TaskContext,
    ) -> TaskResult {
        let chosen = |name: &str, count| partitioner(name, &record.key, &record.value, count);
        cx.spread(topic, chosen, |cx, partition| match partition {
            Some(partition) => (self.write_to)(cx, topic, &record, partition),
            None => (self.write)(cx, topic, &record),
        })
    }

    /// As [`send_by`](Self::send_by), by what is no closure.
    ///
    /// # Errors
    /// As [`send_by`](Self::send_by).
    #[inline(always)]
    pub fn send_partitioned(
        self,
        topic: usize,
        record: Record<K, V>,
        partitioner: &impl StreamPartitioner<K, V>,
        cx: &mut TaskContext,
    ) -> TaskResult {
        let by = |topic: &str, key: &K, value: &V, count| {
            partitioner.partitions(topic, key, value, count)
        };
        self.send_by(topic, record, by, cx)
    }

    /// Reads a record of the repartition topic; `None` where it cannot be read and the handler says to go on.
    ///
    /// # Errors
    /// When it cannot be read and the handler says to fail.
    #[inline(always)]
    pub fn receive(
        self,
        raw: RawRecord<'_>,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Record<K, V>>> {
        (self.read)(cx, raw)
    }
}
