//! Layer 1. Exception handlers: who decides whether a record that failed stops the application, is left out, or goes to a
//! dead-letter queue. Kafka Streams' interfaces as traits, its built-in handlers, and what they are told.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::record::{Headers, TaskId, Timestamp};

mod dead_letter;
mod errors;
mod uncaught;

pub use dead_letter::DeadLetter;
pub use errors::{DeserializationException, Exception, ProcessingException, ProductionException};
pub(crate) use errors::{InvalidTimestamp, SERIALIZATION};
pub(crate) use uncaught::UncaughtHandler;
pub use uncaught::{StreamThreadExceptionResponse, StreamsUncaughtExceptionHandler};

/// Where a failure happened: the record that was being processed, as it lies in its topic, and the node that failed.
///
/// What a table's record cache holds back is processed later, apart from the record that caused it: then the offset is that
/// record's, and its raw key and value are `None`.
#[derive(Debug, Clone, Copy)]
pub struct ErrorHandlerContext<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) headers: &'a Headers,
    pub(crate) node: &'a str,
    pub(crate) task: Option<TaskId>,
    pub(crate) timestamp: Timestamp,
    pub(crate) source_raw_key: Option<&'a [u8]>,
    pub(crate) source_raw_value: Option<&'a [u8]>,
    pub(crate) dead_letter_queue: Option<&'a Arc<str>>,
}

impl<'a> ErrorHandlerContext<'a> {
    /// The topic that the record came from; empty where there is none, in a punctuator say.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// The partition that the record came from; -1 where there is none.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The record's offset; -1 where there is none.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// The record's headers.
    #[must_use]
    pub fn headers(&self) -> &'a Headers {
        self.headers
    }

    /// The name of the node that failed: the field's.
    #[must_use]
    pub fn processor_node_id(&self) -> &'a str {
        self.node
    }

    /// The task; `None` for the global tables, which belong to none.
    #[must_use]
    pub fn task_id(&self) -> Option<TaskId> {
        self.task
    }

    /// The record's timestamp, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The bytes of the record's key.
    #[must_use]
    pub fn source_raw_key(&self) -> Option<&'a [u8]> {
        self.source_raw_key
    }

    /// The bytes of the record's value.
    #[must_use]
    pub fn source_raw_value(&self) -> Option<&'a [u8]> {
        self.source_raw_value
    }

    /// `errors.dead.letter.queue.topic.name`.
    #[must_use]
    pub fn dead_letter_queue_topic_name(&self) -> Option<&'a str> {
        self.dead_letter_queue.map(|topic| &**topic)
    }

    /// The record for the configured dead-letter queue; `None` where none is configured. For
    /// [`Response::with_dead_letters`].
    #[must_use]
    pub fn dead_letter(&self, error: &dyn Exception) -> Option<DeadLetter> {
        let topic = self.dead_letter_queue?;
        Some(DeadLetter::new(topic.clone(), self, error))
    }

    /// The same for a topic of one's own.
    #[must_use]
    pub fn dead_letter_to(&self, topic: impl Into<Arc<str>>, error: &dyn Exception) -> DeadLetter {
        DeadLetter::new(topic.into(), self, error)
    }
}

/// `task 0_1, node `orders`, offset 7 of orders-1`: for log lines.
impl fmt::Display for ErrorHandlerContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(task) = self.task {
            write!(f, "task {task}, ")?;
        }
        let ErrorHandlerContext {
            node,
            offset,
            topic,
            partition,
            ..
        } = self;
        write!(f, "node `{node}`")?;
        if topic.is_empty() {
            return Ok(());
        }
        write!(f, ", offset {offset} of {topic}-{partition}")
    }
}

/// What a handler decides, with the records that are to go to a dead-letter queue.
#[derive(Debug, Clone)]
pub struct Response {
    pub(crate) result: Decision,
    pub(crate) dead_letters: Vec<DeadLetter>,
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Resume,
    Fail,
    Retry,
}

impl Response {
    /// Leave the record out, count it as dropped, and go on.
    #[must_use]
    pub fn resume() -> Self {
        Response {
            result: Decision::Resume,
            dead_letters: Vec::new(),
        }
    }

    /// Stop with the error.
    #[must_use]
    pub fn fail() -> Self {
        Response {
            result: Decision::Fail,
            dead_letters: Vec::new(),
        }
    }

    /// Writes these records too, in the same transaction as everything else under exactly-once.
    #[must_use]
    pub fn with_dead_letters(mut self, records: impl IntoIterator<Item = DeadLetter>) -> Self {
        self.dead_letters.extend(records);
        self
    }
}

