//! Counts the words of files, or of this project's README, and prints the most frequent ones.
//!
//! ```text
//! word_count [FILE…] [--top N | --all] [--embedded DIR | --bootstrap HOST:PORT]
//! ```
//! With `--embedded DIR` it can be interrupted at any moment, also by `kill -9`, and goes on where it was; a finished
//! command that is repeated adds nothing. With a subcommand (`run`, `query`, …) it is the generated program.

use std::path::{Path, PathBuf};

use clap::Parser;
use kstreams::prelude::*;
use kstreams::program::Command;

#[path = "support/job.rs"]
mod job;
use job::Job;

/// The topology: lines in, counts of words out.
#[topology(application_id = "word-count")]
#[derive(Debug)]
pub struct WordCount {
    /// Lines of text.
    #[source(topic = "lines", partitions = 2)]
    lines: KStream<(), String>,

    /// How often each word occurred, in lower case.
    #[from(lines.flat_map_values(|line| words(line)).group_by(|_, word| word.clone()).count())]
    #[sink(topic = "counts", partitions = 2)]
    counts: KTable<String, i64>,
}

/// The runs of letters and digits of a line, in lower case.
fn words(line: &str) -> Vec<String> {
    let runs = line.split(|c: char| !c.is_alphanumeric());
    runs.filter(|run| !run.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Counts the words of files
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// The files; this project's README where none is given
    files: Vec<PathBuf>,
    /// How many words to print
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Print every word
    #[arg(long, conflicts_with = "top")]
    all: bool,
    #[command(flatten)]
    place: job::Place,
    #[command(subcommand)]
    command: Option<Command>,
}

fn main() -> kstreams::Result<()> {
    let args = Args::parse();
    match args.command {
        Some(command) => command.execute(|config| WordCount::builder().start(config)),
        None => kstreams::program::exit_on_error(count(args)),
    }
}

fn count(args: Args) -> kstreams::Result<()> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let files = if args.files.is_empty() {
        vec![readme]
    } else {
        args.files
    };

    let job = Job::open::<WordCount>(args.place)?;
    let app = WordCount::builder().start(job.config())?;
    for file in &files {
        job.feed(file, "lines", |line| Some((None, line.as_bytes().to_vec())))?;
    }
    job.wait_until_processed(&app)?;

    let mut counts = app.counts.all()?;
    counts.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    let shown = if args.all { counts.len() } else { args.top };
    let lines = counts
        .iter()
        .take(shown)
        .map(|(word, count)| format!("{count}\t{word}\n"));
    kstreams::program::print(&lines.collect::<String>());
    app.close()
}
