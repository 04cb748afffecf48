//! A transformer's rows, looked up by joins where the table has no store: made by another transformer than the updates.

use kstreams::Topology as _;
use kstreams::prelude::*;
use kstreams::test_driver::TestDriverOptions;

/// Says how often it was called, and whether a record of a topic was at hand.
#[processor]
struct Counts {
    calls: u64,
}

impl ValueTransformer<String, String> for Counts {
    type Value = String;

    fn transform(
        &mut self,
        _: &String,
        value: Option<String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult<Option<String>> {
        self.calls += 1;
        let of_record = if cx.metadata().is_some() { "!" } else { "" };
        Ok(Some(match value {
            Some(value) => format!("{value}t{}{of_record}", self.calls),
            None => "none".to_owned(),
        }))
    }
}

/// The same, in a store.
#[processor]
struct CountsInStore {
    #[store]
    calls: KeyValueStore<String, i64>,
}

impl ValueTransformer<String, String> for CountsInStore {
    type Value = String;

    fn transform(
        &mut self,
        key: &String,
        value: Option<String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult<Option<String>> {
        let calls = self.calls.get(key, cx)?.unwrap_or(0) + 1;
        self.calls.put(key, &calls, cx)?;
        Ok(value.map(|value| format!("{value}t{calls}")))
    }
}

#[topology(application_id = "rows")]
struct Rows {
    #[source(topic = "records", partitions = 1)]
    records: KStream<String, String>,
    #[source(topic = "table", partitions = 1)]
    table: KTable<String, String>,
    #[source(topic = "left", partitions = 1)]
    left: KTable<String, String>,
    #[from(table.transform_values(Counts::new(0)))]
    counted: KTable<String, String>,
    #[from(counted.to_stream())]
    #[sink(topic = "updates")]
    updates: KStream<String, Option<String>>,
    #[from(records.left_join(counted, |r, c| format!("{r}+{}", c.map_or("null", String::as_str))))]
    #[sink(topic = "joined")]
    joined: KStream<String, String>,
    #[from(table.transform_values(CountsInStore::new()))]
    stored: KTable<String, String>,
    #[from(left.join(stored, |l, s| format!("{l}+{s}")))]
    #[sink(topic = "tables")]
    tables: KTable<String, String>,
}

#[topology(application_id = "foreign-rows")]
struct ForeignRows {
    #[source(topic = "in", partitions = 1)]
    input: KTable<String, String>,
    #[source(topic = "t", partitions = 1)]
    table: KTable<String, String>,
    #[from(table.transform_values(Counts::new(0)))]
    counted: KTable<String, String>,
    #[from(input.left_join_on(
        counted,
        |_, _| "a".to_owned(),
        |i, c| format!("{i}+{}", c.map_or("null", String::as_str)),
    ))]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

fn uncached() -> TestDriverOptions {
    TestDriverOptions::new().cache_max_bytes(0)
}

#[test]
fn looked_up_rows_have_a_transformer_of_their_own() -> kstreams::Result {
    let t = Rows::builder().test_driver_with(uncached())?;
    t.table.send("a", "1").at(1);
    for at in [2, 3] {
        t.records.send("a", "r").at(at);
    }
    t.records.send("b", "r").at(4);
    t.table.send("a", "2").at(5);
    t.records.send("a", "r").at(6);
    let updates: Vec<_> = t.updates.read().into_iter().map(|r| r.value).collect();
    assert_eq!(updates, [Some("1t1!".to_owned()), Some("2t2!".to_owned())]);
    let joined: Vec<_> = t.joined.read().into_iter().map(|r| r.value).collect();
    assert_eq!(joined, ["r+1t1", "r+1t2", "r+none", "r+2t4"]);

    // Both use one store: two updates were counted in it before.
    t.left.send("a", "l").at(7);
    t.table.send("a", "3").at(8);
    let tables: Vec<_> = t.tables.read().into_iter().map(|r| r.value).collect();
    assert_eq!(tables, [Some("l+2t3".to_owned()), Some("l+3t4".to_owned())]);
    assert!(
        !Rows::TOPOLOGY
            .stores
            .iter()
            .any(|s| ["counted", "stored"].contains(&s.name))
    );
    Ok(())
}

/// What Kafka Streams 4.3.1 answers to the same, with the counts.
#[test]
fn a_foreign_key_join_looks_rows_up_in_the_same_way() -> kstreams::Result {
    let t = ForeignRows::builder().test_driver_with(uncached())?;
    t.table.send("a", "1").at(10);
    t.input.send("a", "x").at(20);
    t.input.send("b", "y").at(30);
    t.table.delete("a").at(40);
    t.input.send("a", "z").at(50);
    let joined: Vec<_> = t
        .joined
        .read()
        .into_iter()
        .map(|r| format!("{}={}@{}", r.key, r.value.unwrap_or_default(), r.timestamp))
        .collect();
    let expected = [
        "a=x+1t1@20",
        "b=y+1t2@30",
        "a=x+none@40",
        "b=y+none@40",
        "a=z+none@50",
    ];
    assert_eq!(joined, expected);
    Ok(())
}
