//! Layer 3. What can go wrong, one enum per operation, each convertible to [`Error`]. What has to be done about a failure
//! while running is its [`ErrorClass`]; the worker matches it in one place.

use std::fmt;

use crate::config::ConfigError;
use crate::exceptions::{ProcessingException, ProductionException, SERIALIZATION};
use crate::query::QueryError;
pub use crate::record::RecordPart;
use crate::record::{TaskId, Timestamp, TopicPartition};
use crate::serde::SerdeError;
use crate::state_dir::StateDirectoryError;
use crate::store::StoreError;
use crate::transport::{Operation, TransportError};

/// The result of most public functions.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// The result of everything that runs inside a task.
pub type TaskResult<T = ()> = std::result::Result<T, TaskError>;

/// An error of somebody else's: a user's closure, a signal handler, a file.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Any error of kstreams.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The topology does not fit the topics that are there. Found at start-up, before the first record.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A task failed.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The log or the broker.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// State on disk or in memory.
    #[error(transparent)]
    Store(BoxError),
    /// An interactive query.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A wire format.
    #[error(transparent)]
    Serde(#[from] SerdeError),
    /// The handle was asked for something that its state does not allow.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// Reading or writing something that is neither state nor log.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Everything else.
    #[error(transparent)]
    Other(#[from] BoxError),
}

impl From<StoreError> for Error {
    fn from(e: StoreError) -> Self {
        Error::Store(Box::new(e))
    }
}

impl From<StateDirectoryError> for Error {
    fn from(e: StateDirectoryError) -> Self {
        StoreError::from(e).into()
    }
}

/// The topology does not fit the topics that the log or broker has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// A topic that the topology reads is not there.
    #[error(
        "topic `{topic}`, read by `{node}`, does not exist: create it (`topics create` makes every declared topic, \
         with {}) [KS0305]", partitions(*.declared)
    )]
    MissingSourceTopic {
        /// The topic.
        topic: String,
        /// The field that reads it.
        node: String,
        /// The declared partition count.
        declared: Option<u32>,
    },
    /// A topic that the topology writes is not there.
    #[error(
        "topic `{topic}`, written by the topology, does not exist: create it (`topics create` makes every declared \
         topic, with {}) [KS0305]", partitions(*.declared)
    )]
    MissingSinkTopic {
        /// The topic.
        topic: String,
        /// The declared partition count.
        declared: Option<u32>,
    },
    /// The topic of dead letters is not there.
    #[error(
        "topic `{topic}`, the dead-letter queue (errors.dead.letter.queue.topic.name), does not exist: create it (`topics \
         create` makes it too) [KS0305]"
    )]
    MissingDeadLetterQueue {
        /// The topic.
        topic: String,
    },
    /// A topic has another partition count than the topology declares.
    #[error(
        "topic `{topic}` has {actual} partitions, but the topology declares `partitions = {declared}`: records with one \
         key would be looked for in the wrong partition. Declare {actual}, or recreate the topic with {declared} [KS0306]"
    )]
    PartitionCount {
        /// The topic.
        topic: String,
        /// What the topology declares.
        declared: u32,
        /// What is there.
        actual: u32,
    },
    /// Topics that are joined have different partition counts.
    #[error(
        "co-partitioning: {} are read together but have different partition counts, so equal keys lie in different \
         tasks. Give them equal counts, put `.repartition(N)` before the join, or read the smaller one as a \
         `GlobalKTable` [KS0301]",
        list(topics)
    )]
    NotCopartitioned {
        /// The topics and their counts.
        topics: Vec<(String, u32)>,
    },
    /// A topic of ours is there with another partition count: somebody changed the sources' counts.
    #[error(
        "internal topic `{topic}` has {actual} partitions, but the topology needs {expected}: its sources' partition \
         counts changed, and with them the partition of every key. Reset the application (`reset`), or restore the \
         sources' counts [KS0307]"
    )]
    InternalTopic {
        /// The topic.
        topic: String,
        /// What the topology needs.
        expected: u32,
        /// What is there.
        actual: u32,
    },
    /// A topic of ours is there with a setting that loses data.
    #[error(
        "internal topic `{topic}` has `{key}={actual}`, which loses {what}; it must be `{expected}`. Alter the topic, or \
         reset the application (`reset`) [KS0307]"
    )]
    InternalTopicConfig {
        /// The topic.
        topic: String,
        /// The setting.
        key: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        actual: String,
        /// What is lost.
        what: &'static str,
    },
    /// The client may not do what the application has to do.
    #[error(
        "no right to {} {resource}: {} are needed. Grant them to the user that the client's settings name [KS0309]",
        words(operations),
        operation_names(operations)
    )]
    MissingRights {
        /// What it is about, in words.
        resource: String,
        /// What is not allowed.
        operations: Vec<Operation>,
    },
    /// No broker answers.
    #[error(
        "the log cannot be reached: {reason}. See that it runs, and that `bootstrap.servers` and the security settings are \
         its [KS0310]"
    )]
    Unreachable {
        /// What the client says.
        reason: String,
    },
    /// More than one thing.
    #[error("the topology and its topics do not fit:{}", lines(problems))]
    Several {
        /// Each of them.
        problems: Vec<TopologyError>,
    },
    /// No topic is read at all.
    #[error("the topology reads no topic: give a field `#[source(topic = \"…\")]`")]
    Empty,
}

