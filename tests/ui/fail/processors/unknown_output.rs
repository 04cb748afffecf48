//! Output that the processor does not have.
use kstreams::prelude::*;

#[processor(out(large = (String, u64), small = (String, u64)))]
struct Route;

impl Processor<String, u64> for Route {
    fn process(&mut self, record: Record<String, u64>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        let output = if record.value > 100 { Self::LARGE } else { Self::SMALL };
        cx.forward_to(output, record)
    }
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[from(orders.process(Route::new()))]
    routes: (),
    #[from(routes.large)]
    #[sink(topic = "large")]
    large: KStream<String, u64>,
    #[from(routes.small)]
    #[sink(topic = "small")]
    small: KStream<String, u64>,
    #[from(routes.huge)]
    #[sink(topic = "huge")]
    huge: KStream<String, u64>,
}

fn main() {}
