//! Both sides of a join of tables and of a cogroup have one partition count.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "prices", partitions = 4)]
    prices: KTable<String, i64>,
    #[source(topic = "stock", partitions = 3)]
    stock: KTable<String, i64>,
    #[source(topic = "sales", partitions = 4)]
    sales: KStream<String, i64>,
    #[source(topic = "visits", partitions = 5)]
    visits: KStream<String, i64>,
    #[source(topic = "names")]
    names: KTable<String, i64>,

    #[from(prices.join(stock, |price, stock| price * stock))]
    value: KTable<String, i64>,
    #[from(prices.left_join(names, |price, _| *price))]
    named: KTable<String, i64>,
    #[from(sales
        .group_by_key()
        .cogroup(|_, amount, sum| sum + amount)
        .cogroup(visits, |_, _, sum| sum + 1)
        .aggregate(|| 0_i64))]
    gathered: KTable<String, i64>,
}

fn main() {}
