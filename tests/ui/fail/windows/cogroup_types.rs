//! Keys, values and functions of cogroups by windows.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 2)]
    orders: KStream<String, u64>,
    #[source(topic = "refunds", partitions = 2)]
    refunds: KStream<String, u64>,
    #[source(topic = "ratings", partitions = 2)]
    ratings: KStream<i64, u64>,
    #[from(orders.group_by_key().cogroup(|_, o, sum| sum + o).cogroup(ratings, |_, _, sum| sum).windowed_by(tumbling("10m")).aggregate(|| 0))]
    other_key: KTable<Windowed<String>, u64>,
    #[from(orders.group_by_key().cogroup(|_, o, sum| sum + o).cogroup(refunds, |_, r, sum| sum - r).windowed_by(session("10m")).aggregate(|| 0, |_, a, b| a + b))]
    no_session: KTable<Windowed<String>, u64>,
    #[from(orders.group_by_key().cogroup(|_, o, sum| sum + o).cogroup(refunds, |_, r, sum: String| sum + "r").windowed_by(tumbling("10m")).aggregate(|| 0))]
    other_aggregate: KTable<Windowed<String>, u64>,
    #[from(orders.group_by_key().cogroup(|_, o, sum| sum + o).cogroup(refunds, |_, r, sum| sum - r).windowed_by(session("10m")).aggregate(|| 0, |_, a, b| format!("{a}{b}")))]
    other_merger: KTable<Windowed<String, SessionWindow>, u64>,
}

fn main() {}
