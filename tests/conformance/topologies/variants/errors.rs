//! Records that cannot be read or processed, and handlers that go on.

use kstreams::prelude::*;

use super::{Entry, entry, last12, text};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("err-v-filter", Filter),
        entry!("err-v-siblings", Siblings),
        entry!("err-v-flat-map", FlatMap),
        entry!("err-v-aggregate", Aggregate),
        entry!("err-v-aggregate-fail", Aggregate),
        entry!("err-v-reduce", Reduce),
        entry!("err-v-tumbling", Tumbling),
        entry!("err-v-hopping", Hopping),
        entry!("err-v-sliding", Sliding),
        entry!("err-v-table-map", TableMap),
        entry!("err-v-table-filter", TableFilter),
        entry!("err-v-behind-count", BehindCount),
        entry!("err-v-regrouped", Regrouped),
        entry!("err-v-stream-table", StreamTable),
        entry!("err-v-stream-stream", StreamStream),
        entry!("err-v-table-table", TableTable),
        entry!("err-v-table-table-store", TableTableStore),
        entry!("err-v-foreign-joiner", ForeignJoiner),
        entry!("err-v-global", Global),
        entry!("err-v-processor", Process).forgetting(),
        entry!("err-v-processor-fail", Process).forgetting(),
        entry!("err-v-read-table", ReadTable),
        entry!("err-v-read-table-optimized", ReadTableOptimized),
        entry!("err-v-read-window", ReadWindow),
        entry!("err-v-read-global", ReadGlobal),
        entry!("err-v-read-dead-letters", ReadCount),
        entry!("err-v-read-two-topics", ReadTwoTopics),
    ]
}

type Text = Option<String>;

fn checked(value: String) -> Result<String, &'static str> {
    match value.as_str() {
        "x" => Err("x"),
        _ => Ok(value),
    }
}

fn joined(left: &str, right: Option<&String>) -> Result<String, &'static str> {
    let left = checked(left.to_owned())?;
    Ok(format!("{left}+{}", checked(text(right.cloned()))?))
}

macro_rules! of_stream {
    ($name:ident $out:ident: $type:ty, $($chain:tt)*) => {
        #[topology(application_id = "vec")]
        struct $name {
            #[source(topic = "in")]
            input: KStream<Text, Text>,
            #[from(input.$($chain)*)]
            #[sink(topic = "out")]
            $out: $type,
        }
    };
}

of_stream!(Filter out: KStream<Text, Text>, try_filter(|_, v| v.clone().map(checked).transpose().map(|v| v.is_some())));
of_stream!(FlatMap n: KTable<String, i64>, flat_map_values(|v| match v {
    None => vec![],
    Some(v) => vec![v.clone(), "y".to_owned(), "z".to_owned()],
}).try_map_values(checked).group_by_key().count());
of_stream!(Aggregate r: KTable<String, String>, group_by_key().try_aggregate(String::new, |_, v, a: String| Ok::<_, &str>(last12(&(a + &checked(v)?)))));
of_stream!(Reduce r: KTable<String, String>, group_by_key().try_reduce(|a: String, v| Ok::<_, &str>(last12(&(a + &checked(v)?)))));
of_stream!(Tumbling w: KTable<Windowed<String>, String>, group_by_key().windowed_by(tumbling("10ms").grace("5ms"))
    .try_aggregate(String::new, |_, v, a: String| Ok::<_, &str>(last12(&(a + &checked(text(v))?)))));
of_stream!(Hopping w: KTable<Windowed<String>, String>, group_by_key().windowed_by(hopping("12ms").advance_by("5ms").grace("6ms"))
.try_aggregate(String::new, |_, v, a: String| match v.as_deref() == Some("x") && a.len() > 2 {
    true => Err("x"),
    false => Ok(last12(&(a + &text(v)))),
}));
of_stream!(Sliding w: KTable<Windowed<String>, String>, group_by_key().windowed_by(sliding("10ms").grace("20ms"))
    .try_aggregate(String::new, |_, v, a: String| Ok::<_, &str>(last12(&(a + &checked(v)?)))));

#[topology(application_id = "vec")]
struct Siblings {
    #[source(topic = "in")]
    input: KStream<Text, Text>,
    #[from(input.try_map_values(|v| Ok::<_, &str>(text(v.map(checked).transpose()?) + "1")))]
    #[sink(topic = "one")]
    one: KStream<Text, String>,
    #[from(input.group_by_key().count())]
    #[sink(topic = "out")]
    n: KTable<String, i64>,
    #[from(input.try_map(|k, v| Ok::<_, &str>((v.map(checked).transpose()?, k))))]
    #[sink(topic = "two")]
    two: KStream<Text, Text>,
}

