//! Tables whose updates are held back.

use kstreams::prelude::*;

use super::{Entry, entry, last12, or_null, text};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("win-v-suppress-hopping-cached", Hopping),
        entry!("win-v-suppress-session-aggregate", SessionAggregate),
        entry!("win-v-suppress-session-cached", Sessions),
        entry!("win-v-suppress-sliding", Sliding),
        entry!("win-v-suppress-headers", Headers),
        entry!("win-v-suppress-repartition", Repartition),
        entry!("win-v-suppress-after-filter", AfterFilter),
        entry!("win-v-suppress-then-filter", ThenFilter),
        entry!("win-v-suppress-then-groupby", ThenGroupBy),
        entry!("win-v-suppress-early", Early),
        entry!("win-v-suppress-early-session", EarlySession),
        entry!("win-v-suppress-logging-off", LoggingOff),
        entry!("win-v-suppress-then-join", ThenJoin),
        entry!("table-v-suppress-bytes", Bytes),
        entry!("table-v-suppress-bytes-and-records", BytesAndRecords),
        entry!("table-v-suppress-zero-records", ZeroRecords),
        entry!("table-v-suppress-fail", Fail),
        entry!("table-v-suppress-fail-bytes", FailBytes),
        entry!("table-v-suppress-count", Count),
        entry!("table-v-suppress-count-cached", Count),
        entry!("table-v-suppress-then-groupby", TableThenGroupBy),
        entry!("table-v-suppress-unmaterialized", Unmaterialized)
            .names(&[("in-STATE-STORE-0000000000", "t")]),
        entry!("table-v-suppress-filtered", Filtered),
        entry!("table-v-suppress-mapped-store", MappedStore),
        entry!("table-v-suppress-joined", Joined),
        entry!("table-v-suppress-join", Join),
        entry!("table-v-suppress-twice", Twice),
        entry!("table-v-suppress-two-readers", TwoReaders),
        entry!("table-v-suppress-headers", TableHeaders),
    ]
}

type Time = Windowed<String>;
type Session = Windowed<String, SessionWindow>;

macro_rules! counted {
    ($name:ident [$($option:tt)*] $store:ident: $key:ty, $($windows:tt)*) => {
        counted!(@ $name [$($option)*] $store: $key, { $($windows)* } until_window_closes());
    };
    (@ $name:ident [$($option:tt)*] $store:ident: $key:ty, { $($windows:tt)* } $($until:tt)*) => {
        #[topology(application_id = "vec" $($option)*)]
        struct $name {
            #[source(topic = "in")]
            input: KStream<Option<String>, Option<String>>,
            #[from(input.group_by_key().$($windows)*.count())]
            #[store]
            $store: KTable<$key, i64>,
            #[from($store.suppress($($until)*, name = "sup"))]
            #[sink(topic = "out")]
            held: KTable<$key, i64>,
        }
    };
}

counted!(Hopping [] w: Time, windowed_by(hopping("12ms").advance_by("5ms").grace("6ms")));
counted!(Sessions [] s: Session, windowed_by(session("10ms").grace("15ms")));
counted!(Sliding [] w: Time, windowed_by(sliding("10ms").grace("20ms")));
counted!(Headers [, store_format = "headers"] w: Time, windowed_by(tumbling("10ms").grace("5ms")));
counted!(@ Early [] w: Time, { windowed_by(tumbling("10ms").grace("5ms")) } until_time_limit("12ms").max_records(3).emit_early_when_full());
counted!(@ EarlySession [] s: Session, { windowed_by(session("10ms").grace("15ms")) } until_time_limit("30ms").max_bytes(400).emit_early_when_full());

#[topology(application_id = "vec")]
struct SessionAggregate {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(session("10ms").grace("15ms")).aggregate(
        String::new,
        |_, v, a| last12(&(a + &text(v))),
        |_, x, y| last12(&format!("{x}|{y}")),
    ))]
    s: KTable<Session, String>,
    #[from(s.suppress(until_window_closes(), name = "sup"))]
    #[sink(topic = "out")]
    held: KTable<Session, String>,
}

#[topology(application_id = "vec")]
struct Repartition {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by(|_, v| v.clone(), name = "gv").windowed_by(tumbling("10ms")).count())]
    w: KTable<Time, i64>,
    #[from(w.suppress(until_window_closes(), name = "sup"))]
    #[sink(topic = "out")]
    held: KTable<Time, i64>,
}

#[topology(application_id = "vec")]
struct AfterFilter {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    w: KTable<Time, i64>,
    #[from(w.filter(|_, n| *n % 2 == 1).map_values(|n| format!("n{n}")).suppress(until_window_closes(), name = "sup"))]
    #[sink(topic = "out")]
    held: KTable<Time, String>,
}

#[topology(application_id = "vec")]
struct ThenFilter {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    w: KTable<Time, i64>,
    #[from(w.suppress(until_window_closes(), name = "sup").filter(|_, n| *n % 2 == 1).map_values(|n| format!("n{n}")))]
    #[sink(topic = "out")]
    held: KTable<Time, String>,
}

