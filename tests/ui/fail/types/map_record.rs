//! Closures of `map_record` and its kin that return something else, or another key.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 2)]
    orders: KStream<String, u64>,
    #[from(orders.map_record(|r| (r.key, r.value)))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    #[from(orders.map_record_values(|r| r.value + 1))]
    #[sink(topic = "b")]
    b: KStream<String, u64>,
    #[from(orders.map_record_values(|r| Record::new(r.value, r.value, r.timestamp)))]
    #[sink(topic = "c")]
    c: KStream<String, u64>,
    #[from(orders.try_map_record_values(|r| r.with_value(1)))]
    #[sink(topic = "d")]
    d: KStream<String, u64>,
    #[from(orders.map_record(|r| r.with_key(1_u32)))]
    #[sink(topic = "e")]
    e: KStream<String, u64>,
}

fn main() {}
