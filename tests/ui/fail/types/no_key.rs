//! Records without a key are grouped, or sent through a repartition topic, by it.
use kstreams::prelude::*;

#[topology(application_id = "app")]
pub struct App {
    #[source(topic = "lines")]
    lines: KStream<(), String>,
    #[from(lines.group_by_key().count().to_stream())]
    #[sink(topic = "counts")]
    counts: KStream<(), i64>,
    #[from(lines.repartition(3))]
    #[sink(topic = "spread")]
    spread: KStream<(), String>,
}

fn main() {}
