//! Two topics merged in front of an aggregation: one key's records would be counted in two tasks.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "web", partitions = 6)]
    web: KStream<String, u64>,
    #[source(topic = "app", partitions = 3)]
    app: KStream<String, u64>,
    #[from(web.merge(app).group_by_key().count())]
    views: KTable<String, i64>,
}

fn main() {}
