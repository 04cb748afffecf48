//! Counts page views in a web server's access log: a new key, a repartition, a count.
//!
//! ```text
//! page_views [FILE…] [--embedded DIR | --bootstrap HOST:PORT]
//! ```
//! Reads the common log format of Apache and nginx. With a subcommand (`run`, `query`, …) it is the generated program.

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
#[topology(application_id = "page-views")]
#[derive(Debug)]
pub struct PageViews {
    /// Lines of an access log, by client.
    #[source(topic = "access-log", partitions = 3)]
    lines: KStream<String, String>,

    /// What was looked at: lines that are none, and requests that failed, are left out.
    #[from(lines.flat_map_values(|line| View::parse(line)).filter(|_, view| view.status == 200))]
    views: KStream<String, View>,

    /// The same by page: another key, so the records move to that page's partition.
    #[from(views.select_key(|_, view| view.page.clone()).repartition(4))]
    by_page: KStream<String, View>,

    /// How often each page was looked at.
    #[from(by_page.group_by_key().count())]
    #[sink(topic = "views-per-page", partitions = 4)]
    per_page: KTable<String, i64>,

    /// How much each client looked at: the key is still the client's, nothing moves.
    #[from(views.group_by_key().count())]
    #[store]
    per_client: KTable<String, i64>,
}

/// A successful or failed request for a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Json)]
pub struct View {
    page: String,
    status: u16,
}

impl View {
    /// `client - - [time] "GET /page HTTP/1.1" 200 …`
    fn parse(line: &str) -> Option<View> {
        let mut quoted = line.split('"').skip(1);
        let mut request = quoted.next()?.split(' ');
        let page = request.nth(1)?.to_owned();
        let status = quoted.next()?.split_whitespace().next()?.parse().ok()?;
        Some(View { page, status })
    }
}

/// Counts page views
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// The access logs; a small one of this project where none is given
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: job::Place,
    #[command(subcommand)]
    command: Option<Command>,
}

fn main() -> kstreams::Result<()> {
    let args = Args::parse();
    match args.command {
        Some(command) => command.execute(|config| PageViews::builder().start(config)),
        None => kstreams::program::exit_on_error(count(args)),
    }
}

fn count(args: Args) -> kstreams::Result<()> {
    let files = if args.files.is_empty() {
        vec![job::data("access.log")]
    } else {
        args.files
    };
    let job = Job::open::<PageViews>(args.place)?;
    let app = PageViews::builder().start(job.config())?;
    for file in &files {
        job.feed(file, "access-log", |line| {
            let client = line.split(' ').next().unwrap_or_default();
            Some((Some(client.as_bytes().to_vec()), line.as_bytes().to_vec()))
        })?;
    }
    job.wait_until_processed(&app)?;

    let mut pages = app.per_page.all()?;
    pages.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    let mut text: String = pages
        .iter()
        .map(|(page, n)| format!("{n}\t{page}\n"))
        .collect();
    text.push_str(&format!("{} clients\n", app.per_client.all()?.len()));
    kstreams::program::print(&text);
    app.close()
}
