//! Options of a store that do not fit.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.group_by_key().count())]
    #[store(kind = rocksdb)]
    a: KTable<String, i64>,
    #[from(orders.group_by_key().count())]
    #[store(cache = "yes")]
    b: KTable<String, i64>,
    #[source(topic = "products")]
    #[store(changelog = false)]
    products: GlobalKTable<String, u64>,
}

fn main() {}
