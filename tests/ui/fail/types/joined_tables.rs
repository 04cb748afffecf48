//! Tables of different keys, a joiner that takes rows for what they are not, cogroups of different keys and aggregates.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "prices", partitions = 4)]
    prices: KTable<String, i64>,
    #[source(topic = "stock", partitions = 4)]
    stock: KTable<u64, i64>,
    #[source(topic = "names", partitions = 4)]
    names: KTable<String, String>,
    #[source(topic = "sales", partitions = 4)]
    sales: KStream<String, i64>,
    #[source(topic = "visits", partitions = 4)]
    visits: KStream<u64, String>,

    #[from(prices.join(stock, |price, _| *price))]
    keys_differ: KTable<String, i64>,
    #[from(prices.left_join(names, |price, name| format!("{price} {}", name.len())))]
    no_name: KTable<String, String>,
    #[from(sales
        .group_by_key()
        .cogroup(|_, amount, sum| sum + amount)
        .cogroup(visits, |_, _, sum| sum + 1)
        .aggregate(|| 0_i64))]
    other_keys: KTable<String, i64>,
    #[from(sales
        .group_by_key()
        .cogroup(|_, amount, sum| sum + amount)
        .aggregate(String::new))]
    other_aggregate: KTable<String, i64>,
}

fn main() {}
