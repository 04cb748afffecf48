//! The processor of a global store with an output.
use kstreams::prelude::*;

#[processor(out = (String, String))]
struct UpperCase {
    #[store(shared)]
    names: KeyValueStore<String, String>,
}

impl Processor<String, String> for UpperCase {
    fn process(&mut self, record: Record<String, String>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        self.names.put(&record.key, &record.value.to_uppercase(), cx)?;
        cx.forward(record)
    }
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = "names", global, process = UpperCase::new())]
    names: KeyValueStore<String, String>,
}

fn main() {}
