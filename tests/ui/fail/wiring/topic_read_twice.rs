//! One topic, two sources: both are shown.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[source(topic = "orders")]
    #[store]
    latest: KTable<String, u64>,
    #[source(topic = "orders")]
    everywhere: GlobalKTable<String, u64>,
    #[from(orders.filter(|_, o| *o > 100))]
    #[sink(topic = "large")]
    large: KStream<String, u64>,
}

fn main() {}
