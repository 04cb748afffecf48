//! The processor of a global store without a field for it.
use kstreams::prelude::*;

#[processor]
struct UpperCase {}

impl Processor<String, String> for UpperCase {
    fn process(&mut self, _: Record<String, String>, _: &mut Context<'_, Self>) -> ProcessingResult {
        Ok(())
    }
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = "names", global, process = UpperCase::new())]
    names: KeyValueStore<String, String>,
}

fn main() {}
