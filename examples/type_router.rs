//! Routes events by the type of their value: each variant of an enum to a topic of its own, types that nobody knows to a fallback,
//! and what is no event at all to the dead-letter queue.
//!
//! ```text
//! type_router [FILE…] [--embedded DIR | --bootstrap HOST:PORT]
//! ```
//! With a subcommand (`run`, `consume payment-events`, …) it is the generated program.

use std::path::PathBuf;

use clap::Parser;
use kstreams::exceptions::LogAndContinue;
use kstreams::prelude::*;
use kstreams::program::Command;
use serde::{Deserialize, Serialize};

#[path = "support/job.rs"]
mod job;
use job::Job;

const DEAD_LETTERS: &str = "dead-events";

/// One topic in, one for each type out.
#[topology(application_id = "type-router")]
#[derive(Debug)]
struct Router {
    /// JSON objects, which say in `type` what they are.
    #[source(topic = "events", partitions = 1)]
    events: KStream<(), Message>,

    /// The topic is chosen for each record, out of these; `topics create` makes them.
    #[from(events.map(|(), message| (message.about().to_owned(), message)))]
    #[sink(
        topic = |_, message| message.route(),
        topics(enum Route {
            Orders = "order-events",
            Payments = "payment-events",
            Shipments = "shipment-events",
            Others = "other-events",
        }),
        partitions = 1
    )]
    routed: KStream<String, Message>,
}

/// What is in the topic: an event, or something that a newer version of somebody sent. Its fields are kept as they are.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
#[serde(untagged)]
enum Message {
    /// An event that has a route.
    Known(Event),
    /// Anything else.
    Unknown(serde_json::Map<String, serde_json::Value>),
}

/// The events that have a route.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    Order {
        id: String,
        customer: String,
        cents: i64,
    },
    Payment {
        order: String,
        cents: i64,
    },
    Shipment {
        order: String,
        parcels: u32,
    },
}

impl Message {
    /// The compiler asks for a route when a variant is added, and for a topic of the sink's.
    fn route(&self) -> Route {
        match self {
            Message::Known(Event::Order { .. }) => Route::Orders,
            Message::Known(Event::Payment { .. }) => Route::Payments,
            Message::Known(Event::Shipment { .. }) => Route::Shipments,
            Message::Unknown(_) => Route::Others,
        }
    }

    /// The order that it is about: the key, so that an order's events stay in order.
    fn about(&self) -> &str {
        match self {
            Message::Known(Event::Order { id, .. }) => id,
            Message::Known(Event::Payment { order, .. } | Event::Shipment { order, .. }) => order,
            Message::Unknown(fields) => fields.get("order").and_then(|o| o.as_str()).unwrap_or(""),
        }
    }
}

/// The configuration: what cannot be read is a dead letter.
fn tolerant(config: impl Into<StreamsConfig>) -> StreamsConfig {
    config
        .into()
        .deserialization_exception_handler(LogAndContinue)
        .dead_letter_queue(DEAD_LETTERS)
}

/// Routes events by their type
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// The events, a JSON object a line; some of this project where none are given
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: job::Place,
    #[command(subcommand)]
    command: Option<Command>,
}

fn main() -> kstreams::Result<()> {
    let args = Args::parse();
    match args.command {
        Some(command) => command.execute(|config| Router::builder().start(tolerant(config))),
        None => kstreams::program::exit_on_error(route(args)),
    }
}

fn route(args: Args) -> kstreams::Result<()> {
    let files = if args.files.is_empty() {
        vec![job::data("events.jsonl")]
    } else {
        args.files
    };
    let job = Job::open::<Router>(args.place)?;
    let app = Router::builder().start(tolerant(job.config()))?;
    for file in &files {
        job.feed(file, "events", |line| {
            Some((None, line.as_bytes().to_vec()))
        })?;
    }
    job.wait_until_processed(&app)?;

    let mut text = String::new();
    let routes = Route::ALL.iter().map(|route| route.name());
    for topic in routes.chain([DEAD_LETTERS]) {
        for record in job.read(topic)? {
            let value = record.value.as_deref().unwrap_or_default();
            text.push_str(&format!("{topic}\t{}\n", String::from_utf8_lossy(value)));
        }
    }
    kstreams::program::print(&text);
    app.close()
}
