//! A parameter that the builder was not given, and one of the wrong type.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    limit: u64,
    prefix: String,
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.filter(|k, o| *o > self.limit && k.starts_with(&self.prefix)))]
    #[sink(topic = "a")]
    large: KStream<String, u64>,
}

fn main() {
    let _ = App::builder().limit(100).start(StreamsConfig::default());
    let _ = App::builder().limit("100").prefix("x".into()).test_driver();
    let _ = App::main();
}
