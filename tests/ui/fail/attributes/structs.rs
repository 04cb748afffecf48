//! Items that are no topologies.
use kstreams::prelude::*;

#[topology(application_id = "a")]
struct Generic<T> {
    #[source(topic = "orders")]
    orders: KStream<String, T>,
    #[from(orders.for_each(|_, _| println!("an order")))]
    printed: (),
}

#[topology(application_id = "b")]
struct Tuple(KStream<String, u64>);

#[topology(application_id = "c")]
enum Either {
    Left,
}

#[topology(application_id = "d")]
fn function() {}

fn main() {}
