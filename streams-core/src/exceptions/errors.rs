//! Layer 1. What failed, as a handler and the headers of a dead letter say it.

use std::borrow::Cow;
use std::error::Error;

use crate::record::{RecordPart, TopicPartition};
use crate::serde::SerdeError;

type BoxError = Box<dyn Error + Send + Sync>;

/// An error that a handler is asked about, with what Kafka Streams' dead letters say of it.
pub trait Exception: Error {
    /// `__streams.errors.exception`: the name of Kafka's class, where Kafka has one for it; otherwise that of the Rust type.
    fn exception(&self) -> Cow<'_, str>;

    /// `__streams.errors.message`: in Kafka's words where Kafka has them; otherwise what the error says.
    fn message(&self) -> String {
        self.to_string()
    }

    /// `__streams.errors.stacktrace`: the error with its causes, a line each.
    fn stack_trace(&self) -> String {
        let mut text = format!("{}: {}", self.exception(), self.message());
        let mut cause = self.source();
        while let Some(error) = cause {
            text += &format!("\nCaused by: {error}");
            cause = error.source();
        }
        text
    }
}

pub(crate) const SERIALIZATION: &str = "org.apache.kafka.common.errors.SerializationException";

/// Bytes that are none of their type.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the {part} cannot be read: {reason}")]
pub struct DeserializationException {
    /// Key or value.
    pub part: RecordPart,
    /// What is wrong with the bytes.
    #[source]
    pub reason: SerdeError,
}

impl Exception for DeserializationException {
    fn exception(&self) -> Cow<'_, str> {
        SERIALIZATION.into()
    }

    fn message(&self) -> String {
        match &self.reason {
            SerdeError::Length {
                type_name,
                expected,
                ..
            } => {
                // Kafka's deserializers name themselves, those of floats excepted.
                let class = match *type_name {
                    "i64" => "LongDeserializer",
                    "i32" => "IntegerDeserializer",
                    "i16" => "ShortDeserializer",
                    "bool" => "BooleanDeserializer",
                    "f32" | "f64" => "Deserializer",
                    _ => return self.to_string(),
                };
                format!("Size of data received by {class} is not {expected}")
            }
            _ => self.to_string(),
        }
    }
}

/// A closure or a processor failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessingException {
    /// It returned an error.
    #[error("{error}")]
    Returned {
        /// The name of the error's type.
        type_name: &'static str,
        /// The error.
        #[source]
        error: BoxError,
    },
    /// It panicked.
    #[error("panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
}

impl ProcessingException {
    /// An error that a closure or a processor returned.
    pub fn returned<E: Into<BoxError>>(error: E) -> Self {
        ProcessingException::Returned {
            type_name: std::any::type_name::<E>(),
            error: error.into(),
        }
    }
}

impl Exception for ProcessingException {
    fn exception(&self) -> Cow<'_, str> {
        match self {
            ProcessingException::Returned { type_name, .. } => (*type_name).into(),
            ProcessingException::Panicked { .. } => "panic".into(),
        }
    }

    fn message(&self) -> String {
        match self {
            ProcessingException::Returned { error, .. } => error.to_string(),
            ProcessingException::Panicked { message } => message.clone(),
        }
    }

    fn stack_trace(&self) -> String {
        let mut text = format!("{}: {}", self.exception(), self.message());
        let mut cause = match self {
            ProcessingException::Returned { error, .. } => error.source(),
            ProcessingException::Panicked { .. } => None,
        };
        while let Some(error) = cause {
            text += &format!("\nCaused by: {error}");
            cause = error.source();
        }
        text
    }
}

/// A record that was not written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProductionException {
    /// It exceeds the topic's `max.message.bytes`.
    #[error("a record of {size} bytes for topic `{topic}` exceeds its max.message.bytes{}", limit.map_or_else(String::new, |limit| format!(" = {limit}")))]
    RecordTooLarge {
        /// The topic.
        topic: String,
        /// The record's size in bytes: key, value and headers.
        size: usize,
        /// The topic's limit in bytes, if this client may know it.
        limit: Option<usize>,
    },
    /// Its topic is not there.
    #[error("topic `{topic}` does not exist")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// Its partition is not there.
    #[error("partition {partition} does not exist")]
    UnknownPartition {
        /// The partition.
        partition: TopicPartition,
    },
    /// Its partitioner chose a partition that the topic does not have.
    #[error(
        "the partitioner chose partition {partition} of topic `{topic}`, which has {partitions}, numbered from 0"
    )]
    PartitionOutOfRange {
        /// The topic.
        topic: String,
        /// What was chosen.
        partition: i32,
        /// How many the topic has.
        partitions: u32,
    },
    /// Its key or value has no bytes.
    #[error("the {part} for {destination} cannot be written: {reason}")]
    Serialization {
        /// The topic that it was for.
        destination: String,
        /// Key or value.
        part: RecordPart,
        /// What is wrong with the value.
        reason: SerdeError,
    },
}

impl ProductionException {
    /// Whether the same may succeed later: a topic that is not there yet.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        matches!(
            self,
            ProductionException::UnknownTopic { .. } | ProductionException::UnknownPartition { .. }
        )
    }
}

impl Exception for ProductionException {
    fn exception(&self) -> Cow<'_, str> {
        match self {
            ProductionException::RecordTooLarge { .. } => {
                "org.apache.kafka.common.errors.RecordTooLargeException"
            }
            ProductionException::UnknownTopic { .. }
            | ProductionException::UnknownPartition { .. } => {
                "org.apache.kafka.common.errors.UnknownTopicOrPartitionException"
            }
            // What Kafka's producer throws at a negative one.
            ProductionException::PartitionOutOfRange { .. } => "java.lang.IllegalArgumentException",
            ProductionException::Serialization { .. } => SERIALIZATION,
        }
        .into()
    }
}

/// A record without a valid timestamp, which its source's extractor skips.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the timestamp {timestamp} is invalid (negative)")]
pub(crate) struct InvalidTimestamp {
    pub(crate) timestamp: crate::record::Timestamp,
}

impl Exception for InvalidTimestamp {
    fn exception(&self) -> Cow<'_, str> {
        "org.apache.kafka.streams.errors.StreamsException".into()
    }
}
