//! What the chain yields against what the field is declared as, and operators behind the end of a chain.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.group_by_key().count())]
    #[sink(topic = "a")]
    table_as_stream: KStream<String, i64>,
    #[from(orders.filter(|_, o| *o > 100))]
    stream_as_table: KTable<String, u64>,
    #[from(orders.for_each(|_, o| println!("{o}")))]
    #[sink(topic = "b")]
    nothing_as_stream: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o > 100))]
    stream_as_nothing: (),
    #[from(orders.for_each(|_, o| println!("{o}")).filter(|_, o| *o > 100))]
    #[sink(topic = "c")]
    behind_the_end: KStream<String, u64>,
    #[from(orders)]
    renamed_as_table: KTable<String, u64>,
}

fn main() {}
