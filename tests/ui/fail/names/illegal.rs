//! Characters that Kafka does not take in topics, stores and application ids; empty names, `.` and `..`.
use kstreams::prelude::*;

#[topology(application_id = "my app!")]
struct App {
    #[source(topic = "new orders")]
    orders: KStream<String, u64>,
    #[source(topic = "")]
    empty: KStream<String, u64>,
    #[from(orders.merge(empty).group_by(|_, o| o % 10, name = "größe").count())]
    #[store(name = "..")]
    #[sink(topic = ".")]
    counts: KTable<u64, i64>,
    #[from(orders.filter(|_, o| *o > 100))]
    #[sink(topic = |_, o| o.to_string(), topics("fine", "not fine"))]
    routed: KStream<String, u64>,
}

fn main() {}
