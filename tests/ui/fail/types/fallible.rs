//! Closures of `try_` operators and timestamp extractors that return something else.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", timestamp = |r: &Record<String, u64>, _| r.key.clone())]
    orders: KStream<String, u64>,
    #[from(orders.try_map_values(|o| o + 1))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    #[from(orders.try_filter(|_, o| *o > 1))]
    #[sink(topic = "b")]
    b: KStream<String, u64>,
    #[from(orders.try_filter(|_, o| Ok::<_, String>(*o)))]
    #[sink(topic = "c")]
    c: KStream<String, u64>,
    #[from(orders.try_for_each(|_, o| Err::<(), u64>(o)))]
    d: (),
}

fn main() {}
