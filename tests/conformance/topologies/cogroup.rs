//! `cogroup-*`: several streams gathered into one aggregate.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("cogroup-plain", Plain),
        entry!("cogroup-repartitioned", Repartitioned),
        entry!("cogroup-session", Sessions),
        entry!("cogroup-tumbling", Tumbling),
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

/// What Java's string concatenation makes of a null.
fn text(value: Option<String>) -> String {
    value.unwrap_or_else(|| "null".to_owned())
}

#[topology(application_id = "vec")]
struct Tumbling {
    #[source(topic = "a", partitions = 1)]
    a: KStream<Option<String>, Option<String>>,
    #[source(topic = "b", partitions = 1)]
    b: KStream<Option<String>, Option<String>>,
    #[from(a
        .group_by_key()
        .cogroup(|_, v, agg| agg + "a" + &text(v))
        .cogroup(b, |_, v, agg| agg + "b" + &text(v))
        .windowed_by(tumbling("10ms").grace("5ms"))
        .aggregate(String::new))]
    #[store(name = "cg")]
    #[sink(topic = "out")]
    cogrouped: KTable<Windowed<String>, String>,
}

#[topology(application_id = "vec")]
struct Sessions {
    #[source(topic = "a", partitions = 1)]
    a: KStream<Option<String>, Option<String>>,
    #[source(topic = "b", partitions = 1)]
    b: KStream<Option<String>, Option<String>>,
    #[from(a
        .group_by_key()
        .cogroup(|_, v, agg| agg + "a" + &text(v))
        .cogroup(b, |_, v, agg| agg + "b" + &text(v))
        .windowed_by(session("10ms").grace("20ms"))
        .aggregate(String::new, |_, x, y| x + "|" + &y))]
    #[store(name = "cg")]
    #[sink(topic = "out")]
    cogrouped: KTable<Windowed<String, SessionWindow>, String>,
}
