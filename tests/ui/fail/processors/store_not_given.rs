//! Processor without the store that it shares.
use kstreams::prelude::*;

#[processor(out = (String, u64))]
struct Known {
    #[store(shared)]
    seen: KeyValueStore<String, u64>,
}

impl Processor<String, u64> for Known {
    fn process(&mut self, record: Record<String, u64>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        self.seen.put(&record.key, &record.value, cx)?;
        cx.forward(record)
    }
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[from(orders.process(Known::new()))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
}

fn main() {}
