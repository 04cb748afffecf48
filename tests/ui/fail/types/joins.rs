//! Keys that do not meet, joiners that do not fit, merges of different streams.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "products", partitions = 6)]
    products: KTable<u64, String>,
    #[source(topic = "customers", partitions = 6)]
    customers: KTable<String, String>,
    #[source(topic = "prices")]
    prices: GlobalKTable<u64, u64>,
    #[source(topic = "names", partitions = 6)]
    names: KStream<String, String>,

    #[from(orders.join(products, |_, p| p.clone()))]
    #[sink(topic = "a")]
    join_key: KStream<String, String>,
    #[from(orders.join(prices, |k, _| k.clone(), |_, p| *p))]
    #[sink(topic = "b")]
    mapper: KStream<String, u64>,
    #[from(orders.left_join(customers, |o, c| o + *c))]
    #[sink(topic = "c")]
    joiner: KStream<String, u64>,
    #[from(orders.merge(names))]
    #[sink(topic = "d")]
    merged: KStream<String, u64>,
}

fn main() {}
