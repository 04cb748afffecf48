//! Layer 2. The port to a log: consumer, producer, admin, group membership. The embedded log and Kafka implement it.
//! Everything goes through in batches; nothing here is called per record. Uses layers 0 and 1, never a store.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::outbox::Outbox;
use crate::record::{Headers, TaskId, Timestamp, TopicPartition};
use crate::topology::OffsetReset;

mod counts;
pub mod embedded;
pub mod fault;
pub mod kafka;

pub use counts::TopicCounts;
pub(crate) use counts::{LogCounts, Missing};

/// What can go wrong in a transport, by what has to be done about it. Mapped once, in the transport; matched in one place, the worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Try again later; nothing was lost.
    #[error("{0} (will be retried)")]
    Retriable(String),
    /// The transaction has to be aborted, the state rolled back and the input rewound.
    #[error("transaction aborted: {0}")]
    Abortable(String),
    /// Another instance took this one's place: drop the tasks, rejoin.
    #[error("fenced: {0}")]
    Fenced(String),
    /// This client is of no more use, as its transaction was open for too long, say; but nobody took this one's place. Make
    /// a new client, which ends what the old one left open; the state rolled back and the input rewound.
    #[error("client lost: {0}")]
    Unusable(String),
    /// A topic is not there.
    #[error("topic `{0}` does not exist")]
    UnknownTopic(String),
    /// A topic has no such partition.
    #[error("partition {0} does not exist")]
    UnknownPartition(TopicPartition),
    /// A topic cannot be made as described, or is there and differs: its partition count, its name, a setting.
    #[error("topic `{topic}`: {reason}")]
    InvalidTopic {
        /// The topic.
        topic: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The log's rights forbid it. The text says what to whom, and what to do.
    #[error("not authorized: {0}")]
    Unauthorized(String),
    /// The log does not let this client in: its credentials are wrong, or of a kind that it does not take.
    #[error("not let in: {0}")]
    Unauthenticated(String),
    /// A record exceeds the topic's `max.message.bytes`. Nothing of its outbox was queued.
    #[error("a record of {size} bytes for topic `{topic}` exceeds its max.message.bytes{}", limit.map_or_else(String::new, |limit| format!(" = {limit}")))]
    RecordTooLarge {
        /// The topic.
        topic: String,
        /// The record's size: key, value and headers.
        size: usize,
        /// The topic's limit, if this client may know it.
        limit: Option<usize>,
    },
    /// The committed or wanted offset is out of range and no reset policy applies.
    #[error("offset {offset} of {partition} is out of range")]
    OffsetOutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// The wanted offset.
        offset: i64,
    },
    /// The log's own files are damaged, of another version, locked or the disk is full. The text says where and what to do.
    #[error("{0}")]
    Fatal(String),
}

/// A connection factory. Cheap to clone behind an `Arc`; each thread makes its own consumer and producer.
pub trait Transport: Send + Sync + fmt::Debug {
    /// A client for topics.
    ///
    /// # Errors
    /// When the log cannot be reached.
    fn admin(&self) -> Result<Box<dyn Admin>, TransportError>;
    /// A consumer without partitions.
    ///
    /// # Errors
    /// When the log cannot be reached.
    fn consumer(&self, client_id: &str) -> Result<Box<dyn Consumer>, TransportError>;
    /// A producer.
    ///
    /// # Errors
    /// When the log cannot be reached.
    fn producer(&self, spec: &ProducerSpec) -> Result<Box<dyn Producer>, TransportError>;
    /// A member of a group, not yet joined.
    ///
    /// # Errors
    /// When the log cannot be reached.
    fn membership(&self, spec: &MembershipSpec) -> Result<Box<dyn Membership>, TransportError>;
}

/// What a producer is to be.
#[derive(Debug, Clone)]
pub struct ProducerSpec {
    /// The client id.
    pub client_id: String,
    /// With an id, a transactional producer: a later one with the same id fences this one. Without, an idempotent one.
    pub transactional_id: Option<String>,
}

