//! `err-*`: what cannot be read or processed.

use kstreams::prelude::*;
use serde_json::Value;

use super::{Entry, entry};
use crate::effects;

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("err-deserialization-continue", DeserializationContinue),
        entry!("err-deserialization-fail", DeserializationFail),
        entry!("err-deserialization-dlq", DeserializationFail),
        entry!("err-negative-timestamp-fail", PassThrough),
        entry!("err-negative-timestamp-skip", CountByTenMs),
        entry!("err-payload-timestamp", PayloadTimestamp),
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

/// Its timestamps come from where the configuration says.
#[topology(application_id = "vec")]
struct CountByTenMs {
    #[source(topic = "in")]
    input: KStream<String, String>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("100ms")).count())]
    #[store(name = "w")]
    #[sink(topic = "out")]
    counts: KTable<Windowed<String>, i64>,
}

/// The field `t` of the value, or the highest timestamp so far.
#[topology(application_id = "vec")]
struct PayloadTimestamp {
    #[source(
        topic = "in",
        timestamp = |record: &Record<String, Option<Json<Value>>>, partition_time| {
            let value = record.value.as_ref().and_then(|value| value.get("t")?.as_i64());
            value.unwrap_or(partition_time)
        }
    )]
    #[sink(topic = "out")]
    input: KStream<String, Option<Json<Value>>>,
    #[from(input.group_by_key().windowed_by(tumbling("100ms").grace("0ms")).count())]
    #[store(name = "w")]
    #[sink(topic = "counts")]
    counts: KTable<Windowed<String>, i64>,
}
