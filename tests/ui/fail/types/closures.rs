//! Ordinary type errors inside closures are rustc's own, at the user's tokens.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    limit: u64,
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.filter(|_, o| o > self.limit))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    #[from(orders.filter(|_, _| self.limmit > 3))]
    #[sink(topic = "b")]
    b: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o))]
    #[sink(topic = "c")]
    c: KStream<String, u64>,
    #[from(orders.filter(not_a_predicate))]
    #[sink(topic = "d")]
    d: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o > 100))]
    #[sink(topic = |_, o| *o, topics("x", "y"))]
    e: KStream<String, u64>,
}

fn not_a_predicate(_: &String, _: &String) -> bool {
    true
}

fn main() {}
