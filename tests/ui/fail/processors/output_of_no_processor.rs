//! Output of what has none.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o > 100))]
    large: KStream<String, u64>,
    #[from(large.huge)]
    #[sink(topic = "huge")]
    huge: KStream<String, u64>,
}

fn main() {}
