//! The log that a command works on, and the configuration that says so.

use std::path::Path;
use std::sync::Arc;

use streams_core::config::{Log, ProcessingGuarantee, StreamsConfig};
use streams_core::runtime;
use streams_core::topology::TopicDescriptor;
use streams_core::transport::{Admin, TopicInfo, Transport};

use super::args::LogArgs;
use super::error::ProgramError;

/// What the command line's own options are called where a value says its origin.
const SET: &str = "--set";

impl LogArgs {
    /// The configuration: what suits the log, then the file, the environment, and the command line over it. The embedded log
    /// is for trying things: exactly once, and missing topics are made. Kafka gets Kafka Streams' defaults.
    pub(super) fn configuration(&self) -> Result<StreamsConfig, ProgramError> {
        let config = self.laid_over(StreamsConfig::new())?;
        if let Log::Kafka(_) = config.log() {
            return Ok(config);
        }
        self.laid_over(for_embedded())
    }

    fn laid_over(&self, mut config: StreamsConfig) -> Result<StreamsConfig, ProgramError> {
        if let Some(path) = &self.config {
            config = config.with_file(path).map_err(ProgramError::failed)?;
        }
        config = config
            .with_env(std::env::vars_os())
            .map_err(ProgramError::failed)?;
        for (key, value, origin) in self.options() {
            config
                .set_from(&key, &value, origin)
                .map_err(ProgramError::failed)?;
        }
        Ok(config)
    }

    /// As [`configuration`](Self::configuration), but goes past mistakes: these are told.
    pub(super) fn configuration_and_mistakes(&self) -> (StreamsConfig, Vec<String>) {
        let mut mistakes = Vec::new();
        let mut settings = Vec::new();
        if let Some(path) = &self.config {
            let origin = path.display().to_string();
            match StreamsConfig::file_settings(path) {
                Ok(found) => {
                    settings.extend(found.into_iter().map(|(k, v)| (k, v, origin.clone())));
                }
                Err(error) => mistakes.push(error.to_string()),
            }
        }
        let variables = StreamsConfig::env_settings().into_iter();
        settings.extend(variables.map(|(name, key, value)| (key, value, name)));
        let options = self.options().into_iter();
        settings.extend(options.map(|(key, value, origin)| (key, value, origin.to_owned())));
        let lay = |mut config: StreamsConfig, mistakes: &mut Vec<String>| {
            for (key, value, origin) in &settings {
                if let Err(error) = config.set_from(key, value, origin) {
                    mistakes.push(error.to_string());
                }
            }
            config
        };
        let config = lay(StreamsConfig::new(), &mut mistakes);
        let config = match config.log() {
            Log::Kafka(_) => config,
            _ => lay(for_embedded(), &mut Vec::new()),
        };
        (config, mistakes)
    }

    /// The settings of the command line, each with the option that it was given by.
    fn options(&self) -> Vec<(String, String, &'static str)> {
        let set = self.set.iter();
        let mut options: Vec<_> = set.map(|(k, v)| (k.clone(), v.clone(), SET)).collect();
        if let Some(dir) = &self.embedded {
            let dir = dir.display().to_string();
            options.push(("embedded.dir".to_owned(), dir, "--embedded"));
        }
        if let Some(servers) = &self.bootstrap {
            options.push((
                "bootstrap.servers".to_owned(),
                servers.clone(),
                "--bootstrap",
            ));
        }
        options
    }
}

fn for_embedded() -> StreamsConfig {
    StreamsConfig::new()
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .create_topics(true)
}

/// The log of a configuration, in words.
pub(super) fn place(config: &StreamsConfig) -> String {
    match config.log() {
        Log::Embedded(dir) => format!("the log in {}", dir.display()),
        Log::Kafka(servers) => format!("Kafka at {servers}"),
        _ => "no log".to_owned(),
    }
}

/// The log that a command was given; makes an embedded one where there is none.
pub(super) fn open(
    config: &StreamsConfig,
    command: &str,
) -> Result<Arc<dyn Transport>, ProgramError> {
    if let Log::Unset = config.log() {
        return Err(unknown_log(command));
    }
    runtime::open_log(config).map_err(ProgramError::failed)
}

/// The log that a command was given, which must be there: who only reads has no use for an empty one.
pub(super) fn open_existing(
    config: &StreamsConfig,
    command: &str,
) -> Result<Arc<dyn Transport>, ProgramError> {
    match config.log() {
        Log::Embedded(dir) if !dir.is_dir() => Err(no_embedded_log(dir)),
        _ => open(config, command),
    }
}

pub(super) fn unknown_log(command: &str) -> ProgramError {
    ProgramError::Usage(format!(
        "`{command}` needs to know the log: give --embedded DIR, the directory that `run` was given, or --bootstrap HOST:PORT, a Kafka cluster"
    ))
}

fn no_embedded_log(dir: &Path) -> ProgramError {
    ProgramError::Failed(format!(
        "there is no log in {}: `run` and `produce` make one",
        dir.display()
    ))
}

/// How many partitions a topic has. Where topics may be created it is made as declared if it is not there, so that records can
/// be sent before the application first runs.
pub(super) fn partitions_or_create(
    config: &StreamsConfig,
    admin: &mut dyn Admin,
    topic: &TopicDescriptor,
) -> Result<u32, ProgramError> {
    let there = admin
        .describe_topics(&[topic.name])
        .map_err(ProgramError::failed)?;
    if let Some(info) = there.into_iter().flatten().next() {
        return Ok(info.partitions);
    }
    if !config.creates_topics() {
        return Err(ProgramError::Failed(format!(
            "topic `{}` does not exist: `topics create` makes every declared topic",
            topic.name
        )));
    }
    let partitions = topic.partitions.unwrap_or(1);
    let info = TopicInfo {
        name: topic.name.to_owned(),
        partitions,
        config: std::collections::BTreeMap::new(),
    };
    admin
        .create_replicated(&info, config.replication())
        .map_err(ProgramError::failed)?;
    Ok(partitions)
}
