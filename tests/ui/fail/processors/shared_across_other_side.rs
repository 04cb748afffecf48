//! Store shared across the repartition topic of the other side of a join, and of a cogroup.
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
    #[source(topic = "payments", partitions = 6)]
    payments: KStream<String, u64>,
    #[store]
    seen: KeyValueStore<String, u64>,
    #[from(payments.process_values(Known::new(), stores(seen)).select_key(|_, p| p.to_string()))]
    rekeyed: KStream<String, u64>,
    #[from(orders.join(rekeyed, |o, p| o + p, within("1m")).process_values(Known::new(), stores(seen)))]
    #[sink(topic = "paid")]
    paid: KStream<String, u64>,

    #[store]
    counted: KeyValueStore<String, u64>,
    #[from(payments.process_values(Known::new(), stores(seen = counted)).filter(|_, p| *p > 0))]
    positive: KStream<String, u64>,
    #[from(positive.select_key(|_, p| p.to_string()))]
    by_amount: KStream<String, u64>,
    #[from(orders.group_by_key().cogroup(|_, o, n: u64| o + n).cogroup(by_amount, |_, p, n| p + n).aggregate(|| 0)
        .to_stream()
        .process_values(Known::new(), stores(seen = counted)))]
    #[sink(topic = "sums")]
    sums: KStream<String, u64>,
}

fn main() {}
