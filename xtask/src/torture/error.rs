//! Why a run of the torture ended without a result, or with the wrong one.

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The application lost or doubled something: what the torture looks for.
    #[error("{0}")]
    Wrong(String),
    /// A process ended by itself, or not when it was asked to; or nothing goes on.
    #[error("{0}")]
    Ended(String),
    /// The run did not hit what it has to hit.
    #[error("{0}")]
    Missed(String),
    /// The brokers.
    #[error(transparent)]
    Broker(#[from] kafka_broker::Error),
    /// The machine, or the outside clients.
    #[error("{0}")]
    Environment(String),
}

impl Failure {
    /// The application's own failure, as it tells it.
    pub(crate) fn app(error: impl std::fmt::Display) -> Self {
        Failure::Ended(error.to_string())
    }

    /// Turns an error of the machine into one that says what was tried.
    pub(crate) fn doing<E: std::fmt::Display>(
        what: impl std::fmt::Display,
    ) -> impl FnOnce(E) -> Self {
        move |error| Failure::Environment(format!("{what}: {error}"))
    }
}
