//! Joined streams of different counts, also behind an explicit repartition, and by different partitioners.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "payments", partitions = 4)]
    payments: KStream<String, u64>,
    #[source(topic = "refunds", partitions = 6)]
    refunds: KStream<String, u64>,

    #[from(orders.join(payments, |o, p| o + p, within("5m")))]
    #[sink(topic = "counts")]
    counts: KStream<String, u64>,
    #[from(orders.repartition(4).outer_join(refunds, |o, p| o.or(p).copied().unwrap_or(0), within("5m")))]
    #[sink(topic = "repartitioned")]
    repartitioned: KStream<String, u64>,
}

fn main() {}
