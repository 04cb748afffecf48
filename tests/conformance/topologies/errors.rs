//! `err-*`: what cannot be read.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("err-deserialization-continue", DeserializationContinue),
        entry!("err-deserialization-fail", DeserializationFail),
        entry!("err-negative-timestamp-fail", PassThrough),
    ]
}

#[topology(application_id = "vec")]
struct DeserializationContinue {
    #[source(topic = "in")]
    input: KStream<Option<String>, i64>,
    #[from(input.group_by_key().count())]
    #[store(name = "n")]
    #[sink(topic = "out")]
    counts: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct DeserializationFail {
    #[source(topic = "in")]
    input: KStream<Option<String>, i64>,
    #[from(input.map_values(|v| v.wrapping_add(1)))]
    #[sink(topic = "out")]
    next: KStream<Option<String>, i64>,
}

#[topology(application_id = "vec")]
struct PassThrough {
    #[source(topic = "in")]
    #[sink(topic = "out")]
    input: KStream<Option<String>, Option<String>>,
}
