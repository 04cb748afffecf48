//! Several streams gathered into one aggregate.

use kstreams::prelude::*;

use super::{Entry, entry, last12, text};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("cogroup-v-hopping-cached", Hopping),
        entry!("cogroup-v-sliding", Sliding),
        entry!("cogroup-v-session-cached", Sessions),
        entry!("cogroup-v-three", Three),
        entry!("cogroup-v-cached", Three),
        entry!("cogroup-v-null", Null),
        entry!("cogroup-v-both-repartitioned", BothRepartitioned)
            .names(&[("gb-repartition", "cg-gb-repartition")]),
        entry!("cogroup-v-one", One),
        entry!("cogroup-v-suppressed", Suppressed),
    ]
}

macro_rules! three {
    ($name:ident $key:ty, $text:ident, $($end:tt)*) => {
        #[topology(application_id = "vec")]
        struct $name {
            #[source(topic = "a", partitions = 1)]
            a: KStream<Option<String>, Option<String>>,
            #[source(topic = "b", partitions = 1)]
            b: KStream<Option<String>, Option<String>>,
            #[source(topic = "c", partitions = 1)]
            c: KStream<Option<String>, Option<String>>,
            #[from(a
                .group_by_key()
                .cogroup(|_, v, agg| last12(&(agg + "a" + &$text(v))))
                .cogroup(b, |_, v, agg| last12(&(agg + "b" + &$text(v))))
                .cogroup(c, |_, v, agg| last12(&(agg + "c" + &$text(v))))
                .$($end)*)]
            #[sink(topic = "out")]
            cg: KTable<$key, String>,
        }
    };
}

/// The value, which is there.
fn whole(value: String) -> String {
    value
}

three!(Hopping Windowed<String>, text, windowed_by(hopping("12ms").advance_by("5ms").grace("6ms")).aggregate(String::new));
three!(Sliding Windowed<String>, whole, windowed_by(sliding("10ms").grace("20ms")).aggregate(String::new));
three!(Sessions Windowed<String, SessionWindow>, text, windowed_by(session("10ms").grace("20ms"))
    .aggregate(String::new, |_, x, y| last12(&format!("{x}|{y}"))));
three!(Three String, whole, aggregate(String::new));

#[topology(application_id = "vec")]
struct Null {
    #[source(topic = "a", partitions = 1)]
    a: KStream<Option<String>, Option<String>>,
    #[source(topic = "b", partitions = 1)]
    b: KStream<Option<String>, Option<String>>,
    #[from(a
        .group_by_key()
        .cogroup(|_, v, agg| (v != "x").then(|| last12(&(agg + "a" + &v))))
        .cogroup(b, |_, v, agg| (v != "x").then(|| last12(&(agg + "b" + &v))))
        .aggregate(|| "i".to_owned()))]
    #[sink(topic = "out")]
    cg: KTable<String, Option<String>>,
}

#[topology(application_id = "vec")]
struct BothRepartitioned {
    #[source(topic = "a", partitions = 1)]
    a: KStream<Option<String>, Option<String>>,
    #[source(topic = "b", partitions = 1)]
    b: KStream<Option<String>, Option<String>>,
    #[from(b.select_key(|_, v| v.clone()))]
    gb: KStream<Option<String>, Option<String>>,
    #[from(a
        .group_by(|_, v| v.clone(), name = "ga")
        .cogroup(|_, v, agg| last12(&(agg + "a" + &text(v))))
        .cogroup(gb, |_, v, agg| last12(&(agg + "b" + &text(v))))
        .windowed_by(tumbling("10ms").grace("5ms"))
        .aggregate(String::new))]
    #[sink(topic = "out")]
    cg: KTable<Windowed<String>, String>,
}

#[topology(application_id = "vec")]
struct One {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().cogroup(|_, v, agg| last12(&(agg + &v))).aggregate(String::new))]
    #[sink(topic = "out")]
    cg: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Suppressed {
    #[source(topic = "a", partitions = 1)]
    a: KStream<Option<String>, Option<String>>,
    #[source(topic = "b", partitions = 1)]
    b: KStream<Option<String>, Option<String>>,
    #[source(topic = "c", partitions = 1)]
    c: KStream<Option<String>, Option<String>>,
    #[from(a
        .group_by_key()
        .cogroup(|_, v, agg| last12(&(agg + "a" + &text(v))))
        .cogroup(b, |_, v, agg| last12(&(agg + "b" + &text(v))))
        .cogroup(c, |_, v, agg| last12(&(agg + "c" + &text(v))))
        .windowed_by(tumbling("10ms").grace("5ms"))
        .aggregate(String::new))]
    cg: KTable<Windowed<String>, String>,
    #[from(cg.suppress(until_window_closes(), name = "sup"))]
    #[sink(topic = "out")]
    closed: KTable<Windowed<String>, String>,
}
