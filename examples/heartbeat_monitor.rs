//! Tells of devices that fall silent: a processor remembers when each was last heard of, and looks every ten seconds for those
//! that have sent nothing for a minute.
//!
//! ```text
//! heartbeat_monitor [FILE…] [--embedded DIR | --bootstrap HOST:PORT]
//! ```
//! Reads heartbeats, and prints the alerts. With a subcommand (`run`, `consume alerts`, …) it is the generated program.

use std::path::PathBuf;

use clap::Parser;
use kstreams::prelude::*;
use kstreams::program::Command;
use serde::{Deserialize, Serialize};

#[path = "support/job.rs"]
mod job;
use job::Job;

/// Heartbeats in, alerts out.
#[topology(application_id = "heartbeat-monitor")]
#[derive(Debug)]
pub struct Monitored {
    /// How long a device may be silent, in milliseconds.
    silence_ms: i64,

    /// By device.
    #[source(topic = "heartbeats", partitions = 1)]
    heartbeats: KStream<String, Heartbeat>,

    #[from(heartbeats.process(Monitor::new(self.silence_ms)))]
    #[sink(topic = "alerts", partitions = 1)]
    alerts: KStream<String, Alert>,
}

/// A device is alive.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
pub struct Heartbeat {
    device: String,
    at: i64,
}

/// A device fell silent, or is back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Json)]
#[serde(rename_all = "snake_case")]
pub enum Alert {
    /// Since when, in milliseconds.
    SilentSince(i64),
    /// After how many milliseconds.
    BackAfter(i64),
}

/// What is known of a device.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
struct Device {
    heard: i64,
    silent: bool,
}

/// Time goes on with the heartbeats, so that old ones can be replayed; where none come at all, by the clock.
#[processor(
    out = (String, Alert),
    punctuate(stream_time = "10s", call = look),
    punctuate(wall_clock = "10s", call = look_by_clock)
)]
struct Monitor {
    silence_ms: i64,
    #[store]
    devices: KeyValueStore<String, Device>,
    /// The time of the newest heartbeat, and when it came.
    #[default]
    newest: Option<(Timestamp, Timestamp)>,
}

impl Processor<String, Heartbeat> for Monitor {
    fn process(
        &mut self,
        record: Record<String, Heartbeat>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let Record { key, timestamp, .. } = record;
        if self.newest.is_none_or(|(newest, _)| newest < timestamp) {
            self.newest = Some((timestamp, cx.system_time()));
        }
        let before = self.devices.get(&key, cx)?;
        let heard = before
            .as_ref()
            .map_or(timestamp, |device| device.heard.max(timestamp));
        let device = Device {
            heard,
            silent: false,
        };
        self.devices.put(&key, &device, cx)?;
        match before.filter(|device| device.silent) {
            Some(device) => {
                let back = Alert::BackAfter(timestamp - device.heard);
                cx.forward(Record::new(key, back, timestamp))
            }
            None => Ok(()),
        }
    }
}

impl Monitor {
    fn look_by_clock(&mut self, clock: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        match self.newest {
            Some((newest, came)) => self.look(newest + (clock - came), cx),
            None => Ok(()),
        }
    }

    /// Tells once of each device that has been silent for too long.
    fn look(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        let mut devices = self.devices.all()?;
        while let Some((name, device)) = devices.next(cx)? {
            if device.silent || now - device.heard < self.silence_ms {
                continue;
            }
            let silent = Device {
                silent: true,
                ..device
            };
            self.devices.put(&name, &silent, cx)?;
            cx.forward(Record::new(name, Alert::SilentSince(silent.heard), now))?;
        }
        Ok(())
    }
}

/// Watches heartbeats
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// The heartbeats, a JSON object a line; some of this project where none are given
    files: Vec<PathBuf>,
    /// How long a device may be silent, in milliseconds
    #[arg(long, default_value_t = SILENCE_MS)]
    silence: i64,
    #[command(flatten)]
    place: job::Place,
    #[command(subcommand)]
    command: Option<Command>,
}

const SILENCE_MS: i64 = 60_000;

fn main() -> kstreams::Result<()> {
    let args = Args::parse();
    let app = || Monitored::builder().silence_ms(SILENCE_MS);
    match args.command {
        Some(command) => command.execute(|config| app().start(config)),
        None => kstreams::program::exit_on_error(watch(args)),
    }
}

fn watch(args: Args) -> kstreams::Result<()> {
    let files = if args.files.is_empty() {
        vec![job::data("heartbeats.jsonl")]
    } else {
        args.files
    };
    let job = Job::open::<Monitored>(args.place)?;
    for file in &files {
        job.feed_json::<Heartbeat>(file, "heartbeats", |h| (&h.device, Some(h.at)))?;
    }
    let app = Monitored::builder()
        .silence_ms(args.silence)
        .start(job.config())?;
    job.wait_until_processed(&app)?;

    let mut text = String::new();
    for record in job.read("alerts")? {
        let device: String = Serde::deserialize(record.key.as_deref().unwrap_or_default())?;
        let alert: Alert = Serde::deserialize(record.value.as_deref().unwrap_or_default())?;
        let (seconds, what) = match alert {
            Alert::SilentSince(at) => (at / 1000, "silent since"),
            Alert::BackAfter(ms) => (ms / 1000, "back after"),
        };
        let at = record.timestamp / 1000;
        text.push_str(&format!("{at} s\t{device}\t{what} {seconds} s\n"));
    }
    kstreams::program::print(&text);
    app.close()
}
