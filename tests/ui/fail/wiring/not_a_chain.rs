//! Expressions in `#[from(…)]` that are no chains.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(1 + 2)]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    #[from(filter(orders, |_, o| *o > 100))]
    #[sink(topic = "b")]
    b: KStream<String, u64>,
    #[from(self.orders.filter(|_, o| *o > 100))]
    #[sink(topic = "c")]
    c: KStream<String, u64>,
    #[from()]
    #[sink(topic = "d")]
    d: KStream<String, u64>,
    #[from(orders::filter)]
    #[sink(topic = "e")]
    e: KStream<String, u64>,
}

fn main() {}
