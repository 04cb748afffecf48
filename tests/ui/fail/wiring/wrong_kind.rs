//! Operators on the wrong kind of node, groupings without aggregation, joins and merges with the wrong thing.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "customers", partitions = 6)]
    customers: KTable<String, u64>,
    #[source(topic = "products")]
    products: GlobalKTable<String, u64>,

    #[from(orders.count())]
    no_group: KTable<String, i64>,
    #[from(orders.to_stream())]
    #[sink(topic = "a")]
    already: KStream<String, u64>,
    #[from(customers.flat_map_values(|c| vec![*c]))]
    #[sink(topic = "b")]
    of_table: KStream<String, u64>,
    #[from(products.filter(|_, p| *p > 100))]
    of_global: KTable<String, u64>,

    #[from(orders.group_by_key())]
    grouped: KTable<String, u64>,
    #[from(orders.group_by_key().filter(|_, o| *o > 100).count())]
    between: KTable<String, i64>,

    #[from(orders.merge(customers))]
    #[sink(topic = "c")]
    merged: KStream<String, u64>,
    #[from(orders.merge(products))]
    #[sink(topic = "d")]
    merged_global: KStream<String, u64>,
    #[from(customers.group_by(|k, c| (k.clone(), *c)).count().windowed_by(tumbling("1m")).count())]
    windows_of_rows: KTable<Windowed<String>, i64>,
}

fn main() {}
