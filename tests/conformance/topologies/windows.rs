//! `win-*`, and the counts of the last ten minutes: aggregations by tumbling, hopping, sliding, session and unlimited windows.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("win-emit-on-close-hopping", EmitOnCloseHopping),
        entry!("win-emit-on-close-interval", EmitOnCloseInterval),
        entry!("win-emit-on-close-session", EmitOnCloseSession),
        entry!("win-emit-on-close-sliding", EmitOnCloseSliding),
        entry!("win-emit-on-close-tumbling", EmitOnCloseTumbling),
        entry!("win-groupby-repartition", GroupByRepartition),
        entry!("win-hopping-aggregate-exact", HoppingAggregate),
        entry!("win-hopping-cached", HoppingCached),
        entry!("win-hopping-count", HoppingCount),
        entry!("win-in-memory", InMemory),
        entry!("win-large-timestamps", LargeTimestamps),
        entry!("win-retention", Retention),
        entry!("win-session-aggregate-merger", SessionAggregate),
        entry!("win-session-cached", SessionCached),
        entry!("win-session-count", SessionCount),
        entry!("win-session-gap-one", SessionGapOne),
        entry!("win-session-reduce-no-grace", SessionReduce),
        entry!("win-sliding-cached", SlidingCount),
        entry!("win-sliding-count", SlidingCount),
        entry!("win-sliding-early", SlidingEarly),
        entry!("win-sliding-no-grace", SlidingNoGrace),
        entry!("win-tumbling-count-grace", TumblingGrace),
        entry!("win-tumbling-count-no-grace", TumblingNoGrace),
        entry!("win-unlimited-count", Unlimited),
        entry!("seed-count-10min-tumbling", TenMinutesTumbling),
        entry!("seed-count-10min-hopping", TenMinutesHopping),
        entry!("seed-count-10min-sliding", TenMinutesSliding),
        entry!("long-hopping-reduce", LongHopping),
        entry!("long-session-aggregate", LongSession),
        entry!("long-sliding-aggregate", LongSliding),
        entry!("long-tumbling-count", LongTumbling),
    ]
}

/// What Java's string concatenation makes of a null.
fn text(value: Option<String>) -> String {
    value.unwrap_or_else(|| "null".to_owned())
}

fn last12(text: &str) -> String {
    let skipped = text.chars().count().saturating_sub(12);
    text.chars().skip(skipped).collect()
}

macro_rules! counts {
    ($name:ident, $store:ident, $key:ty, $($windows:tt)*) => {
        #[topology(application_id = "vec")]
        struct $name {
            #[source(topic = "in")]
            input: KStream<Option<String>, Option<String>>,
            #[from(input.group_by_key().$($windows)*.count())]
            #[sink(topic = "out")]
            $store: KTable<$key, i64>,
        }
    };
}

type Session = Windowed<String, SessionWindow>;

counts!(
    EmitOnCloseInterval,
    w,
    Windowed<String>,
    windowed_by(tumbling("10ms")).emit(on_window_close)
);
counts!(
    EmitOnCloseSliding,
    s,
    Windowed<String>,
    windowed_by(sliding("10ms").grace("5ms")).emit(on_window_close)
);
counts!(
    EmitOnCloseTumbling,
    w,
    Windowed<String>,
    windowed_by(tumbling("10ms").grace("5ms")).emit(on_window_close)
);
counts!(
    HoppingCached,
    w,
    Windowed<String>,
    windowed_by(hopping("10ms").advance_by("5ms").grace("5ms"))
);
counts!(
    HoppingCount,
    w,
    Windowed<String>,
    windowed_by(hopping("10ms").advance_by("3ms").grace("2ms"))
);
counts!(
    LargeTimestamps,
    w,
    Windowed<String>,
    windowed_by(tumbling("1h").grace("10m"))
);
counts!(
    SessionCached,
    s,
    Session,
    windowed_by(session("10ms").grace("50ms"))
);
counts!(
    SessionCount,
    s,
    Session,
    windowed_by(session("10ms").grace("20ms"))
);
counts!(
    SlidingCount,
    s,
    Windowed<String>,
    windowed_by(sliding("10ms").grace("20ms"))
);
counts!(
    TumblingGrace,
    w,
    Windowed<String>,
    windowed_by(tumbling("10ms").grace("5ms")).emit(on_window_update)
);
counts!(
    TumblingNoGrace,
    w,
    Windowed<String>,
    windowed_by(tumbling("10ms"))
);
counts!(
    Unlimited,
    w,
    Windowed<String>,
    windowed_by(unlimited().start_on(100))
);
counts!(
    LongTumbling,
    w,
    Windowed<String>,
    windowed_by(tumbling(10).grace(8))
);

macro_rules! ten_minutes {
    ($name:ident, $($windows:tt)*) => {
        #[topology(application_id = "vec")]
        struct $name {
            #[source(topic = "events")]
            events: KStream<Option<String>, Option<String>>,
            #[from(events.group_by_key().windowed_by($($windows)*).count())]
            #[sink(topic = "counts")]
            c10: KTable<Windowed<String>, i64>,
        }
    };
}

