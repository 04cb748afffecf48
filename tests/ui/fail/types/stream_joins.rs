//! Joins of two streams: keys in words, and what joiners take.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "payments", partitions = 6)]
    payments: KStream<u64, String>,
    #[source(topic = "refunds", partitions = 6)]
    refunds: KStream<String, i64>,

    #[from(orders.join(payments, |order, payment| format!("{order}{payment}"), within("5m")))]
    #[sink(topic = "keys")]
    keys: KStream<String, String>,
    #[from(orders.left_join(refunds, |order: &u64, refund: &i64| format!("{order}{refund}"), within("5m")))]
    #[sink(topic = "joiner")]
    joiner: KStream<String, String>,
    #[from(orders.outer_join(refunds, |order, refund| (order, refund).0.is_some(), within("5m")))]
    #[sink(topic = "declared")]
    declared: KStream<String, String>,
}

fn main() {}
