//! `cogroup-*`: several streams gathered into one aggregate.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("cogroup-plain", Plain),
        entry!("cogroup-repartitioned", Repartitioned),
    ]
}

#[topology(application_id = "vec")]
struct Plain {
    #[source(topic = "a", partitions = 1)]
    a: KStream<Option<String>, Option<String>>,
    #[source(topic = "b", partitions = 1)]
    b: KStream<Option<String>, Option<i32>>,
    #[from(a
        .group_by_key()
        .cogroup(|_, v, agg| agg + "a" + &v)
        .cogroup(b, |_, v, agg| agg + "b" + &v.to_string())
        .aggregate(String::new))]
    #[store(name = "cg")]
    #[sink(topic = "out")]
    cogrouped: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Repartitioned {
    #[source(topic = "a", partitions = 1)]
    a: KStream<Option<String>, Option<String>>,
    #[source(topic = "b", partitions = 1)]
    b: KStream<Option<String>, Option<String>>,
    #[from(a
        .group_by(
            |_, v| v.as_deref().and_then(|v| v.chars().next()).map(String::from),
            name = "ga",
        )
        .cogroup(|_, v, agg| agg + "a" + &v)
        .cogroup(b, |_, v, agg| agg + "b" + &v)
        .aggregate(String::new))]
    #[store(name = "cg")]
    #[sink(topic = "out")]
    cogrouped: KTable<String, String>,
}
