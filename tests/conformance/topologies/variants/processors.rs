//! Processors that read and write their stores as their input says, and processors with punctuators.

use std::ops::Bound;
use std::time::Duration;

use kstreams::prelude::*;
use kstreams::{ProcessorContext, ValueAndTimestamp, VersionedStore, WindowEntry};

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("papi-v-kv", Kv),
        entry!("papi-v-kv-memory", KvMemory),
        entry!("papi-v-timestamped", Timestamped),
        entry!("papi-v-window", Window),
        entry!("papi-v-window-short", WindowShort),
        entry!("papi-v-window-memory", WindowMemory),
        entry!("papi-v-session", Session),
        entry!("papi-v-session-short", SessionShort),
        entry!("papi-v-session-memory", SessionMemory),
        entry!("papi-v-versioned", Versioned),
        entry!("papi-v-versioned-short", VersionedShort),
        entry!("papi-v-versioned-zero", VersionedZero),
        entry!("papi-v-punctuators", Punctuators).forgetting(),
        entry!(
            "papi-v-repartition-then-punctuate",
            RepartitionThenPunctuate
        )
        .forgetting(),
        entry!("papi-v-punctuate-then-count", PunctuateThenCount).forgetting(),
    ]
}

type Text = Option<String>;

/// A processor with a store, and the topology that feeds it.
macro_rules! commands {
    ($topology:ident, $processor:ident, [$($kept:tt)*] $store:ty, $run:ident) => {
        #[topology(application_id = "vec")]
        struct $topology {
            #[source(topic = "in")]
            input: KStream<String, String>,
            #[from(input.process($processor::new()))]
            #[sink(topic = "out")]
            out: KStream<String, Text>,
        }

        #[processor(out = (String, Text))]
        struct $processor {
            #[store(name = "s" $($kept)*)]
            store: $store,
        }

        impl Processor<String, String> for $processor {
            fn process(&mut self, record: Record<String, String>, cx: &mut Context<'_, Self>) -> ProcessingResult {
                let command: Vec<&str> = record.value.split(':').collect();
                let answer = $run(&self.store, &record, &command, cx)?;
                cx.forward(record.with_value(answer))
            }
        }
    };
}

commands!(Kv, KvCommands, [] KeyValueStore<String, String>, key_value);
commands!(KvMemory, KvMemoryCommands, [, kind = memory] KeyValueStore<String, String>, key_value);
commands!(Timestamped, TimestampedCommands, [] TimestampedKeyValueStore<String, String>, timestamped);
commands!(Window, WindowCommands, [, window_size = "10ms", retention = "60s"] WindowStore<String, String>, window);
commands!(WindowShort, WindowShortCommands, [, window_size = "10ms", retention = "30ms"] WindowStore<String, String>, window);
commands!(WindowMemory, WindowMemoryCommands, [, window_size = "10ms", retention = "30ms", kind = memory] WindowStore<String, String>, window);
commands!(Session, SessionCommands, [, retention = "60s"] SessionStore<String, String>, session);
commands!(SessionShort, SessionShortCommands, [, retention = "30ms"] SessionStore<String, String>, session);
commands!(SessionMemory, SessionMemoryCommands, [, retention = "30ms", kind = memory] SessionStore<String, String>, session);
commands!(Versioned, VersionedCommands, [, retention = "1s"] VersionedStore<String, Text>, versioned);
commands!(VersionedShort, VersionedShortCommands, [, retention = "20ms"] VersionedStore<String, Text>, versioned);
commands!(VersionedZero, VersionedZeroCommands, [, retention = "0ms"] VersionedStore<String, Text>, versioned);

fn bound(command: &[&str], at: usize) -> Bound<String> {
    match command.get(at) {
        None | Some(&"") => Bound::Unbounded,
        Some(key) => Bound::Included((*key).to_owned()),
    }
}

fn keys(command: &[&str]) -> (Bound<String>, Bound<String>) {
    (bound(command, 1), bound(command, 2))
}

fn time(command: &[&str], at: usize) -> ProcessingResult<Timestamp> {
    Ok(command.get(at).unwrap_or(&"").parse::<Timestamp>()?.max(0))
}

