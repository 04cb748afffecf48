//! A chain's first name, a join's and a merge's argument: each must be a field, and the nearest one is suggested.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    limit: u64,
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "customers", partitions = 6)]
    customers: KTable<String, String>,
    #[from(ordres.filter(|_, o| *o > 100))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    #[from(orders.join(costumers, |o, _| o))]
    #[sink(topic = "b")]
    b: KStream<String, u64>,
    #[from(orders.merge(nothing_like_it))]
    #[sink(topic = "c")]
    c: KStream<String, u64>,
    #[from(limit.filter(|_, o| *o > 100))]
    #[sink(topic = "d")]
    d: KStream<String, u64>,
}

fn main() {}
