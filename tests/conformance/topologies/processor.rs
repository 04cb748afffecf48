//! `papi-*` and what else needs the Processor API.

use std::fmt::Write as _;

use kstreams::WindowEntry;
use kstreams::prelude::*;

use super::{Entry, entry};
use crate::effects::log;

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("papi-word-count", WordCount),
        entry!("papi-kv-store-operations", KvStoreOperations),
        entry!("papi-chain-depth-first", ChainDepthFirst),
        entry!("papi-current-times", CurrentTimes),
        entry!("papi-fixed-key-processor", FixedKey),
        entry!("papi-named-children", NamedChildren),
        entry!("papi-punctuate-stream-time", PunctuateStreamTime).forgetting(),
        entry!("papi-punctuate-wall-clock", PunctuateWallClock).forgetting(),
        entry!("papi-punctuate-both-cancel", PunctuateBothCancel).forgetting(),
        entry!("seed-punctuate-interval", PunctuateInterval).forgetting(),
        entry!("stateless-process-headers", ProcessHeaders),
        entry!("papi-window-store", Windows),
        entry!("papi-session-store", Sessions),
        entry!("papi-versioned-store", Versions),
        entry!("papi-global-store", GlobalStore),
    ]
}

type Text = Option<String>;

fn shown(value: Option<&str>) -> &str {
    value.unwrap_or("null")
}

#[topology(application_id = "vec")]
struct WordCount {
    #[source(topic = "in")]
    input: KStream<Text, Text>,
    #[from(input.process(CountWords::new()))]
    #[sink(topic = "out")]
    words: KStream<String, String>,
}

#[processor(out = (String, String))]
struct CountWords {
    #[store(name = "counts")]
    counts: KeyValueStore<String, i64>,
}

impl Processor<Text, Text> for CountWords {
    fn process(
        &mut self,
        record: Record<Text, Text>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let line = record.value.clone().unwrap_or_default();
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            let word = word.to_owned();
            let count = self.counts.get(&word, cx)?.unwrap_or(0) + 1;
            self.counts.put(&word, &count, cx)?;
            cx.forward(record.clone().with_key(word).with_value(count.to_string()))?;
        }
        Ok(())
    }
}

#[topology(application_id = "vec")]
struct KvStoreOperations {
    #[source(topic = "in")]
    input: KStream<Text, Text>,
    #[from(input.process(KvCommands::new()))]
    #[sink(topic = "out")]
    answers: KStream<Text, Text>,
}

#[processor(out = (Text, Text))]
struct KvCommands {
    #[store(name = "kv")]
    kv: KeyValueStore<String, String>,
}

