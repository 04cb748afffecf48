//! Foreign keys that are no keys of the right table, rows grouped into a table of other types.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KTable<String, u64>,
    #[source(topic = "customers")]
    customers: KTable<u32, String>,

    #[from(orders.join_on(customers, |_, order| *order, |_, c| c.clone()))]
    #[sink(topic = "a")]
    key: KTable<String, String>,
    #[from(orders.left_join_on(customers, |_, order| Some(order.to_string()), |o, _| *o))]
    #[sink(topic = "b")]
    nullable_key: KTable<String, u64>,
    #[from(orders.left_join_on(customers, |_, _| 7_u32, |_, c| c.clone()))]
    #[sink(topic = "c")]
    joined: KTable<String, String>,
    #[from(orders.group_by(|_, order| (order % 10, *order)).reduce(|a, b| a + b, |a, b| a - b))]
    #[sink(topic = "d")]
    group: KTable<String, u64>,
    #[from(orders.group_by(|_, order| (order % 10, *order)).aggregate(|| 0_i64, |_, o, a| a + o as i64, |_, o, a| a - o))]
    #[sink(topic = "e")]
    subtractor: KTable<u64, i64>,
}

fn main() {}
