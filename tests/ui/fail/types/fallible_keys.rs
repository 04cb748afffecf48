//! Key mappers and extractors of `try_` joins that find keys of another type.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 2)]
    orders: KStream<String, String>,
    #[source(topic = "products")]
    products: GlobalKTable<u64, String>,
    #[source(topic = "customers", partitions = 2)]
    customers: KTable<String, String>,
    #[source(topic = "regions", partitions = 3)]
    regions: KTable<u64, String>,
    #[from(orders.try_join(products, |_, o| o.parse::<u32>(), |o, p| Ok::<_, String>(o + p)))]
    #[sink(topic = "a")]
    a: KStream<String, String>,
    #[from(customers.try_left_join_on(regions, |_, c| c.clone(), |c, _| Ok::<_, String>(c.clone())))]
    #[sink(topic = "b")]
    b: KTable<String, String>,
}

fn main() {}
