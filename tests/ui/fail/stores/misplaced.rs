//! Stores on nodes that have none of their own.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    #[store]
    orders: KStream<String, u64>,
    #[source(topic = "products")]
    #[store]
    products: GlobalKTable<String, u64>,
    #[from(orders.for_each(|_, o| println!("{o}")))]
    #[store(kind = memory)]
    printed: (),
}

fn main() {}
