//! A global store of other types than its processor keeps, and one that a processor would write.
use kstreams::prelude::*;

#[processor]
struct ByHour {
    #[store(shared)]
    sums: WindowStore<String, i64>,
}

impl Processor<String, i64> for ByHour {
    fn process(&mut self, record: Record<String, i64>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        self.sums.put(&record.key, &record.value, record.timestamp, cx)
    }
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = "sums", global, process = ByHour::new())]
    #[store(window_size = "1h", retention = "1d")]
    sums: WindowStore<String, u64>,
    #[source(topic = "others", global, process = ByHour::new())]
    #[store(window_size = "1h", retention = "1d")]
    others: WindowStore<String, i64>,
    #[source(topic = "orders")]
    orders: KStream<String, i64>,
    #[from(orders.process(ByHour::new(), stores(sums = others)))]
    end: KStream<(), ()>,
    #[from(end.for_each(|(), ()| ()))]
    nothing: (),
}

fn main() {}
