//! A grace needs a table that keeps its past, and a time that is one.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "prices", partitions = 6)]
    prices: KTable<String, u64>,
    #[source(topic = "rates", partitions = 6)]
    #[store(versioned = "1h")]
    rates: KTable<String, u64>,
    #[from(rates.filter(|_, r| *r > 0))]
    #[store]
    positive: KTable<String, u64>,
    #[from(orders.join(prices, |order, price| order * price, grace("10m")))]
    #[sink(topic = "priced")]
    priced: KStream<String, u64>,
    #[from(orders.join(rates, |order, rate| order * rate, grace("-10m")))]
    #[sink(topic = "rated")]
    rated: KStream<String, u64>,
    #[from(orders.left_join(positive, |order, rate| order * rate.copied().unwrap_or(1), grace("10m")))]
    #[sink(topic = "positively-rated")]
    positively_rated: KStream<String, u64>,
}

fn main() {}
