//! Fields with no origin, with two, and attributes on fields that are no nodes.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[sink(topic = "a")]
    no_origin: KStream<String, u64>,
    neither: KTable<String, u64>,
    #[source(topic = "b")]
    #[from(orders.filter(|_, o| *o > 100))]
    #[sink(topic = "c")]
    both: KStream<String, u64>,
    #[source(topic = "d")]
    no_node: Vec<u64>,
    #[from(orders.filter(|_, o| *o > 100))]
    #[sink(topic = "e")]
    option: Option<KStream<String, u64>>,
    #[from(orders.group_by_key().count())]
    global: GlobalKTable<String, i64>,
    #[source(topic = "f")]
    unit: (),
}

fn main() {}
