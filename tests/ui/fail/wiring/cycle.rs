//! A node that feeds itself, and three in a ring: each cycle is shown once, with its path.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(itself.filter(|_, o| *o > 100))]
    #[sink(topic = "itself")]
    itself: KStream<String, u64>,
    #[from(orders.merge(c))]
    a: KStream<String, u64>,
    #[from(a.filter(|_, o| *o > 100))]
    b: KStream<String, u64>,
    #[from(b.map_values(|o| o + 1))]
    #[sink(topic = "c")]
    c: KStream<String, u64>,
}

fn main() {}
