//! Why there is no broker, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a broker could not be started or told to do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no Java or no Maven on this machine.
    #[error(
        "`{program}` is not on the PATH; install a JDK of 17 or later and Maven, or name a cluster by KAFKA_BOOTSTRAP"
    )]
    Missing {
        /// The program that was looked for.
        program: &'static str,
    },
    /// Maven did not deliver.
    #[error("Maven could not resolve {}:\n{output}", .pom.display())]
    Maven {
        /// What it was asked to resolve.
        pom: PathBuf,
        /// The end of what it printed.
        output: String,
    },
    /// Java sources were refused.
    #[error("javac refuses {}:\n{output}", .sources.display())]
    Javac {
        /// Where they are.
        sources: PathBuf,
        /// The end of what it printed.
        output: String,
    },
    /// A file, a directory or a process could not be made or used.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The storage of a broker could not be formatted.
    #[error("the storage of broker {broker} could not be formatted:\n{log}")]
    Format {
        /// Its index.
        broker: usize,
        /// The end of what was printed.
        log: String,
    },
    /// A broker ended while it started.
    #[error("broker {broker} ended while it started:\n{log}")]
    Ended {
        /// Its index.
        broker: usize,
        /// The end of its log.
        log: String,
    },
    /// A broker did not answer in time.
    #[error("broker {broker} did not answer within {within:?}:\n{log}")]
    Silent {
        /// Its index.
        broker: usize,
        /// How long it was waited for.
        within: Duration,
        /// The end of its log.
        log: String,
    },
    /// The cluster is not ours to kill.
    #[error("the cluster of KAFKA_BOOTSTRAP is not this test's to stop or to start")]
    NotOurs,
    /// The brokers speak to each other directly.
    #[error("the cluster was not started with `Options::slow_markers`")]
    NoProxy,
    /// The client was refused or not answered.
    #[error("{what}: {why}")]
    Client {
        /// What was tried.
        what: String,
        /// What the broker or the client library said.
        why: String,
    },
    /// There is no broker of that index.
    #[error("there is no broker {broker} in a cluster of {brokers}")]
    NoBroker {
        /// The index that was asked for.
        broker: usize,
        /// How many there are.
        brokers: usize,
    },
}

impl Error {
    /// Whether a machine without Java is the cause.
    pub fn is_missing(&self) -> bool {
        matches!(self, Error::Missing { .. })
    }

    pub(crate) fn client<E: std::fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Error {
        let what = what.into();
        move |error| Error::Client {
            what,
            why: error.to_string(),
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }
}

/// The last lines of a log: those that complain, or else all.
pub(crate) fn tail(log: &str) -> String {
    const LINES: usize = 15;
    let complains =
        |l: &&str| l.contains("ERROR") || l.contains("FATAL") || l.contains("Exception");
    let complaints: Vec<&str> = log.lines().filter(complains).collect();
    let lines = if complaints.is_empty() {
        log.lines().collect()
    } else {
        complaints
    };
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
