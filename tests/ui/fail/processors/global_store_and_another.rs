//! The processor of a global store with a store of its own.
use kstreams::prelude::*;

#[processor]
struct UpperCase {
    #[store(shared)]
    names: KeyValueStore<String, String>,
    #[store]
    seen: KeyValueStore<String, u64>,
}

impl Processor<String, String> for UpperCase {
    fn process(&mut self, record: Record<String, String>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        self.seen.put(&record.key, &1, cx)?;
        self.names.put(&record.key, &record.value.to_uppercase(), cx)
    }
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = "names", global, process = UpperCase::new())]
    names: KeyValueStore<String, String>,
}

fn main() {}