/// A topic as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its partition count.
    pub partitions: u32,
    /// Its settings (`cleanup.policy`, `retention.ms`, …), those that were given at creation.
    pub config: BTreeMap<String, String>,
}

/// What a client may be allowed to do with a [`Resource`]; Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Fetch records, or join a group and commit its offsets.
    Read,
    /// Produce records.
    Write,
    /// Create a topic, or any topic.
    Create,
    /// Delete a topic, its records, or a group.
    Delete,
    /// Change a topic.
    Alter,
    /// See that it is there.
    Describe,
    /// See its settings.
    DescribeConfigs,
    /// Change its settings.
    AlterConfigs,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What rights are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Resource<'a> {
    /// A topic.
    Topic(&'a str),
    /// A group.
    Group(&'a str),
    /// The whole log.
    Cluster,
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Topic(name) => write!(f, "topic `{name}`"),
            Resource::Group(name) => write!(f, "group `{name}`"),
            Resource::Cluster => f.write_str("the cluster"),
        }
    }
}

/// What serves the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogDescription {
    /// The cluster's id, or the directory.
    pub id: String,
    /// The version, as far as it can be told from outside.
    pub version: Option<String>,
    /// The brokers, as `id host:port`; none for an embedded log.
    pub brokers: Vec<String>,
}

/// A group as the log sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Kafka's word: `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`; `Dead` where there is no such group.
    pub state: String,
    /// Who is in it.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its name, unique in the group.
    pub member: String,
    /// Its client id.
    pub client_id: String,
    /// Where it is.
    pub host: String,
}

/// Topics, offsets, groups and rights.
pub trait Admin: Send {
    /// The topics of these names, `None` where there is none; all topics for an empty list.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn describe_topics(&mut self, names: &[&str])
    -> Result<Vec<Option<TopicInfo>>, TransportError>;
    /// How many partitions a topic has; `None` where there is none of that name.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn partition_count(&mut self, topic: &str) -> Result<Option<u32>, TransportError> {
        let found = self.describe_topics(&[topic])?;
        Ok(found
            .into_iter()
            .flatten()
            .next()
            .map(|topic| topic.partitions))
    }
    /// Every topic.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn list_topics(&mut self) -> Result<Vec<TopicInfo>, TransportError>;
    /// Creates a topic; one that is already there as described is no error. `replication_factor` is how many brokers have
    /// a copy; `None` leaves it to them.
    ///
    /// # Errors
    /// When it is there with another partition count, cannot be had as described, or cannot be written.
    fn create_replicated(
        &mut self,
        topic: &TopicInfo,
        replication_factor: Option<u16>,
    ) -> Result<(), TransportError>;
    /// [`create_replicated`](Self::create_replicated) with as many copies as the log makes by itself.
    ///
    /// # Errors
    /// As there.
    fn create_topic(&mut self, topic: &TopicInfo) -> Result<(), TransportError> {
        self.create_replicated(topic, None)
    }
    /// Deletes topics with their records and every group's offsets of them; names that are not there are passed over. Returns
    /// when they are gone, so that one of the same name can be made.
    ///
    /// # Errors
    /// When the log does not allow it, or cannot be written.
    fn delete_topics(&mut self, names: &[&str]) -> Result<(), TransportError>;
    /// Deletes records before an offset (purging repartition topics).
    ///
    /// # Errors
    /// When the log cannot be written.
    fn delete_records(&mut self, before: &[(TopicPartition, i64)]) -> Result<(), TransportError>;
    /// First offset that is there and the offset after the last one, counting what is not yet committed (read uncommitted).
    ///
    /// # Errors
    /// When the log cannot be read.
    fn offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<OffsetRange>, TransportError>;
    /// What a group has committed, stable (no transaction on these offsets is still open); `None` where it has nothing.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn committed(
        &mut self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>, TransportError>;
    /// Sets what a group without members has committed; metadata is dropped.
    ///
    /// # Errors
    /// [`TransportError::Abortable`] when the group has members; when a partition is not there, or the log cannot be written.
    fn alter_committed(
        &mut self,
        group: &str,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), TransportError>;
    /// Who is in a group.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn describe_group(&mut self, group: &str) -> Result<GroupDescription, TransportError>;
    /// What serves the log.
    ///
    /// # Errors
    /// When it cannot be reached.
    fn describe_log(&mut self) -> Result<LogDescription, TransportError>;
    /// What this client may do with each resource; `None` where the log does not say, be it that it knows no rights or that
    /// the resource is not there.
    ///
    /// # Errors
    /// When the log cannot be reached.
    fn allowed(
        &mut self,
        resources: &[Resource<'_>],
    ) -> Result<Vec<Option<BTreeSet<Operation>>>, TransportError>;
}

