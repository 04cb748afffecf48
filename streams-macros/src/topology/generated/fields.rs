//! Mistakes that are fields of their own beside a legal topology: processors, the stores that they share and keep, partitioners, look-ups.

use super::plant::{Mistake, with_fields};

macro_rules! fields {
    ($($code:literal, $what:literal: $fields:literal;)*) => {
        pub(super) const MISTAKES: &[Mistake] = &[$(
            Mistake {
                code: $code,
                what: $what,
                plant: |_, topology| with_fields(topology, $fields),
            },
        )*];
    };
}

fields! {
    "KS0403", "streams joined behind tables":
        r#"#[source(topic = "one-rows", partitions = 2)] one_rows: KTable<String, u64>, #[source(topic = "two-rows", partitions = 2)] two_rows: KTable<String, u64>, #[source(topic = "sent", partitions = 2)] sent: KStream<String, u64>, #[from(one_rows.join(two_rows, |a, b| a + b).to_stream().map_values(|v| v.unwrap_or(0)).join(sent, |a, b| a + b, within("1m")))] #[sink(topic = "met")] met: KStream<String, u64>,"#;
    "KS0403", "a foreign key in passing":
        r#"#[source(topic = "bought")] bought: KTable<String, u64>, #[source(topic = "buyers")] buyers: KTable<u64, String>,
            #[from(bought.filter(|_, b| *b > 3).join_on(buyers, |_, b| *b, |b, _| *b))] buying: KTable<String, u64>,"#;
    "KS0403", "a look into a table in passing":
        r#"#[source(topic = "bought", partitions = 2)] bought: KTable<String, u64>,
            #[source(topic = "buying", partitions = 2)] buying: KStream<String, u64>,
            #[from(buying.to_table().join(bought, |b, _| *b))] both: KTable<String, u64>,"#;
    "KS0131", "an output of what is no processor":
        r#"#[source(topic = "processed", partitions = 2)] processed: KStream<String, u64>, #[from(processed.huge)] #[sink(topic = "huge")] huge: KStream<String, u64>,"#;
    "KS0132", "a processor that comes out of a variable":
        r#"#[source(topic = "processed", partitions = 2)] processed: KStream<String, u64>, #[from(processed.process(route))] #[sink(topic = "routed")] routed: KStream<String, u64>,"#;
    "KS0330", "a shared store behind a change of the key":
        r#"#[source(topic = "processed", partitions = 2)] processed: KStream<String, u64>, #[store] shared: KeyValueStore<String, u64>, #[from(processed.select_key(|_, v| v.to_string()).process(Known::new(), stores(shared)))] #[sink(topic = "known")] known: KStream<String, u64>,"#;
    "KS0332", "a store that is shared across a repartition":
        r#"#[source(topic = "processed", partitions = 2)] processed: KStream<String, u64>, #[store] shared: KeyValueStore<String, u64>, #[from(processed.process_values(Known::new(), stores(shared)).repartition().process_values(Known::new(), stores(shared)))] #[sink(topic = "known")] known: KStream<String, u64>,"#;
    "KS0301", "a store shared by topics of other counts":
        r#"#[source(topic = "one-shared", partitions = 2)] one_shared: KStream<String, u64>, #[source(topic = "two-shared", partitions = 3)] two_shared: KStream<String, u64>, #[store] shared: KeyValueStore<String, u64>, #[from(one_shared.process(Known::new(), stores(shared)))] #[sink(topic = "known-one")] known_one: KStream<String, u64>, #[from(two_shared.process(Known::new(), stores(shared)))] #[sink(topic = "known-two")] known_two: KStream<String, u64>,"#;
    "KS0302", "a store shared by a topic without a count":
        r#"#[source(topic = "one-shared", partitions = 2)] one_shared: KStream<String, u64>, #[source(topic = "two-shared")] two_shared: KStream<String, u64>, #[store] shared: KeyValueStore<String, u64>, #[from(one_shared.process(Known::new(), stores(shared)))] #[sink(topic = "known-one")] known_one: KStream<String, u64>, #[from(two_shared.process(Known::new(), stores(shared)))] #[sink(topic = "known-two")] known_two: KStream<String, u64>,"#;
    "KS0303", "a store shared by topics of other partitioners":
        r#"#[source(topic = "one-shared", partitions = 2)] one_shared: KStream<String, u64>, #[source(topic = "two-shared", partitions = 2, partitioner = by_region)] two_shared: KStream<String, u64>, #[store] shared: KeyValueStore<String, u64>, #[from(one_shared.process(Known::new(), stores(shared)))] #[sink(topic = "known-one")] known_one: KStream<String, u64>, #[from(two_shared.process(Known::new(), stores(shared)))] #[sink(topic = "known-two")] known_two: KStream<String, u64>,"#;
    "KS0111", "a global store without a processor":
        r#"#[source(topic = "kept", global)] kept: KeyValueStore<String, u64>,"#;
    "KS0114", "a table that is to be kept by a processor":
        r#"#[source(topic = "kept", global, process = Keep::new())] kept: KTable<String, u64>,"#;
    "KS0132", "a global store whose processor comes out of a variable":
        r#"#[source(topic = "kept", global, process = keep)] kept: KeyValueStore<String, u64>,"#;
    "KS0405", "a global store with a changelog":
        r#"#[source(topic = "kept", global, process = Keep::new())] #[store(changelog = true)] kept: KeyValueStore<String, u64>,"#;
    "KS0111", "a window store without a size":
        r#"#[source(topic = "kept", global, process = Keep::new())] #[store(retention = "1h")] kept: WindowStore<String, u64>,"#;
    "KS0435", "a store that is not there":
        r#"#[source(topic = "processed", partitions = 2)] processed: KStream<String, u64>, #[from(processed.process(Known::new(), stores(absent_store)))] #[sink(topic = "known")] known: KStream<String, u64>,"#;
    "KS0460", "a topic of a set without a name":
        r#"#[source(topic = "sent", partitions = 2)] sent: KStream<String, u64>, #[from(sent.filter(|_, _| true))] #[sink(topic = |_, _| Lane::Fast, topics(enum Lane { Fast = "fast", Slow }))] free: KStream<String, u64>,"#;
    "KS0125", "a partitioner that is not told all":
        r#"#[source(topic = "sent", partitions = 2)] sent: KStream<String, u64>, #[from(sent.repartition(partitioner = |key, value| 0))] #[sink(topic = "moved")] moved: KStream<String, u64>,"#;
    "KS0303", "a repartition by another partitioner than the table's":
        r#"#[source(topic = "sent", partitions = 2)] sent: KStream<String, u64>, #[source(topic = "kept", partitions = 2)] kept: KTable<String, u64>, #[from(sent.repartition(2, partitioner = by_region).join(kept, |v, _| v))] #[sink(topic = "moved")] moved: KStream<String, u64>,"#;
}