/// In milliseconds, as a const.
const MINUTE: i64 = 60_000;
/// As a duration.
const TEN_MINUTES: std::time::Duration = std::time::Duration::from_secs(600);

ten_minutes!(TenMinutesTumbling, tumbling("10m"));
ten_minutes!(TenMinutesHopping, hopping(TEN_MINUTES).advance_by(MINUTE));
ten_minutes!(TenMinutesSliding, sliding(TEN_MINUTES));

#[topology(application_id = "vec")]
struct EmitOnCloseHopping {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(hopping("10ms").advance_by("5ms")).emit(on_window_close)
        .aggregate(String::new, |_, v, agg| agg + &text(v)))]
    w: KTable<Windowed<String>, String>,
    #[from(w.to_stream())]
    #[sink(topic = "out")]
    out: KStream<Windowed<String>, String>,
}

#[topology(application_id = "vec")]
struct EmitOnCloseSession {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(session("10ms").grace("5ms")).emit(on_window_close)
        .aggregate(String::new, |_, v, agg| agg + &text(v), |_, a, b| format!("{a}|{b}")))]
    #[sink(topic = "out")]
    s: KTable<Session, String>,
}

#[topology(application_id = "vec")]
struct GroupByRepartition {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by(|_, v| v.clone(), name = "gv").windowed_by(tumbling("10ms").grace("100ms")).count())]
    w: KTable<Windowed<String>, i64>,
    #[from(w.to_stream().select_key(|k, _| format!("{}@{}", k.key, k.start())))]
    #[sink(topic = "out")]
    out: KStream<String, i64>,
}

#[topology(application_id = "vec")]
struct HoppingAggregate {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<i32>>,
    #[from(input.group_by_key().windowed_by(hopping("12ms").advance_by("4ms")).aggregate(
        || 100,
        |_, v, agg| match v {
            None => Some(agg + 1000),
            Some(-1) => None,
            Some(v) => Some(agg + v),
        },
    ))]
    #[sink(topic = "out")]
    agg: KTable<Windowed<String>, Option<i32>>,
}

#[topology(application_id = "vec")]
struct InMemory {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("20ms"))
        .aggregate(String::new, |_, v, agg| agg + &text(v)))]
    #[store(kind = memory, retention = "30ms")]
    #[sink(topic = "out")]
    m: KTable<Windowed<String>, String>,
}

#[topology(application_id = "vec")]
struct Retention {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    #[store(retention = "60ms")]
    #[sink(topic = "out")]
    w: KTable<Windowed<String, TimeWindow<10>>, i64>,
}

#[topology(application_id = "vec")]
struct SessionAggregate {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(session("10ms").grace("1s")).aggregate(
        String::new,
        |_, v, agg| (v.as_deref() != Some("nul")).then(|| agg + &text(v)),
        |_, a, b| Some(format!("({a}|{b})")),
    ))]
    #[sink(topic = "out")]
    s: KTable<Session, Option<String>>,
}

#[topology(application_id = "vec")]
struct SessionGapOne {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by(|_, v| v.clone(), name = "gv").windowed_by(session("1ms")).count())]
    #[sink(topic = "out")]
    s: KTable<Session, i64>,
}

#[topology(application_id = "vec")]
struct SessionReduce {
    #[source(topic = "in")]
    input: KStream<Option<String>, String>,
    #[from(input.group_by_key().windowed_by(session("5ms")).reduce(|a, v| format!("{a}+{v}")))]
    #[sink(topic = "out")]
    s: KTable<Session, String>,
}

#[topology(application_id = "vec")]
struct SlidingEarly {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(sliding("10ms").grace("100ms")).reduce(|a, v| format!("{a}+{v}")))]
    #[sink(topic = "out")]
    s: KTable<Windowed<String>, String>,
}

#[topology(application_id = "vec")]
struct SlidingNoGrace {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<i32>>,
    #[from(input.group_by_key().windowed_by(sliding("5ms")).reduce(|a, v| a + v))]
    #[sink(topic = "out")]
    s: KTable<Windowed<String>, i32>,
}

#[topology(application_id = "vec")]
struct LongHopping {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(hopping("12ms").advance_by("5ms").grace("6ms"))
        .aggregate(String::new, |_, v, agg| last12(&format!("{agg}.{}", text(v)))))]
    #[sink(topic = "out")]
    w: KTable<Windowed<String>, String>,
}

#[topology(application_id = "vec")]
struct LongSession {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(session("6ms").grace("25ms")).aggregate(
        String::new,
        |_, v, agg| last12(&(agg + &text(v))),
        |_, x, y| last12(&format!("{x}|{y}")),
    ))]
    #[sink(topic = "out")]
    s: KTable<Session, String>,
}

#[topology(application_id = "vec")]
struct LongSliding {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(sliding("10ms").grace("15ms"))
        .aggregate(String::new, |_, v, agg| last12(&format!("{agg}.{v}"))))]
    #[sink(topic = "out")]
    s: KTable<Windowed<String>, String>,
}
