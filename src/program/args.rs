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
}

/// Where the log is.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// The directory of the embedded log
    #[arg(long, value_name = "DIR")]
    pub(super) embedded: Option<PathBuf>,
    /// A Kafka cluster (not in this version)
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "embedded")]
    pub(super) bootstrap: Option<String>,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// A file of settings: TOML, or Java properties
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// A setting by its Kafka Streams name; may be repeated, and wins over file and environment
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(super) set: Vec<(String, String)>,
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
    /// The key; every key where neither a key nor a range is given
    #[arg(conflicts_with_all = ["from", "to", "all"])]
    pub(super) key: Option<String>,
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// The first key of a range
    #[arg(long, value_name = "KEY")]
    pub(super) from: Option<String>,
    /// The last key of a range
    #[arg(long, value_name = "KEY")]
    pub(super) to: Option<String>,
    /// Every key
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub(super) all: bool,
    /// Where the state is, if `run` was given a `state.dir`
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// Print each entry as a line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
        None => Err(format!("`{text}` is no `KEY=VALUE`")),
    }
}
