//! Attributes and options of Kafka Streams that this version does not have: refused by name, never ignored.
use kstreams::prelude::*;

#[topology(application_id = "app", lock = "topology.lock")]
struct App {
    #[source(pattern = "orders-.*")]
    by_pattern: KStream<String, u64>,
    #[source(topics("a", "b"), partitions = 6)]
    several: KStream<String, u64>,
    #[source(topic = "c", timestamp = of_payload)]
    timed: KStream<String, u64>,
}

fn main() {}
