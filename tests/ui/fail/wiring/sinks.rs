//! Sinks on nodes that cannot be written, and the same topic twice in one node.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[source(topic = "products")]
    #[sink(topic = "a")]
    products: GlobalKTable<String, u64>,
    #[from(orders.for_each(|_, o| println!("{o}")))]
    #[sink(topic = "b")]
    printed: (),
    #[from(orders.filter(|_, o| *o > 100))]
    #[sink(topic = "c")]
    #[sink(topic = "c")]
    twice: KStream<String, u64>,
}

fn main() {}
