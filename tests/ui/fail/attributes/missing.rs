//! What must be said and isn't.
use kstreams::prelude::*;

#[topology]
struct NoApplicationId {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.for_each(|_, o| println!("{o}")))]
    printed: (),
}

#[topology(application_id = "app")]
struct NoTopics {
    #[source]
    a: KStream<String, u64>,
    #[source(partitions = 6)]
    b: KStream<String, u64>,
    #[from(a.merge(b))]
    #[sink]
    c: KStream<String, u64>,
}

fn main() {}