/// First and next offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetRange {
    /// The first offset that is there.
    pub start: i64,
    /// The offset that the next record will get.
    pub end: i64,
}

/// A group's offset of a partition: the next record to process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to process.
    pub offset: i64,
    /// Free text; holds the partition time.
    pub metadata: String,
}

/// Reads committed records of partitions that it was told to.
pub trait Consumer: Send {
    /// Adds partitions, each from an offset on. One that is already there is moved.
    ///
    /// # Errors
    /// When the topic is not there.
    fn assign(&mut self, partitions: &[(TopicPartition, i64)]) -> Result<(), TransportError>;
    /// Takes partitions away.
    fn unassign(&mut self, partitions: &[TopicPartition]);
    /// Stops fetching from partitions whose buffers are full.
    fn pause(&mut self, partitions: &[TopicPartition]);
    /// Goes on fetching.
    fn resume(&mut self, partitions: &[TopicPartition]);
    /// Appends what has come, at most about `max_records`, waiting up to `timeout` if there is nothing. A zero timeout never blocks.
    ///
    /// That a partition's end was reached is news too: it comes once per arrival there, with an empty [`Fetched`] if there
    /// are no records to go with it (an empty partition, or a gap at the end). Partitions take turns, so none starves.
    ///
    /// # Errors
    /// As [`TransportError`]; [`TransportError::OffsetOutOfRange`] again at each poll until the partition is moved or taken away.
    fn poll(
        &mut self,
        timeout: Duration,
        max_records: usize,
        into: &mut Vec<Fetched>,
    ) -> Result<(), TransportError>;
}

/// A batch from one partition, in offset order.
#[derive(Debug)]
pub struct Fetched {
    /// The partition.
    pub partition: TopicPartition,
    /// The records; offsets rise, but need not be dense.
    pub records: Vec<ConsumedRecord>,
    /// The offset to go on from: past the last record, and past gaps.
    pub next_offset: i64,
    /// Whether the partition had nothing more to read (committed) when this was read.
    pub at_end: bool,
}

/// A record as it lies in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumedRecord {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Its key; `None` is null.
    pub key: Option<Bytes>,
    /// Its value; `None` is null.
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
}