/// What a handler of production errors decides. It may also let the whole task try again.
#[derive(Debug, Clone)]
pub struct ProductionResponse(pub(crate) Response);

impl ProductionResponse {
    /// As [`Response::resume`].
    #[must_use]
    pub fn resume() -> Self {
        ProductionResponse(Response::resume())
    }

    /// As [`Response::fail`].
    #[must_use]
    pub fn fail() -> Self {
        ProductionResponse(Response::fail())
    }

    /// Go back to the last commit and process again. When that has gone on for `task.timeout.ms`, and more than ten times, with no
    /// commit between, the application stops with the error. For one that will not go away by itself
    /// ([`ProductionException::is_retriable`]), it is the same as [`fail`](Self::fail).
    #[must_use]
    pub fn retry() -> Self {
        ProductionResponse(Response {
            result: Decision::Retry,
            dead_letters: Vec::new(),
        })
    }

    /// As [`Response::with_dead_letters`].
    #[must_use]
    pub fn with_dead_letters(self, records: impl IntoIterator<Item = DeadLetter>) -> Self {
        ProductionResponse(self.0.with_dead_letters(records))
    }
}

/// Decides about a record whose bytes are none of its source's types: Kafka Streams' `DeserializationExceptionHandler`.
///
/// ```
/// use streams_core::exceptions::{
///     DeserializationException, DeserializationExceptionHandler, ErrorHandlerContext, Response,
/// };
///
/// /// Skips what comes from partners; a bad record of ours stops the application.
/// struct PartnersMayFail;
///
/// impl DeserializationExceptionHandler for PartnersMayFail {
///     fn handle_error(&self, context: &ErrorHandlerContext<'_>, error: &DeserializationException) -> Response {
///         if context.topic().starts_with("partner-") {
///             Response::resume().with_dead_letters(context.dead_letter(error))
///         } else {
///             Response::fail()
///         }
///     }
/// }
/// ```
pub trait DeserializationExceptionHandler: Send + Sync {
    /// What is to be done.
    fn handle_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &DeserializationException,
    ) -> Response;
}

/// Decides about a record for which a closure or processor returned an error or panicked: Kafka Streams'
/// `ProcessingExceptionHandler`. The example of [`DeserializationExceptionHandler`] shows the form.
pub trait ProcessingExceptionHandler: Send + Sync {
    /// What is to be done.
    fn handle_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &ProcessingException,
    ) -> Response;
}

/// Decides about a record that could not be written: too large, no such topic, no bytes. Kafka Streams'
/// `ProductionExceptionHandler`. The example of [`DeserializationExceptionHandler`] shows the form.
///
/// An error that goes away by itself (a broker is away) does not come here: it is retried for as long as `task.timeout.ms`.
pub trait ProductionExceptionHandler: Send + Sync {
    /// What is to be done about a record that the log did not take.
    fn handle_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &ProductionException,
    ) -> ProductionResponse;

    /// What is to be done about a record whose key or value has no bytes; unless overridden, the same.
    fn handle_serialization_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &ProductionException,
    ) -> ProductionResponse {
        self.handle_error(context, error)
    }
}

/// Stops at the first record that fails, and logs it: Kafka Streams' `LogAndFailExceptionHandler`,
/// `LogAndFailProcessingExceptionHandler` and `DefaultProductionExceptionHandler`; the default of all three.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogAndFail;

/// Logs a record that fails, leaves it out and goes on: Kafka Streams' `LogAndContinueExceptionHandler` and
/// `LogAndContinueProcessingExceptionHandler`. With `errors.dead.letter.queue.topic.name`, the record goes there.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogAndContinue;

impl LogAndFail {
    fn answer(context: &ErrorHandlerContext<'_>, error: &dyn Exception) -> Response {
        tracing::error!("{context}: {error}");
        Response::fail().with_dead_letters(context.dead_letter(error))
    }
}

impl LogAndContinue {
    fn answer(context: &ErrorHandlerContext<'_>, error: &dyn Exception) -> Response {
        tracing::warn!("record skipped: {context}: {error}");
        Response::resume().with_dead_letters(context.dead_letter(error))
    }
}

macro_rules! built_in {
    ($handler:ty) => {
        impl DeserializationExceptionHandler for $handler {
            fn handle_error(
                &self,
                context: &ErrorHandlerContext<'_>,
                error: &DeserializationException,
            ) -> Response {
                Self::answer(context, error)
            }
        }

        impl ProcessingExceptionHandler for $handler {
            fn handle_error(
                &self,
                context: &ErrorHandlerContext<'_>,
                error: &ProcessingException,
            ) -> Response {
                Self::answer(context, error)
            }
        }

        impl ProductionExceptionHandler for $handler {
            fn handle_error(
                &self,
                context: &ErrorHandlerContext<'_>,
                error: &ProductionException,
            ) -> ProductionResponse {
                ProductionResponse(Self::answer(context, error))
            }
        }
    };
}
built_in!(LogAndFail);
built_in!(LogAndContinue);

