//! A processor of values that changes a key, and an output with another type.
use kstreams::prelude::*;

#[processor(fixed_key, out = (String, u64))]
struct Upper;

impl FixedKeyProcessor<String, u64> for Upper {
    fn process(&mut self, mut record: FixedKeyRecord<String, u64>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        record.key = record.key().to_uppercase();
        cx.forward(record)
    }
}

#[processor(out = (String, u64))]
struct Sizes;

impl Processor<String, String> for Sizes {
    fn process(&mut self, record: Record<String, String>, cx: &mut Context<'_, Self>) -> ProcessingResult {
        cx.forward(record)
    }
}

fn main() {}
