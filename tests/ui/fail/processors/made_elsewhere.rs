//! Processor that is not made by its type.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[from(orders.process(route))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
}

fn main() {}
