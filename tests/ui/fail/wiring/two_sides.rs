//! A stream where a table is joined and the reverse, and cogroups that are none.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "prices", partitions = 4)]
    prices: KTable<String, i64>,
    #[source(topic = "sales", partitions = 4)]
    sales: KStream<String, i64>,
    #[source(topic = "rates")]
    rates: GlobalKTable<String, i64>,

    #[from(prices.join(sales, |price, amount| price * amount))]
    a_stream: KTable<String, i64>,
    #[from(prices.left_join(rates, |price, rate| price * rate.unwrap_or(&1)))]
    a_global_table: KTable<String, i64>,
    #[from(sales.outer_join(prices, |amount, price| amount.unwrap_or(&0) * price.unwrap_or(&0)))]
    a_table: KStream<String, i64>,
    #[from(sales.cogroup(|_, amount, sum| sum + amount).aggregate(|| 0_i64))]
    not_grouped: KTable<String, i64>,
    #[from(sales.group_by_key().cogroup(|_, amount, sum| sum + amount))]
    not_aggregated: KTable<String, i64>,
    #[from(sales
        .group_by_key()
        .cogroup(|_, amount, sum| sum + amount)
        .cogroup(prices, |_, price, sum| sum + price)
        .aggregate(|| 0_i64))]
    of_a_table: KTable<String, i64>,
    #[from(sales
        .group_by_key()
        .cogroup(|amount, sum| sum + amount)
        .aggregate(|| 0_i64))]
    no_key: KTable<String, i64>,
}

fn main() {}
