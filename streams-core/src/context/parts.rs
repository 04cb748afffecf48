//! Records that are written part by part, in place, to a partition that need not be their key's.

use super::TaskContext;
use crate::error::{RecordPart, TaskResult};
use crate::partitioner::partition_for_key;
use crate::record::{Headers, Timestamp};
use crate::serde::SerdeError;

impl TaskContext {
    /// Appends a record whose key and value are written in place; each tells whether it is null. Without a partition it goes
    /// to that of its key, or, without a key, where the producer puts it.
    #[inline]
    pub(crate) fn write_parts(
        &mut self,
        topic: usize,
        partition: Option<i32>,
        timestamp: Timestamp,
        headers: &Headers,
        key: impl FnOnce(&mut Vec<u8>) -> Result<bool, SerdeError>,
        value: impl FnOnce(&mut Vec<u8>) -> Result<bool, SerdeError>,
    ) -> TaskResult {
        let partitions = self.partition_count(topic);
        let written = self.outbox.write(
            topic,
            Some(timestamp),
            headers.clone(),
            |out| key(out).map_err(|e| (RecordPart::Key, e)),
            |key| match (partition, key) {
                (None, Some(key)) if partitions > 0 => Some(partition_for_key(key, partitions)),
                (partition, _) => partition,
            },
            |out| value(out).map_err(|e| (RecordPart::Value, e)),
        );
        match written {
            Ok(()) => Ok(()),
            Err((part, reason)) => self.unwritable(topic, part, reason),
        }
    }

    /// How many partitions a topic has; 0 where it is not known.
    pub(crate) fn partition_count(&self, topic: usize) -> u32 {
        match self.partitions.get(topic) {
            Some(count) => *count,
            None => self.known_count(topic),
        }
    }
}