fn times(command: &[&str], at: usize) -> ProcessingResult<std::ops::RangeInclusive<Timestamp>> {
    Ok(time(command, at)?..=time(command, at + 1)?)
}

fn ok() -> ProcessingResult<Text> {
    Ok(Some("ok".to_owned()))
}

fn key_value(
    store: &KeyValueStore<String, String>,
    record: &Record<String, String>,
    command: &[&str],
    cx: &mut ProcessorContext<'_>,
) -> ProcessingResult<Text> {
    let key = &record.key;
    let entries = match command[0] {
        "get" => return store.get(key, cx),
        "del" => return store.delete(key, cx),
        "pia" => return store.put_if_absent(key, &command[1].to_owned(), cx),
        "range" => store.range(keys(command))?,
        "rrange" => store.reverse_range(keys(command))?,
        "all" => store.all()?,
        "rall" => store.reverse_all()?,
        "count" => return Ok(Some(store.all()?.collect(cx)?.len().to_string())),
        "prefix" => store.prefix_scan(&command[1].to_owned())?,
        _ => {
            store.put(key, &command[1].to_owned(), cx)?;
            return ok();
        }
    };
    let shown = entries
        .collect(cx)?
        .into_iter()
        .map(|(k, v)| format!("{k}={v}"));
    Ok(Some(shown.collect::<Vec<_>>().join(";")))
}

fn timestamped(
    store: &TimestampedKeyValueStore<String, String>,
    record: &Record<String, String>,
    command: &[&str],
    cx: &mut ProcessorContext<'_>,
) -> ProcessingResult<Text> {
    let key = &record.key;
    let shown = |value: Option<ValueAndTimestamp<String>>| {
        Some(value.map_or("null".to_owned(), |v| {
            format!("{}@{}", v.value, v.timestamp)
        }))
    };
    let stamped = |value: &str, timestamp| ValueAndTimestamp {
        value: value.to_owned(),
        timestamp,
    };
    let entries = match command[0] {
        "get" => return Ok(shown(store.get(key, cx)?)),
        "del" => return Ok(shown(store.delete(key, cx)?)),
        "pia" => {
            return Ok(shown(store.put_if_absent(
                key,
                &stamped(command[1], record.timestamp),
                cx,
            )?));
        }
        "range" => store.range(keys(command))?,
        "rrange" => store.reverse_range(keys(command))?,
        "all" => store.all()?,
        "rall" => store.reverse_all()?,
        "count" => return Ok(Some(store.all()?.collect(cx)?.len().to_string())),
        "prefix" => store.prefix_scan(&command[1].to_owned())?,
        _ => {
            store.put(key, &stamped(command[1], record.timestamp + 3), cx)?;
            return ok();
        }
    };
    let rows = entries.collect(cx)?.into_iter();
    let rows = rows.map(|(k, v)| format!("{k}={}@{}", v.value, v.timestamp));
    Ok(Some(rows.collect::<Vec<_>>().join(";")))
}

fn window(
    store: &WindowStore<String, String>,
    record: &Record<String, String>,
    command: &[&str],
    cx: &mut ProcessorContext<'_>,
) -> ProcessingResult<Text> {
    let key = &record.key;
    let of_key = |found: Vec<WindowEntry<String, String>>| {
        let shown = found.iter().map(|w| format!("{}={}", w.start, w.value));
        Ok(Some(shown.collect::<Vec<_>>().join(";")))
    };
    let found = match command[0] {
        "fetch" => return of_key(store.fetch(key, times(command, 1)?, cx)?),
        "back" => return of_key(store.backward_fetch(key, times(command, 1)?, cx)?),
        "at" => return store.fetch_at(key, time(command, 1)?, cx),
        "all" => store.all(cx)?,
        "ball" => store.backward_all(cx)?,
        "range" => store.fetch_range(keys(command), times(command, 3)?, cx)?,
        "brange" => store.backward_fetch_range(keys(command), times(command, 3)?, cx)?,
        "fetchall" => store.fetch_all(times(command, 1)?, cx)?,
        "bfetchall" => store.backward_fetch_all(times(command, 1)?, cx)?,
        "del" => {
            store.delete(key, record.timestamp, cx)?;
            return ok();
        }
        _ => {
            store.put(key, &command[1].to_owned(), record.timestamp, cx)?;
            return ok();
        }
    };
    let shown = found
        .iter()
        .map(|w| format!("{}@{}={}", w.key, w.start, w.value));
    Ok(Some(shown.collect::<Vec<_>>().join(";")))
}

