//! Layer 0. Records, headers, timestamps, and the names of what they come from. Uses nothing above it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// Milliseconds since the Unix epoch, as Kafka counts record timestamps.
pub type Timestamp = i64;

/// A header: a name and bytes, which may be null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The header's name.
    pub key: String,
    /// The header's value; `None` is Kafka's null.
    pub value: Option<Bytes>,
}

/// The headers of a record, in order. Cloning is cheap; an empty list allocates nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Option<Arc<Vec<Header>>>);

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Headers(None)
    }

    /// Appends a header; a name may occur several times.
    pub fn add(&mut self, key: impl Into<String>, value: impl Into<Bytes>) {
        self.push(Header {
            key: key.into(),
            value: Some(value.into()),
        });
    }

    /// Appends a header as it is.
    pub fn push(&mut self, header: Header) {
        Arc::make_mut(self.0.get_or_insert_with(Arc::default)).push(header);
    }

    /// Removes every header of that name.
    pub fn remove(&mut self, key: &str) {
        if let Some(list) = &mut self.0 {
            let list = Arc::make_mut(list);
            list.retain(|h| h.key != key);
            if list.is_empty() {
                self.0 = None;
            }
        }
    }

    /// The last header of that name, as Kafka's `lastHeader`.
    #[must_use]
    pub fn last(&self, key: &str) -> Option<&Header> {
        self.iter().rev().find(|h| h.key == key)
    }

    /// The headers in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.as_deref().map_or(&[][..], Vec::as_slice).iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_deref().map_or(0, Vec::len)
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(iter: I) -> Self {
        let list: Vec<Header> = iter.into_iter().collect();
        if list.is_empty() {
            Headers(None)
        } else {
            Headers(Some(Arc::new(list)))
        }
    }
}

/// A typed record on its way through a topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<K, V> {
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// Milliseconds since the Unix epoch.
    pub timestamp: Timestamp,
    /// The headers.
    pub headers: Headers,
}

impl<K, V> Record<K, V> {
    /// A record without headers.
    pub const fn new(key: K, value: V, timestamp: Timestamp) -> Self {
        Record {
            key,
            value,
            timestamp,
            headers: Headers::new(),
        }
    }

    /// The same record with another key.
    pub fn with_key<K2>(self, key: K2) -> Record<K2, V> {
        Record {
            key,
            value: self.value,
            timestamp: self.timestamp,
            headers: self.headers,
        }
    }

    /// The same record as one of a stream that may hold null keys.
    #[inline(always)]
    pub(crate) fn nullable_key(self) -> Record<Option<K>, V> {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self;
        Record {
            key: Some(key),
            value,
            timestamp,
            headers,
        }
    }

    /// The same record with another value.
    pub fn with_value<V2>(self, value: V2) -> Record<K, V2> {
        Record {
            key: self.key,
            value,
            timestamp: self.timestamp,
            headers: self.headers,
        }
    }
}

/// An update of a table: the new value and, where somebody needs it, the old one. `None` is no value (a tombstone).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<V> {
    /// The value from now on.
    pub new: Option<V>,
    /// The value until now; `None` also where no consumer of the table asked for old values.
    pub old: Option<V>,
    /// Whether the table has no later value of the key. Only versioned tables have others: updates of the past.
    pub is_latest: bool,
}

impl<V> Change<V> {
    /// An update to the key's latest value, as all are but those of versioned tables.
    #[inline(always)]
    pub const fn new(new: Option<V>, old: Option<V>) -> Self {
        Change {
            new,
            old,
            is_latest: true,
        }
    }
}

/// A value and its timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueAndTimestamp<V> {
    /// The value.
    pub value: V,
    /// Milliseconds since the Unix epoch.
    pub timestamp: Timestamp,
}

/// When a value was valid: a versioned store keeps the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment, in milliseconds since the Unix epoch.
    pub from: Timestamp,
    /// The first moment at which it is not valid any more; `None` while it is the latest.
    pub to: Option<Timestamp>,
}

