//! How many requests did each page have in ten minutes? By three kinds of windows, side by side: tumbling ones, which lie end to
//! end; hopping ones, one of which begins every minute; and sliding ones, of which one ends with each request.
//!
//! ```text
//! ten_minute_counts [FILE…] [--embedded DIR | --bootstrap HOST:PORT]
//! ```
//! Reads the common log format of Apache and nginx, and prints for each page its busiest ten minutes. With a subcommand (`run`,
//! `consume`, …) it is the generated program.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Parser;
use kstreams::prelude::*;
use kstreams::program::Command;
use kstreams::{Serde, SerdeError};

#[path = "support/job.rs"]
mod job;
use job::Job;

const TEN_MINUTES: i64 = 10 * 60_000;

/// The topology.
#[topology(application_id = "ten-minute-counts")]
#[derive(Debug)]
pub struct TenMinuteCounts {
    /// Lines of an access log, by client. Their time is the one that they tell.
    #[source(topic = "requests", partitions = 3, timestamp = |line: &Record<String, String>, _| time_of(&line.value))]
    requests: KStream<String, String>,

    /// The same by page: another key, so the records move to that page's partition. They come from three partitions there, in no
    /// order, so the windows wait for late ones.
    #[from(requests.flat_map(|_, line| page_of(line).map(|page| (page.to_owned(), ()))).repartition(3))]
    by_page: KStream<String, ()>,

    /// From ten to ten minutes: each request is in one window.
    #[from(by_page.group_by_key().windowed_by(tumbling("10m").grace("1h")).count())]
    #[sink(topic = "per-ten-minutes", partitions = 3)]
    tumbling: KTable<Windowed<String>, i64>,

    /// Ten minutes from each minute on: each request is in ten windows.
    #[from(by_page.group_by_key().windowed_by(hopping(TEN_MINUTES).advance_by("1m").grace("1h")).count())]
    #[sink(topic = "per-minute", partitions = 3)]
    hopping: KTable<Windowed<String>, i64>,

    /// The ten minutes up to each request: whatever ten minutes one looks at, one of these windows has their requests.
    #[from(by_page.group_by_key().windowed_by(sliding("10m").grace("1h")).count())]
    #[sink(topic = "per-request", partitions = 3)]
    sliding: KTable<Windowed<String>, i64>,
}

/// `client - - [14/Mar/2026:10:00:21 +0000] "GET /page HTTP/1.1" 200 …`: the page.
fn page_of(line: &str) -> Option<&str> {
    line.split('"').nth(1)?.split(' ').nth(1)
}

/// The time that a line tells, in milliseconds; without one it is no record.
fn time_of(line: &str) -> Result<i64, String> {
    parse_time(line).ok_or_else(|| format!("`{line}` tells no time"))
}

fn parse_time(line: &str) -> Option<i64> {
    let (date, clock) = line.split_once('[')?.1.split_once(']')?.0.split_once(':')?;
    let mut date = date.split('/');
    let day: i64 = date.next()?.parse().ok()?;
    let name = date.next()?;
    let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = (months.find(name).filter(|_| name.len() == 3)? / 3 + 1) as i64;
    let year: i64 = date.next()?.parse().ok()?;
    let (clock, zone) = clock.split_once(' ')?;
    let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    let zone: i64 = zone.parse().ok()?;
    // Days since 1970: years from March on, so that the leap day is the last.
    let (years, months) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day
        - 719_469;
    let minutes = (days * 24 + hours - zone / 100) * 60 + minutes - zone % 100;
    Some((minutes * 60 + seconds) * 1_000)
}

/// Counts requests per page in ten minutes
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
        Some(command) => command.execute(|config| TenMinuteCounts::builder().start(config)),
        None => kstreams::program::exit_on_error(count(args)),
    }
}

fn count(args: Args) -> kstreams::Result<()> {
    let files = if args.files.is_empty() {
        vec![job::data("access.log")]
    } else {
        args.files
    };
    let job = Job::open::<TenMinuteCounts>(args.place)?;
    let app = TenMinuteCounts::builder().start(job.config())?;
    for file in &files {
        job.feed(file, "requests", |line| {
            parse_time(line)?;
            let client = line.split(' ').next().unwrap_or_default();
            Some((Some(client.as_bytes().to_vec()), line.as_bytes().to_vec()))
        })?;
    }
    job.wait_until_processed(&app)?;

    let tumbling = busiest(&job, "per-ten-minutes")?;
    let hopping = busiest(&job, "per-minute")?;
    let sliding = busiest(&job, "per-request")?;
    let mut text = "page\ttumbling\thopping\tsliding\n".to_owned();
    for (page, window) in &tumbling {
        let all = [Some(window), hopping.get(page), sliding.get(page)];
        let all = all.map(|window| window.map_or(String::new(), Busiest::text));
        text.push_str(&format!("{page}\t{}\n", all.join("\t")));
    }
    kstreams::program::print(&text);
    app.close()
}

/// A window with the most requests; of equal ones the earliest.
struct Busiest {
    start: i64,
    count: i64,
}

impl Busiest {
    /// `7 from 10:00:00`
    fn text(&self) -> String {
        let seconds = self.start / 1_000;
        let (hours, minutes) = (seconds / 3_600 % 24, seconds / 60 % 60);
        format!(
            "{} from {hours:02}:{minutes:02}:{:02}",
            self.count,
            seconds % 60
        )
    }
}

/// Each page's busiest window, of the last counts in a topic.
fn busiest(job: &Job, topic: &str) -> kstreams::Result<BTreeMap<String, Busiest>> {
    let mut counts = BTreeMap::new();
    for record in job.read(topic)? {
        let (Some(key), Some(value)) = (record.key, record.value) else {
            continue;
        };
        let read = |e: SerdeError| job::other(format!("{topic}: {e}"));
        // The bytes of a windowed key have its start alone; the type says how long it is.
        let key = Windowed::<String, TimeWindow<TEN_MINUTES>>::deserialize(&key).map_err(read)?;
        let start = key.start();
        counts.insert((key.key, start), i64::deserialize(&value).map_err(read)?);
    }
    let mut busiest: BTreeMap<String, Busiest> = BTreeMap::new();
    for ((page, start), count) in counts {
        let most = busiest.entry(page).or_insert(Busiest { start, count });
        if count > most.count {
            *most = Busiest { start, count };
        }
    }
    Ok(busiest)
}
