//! Keys and values of windowed tables.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.group_by_key().windowed_by(tumbling("10m")).count())]
    no_window: KTable<String, i64>,
    #[from(orders.group_by_key().windowed_by(session("10m")).count())]
    no_session: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().windowed_by(tumbling("10m")).count())]
    another_key: KTable<Windowed<i64>, i64>,
    #[from(orders.group_by_key().windowed_by(tumbling("10m")).count())]
    another_count: KTable<Windowed<String>, u64>,
    #[from(orders.group_by_key().windowed_by(tumbling("10m")).aggregate(String::new, |_, o, sum: u64| sum + o))]
    another_aggregate: KTable<Windowed<String>, String>,
}

fn main() {}
