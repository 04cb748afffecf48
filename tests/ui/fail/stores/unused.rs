//! A store that no node uses.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.for_each(|_, o| println!("{o}")))]
    printed: (),
    #[store]
    seen: KeyValueStore<String, u64>,
}

fn main() {}
