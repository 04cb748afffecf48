//! What Kafka's own test driver does and no scenario shows: one stream time, the order of sessions in memory, late deletes, and what a
//! sink's closure is told.

use kstreams::Topology as _;
use kstreams::VersionedStore;
use kstreams::prelude::*;
use kstreams::test_driver::TestDriverOptions;

use crate::read;

#[topology(application_id = "contexts")]
struct Contexts {
    #[source(topics("a", "b"), partitions = 1)]
    #[sink(topic = |key, _, context| match context.headers.last("to") {
        Some(_) => format!("to-{key}"),
        None => format!("{}-{}-{}", context.topic.unwrap_or("none"), context.offset, context.timestamp),
    })]
    input: KStream<String, String>,
}

#[test]
fn a_sink_s_closure_is_told_where_a_record_comes_from() -> kstreams::Result {
    let t = Contexts::builder().test_driver()?;
    t.pipe_raw("a", Some(b"k"), Some(b"v"), 5, Headers::new())?;
    t.pipe_raw("b", Some(b"k"), Some(b"v"), 6, Headers::new())?;
    let mut headers = Headers::new();
    headers.add("to", "x");
    t.pipe_raw("b", Some(b"k"), Some(b"v"), 7, headers)?;
    assert_eq!(read(&t, "a-0-5"), ["k=v@5"]);
    assert_eq!(read(&t, "b-0-6"), ["k=v@6"]);
    assert_eq!(read(&t, "to-k"), ["k=v@7"]);
    Ok(())
}

#[topology(application_id = "declared")]
struct Declared {
    #[source(topic = "in", partitions = 1)]
    #[sink(
        topic = |_, _, context| if context.timestamp < 10 { When::Early } else { When::Late },
        topics(enum When { Early = "early", Late = "late" }),
        partitions = 2,
        partitioner = |_, _, _, _| 1
    )]
    input: KStream<String, String>,
}

#[test]
fn a_closure_that_is_told_more_chooses_among_declared_topics() -> kstreams::Result {
    let t = Declared::builder().test_driver()?;
    t.input.send("k", "v").at(9);
    t.input.send("k", "v").at(10);
    assert_eq!(read(&t, When::Early.name()), ["k=v@9"]);
    assert_eq!(t.read_with_partitions(When::Late.name())?[0].0, 1);
    Ok(())
}

#[topology(application_id = "ticking")]
struct Ticking {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, String>,
    #[from(input.filter(|_, v| v != "drop").select_key(|_, v| v.clone()).repartition(name = "by-value"))]
    by_value: KStream<String, String>,
    #[from(by_value.process(Ticks::new()))]
    #[sink(topic = "out")]
    ticks: KStream<String, String>,
}

#[processor(out = (String, String), punctuate(stream_time = "10ms", call = tick))]
struct Ticks;

impl Ticks {
    fn tick(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        let time = cx.stream_time().to_string();
        cx.forward(Record::new("tick".to_owned(), time, now))
    }
}

impl Processor<String, String> for Ticks {
    fn process(
        &mut self,
        record: Record<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        cx.forward(record)
    }
}

/// Records that never get behind the repartition topic move its punctuators on: there is one task, as in Kafka's test driver.
#[test]
fn a_driver_like_kafkas_has_one_stream_time() -> kstreams::Result {
    let t = Ticking::builder().test_driver()?;
    t.reset(TestDriverOptions::like_topology_test_driver())?;
    t.input.send("k", "a").at(3);
    t.input.send("k", "drop").at(25);
    assert_eq!(read(&t, "out"), ["tick=3@3", "a=a@3", "tick=25@25"]);
    Ok(())
}

#[topology(application_id = "stores")]
struct Stores {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, String>,
    #[from(input.process(Commands::new()))]
    #[sink(topic = "out")]
    answers: KStream<String, String>,
}

#[processor(out = (String, String))]
struct Commands {
    #[store(retention = "10ms")]
    versions: VersionedStore<String, Option<String>>,
    #[store(kind = memory, retention = "1m")]
    sessions: SessionStore<String, String>,
}

impl Processor<String, String> for Commands {
    fn process(
        &mut self,
        record: Record<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let (key, value) = (&record.key, Some(record.value.clone()));
        let shown = match record.value.as_str() {
            "delete" => match self.versions.delete(key, record.timestamp, cx)? {
                None => "nothing".to_owned(),
                Some(was) => was.value.unwrap_or_default(),
            },
            "sessions" => {
                for start in [1, 2, 3] {
                    self.sessions.put(key, start, 5, &start.to_string(), cx)?;
                }
                let found = [
                    self.sessions.fetch(key, cx)?,
                    self.sessions.backward_fetch(key, cx)?,
                ];
                found
                    .concat()
                    .iter()
                    .map(|session| session.value.as_str())
                    .collect()
            }
            _ => {
                self.versions.put(key, &value, record.timestamp, cx)?;
                return Ok(());
            }
        };
        cx.forward(record.with_value(shown))
    }
}

#[test]
fn a_delete_that_is_too_late_ends_and_tells_nothing() -> kstreams::Result {
    let t = Stores::builder().test_driver()?;
    t.input.send("a", "old").at(1);
    t.input.send("b", "new").at(50);
    t.input.send("a", "delete").at(20);
    t.input.send("a", "delete").at(45);
    assert_eq!(read(&t, "out"), ["a=nothing@20", "a=old@45"]);
    Ok(())
}

#[test]
fn sessions_in_memory_of_one_end_come_by_their_starts_the_other_way_round() -> kstreams::Result {
    let t = Stores::builder().test_driver()?;
    t.input.send("a", "sessions").at(1);
    assert_eq!(read(&t, "out"), ["a=321123@1"]);
    let entries = t.store_entries("answers-sessions")?;
    let values: Vec<&[u8]> = entries.iter().map(|entry| &*entry.value).collect();
    assert_eq!(values, [b"3", b"2", b"1"]);
    Ok(())
}

macro_rules! held {
    ($name:ident $($attribute:tt)*) => {
        #[topology(application_id = "held")]
        struct $name {
            #[source(topic = "in", partitions = 1)]
            #[store]
            table: KTable<String, String>,
            #[from(table.suppress(until_time_limit("10ms")))]
            #[store($($attribute)*)]
            #[sink(topic = "out")]
            rare: KTable<String, String>,
        }
    };
}
held!(Unlogged changelog = false);
held!(Kept);

/// What is about the buffer alone makes no store of what was sent.
#[test]
fn an_attribute_about_a_buffer_s_changelog_makes_no_store() {
    let names = |stores: &'static [kstreams::descriptor::StoreDescriptor]| {
        stores.iter().map(|store| store.name).collect::<Vec<_>>()
    };
    assert_eq!(names(Unlogged::TOPOLOGY.stores), ["table", "rare-store"]);
    assert_eq!(names(Kept::TOPOLOGY.stores).len(), 3);
}
