//! What do visitors do? A visit is a user's clicks without a break of half an hour: a window by sessions. A click that comes late
//! may close the gap between two visits, and makes one of them.
//!
//! ```text
//! clickstream_sessions [FILE…] [--embedded DIR | --bootstrap HOST:PORT]
//! ```
//! Reads clicks as JSON lines, and prints the visits with their pages, and how many had one click only. With a subcommand (`run`,
//! `consume`, …) it is the generated program.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Parser;
use kstreams::Json;
use kstreams::prelude::*;
use kstreams::program::Command;
use kstreams::{Serde, SerdeError};
use serde::{Deserialize, Serialize};

#[path = "support/job.rs"]
mod job;
use job::Job;

/// The topology.
#[topology(application_id = "clickstream-sessions")]
#[derive(Debug)]
pub struct ClickstreamSessions {
    /// Clicks by user.
    #[source(topic = "clicks-by-user", partitions = 3, timestamp = |click: &Record<String, Click>, _| click.value.at)]
    clicks: KStream<String, Click>,

    /// The visits. Each update replaces the one before: a visit that grows is another one, so the old one is deleted.
    #[from(clicks
        .group_by_key()
        .windowed_by(session("30m").grace("1h"))
        .aggregate(Visit::default, |_, click, visit| visit.and(click), |_, earlier, later| earlier.merged(later)))]
    #[sink(topic = "visits", partitions = 3)]
    visits: KTable<Windowed<String, SessionWindow>, Visit>,

    /// Visits of a single click. One that grows is no longer among them.
    #[from(visits.filter(|_, visit| visit.clicks.len() == 1).map_values(|visit| visit.path()))]
    #[sink(topic = "bounces", partitions = 3)]
    bounces: KTable<Windowed<String, SessionWindow>, String>,
}

/// A click of a user on a page.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
pub struct Click {
    user: String,
    page: String,
    at: i64,
}

/// A visit's clicks in the order of their times, which is not always the one in which they come.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Json)]
pub struct Visit {
    clicks: Vec<(i64, String)>,
}

impl Visit {
    fn and(mut self, click: Click) -> Self {
        let place = self.clicks.partition_point(|(at, _)| *at <= click.at);
        self.clicks.insert(place, (click.at, click.page));
        self
    }

    fn merged(mut self, later: Self) -> Self {
        self.clicks.extend(later.clicks);
        self
    }

    fn path(&self) -> String {
        let pages: Vec<&str> = self.clicks.iter().map(|(_, page)| page.as_str()).collect();
        pages.join(" > ")
    }
}

/// Finds visits in clicks
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// Clicks as lines of JSON; some of this project where none are given
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: job::Place,
    #[command(subcommand)]
    command: Option<Command>,
}

fn main() -> kstreams::Result<()> {
    let args = Args::parse();
    match args.command {
        Some(command) => command.execute(|config| ClickstreamSessions::builder().start(config)),
        None => kstreams::program::exit_on_error(visits(args)),
    }
}

fn visits(args: Args) -> kstreams::Result<()> {
    let files = if args.files.is_empty() {
        vec![job::data("clickstream.jsonl")]
    } else {
        args.files
    };
    let job = Job::open::<ClickstreamSessions>(args.place)?;
    let app = ClickstreamSessions::builder().start(job.config())?;
    for file in &files {
        job.feed_json::<Click>(file, "clicks-by-user", |click| (&click.user, None))?;
    }
    job.wait_until_processed(&app)?;

    let mut text = String::new();
    for (visit, found) in table::<Visit>(&job, "visits")? {
        let minutes = (visit.end() - visit.start()) / 60_000;
        let begin = visit.start() / 60_000;
        let (hour, minute) = (begin / 60 % 24, begin % 60);
        text.push_str(&format!(
            "{}\t{hour:02}:{minute:02}\t{minutes} minutes\t{}\n",
            visit.key,
            found.path()
        ));
    }
    let bounces = table::<String>(&job, "bounces")?.len();
    text.push_str(&format!("{bounces} of one click\n"));
    kstreams::program::print(&text);
    app.close()
}

/// A key with a session.
type Session = Windowed<String, SessionWindow>;

/// The rows that a topic of updates tells in the end, in the order of users and times.
fn table<V: Serde>(job: &Job, topic: &str) -> kstreams::Result<Vec<(Session, V)>> {
    let unreadable = |e: SerdeError| job::other(format!("{topic}: {e}"));
    let mut rows = BTreeMap::new();
    for record in job.read(topic)? {
        let key = Session::deserialize(&record.key.unwrap_or_default()).map_err(unreadable)?;
        let place = (key.key.clone(), key.start(), key.end());
        match record.value {
            Some(value) => {
                let value = V::deserialize(&value).map_err(unreadable)?;
                rows.insert(place, (key, value));
            }
            None => drop(rows.remove(&place)),
        }
    }
    Ok(rows.into_values().collect())
}
