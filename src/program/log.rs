//! The log that a command works on.

use std::collections::BTreeMap;
use std::path::Path;

use streams_core::topology::TopicDescriptor;
use streams_core::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use streams_core::transport::{Admin, TopicInfo};

use super::args::LogArgs;
use super::error::ProgramError;

/// What a command without a log is told.
const NO_KAFKA: &str = "Kafka's transport is not in this version: give --embedded DIR, a directory for the embedded log";

impl LogArgs {
    /// The directory of the embedded log.
    pub(super) fn dir(&self, command: &str) -> Result<&Path, ProgramError> {
        self.refuse_kafka()?;
        self.embedded.as_deref().ok_or_else(|| {
            ProgramError::Usage(format!(
                "`{command}` needs to know the log: give --embedded DIR, the directory that `run` was given"
            ))
        })
    }

    pub(super) fn refuse_kafka(&self) -> Result<(), ProgramError> {
        match &self.bootstrap {
            Some(_) => Err(no_kafka()),
            None => Ok(()),
        }
    }
}

pub(super) fn no_kafka() -> ProgramError {
    ProgramError::Usage(NO_KAFKA.to_owned())
}

/// The log in a directory; makes it where there is none.
pub(super) fn open(args: &LogArgs, command: &str) -> Result<EmbeddedLog, ProgramError> {
    EmbeddedLog::open(args.dir(command)?, EmbeddedLogOptions::default())
        .map_err(ProgramError::failed)
}

/// The log in a directory, which must be there: who only reads has no use for an empty one.
pub(super) fn open_existing(args: &LogArgs, command: &str) -> Result<EmbeddedLog, ProgramError> {
    let dir = args.dir(command)?;
    if dir.is_dir() {
        return open(args, command);
    }
    Err(ProgramError::Failed(format!(
        "there is no log in {}: `run` and `produce` make one",
        dir.display()
    )))
}

/// How many partitions a topic has; it is created as declared where it is not there, so that records can be sent before
/// the application first runs.
pub(super) fn partitions_or_create(
    admin: &mut dyn Admin,
    topic: &TopicDescriptor,
) -> Result<u32, ProgramError> {
    let there = admin
        .describe_topics(&[topic.name])
        .map_err(ProgramError::failed)?;
    if let Some(info) = there.into_iter().flatten().next() {
        return Ok(info.partitions);
    }
    let partitions = topic.partitions.unwrap_or(1);
    let info = TopicInfo {
        name: topic.name.to_owned(),
        partitions,
        config: BTreeMap::new(),
    };
    admin.create_topic(&info).map_err(ProgramError::failed)?;
    Ok(partitions)
}
