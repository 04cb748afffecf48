//! A foreign-key join in the middle of a chain looks up rows that no store has, and so do groups behind one.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KTable<String, u64>,
    #[source(topic = "customers")]
    customers: KTable<u64, String>,
    #[source(topic = "clicks")]
    clicks: KStream<String, u64>,

    #[from(orders.filter(|_, o| *o > 3).join_on(customers, |_, o| *o, |_, c| c.clone()))]
    #[sink(topic = "a")]
    middle: KTable<String, String>,
    #[from(orders.join_on(customers, |_, o| *o, |_, c| c.clone()).group_by(|k, c| (c.clone(), k.clone())).count())]
    #[sink(topic = "b")]
    grouped: KTable<String, i64>,
    #[from(clicks.to_table().group_by(|k, n| (*n, k.clone())).count())]
    #[sink(topic = "c")]
    regrouped: KTable<u64, i64>,
}

fn main() {}
