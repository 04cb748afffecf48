//! Layer 1. The configuration: Kafka Streams' names and defaults, typed, from code, a TOML or properties file and the
//! environment. What an unknown, misplaced or not yet supported key means is in `config/keys.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

mod file;
mod handlers;
mod keys;
mod restore_listener;

use restore_listener::RestoreListener;

use crate::exceptions::{ErrorHandlers, UncaughtHandler};
use crate::timestamps::TimestampExtractor;

pub use restore_listener::StateRestoreListener;

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No such key.
    #[error("unknown configuration key `{key}`{}{}", nearest.as_ref().map(|n| format!(": did you mean `{n}`?")).unwrap_or_default(), at(origin))]
    Unknown {
        /// The key.
        key: String,
        /// The nearest name that there is.
        nearest: Option<String>,
        /// The file or variable that it stood in.
        origin: Option<String>,
    },
    /// A key that the topology decides.
    #[error(
        "`{key}` is not configuration here: the topology decides it, {place}{}",
        at(origin)
    )]
    InTopology {
        /// The key.
        key: String,
        /// Where it belongs.
        place: &'static str,
        /// The file or variable that it stood in.
        origin: Option<String>,
    },
    /// A key of Kafka Streams that this version would silently ignore.
    #[error(
        "`{key}` is known, but not supported in this version: {effect}. Remove it{}",
        at(origin)
    )]
    NotSupported {
        /// The key.
        key: String,
        /// What it would do.
        effect: &'static str,
        /// The file or variable that it stood in.
        origin: Option<String>,
    },
    /// A value that the key cannot have.
    #[error("`{key} = {value}`: {expected}{}", at(origin))]
    Invalid {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What it can have.
        expected: String,
        /// The file or variable that it stood in.
        origin: Option<String>,
    },
    /// A setting that must be there.
    #[error("`{key}` is not set: {why}")]
    Missing {
        /// The key.
        key: &'static str,
        /// Why it is needed and how to give it.
        why: &'static str,
    },
    /// A file that cannot be read, or is neither TOML nor properties.
    #[error("configuration file {path}: {why}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it, with the line where known.
        why: String,
    },
}

fn at(origin: &Option<String>) -> String {
    origin
        .as_ref()
        .map(|o| format!(" (in {o})"))
        .unwrap_or_default()
}

impl ConfigError {
    fn in_origin(mut self, name: &str) -> Self {
        match &mut self {
            ConfigError::Unknown { origin, .. }
            | ConfigError::InTopology { origin, .. }
            | ConfigError::NotSupported { origin, .. }
            | ConfigError::Invalid { origin, .. } => *origin = Some(name.to_owned()),
            ConfigError::Missing { .. } | ConfigError::File { .. } => {}
        }
        self
    }
}

/// `processing.guarantee`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProcessingGuarantee {
    /// After a crash, records since the last commit are processed again.
    #[default]
    AtLeastOnce,
    /// Input offsets, output and state change together or not at all.
    ExactlyOnceV2,
}

/// Which log the application runs on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Log {
    /// `embedded.dir`: the durable log in one directory.
    Embedded(PathBuf),
    /// `bootstrap.servers`: a Kafka cluster.
    Kafka(String),
    /// Nothing was said.
    #[default]
    Unset,
}

/// The configuration of a running application. Everything has Kafka Streams' default; only the log must be named.
///
/// ```
/// use std::time::Duration;
/// use streams_core::config::{ProcessingGuarantee, StreamsConfig};
///
/// let config = StreamsConfig::embedded("data")
///     .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
///     .num_stream_threads(2);
/// assert_eq!(config.commit_interval(), Duration::from_millis(100)); // exactly once: Kafka Streams' default
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StreamsConfig {
    pub(crate) log: Log,
    pub(crate) create_topics: bool,
    pub(crate) processing_guarantee: ProcessingGuarantee,
    pub(crate) commit_interval: Option<Duration>,
    pub(crate) num_stream_threads: usize,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) state_cleanup_delay: Duration,
    pub(crate) state_cleanup_max_age: Option<Duration>,
    pub(crate) cache_max_bytes: usize,
    pub(crate) write_buffer_max_bytes: usize,
    pub(crate) poll: Duration,
    pub(crate) buffered_records_per_partition: usize,
    pub(crate) max_task_idle: Option<Duration>,
    /// `None` where nobody said: a second, and none in tests.
    pub(crate) join_emit_interval: Option<Duration>,
    pub(crate) task_timeout: Duration,
    pub(crate) errors: ErrorHandlers,
    pub(crate) uncaught: UncaughtHandler,
    pub(crate) timestamp_extractor: TimestampExtractor,
    pub(crate) client_id: Option<String>,
    pub(crate) replication_factor: i32,
    pub(crate) repartition_purge_interval: Duration,
    pub(crate) window_changelog_additional_retention: Duration,
    /// Unless set, a second; for a test driver that is like Kafka Streams', none.
    pub(crate) window_emit_interval: Option<Duration>,
    pub(crate) log_summary_interval: Duration,
    /// Keys of Kafka's clients, with a client's prefix or, where they are for all, without; as given.
    pub(crate) clients: BTreeMap<String, String>,
    pub(crate) topic_config: BTreeMap<String, String>,
    restore_listener: RestoreListener,
    /// The file or variable that a key was last set in.
    origins: BTreeMap<String, String>,
}

