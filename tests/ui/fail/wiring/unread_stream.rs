//! Streams that nobody reads: a source, a derived one, a branch. A table may be there for queries alone.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[source(topic = "unused")]
    unused: KStream<String, u64>,
    #[from(orders.map_values(|o| o + 1))]
    derived: KStream<String, u64>,
    #[from(orders.branch(|_, o| *o > 100))]
    large: KStream<String, u64>,
    #[from(orders.group_by_key().count())]
    counts: KTable<String, i64>,
}

fn main() {}
