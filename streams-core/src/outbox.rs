//! Layer 1. What processing wants written: nodes append here, and only a commit hands it to a transport.

use crate::record::{Headers, Timestamp};

/// Records to be produced, in order, their bytes in one arena. No allocation per record once it has grown.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    topic: usize,
    partition: Option<i32>,
    start: usize,
    key_end: usize,
    value_end: usize,
    key_is_null: bool,
    value_is_null: bool,
    timestamp: Option<Timestamp>,
    headers: Headers,
}

/// A record of an outbox.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Index into the topology's topics, or beyond them into the task's dynamically named ones.
    pub topic: usize,
    /// The partition; `None` leaves it to the producer (a null key).
    pub partition: Option<i32>,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes.
    pub value: Option<&'a [u8]>,
    /// The timestamp; `None` lets the producer take the wall clock.
    pub timestamp: Option<Timestamp>,
    /// The headers.
    pub headers: &'a Headers,
}

impl Outbox {
    /// Appends a record of bytes.
    pub fn push(&mut self, record: Outgoing<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record.key.unwrap_or_default());
        let key_end = self.bytes.len();
        self.bytes
            .extend_from_slice(record.value.unwrap_or_default());
        self.entries.push(Entry {
            topic: record.topic,
            partition: record.partition,
            start,
            key_end,
            value_end: self.bytes.len(),
            key_is_null: record.key.is_none(),
            value_is_null: record.value.is_none(),
            timestamp: record.timestamp,
            headers: record.headers.clone(),
        });
    }

    /// Appends a record that `write` serializes in place; on an error nothing is appended.
    ///
    /// # Errors
    /// What `key` or `value` return.
    pub fn write<E>(
        &mut self,
        topic: usize,
        timestamp: Option<Timestamp>,
        headers: Headers,
        key: impl FnOnce(&mut Vec<u8>) -> Result<bool, E>,
        partition: impl FnOnce(Option<&[u8]>) -> Option<i32>,
        value: impl FnOnce(&mut Vec<u8>) -> Result<bool, E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        let written = key(&mut self.bytes).and_then(|key_is_null| {
            let key_end = self.bytes.len();
            value(&mut self.bytes).map(|value_is_null| (key_is_null, key_end, value_is_null))
        });
        match written {
            Ok((key_is_null, key_end, value_is_null)) => {
                let key = if key_is_null {
                    None
                } else {
                    Some(&self.bytes[start..key_end])
                };
                let partition = partition(key);
                self.entries.push(Entry {
                    topic,
                    partition,
                    start,
                    key_end,
                    value_end: self.bytes.len(),
                    key_is_null,
                    value_is_null,
                    timestamp,
                    headers,
                });
                Ok(())
            }
            Err(e) => {
                self.bytes.truncate(start);
                Err(e)
            }
        }
    }

    /// The records in the order they were appended.
    pub fn iter(&self) -> impl Iterator<Item = Outgoing<'_>> {
        self.entries.iter().map(|e| Outgoing {
            topic: e.topic,
            partition: e.partition,
            key: if e.key_is_null {
                None
            } else {
                self.bytes.get(e.start..e.key_end)
            },
            value: if e.value_is_null {
                None
            } else {
                self.bytes.get(e.key_end..e.value_end)
            },
            timestamp: e.timestamp,
            headers: &e.headers,
        })
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes of keys and values there are.
    #[must_use]
    pub fn size_in_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets all records; keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }
}
