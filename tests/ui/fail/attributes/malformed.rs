//! Values of the wrong form, and options given twice.
use kstreams::prelude::*;

#[topology(application_id = 7)]
struct NumberAsId {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.for_each(|_, o| println!("{o}")))]
    printed: (),
}

#[topology(application_id = "app", optimization = "everything", store_format = "binary")]
struct UnknownWords {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.for_each(|_, o| println!("{o}")))]
    printed: (),
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = orders)]
    a: KStream<String, u64>,
    #[source(topic = "b", topic = "c")]
    b: KStream<String, u64>,
    #[source(topic = "d", partitions = "six")]
    c: KStream<String, u64>,
    #[source(topic = "e", partitions = 0)]
    d: KStream<String, u64>,
    #[source(topic = "f", offset_reset = sometimes)]
    e: KStream<String, u64>,
    #[source("g")]
    f: KStream<String, u64>,
}

fn main() {}
