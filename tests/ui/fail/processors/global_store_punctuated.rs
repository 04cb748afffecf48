//! The processor of a global store with a punctuator.
use kstreams::prelude::*;

#[processor(punctuate(wall_clock = "1m", call = tidy))]
struct UpperCase {
    #[store(shared)]
    names: KeyValueStore<String, String>,
}

impl UpperCase {
    fn tidy(&mut self, _: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        self.names.delete(&"old".to_owned(), cx).map(drop)
    }
}

impl Processor<String, String> for UpperCase {
    fn process(&mut self, record: Record<String, String>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        self.names.put(&record.key, &record.value.to_uppercase(), cx)
    }
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = "names", global, process = UpperCase::new())]
    names: KeyValueStore<String, String>,
}

fn main() {}
