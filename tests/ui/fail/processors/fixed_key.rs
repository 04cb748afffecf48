//! A processor of values, and a closure of values, that would change a key.
use kstreams::prelude::*;

#[processor(fixed_key, out = (String, u64))]
struct Upper;

impl FixedKeyProcessor<String, u64> for Upper {
    fn process(&mut self, record: FixedKeyRecord<String, u64>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        let key = record.key().to_uppercase();
        cx.forward(record.with_key(key))
    }
}

fn main() {}
