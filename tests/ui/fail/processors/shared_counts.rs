//! Processors that share a store, and get their records from topics of different partition counts, of none, and by different
//! partitioners; and one that reads the store of a table.
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
    #[source(topic = "payments", partitions = 3)]
    payments: KStream<String, u64>,
    #[source(topic = "refunds")]
    refunds: KStream<String, u64>,
    #[source(topic = "returns", partitions = 6, partitioner = by_region)]
    returns: KStream<String, u64>,
    #[source(topic = "customers", partitions = 4)]
    customers: KTable<String, u64>,
    #[store]
    one: KeyValueStore<String, u64>,
    #[store]
    two: KeyValueStore<String, u64>,
    #[store]
    three: KeyValueStore<String, u64>,
    #[from(orders.process(Known::new(), stores(seen = one)))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    #[from(payments.process(Known::new(), stores(seen = one)))]
    #[sink(topic = "b")]
    b: KStream<String, u64>,
    #[from(orders.process(Known::new(), stores(seen = two)))]
    #[sink(topic = "c")]
    c: KStream<String, u64>,
    #[from(refunds.process(Known::new(), stores(seen = two)))]
    #[sink(topic = "d")]
    d: KStream<String, u64>,
    #[from(orders.process(Known::new(), stores(seen = three)))]
    #[sink(topic = "e")]
    e: KStream<String, u64>,
    #[from(returns.process(Known::new(), stores(seen = three)))]
    #[sink(topic = "f")]
    f: KStream<String, u64>,
    #[from(payments.process(Known::new(), stores(seen = customers)))]
    #[sink(topic = "g")]
    g: KStream<String, u64>,
    #[from(payments.repartition(6).process(Known::new(), stores(seen = one)))]
    #[sink(topic = "h")]
    fits: KStream<String, u64>,
}

fn main() {}
