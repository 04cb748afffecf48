//! A topic that the topology writes by a partitioner of its own and reads again, and a repartition by one, joined with a table.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "customers", partitions = 6)]
    customers: KTable<String, u64>,
    #[from(orders.filter(|_, _| true))]
    #[sink(topic = "regions", partitions = 6, partitioner = by_region)]
    sent: KStream<String, u64>,
    #[source(topic = "regions", partitions = 6)]
    regions: KStream<String, u64>,
    #[from(regions.join(customers, |o, c| o + c))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    #[from(orders.repartition(6, partitioner = by_region).join(customers, |o, c| o + c))]
    #[sink(topic = "b")]
    b: KStream<String, u64>,
    #[from(orders.filter(|_, _| true))]
    #[sink(topic = "c", partitioner = |key, value| 0)]
    c: KStream<String, u64>,
}

fn main() {}
