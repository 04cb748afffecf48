//! Results that are never sent, and sessions that cannot be merged.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.group_by_key().windowed_by(unlimited()).emit(on_window_close).count())]
    never: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().windowed_by(tumbling("10m")).emit(at_the_end).count())]
    unknown: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().windowed_by(session("10m")).aggregate(|| 0, |_, o, sum| sum + o))]
    apart: KTable<Windowed<String, SessionWindow>, u64>,
    #[from(orders.group_by_key().windowed_by(tumbling("10m")).aggregate(|| 0, |_, o, sum| sum + o, |_, a, b| a + b))]
    merged: KTable<Windowed<String>, u64>,
    #[from(orders.group_by_key().windowed_by(tumbling("10m")))]
    only_windows: KTable<Windowed<String>, u64>,
}

fn main() {}
