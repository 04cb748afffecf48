//! Options that say nothing about the node they are on.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "products", offset_reset = latest)]
    products: GlobalKTable<String, u64>,
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.join(products, |k, _| k.clone(), |o, p| o + p))]
    #[sink(topic = "a", topics("a", "b"))]
    a: KStream<String, u64>,
}

fn main() {}
