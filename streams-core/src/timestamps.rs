//! Layer 0. Where the timestamp of a source's record comes from: Kafka Streams' extractors, and what one of the user's returns.

use std::error::Error;
use std::fmt;

use crate::record::Timestamp;

/// `default.timestamp.extractor`, or `#[source(timestamp = …)]` by its name in Rust's case: where a record's timestamp comes
/// from, and what becomes of a record whose own is invalid (negative: its producer set none).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TimestampExtractor {
    /// The record's own; an invalid one is an error. The default.
    #[default]
    FailOnInvalidTimestamp,
    /// The record's own; a record with an invalid one is logged, dropped and counted.
    LogAndSkipOnInvalidTimestamp,
    /// The record's own; where that is invalid, the highest of the partition so far. Where there is none yet, an error.
    UsePartitionTimeOnInvalidTimestamp,
    /// The time when it is about to be processed.
    WallclockTimestampExtractor,
}

impl TimestampExtractor {
    /// Every extractor, with its name as an option's word.
    pub const ALL: [(&'static str, TimestampExtractor); 4] = [
        (
            "fail_on_invalid_timestamp",
            TimestampExtractor::FailOnInvalidTimestamp,
        ),
        (
            "log_and_skip_on_invalid_timestamp",
            TimestampExtractor::LogAndSkipOnInvalidTimestamp,
        ),
        (
            "use_partition_time_on_invalid_timestamp",
            TimestampExtractor::UsePartitionTimeOnInvalidTimestamp,
        ),
        (
            "wallclock_timestamp_extractor",
            TimestampExtractor::WallclockTimestampExtractor,
        ),
    ];

    /// The extractor of a word, or of Kafka Streams' class name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let class = name.rsplit('.').next().unwrap_or(name);
        let found = Self::ALL
            .iter()
            .find(|(word, extractor)| *word == name || class == format!("{extractor:?}"));
        found.map(|(_, extractor)| *extractor)
    }

    /// Its name as an option's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, other)| *other == self);
        found.map_or("", |(word, _)| word)
    }
}

/// The error of a timestamp extractor.
type BoxError = Box<dyn Error + Send + Sync>;

/// What the extractor of `#[source(timestamp = …)]` may return: a timestamp in milliseconds since the Unix epoch, an
/// `Option` of one, or a `Result`. A record without one (`None`, or a negative one) is dropped and counted; an error stops
/// the task, as in Kafka Streams.
#[diagnostic::on_unimplemented(
    message = "a timestamp extractor has to return milliseconds since the Unix epoch as `i64`, not `{Self}` [KS0213]",
    label = "returns `{Self}`; an `i64`, an `Option<i64>` or a `Result<i64, E>` is needed"
)]
pub trait Extracted {
    /// The timestamp; negative where there is none.
    ///
    /// # Errors
    /// The extractor's own.
    fn extracted(self) -> Result<Timestamp, BoxError>;
}

#[diagnostic::do_not_recommend]
impl Extracted for Timestamp {
    fn extracted(self) -> Result<Timestamp, BoxError> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl Extracted for Option<Timestamp> {
    fn extracted(self) -> Result<Timestamp, BoxError> {
        Ok(self.unwrap_or(-1))
    }
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> Extracted for Result<Timestamp, E> {
    fn extracted(self) -> Result<Timestamp, BoxError> {
        self.map_err(Into::into)
    }
}

impl fmt::Display for TimestampExtractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_kafka_streams_class_names_are_known() {
        for (word, extractor) in TimestampExtractor::ALL {
            let class = format!("org.apache.kafka.streams.processor.{extractor:?}");
            assert_eq!(TimestampExtractor::from_name(word), Some(extractor));
            assert_eq!(TimestampExtractor::from_name(&class), Some(extractor));
            assert_eq!(extractor.word(), word);
        }
        assert_eq!(TimestampExtractor::from_name("now"), None);
    }
}
