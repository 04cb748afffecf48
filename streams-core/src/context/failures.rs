//! What becomes of a record that failed: the handler is asked, dead letters go into the outbox, and processing goes on or stops.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::context::TaskContext;
use crate::error::{BoxError, RecordPart, TaskError, TaskFailure, TaskResult};
use crate::exceptions::{
    DeadLetter, Decision, DeserializationException, ErrorHandlerContext, InvalidTimestamp,
    ProcessingException, ProductionException, Response, panic_text,
};
use crate::obligations::AggregateOf;
use crate::outbox::Outgoing;
use crate::record::{Headers, RawRecord, RecordMetadata, TopicPartition};
use crate::serde::SerdeError;
use crate::timestamps::TimestampExtractor;
use crate::topology::SourceTimestamps;

const NO_HEADERS: &Headers = &Headers::new();

thread_local! {
    /// The innermost node that the panic on its way up this thread came through.
    static PANICKED_IN: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Lives while a node's closures may be called, and says where a panic came from.
#[derive(Debug)]
pub struct InNode(pub &'static str);

impl Drop for InNode {
    #[inline]
    fn drop(&mut self) {
        if std::thread::panicking() && PANICKED_IN.get().is_none() {
            PANICKED_IN.set(Some(self.0));
        }
    }
}

/// A closure of a node returned an error, which nobody was asked about yet.
#[derive(Debug)]
pub struct Failed {
    node: &'static str,
    reason: ProcessingException,
}

/// What a closure made, where it did not fail.
pub(crate) type Made<T> = Result<T, Failed>;

/// What a closure of a `try_…` aggregation made.
#[inline(always)]
pub(crate) fn made_by<A, R: AggregateOf<A>>(node: &'static str, returned: R) -> Made<A> {
    returned.result().map_err(|error| Failed {
        node,
        reason: ProcessingException::returned(error),
    })
}

impl TaskContext {
    /// Asks the handler about a closure that failed: `Ok` where it says to go on.
    #[cold]
    pub(crate) fn decide(&mut self, Failed { node, reason }: Failed) -> TaskResult {
        self.failed(node, reason)
    }

    /// What a closure that may fail returned: `None` where it failed and the handler says to go on.
    ///
    /// # Errors
    /// When it failed and the handler says to fail.
    #[inline(always)]
    pub fn tried<T, E: Into<BoxError>>(
        &mut self,
        node: &'static str,
        result: Result<T, E>,
    ) -> TaskResult<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => self
                .failed(node, ProcessingException::returned(error))
                .map(|()| None),
        }
    }

    /// A closure or a processor of a node failed on the record that is being processed: `Ok` where the handler says to go on
    /// without it.
    ///
    /// # Errors
    /// When the handler says to fail.
    #[cold]
    pub fn failed(&mut self, node: &'static str, reason: ProcessingException) -> TaskResult {
        // As Kafka Streams does, unless `processing.exception.handler.global.enabled` says otherwise.
        let unasked = self.is_global() && !self.errors.processing_global;
        let decision = if unasked {
            Decision::Fail
        } else {
            let context = self.error_context(node, None);
            let asked = self.errors.processing(&context, &reason);
            self.decided("processing exception handler", node, asked)?
        };
        match decision {
            Decision::Resume | Decision::Retry => {
                self.dropped_records += 1;
                Ok(())
            }
            Decision::Fail => {
                let (topic, metadata) = self.whence();
                Err(TaskFailure::Processing {
                    topic,
                    partition: metadata.partition,
                    offset: metadata.offset,
                    node,
                    reason,
                }
                .into())
            }
        }
    }

    /// Runs what may call the user's code. A panic in it is the failure of the node that it came from, or of `node`; so is what a
    /// store does not take.
    ///
    /// What was written before stays, as it does in Kafka Streams when a processor throws; what would have come
    /// after it does not happen.
    ///
    /// # Errors
    /// Those of `run`; when it panicked, or a store refused a record, and the handler says to fail.
    #[inline]
    pub fn guarded(
        &mut self,
        node: &'static str,
        run: impl FnOnce(&mut Self) -> TaskResult,
    ) -> TaskResult {
        match catch_unwind(AssertUnwindSafe(|| run(self))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => self.refused(node, error),
            Err(panic) => self.panicked(node, &*panic),
        }
    }

    /// A store did not take what a record became, or so it seems: that is the failure of the store's node, as
    /// [`failed`](Self::failed). `Ok` where the handler says to go on: the record ends here, and who else reads it goes on.
    #[cold]
    pub(crate) fn declined(&mut self, error: TaskError) -> TaskResult {
        self.refused("?", error)
    }

    /// A failure came up to here, through `node`. Where a store did not take what a record became, that is the failure of the
    /// store's node, as [`failed`](Self::failed).
    #[cold]
    fn refused(&mut self, node: &'static str, error: TaskError) -> TaskResult {
        let owner = error.store().and_then(|store| self.owner_of(store));
        let reason = error.into_exception()?;
        self.failed(owner.unwrap_or(node), reason)
    }

    /// A panic came up to here, through `node`: as [`failed`](Self::failed).
    #[cold]
    pub(crate) fn panicked(
        &mut self,
        node: &'static str,
        panic: &(dyn std::any::Any + Send),
    ) -> TaskResult {
        let node = PANICKED_IN.take().unwrap_or(node);
        let message = panic_text(panic);
        self.failed(node, ProcessingException::Panicked { message })
    }

    /// As [`guarded`](Self::guarded), before the first record.
    pub(super) fn guarded_init(&mut self, run: impl FnOnce(&mut Self) -> TaskResult) -> TaskResult {
        match catch_unwind(AssertUnwindSafe(|| run(self))) {
            Ok(result) => result,
            Err(panic) => {
                let message = panic_text(&*panic);
                let node = PANICKED_IN.take().unwrap_or("?");
                Err(self.failed_init(node, Ok(ProcessingException::Panicked { message })))
            }
        }
    }

    /// A processor could not begin: no record is at fault, and no handler is asked.
    #[cold]
    pub(crate) fn failed_init(
        &self,
        node: &'static str,
        reason: Result<ProcessingException, TaskError>,
    ) -> TaskError {
        match reason {
            Ok(reason) => TaskFailure::Processor { node, reason }.into(),
            Err(failure) => failure,
        }
    }

    /// Runs a timestamp extractor. No handler is asked about it, as Kafka Streams asks none.
    pub(super) fn guarded_extractor<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> TaskResult<T>,
    ) -> TaskResult<T> {
        match catch_unwind(AssertUnwindSafe(|| run(self))) {
            Ok(result) => result,
            Err(panic) => {
                PANICKED_IN.set(None);
                Err(self.not_extracted(format!("panicked: {}", panic_text(&*panic)).into()))
            }
        }
    }

    /// A source's record that cannot be read.
    #[cold]
    pub(crate) fn undecodable<T>(
        &mut self,
        part: RecordPart,
        reason: SerdeError,
        raw: RawRecord<'_>,
    ) -> TaskResult<Option<T>> {
        let node = self.source_node();
        let error = DeserializationException { part, reason };
        let asked = self
            .errors
            .deserialization(&self.error_context(node, Some(raw)), &error);
        match self.decided("deserialization exception handler", node, asked)? {
            Decision::Resume | Decision::Retry => {
                self.dropped_records += 1;
                self.skipped = true;
                Ok(None)
            }
            Decision::Fail => {
                let (topic, metadata) = self.whence();
                Err(TaskFailure::Deserialization {
                    topic,
                    partition: metadata.partition,
                    offset: metadata.offset,
                    node,
                    part,
                    reason: error.reason,
                }
                .into())
            }
        }
    }

    /// A record whose key or value has no bytes: `Ok` where the handler says to go on without it.
    #[cold]
    pub(crate) fn unwritable(
        &mut self,
        topic: usize,
        part: RecordPart,
        reason: SerdeError,
    ) -> TaskResult {
        let error = ProductionException::Serialization {
            destination: format!("topic {}", self.topic_name(topic)),
            part,
            reason,
        };
        let node = self.sink(topic);
        let asked = self
            .errors
            .production(&self.error_context(node, None), &error);
        self.not_produced(node, asked, error)
    }

    /// A partitioner chose what cannot be: `Ok` where the handler says to go on without the record.
    #[cold]
    pub(crate) fn unpartitioned(&mut self, topic: usize, error: ProductionException) -> TaskResult {
        let node = self.sink(topic);
        let asked = self
            .errors
            .production(&self.error_context(node, None), &error);
        self.not_produced(node, asked, error)
    }

    /// The record of that number in the outbox cannot be written: `Ok` where the handler says to go on without it. Its dead
    /// letters go to the end of the outbox.
    ///
    /// # Errors
    /// When the handler says to fail, or to go back to the last commit and try again.
    #[cold]
    pub(crate) fn not_written(
        &mut self,
        number: usize,
        topic: usize,
        error: ProductionException,
    ) -> TaskResult {
        if self.outbox.is_dead_letter(number) {
            return Err(TaskFailure::DeadLetter { reason: error }.into());
        }
        let node = self.sink(topic);
        let cause = self.outbox.cause_of(number);
        let unknown = RecordMetadata {
            topic: usize::MAX,
            partition: -1,
            offset: -1,
        };
        self.metadata = cause.map_or(unknown, |(metadata, _)| metadata);
        let context = self.error_context(node, cause.map(|(_, raw)| raw));
        let asked = self.errors.production(&context, &error);
        self.not_produced(node, asked, error)
    }

    fn not_produced(
        &mut self,
        node: &'static str,
        asked: Result<Response, String>,
        reason: ProductionException,
    ) -> TaskResult {
        match self.decided("production exception handler", node, asked)? {
            Decision::Resume => {
                self.dropped_records += 1;
                Ok(())
            }
            Decision::Retry => {
                Err(crate::transport::TransportError::Abortable(reason.to_string()).into())
            }
            Decision::Fail => {
                let (topic, metadata) = self.whence();
                Err(TaskFailure::Production {
                    topic,
                    partition: metadata.partition,
                    offset: metadata.offset,
                    reason,
                }
                .into())
            }
        }
    }

    /// A record without a valid timestamp, which its source's policy decides about. As in Kafka Streams, bytes that cannot be
    /// read are told first.
    #[cold]
    pub(crate) fn undated<T>(&mut self, raw: RawRecord<'_>) -> TaskResult<Option<T>> {
        let timestamp = raw.timestamp;
        let extractor = match self.sources.get(self.source).map(|s| s.timestamps) {
            Some(SourceTimestamps::By(extractor)) => extractor,
            Some(SourceTimestamps::Extracted) => TimestampExtractor::LogAndSkipOnInvalidTimestamp,
            // No extractor is asked about global stores.
            None if self.is_global() => TimestampExtractor::FailOnInvalidTimestamp,
            Some(SourceTimestamps::Configured) | None => self.timestamp_extractor,
        };
        let (topic, metadata) = self.whence();
        let partition = TopicPartition::new(topic, metadata.partition);
        let offset = metadata.offset;
        if extractor == TimestampExtractor::LogAndSkipOnInvalidTimestamp {
            tracing::warn!(task = %self.task, %partition, offset, timestamp, "record skipped: its timestamp is negative");
            self.dropped_records += 1;
            self.skipped = true;
            let node = self.source_node();
            let context = self.error_context(node, Some(raw));
            // Kafka Streams only drops it.
            if let Some(letter) = context.dead_letter(&InvalidTimestamp { timestamp }) {
                self.write_dead_letter(letter);
            }
            return Ok(None);
        }
        Err(TaskFailure::NegativeTimestamp {
            partition,
            offset,
            timestamp,
        }
        .into())
    }

    /// The error of a timestamp extractor.
    #[cold]
    pub(super) fn not_extracted(&self, reason: BoxError) -> TaskError {
        let (topic, metadata) = self.whence();
        TaskFailure::TimestampExtractor {
            partition: TopicPartition::new(topic, metadata.partition),
            offset: metadata.offset,
            node: self.source_node(),
            reason,
        }
        .into()
    }

    /// Topic and place of the record that is being processed.
    fn whence(&self) -> (String, RecordMetadata) {
        (
            self.source_topic().unwrap_or_default().to_owned(),
            self.metadata,
        )
    }

    /// The field whose sink writes a topic, or the store whose changelog it is.
    pub(super) fn sink(&self, topic: usize) -> &'static str {
        self.topology.writer_of(topic).unwrap_or("?")
    }

    fn error_context<'a>(
        &'a self,
        node: &'static str,
        raw: Option<RawRecord<'a>>,
    ) -> ErrorHandlerContext<'a> {
        let kept = self.outbox.record_in_process();
        let raw = raw.or(kept
            .filter(|(metadata, _)| *metadata == self.metadata)
            .map(|(_, raw)| raw));
        ErrorHandlerContext {
            topic: self.source_topic().unwrap_or_default(),
            partition: self.metadata.partition,
            offset: self.metadata.offset,
            headers: raw.map_or(NO_HEADERS, |raw| raw.headers),
            node,
            task: Some(self.task).filter(|_| !self.is_global()),
            timestamp: raw.map_or(self.timestamp, |raw| raw.timestamp),
            source_raw_key: raw.and_then(|raw| raw.key),
            source_raw_value: raw.and_then(|raw| raw.value),
            dead_letter_queue: self.errors.dead_letter_queue.as_ref(),
        }
    }

    /// Queues the dead letters of a response; what a handler that panicked means.
    fn decided(
        &mut self,
        handler: &'static str,
        node: &'static str,
        asked: Result<Response, String>,
    ) -> TaskResult<Decision> {
        match asked {
            Ok(Response {
                result,
                dead_letters,
            }) => {
                for letter in dead_letters {
                    self.write_dead_letter(letter);
                }
                Ok(result)
            }
            Err(message) => {
                let about = self.error_context(node, None).to_string();
                Err(TaskFailure::Handler {
                    handler,
                    message,
                    about,
                }
                .into())
            }
        }
    }

    fn write_dead_letter(&mut self, letter: DeadLetter) {
        let topic = self.dynamic_topic(&letter.topic);
        self.outbox.push_dead_letter(Outgoing {
            topic,
            partition: None,
            key: letter.key.as_deref(),
            value: letter.value.as_deref(),
            timestamp: Some(letter.timestamp).filter(|timestamp| *timestamp >= 0),
            headers: &letter.headers,
        });
    }
}