fn session(
    store: &SessionStore<String, String>,
    record: &Record<String, String>,
    command: &[&str],
    cx: &mut ProcessorContext<'_>,
) -> ProcessingResult<Text> {
    let key = &record.key;
    let (first, second) = (time(command, 1), time(command, 2));
    let (third, fourth) = (time(command, 3), time(command, 4));
    let found = match command[0] {
        "find" => store.find_sessions(key, first?, second?, cx)?,
        "back" => store.backward_find_sessions(key, first?, second?, cx)?,
        "one" => return store.fetch_session(key, first?, second?, cx),
        "key" => store.fetch(key, cx)?,
        "bkey" => store.backward_fetch(key, cx)?,
        "range" => store.find_sessions_of(keys(command), third?, fourth?, cx)?,
        "brange" => store.backward_find_sessions_of(keys(command), third?, fourth?, cx)?,
        "keys" => store.fetch_range(keys(command), cx)?,
        "bkeys" => store.backward_fetch_range(keys(command), cx)?,
        "del" => {
            store.remove(key, first?, second?, cx)?;
            return ok();
        }
        _ => {
            store.put(key, first?, second?, &command[3].to_owned(), cx)?;
            return ok();
        }
    };
    let shown = found
        .iter()
        .map(|s| format!("{}[{},{}]={}", s.key, s.start, s.end, s.value));
    Ok(Some(shown.collect::<Vec<_>>().join(";")))
}

fn versioned(
    store: &VersionedStore<String, Text>,
    record: &Record<String, String>,
    command: &[&str],
    cx: &mut ProcessorContext<'_>,
) -> ProcessingResult<Text> {
    let key = &record.key;
    let found = match command[0] {
        "get" => store.get(key, cx)?,
        "asof" => store.get_as_of(key, time(command, 1)?, cx)?,
        "del" => store.delete(key, time(command, 1)?, cx)?,
        command_or_null => {
            let value = (command_or_null != "null").then(|| command[1].to_owned());
            return Ok(Some(
                match store.put(key, &value, record.timestamp, cx)? {
                    kstreams::Placed::Latest => "put:-1".to_owned(),
                    kstreams::Placed::Until(until) => format!("put:{until}"),
                    kstreams::Placed::TooOld => format!("put:{}", i64::MIN),
                },
            ));
        }
    };
    Ok(Some(match found {
        None => "null".to_owned(),
        // A processor of Kafka Streams is not told until when.
        Some(found) => format!(
            "{}@{}..",
            found.value.as_deref().unwrap_or("null"),
            found.valid_from
        ),
    }))
}

#[topology(application_id = "vec")]
struct Punctuators {
    #[source(topic = "in")]
    input: KStream<String, String>,
    #[from(input.process(Clocks::new()))]
    #[sink(topic = "out")]
    out: KStream<String, String>,
}

/// Schedules as it is told.
#[processor(out = (String, String))]
struct Clocks {
    #[default]
    scheduled: Vec<Punctuator>,
    #[default]
    count: usize,
}

/// Names of the punctuators: each has a function of its own, as a function knows no punctuator.
macro_rules! named {
    ($($function:ident)*) => {
        impl Clocks {
            $(fn $function(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
                let text = format!("{now}/{}/{}", cx.stream_time(), cx.system_time());
                cx.forward(Record::new(stringify!($function).to_owned(), text, now))
            })*

            fn schedule(&mut self, when: Punctuation, cx: &mut Context<'_, Self>) -> ProcessingResult {
                let mut n = 0;
                $(if n == self.count {
                    self.scheduled.push(cx.schedule(when, Self::$function)?);
                }
                n += 1;)*
                self.count += usize::from(n > self.count);
                Ok(())
            }
        }
    };
}
named!(p0 p1 p2 p3 p4 p5 p6 p7 p8 p9 p10 p11 p12 p13 p14 p15 p16 p17 p18 p19 p20 p21 p22 p23 p24 p25 p26 p27 p28 p29 p30 p31 p32 p33 p34 p35 p36 p37 p38 p39);