impl fmt::Debug for StreamsConfig {
    /// What is in force, passwords left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for entry in self.all_entries() {
            map.entry(&entry.key, &entry.value);
        }
        map.finish()
    }
}

impl Default for StreamsConfig {
    fn default() -> Self {
        StreamsConfig {
            log: Log::Unset,
            create_topics: false,
            processing_guarantee: ProcessingGuarantee::AtLeastOnce,
            commit_interval: None,
            num_stream_threads: 1,
            state_dir: None,
            state_cleanup_delay: Duration::from_millis(600_000),
            state_cleanup_max_age: None,
            cache_max_bytes: 10 * 1024 * 1024,
            write_buffer_max_bytes: 32 * 1024 * 1024,
            poll: Duration::from_millis(100),
            buffered_records_per_partition: 1_000,
            max_task_idle: Some(Duration::ZERO),
            join_emit_interval: None,
            task_timeout: Duration::from_millis(300_000),
            errors: ErrorHandlers::default(),
            uncaught: UncaughtHandler::default(),
            timestamp_extractor: TimestampExtractor::default(),
            client_id: None,
            replication_factor: -1,
            repartition_purge_interval: Duration::from_millis(30_000),
            window_changelog_additional_retention: Duration::from_secs(24 * 60 * 60),
            window_emit_interval: None,
            log_summary_interval: Duration::from_millis(120_000),
            clients: BTreeMap::new(),
            topic_config: BTreeMap::new(),
            restore_listener: RestoreListener::default(),
            origins: BTreeMap::new(),
        }
    }
}

impl StreamsConfig {
    /// How often windows that have closed are looked for.
    pub(crate) fn window_emit_interval(&self) -> Duration {
        let default = Duration::from_millis(1_000);
        self.window_emit_interval.unwrap_or(default)
    }

    /// All defaults, and no log yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All defaults, on the embedded log in `dir`.
    #[must_use]
    pub fn embedded(dir: impl Into<PathBuf>) -> Self {
        StreamsConfig {
            log: Log::Embedded(dir.into()),
            ..Self::default()
        }
    }

