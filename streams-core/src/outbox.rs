//! Layer 1. What processing wants written: nodes append here, and only a commit hands it to a transport.

use crate::record::{Headers, RawRecord, RecordMetadata, Timestamp};

/// Records to be produced, in order, their bytes in one arena. No allocation per record once it has grown.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// The source records that caused entries, where somebody may ask for them.
    causes: Vec<Cause>,
    /// Whether the last of them is being processed.
    in_process: bool,
}

/// The source record that caused an entry; its bytes lie in the arena.
#[derive(Debug)]
struct Cause {
    start: usize,
    key_end: usize,
    value_end: usize,
    key_is_null: bool,
    value_is_null: bool,
    timestamp: Timestamp,
    headers: Headers,
    metadata: RecordMetadata,
}

/// What an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// Nobody kept it.
    Unknown,
    Cause(usize),
    /// It tells of a failure, and may not be the cause of another such record.
    Failure,
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
    from: From,
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
        let from = self.from();
        self.push_from(record, from);
    }

    /// Appends a record that tells of another's failure.
    pub fn push_dead_letter(&mut self, record: Outgoing<'_>) {
        self.push_from(record, From::Failure);
    }

    fn push_from(&mut self, record: Outgoing<'_>, from: From) {
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
            from,
        });
    }

    /// What is appended from here on is caused by this source record, until [`end_record`](Self::end_record).
    pub fn begin_record(&mut self, metadata: RecordMetadata, raw: RawRecord<'_>) {
        self.end_record();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(raw.key.unwrap_or_default());
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(raw.value.unwrap_or_default());
        self.causes.push(Cause {
            start,
            key_end,
            value_end: self.bytes.len(),
            key_is_null: raw.key.is_none(),
            value_is_null: raw.value.is_none(),
            timestamp: raw.timestamp,
            headers: raw.headers.clone(),
            metadata,
        });
        self.in_process = true;
    }

    /// The source record is processed. One that caused nothing is forgotten.
    pub fn end_record(&mut self) {
        if !std::mem::take(&mut self.in_process) {
            return;
        }
        let last = From::Cause(self.causes.len().saturating_sub(1));
        if self.entries.last().is_none_or(|entry| entry.from != last)
            && let Some(cause) = self.causes.pop()
            && self.bytes.len() == cause.value_end
        {
            self.bytes.truncate(cause.start);
        }
    }

    /// The source record that is being processed, if it is kept.
    #[must_use]
    pub fn record_in_process(&self) -> Option<(RecordMetadata, RawRecord<'_>)> {
        let cause = self.causes.last().filter(|_| self.in_process)?;
        Some(self.cause(cause))
    }

    /// The source record that caused the record of that number, if it was kept.
    #[must_use]
    pub fn cause_of(&self, number: usize) -> Option<(RecordMetadata, RawRecord<'_>)> {
        match self.entries.get(number)?.from {
            From::Cause(cause) => Some(self.cause(self.causes.get(cause)?)),
            From::Unknown | From::Failure => None,
        }
    }

    /// Whether the record of that number tells of another's failure.
    #[must_use]
    pub fn is_dead_letter(&self, number: usize) -> bool {
        self.entries
            .get(number)
            .is_some_and(|entry| entry.from == From::Failure)
    }

    fn cause<'a>(&'a self, cause: &'a Cause) -> (RecordMetadata, RawRecord<'a>) {
        let bytes = |from, to, is_null: bool| self.bytes.get(from..to).filter(|_| !is_null);
        let raw = RawRecord {
            key: bytes(cause.start, cause.key_end, cause.key_is_null),
            value: bytes(cause.key_end, cause.value_end, cause.value_is_null),
            timestamp: cause.timestamp,
            headers: &cause.headers,
        };
        (cause.metadata, raw)
    }

    #[inline]
    fn from(&self) -> From {
        if self.in_process {
            From::Cause(self.causes.len() - 1)
        } else {
            From::Unknown
        }
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
                let from = self.from();
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
                    from,
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
        self.entries.iter().map(|entry| self.outgoing(entry))
    }

    fn outgoing<'a>(&'a self, entry: &'a Entry) -> Outgoing<'a> {
        let bytes = |from, to, is_null: bool| self.bytes.get(from..to).filter(|_| !is_null);
        Outgoing {
            topic: entry.topic,
            partition: entry.partition,
            key: bytes(entry.start, entry.key_end, entry.key_is_null),
            value: bytes(entry.key_end, entry.value_end, entry.value_is_null),
            timestamp: entry.timestamp,
            headers: &entry.headers,
        }
    }

    /// The record of that number.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<Outgoing<'_>> {
        self.entries.get(number).map(|entry| self.outgoing(entry))
    }

    /// Forgets the first records, which are written.
    pub fn remove_first(&mut self, count: usize) {
        self.entries.drain(..count.min(self.entries.len()));
    }

    /// Whether any record tells of another's failure.
    #[must_use]
    pub fn has_dead_letters(&self) -> bool {
        self.entries.iter().any(|entry| entry.from == From::Failure)
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
        self.causes.clear();
        self.in_process = false;
    }
}
