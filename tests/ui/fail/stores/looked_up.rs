//! A join looks up rows of a table that a chain begins in its middle: that needs a store, and so a field.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "prices", partitions = 4)]
    prices: KStream<String, i64>,
    #[source(topic = "stock", partitions = 4)]
    stock: KTable<String, i64>,
    #[from(prices.to_table().join(stock, |price, stock| price * stock))]
    value: KTable<String, i64>,
    #[from(prices.to_table().map_values(|price| price * 2))]
    doubled: KTable<String, i64>,
    #[from(stock.left_join(doubled, |stock, price| stock * price.unwrap_or(&1)))]
    stocked: KTable<String, i64>,
}

fn main() {}
