//! Aggregations by windows and sessions, sent with every update and on close, and what is made of their tables.

use kstreams::prelude::*;

use super::{Entry, entry, last12, text};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("win-v-tumbling-reduce", TumblingReduce),
        entry!("win-v-hopping-reduce-cached", HoppingReduce),
        entry!("win-v-sliding-reduce-cached", SlidingReduce),
        entry!("win-v-sliding-aggregate-null", SlidingAggregateNull),
        entry!("win-v-tumbling-aggregate-null", TumblingAggregateNull),
        entry!("win-v-sliding-in-memory", SlidingInMemory),
        entry!("win-v-sliding-retention", SlidingRetention),
        entry!("win-v-sliding-huge-grace", SlidingHugeGrace),
        entry!("win-v-unlimited-reduce-cached", UnlimitedReduce),
        entry!("win-v-headers-tumbling", HeadersTumbling),
        entry!("win-v-headers-sliding", HeadersSliding),
        entry!("win-v-logging-off", LoggingOff),
        entry!("win-v-sliding-repartition", SlidingRepartition),
        entry!("win-v-two-of-one", TwoOfOne),
        entry!("win-v-session-in-memory", SessionInMemory),
        entry!("win-v-session-in-memory-cached", SessionInMemoryReduce),
        entry!("win-v-session-aggregate-cached", SessionAggregate),
        entry!("win-v-session-aggregate-null", SessionAggregateNull),
        entry!("win-v-session-reduce-repartition", SessionRepartition),
        entry!("win-v-session-gap-zero", SessionGapZero),
        entry!("win-v-session-headers", SessionHeaders),
        entry!("win-v-session-retention", SessionRetention),
        entry!("win-v-close-tumbling-reduce", CloseTumblingReduce),
        entry!("win-v-close-hopping-cached", CloseHopping),
        entry!("win-v-close-sliding-reduce", CloseSlidingReduce),
        entry!("win-v-close-sliding-no-grace", CloseSlidingNoGrace),
        entry!("win-v-close-session-reduce", CloseSessionReduce),
        entry!("win-v-close-session-cached", CloseSessionCount),
        entry!("win-v-close-repartition", CloseRepartition),
        entry!("win-v-close-then-filter", CloseThenFilter),
        entry!("win-v-close-then-groupby", CloseThenGroupBy),
        entry!("win-v-close-headers", CloseHeaders),
        entry!("win-v-close-in-memory", CloseInMemory),
        entry!("win-v-then-filter", ThenFilter),
        entry!("win-v-then-filter-cached", ThenFilter),
        entry!("win-v-then-groupby", ThenGroupBy),
        entry!("win-v-session-then-groupby", SessionThenGroupBy),
        entry!("win-v-sliding-then-groupby-cached", SlidingThenGroupBy),
        entry!("win-v-joined", Joined),
        entry!("win-v-outer-joined", OuterJoined),
        entry!("win-v-again", Again),
    ]
}

type Time = Windowed<String>;
type Session = Windowed<String, SessionWindow>;

/// Reducers of values that may be null.
fn plus(a: Option<String>, v: Option<String>) -> Option<String> {
    Some(format!("{}+{}", text(a), text(v)))
}

fn plus12(a: Option<String>, v: Option<String>) -> Option<String> {
    Some(last12(&(text(a) + &text(v))))
}

/// An aggregation of the groups by key, with the options of its topology and of its store.
macro_rules! windowed {
    ($name:ident [$($option:tt)*] $store:ident: $key:ty => $value:ty, [$($kept:tt)*] $($chain:tt)*) => {
        #[topology(application_id = "vec" $($option)*)]
        struct $name {
            #[source(topic = "in")]
            input: KStream<Option<String>, Option<String>>,
            #[from(input.group_by_key().$($chain)*)]
            #[store($($kept)*)]
            #[sink(topic = "out")]
            $store: KTable<$key, $value>,
        }
    };
}

windowed!(TumblingReduce [] w: Time => Option<String>, [] windowed_by(tumbling("10ms").grace("5ms")).reduce(plus));
windowed!(HoppingReduce [] w: Time => Option<String>, [] windowed_by(hopping("12ms").advance_by("5ms").grace("6ms")).reduce(plus));
windowed!(SlidingReduce [] w: Time => String, [] windowed_by(sliding("10ms").grace("20ms")).reduce(|a, v| format!("{a}+{v}")));
windowed!(SlidingAggregateNull [] w: Time => Option<String>, [] windowed_by(sliding("10ms").grace("20ms"))
    .aggregate(String::new, |_, v, a| (v != "x").then(|| last12(&(a + &v)))));
