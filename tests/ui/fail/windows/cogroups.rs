//! Cogroups by windows that are written wrongly.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 2)]
    orders: KStream<String, u64>,
    #[source(topic = "refunds", partitions = 2)]
    refunds: KStream<String, u64>,
    #[from(orders.group_by_key().cogroup(|_, o, sum| sum + o).windowed_by(session("10m")).aggregate(|| 0))]
    apart: KTable<Windowed<String, SessionWindow>, u64>,
    #[from(orders.group_by_key().cogroup(|_, o, sum| sum + o).windowed_by(tumbling("10m")).aggregate(|| 0, |_, a, b| a + b))]
    merged: KTable<Windowed<String>, u64>,
    #[from(orders.group_by_key().cogroup(|_, o, sum| sum + o).windowed_by(tumbling("10m")).emit(on_window_close).aggregate(|| 0))]
    emitted: KTable<Windowed<String>, u64>,
    #[from(orders.group_by_key().cogroup(|_, o, sum| sum + o).windowed_by(tumbling("10m")).cogroup(refunds, |_, r, sum| sum - r).aggregate(|| 0))]
    too_late: KTable<Windowed<String>, u64>,
    #[from(orders.group_by_key().cogroup(|_, o, sum| sum + o).windowed_by(tumbling("10m")).count())]
    counted: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().cogroup(|_, o, sum| sum + o).windowed_by(tumbling("10m")))]
    only_windows: KTable<Windowed<String>, u64>,
}

fn main() {}
