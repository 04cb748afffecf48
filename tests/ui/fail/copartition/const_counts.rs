//! Counts behind consts: the macro cannot see them, an item-level const compares them.
use kstreams::prelude::*;

const ORDERS: u32 = 6;
mod elsewhere {
    pub const CUSTOMERS: u32 = 4;
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = ORDERS)]
    orders: KStream<String, u64>,
    #[source(topic = "customers", partitions = elsewhere::CUSTOMERS)]
    customers: KTable<String, u64>,
    #[from(orders.join(customers, |o, c| o + c))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
}

fn main() {}
