//! The Nexmark benchmark's queries on an auction site's events, which the `nexmark` crate makes.
//!
//! ```text
//! nexmark [--events N] [--embedded DIR | --bootstrap HOST:PORT]
//! ```
//! Sends the events, waits until they are processed and says how many rows each query has. With a subcommand (`run`,
//! `consume`, …) it is the generated program.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use kstreams::program::Command;
use serde::Serialize;
use serde::de::DeserializeOwned;

mod events;
#[path = "../support/job.rs"]
mod job;
mod queries;

use events::{Auction, Bid, Events, Person};
use job::Job;
use queries::Nexmark;

/// Runs queries of the Nexmark benchmark
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// How many events are made: people, auctions and bids as 1 : 3 : 46
    #[arg(long, default_value_t = 10_000)]
    events: usize,
    #[command(flatten)]
    place: job::Place,
    #[command(subcommand)]
    command: Option<Command>,
}

fn main() -> kstreams::Result<()> {
    let args = Args::parse();
    match args.command {
        Some(command) => command.execute(|config| Nexmark::builder().start(config)),
        None => kstreams::program::exit_on_error(benchmark(args)),
    }
}

fn benchmark(args: Args) -> kstreams::Result<()> {
    let events = Events::generate(args.events);
    let job = Job::open::<Nexmark>(args.place)?;
    let app = Nexmark::builder().start(job.config())?;
    let dir = tempfile::tempdir().map_err(job::io("a temporary directory"))?;

    let bids = lines(dir.path(), "bids", &events.bids)?;
    feed(
        &job,
        &bids,
        "bids",
        |bid: &Bid| bid.auction,
        |bid| bid.date_time,
    )?;
    let people = lines(dir.path(), "people", &events.people)?;
    feed(&job, &people, "people", |p: &Person| p.id, |p| p.date_time)?;
    let auctions = lines(dir.path(), "auctions", &events.auctions)?;
    feed(
        &job,
        &auctions,
        "auctions",
        |a: &Auction| a.id,
        |a| a.date_time,
    )?;
    job.wait_until_processed(&app)?;

    let mut text = format!("{} bids\n", events.bids.len());
    for query in ["q0", "q1", "q2"] {
        text.push_str(&format!("{query}\t{}\n", job.read(query)?.len()));
    }
    for query in ["q5", "q8"] {
        // Updates of a table: its rows are the last of each key.
        let records = job.read(query)?.into_iter();
        let rows: BTreeMap<_, _> = records.map(|r| (r.key, r.value)).collect();
        text.push_str(&format!("{query}\t{}\n", rows.len()));
    }
    kstreams::program::print(&text);
    app.close()
}

/// Sends events of a file, each with its key and time.
fn feed<T: DeserializeOwned>(
    job: &Job,
    file: &Path,
    topic: &str,
    id: impl Fn(&T) -> u64,
    at: impl Fn(&T) -> i64,
) -> kstreams::Result<()> {
    job.feed_dated(file, topic, |line| {
        let event: T = serde_json::from_str(line).ok()?;
        Some((
            (key(id(&event)), line.as_bytes().to_vec()),
            Some(at(&event)),
        ))
    })
}

/// A key as Kafka Streams writes a `Long`.
fn key(id: u64) -> Option<Vec<u8>> {
    Some(id.to_be_bytes().to_vec())
}

/// Events as a file of lines.
fn lines<T: Serialize>(dir: &Path, name: &str, events: &[T]) -> kstreams::Result<PathBuf> {
    let mut text = String::new();
    for event in events {
        text.push_str(&serde_json::to_string(event).map_err(|e| job::other(e.to_string()))?);
        text.push('\n');
    }
    let file = dir.join(name);
    fs::write(&file, text).map_err(job::io(file.display()))?;
    Ok(file)
}
