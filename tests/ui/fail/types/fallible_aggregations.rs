//! Joiners, aggregators and reducers of `try_` operators that return something else.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 2)]
    orders: KStream<String, u64>,
    #[source(topic = "customers", partitions = 2)]
    customers: KTable<String, String>,
    #[source(topic = "old-customers", partitions = 2)]
    old_customers: KTable<String, String>,
    #[from(orders.try_join(customers, |o, c| format!("{c} {o}")))]
    #[sink(topic = "a")]
    a: KStream<String, String>,
    #[from(customers.try_left_join(old_customers, |c, _| Err::<String, u64>(c.len() as u64)))]
    #[sink(topic = "b")]
    b: KTable<String, String>,
    #[from(orders.group_by_key().try_aggregate(|| 0, |_, o, sum| sum + o))]
    #[sink(topic = "c")]
    c: KTable<String, u64>,
    #[from(orders.group_by_key().windowed_by(tumbling("1m")).try_reduce(|a, b| a.checked_add(b)))]
    #[sink(topic = "d")]
    d: KTable<Windowed<String>, u64>,
    #[from(customers.group_by(|_, c| (c.clone(), 1)).try_reduce(|a, b| Ok::<u64, String>(a + b), |a, b| a - b))]
    #[sink(topic = "e", partitions = 2)]
    e: KTable<String, u64>,
}

fn main() {}