#[topology(application_id = "vec")]
struct ThenGroupBy {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    w: KTable<Time, i64>,
    #[from(w.suppress(until_window_closes(), name = "sup"))]
    held: KTable<Time, i64>,
    #[from(held.group_by(|k, n| (k.key.clone(), *n), name = "by-key").aggregate(
        String::new,
        |_, n, a| last12(&format!("{a}+{n}")),
        |_, n, a| last12(&format!("{a}-{n}")),
    ))]
    #[sink(topic = "out")]
    agg: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct LoggingOff {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    w: KTable<Time, i64>,
    #[from(w.suppress(until_window_closes(), name = "sup"))]
    #[store(changelog = false)]
    #[sink(topic = "out")]
    held: KTable<Time, i64>,
}

#[topology(application_id = "vec")]
struct ThenJoin {
    #[source(topic = "t", partitions = 1)]
    #[store]
    t: KTable<String, String>,
    #[source(topic = "in", partitions = 1)]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    w: KTable<Time, i64>,
    #[from(w.suppress(until_window_closes(), name = "sup"))]
    held: KTable<Time, i64>,
    #[from(held.to_stream().select_key(|k, _| k.key.clone()).join(t, |n, t| format!("{n}/{t}"), name = "j"))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

macro_rules! limited {
    ($name:ident [$($option:tt)*] $($until:tt)*) => {
        #[topology(application_id = "vec" $($option)*)]
        struct $name {
            #[source(topic = "in")]
            #[store]
            t: KTable<String, String>,
            #[from(t.suppress($($until)*, name = "sup"))]
            #[sink(topic = "out")]
            held: KTable<String, String>,
        }
    };
}

limited!(Bytes [] until_time_limit("1s").max_bytes(300).emit_early_when_full());
limited!(BytesAndRecords [] until_time_limit("20ms").max_bytes(300).max_records(3).emit_early_when_full());
limited!(ZeroRecords [] until_time_limit("20ms").max_records(0).emit_early_when_full());
limited!(Fail [] until_time_limit("20ms").max_records(4).shut_down_when_full());
limited!(FailBytes [] until_time_limit("20ms").max_bytes(500).shut_down_when_full());
limited!(TableHeaders [, store_format = "headers"] until_time_limit("12ms"));

#[topology(application_id = "vec")]
struct Count {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().count())]
    n: KTable<String, i64>,
    #[from(n.suppress(until_time_limit("12ms"), name = "sup"))]
    #[sink(topic = "out")]
    held: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct TableThenGroupBy {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.suppress(until_time_limit("12ms"), name = "sup"))]
    held: KTable<String, String>,
    #[from(held.group_by(|_, v| (v.clone(), v.clone()), name = "by").count())]
    #[sink(topic = "out")]
    n: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct Unmaterialized {
    #[source(topic = "in")]
    t: KTable<String, String>,
    #[from(t.suppress(until_time_limit("12ms"), name = "sup"))]
    #[sink(topic = "out")]
    held: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Filtered {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.filter(|_, v| v != "x").suppress(until_time_limit("12ms"), name = "sup"))]
    #[sink(topic = "out")]
    held: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct MappedStore {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.map_values(|v| (v != "x").then(|| v + "!")))]
    #[store]
    m: KTable<String, Option<String>>,
    #[from(m.suppress(until_time_limit("12ms").max_records(2).emit_early_when_full(), name = "sup"))]
    #[sink(topic = "out")]
    held: KTable<String, Option<String>>,
}

#[topology(application_id = "vec")]
struct Joined {
    #[source(topic = "a", partitions = 1)]
    #[store]
    a: KTable<String, String>,
    #[source(topic = "b", partitions = 1)]
    #[store]
    b: KTable<String, String>,
    #[from(a.left_join(b, |l, r| format!("{l}+{}", or_null(r))).suppress(until_time_limit("12ms"), name = "sup"))]
    #[sink(topic = "out")]
    held: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Join {
    #[source(topic = "a", partitions = 1)]
    #[store]
    a: KTable<String, String>,
    #[source(topic = "b", partitions = 1)]
    #[store]
    b: KTable<String, String>,
    #[from(a.suppress(until_time_limit("12ms"), name = "sup"))]
    held: KTable<String, String>,
    #[from(held.join(b, |l, r| format!("{l}+{r}")))]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Twice {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.suppress(until_time_limit("12ms"), name = "sup"))]
    held: KTable<String, String>,
    #[from(held.map_values(|v| v + "!").suppress(until_time_limit("20ms").max_records(2).emit_early_when_full(), name = "again"))]
    #[sink(topic = "out")]
    rare: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct TwoReaders {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.suppress(until_time_limit("12ms"), name = "sup"))]
    #[sink(topic = "out")]
    held: KTable<String, String>,
    #[from(held.filter(|_, v| v.as_str() > "3"))]
    #[sink(topic = "large")]
    large: KTable<String, String>,
}
