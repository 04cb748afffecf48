//! A timestamp extractor with too few parameters, one that touches a node, and one of a global table.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", timestamp = |r| r.timestamp)]
    #[sink(topic = "a")]
    orders: KStream<String, u64>,
    #[source(topic = "rates", timestamp = |r, _| self.prices.get(&r.key).unwrap_or(0))]
    #[sink(topic = "b")]
    rates: KStream<String, i64>,
    #[source(topic = "prices", timestamp = wallclock_timestamp_extractor)]
    prices: GlobalKTable<String, i64>,
}

fn main() {}
