//! A join needs the partition counts of both sides, state that of all topics in front of it.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[source(topic = "customers", partitions = 6)]
    customers: KTable<String, u64>,
    #[from(orders.filter(|_, o| *o > 100).join(customers, |o, c| o + c))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    #[source(topics("web", "app"))]
    views: KStream<String, u64>,
    #[from(views.group_by_key().count())]
    counts: KTable<String, i64>,
    #[source(topic = "payments")]
    payments: KStream<String, u64>,
    #[source(topic = "accounts")]
    accounts: KTable<String, u64>,
    #[from(payments.join(accounts, |p, a| p + a))]
    #[sink(topic = "b")]
    b: KStream<String, u64>,
}

fn main() {}
