//! Processors in topologies: stores that they share, tables and global tables that they read, values of tables that they make.

use kstreams::prelude::*;

/// Counts a key's records, whoever counts.
#[processor(out = (String, u64))]
struct CountAll {
    #[store(shared)]
    seen: KeyValueStore<String, u64>,
}

impl Processor<String, String> for CountAll {
    fn process(
        &mut self,
        record: Record<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let count = self.seen.get(&record.key, cx)?.unwrap_or(0) + 1;
        self.seen.put(&record.key, &count, cx)?;
        cx.forward(record.with_value(count))
    }
}

/// Adds what a table and a global table know of a key.
#[processor(fixed_key, out = (String, String))]
struct Describe {
    #[store]
    people: ReadOnlyKeyValueStore<String, String>,
    #[store]
    towns: ReadOnlyKeyValueStore<String, String>,
}

impl FixedKeyProcessor<String, String> for Describe {
    fn process(
        &mut self,
        record: FixedKeyRecord<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let person = self.people.get(record.key(), cx)?.unwrap_or_default();
        let towns = self.towns.approximate_num_entries(cx)?;
        let town = self.towns.get(&record.value, cx)?;
        assert_eq!(towns, u64::from(town.is_some()), "there is one at most");
        assert!(self.people.approximate_num_entries(cx)? <= 1);
        let town = town.unwrap_or_default();
        cx.forward(record.with_value(format!("{person} of {town}")))
    }
}

/// Numbers the updates of a row.
#[processor]
struct Numbered {
    #[store]
    versions: KeyValueStore<String, u64>,
}

impl ValueTransformer<String, String> for Numbered {
    type Value = String;
    fn transform(
        &mut self,
        key: &String,
        value: Option<String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult<Option<String>> {
        let version = self.versions.get(key, cx)?.unwrap_or(0) + 1;
        self.versions.put(key, &version, cx)?;
        Ok(value.map(|value| format!("{value} v{version}")))
    }
}

#[topology(application_id = "shared")]
struct Shared {
    #[source(topic = "left", partitions = 2)]
    left: KStream<String, String>,
    #[source(topic = "right", partitions = 2)]
    right: KStream<String, String>,
    #[source(topic = "people", partitions = 2)]
    people: KTable<String, String>,
    #[source(topic = "towns")]
    places: GlobalKTable<String, String>,
    #[store]
    seen: KeyValueStore<String, u64>,
    #[from(left.process(CountAll::new(), stores(seen)))]
    #[sink(topic = "counted-left")]
    counted_left: KStream<String, u64>,
    #[from(right.process(CountAll::new(), stores(seen)))]
    #[sink(topic = "counted-right")]
    counted_right: KStream<String, u64>,
    #[from(left.process_values(Describe::new(), stores(people, towns = places)))]
    #[sink(topic = "described")]
    described: KStream<String, String>,
    #[from(people.transform_values(Numbered::new()))]
    #[sink(topic = "numbered")]
    numbered: KTable<String, String>,
}

fn text(s: &str) -> String {
    s.to_owned()
}

#[test]
fn stores_are_shared_and_tables_read() -> kstreams::Result {
    let t = Shared::builder().test_driver()?;
    t.left.send(text("a"), text("x"));
    t.right.send(text("a"), text("y"));
    t.left.send(text("b"), text("z"));
    let left: Vec<_> = t
        .counted_left
        .read()
        .into_iter()
        .map(|r| (r.key, r.value))
        .collect();
    assert_eq!(left, [(text("a"), 1), (text("b"), 1)]);
    let right: Vec<_> = t
        .counted_right
        .read()
        .into_iter()
        .map(|r| (r.key, r.value))
        .collect();
    assert_eq!(right, [(text("a"), 2)], "both count in one store");
    t.described.read();

    t.people.send(text("a"), text("Ann"));
    t.places.send(text("x"), text("Oslo"));
    t.left.send(text("a"), text("x"));
    let described: Vec<_> = t.described.read().into_iter().map(|r| r.value).collect();
    assert_eq!(described, ["Ann of Oslo"]);

    t.people.send(text("a"), text("Anna"));
    t.commit()?;
    t.crash()?;
    t.people.delete(text("a"));
    t.people.send(text("a"), text("Anne"));
    let numbered: Vec<_> = t.numbered.read().into_iter().map(|r| r.value).collect();
    let expected = [
        Some(text("Ann v1")),
        Some(text("Anna v2")),
        None,
        Some(text("Anne v4")),
    ];
    assert_eq!(numbered, expected);
    Ok(())
}

/// Counts values as they pass.
#[processor(fixed_key, out = (String, u64))]
struct Seen {
    #[store(shared)]
    seen: KeyValueStore<String, u64>,
}

impl FixedKeyProcessor<String, u64> for Seen {
    fn process(
        &mut self,
        record: FixedKeyRecord<String, u64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let count = self.seen.get(record.key(), cx)?.unwrap_or(0) + 1;
        self.seen.put(record.key(), &count, cx)?;
        cx.forward(record.with_value(count))
    }
}

/// What is joined behind a repartition topic is partitioned alike: it may share a store with what comes after the join.
#[topology(application_id = "joined")]
struct Joined {
    #[source(topic = "orders", partitions = 2)]
    orders: KStream<String, u64>,
    #[source(topic = "payments", partitions = 2)]
    payments: KStream<String, u64>,
    #[store]
    seen: KeyValueStore<String, u64>,
    #[from(payments.process_values(Seen::new(), stores(seen)))]
    counted: KStream<String, u64>,
    #[from(orders.repartition(partitions = 2).join(counted, |o, n| o * n, within("1m")).process_values(Seen::new(), stores(seen)))]
    #[sink(topic = "paid")]
    paid: KStream<String, u64>,
}

#[test]
fn a_store_is_shared_with_what_is_joined_behind_a_repartition() -> kstreams::Result {
    let t = Joined::builder().test_driver()?;
    t.payments.send(text("a"), 7_u64).at(1);
    t.orders.send(text("a"), 9_u64).at(2);
    let paid: Vec<_> = t
        .paid
        .read()
        .into_iter()
        .map(|r| (r.key, r.value))
        .collect();
    assert_eq!(paid, [(text("a"), 2)], "the payment and what was joined");
    Ok(())
}
