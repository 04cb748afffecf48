//! All wiring errors of a struct appear in one compile, one per mistake, and nothing else.
use kstreams::prelude::*;

#[topology(application_id = "my app")]
struct App {
    limit: u64,
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "customers", partitions = 4)]
    customers: KTable<String, String>,
    #[from(ordres.filter(|_, o| *o > self.limit))]
    #[sink(topic = "large orders")]
    large: KStream<String, u64>,
    #[from(orders.fliter(|_, o| *o > self.limit))]
    #[sink(topic = "small")]
    small: KStream<String, u64>,
    #[from(orders.join(customers, |o, _| o))]
    #[sink(topic = "known")]
    known: KStream<String, u64>,
    #[from(orders.map_values(|o| o + 1))]
    unread: KStream<String, u64>,
    #[from(orders.group_by_key().count())]
    counts: KStream<String, i64>,
    #[sink(topic = "lost")]
    lost: KStream<String, u64>,
}

// The struct and its builder are still there: no error follows from the ones above.
fn main() {
    let builder = App::builder().limit(100);
    let _ = builder.start(StreamsConfig::default());
}
