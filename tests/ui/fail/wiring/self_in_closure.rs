//! `self` in a closure is the app's parameters, not its nodes: neither their fields nor their queries.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    limit: u64,
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[source(topic = "customers")]
    #[store]
    customers: KTable<String, u64>,
    #[from(orders.filter(|k, o| *o > self.limit && self.customers.get(k).is_ok()))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    #[from(orders.map_values(|o| {
        let counts = &self.counts;
        o + counts.get(&String::new()).ok().flatten().unwrap_or_default() as u64
    }))]
    #[sink(topic = "b")]
    b: KStream<String, u64>,
    #[from(orders.group_by_key().count())]
    counts: KTable<String, i64>,
}

fn main() {}
