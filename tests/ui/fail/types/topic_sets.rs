//! Topics that a sink does not declare: a name, one of another sink's, and a variant that is not there.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o > 100))]
    #[sink(
        topic = |_, o| if *o > 1_000 { "huge" } else { "large" },
        topics(enum Large { Large = "large", Huge = "huge" })
    )]
    large: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o < 100))]
    #[sink(topic = |_, _| Large::Huge, topics(enum Small { Small = "small" }))]
    small: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o < 10))]
    #[sink(topic = tiny, topics(enum Tiny { Tiny = "tiny" }), partitions = 1, partitioner = |_, _, _, _| 0)]
    tiny: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o < 5))]
    #[sink(topic = |_, _| Least::Gone, topics(enum Least { None = "none" }))]
    least: KStream<String, u64>,
}

#[allow(clippy::ptr_arg)]
fn tiny(_: &String, _: &u64) -> String {
    "tiny".to_owned()
}

fn main() {}