impl KvCommands {
    fn answer(
        &self,
        command: &str,
        value: &str,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult<Text> {
        let pair = |mark: char| {
            let (a, b) = value.split_once(mark).unwrap_or((value, ""));
            (a.to_owned(), b.to_owned())
        };
        let bounds = || {
            use std::ops::Bound::{Included, Unbounded};
            let (from, to) = pair(':');
            let bound = |key: String| {
                if key.is_empty() {
                    Unbounded
                } else {
                    Included(key)
                }
            };
            (bound(from), bound(to))
        };
        let entries = match command {
            "put" => {
                let (key, value) = pair('=');
                self.kv.put(&key, &value, cx)?;
                return Ok(Some("ok".to_owned()));
            }
            "get" => return self.kv.get(&value.to_owned(), cx),
            "del" => return self.kv.delete(&value.to_owned(), cx),
            "pia" => {
                let (key, value) = pair('=');
                return self.kv.put_if_absent(&key, &value, cx);
            }
            "count" => return Ok(Some(self.kv.approximate_num_entries(cx)?.to_string())),
            "range" => self.kv.range(bounds())?,
            "rrange" => self.kv.reverse_range(bounds())?,
            "all" => self.kv.all()?,
            "rall" => self.kv.reverse_all()?,
            "prefix" => self.kv.prefix_scan(&value.to_owned())?,
            other => return Err(ProcessingError::new(format!("no command {other}"))),
        };
        let entries = entries.collect(cx)?;
        let shown: Vec<String> = entries.iter().map(|(k, v)| format!("{k}={v}")).collect();
        Ok(Some(shown.join(";")))
    }
}

impl Processor<Text, Text> for KvCommands {
    fn process(
        &mut self,
        record: Record<Text, Text>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let command = record.key.clone().unwrap_or_default();
        let value = record.value.clone().unwrap_or_default();
        let answer = self.answer(&command, &value, cx)?;
        cx.forward(record.with_value(answer))
    }
}

#[topology(application_id = "vec")]
struct ChainDepthFirst {
    #[source(topic = "in")]
    input: KStream<Text, String>,
    #[from(input.process(Twice::new("1")))]
    p1: KStream<Text, String>,
    #[from(p1.process(Twice::new("2")))]
    #[sink(topic = "out")]
    p2: KStream<Text, String>,
    #[from(p1.process(Third::new()))]
    #[sink(topic = "out")]
    p3: KStream<Text, String>,
}

#[processor(out = (Text, String))]
struct Twice {
    name: &'static str,
}

impl Processor<Text, String> for Twice {
    fn process(
        &mut self,
        record: Record<Text, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let (name, value) = (self.name, record.value.clone());
        log(format!("p{name} in {value}"));
        for letter in ["a", "b"] {
            cx.forward(record.clone().with_value(format!("{value}{name}{letter}")))?;
        }
        log(format!("p{name} out {value}"));
        Ok(())
    }
}

#[processor(out = (Text, String))]
struct Third;

impl Processor<Text, String> for Third {
    fn process(
        &mut self,
        record: Record<Text, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        log(format!("p3 {}", record.value));
        let value = format!("{}3", record.value);
        cx.forward(record.with_value(value))
    }
}

#[topology(application_id = "vec")]
struct CurrentTimes {
    #[source(topic = "in")]
    input: KStream<Text, Text>,
    #[from(input.process(Times::new()))]
    #[sink(topic = "out")]
    times: KStream<Text, String>,
}

#[processor(out = (Text, String))]
struct Times;

impl Processor<Text, Text> for Times {
    fn process(
        &mut self,
        record: Record<Text, Text>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let mut text = format!("{},{}", cx.stream_time(), cx.system_time());
        if let Some(from) = cx.metadata() {
            let _ = write!(text, ",{}-{}-{}", from.topic, from.partition, from.offset);
        }
        cx.forward(record.with_value(text))
    }
}

#[topology(application_id = "vec")]
struct FixedKey {
    #[source(topic = "in", partitions = 1)]
    input: KStream<Text, Text>,
    #[from(input.process_values(Previous::new()))]
    pairs: KStream<Text, String>,
    #[from(pairs.group_by_key().count())]
    #[store(name = "n")]
    counts: KTable<String, i64>,
    #[from(counts.to_stream().map_values(|n| n.to_string()))]
    #[sink(topic = "out")]
    out: KStream<String, String>,
}

#[processor(fixed_key, out = (Text, String))]
struct Previous {
    #[store(name = "last")]
    last: KeyValueStore<String, Text>,
}

impl FixedKeyProcessor<Text, Text> for Previous {
    fn process(
        &mut self,
        record: FixedKeyRecord<Text, Text>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let key = record
            .key()
            .clone()
            .ok_or_else(|| ProcessingError::new("no key"))?;
        let before = self.last.get(&key, cx)?.flatten();
        self.last.put(&key, &record.value, cx)?;
        if record.value.as_deref() == Some("drop") {
            return Ok(());
        }
        let pair = format!(
            "{}>{}",
            shown(before.as_deref()),
            shown(record.value.as_deref())
        );
        cx.forward(record.with_value(pair))
    }
}

#[topology(application_id = "vec")]
struct NamedChildren {
    #[source(topic = "in")]
    input: KStream<Text, Text>,
    #[from(input.process(Router::new()))]
    router: (),
    #[from(router.even.process(Prefix::new("even")))]
    #[sink(topic = "even")]
    even: KStream<Text, String>,
    #[from(router.odd.process(Prefix::new("odd")))]
    #[sink(topic = "odd")]
    odd: KStream<Text, String>,
    #[from(router.all)]
    #[sink(topic = "all")]
    all: KStream<Text, Text>,
}

#[processor(out(even = (Text, String), all = (Text, Text), odd = (Text, String)))]
struct Router;

impl Processor<Text, Text> for Router {
    fn process(
        &mut self,
        record: Record<Text, Text>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let Some(value) = record.value.clone() else {
            return cx.forward_to(Self::ALL, record);
        };
        let named = record.clone().with_value(value.clone());
        if value == "both" {
            cx.forward_to(Self::EVEN, named.clone())?;
            cx.forward_to(Self::ODD, named)?;
            cx.forward_to(Self::ALL, record)
        } else if value.encode_utf16().count() % 2 == 0 {
            cx.forward_to(Self::EVEN, named)
        } else {
            cx.forward_to(Self::ODD, named)
        }
    }
}

#[processor(out = (Text, String))]
struct Prefix {
    name: &'static str,
}

impl Processor<Text, String> for Prefix {
    fn process(
        &mut self,
        record: Record<Text, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        log(format!("{} {}", self.name, record.value));
        let value = format!("{}:{}", self.name, record.value);
        cx.forward(record.with_value(value))
    }
}

#[topology(application_id = "vec")]
struct PunctuateStreamTime {
    #[source(topic = "in")]
    input: KStream<String, Text>,
    #[from(input.process(TickCounts::new()))]
    #[sink(topic = "out")]
    counts: KStream<String, String>,
}

#[processor(out = (String, String), punctuate(stream_time = "10ms", call = flush))]
struct TickCounts {
    #[store(name = "kv")]
    counts: KeyValueStore<String, i64>,
}

impl TickCounts {
    fn flush(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        let mut entries = self.counts.all()?;
        while let Some((key, count)) = entries.next(cx)? {
            cx.forward(Record::new(key, count.to_string(), now))?;
        }
        cx.forward(Record::new("tick".to_owned(), now.to_string(), now))
    }
}

impl Processor<String, Text> for TickCounts {
    fn process(
        &mut self,
        record: Record<String, Text>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let count = self.counts.get(&record.key, cx)?.unwrap_or(0) + 1;
        self.counts.put(&record.key, &count, cx)
    }
}

#[topology(application_id = "vec")]
struct PunctuateWallClock {
    #[source(topic = "in")]
    input: KStream<Text, Text>,
    #[from(input.process(BufferKeys::new()))]
    #[sink(topic = "out")]
    keys: KStream<String, String>,
}

#[processor(out = (String, String), punctuate(wall_clock = "100ms", call = flush))]
struct BufferKeys {
    #[default]
    keys: Vec<String>,
}

impl BufferKeys {
    fn flush(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        let keys = std::mem::take(&mut self.keys).join(",");
        cx.forward(Record::new(keys, now.to_string(), now))
    }
}

impl Processor<Text, Text> for BufferKeys {
    fn process(
        &mut self,
        record: Record<Text, Text>,
        _: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        self.keys.push(shown(record.key.as_deref()).to_owned());
        Ok(())
    }
}

#[topology(application_id = "vec")]
struct PunctuateBothCancel {
    #[source(topic = "in")]
    input: KStream<Text, Text>,
    #[from(input.process(Clocks::new()))]
    #[sink(topic = "out")]
    out: KStream<String, Text>,
}

#[processor(out = (String, Text))]
struct Clocks {
    #[punctuate(stream_time = "20ms", call = on_stream)]
    stream: Punctuator,
    #[punctuate(wall_clock = "1s", call = on_wall)]
    wall: Punctuator,
    #[default]
    fired: u32,
}

impl Clocks {
    fn on_stream(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        cx.forward(Record::new("s".to_owned(), Some(now.to_string()), now))
    }

