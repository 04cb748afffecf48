//! The same key in two wire formats: equal keys lie in different partitions.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<Json<String>, u64>,
    #[source(topic = "customers", partitions = 6)]
    customers: KTable<String, u64>,
    #[from(orders.join(customers, |o, c| o + c))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
}

fn main() {}
