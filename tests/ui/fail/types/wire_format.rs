//! Types that cannot be written: in a source, a sink, a store and a repartition topic.
use kstreams::prelude::*;

#[derive(Clone)]
struct Plain {
    total: u64,
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = "plain")]
    plain: KStream<String, Plain>,
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.map_values(|total| Plain { total }))]
    #[sink(topic = "a")]
    written: KStream<String, Plain>,
    #[from(orders.group_by_key().aggregate(|| Plain { total: 0 }, |_, o, p| Plain { total: p.total + o }))]
    stored: KTable<String, Plain>,
    #[from(plain.map_values(|p| p.total))]
    #[sink(topic = "b")]
    totals: KStream<String, u64>,
}

fn main() {}
