//! Which ads are clicked? A click is counted for its ad if it comes within ten minutes after the ad was shown: a join of two
//! streams by the impression's id.
//!
//! ```text
//! ad_clicks [--data DIR] [--embedded DIR | --bootstrap HOST:PORT]
//! ```
//! Reads `impressions.jsonl` and `clicks.jsonl`, and prints for each ad how often it was shown and clicked. With a subcommand
//! (`run`, `consume`, …) it is the generated program.

use std::path::PathBuf;

use clap::Parser;
use kstreams::Json;
use kstreams::prelude::*;
use kstreams::program::Command;
use serde::{Deserialize, Serialize};

#[path = "support/job.rs"]
mod job;
use job::Job;

/// The topology.
#[topology(application_id = "ad-clicks")]
#[derive(Debug)]
pub struct AdClicks {
    /// An ad is shown to somebody, by the impression's id.
    #[source(topic = "impressions", partitions = 3)]
    impressions: KStream<String, Impression>,

    /// Somebody clicks, by the impression's id: as many partitions, so that a click meets its impression in its own task.
    #[source(topic = "clicks", partitions = 3)]
    clicks: KStream<String, Click>,

    /// A click joins if it comes after the impression, ten minutes at most. Streams are not read in step with one another:
    /// either may be a day behind.
    #[from(impressions.join(clicks, Clicked::new, within("10m").before("0s").grace("1d")))]
    #[sink(topic = "clicked", partitions = 3)]
    clicked: KStream<String, Clicked>,

    /// How often each ad was shown.
    #[from(impressions.group_by(|_, impression| impression.ad.clone()).count())]
    shown_per_ad: KTable<String, i64>,

    /// How often each ad was clicked; a second click counts too.
    #[from(clicked.group_by(|_, clicked| clicked.ad.clone()).count())]
    clicks_per_ad: KTable<String, i64>,
}

/// An ad that was shown.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
pub struct Impression {
    id: String,
    ad: String,
    user: String,
    at: i64,
}

/// A click on it.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
pub struct Click {
    impression: String,
    at: i64,
}

/// A click with what it was on.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
pub struct Clicked {
    ad: String,
    user: String,
    after_ms: i64,
}

impl Clicked {
    fn new(impression: &Impression, click: &Click) -> Self {
        Clicked {
            ad: impression.ad.clone(),
            user: impression.user.clone(),
            after_ms: click.at - impression.at,
        }
    }
}

/// Counts clicks on ads
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// Where the two files are; this project's `examples/data` where none is given
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    place: job::Place,
    #[command(subcommand)]
    command: Option<Command>,
}

fn main() -> kstreams::Result<()> {
    let args = Args::parse();
    match args.command {
        Some(command) => command.execute(|config| AdClicks::builder().start(config)),
        None => kstreams::program::exit_on_error(count(args)),
    }
}

fn count(args: Args) -> kstreams::Result<()> {
    let file = |name: &str| match &args.data {
        Some(dir) => dir.join(name),
        None => job::data(name),
    };
    let job = Job::open::<AdClicks>(args.place)?;
    let (impressions, clicks) = (file("impressions.jsonl"), file("clicks.jsonl"));
    job.feed_json::<Impression>(&impressions, "impressions", |i| (&i.id, Some(i.at)))?;
    job.feed_json::<Click>(&clicks, "clicks", |c| (&c.impression, Some(c.at)))?;
    let app = AdClicks::builder().start(job.config())?;
    job.wait_until_processed(&app)?;

    let mut text = String::new();
    for (ad, shown) in app.shown_per_ad.all()? {
        let clicked = app.clicks_per_ad.get(&ad)?.unwrap_or(0);
        text.push_str(&format!("{ad}\t{shown} shown\t{clicked} clicked\n"));
    }
    kstreams::program::print(&text);
    app.close()
}