/// A value of a versioned store, and when it was valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedRecord<V> {
    /// The value.
    pub value: V,
    /// Since when, in milliseconds since the Unix epoch.
    pub valid_from: Timestamp,
    /// Until when (at that moment it is not valid any more); `None` while it is the latest.
    pub valid_to: Option<Timestamp>,
}

/// A record's bytes as a source hands them to a task.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'a> {
    /// The key's bytes; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; `None` is null.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the Unix epoch.
    pub timestamp: Timestamp,
    /// The headers.
    pub headers: &'a Headers,
}

/// Where the record that is being processed came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordMetadata {
    /// Index into the topology's topics.
    pub topic: usize,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// What a record has beside key and value, for whoever chooses its topic: Kafka Streams' `RecordContext`.
#[derive(Debug, Clone, Copy)]
pub struct RecordContext<'r> {
    /// Milliseconds since the Unix epoch.
    pub timestamp: Timestamp,
    /// The headers, in order.
    pub headers: &'r Headers,
    /// The topic of the record that is being processed; `None` in punctuators.
    pub topic: Option<&'r str>,
    /// Its partition; -1 in punctuators.
    pub partition: i32,
    /// Its offset; -1 in punctuators.
    pub offset: i64,
}

/// A record whose key nobody can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedKeyRecord<K, V> {
    key: K,
    /// The value.
    pub value: V,
    /// Milliseconds since the Unix epoch.
    pub timestamp: Timestamp,
    /// The headers.
    pub headers: Headers,
}

/// A record that was made has a timestamp that none can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record's timestamp may not be negative, and this one's was made {0}")]
pub struct NegativeTimestamp(pub Timestamp);

/// A record whose key may be changed: no [`FixedKeyRecord`] is one, and the compiler says why.
#[diagnostic::on_unimplemented(
    message = "the key of a `FixedKeyRecord` cannot be changed: what reads it counts on its partition [KS0275]",
    label = "the key is fixed here",
    note = "only the value, the timestamp and the headers can; to change keys, write a `Processor`, called by `process`, or use \
            `map_record`: a repartition topic follows where one is needed"
)]
pub trait KeyMayChange {}

impl<K, V> FixedKeyRecord<K, V> {
    /// Refused by the compiler, which says so: the key is fixed. A [`Record`] has this function.
    #[doc(hidden)]
    pub fn with_key<K2>(self, key: K2) -> FixedKeyRecord<K2, V>
    where
        Self: KeyMayChange,
    {
        FixedKeyRecord {
            key,
            value: self.value,
            timestamp: self.timestamp,
            headers: self.headers,
        }
    }

    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The same record with another value.
    pub fn with_value<V2>(self, value: V2) -> FixedKeyRecord<K, V2> {
        FixedKeyRecord {
            key: self.key,
            value,
            timestamp: self.timestamp,
            headers: self.headers,
        }
    }

    #[inline(always)]
    pub(crate) fn of(record: Record<K, V>) -> Self {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = record;
        FixedKeyRecord {
            key,
            value,
            timestamp,
            headers,
        }
    }

    #[inline(always)]
    pub(crate) fn into_record(self) -> Record<K, V> {
        Record {
            key: self.key,
            value: self.value,
            timestamp: self.timestamp,
            headers: self.headers,
        }
    }
}

/// A partition of a topic, by the topic's full name on the broker or log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        TopicPartition {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A task: one partition of one sub-topology. Printed as Kafka Streams does, `<sub-topology>_<partition>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The sub-topology's index in the topology.
    pub subtopology: usize,
    /// The partition.
    pub partition: i32,
}

impl TaskId {
    /// What keeps the global stores: it belongs to no sub-topology and has all partitions. Printed as Kafka Streams does, `-1_-1`.
    pub const GLOBAL: TaskId = TaskId {
        subtopology: usize::MAX,
        partition: -1,
    };
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == TaskId::GLOBAL {
            return f.write_str("-1_-1");
        }
        write!(f, "{}_{}", self.subtopology, self.partition)
    }
}

/// Which part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordPart {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl fmt::Display for RecordPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordPart::Key => "key",
            RecordPart::Value => "value",
        })
    }
}