    fn on_wall(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        self.fired += 1;
        if self.fired == 2 {
            self.wall.cancel(cx);
        }
        cx.forward(Record::new("w".to_owned(), Some(now.to_string()), now))
    }

    fn on_more(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        cx.forward(Record::new("m".to_owned(), Some(now.to_string()), now))
    }
}

impl Processor<Text, Text> for Clocks {
    fn process(
        &mut self,
        record: Record<Text, Text>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        match record.value.as_deref() {
            Some("stop") => self.stream.cancel(cx),
            Some("more") => {
                let when = Punctuation::stream_time(std::time::Duration::from_millis(5));
                cx.schedule(when, Self::on_more)?;
            }
            _ => {}
        }
        cx.forward(record.with_key("r".to_owned()))
    }
}

#[topology(application_id = "vec")]
struct PunctuateInterval {
    #[source(topic = "readings")]
    readings: KStream<String, i64>,
    #[from(readings.process(Averages::new()))]
    #[sink(topic = "averages")]
    averages: KStream<String, String>,
}

#[processor(out = (String, String), punctuate(wall_clock = "1s", call = flush))]
struct Averages {
    #[store(name = "acc")]
    acc: KeyValueStore<String, String>,
}

impl Averages {
    fn flush(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        let mut entries = self.acc.all()?;
        while let Some((key, sums)) = entries.next(cx)? {
            self.acc.delete(&key, cx)?;
            cx.forward(Record::new(key, sums, now))?;
        }
        Ok(())
    }
}

impl Processor<String, i64> for Averages {
    fn process(
        &mut self,
        record: Record<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let before = self
            .acc
            .get(&record.key, cx)?
            .unwrap_or_else(|| "0/0".to_owned());
        let (sum, count) = before.split_once('/').unwrap_or_default();
        let (sum, count): (i64, i64) = (sum.parse()?, count.parse()?);
        let now = format!("{}/{}", sum + record.value, count + 1);
        self.acc.put(&record.key, &now, cx)
    }
}

#[topology(application_id = "vec")]
struct ProcessHeaders {
    #[source(topic = "in")]
    input: KStream<Text, Text>,
    #[from(input.process(MarkHeaders::new()))]
    #[sink(topic = "out")]
    out: KStream<Text, Text>,
}

#[processor(out = (Text, Text))]
struct MarkHeaders;

impl Processor<Text, Text> for MarkHeaders {
    fn process(
        &mut self,
        record: Record<Text, Text>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let seen = match &record.value {
            Some(value) => value.encode_utf16().count().to_string(),
            None => "null".to_owned(),
        };
        let mut record = record;
        record.headers.remove("drop");
        record.headers.add("seen", seen);
        let mut copy = record.clone();
        cx.forward(record)?;
        copy.headers.add("copy", "1");
        copy.key = Some(format!("{}2", shown(copy.key.as_deref())));
        copy.timestamp += 100;
        cx.forward(copy)
    }
}

#[topology(application_id = "vec")]
struct Windows {
    #[source(topic = "in")]
    input: KStream<String, Text>,
    #[from(input.process(WindowCommands::new()))]
    #[sink(topic = "out")]
    answers: KStream<String, Text>,
}

#[processor(out = (String, Text))]
struct WindowCommands {
    #[store(name = "ws", window_size = "10ms", retention = "60s")]
    windows: WindowStore<String, String>,
}

/// `a:b` as two times.
fn two_times(text: &str) -> ProcessingResult<(Timestamp, Timestamp)> {
    let (from, to) = text.split_once(':').unwrap_or_default();
    Ok((from.parse()?, to.parse()?))
}

/// `k1,k2:a:b` as two keys and two times.
fn keys_and_times(text: &str) -> ProcessingResult<((String, String), (Timestamp, Timestamp))> {
    let (keys, times) = text.split_once(':').unwrap_or_default();
    let (from, to) = keys.split_once(',').unwrap_or_default();
    Ok(((from.to_owned(), to.to_owned()), two_times(times)?))
}

impl WindowCommands {
    fn answer(
        &self,
        key: &String,
        command: &str,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult<Text> {
        let (command, rest) = command.split_once(':').unwrap_or((command, ""));
        let of_key = |found: Vec<WindowEntry<String, String>>| {
            let shown = found.iter().map(|w| format!("{}={}", w.start, w.value));
            Some(shown.collect::<Vec<_>>().join(";"))
        };
        let of_all = |found: Vec<WindowEntry<String, String>>| {
            let shown = found
                .iter()
                .map(|w| format!("{}@{}={}", w.key, w.start, w.value));
            Some(shown.collect::<Vec<_>>().join(";"))
        };
        Ok(match command {
            "fetch" => {
                let (from, to) = two_times(rest)?;
                of_key(self.windows.fetch(key, from..=to, cx)?)
            }
            "back" => {
                let (from, to) = two_times(rest)?;
                of_key(self.windows.backward_fetch(key, from..=to, cx)?)
            }
            "at" => self.windows.fetch_at(key, rest.parse()?, cx)?,
            "all" => of_all(self.windows.all(cx)?),
            "range" => {
                let ((first, last), (from, to)) = keys_and_times(rest)?;
                of_all(self.windows.fetch_range(first..=last, from..=to, cx)?)
            }
            "fetchall" => {
                let (from, to) = two_times(rest)?;
                of_all(self.windows.fetch_range(.., from..=to, cx)?)
            }
            other => return Err(ProcessingError::new(format!("no command {other}"))),
        })
    }
}

impl Processor<String, Text> for WindowCommands {
    fn process(
        &mut self,
        record: Record<String, Text>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let Some(value) = &record.value else {
            return self.windows.delete(&record.key, record.timestamp, cx);
        };
        let Some(command) = value.strip_prefix('?') else {
            return self.windows.put(&record.key, value, record.timestamp, cx);
        };
        let answer = self.answer(&record.key, command, cx)?;
        cx.forward(record.with_value(answer))
    }
}

#[topology(application_id = "vec")]
struct Sessions {
    #[source(topic = "in")]
    input: KStream<String, String>,
    #[from(input.process(SessionCommands::new()))]
    #[sink(topic = "out")]
    answers: KStream<String, Text>,
}

#[processor(out = (String, Text))]
struct SessionCommands {
    #[store(name = "ss", retention = "60s")]
    sessions: SessionStore<String, String>,
}

impl SessionCommands {
    fn answer(
        &self,
        key: &String,
        command: &str,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult<Text> {
        let (command, rest) = command.split_once(':').unwrap_or((command, ""));
        let found = match command {
            "find" => {
                let (from, to) = two_times(rest)?;
                self.sessions.find_sessions(key, from, to, cx)?
            }
            "bfind" => {
                let (from, to) = two_times(rest)?;
                self.sessions.backward_find_sessions(key, from, to, cx)?
            }
            "range" => {
                let ((first, last), (from, to)) = keys_and_times(rest)?;
                self.sessions.find_sessions_of(first..=last, from, to, cx)?
            }
            "one" => {
                let (start, end) = two_times(rest)?;
                return self.sessions.fetch_session(key, start, end, cx);
            }
            "key" => self.sessions.fetch(key, cx)?,
            other => return Err(ProcessingError::new(format!("no command {other}"))),
        };
        let shown = found
            .iter()
            .map(|s| format!("{}[{},{}]={}", s.key, s.start, s.end, s.value));
        Ok(Some(shown.collect::<Vec<_>>().join(";")))
    }
}

impl Processor<String, String> for SessionCommands {
    fn process(
        &mut self,
        record: Record<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let key = &record.key;
        let answer = match record.value.strip_prefix('?') {
            Some(command) => self.answer(key, command, cx)?,
            None => {
                let parts: Vec<&str> = record.value.split(':').collect();
                let [start, end, value] = parts[..] else {
                    return Err(ProcessingError::new("no session"));
                };
                let (start, end) = (start.parse()?, end.parse()?);
                match value {
                    "-" => self.sessions.remove(key, start, end, cx)?,
                    value => self.sessions.put(key, start, end, &value.to_owned(), cx)?,
                }
                Some("ok".to_owned())
            }
        };
        cx.forward(record.with_value(answer))
    }
}

#[topology(application_id = "vec")]
struct Versions {
    #[source(topic = "in")]
    input: KStream<String, String>,
    #[from(input.process(VersionCommands::new()))]
    #[sink(topic = "out")]
    answers: KStream<String, String>,
}

#[processor(out = (String, String))]
struct VersionCommands {
    #[store(name = "vs", retention = "100ms")]
    versions: VersionedStore<String, Text>,
}

impl Processor<String, String> for VersionCommands {
    fn process(
        &mut self,
        record: Record<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let (key, versions) = (&record.key, &self.versions);
        let (command, time) = record.value.split_once(':').unwrap_or((&record.value, "0"));
        let found = match command {
            "?get" => versions.get(key, cx)?,
            "?asof" => versions.get_as_of(key, time.parse()?, cx)?,
            "?del" => versions.delete(key, time.parse()?, cx)?,
            value => {
                let value = Some(value.to_owned()).filter(|value| value != "null");
                let put = match versions.put(key, &value, record.timestamp, cx)? {
                    kstreams::Placed::Latest => "put:-1".to_owned(),
                    kstreams::Placed::Until(until) => format!("put:{until}"),
                    kstreams::Placed::TooOld => "put:rejected".to_owned(),
                };
                return cx.forward(record.with_value(put));
            }
        };
        let text = match found {
            Some(found) => format!("{}@{}..", shown(found.value.as_deref()), found.valid_from),
            None => "null".to_owned(),
        };
        cx.forward(record.with_value(text))
    }
}

#[topology(application_id = "vec")]
struct GlobalStore {
    #[source(topic = "g", global, process = UpperCase::new())]
    #[store(kind = memory)]
    gs: KeyValueStore<String, String>,
    #[source(topic = "in")]
    input: KStream<String, String>,
    #[from(input.process(LookUp::new(), stores(gs)))]
    #[sink(topic = "out")]
    found: KStream<String, String>,
}

#[processor]
struct UpperCase {
    #[store(shared)]
    gs: KeyValueStore<String, String>,
}

impl Processor<String, Text> for UpperCase {
    fn process(
        &mut self,
        record: Record<String, Text>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        match record.value {
            Some(value) => self.gs.put(&record.key, &value.to_uppercase(), cx),
            None => self.gs.delete(&record.key, cx).map(drop),
        }
    }
}

#[processor(out = (String, String))]
struct LookUp {
    #[store(shared)]
    gs: ReadOnlyKeyValueStore<String, String>,
}

impl Processor<String, String> for LookUp {
    fn process(
        &mut self,
        record: Record<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let found = self.gs.get(&record.value, cx)?;
        cx.forward(record.with_value(found.unwrap_or_else(|| "miss".to_owned())))
    }
}
