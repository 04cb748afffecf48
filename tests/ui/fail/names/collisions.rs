//! Derived names that collide: stores, repartition topics, internal topics with declared ones, fields with generated code.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    start: u64,
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.group_by(|_, o| o % 10, name = "tens").count())]
    counts: KTable<u64, i64>,
    #[from(orders.group_by(|_, o| o / 10, name = "tens").reduce(|_, o| o))]
    #[store(name = "counts")]
    latest: KTable<u64, u64>,
    #[from(orders.group_by_key().count())]
    #[sink(topic = "app-totals-changelog")]
    totals: KTable<String, i64>,
    #[from(totals.filter(|_, n| *n > 1))]
    totals_changed: KTable<String, i64>,
}

fn main() {}