impl Processor<String, String> for Clocks {
    fn init(&mut self, cx: &mut InitContext<'_, Self>) -> ProcessingResult {
        self.scheduled
            .push(cx.schedule(Punctuation::stream_time(Duration::from_millis(7)), Self::p0)?);
        self.scheduled.push(cx.schedule(
            Punctuation::wall_clock(Duration::from_millis(200)),
            Self::p1,
        )?);
        self.count = 2;
        Ok(())
    }

    fn process(
        &mut self,
        record: Record<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        if self.scheduled.len() < 12 {
            if let Some(interval) = record.value.strip_prefix('s') {
                self.schedule(
                    Punctuation::stream_time(Duration::from_millis(interval.parse()?)),
                    cx,
                )?;
            } else if let Some(interval) = record.value.strip_prefix('w') {
                self.schedule(
                    Punctuation::wall_clock(Duration::from_millis(interval.parse()?)),
                    cx,
                )?;
            }
        }
        if record.value == "cancel" && !self.scheduled.is_empty() {
            self.scheduled.remove(0).cancel(cx);
        }
        cx.forward(record)
    }
}

#[topology(application_id = "vec")]
struct PunctuateThenCount {
    #[source(topic = "in")]
    input: KStream<Text, Text>,
    #[from(input.process(Flushing::new()))]
    counts: KStream<String, i64>,
    #[from(counts.group_by_key(name = "g").reduce(|a, b| a + b))]
    #[sink(topic = "out")]
    sum: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct RepartitionThenPunctuate {
    #[source(topic = "in")]
    input: KStream<Text, Text>,
    #[from(input.filter(|_, v| v.as_deref().is_some_and(|v| v < "4")).select_key(|_, v| v.clone()).repartition(name = "rp"))]
    by_value: KStream<String, Text>,
    #[from(by_value.process(FlushingKeyed::new()))]
    #[sink(topic = "out")]
    counts: KStream<String, i64>,
}

/// Counts keys, and sends and forgets the counts from time to time.
#[processor(
    out = (String, i64),
    punctuate(stream_time = "25ms", call = flush),
    punctuate(wall_clock = "500ms", call = flush_too),
)]
struct Flushing {
    #[store(name = "kv")]
    counts: KeyValueStore<String, i64>,
}

impl Flushing {
    fn flush(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        for (key, count) in self.counts.all()?.collect(cx)? {
            self.counts.delete(&key, cx)?;
            cx.forward(Record::new(key, count, now))?;
        }
        Ok(())
    }

    fn flush_too(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        self.flush(now, cx)
    }
}

impl Processor<Text, Text> for Flushing {
    fn process(
        &mut self,
        record: Record<Text, Text>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let Some(key) = record.key.clone() else {
            return cx.forward(record.with_key("nokey".to_owned()).with_value(1));
        };
        let before = self.counts.get(&key, cx)?.unwrap_or(0);
        self.counts.put(&key, &(before + 1), cx)
    }
}

#[processor(
    out = (String, i64),
    punctuate(stream_time = "25ms", call = flush),
    punctuate(wall_clock = "500ms", call = flush),
)]
struct FlushingKeyed {
    #[store(name = "kv")]
    counts: KeyValueStore<String, i64>,
}

impl FlushingKeyed {
    fn flush(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        for (key, count) in self.counts.all()?.collect(cx)? {
            self.counts.delete(&key, cx)?;
            cx.forward(Record::new(key, count, now))?;
        }
        Ok(())
    }
}

impl Processor<String, Text> for FlushingKeyed {
    fn process(
        &mut self,
        record: Record<String, Text>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let before = self.counts.get(&record.key, cx)?.unwrap_or(0);
        self.counts.put(&record.key, &(before + 1), cx)
    }
}
