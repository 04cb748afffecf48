//! Streams joined with streams.

use kstreams::prelude::*;

use super::{Entry, entry, last12, or_null, text};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("join-v-ss-left-before-after", LeftBeforeAfter),
        entry!("join-v-ss-outer-before-after", OuterBeforeAfter),
        entry!("join-v-ss-outer-before-only", OuterBeforeOnly),
        entry!("join-v-ss-inner-future-only", InnerFutureOnly),
        entry!("join-v-ss-outer-zero", OuterZero),
        entry!("join-v-ss-outer-huge-grace", OuterHugeGrace),
        entry!("join-v-ss-left-in-memory", LeftInMemory),
        entry!("join-v-ss-headers", Headers),
        entry!("join-v-ss-left-clock", LeftClock),
        entry!("join-v-ss-logging-off", LoggingOff),
        entry!("join-v-ss-outer-rekeyed", OuterRekeyed),
        entry!("join-v-ss-left-rekeyed-right", LeftRekeyedRight),
        entry!("join-v-ss-outer-then-count", OuterThenCount),
        entry!("join-v-ss-left-then-window", LeftThenWindow),
        entry!("join-v-ss-self-left", SelfLeft),
        entry!("join-v-ss-self-outer-mapped", SelfOuterMapped),
        entry!("join-v-ss-chain", Chain),
        entry!("join-v-ss-self-before-after", SelfBeforeAfter),
    ]
}

macro_rules! joined {
    ($name:ident [$($option:tt)*] inner $($window:tt)*) => {
        joined!(@ $name [$($option)*] String, join(right, |l, r| format!("{l}+{r}"), $($window)*));
    };
    ($name:ident [$($option:tt)*] left $($window:tt)*) => {
        joined!(@ $name [$($option)*] Option<String>, left_join(right, |l, r| format!("{l}+{}", or_null(r)), $($window)*));
    };
    ($name:ident [$($option:tt)*] outer $($window:tt)*) => {
        joined!(@ $name [$($option)*] Option<String>,
            outer_join(right, |l, r| format!("{}+{}", or_null(l), or_null(r)), $($window)*));
    };
    (@ $name:ident [$($option:tt)*] $key:ty, $($join:tt)*) => {
        #[topology(application_id = "vec" $($option)*)]
        struct $name {
            #[source(topic = "left", partitions = 1)]
            left: KStream<Option<String>, Option<String>>,
            #[source(topic = "right", partitions = 1)]
            right: KStream<Option<String>, Option<String>>,
            #[from(left.$($join)*)]
            #[sink(topic = "out")]
            joined: KStream<$key, String>,
        }
    };
}

joined!(LeftBeforeAfter [] left within("0ms").before("10ms").after("3ms"), grace("6ms"));
joined!(OuterBeforeAfter [] outer within("0ms").before("3ms").after("12ms"), grace("6ms"));
joined!(OuterBeforeOnly [] outer within("0ms").before("9ms"));
joined!(InnerFutureOnly [] inner within("0ms").after("9ms"), grace("5ms"));
joined!(OuterZero [] outer within("0ms"), grace("3ms"));
joined!(OuterHugeGrace [] outer within("5ms"), grace("100s"));
joined!(LeftInMemory [] left within("10ms"), grace("10ms"), left_store(name = "ls", kind = memory), right_store(name = "rs", kind = memory));
joined!(Headers [, store_format = "headers"] left within("10ms"), grace("5ms"));
joined!(LeftClock [] left within("10ms"), grace("5ms"));
joined!(LoggingOff [] outer within("10ms"), grace("5ms"), left_store(changelog = false), right_store(changelog = false), outer_store(changelog = false));

#[topology(application_id = "vec")]
struct OuterRekeyed {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(right.select_key(|_, v| v.clone()))]
    rekeyed: KStream<Option<String>, Option<String>>,
    #[from(left.select_key(|_, v| v.clone())
        .outer_join(rekeyed, |l, r| format!("{}+{}", or_null(l), or_null(r)), within("10ms"), grace("5ms")))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct LeftRekeyedRight {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(right.map(|k, v| (v, k)))]
    turned: KStream<Option<String>, Option<String>>,
    #[from(left.left_join(turned, |l, r| format!("{l}+{}", or_null(r)), within("10ms"), grace("5ms")))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct OuterThenCount {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.outer_join(right, |l, r| format!("{}+{}", or_null(l), or_null(r)), within("10ms"), grace("5ms")))]
    joined: KStream<Option<String>, String>,
    #[from(joined.group_by_key(name = "grouped").count())]
    #[sink(topic = "out")]
    n: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct LeftThenWindow {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.left_join(right, |l, r| format!("{l}+{}", or_null(r)), within("10ms"), grace("5ms")))]
    joined: KStream<Option<String>, String>,
    #[from(joined.group_by_key(name = "grouped").windowed_by(tumbling("10ms").grace("20ms")).reduce(|x, y| last12(&(x + &y))))]
    #[sink(topic = "out")]
    w: KTable<Windowed<String>, String>,
}

#[topology(application_id = "vec")]
struct SelfLeft {
    #[source(topic = "in", partitions = 1)]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.left_join(input, |l, r| format!("{l}+{}", or_null(r)), within("10ms"), grace("5ms")))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct SelfOuterMapped {
    #[source(topic = "in", partitions = 1)]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.map_values(|v| text(v) + "!"))]
    mapped: KStream<Option<String>, String>,
    #[from(input.filter(|_, v| v.as_deref().is_none_or(|v| v < "5"))
        .outer_join(mapped, |l, r| format!("{}+{}", or_null(l), or_null(r)), within("10ms"), grace("5ms")))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct Chain {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[source(topic = "third", partitions = 1)]
    third: KStream<Option<String>, Option<String>>,
    #[from(left.join(right, |l, r| format!("{l}+{r}"), within("10ms"), grace("10ms")))]
    first: KStream<String, String>,
    #[from(first.left_join(third, |l, r| format!("{l}+{}", or_null(r)), within("5ms"), grace("10ms")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct SelfBeforeAfter {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.merge(right))]
    both: KStream<Option<String>, Option<String>>,
    #[from(both.join(both, |l, r| format!("{l}+{r}"), within("0ms").before("8ms").after("3ms"), grace("5ms")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}
