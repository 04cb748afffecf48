//! How the program fails: what it prints, and with which code it ends.

use std::io;

use streams_core::error::Error;
use streams_core::transport::TransportError;

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    /// The command asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// It failed while working.
    #[error("{0}")]
    Failed(String),
    /// Whoever read the output has gone; nothing is wrong.
    #[error("the output was closed")]
    OutputClosed,
}

impl ProgramError {
    /// Prints the error and says the process's exit code.
    pub(super) fn report(&self) -> i32 {
        match self {
            ProgramError::Usage(_) => {
                eprintln!("error: {self}");
                2
            }
            ProgramError::Failed(_) => {
                eprintln!("error: {self}");
                1
            }
            ProgramError::OutputClosed => 0,
        }
    }

    /// An error with everything that caused it, each said once.
    pub(super) fn chain(error: &dyn std::error::Error) -> String {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        text
    }

    pub(super) fn failed(error: impl Into<Error>) -> Self {
        let error = error.into();
        match error {
            // A wrong setting is a wrong command line.
            Error::Config(_) => ProgramError::Usage(Self::chain(&error)),
            // Nobody tries again here.
            Error::Transport(TransportError::Retriable(why)) => ProgramError::Failed(why),
            _ => ProgramError::Failed(Self::chain(&error)),
        }
    }
}

impl From<io::Error> for ProgramError {
    /// Of writing to standard output; others are told with their path.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => ProgramError::OutputClosed,
            _ => ProgramError::Failed(format!("standard output: {error}")),
        }
    }
}