#[topology(application_id = "vec")]
struct TableMap {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.try_map_values(|v| Ok::<_, &str>(checked(v)? + "!")))]
    #[sink(topic = "out")]
    m: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct TableFilter {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.try_filter(|_, v| checked(v.clone()).map(|_| true)))]
    #[sink(topic = "out")]
    f: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct BehindCount {
    #[source(topic = "in")]
    input: KStream<Text, Text>,
    #[from(input.group_by_key().count())]
    n: KTable<String, i64>,
    #[from(n.try_map_values(|n| if n % 3 == 0 { Err("x") } else { Ok(format!("n{n}")) }))]
    #[sink(topic = "out")]
    shown: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Regrouped {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.group_by(|k, v| (if k.as_str() < "c" { "low" } else { "high" }.to_owned(), v.clone()), name = "by").try_aggregate(
        String::new,
        |_, v, a: String| Ok::<_, &str>(last12(&format!("{a}+{}", checked(v)?))),
        |_, v, a: String| Ok::<_, &str>(last12(&format!("{a}-{v}"))),
    ))]
    #[sink(topic = "out")]
    r: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct StreamTable {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Text, Text>,
    #[source(topic = "right", partitions = 1)]
    #[store]
    t: KTable<String, String>,
    #[from(left.try_join(t, |l, r| joined(&l, Some(r))))]
    #[sink(topic = "out")]
    out: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct StreamStream {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Text, Text>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Text, Text>,
    #[from(left.try_join(right, |l, r| joined(l, Some(r)), within("10ms"), grace("5ms")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

macro_rules! tables {
    ($name:ident [$(#[$kept:meta])*] $($chain:tt)*) => {
        #[topology(application_id = "vec")]
        struct $name {
            #[source(topic = "left", partitions = 1)]
            #[store]
            l: KTable<String, String>,
            #[source(topic = "right", partitions = 1)]
            #[store]
            r: KTable<String, String>,
            #[from(l.$($chain)*)]
            $(#[$kept])*
            #[sink(topic = "out")]
            j: KTable<String, String>,
        }
    };
}

tables!(TableTable [] try_left_join(r, |l, r| joined(l, r)));
tables!(TableTableStore [#[store]] try_join(r, |l, r| joined(l, Some(r))));
tables!(ForeignJoiner [#[store]] try_left_join_on(
    r,
    |_, row| row.split_once('/').map(|(key, _)| key.to_owned()),
    |l, r| joined(l, r),
    name = "joined",
));

#[topology(application_id = "vec")]
struct Global {
    #[source(topic = "left")]
    left: KStream<Text, Text>,
    #[source(topic = "right")]
    #[store]
    gt: GlobalKTable<String, String>,
    #[from(left.try_join(gt, |k, _| k.clone(), |l, r| joined(&l, Some(r))))]
    #[sink(topic = "out")]
    out: KStream<Text, String>,
}

#[topology(application_id = "vec")]
struct Process {
    #[source(topic = "in")]
    input: KStream<Text, Text>,
    #[from(input.process(Failing::new()))]
    #[sink(topic = "out")]
    out: KStream<Text, String>,
}

/// Fails on some records, after it forwarded something, and in some of its punctuations.
#[processor(out = (Text, String), punctuate(stream_time = "20ms", call = tick))]
struct Failing {
    #[default]
    fired: u32,
}

impl Failing {
    fn tick(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        let tick = |value: &str| Record::new(Some("tick".to_owned()), value.to_owned(), now);
        cx.forward(tick(&format!("before{}", self.fired)))?;
        self.fired += 1;
        if self.fired.is_multiple_of(3) {
            return Err(ProcessingError::new("tick"));
        }
        cx.forward(tick("after"))
    }
}

impl Processor<Text, Text> for Failing {
    fn process(
        &mut self,
        record: Record<Text, Text>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let value = text(record.value.clone());
        cx.forward(record.clone().with_value(format!("{value}?")))?;
        let value = checked(value).map_err(ProcessingError::new)?;
        cx.forward(record.with_value(value + "!"))
    }
}

#[topology(application_id = "vec")]
struct ReadTable {
    #[source(topic = "in")]
    #[store]
    #[sink(topic = "out")]
    t: KTable<String, i64>,
}

#[topology(application_id = "vec", optimization = "all")]
struct ReadTableOptimized {
    #[source(topic = "in")]
    #[store]
    #[sink(topic = "out")]
    t: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct ReadWindow {
    #[source(topic = "in")]
    input: KStream<Text, Option<i64>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    #[sink(topic = "out")]
    w: KTable<Windowed<String>, i64>,
}

#[topology(application_id = "vec")]
struct ReadGlobal {
    #[source(topic = "left")]
    left: KStream<Text, Text>,
    #[source(topic = "right")]
    #[store]
    gt: GlobalKTable<String, i64>,
    #[from(left.left_join(gt, |k, _| k.clone(), |v, n| format!("{v}/{}", n.map_or("null".to_owned(), i64::to_string))))]
    #[sink(topic = "out")]
    out: KStream<Text, String>,
}

#[topology(application_id = "vec")]
struct ReadCount {
    #[source(topic = "in")]
    input: KStream<Text, Option<i64>>,
    #[from(input.group_by_key().count())]
    #[sink(topic = "out")]
    n: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct ReadTwoTopics {
    #[source(topics("in", "other"))]
    #[sink(topic = "out")]
    input: KStream<Text, Option<i64>>,
}
