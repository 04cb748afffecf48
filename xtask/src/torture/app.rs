//! The application under torture: counts events by key behind a repartition, every update written out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use kstreams::config::StateRestoreListener;
use kstreams::prelude::*;
use kstreams::{Running, State, TopicPartition};
use serde_json::{Value, json};

use super::error::Failure;

/// The word by which a program runs the application instead of what else it does.
pub const WORD: &str = "torture-app";
/// The application's id.
pub const APPLICATION: &str = "torture";
/// Where the events come from.
pub const INPUT: &str = "torture-input";
/// Where the counts go.
pub const OUTPUT: &str = "torture-updates";
/// Where the state is logged.
pub const CHANGELOG: &str = "torture-counts-changelog";
/// Of each topic.
pub const PARTITIONS: usize = 4;

/// The topology: an event's value is the key that it counts for.
#[topology(application_id = "torture")]
#[derive(Debug)]
pub struct Torture {
    #[source(topic = "torture-input", partitions = 4)]
    events: KStream<String, String>,

    #[from(events.select_key(|_, key| key.clone()).group_by_key().count())]
    counts: KTable<String, i64>,

    #[from(counts.to_stream())]
    #[sink(topic = "torture-updates", partitions = 4)]
    updates: KStream<String, i64>,
}

/// Counts events
#[derive(Debug, Parser)]
struct Args {
    /// The cluster
    #[arg(long)]
    bootstrap: String,
    /// Where state is kept, over the process's deaths
    #[arg(long)]
    state_dir: PathBuf,
    #[arg(long)]
    threads: usize,
}

/// Runs the application until its input closes or SIGTERM comes. It prints what it does as lines of JSON, and the entries of
/// its store when it is told `dump`.
///
/// `args` are those behind [`WORD`].
#[must_use]
pub fn main(args: &[String]) -> ExitCode {
    let args = Args::parse_from(std::iter::once(WORD.to_owned()).chain(args.iter().cloned()));
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::builder()
                .with_env_var("KSTREAMS_LOG")
                .with_default_directive(tracing_subscriber::filter::LevelFilter::INFO.into())
                .from_env_lossy(),
        )
        .init();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the application failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let mut config = StreamsConfig::kafka(&args.bootstrap)
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .create_topics(true)
        .commit_every(Duration::from_millis(150))
        .num_stream_threads(args.threads)
        .state_dir(&args.state_dir)
        .cache_max_bytes(0)
        .on_restore(Arc::new(Restores::default()));
    for (key, value) in [
        // Short enough for a zombie to come back while the torture goes on.
        ("consumer.session.timeout.ms", "2000"),
        ("consumer.heartbeat.interval.ms", "400"),
        ("producer.transaction.timeout.ms", "5000"),
    ] {
        config.set(key, value).map_err(Failure::app)?;
    }
    // What librdkafka is to tell about members and readers: `cgrp`, say.
    if let Ok(debug) = std::env::var("KSTREAMS_DEBUG") {
        config
            .set("main.consumer.debug", &debug)
            .map_err(Failure::app)?;
    }
    let app = Torture::builder().start(config).map_err(Failure::app)?;
    let app = Arc::new(app);
    let listening = Arc::clone(&app);
    std::thread::spawn(move || listen(&listening));
    let telling = Arc::clone(&app);
    std::thread::spawn(move || {
        tell(&telling);
    });
    app.streams().run_until_signal().map_err(Failure::app)
}

/// Tells of stores that lack something, and of the records that those are given that were there already.
#[derive(Default)]
struct Restores {
    tails: Mutex<BTreeSet<TopicPartition>>,
}

impl StateRestoreListener for Restores {
    fn on_restore_start(&self, partition: &TopicPartition, _: &str, from: i64, _: i64) {
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = from == 0;
        if is_new {
            tails.remove(partition);
        } else {
            tails.insert(partition.clone());
        }
        say(&json!({ "restore": { "whole": u64::from(is_new), "tails": u64::from(!is_new) } }));
    }

    fn on_batch_restored(&self, partition: &TopicPartition, _: &str, _: i64, restored: u64) {
        let tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        if tails.contains(partition) {
            say(&json!({ "restore": { "tail_records": restored } }));
        }
    }
}

/// Ends the process as a crash does when whoever started it is gone.
fn listen(app: &Running<Torture>) {
    for line in std::io::stdin().lock().lines() {
        match line.as_deref() {
            Ok("dump") => say(&dump(app)),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    std::process::exit(2);
}

fn dump(app: &Running<Torture>) -> Value {
    let entries = app.counts.all();
    match entries {
        Ok(entries) => json!({ "dump": entries.into_iter().collect::<BTreeMap<_, _>>() }),
        // It has no partition, or is not running.
        Err(error) => json!({ "nodump": error.to_string() }),
    }
}

fn tell(app: &Running<Torture>) -> ! {
    let (mut statistics, mut state) = (None, None::<State>);
    loop {
        let now = app.streams().statistics();
        if statistics != Some(now) {
            statistics = Some(now);
            say(&json!({ "statistics": now }));
        }
        let now = app.state();
        if state != Some(now) {
            state = Some(now);
            say(&json!({ "state": now.to_string() }));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn say(line: &Value) {
    // Nobody listens any more: the closed input ends the process.
    let _ = writeln!(std::io::stdout(), "{line}");
}
