//! A join of two tables, and behind a repartition topic one of two streams, in one chain.
#![deny(warnings)]
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "one", partitions = 3)]
    one: KTable<String, u64>,
    #[source(topic = "two", partitions = 3)]
    two: KTable<String, u64>,
    #[source(topic = "sent", partitions = 3)]
    sent: KStream<String, u64>,
    #[from(one
        .join(two, |a, b| a + b)
        .to_stream()
        .map_values(|sum| sum.unwrap_or(0))
        .repartition(3)
        .join(sent, |a, b| a + b, within("1m")))]
    #[sink(topic = "met")]
    met: KStream<String, u64>,
}

fn main() -> kstreams::Result {
    let t = App::builder().test_driver()?;
    t.one.send("k", 1_u64).at(1);
    t.two.send("k", 2_u64).at(2);
    t.sent.send("k", 4_u64).at(3);
    assert_eq!(t.met.read().len(), 1);
    Ok(())
}
