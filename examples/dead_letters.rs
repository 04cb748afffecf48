//! Converts readings of sensors, of which some are broken: lines that are no readings, temperatures that cannot be, and one
//! for which the conversion panics. The good ones go on; the bad ones are listed with the reason that their dead letters give.
//!
//! ```text
//! dead_letters [FILE…] [--embedded DIR | --bootstrap HOST:PORT]
//! ```
//! With a subcommand (`run`, `consume dead-readings`, …) it is the generated program.

use std::path::PathBuf;

use clap::Parser;
use kstreams::exceptions::LogAndContinue;
use kstreams::prelude::*;
use kstreams::program::Command;
use serde::{Deserialize, Serialize};

#[path = "support/job.rs"]
mod job;
use job::Job;

const DEAD_LETTERS: &str = "dead-readings";

/// Readings in, temperatures in Fahrenheit out.
#[topology(application_id = "dead-letters")]
#[derive(Debug)]
pub struct Readings {
    /// What sensors send. Bytes that are no reading are for the deserialization handler.
    #[source(topic = "readings", partitions = 1)]
    readings: KStream<(), Reading>,

    /// An error that a closure returns, and a panic, are for the processing handler.
    #[from(readings.try_map_values(Reading::checked).map(|(), r| (r.sensor.clone(), r.fahrenheit())))]
    #[sink(topic = "temperatures", partitions = 1)]
    temperatures: KStream<String, i64>,
}

/// A temperature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Json)]
pub struct Reading {
    sensor: String,
    celsius: f64,
}

impl Reading {
    fn checked(self) -> Result<Reading, String> {
        if self.celsius < -273.15 {
            return Err(format!("{} °C is below absolute zero", self.celsius));
        }
        Ok(self)
    }

    fn fahrenheit(&self) -> i64 {
        assert!(self.celsius < 10_000.0, "no sensor outlives that");
        (self.celsius * 1.8 + 32.0).round() as i64
    }
}

/// The configuration: nothing stops, everything bad is a dead letter.
fn tolerant(config: impl Into<StreamsConfig>) -> StreamsConfig {
    config
        .into()
        .deserialization_exception_handler(LogAndContinue)
        .processing_exception_handler(LogAndContinue)
        .dead_letter_queue(DEAD_LETTERS)
}

/// Sorts out broken readings
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// The readings, a JSON object a line; some of this project where none are given
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: job::Place,
    #[command(subcommand)]
    command: Option<Command>,
}

fn main() -> kstreams::Result<()> {
    let args = Args::parse();
    match args.command {
        Some(command) => command.execute(|config| Readings::builder().start(tolerant(config))),
        None => kstreams::program::exit_on_error(sort_out(args)),
    }
}

fn sort_out(args: Args) -> kstreams::Result<()> {
    let files = if args.files.is_empty() {
        vec![job::data("readings.jsonl")]
    } else {
        args.files
    };
    let job = Job::open::<Readings>(args.place)?;
    let app = Readings::builder().start(tolerant(job.config().create_topics(true)))?;
    for file in &files {
        job.feed(file, "readings", |line| {
            Some((None, line.as_bytes().to_vec()))
        })?;
    }
    job.wait_until_processed(&app)?;

    let mut text = String::new();
    for record in job.read("temperatures")? {
        let sensor: String = Serde::deserialize(record.key.as_deref().unwrap_or_default())?;
        let degrees: i64 = Serde::deserialize(record.value.as_deref().unwrap_or_default())?;
        text.push_str(&format!("{sensor}\t{degrees} °F\n"));
    }
    for letter in job.read(DEAD_LETTERS)? {
        let header = |name: &str| {
            let header = letter.headers.last(&format!("__streams.errors.{name}"));
            let value = header.and_then(|header| header.value.as_deref());
            String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
        };
        let (offset, message) = (header("offset"), header("message"));
        text.push_str(&format!("record {offset}\t{message}\n"));
    }
    kstreams::program::print(&text);
    app.close()
}
