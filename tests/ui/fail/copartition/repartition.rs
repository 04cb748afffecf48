//! Explicit repartition counts that do not fit what they are joined or merged with.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "customers", partitions = 4)]
    customers: KTable<String, u64>,
    #[from(orders.repartition(5).join(customers, |o, c| o + c))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    #[from(orders.repartition(3))]
    three: KStream<String, u64>,
    #[from(orders.repartition(2).merge(three).group_by_key().count())]
    counts: KTable<String, i64>,
}

fn main() {}
