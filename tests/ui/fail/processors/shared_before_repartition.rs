//! Store shared across a repartition, where the user behind it is declared first.
use kstreams::prelude::*;

#[processor(fixed_key, out = (String, u64))]
struct Known {
    #[store(shared)]
    seen: KeyValueStore<String, u64>,
}

impl FixedKeyProcessor<String, u64> for Known {
    fn process(&mut self, record: FixedKeyRecord<String, u64>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        self.seen.put(record.key(), &record.value, cx)?;
        cx.forward(record)
    }
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[store]
    seen: KeyValueStore<String, u64>,
    #[from(a.repartition().process_values(Known::new(), stores(seen)))]
    #[sink(topic = "b")]
    b: KStream<String, u64>,
    #[from(orders.process_values(Known::new(), stores(seen)))]
    a: KStream<String, u64>,
}

fn main() {}
