//! Too few, too many and misshapen arguments; closures with the wrong number of parameters.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "customers", partitions = 6)]
    customers: KTable<String, u64>,
    #[source(topic = "products")]
    products: GlobalKTable<u64, u64>,

    #[from(orders.filter())]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    #[from(orders.group_by_key().count(|_, o| o))]
    b: KTable<String, i64>,
    #[from(orders.group_by_key().aggregate(|_, o, n| n + o))]
    c: KTable<String, u64>,
    #[from(orders.join(|o, c| o + c, customers))]
    #[sink(topic = "d")]
    d: KStream<String, u64>,
    #[from(orders.join(products, |o, p| o + p))]
    #[sink(topic = "e")]
    e: KStream<String, u64>,
    #[from(orders.repartition("six"))]
    #[sink(topic = "f")]
    f: KStream<String, u64>,
    #[from(orders.group_by(|_, o| o % 10, nmae = "tens").count())]
    g: KTable<u64, i64>,

    #[from(orders.filter(|o| *o > 100))]
    #[sink(topic = "h")]
    h: KStream<String, u64>,
    #[from(orders.map_values(|k, o| o + k.len() as u64))]
    #[sink(topic = "i")]
    i: KStream<String, u64>,
    #[from(orders.group_by_key().reduce(|_, a, b| a + b))]
    j: KTable<String, u64>,
    #[from(orders.join(customers, |_, o, c| o + c))]
    #[sink(topic = "k")]
    k: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o > 100))]
    #[sink(topic = |o| o.to_string())]
    l: KStream<String, u64>,
}

fn main() {}