/// A handler in force: one of the built-in ones, or one of the user's.
pub(crate) enum Handler<H: ?Sized> {
    Fail,
    Continue,
    Custom(Arc<H>),
}

impl<H: ?Sized> Clone for Handler<H> {
    fn clone(&self) -> Self {
        match self {
            Handler::Fail => Handler::Fail,
            Handler::Continue => Handler::Continue,
            Handler::Custom(handler) => Handler::Custom(handler.clone()),
        }
    }
}

/// Two are equal when they are the same.
impl<H: ?Sized> PartialEq for Handler<H> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Handler::Fail, Handler::Fail) | (Handler::Continue, Handler::Continue) => true,
            (Handler::Custom(a), Handler::Custom(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl<H: ?Sized> Handler<H> {
    /// As the configuration shows it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Handler::Fail => "fail",
            Handler::Continue => "continue",
            Handler::Custom(_) => "(the program's own)",
        }
    }
}

/// The handlers in force, and where dead letters go.
#[derive(Clone, PartialEq)]
pub struct ErrorHandlers {
    pub(crate) deserialization: Handler<dyn DeserializationExceptionHandler>,
    pub(crate) processing: Handler<dyn ProcessingExceptionHandler>,
    pub(crate) production: Handler<dyn ProductionExceptionHandler>,
    pub(crate) dead_letter_queue: Option<Arc<str>>,
    /// `processing.exception.handler.global.enabled`.
    pub(crate) processing_global: bool,
}

impl fmt::Debug for ErrorHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorHandlers")
            .field("deserialization", &self.deserialization.word())
            .field("processing", &self.processing.word())
            .field("production", &self.production.word())
            .field("dead_letter_queue", &self.dead_letter_queue)
            .finish_non_exhaustive()
    }
}

impl Default for ErrorHandlers {
    fn default() -> Self {
        ErrorHandlers {
            deserialization: Handler::Fail,
            processing: Handler::Fail,
            production: Handler::Fail,
            dead_letter_queue: None,
            processing_global: false,
        }
    }
}

impl Eq for ErrorHandlers {}

impl ErrorHandlers {
    /// Whether anybody may want to see a failed record's own bytes: then they are kept until it is processed and written.
    pub(crate) fn need_source(&self) -> bool {
        self.dead_letter_queue.is_some()
            || matches!(self.deserialization, Handler::Custom(_))
            || matches!(self.processing, Handler::Custom(_))
            || matches!(self.production, Handler::Custom(_))
    }

    pub(crate) fn deserialization(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &DeserializationException,
    ) -> Result<Response, String> {
        match &self.deserialization {
            Handler::Fail => Ok(LogAndFail::answer(context, error)),
            Handler::Continue => Ok(LogAndContinue::answer(context, error)),
            Handler::Custom(handler) => asked(|| handler.handle_error(context, error)),
        }
    }

    pub(crate) fn processing(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &ProcessingException,
    ) -> Result<Response, String> {
        match &self.processing {
            Handler::Fail => Ok(LogAndFail::answer(context, error)),
            Handler::Continue => Ok(LogAndContinue::answer(context, error)),
            Handler::Custom(handler) => asked(|| handler.handle_error(context, error)),
        }
    }

    pub(crate) fn production(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &ProductionException,
    ) -> Result<Response, String> {
        let response = match &self.production {
            Handler::Fail => LogAndFail::answer(context, error),
            Handler::Continue => LogAndContinue::answer(context, error),
            Handler::Custom(handler) => {
                asked(|| match error {
                    ProductionException::Serialization { .. } => {
                        handler.handle_serialization_error(context, error)
                    }
                    _ => handler.handle_error(context, error),
                })?
                .0
            }
        };
        if response.result == Decision::Retry && !error.is_retriable() {
            tracing::warn!(
                "the production handler says to retry what will not go away by itself; failing: {error}"
            );
            return Ok(Response {
                result: Decision::Fail,
                ..response
            });
        }
        Ok(response)
    }
}

/// Asks a user's handler. One that panics decides nothing; its words are the error.
fn asked<R>(handler: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(handler)).map_err(|panic| panic_text(&*panic))
}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "its message is no text".to_owned())
}