impl TopologyError {
    /// Whether a topic is not there that `create.topics` would create.
    #[must_use]
    pub fn is_missing_topic(&self) -> bool {
        matches!(
            self,
            TopologyError::MissingSourceTopic { .. }
                | TopologyError::MissingSinkTopic { .. }
                | TopologyError::MissingDeadLetterQueue { .. }
        )
    }
}

fn partitions(declared: Option<u32>) -> String {
    match declared {
        Some(1) => "1 partition".to_owned(),
        Some(n) => format!("{n} partitions"),
        None => "1 partition, or `--partitions N`".to_owned(),
    }
}

fn lines(problems: &[TopologyError]) -> String {
    problems.iter().map(|p| format!("\n  - {p}")).collect()
}

fn operation_names(operations: &[Operation]) -> String {
    let names: Vec<String> = operations.iter().map(|o| format!("`{o}`")).collect();
    names.join(" and ")
}

/// What a person would say for operations.
fn words(operations: &[Operation]) -> String {
    let word = |operation: &Operation| match operation {
        Operation::Read => "read",
        Operation::Write => "write",
        Operation::Create => "create",
        Operation::Delete => "delete from",
        Operation::Alter => "change",
        Operation::Describe => "see",
        Operation::DescribeConfigs => "see the settings of",
        Operation::AlterConfigs => "change the settings of",
    };
    let words: Vec<&str> = operations.iter().map(word).collect();
    words.join(" and ")
}

fn list(topics: &[(String, u32)]) -> String {
    let all: Vec<String> = topics
        .iter()
        .map(|(t, n)| format!("`{t}` ({n} partitions)"))
        .collect();
    all.join(", ")
}

/// The handle was asked for something that its state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// The application is being shut down or has been.
    #[error("the application is {state}: {what} needs a running one")]
    NotRunning {
        /// What was asked for.
        what: &'static str,
        /// The state.
        state: String,
    },
    /// The application stopped because of an error, which a thread met.
    #[error("stream thread `{thread}` failed and the application was shut down: {message}")]
    Failed {
        /// The thread.
        thread: String,
        /// The error's text.
        message: String,
    },
    /// Threads did not end in time.
    #[error("the application did not stop within {0:?}; its threads go on in the background")]
    CloseTimeout(std::time::Duration),
}

/// A failure inside a task. One pointer wide, so that results of the hot path stay small.
pub struct TaskError(Box<TaskFailure>);

impl TaskError {
    /// What went wrong.
    #[must_use]
    pub fn failure(&self) -> &TaskFailure {
        &self.0
    }

    /// What went wrong, by value.
    #[must_use]
    pub fn into_failure(self) -> TaskFailure {
        *self.0
    }

