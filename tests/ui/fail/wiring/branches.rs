//! `branch` and `otherwise` in wrong places.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[source(topic = "customers")]
    customers: KTable<String, u64>,
    #[source(topic = "others")]
    others: KStream<String, u64>,
    #[source(topic = "last")]
    last: KStream<String, u64>,

    /// Not first in its chain.
    #[from(orders.map_values(|o| o + 1).branch(|_, o| *o > 100))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    /// Of a table.
    #[from(customers.branch(|_, o| *o > 100))]
    #[sink(topic = "b")]
    b: KStream<String, u64>,

    /// Before the last branch, and twice.
    #[from(others.branch(|_, o| *o > 100))]
    #[sink(topic = "c")]
    c: KStream<String, u64>,
    #[from(others.otherwise())]
    #[sink(topic = "d")]
    d: KStream<String, u64>,
    #[from(others.branch(|_, o| *o > 10))]
    #[sink(topic = "e")]
    e: KStream<String, u64>,
    #[from(others.otherwise())]
    #[sink(topic = "f")]
    f: KStream<String, u64>,

    /// Without any branch.
    #[from(last.otherwise())]
    #[sink(topic = "g")]
    g: KStream<String, u64>,
}

fn main() {}
