//! Closures of `try_select_key` and `try_group_by` that return a plain key, an error that is none, or a group without its row.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 2)]
    orders: KStream<String, u64>,
    #[source(topic = "stock", partitions = 2)]
    stock: KTable<String, u64>,
    #[from(orders.try_select_key(|_, o| o % 10))]
    #[sink(topic = "a")]
    a: KStream<u64, u64>,
    #[from(orders.try_group_by(|_, o| o.checked_rem(10).ok_or(7_u8)).count())]
    b: KTable<u64, i64>,
    #[from(stock.try_group_by(|k, s| Ok::<_, String>((k.len() as u64, *s).0)).count())]
    c: KTable<u64, i64>,
    #[from(orders.try_select_key(|k, _| k.parse::<u32>()))]
    #[sink(topic = "e")]
    e: KStream<u64, u64>,
}

fn main() {}