    /// What has to be done about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self.failure() {
            TaskFailure::Transport(e) => transport_class(e),
            TaskFailure::InTask { source, .. } => source.class(),
            TaskFailure::StateInUse(_) => ErrorClass::Retriable,
            _ => ErrorClass::Fatal,
        }
    }

    /// What it says of a record whose key or value a store cannot take: nothing else is wrong then, and the handler decides.
    ///
    /// # Errors
    /// The failure itself, where it is about anything else.
    pub(crate) fn into_exception(self) -> Result<ProcessingException, TaskError> {
        match *self.0 {
            TaskFailure::Serialization { .. } => Ok(ProcessingException::Returned {
                type_name: SERIALIZATION,
                error: self.0,
            }),
            TaskFailure::Store { store, reason } => match reason.downcast::<StoreError>() {
                Ok(error) if matches!(*error, StoreError::KeyTooLong { .. }) => {
                    Ok(ProcessingException::returned(*error))
                }
                Ok(error) => Err(TaskFailure::Store {
                    store,
                    reason: error,
                }
                .into()),
                Err(reason) => Err(TaskFailure::Store { store, reason }.into()),
            },
            failure => Err(failure.into()),
        }
    }

    /// The store that it is about.
    pub(crate) fn store(&self) -> Option<&str> {
        match self.failure() {
            TaskFailure::Store { store, .. } => Some(store),
            TaskFailure::Serialization { destination, .. } => destination.strip_prefix("store "),
            _ => None,
        }
    }

    /// When another instance asked this one to shut down, if that is what it says.
    pub(crate) fn requested_shutdown(&self) -> Option<Timestamp> {
        match self.failure() {
            TaskFailure::ShutdownRequested { at, .. } => Some(*at),
            TaskFailure::InTask { source, .. } => source.requested_shutdown(),
            _ => None,
        }
    }

    /// The same error, with the task that it happened in.
    #[must_use]
    pub fn in_task(self, task: TaskId) -> Self {
        match *self.0 {
            TaskFailure::InTask { .. } => self,
            kind => TaskFailure::InTask {
                task,
                source: kind.into(),
            }
            .into(),
        }
    }
}

