//! Store fields whose options do not fit their types.
use kstreams::prelude::*;

#[processor]
struct Keep {
    #[store(shared)]
    windows: WindowStore<String, u64>,
    #[store(shared)]
    sessions: SessionStore<String, u64>,
    #[store(shared)]
    versions: VersionedStore<String, u64>,
    #[store(shared)]
    rows: KeyValueStore<String, u64>,
}

impl Processor<String, u64> for Keep {
    fn process(&mut self, record: Record<String, u64>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        self.rows.put(&record.key, &record.value, cx)
    }
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[store(retention = "1h")]
    windows: WindowStore<String, u64>,
    #[store]
    sessions: SessionStore<String, u64>,
    #[store(retention = "1h", kind = memory)]
    versions: VersionedStore<String, u64>,
    #[store(retention = "1h", cache = true)]
    rows: KeyValueStore<String, u64>,
    #[from(orders.process(Keep::new(), stores(windows, sessions, versions, rows)))]
    kept: KStream<(), ()>,
    #[from(kept.for_each(|(), ()| ()))]
    nothing: (),
}

fn main() {}
