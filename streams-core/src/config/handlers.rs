//! Layer 1. The settings of exception handlers and timestamps: from code, any type that is one; by key, the built-in ones.

use std::any::TypeId;
use std::sync::Arc;

use super::StreamsConfig;
use crate::exceptions::{
    DeserializationExceptionHandler, Handler, LogAndContinue, LogAndFail,
    ProcessingExceptionHandler, ProductionExceptionHandler, StreamsUncaughtExceptionHandler,
    UncaughtHandler,
};
use crate::timestamps::TimestampExtractor;

impl StreamsConfig {
    /// `deserialization.exception.handler`: who decides about records whose bytes cannot be read.
    /// [`LogAndFail`] unless set.
    #[must_use]
    pub fn deserialization_exception_handler(
        mut self,
        handler: impl DeserializationExceptionHandler + 'static,
    ) -> Self {
        self.errors.deserialization = built_in_or(handler, |h| Arc::new(h) as _);
        self
    }

    /// `processing.exception.handler`: who decides about records for which a closure or a processor fails or panics.
    /// [`LogAndFail`] unless set.
    #[must_use]
    pub fn processing_exception_handler(
        mut self,
        handler: impl ProcessingExceptionHandler + 'static,
    ) -> Self {
        self.errors.processing = built_in_or(handler, |h| Arc::new(h) as _);
        self
    }

    /// `processing.exception.handler.global.enabled`: whether the processing exception handler decides about the processors of
    /// global stores too. Unless set, a record that fails there stops the application.
    #[must_use]
    pub fn processing_exception_handler_global_enabled(mut self, enabled: bool) -> Self {
        self.errors.processing_global = enabled;
        self
    }

    /// `production.exception.handler`: who decides about records that cannot be written.
    /// [`LogAndFail`] unless set.
    #[must_use]
    pub fn production_exception_handler(
        mut self,
        handler: impl ProductionExceptionHandler + 'static,
    ) -> Self {
        self.errors.production = built_in_or(handler, |h| Arc::new(h) as _);
        self
    }

    /// `errors.dead.letter.queue.topic.name`: where the built-in handlers send records that failed.
    #[must_use]
    pub fn dead_letter_queue(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.errors.dead_letter_queue = Some(topic.into());
        self
    }

    /// What to do when a stream thread ends with an error; unless set, the client is shut down.
    #[must_use]
    pub fn uncaught_exception_handler(
        mut self,
        handler: impl StreamsUncaughtExceptionHandler + 'static,
    ) -> Self {
        self.uncaught = UncaughtHandler(Some(Arc::new(handler)));
        self
    }

    /// `default.timestamp.extractor`: where the timestamps of sources come from that do not say so themselves.
    #[must_use]
    pub fn default_timestamp_extractor(mut self, extractor: TimestampExtractor) -> Self {
        self.timestamp_extractor = extractor;
        self
    }
}

/// The built-in handlers are told from others, as they need less.
fn built_in_or<T: 'static, H: ?Sized>(handler: T, custom: impl FnOnce(T) -> Arc<H>) -> Handler<H> {
    let of = TypeId::of::<T>();
    if of == TypeId::of::<LogAndFail>() {
        Handler::Fail
    } else if of == TypeId::of::<LogAndContinue>() {
        Handler::Continue
    } else {
        Handler::Custom(custom(handler))
    }
}

/// The built-in handler of a word or of Kafka Streams' class name.
pub(super) fn handler<H: ?Sized>(name: &str) -> Result<Handler<H>, String> {
    match name.rsplit('.').next().unwrap_or(name) {
        "fail"
        | "LogAndFailExceptionHandler"
        | "LogAndFailProcessingExceptionHandler"
        | "DefaultProductionExceptionHandler" => Ok(Handler::Fail),
        "continue"
        | "LogAndContinueExceptionHandler"
        | "LogAndContinueProcessingExceptionHandler" => Ok(Handler::Continue),
        _ => Err("either `fail` or `continue`; a handler of your own is given in code".to_owned()),
    }
}
