//! Windows that are none, and stores that forget them.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.group_by_key().windowed_by(tumbling("ten minutes")).count())]
    words: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().windowed_by(tumbling("0s")).count())]
    empty: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().windowed_by(hopping("10m").advance_by("1h")).count())]
    gaps: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().windowed_by(hopping("10m")).count())]
    no_advance: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().windowed_by(tumblng("10m")).count())]
    misspelt: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().windowed_by(sliding("10m").grace("-1m")).count())]
    negative: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().windowed_by(tumbling("10m").grace("5m")).count())]
    #[store(retention = "10m")]
    forgetful: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().count())]
    #[store(retention = "10m")]
    without_windows: KTable<String, i64>,
}

fn main() {}
