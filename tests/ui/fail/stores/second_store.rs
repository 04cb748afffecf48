//! A chain that needs two stores: the message prints the field to paste.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "words")]
    words: KStream<String, u64>,
    #[from(words.group_by_key().count().to_stream().group_by(|_, n| *n).count())]
    counts_of_counts: KTable<i64, i64>,
}

fn main() {}