/// Writes records. With a transactional id: `init` once, then `begin`, `send`…, `send_offsets`, `commit` or `abort`, again and again.
/// Without: `send`…, `flush`.
pub trait Producer: Send {
    /// Fences older producers with the same transactional id and ends what they left open.
    ///
    /// # Errors
    /// As [`TransportError`].
    fn init(&mut self) -> Result<(), TransportError>;
    /// Opens a transaction.
    ///
    /// # Errors
    /// As [`TransportError`].
    fn begin(&mut self) -> Result<(), TransportError>;
    /// Queues every record of an outbox. `topics` gives the full name of each topic index. Does not clear the outbox.
    /// A record without a partition goes where the producer chooses: by its key as Kafka does, without key in turns.
    ///
    /// # Errors
    /// As [`TransportError`]; an unknown topic or partition or a record too large is found here or at the flush. If it is
    /// found here, nothing of this outbox is queued.
    fn send(&mut self, outbox: &Outbox, topics: &[Arc<str>]) -> Result<(), TransportError>;
    /// Adds the group's offsets to the transaction; refused when the member is no longer the group's, or its metadata is
    /// older than what it was last told. [`GroupMetadata::outside`] stands for somebody who is no member; that is refused
    /// while the group has members.
    ///
    /// # Errors
    /// As [`TransportError`]; [`TransportError::Abortable`] for a stale generation or an unknown member.
    fn send_offsets(
        &mut self,
        group: &GroupMetadata,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), TransportError>;
    /// Commits the transaction; tells the next offset of each partition written, as far as it is known.
    ///
    /// # Errors
    /// As [`TransportError`].
    fn commit(&mut self) -> Result<Vec<(TopicPartition, i64)>, TransportError>;
    /// Throws the transaction away.
    ///
    /// # Errors
    /// As [`TransportError`].
    fn abort(&mut self) -> Result<(), TransportError>;
    /// Waits until everything sent is durable; tells the next offset of each partition written, as far as it is known.
    ///
    /// # Errors
    /// As [`TransportError`].
    fn flush(&mut self) -> Result<Vec<(TopicPartition, i64)>, TransportError>;
}

/// Who commits offsets, for fencing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The group.
    pub group: String,
    /// The member.
    pub member: String,
    /// The generation or epoch it was last told.
    pub generation: i64,
    /// The name that stays the same when the member is restarted, where the log tells it from `member`.
    pub instance: Option<String>,
}

impl GroupMetadata {
    /// A committer that is no member: a program of its own that keeps positions in a group without members.
    #[must_use]
    pub fn outside(group: impl Into<String>) -> Self {
        GroupMetadata {
            group: group.into(),
            member: String::new(),
            generation: -1,
            instance: None,
        }
    }
}

/// What a member is to be.
#[derive(Debug, Clone)]
pub struct MembershipSpec {
    /// The group: the application id.
    pub group: String,
    /// This member, unique in the group and the same after a restart (process id and thread index).
    pub member: String,
    /// The sub-topologies that read topics: index and full names of source topics, repartition topics among them.
    pub subtopologies: Vec<SubtopologySources>,
}

/// What a sub-topology reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubtopologySources {
    /// The sub-topology.
    pub subtopology: usize,
    /// Full names and reset policies of its source topics.
    pub topics: Vec<(Arc<str>, OffsetReset)>,
}

/// A member of a group. Speaks of tasks, not of partitions.
pub trait Membership: Send {
    /// Says what changed since the last call; joins with the first one. Never blocks longer than a short round trip.
    /// A member that has joined and got nothing is told so once, by an empty [`MembershipEvent::Assigned`].
    ///
    /// # Errors
    /// As [`TransportError`]; [`TransportError::Fenced`] when another member of the same name has joined since.
    fn poll(&mut self) -> Result<Vec<MembershipEvent>, TransportError>;
    /// Says that revoked tasks are committed and closed, so that others may have them.
    ///
    /// # Errors
    /// As [`TransportError`].
    fn released(&mut self, tasks: &[TaskId]) -> Result<(), TransportError>;
    /// For [`Producer::send_offsets`].
    fn group_metadata(&self) -> GroupMetadata;
    /// Commits offsets outside a transaction (at least once).
    ///
    /// # Errors
    /// As [`TransportError`].
    fn commit(
        &mut self,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), TransportError>;
    /// Leaves the group at once.
    ///
    /// # Errors
    /// As [`TransportError`].
    fn leave(&mut self) -> Result<(), TransportError>;
}

/// A change of what a member has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembershipEvent {
    /// These tasks are now this member's.
    Assigned(Vec<TaskId>),
    /// These are to be given up: commit and close them, then call [`Membership::released`].
    Revoked(Vec<TaskId>),
    /// These are already somebody else's: close them without committing.
    Lost(Vec<TaskId>),
}
