//! Operators that do not exist (with the nearest name), and those that this version does not have yet (by name).
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "payments", partitions = 6)]
    payments: KStream<String, u64>,
    #[source(topic = "customers", partitions = 6)]
    customers: KTable<String, u64>,
    #[from(orders.fliter(|_, o| *o > 100))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    #[from(orders.flatMapValues(|o| vec![*o]))]
    #[sink(topic = "b")]
    b: KStream<String, u64>,
    #[from(orders.transmogrify())]
    #[sink(topic = "c")]
    c: KStream<String, u64>,
    #[from(orders.join(payments, |o, p| o + p, within("5m")))]
    #[sink(topic = "e")]
    e: KStream<String, u64>,
    #[from(customers.suppress(until_time_limit("5m")))]
    g: KTable<String, u64>,
}

fn main() {}
