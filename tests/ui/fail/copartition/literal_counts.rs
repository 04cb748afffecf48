//! Literal counts that differ: both ends are shown with their counts, and the ways out.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "customers", partitions = 4)]
    customers: KTable<String, u64>,
    #[from(orders.filter(|_, o| *o > 100).left_join(customers, |o, c| o + c.copied().unwrap_or(0)))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
}

fn main() {}
