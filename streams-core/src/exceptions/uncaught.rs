//! Layer 1. What becomes of the application when a thread of it ends with an error.

use std::fmt;
use std::sync::Arc;

/// What to do when a stream thread ended with an error: Kafka Streams' `StreamThreadExceptionResponse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamThreadExceptionResponse {
    /// Start another thread in its place. What was not committed is processed again: an error that comes back by itself
    /// comes back at once. The global tables' thread cannot be replaced: for it this shuts the client down.
    ReplaceThread,
    /// Stop this instance with the error; its tasks go to others. The default.
    ShutdownClient,
    /// Stop all instances of the application: this one at once, the others when they get a task of one that has stopped.
    ShutdownApplication,
}

/// Is asked when a stream thread, or the thread of the global tables, ends with an error that no other handler took care of: Kafka Streams'
/// `StreamsUncaughtExceptionHandler`. Closures that take the error serve:
///
/// ```
/// use streams_core::config::StreamsConfig;
/// use streams_core::exceptions::StreamThreadExceptionResponse;
///
/// let config = StreamsConfig::embedded("data").uncaught_exception_handler(|error: &dyn std::error::Error| {
///     eprintln!("{error}");
///     StreamThreadExceptionResponse::ReplaceThread
/// });
/// ```
pub trait StreamsUncaughtExceptionHandler: Send + Sync {
    /// What is to be done. Called on the thread that ends.
    fn handle(&self, error: &dyn std::error::Error) -> StreamThreadExceptionResponse;
}

impl<F> StreamsUncaughtExceptionHandler for F
where
    F: Fn(&dyn std::error::Error) -> StreamThreadExceptionResponse + Send + Sync,
{
    fn handle(&self, error: &dyn std::error::Error) -> StreamThreadExceptionResponse {
        self(error)
    }
}

/// The handler of a configuration. Two are equal when they are the same.
#[derive(Clone, Default)]
pub(crate) struct UncaughtHandler(pub(crate) Option<Arc<dyn StreamsUncaughtExceptionHandler>>);

impl UncaughtHandler {
    /// What the handler says; one that panics, or none, shuts the client down.
    pub(crate) fn ask(&self, error: &dyn std::error::Error) -> StreamThreadExceptionResponse {
        let Some(handler) = &self.0 else {
            return StreamThreadExceptionResponse::ShutdownClient;
        };
        super::asked(|| handler.handle(error)).unwrap_or_else(|panic| {
            tracing::error!("the uncaught exception handler panicked, shutting down: {panic}");
            StreamThreadExceptionResponse::ShutdownClient
        })
    }
}

impl fmt::Debug for UncaughtHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "none" })
    }
}

impl PartialEq for UncaughtHandler {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for UncaughtHandler {}