windowed!(TumblingAggregateNull [] w: Time => Option<String>, [] windowed_by(tumbling("10ms").grace("5ms"))
    .aggregate(String::new, |_, v: Option<String>, a| v.filter(|v| v != "x").map(|v| last12(&(a + &v)))));
windowed!(SlidingInMemory [] w: Time => i64, [kind = memory, retention = "60ms"] windowed_by(sliding("10ms").grace("20ms")).count());
windowed!(SlidingRetention [] w: Time => i64, [retention = "70s"] windowed_by(sliding("10ms").grace("20ms")).count());
windowed!(SlidingHugeGrace [] w: Time => String, [] windowed_by(sliding("10ms").grace("100s"))
    .aggregate(String::new, |_, v, a| last12(&(a + &v))));
windowed!(UnlimitedReduce [] w: Time => Option<String>, [] windowed_by(unlimited()).reduce(plus12));
windowed!(HeadersTumbling [, store_format = "headers"] w: Time => i64, [] windowed_by(tumbling("10ms").grace("5ms")).count());
windowed!(HeadersSliding [, store_format = "headers"] w: Time => Option<String>, [] windowed_by(sliding("10ms").grace("20ms"))
    .aggregate(String::new, |_, v, a| (v != "x").then(|| last12(&(a + &v)))));
windowed!(LoggingOff [] w: Time => i64, [changelog = false] windowed_by(tumbling("10ms").grace("5ms")).count());

#[topology(application_id = "vec")]
struct SlidingRepartition {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by(|_, v| v.clone(), name = "gv").windowed_by(sliding("10ms").grace("5ms")).count())]
    #[sink(topic = "out")]
    w: KTable<Time, i64>,
}

#[topology(application_id = "vec")]
struct TwoOfOne {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    #[sink(topic = "out")]
    w: KTable<Time, i64>,
    #[from(input.group_by_key().windowed_by(session("10ms").grace("5ms")).count())]
    #[sink(topic = "sessions")]
    s: KTable<Session, i64>,
}

windowed!(SessionInMemory [] s: Session => i64, [kind = memory, retention = "60ms"] windowed_by(session("10ms").grace("15ms")).count());
windowed!(SessionInMemoryReduce [] s: Session => Option<String>, [kind = memory, retention = "60ms"] windowed_by(session("10ms").grace("15ms"))
    .reduce(plus12));
windowed!(SessionAggregate [] s: Session => String, [] windowed_by(session("10ms").grace("15ms"))
    .aggregate(|| "i".to_owned(), |_, v, a| last12(&(a + &text(v))), |_, x, y| last12(&format!("{x}|{y}"))));
windowed!(SessionHeaders [, store_format = "headers"] s: Session => i64, [] windowed_by(session("10ms").grace("15ms")).count());
windowed!(SessionRetention [] s: Session => i64, [retention = "200s"] windowed_by(session("10ms").grace("15ms")).count());
windowed!(SessionGapZero [] s: Session => i64, [] windowed_by(session("0ms").grace("10ms")).count());

#[topology(application_id = "vec")]
struct SessionAggregateNull {
    #[source(topic = "in")]
    input: KStream<String, String>,
    #[from(input.group_by_key().windowed_by(session("10ms").grace("15ms")).aggregate(
        String::new,
        |_, v, a| (v != "x").then(|| last12(&(a + &v))),
        |_, x, y| Some(last12(&format!("{x}|{y}"))),
    ))]
    #[sink(topic = "out")]
    s: KTable<Session, Option<String>>,
}

#[topology(application_id = "vec")]
struct SessionRepartition {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by(|_, v| v.clone(), name = "gv").windowed_by(session("10ms").grace("15ms")).reduce(plus12))]
    #[sink(topic = "out")]
    s: KTable<Session, Option<String>>,
}

