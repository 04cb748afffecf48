//! Prices orders in euros: a foreign-key join of orders and exchange rates. When a rate changes, so do all orders in that
//! currency, and the totals that are made of them.
//!
//! ```text
//! currency_orders [--data DIR] [--embedded DIR | --bootstrap HOST:PORT]
//! ```
//! Reads `rates.jsonl`, `currency_orders.jsonl` and then `new_rates.jsonl`, and prints each order and each currency's total as
//! they are in the end. With a subcommand (`run`, `consume`, …) it is the generated program.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Parser;
use kstreams::prelude::*;
use kstreams::program::Command;
use serde::{Deserialize, Serialize};

#[path = "support/job.rs"]
mod job;
use job::Job;

/// The topology.
#[topology(application_id = "currency-orders")]
#[derive(Debug)]
pub struct CurrencyOrders {
    /// Orders by their ids.
    #[source(topic = "orders", partitions = 3)]
    orders: KTable<String, Order>,

    /// Exchange rates by currency. A foreign-key join needs no equal partition counts.
    #[source(topic = "rates", partitions = 2)]
    rates: KTable<String, Rate>,

    /// Each order with its currency's rate; one whose rate is unknown has no price.
    #[from(orders.left_join_on(rates, |_, order| order.currency.clone(), Priced::new))]
    #[store]
    #[sink(topic = "priced-orders", partitions = 3)]
    priced: KTable<String, Priced>,

    /// What the orders in each currency are worth.
    #[from(priced
        .group_by(|_, order| (order.currency.clone(), order.euro_cents))
        .reduce(|total, cents| total + cents, |total, cents| total - cents))]
    #[sink(topic = "totals", partitions = 3)]
    totals: KTable<String, i64>,
}

/// An order as it comes in.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
pub struct Order {
    id: String,
    currency: String,
    cents: i64,
}

/// How many thousandths of a euro a unit of a currency is worth.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
pub struct Rate {
    currency: String,
    per_mille: i64,
}

/// An order with its price in euro cents.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
pub struct Priced {
    currency: String,
    cents: i64,
    euro_cents: Option<i64>,
}

impl Priced {
    fn new(order: &Order, rate: Option<&Rate>) -> Self {
        Priced {
            currency: order.currency.clone(),
            cents: order.cents,
            euro_cents: rate.map(|rate| order.cents.saturating_mul(rate.per_mille) / 1000),
        }
    }
}

/// Prices orders in euros
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// Where the three files are; this project's `examples/data` where none is given
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
        Some(command) => command.execute(|config| CurrencyOrders::builder().start(config)),
        None => kstreams::program::exit_on_error(price(args)),
    }
}

fn price(args: Args) -> kstreams::Result<()> {
    let file = |name: &str| match &args.data {
        Some(dir) => dir.join(name),
        None => job::data(name),
    };
    let job = Job::open::<CurrencyOrders>(args.place)?;
    job.feed_json::<Rate>(&file("rates.jsonl"), "rates", |r| (&r.currency, None))?;
    job.feed_json::<Order>(&file("currency_orders.jsonl"), "orders", |o| (&o.id, None))?;
    let app = CurrencyOrders::builder().start(job.config())?;
    job.wait_until_processed(&app)?;
    job.feed_json::<Rate>(&file("new_rates.jsonl"), "rates", |r| (&r.currency, None))?;
    job.wait_until_processed(&app)?;

    let mut text = String::new();
    for (id, order) in latest::<Priced>(&job, "priced-orders")? {
        let Priced {
            currency,
            cents,
            euro_cents,
        } = order;
        let euros = euro_cents.map_or("no rate".to_owned(), |cents| units(cents) + " EUR");
        text += &format!("{id}\t{} {currency}\t{euros}\n", units(cents));
    }
    for (currency, total) in latest::<i64>(&job, "totals")? {
        // Whether a currency that lost its last order was ever counted depends on what the record cache merged.
        if total != 0 {
            text += &format!("total\t{currency}\t{} EUR\n", units(total));
        }
    }
    kstreams::program::print(&text);
    app.close()
}

/// `100.50`
fn units(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// The last value of each key of a topic.
fn latest<V: Serde>(job: &Job, topic: &str) -> kstreams::Result<BTreeMap<String, V>> {
    let mut rows = BTreeMap::new();
    for record in job.read(topic)? {
        let key = String::deserialize_nullable(record.key.as_deref())?;
        match Option::<V>::deserialize_nullable(record.value.as_deref())? {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
    Ok(rows)
}
