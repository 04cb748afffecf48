//! Layer 1. A dead letter: a record that failed, as it lay in its topic, with headers that say why.

use std::sync::Arc;

use bytes::Bytes;

use super::{ErrorHandlerContext, Exception};
use crate::record::{Header, Headers, Timestamp};

/// A record for a dead-letter queue.
///
/// [`ErrorHandlerContext::dead_letter`] makes it as Kafka Streams does: the source record's own bytes, timestamp and headers,
/// then `__streams.errors.exception`, `.message`, `.stacktrace`, `.topic`, `.partition` and `.offset`, in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The topic that it goes to.
    pub topic: Arc<str>,
    /// The key's bytes.
    pub key: Option<Bytes>,
    /// The value's bytes.
    pub value: Option<Bytes>,
    /// Milliseconds since the Unix epoch; negative leaves it to the producer's clock.
    pub timestamp: Timestamp,
    /// The headers.
    pub headers: Headers,
}

impl DeadLetter {
    pub(super) fn new(
        topic: Arc<str>,
        context: &ErrorHandlerContext<'_>,
        error: &dyn Exception,
    ) -> Self {
        let mut headers = context.headers.clone();
        let mut put = |name: &str, value: Option<String>| {
            headers.push(Header {
                key: format!("__streams.errors.{name}"),
                value: value.map(Bytes::from),
            });
        };
        put("exception", Some(error.exception().into_owned()));
        put("message", Some(error.message()));
        put("stacktrace", Some(error.stack_trace()));
        put(
            "topic",
            Some(context.topic.to_owned()).filter(|topic| !topic.is_empty()),
        );
        put("partition", Some(context.partition.to_string()));
        put("offset", Some(context.offset.to_string()));
        DeadLetter {
            topic,
            key: context.source_raw_key.map(Bytes::copy_from_slice),
            value: context.source_raw_value.map(Bytes::copy_from_slice),
            timestamp: context.timestamp,
            headers,
        }
    }
}
