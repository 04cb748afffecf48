//! `err-*`: what cannot be read or processed.

use kstreams::prelude::*;

use super::{Entry, entry};
use crate::effects;

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("err-deserialization-continue", DeserializationContinue),
        entry!("err-deserialization-fail", DeserializationFail),
        entry!("err-deserialization-dlq", DeserializationFail),
        entry!("err-negative-timestamp-fail", PassThrough),
        entry!("err-processing-continue", ProcessingContinue),
        entry!("err-processing-fail", ProcessingFail),
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

/// A closure that panics: what a Java lambda that throws is.
#[topology(application_id = "vec")]
struct ProcessingContinue {
    #[source(topic = "in")]
    input: KStream<Option<String>, String>,
    #[from(input
        .peek(|k, v| effects::log(format!("{}={v}", k.as_deref().unwrap_or("null"))))
        .map_values(|v| {
            assert_ne!(v, "boom");
            v + "!"
        }))]
    #[sink(topic = "out")]
    out: KStream<Option<String>, String>,
}

/// A closure that returns an error.
#[topology(application_id = "vec")]
struct ProcessingFail {
    #[source(topic = "in")]
    input: KStream<Option<String>, String>,
    #[from(input.try_map_values(|v| if v == "boom" { Err(v) } else { Ok(v) }))]
    #[sink(topic = "out")]
    out: KStream<Option<String>, String>,
}
