//! Sets of topics: variants that are no topics, a topic twice, none at all, parameters, and a sink that chooses nothing.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o > 100))]
    #[sink(
        topic = |_, o| Lane::of(*o),
        topics(enum Lane {
            Fast = "fast",
            Slow,
            Late = 3,
            Other(u64) = "other",
            Quick = "fast",
        })
    )]
    large: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o > 10))]
    #[sink(topic = |_, _| nowhere(), topics(enum Nowhere {}))]
    medium: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o > 9))]
    #[sink(topic = |_, _| Typed::A, topics(enum Typed<T> { A = "a" }))]
    small: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o < 9))]
    #[sink(topic = "b", topics(enum B { Only = "b" }))]
    smaller: KStream<String, u64>,
    #[from(orders.filter(|_, o| *o < 5))]
    #[sink(topic = |order| Size::Small, topics(enum Size { Small = "not small" }))]
    smallest: KStream<String, u64>,
}

impl Lane {
    fn of(order: u64) -> Lane {
        if order > 1_000 { Lane::Slow } else { Lane::Fast }
    }
}

fn nowhere() -> Nowhere {
    unreachable!()
}

fn main() {}