windowed!(CloseTumblingReduce [] w: Time => Option<String>, [] windowed_by(tumbling("10ms").grace("5ms")).emit(on_window_close).reduce(plus));
windowed!(CloseHopping [] w: Time => i64, [] windowed_by(hopping("12ms").advance_by("5ms").grace("6ms")).emit(on_window_close).count());
windowed!(CloseSlidingReduce [] w: Time => String, [] windowed_by(sliding("10ms").grace("20ms")).emit(on_window_close).reduce(|a, v| format!("{a}+{v}")));
windowed!(CloseSlidingNoGrace [] w: Time => i64, [] windowed_by(sliding("10ms")).emit(on_window_close).count());
windowed!(CloseSessionReduce [] s: Session => Option<String>, [] windowed_by(session("10ms").grace("15ms")).emit(on_window_close).reduce(plus));
windowed!(CloseSessionCount [] s: Session => i64, [] windowed_by(session("10ms").grace("15ms")).emit(on_window_close).count());
windowed!(CloseHeaders [, store_format = "headers"] w: Time => i64, [] windowed_by(tumbling("10ms").grace("5ms")).emit(on_window_close).count());
windowed!(CloseInMemory [] w: Time => i64, [kind = memory, retention = "60ms"] windowed_by(tumbling("10ms").grace("5ms")).emit(on_window_close).count());

#[topology(application_id = "vec")]
struct CloseRepartition {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by(|_, v| v.clone(), name = "gv").windowed_by(tumbling("10ms").grace("5ms")).emit(on_window_close).count())]
    #[sink(topic = "out")]
    w: KTable<Time, i64>,
}

#[topology(application_id = "vec")]
struct CloseThenFilter {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).emit(on_window_close).count())]
    w: KTable<Time, i64>,
    #[from(w.filter(|_, n| *n > 1).map_values(|n| format!("n{n}")))]
    #[sink(topic = "out")]
    shown: KTable<Time, String>,
}

#[topology(application_id = "vec")]
struct CloseThenGroupBy {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).emit(on_window_close).count())]
    w: KTable<Time, i64>,
    #[from(w.group_by(|k, n| (k.key.clone(), *n), name = "by-key").reduce(|x, y| x + y, |x, y| x - y))]
    #[sink(topic = "out")]
    sum: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct ThenFilter {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    w: KTable<Time, i64>,
    #[from(w.filter(|_, n| *n % 2 == 0).map_values(|n| format!("n{n}")))]
    #[sink(topic = "out")]
    shown: KTable<Time, String>,
}

macro_rules! grouped_by_key {
    ($name:ident $store:ident: $key:ty, $($windows:tt)*) => {
        #[topology(application_id = "vec")]
        struct $name {
            #[source(topic = "in")]
            input: KStream<Option<String>, Option<String>>,
            #[from(input.group_by_key().$($windows)*.count())]
            $store: KTable<$key, i64>,
            #[from($store.group_by(|k, n| (k.key.clone(), *n), name = "by-key").aggregate(
                String::new,
                |_, n, a| last12(&format!("{a}+{n}")),
                |_, n, a| last12(&format!("{a}-{n}")),
            ))]
            #[sink(topic = "out")]
            agg: KTable<String, String>,
        }
    };
}

grouped_by_key!(ThenGroupBy w: Time, windowed_by(tumbling("10ms").grace("5ms")));
grouped_by_key!(SessionThenGroupBy s: Session, windowed_by(session("10ms").grace("15ms")));
grouped_by_key!(SlidingThenGroupBy w: Time, windowed_by(sliding("10ms").grace("20ms")));

#[topology(application_id = "vec")]
struct Joined {
    #[source(topic = "a", partitions = 1)]
    a: KStream<Option<String>, Option<String>>,
    #[source(topic = "b", partitions = 1)]
    b: KStream<Option<String>, Option<String>>,
    #[from(a.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    wa: KTable<Time, i64>,
    #[from(b.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    wb: KTable<Time, i64>,
    #[from(wa.join(wb, |x, y| format!("{x}/{y}")))]
    #[sink(topic = "out")]
    both: KTable<Time, String>,
}

#[topology(application_id = "vec")]
struct OuterJoined {
    #[source(topic = "a", partitions = 1)]
    a: KStream<Option<String>, Option<String>>,
    #[source(topic = "b", partitions = 1)]
    b: KStream<Option<String>, Option<String>>,
    #[from(a.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    wa: KTable<Time, i64>,
    #[from(b.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    wb: KTable<Time, i64>,
    #[from(wa.outer_join(wb, |x, y| {
        let shown = |n: Option<&i64>| n.map_or("null".to_owned(), i64::to_string);
        format!("{}/{}", shown(x), shown(y))
    }))]
    #[sink(topic = "out")]
    both: KTable<Time, String>,
}

#[topology(application_id = "vec")]
struct Again {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    w: KTable<Time, i64>,
    #[from(w.to_stream().map(|k, n| (k.key, n.to_string())).group_by_key(name = "again")
        .windowed_by(tumbling("30ms").grace("10ms")).reduce(|x, y| last12(&(x + &y))))]
    #[sink(topic = "out")]
    w2: KTable<Time, String>,
}