impl<E: Into<TaskFailure>> From<E> for TaskError {
    #[cold]
    fn from(kind: E) -> Self {
        TaskError(Box::new(kind.into()))
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for TaskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// What went wrong inside a task.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskFailure {
    /// A record's bytes are no record of the source's types, and the handler says to fail.
    #[error(
        "the {part} of offset {offset} of {topic}-{partition} cannot be read by `{node}`: {reason} (set \
         deserialization.exception.handler to `continue` to skip and count such records)"
    )]
    Deserialization {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// The source node.
        node: &'static str,
        /// Key or value.
        part: RecordPart,
        /// What is wrong with the bytes.
        reason: SerdeError,
    },
    /// A value has no bytes.
    #[error("the {part} for {destination} cannot be written: {reason}")]
    Serialization {
        /// The topic or store that it was for.
        destination: String,
        /// Key or value.
        part: RecordPart,
        /// What is wrong with the value.
        reason: SerdeError,
    },
    /// A suppression holds back more than it may, and was told not to send anything early.
    #[error(
        "the suppression of `{node}` holds back more than it may, with offset {offset} of {partition}: {records} of {max_records} records, {bytes} of {max_bytes} bytes; \
         allow for more with `max_records(…)` or `max_bytes(…)`, or let it send early with `emit_early_when_full()`"
    )]
    SuppressBufferFull {
        /// The node.
        node: &'static str,
        /// Where the record came from that was one too many.
        partition: TopicPartition,
        /// Its offset.
        offset: i64,
        /// How many keys wait.
        records: u64,
        /// How many may.
        max_records: u64,
        /// How large they are, as Kafka Streams estimates it.
        bytes: u64,
        /// How large they may be.
        max_bytes: u64,
    },
    /// A store cannot be read or written, or holds what nobody wrote.
    #[error("store `{store}`: {reason}")]
    Store {
        /// The store.
        store: String,
        /// What is wrong.
        reason: BoxError,
    },
    /// A changelog holds what its store cannot take.
    #[error(
        "offset {offset} of changelog {partition} cannot be restored into store `{store}`: {reason}. This application did not \
         write it so; reset the application (`reset`), or delete the changelog's records up to there and the state directory"
    )]
    ChangelogRecord {
        /// The changelog.
        partition: TopicPartition,
        /// The record's offset.
        offset: i64,
        /// The store.
        store: &'static str,
        /// What is wrong with the record.
        reason: BoxError,
    },
    /// A closure or a processor failed, and the handler says to fail.
    #[error(
        "`{node}` failed{}: {reason} (set processing.exception.handler to `continue` \
         to skip and count such records)",
        place(topic, *partition, *offset)
    )]
    Processing {
        /// The topic of the source record; empty where there is none.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
        /// The node.
        node: &'static str,
        /// What was returned, or what the panic said.
        reason: ProcessingException,
    },
    /// A processor's `init` failed.
    #[error("the processor `{node}` cannot begin: {reason}")]
    Processor {
        /// The node.
        node: &'static str,
        /// What was returned.
        reason: ProcessingException,
    },
    /// A record cannot be written, and the handler says to fail.
    #[error(
        "a record is not written{}: {reason} (set production.exception.handler to `continue` to skip and count such records)",
        place(topic, *partition, *offset)
    )]
    Production {
        /// The topic of the source record; empty where it is not known.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
        /// What is wrong.
        reason: ProductionException,
    },
    /// A record for a dead-letter queue cannot be written. No handler is asked: it would only make another one.
    #[error("the dead-letter queue does not take a record: {reason}")]
    DeadLetter {
        /// What is wrong.
        reason: ProductionException,
    },
    /// An exception handler panicked.
    #[error("the {handler} panicked: {message}; it was asked about {about}")]
    Handler {
        /// Which of them.
        handler: &'static str,
        /// What the panic said.
        message: String,
        /// What it was asked about.
        about: String,
    },
    /// A timestamp extractor returned an error.
    #[error(
        "the timestamp extractor of `{node}` failed on offset {offset} of {partition}: {reason}"
    )]
    TimestampExtractor {
        /// The topic and partition.
        partition: TopicPartition,
        /// The record's offset.
        offset: i64,
        /// The source node.
        node: &'static str,
        /// What it returned.
        reason: BoxError,
    },
    /// A record without a valid timestamp.
    #[error(
        "record {offset} in {partition} has the negative timestamp {timestamp}: its producer set none. Give records \
         timestamps where they are written"
    )]
    NegativeTimestamp {
        /// The topic and partition.
        partition: TopicPartition,
        /// The record's offset.
        offset: i64,
        /// The timestamp.
        timestamp: Timestamp,
    },
    /// Another instance asked all instances of the application to shut down, by what it committed with a task's offsets.
    #[error(
        "another instance asked all instances of the application to shut down (SHUTDOWN_APPLICATION); the log of the first to stop \
         says why. It was read with the offset of {partition}, and concerns no instance that is started from now on"
    )]
    ShutdownRequested {
        /// Where it was read.
        partition: TopicPartition,
        /// When the other one asked, in milliseconds since the Unix epoch.
        at: Timestamp,
    },
    /// A source that says where to begin only through a committed offset, and there is none.
    #[error(
        "{partition} has no committed offset, and its source says `offset_reset = none`: commit one for the group first"
    )]
    NoOffset {
        /// The topic and partition.
        partition: TopicPartition,
    },
    /// A sink's closure named a topic that the sink does not declare: a processing error of the sink's node.
    #[error("a record was routed to topic `{topic}`, but its sink declares only: {declared}")]
    UndeclaredTopic {
        /// The topic that the closure returned.
        topic: String,
        /// What `topics(…)` lists.
        declared: String,
    },
    /// Generated code and runtime disagree; not to be caused by input.
    #[error("internal error: {0}")]
    Internal(String),
    /// State that is no store's own: the directory, the checkpoint.
    #[error(transparent)]
    State(BoxError),
    /// Another of the process's threads still has the task's state: it lost the task and has not heard of it yet.
    #[error("{0}: the thread that has it has to let it go first")]
    StateInUse(BoxError),
    /// The log or the broker.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A transient failure did not go away.
    #[error("gave up after {after:?} of retries (`task.timeout.ms`): {last}")]
    Timeout {
        /// How long it was tried.
        after: std::time::Duration,
        /// The last failure.
        last: Box<TaskFailure>,
    },
    /// Any of these, with the task that it happened in.
    #[error("task {task}: {source}")]
    InTask {
        /// The task.
        task: TaskId,
        /// The failure.
        source: TaskError,
    },
}

