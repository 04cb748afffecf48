//! Outputs of other types than the fields that read them declare.
use kstreams::prelude::*;

#[processor(out = (String, u64))]
struct One;

impl Processor<String, u64> for One {
    fn process(&mut self, record: Record<String, u64>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        cx.forward(record)
    }
}

#[processor(out(large = (String, u64), small = (u64, u64)))]
struct Route;

impl Processor<String, u64> for Route {
    fn process(&mut self, record: Record<String, u64>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        cx.forward_to(Self::SMALL, record.clone())?;
        cx.forward_to(Self::LARGE, record)
    }
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[from(orders.process(One::new()))]
    #[sink(topic = "one")]
    one: KStream<String, String>,
    #[from(orders.process(Route::new()))]
    routes: (),
    #[from(routes.large)]
    #[sink(topic = "large")]
    large: KStream<String, i64>,
    #[from(routes.small.filter(|_, v| *v > 0))]
    #[sink(topic = "small")]
    small: KStream<String, u64>,
}

fn main() {}