    /// A file (`.toml`, anything else is read as Java properties), then the environment's `KSTREAMS_…` over it.
    ///
    /// # Errors
    /// When the file cannot be read, or says something that means nothing here.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::new().with_file(path)?.with_env(std::env::vars_os())
    }

    /// The environment alone: `KSTREAMS_PROCESSING_GUARANTEE=exactly_once_v2` is `processing.guarantee`.
    ///
    /// # Errors
    /// When a variable says something that means nothing here.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::new().with_env(std::env::vars_os())
    }

    /// Lays a file's settings over these.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file).
    pub fn with_file(mut self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        for (key, value) in Self::file_settings(path)? {
            self.set_from(&key, &value, &path.display().to_string())?;
        }
        Ok(self)
    }

    /// The keys and values that a file sets, whether they mean something here or not.
    ///
    /// # Errors
    /// When it cannot be read, or is neither TOML nor properties.
    pub fn file_settings(path: impl AsRef<Path>) -> Result<Vec<(String, String)>, ConfigError> {
        file::read(path.as_ref())
    }

    /// Lays the `KSTREAMS_…` among some environment variables over these settings.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn with_env<K, V>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigError>
    where
        K: AsRef<std::ffi::OsStr>,
        V: AsRef<std::ffi::OsStr>,
    {
        for (name, value) in variables {
            if let Some((name, key, value)) = env_setting(name.as_ref(), value.as_ref()) {
                self.set_from(&key, value, name)?;
            }
        }
        Ok(self)
    }

    /// The variable, key and value of each `KSTREAMS_…` in this process's environment that is a setting.
    #[must_use]
    pub fn env_settings() -> Vec<(String, String, String)> {
        std::env::vars_os()
            .filter_map(|(name, value)| {
                let (name, key, value) = env_setting(&name, &value)?;
                Some((name.to_owned(), key, value.to_owned()))
            })
            .collect()
    }

    /// Sets a key by its Kafka Streams name.
    ///
    /// # Errors
    /// When there is no such key, it belongs elsewhere, or cannot have that value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        keys::set(self, key, value)?;
        self.origins.remove(key);
        Ok(())
    }

    /// As [`set`](Self::set), and remembers where it was said: a file, a variable, a command line.
    ///
    /// # Errors
    /// As [`set`](Self::set); the error names the place.
    pub fn set_from(&mut self, key: &str, value: &str, origin: &str) -> Result<(), ConfigError> {
        keys::set(self, key, value).map_err(|e| e.in_origin(origin))?;
        self.origins
            .insert(keys::name(key).to_owned(), origin.to_owned());
        Ok(())
    }

    /// As [`set`](Self::set), in a chain.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn with(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        self.set(key, value)?;
        Ok(self)
    }

    /// Every key that [`set`](Self::set) takes, with its default and what it does.
    #[must_use]
    pub fn keys() -> Vec<KeyDescription> {
        keys::describe()
    }

    /// The values in force, by key.
    #[must_use]
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        keys::entries(self)
    }

    /// The values in force of every key, those of Kafka's clients and internal topics among them, and where they come from.
    /// Passwords and the like are left out.
    #[must_use]
    pub fn all_entries(&self) -> Vec<ConfigEntry> {
        let defaults = Self::default();
        let defaults: BTreeMap<_, _> = keys::entries(&defaults).into_iter().collect();
        let own = keys::entries(self).into_iter().map(|(key, value)| {
            let origin = match self.origins.get(key) {
                Some(origin) => origin.as_str(),
                None if defaults.get(key) == Some(&value) => "default",
                None => "program",
            };
            (key.to_owned(), value, origin)
        });
        let topics = self.topic_config.iter();
        let topics = topics.map(|(key, value)| (format!("topic.{key}"), value.clone()));
        let clients = self.clients.iter().map(|(k, v)| (k.clone(), v.clone()));
        let others = clients.chain(topics).map(|(key, value)| {
            let origin = self.origins.get(&key).map_or("program", String::as_str);
            (key, value, origin)
        });
        own.chain(others)
            .map(|(key, value, origin)| ConfigEntry {
                value: if keys::is_secret(&key) && !value.is_empty() {
                    "(hidden)".to_owned()
                } else {
                    value
                },
                key,
                origin: origin.to_owned(),
            })
            .collect()
    }

    /// All defaults, on a Kafka cluster: `host:port[,host:port]`.
    #[must_use]
    pub fn kafka(bootstrap_servers: impl Into<String>) -> Self {
        Self::new().bootstrap_servers(bootstrap_servers)
    }

    /// `bootstrap.servers`: run on that Kafka cluster.
    #[must_use]
    pub fn bootstrap_servers(mut self, servers: impl Into<String>) -> Self {
        self.log = Log::Kafka(servers.into());
        self
    }

    /// `embedded.dir`: run on the embedded log in that directory.
    #[must_use]
    pub fn embedded_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.log = Log::Embedded(dir.into());
        self
    }

    /// `create.topics`: create source and sink topics that are missing, instead of refusing to start; also those that only
    /// a sink's closure names.
    #[must_use]
    pub fn create_topics(mut self, create: bool) -> Self {
        self.create_topics = create;
        self
    }

    /// `processing.guarantee`.
    #[must_use]
    pub fn processing_guarantee(mut self, guarantee: ProcessingGuarantee) -> Self {
        self.processing_guarantee = guarantee;
        self
    }

    /// `commit.interval.ms`.
    #[must_use]
    pub fn commit_every(mut self, interval: Duration) -> Self {
        self.commit_interval = Some(interval);
        self
    }

    /// `num.stream.threads`.
    #[must_use]
    pub fn num_stream_threads(mut self, threads: usize) -> Self {
        self.num_stream_threads = threads;
        self
    }

    /// `state.dir`.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// `statestore.cache.max.bytes`, shared by all threads; 0 forwards every update.
    #[must_use]
    pub fn cache_max_bytes(mut self, bytes: usize) -> Self {
        self.cache_max_bytes = bytes;
        self
    }

    /// `write.buffer.max.bytes`: uncommitted writes of a task beyond this force an early commit.
    #[must_use]
    pub fn write_buffer_max_bytes(mut self, bytes: usize) -> Self {
        self.write_buffer_max_bytes = bytes;
        self
    }

    /// `poll.ms`: how long a thread without work waits for records.
    #[must_use]
    pub fn poll(mut self, wait: Duration) -> Self {
        self.poll = wait;
        self
    }

    /// `max.task.idle.ms`: how long to wait for a partition that is not known to be caught up; `None` (-1) never waits.
    #[must_use]
    pub fn max_task_idle(mut self, wait: Option<Duration>) -> Self {
        self.max_task_idle = wait;
        self
    }

    /// `__emit.interval.ms.kstreams.outer.join.spurious.results.fix__`: how often, by the wall clock, left and outer joins of
    /// streams look for records whose window closed without a partner.
    pub(crate) fn join_emit_interval(&self) -> Duration {
        self.join_emit_interval.unwrap_or(Duration::from_secs(1))
    }

    /// `task.timeout.ms`: how long a transient failure is retried.
    #[must_use]
    pub fn task_timeout(mut self, timeout: Duration) -> Self {
        self.task_timeout = timeout;
        self
    }

    /// `replication.factor`: how many brokers have a copy of each topic that is created; `None` leaves it to the brokers.
    #[must_use]
    pub fn replication_factor(mut self, copies: Option<u16>) -> Self {
        self.replication_factor = copies.map_or(-1, i32::from);
        self
    }

    /// Who is told of the restoring of stores; the last one given.
    #[must_use]
    pub fn on_restore(mut self, listener: Arc<dyn StateRestoreListener>) -> Self {
        self.restore_listener = RestoreListener(Some(listener));
        self
    }

    pub(crate) fn restore_listener(&self) -> Option<Arc<dyn StateRestoreListener>> {
        self.restore_listener.0.clone()
    }

    /// Which log to run on.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// `commit.interval.ms`: as set, else 30 s, or 100 ms under exactly-once.
    #[must_use]
    pub fn commit_interval(&self) -> Duration {
        self.commit_interval
            .unwrap_or(match self.processing_guarantee {
                ProcessingGuarantee::AtLeastOnce => Duration::from_millis(30_000),
                ProcessingGuarantee::ExactlyOnceV2 => Duration::from_millis(100),
            })
    }

    /// `processing.guarantee` in force.
    #[must_use]
    pub fn guarantee(&self) -> ProcessingGuarantee {
        self.processing_guarantee
    }

    /// `create.topics` in force.
    #[must_use]
    pub fn creates_topics(&self) -> bool {
        self.create_topics
    }

    /// `replication.factor` in force; `None` leaves it to the brokers.
    #[must_use]
    pub fn replication(&self) -> Option<u16> {
        u16::try_from(self.replication_factor).ok()
    }

    /// `state.dir`: as set, else `state` within the embedded log's directory, else `kafka-streams` among the temporary files.
    #[must_use]
    pub fn state_path(&self) -> PathBuf {
        match (&self.state_dir, &self.log) {
            (Some(dir), _) => dir.clone(),
            (None, Log::Embedded(dir)) => dir.join("state"),
            (None, _) => std::env::temp_dir().join("kafka-streams"),
        }
    }

    /// Checks what no single key can: to be called once, before anything starts.
    ///
    /// # Errors
    /// When settings contradict each other, or one is missing.
    pub fn validate(&self) -> Result<(), ConfigError> {
        keys::validate(self)
    }
}

impl From<&StreamsConfig> for StreamsConfig {
    fn from(config: &StreamsConfig) -> Self {
        config.clone()
    }
}

/// The variable, key and value of an environment variable that is a setting.
fn env_setting<'a>(
    name: &'a std::ffi::OsStr,
    value: &'a std::ffi::OsStr,
) -> Option<(&'a str, String, &'a str)> {
    let (name, value) = (name.to_str()?, value.to_str()?);
    let key = name.strip_prefix("KSTREAMS_")?;
    // The lock's, the log's and the tests' variables are the tools', not the application's.
    let tools = matches!(key, "LOCK" | "VECTORS" | "LOG" | "BLESS" | "SEED");
    if tools || key.starts_with("TEST_") {
        return None;
    }
    Some((name, key.to_ascii_lowercase().replace('_', "."), value))
}

/// A value in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub key: String,
    /// Its value; that of a password is not shown.
    pub value: String,
    /// `default`, `program`, or the file, variable or option that set it.
    pub origin: String,
}

/// A key, for `--help` and the guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyDescription {
    /// The name.
    pub name: &'static str,
    /// The default, in words where it depends on others.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

#[cfg(test)]
mod tests;