/// ` on offset 7 of orders-1`, where a source record is known.
fn place(topic: &str, partition: i32, offset: i64) -> String {
    if topic.is_empty() {
        return String::new();
    }
    format!(" on offset {offset} of {topic}-{partition}")
}

/// What has to be done about a failure while running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Nothing was lost: try again, for as long as `task.timeout.ms`.
    Retriable,
    /// What is in memory is no longer what the log says: abort, rebuild the thread's tasks from their last commit, rewind.
    Corrupted,
    /// As corrupted, and the producer is of no more use: a new one first.
    LostProducer,
    /// Others have the tasks now: drop them without committing, and join anew.
    Fenced,
    /// Nothing helps: the thread ends, and the uncaught handler decides.
    Fatal,
}

/// What a failure of the transport says of a record, if it is one that only that record meets.
pub(crate) fn of_a_record(e: TransportError) -> Result<ProductionException, TransportError> {
    match e {
        TransportError::RecordTooLarge { topic, size, limit } => {
            Ok(ProductionException::RecordTooLarge { topic, size, limit })
        }
        TransportError::UnknownTopic(topic) => Ok(ProductionException::UnknownTopic { topic }),
        TransportError::UnknownPartition(partition) => {
            Ok(ProductionException::UnknownPartition { partition })
        }
        other => Err(other),
    }
}

/// What has to be done about a failure of the transport.
#[must_use]
pub fn transport_class(e: &TransportError) -> ErrorClass {
    match e {
        TransportError::Retriable(_) => ErrorClass::Retriable,
        TransportError::Abortable(_) => ErrorClass::Corrupted,
        TransportError::Unusable(_) => ErrorClass::LostProducer,
        TransportError::Fenced(_) => ErrorClass::Fenced,
        TransportError::UnknownTopic(_)
        | TransportError::UnknownPartition(_)
        | TransportError::InvalidTopic { .. }
        | TransportError::RecordTooLarge { .. }
        | TransportError::OffsetOutOfRange { .. }
        | TransportError::Unauthorized(_)
        | TransportError::Unauthenticated(_)
        | TransportError::Fatal(_) => ErrorClass::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_error_is_one_pointer() {
        assert_eq!(size_of::<TaskResult>(), size_of::<usize>());
    }

    #[test]
    fn the_task_is_named_once_and_keeps_the_class() {
        let task = TaskId {
            subtopology: 1,
            partition: 2,
        };
        let error = TaskError::from(TransportError::Retriable("no leader".to_owned()));
        let error = error.in_task(task).in_task(TaskId {
            subtopology: 9,
            partition: 9,
        });
        assert_eq!(error.to_string(), "task 1_2: no leader (will be retried)");
        assert_eq!(error.class(), ErrorClass::Retriable);
    }

    #[test]
    fn a_limit_that_nobody_told_is_not_told() {
        let error = |limit| TransportError::RecordTooLarge {
            topic: "large".to_owned(),
            size: 20,
            limit,
        };
        for (limit, end) in [
            (Some(7), "max.message.bytes = 7"),
            (None, "max.message.bytes"),
        ] {
            let text = error(limit).to_string();
            assert!(text.ends_with(end), "{text}");
            let Ok(of_record) = of_a_record(error(limit)) else {
                panic!("it is one record's");
            };
            assert_eq!(of_record.to_string(), text);
        }
    }

    #[test]
    fn texts_say_what_where_and_what_to_do() {
        let error = TopologyError::NotCopartitioned {
            topics: vec![("a".to_owned(), 3), ("b".to_owned(), 5)],
        };
        let text = error.to_string();
        assert!(
            text.contains("`a` (3 partitions), `b` (5 partitions)") && text.contains("KS0301"),
            "{text}"
        );
        let error = TopologyError::MissingSourceTopic {
            topic: "t".into(),
            node: "n".into(),
            declared: Some(1),
        };
        assert!(error.to_string().contains("topics create"), "{error}");
    }
}
