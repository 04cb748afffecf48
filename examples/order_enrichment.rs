//! Adds customer and product to each order, and routes it by its total: joins with a table and with a global table.
//!
//! ```text
//! order_enrichment [--data DIR] [--large-from CENTS] [--embedded DIR | --bootstrap HOST:PORT]
//! ```
//! Reads `customers.jsonl`, `products.jsonl` and `orders.jsonl`, and prints what became of each order. With a subcommand
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
#[topology(application_id = "order-enrichment")]
#[derive(Debug)]
pub struct OrderEnrichment {
    /// From this total on, in cents, an order is large.
    large_from: u64,

    /// Orders, by customer.
    #[source(topic = "orders", partitions = 3)]
    orders: KStream<String, Order>,

    /// Customers: as many partitions as the orders, so that an order meets its customer in its own task.
    #[source(topic = "customers", partitions = 3)]
    customers: KTable<String, Customer>,

    /// Products: few, so every instance has them all, and any key will find them.
    #[source(topic = "products")]
    products: GlobalKTable<String, Product>,

    /// Orders of unknown customers are dropped; a product may be unknown.
    #[from(orders
        .join(customers, Enriched::new)
        .left_join(products, |_, e| e.product.clone(), Enriched::with_product))]
    #[sink(topic = "enriched-orders", partitions = 3)]
    enriched: KStream<String, Enriched>,

    #[from(enriched.branch(|_, e| e.cents >= self.large_from))]
    #[sink(topic = "large-orders", partitions = 3)]
    large: KStream<String, Enriched>,

    #[from(enriched.otherwise())]
    #[sink(topic = "small-orders", partitions = 3)]
    small: KStream<String, Enriched>,
}

/// An order as it comes in.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
pub struct Order {
    id: u64,
    customer: String,
    product: String,
    quantity: u64,
}

/// A customer.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
pub struct Customer {
    id: String,
    name: String,
    city: String,
}

/// A product and its price.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
pub struct Product {
    id: String,
    name: String,
    cents: u64,
}

/// An order with all that is known about it.
#[derive(Debug, Clone, Serialize, Deserialize, Json)]
pub struct Enriched {
    order: u64,
    customer: String,
    city: String,
    product: String,
    quantity: u64,
    cents: u64,
}

impl Enriched {
    fn new(order: Order, customer: &Customer) -> Self {
        Enriched {
            order: order.id,
            customer: customer.name.clone(),
            city: customer.city.clone(),
            product: order.product,
            quantity: order.quantity,
            cents: 0,
        }
    }

    /// An unknown product keeps its id and costs nothing.
    fn with_product(self, product: Option<&Product>) -> Self {
        match product {
            Some(p) => {
                let cents = self.quantity.saturating_mul(p.cents);
                Enriched {
                    product: p.name.clone(),
                    cents,
                    ..self
                }
            }
            None => self,
        }
    }
}

/// Enriches and routes orders
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// Where the three files are; this project's `examples/data` where none is given
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// From which total on an order is large
    #[arg(long, value_name = "CENTS", default_value_t = 20_000)]
    large_from: u64,
    #[command(flatten)]
    place: job::Place,
    #[command(subcommand)]
    command: Option<Command>,
}

fn main() -> kstreams::Result<()> {
    let args = Args::parse();
    let builder = OrderEnrichment::builder().large_from(args.large_from);
    match args.command {
        Some(command) => command.execute(|config| builder.start(config)),
        None => kstreams::program::exit_on_error(enrich(args)),
    }
}

fn enrich(args: Args) -> kstreams::Result<()> {
    let file = |name: &str| match &args.data {
        Some(dir) => dir.join(name),
        None => job::data(name),
    };
    let job = Job::open::<OrderEnrichment>(args.place)?;
    job.feed_json::<Product>(&file("products.jsonl"), "products", |p| (&p.id, None))?;
    job.feed_json::<Customer>(&file("customers.jsonl"), "customers", |c| (&c.id, None))?;
    let app = OrderEnrichment::builder()
        .large_from(args.large_from)
        .start(job.config())?;
    // An order is joined with the customers that are there when it comes.
    job.wait_until_processed(&app)?;
    job.feed_json::<Order>(&file("orders.jsonl"), "orders", |o| (&o.customer, None))?;
    job.wait_until_processed(&app)?;

    let mut lines = Vec::new();
    for topic in ["large-orders", "small-orders"] {
        for record in job.read(topic)? {
            let e = Enriched::deserialize_nullable(record.value.as_deref())?;
            let euros = format!("{}.{:02}", e.cents / 100, e.cents % 100);
            let what = format!("{} × {}", e.quantity, e.product);
            lines.push((
                e.order,
                format!(
                    "{topic}\t{}\t{euros}\t{what}\t{}, {}\n",
                    e.order, e.customer, e.city
                ),
            ));
        }
    }
    lines.sort();
    kstreams::program::print(&lines.into_iter().map(|(_, line)| line).collect::<String>());
    app.close()
}
