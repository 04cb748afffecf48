//! The command line: what can be asked, and the help for it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What a program with a topology can be asked to do.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Process records until Ctrl-C
    Run(RunArgs),
    /// Print the topology
    Describe(DescribeArgs),
    /// Send lines to a topic, also beside a running `run`
    Produce(ProduceArgs),
    /// Print what a topic gets, also beside a running `run`
    Consume(ConsumeArgs),
    /// Print what a table holds as of the last commit, also beside a running `run`
    Query(QueryArgs),
    /// Create the topics that the topology declares, or compare them with those that are there
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Make the application begin anew: offsets, internal topics and state. Asks first
    Reset(ResetArgs),
    /// Look at everything that a run needs: configuration, log, rights, topics, lag, state
    Doctor(DoctorArgs),
}

/// Where the log is, and how it is spoken to.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// The directory of the embedded log
    #[arg(long, value_name = "DIR")]
    pub(super) embedded: Option<PathBuf>,
    /// A Kafka cluster (`bootstrap.servers`)
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "embedded")]
    pub(super) bootstrap: Option<String>,
    /// A file of settings: TOML, or Java properties
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// A setting by its Kafka Streams or librdkafka name; may be repeated, and wins over file and environment
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(super) set: Vec<(String, String)>,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// How many stream threads (`num.stream.threads`)
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<u16>,
    /// Print each change of state as a line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Arguments of `describe`.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// How to print it
    #[arg(long, value_enum, default_value_t = DescribeFormat::Text)]
    pub(super) format: DescribeFormat,
    /// As JSON; the same as `--format json`
    #[arg(long)]
    pub(super) json: bool,
}

/// How to print a topology.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum DescribeFormat {
    /// The text of Kafka Streams' `Topology.describe()`
    Text,
    /// A Mermaid flow chart
    Mermaid,
    /// A graph for Graphviz
    Dot,
    /// Everything, for tools
    Json,
}

/// Arguments of `produce`.
#[derive(Debug, Args)]
pub struct ProduceArgs {
    /// The topic
    pub(super) topic: String,
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// The key of every record
    #[arg(long, value_name = "KEY", conflicts_with = "separator")]
    pub(super) key: Option<String>,
    /// What stands between key and value in a line; `\t` is a tab
    #[arg(long, value_name = "TEXT")]
    pub(super) separator: Option<String>,
    /// The file whose lines are sent; standard input where none is given
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Send one null for the key, which deletes it from a table; no lines are read
    #[arg(long, requires = "key", conflicts_with = "file")]
    pub(super) tombstone: bool,
    /// The records' timestamp in milliseconds; the present time where none is given
    #[arg(long, value_name = "MS")]
    pub(super) timestamp: Option<i64>,
    /// Say what was sent as a line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Arguments of `consume`.
#[derive(Debug, Args)]
pub struct ConsumeArgs {
    /// The topic; an internal one with or without the application's prefix
    pub(super) topic: String,
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// Print what is there, then end (without this: print what comes from now on)
    #[arg(long)]
    pub(super) from_beginning: bool,
    /// End after so many records
    #[arg(long, value_name = "N")]
    pub(super) max: Option<u64>,
    /// Go on waiting for records at the end
    #[arg(long)]
    pub(super) follow: bool,
    /// Print each record as a line of JSON, with partition, offset, timestamp and headers
    #[arg(long)]
    pub(super) json: bool,
}

/// Arguments of `query`.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// The table: a field's name, or its store's
    pub(super) store: String,
    /// The key, of windows without the window; every key where neither a key nor a range is given
    #[arg(conflicts_with_all = ["from", "to", "prefix", "all"])]
    pub(super) key: Option<String>,
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// The first key of a range
    #[arg(long, value_name = "KEY")]
    pub(super) from: Option<String>,
    /// The last key of a range
    #[arg(long, value_name = "KEY")]
    pub(super) to: Option<String>,
    /// What the keys' bytes begin with
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["from", "to"])]
    pub(super) prefix: Option<String>,
    /// Every key
    #[arg(long, conflicts_with_all = ["from", "to", "prefix"])]
    pub(super) all: bool,
    /// Windows that start then or later, sessions that end then or later, versions that are valid then or later: milliseconds since
    /// the Unix epoch
    #[arg(long, value_name = "MS")]
    pub(super) time_from: Option<i64>,
    /// Windows and sessions that start then or earlier, versions that are valid then or earlier
    #[arg(long, value_name = "MS")]
    pub(super) time_to: Option<i64>,
    /// The value that the key of a versioned table had then
    #[arg(long, value_name = "MS", requires = "key", conflicts_with_all = ["time_from", "time_to", "versions"])]
    pub(super) as_of: Option<i64>,
    /// All values that the key of a versioned table had, the latest first
    #[arg(long, requires = "key")]
    pub(super) versions: bool,
    /// The last entry first
    #[arg(long)]
    pub(super) reverse: bool,
    /// Where the state is, if `run` was given a `state.dir`
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// Print each entry as a line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What to do about the declared topics.
#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Create the source and sink topics that are not there, with their declared partition counts
    Create(TopicsCreateArgs),
    /// Compare every topic with the topology; exit code 1 if one does not fit
    Check(TopicsCheckArgs),
}

/// Arguments of `topics create`.
#[derive(Debug, Args)]
pub struct TopicsCreateArgs {
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// How many brokers have a copy (`replication.factor`); the cluster's default where none is given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=32_767))]
    pub(super) replication_factor: Option<u16>,
    /// Partitions of topics that declare none
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) partitions: u32,
    /// Print each topic as a line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Arguments of `topics check`.
#[derive(Debug, Args)]
pub struct TopicsCheckArgs {
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// Print everything as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Arguments of `reset`.
#[derive(Debug, Args)]
pub struct ResetArgs {
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// Go on with what comes from now on, instead of with the first record that is there
    #[arg(long)]
    pub(super) to_latest: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
    /// Print what is done as one JSON object; needs `--yes` or `--dry-run`
    #[arg(long)]
    pub(super) json: bool,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// Also print settings that have their defaults
    #[arg(long)]
    pub(super) all: bool,
    /// Print everything as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
        None => Err(format!("`{text}` is no `KEY=VALUE`")),
    }
}
