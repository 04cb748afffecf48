//! The same with counts that only rustc knows.
use kstreams::prelude::*;

const PRICES: u32 = 4;
const STOCK: u32 = 3;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "prices", partitions = PRICES)]
    prices: KTable<String, i64>,
    #[source(topic = "stock", partitions = STOCK)]
    stock: KTable<String, i64>,
    #[from(prices.outer_join(stock, |price, stock| price.unwrap_or(&0) * stock.unwrap_or(&0)))]
    value: KTable<String, i64>,
}

fn main() {}
