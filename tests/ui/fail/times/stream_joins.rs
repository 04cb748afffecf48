//! Joins of two streams: without a time difference, with one that cannot be, with a table.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "payments", partitions = 6)]
    payments: KStream<String, u64>,
    #[source(topic = "customers", partitions = 6)]
    customers: KTable<String, u64>,

    #[from(orders.join(payments, |o, p| o + p))]
    #[sink(topic = "no-time")]
    no_time: KStream<String, u64>,
    #[from(orders.left_join(payments, |o, p| o + p.copied().unwrap_or(0), before("5m")))]
    #[sink(topic = "half-a-time")]
    half_a_time: KStream<String, u64>,
    #[from(orders.join(payments, |o, p| o + p, within("-5m")))]
    #[sink(topic = "negative")]
    negative: KStream<String, u64>,
    #[from(orders.join(payments, |o, p| o + p, within("5m").before("-6m")))]
    #[sink(topic = "impossible")]
    impossible: KStream<String, u64>,
    #[from(orders.join(payments, |o, p| o + p, within("0s")))]
    #[sink(topic = "no-time-at-all")]
    no_time_at_all: KStream<String, u64>,
    #[from(orders.join(payments, |o, p| o + p, within("5m").grace("-1m")))]
    #[sink(topic = "negative-grace")]
    negative_grace: KStream<String, u64>,
    #[from(orders.join(payments, |o, p| o + p, within("5 minutes")))]
    #[sink(topic = "no-duration")]
    no_duration: KStream<String, u64>,
    #[from(orders.join(payments, |o, p| o + p, within("5m").wait("1m")))]
    #[sink(topic = "unknown")]
    unknown: KStream<String, u64>,
    #[from(orders.join(payments, |o, p| o + p, within("5m"), left_store(kin = memory)))]
    #[sink(topic = "unknown-of-a-store")]
    unknown_of_a_store: KStream<String, u64>,
    #[from(orders.join(customers, |o, c| o + c, within("5m")))]
    #[sink(topic = "with-a-table")]
    with_a_table: KStream<String, u64>,
}

fn main() {}
