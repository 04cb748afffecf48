//! Declared keys and values against what the chains yield: all in one compile, one error each.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.map_values(|o| o.to_string()))]
    #[sink(topic = "a")]
    value: KStream<String, u64>,
    #[from(orders.select_key(|_, o| *o))]
    #[sink(topic = "b")]
    key: KStream<String, u64>,
    #[from(orders.map(|k, o| (o, k)))]
    #[sink(topic = "c")]
    both: KStream<String, u64>,
    #[from(orders.group_by_key().count())]
    count: KTable<String, u64>,
    #[from(orders.group_by(|_, o| *o).count())]
    group: KTable<String, i64>,
    #[from(orders.group_by_key().aggregate(String::new, |_, o, all| format!("{all}{o}")))]
    aggregate: KTable<String, u64>,
}

fn main() {}
