//! Each operator as users write it, run through the test driver.

use kstreams::prelude::*;

/// Keys and values that were written, in order.
fn pairs<K, V>(records: Vec<Record<K, V>>) -> Vec<(K, V)> {
    records
        .into_iter()
        .map(|record| (record.key, record.value))
        .collect()
}

/// The same for a table's updates.
fn updates<const N: usize, K: From<&'static str>, V>(list: [(&'static str, V); N]) -> Vec<(K, V)> {
    list.into_iter()
        .map(|(key, value)| (key.into(), value))
        .collect()
}

mod stateless {
    use super::*;

    #[topology(application_id = "stateless")]
    struct Stateless {
        min: u64,
        #[source(topic = "numbers")]
        numbers: KStream<String, u64>,
        #[from(numbers.filter(|_, n| *n >= self.min))]
        #[sink(topic = "large")]
        large: KStream<String, u64>,
        #[from(numbers.filter_not(|k, _| k == "a"))]
        #[sink(topic = "not-a")]
        not_a: KStream<String, u64>,
        #[from(numbers.map(|k, n| (n, k)))]
        #[sink(topic = "swapped")]
        swapped: KStream<u64, String>,
        #[from(numbers.map_values(|n| n * 2).map_values_with_key(|k, n| format!("{k}{n}")))]
        #[sink(topic = "texts")]
        texts: KStream<String, String>,
        #[from(numbers.flat_map(|k, n| (0..*n).map(move |i| (i, k.clone()))))]
        #[sink(topic = "counted")]
        counted: KStream<u64, String>,
        #[from(numbers.flat_map_values(|n| vec![*n; 2]).filter(|_, n| *n > 1).flat_map_values_with_key(|k, n| [format!("{k}{n}"), k.clone()]))]
        #[sink(topic = "doubled")]
        doubled: KStream<String, String>,
        #[from(numbers.select_key(|_, n| n % 2))]
        #[sink(topic = "by-parity")]
        by_parity: KStream<u64, u64>,
        #[from(texts.merge(doubled))]
        #[sink(topic = "merged")]
        merged: KStream<String, String>,
        #[from(texts.merge(doubled).map_values(|text| text.len() as u64).merge(large))]
        #[sink(topic = "lengths")]
        lengths: KStream<String, u64>,
        #[from(numbers)]
        #[sink(topic = "same")]
        #[sink(topic = "same-again")]
        same: KStream<String, u64>,
    }

    #[test]
    fn records_are_filtered_mapped_and_merged() -> kstreams::Result<()> {
        let t = Stateless::builder().min(2).test_driver()?;
        t.numbers.send("a", 1_u64).at(1);
        t.numbers.send("b", 2_u64).at(2);
        assert_eq!(pairs(t.large.read()), updates([("b", 2)]));
        assert_eq!(pairs(t.not_a.read()), updates([("b", 2)]));
        assert_eq!(
            pairs(t.swapped.read()),
            [(1, "a".to_owned()), (2, "b".to_owned())]
        );
        assert_eq!(
            pairs(t.texts.read()),
            updates([("a", "a2".to_owned()), ("b", "b4".to_owned())])
        );
        let counted: Vec<(u64, String)> = vec![(0, "a".into()), (0, "b".into()), (1, "b".into())];
        assert_eq!(pairs(t.counted.read()), counted);
        let doubled = || updates(["b2", "b", "b2", "b"].map(|text| ("b", text.to_owned())));
        assert_eq!(pairs(t.doubled.read()), doubled());
        assert_eq!(pairs(t.by_parity.read()), [(1, 1), (0, 2)]);
        let mut merged: Vec<(String, String)> =
            updates([("a", "a2".to_owned()), ("b", "b4".to_owned())]);
        merged.extend(doubled());
        assert_eq!(pairs(t.merged.read()), merged);
        // For "b": `large` itself, the length of its text, and those of what `doubled` made of it.
        let lengths = [
            ("a", 2),
            ("b", 2),
            ("b", 2),
            ("b", 2),
            ("b", 1),
            ("b", 2),
            ("b", 1),
        ];
        assert_eq!(pairs(t.lengths.read()), updates(lengths));
        let same: Vec<(String, u64)> = updates([("a", 1), ("b", 2), ("a", 1), ("b", 2)]);
        assert_eq!(pairs(t.same.read()), same);
        Ok(())
    }
}

mod order {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[topology(application_id = "order")]
    struct Order {
        log: Arc<Mutex<Vec<String>>>,
        #[source(topic = "in")]
        input: KStream<String, String>,
        #[from(input.peek(|k, v| self.note("peek", k, v)))]
        #[sink(topic = "out")]
        peeked: KStream<String, String>,
        #[from(peeked.for_each(|k, v| self.note("each", k, &v)))]
        each: (),
        #[from(peeked.map_values(|v| v + "!").for_each(|k, v| self.note("last", k, &v)))]
        last: (),
    }

    impl Order {
        fn note(&self, what: &str, key: &str, value: &str) {
            self.log
                .lock()
                .unwrap()
                .push(format!("{what} {key} {value}"));
        }
    }

    #[test]
    fn children_run_in_the_order_of_their_fields() -> kstreams::Result<()> {
        let log = Arc::new(Mutex::new(Vec::new()));
        let t = Order::builder().log(Arc::clone(&log)).test_driver()?;
        t.input.send("k", "v").at(1);
        assert_eq!(*log.lock().unwrap(), ["peek k v", "each k v", "last k v!"]);
        assert_eq!(t.peeked.read().len(), 1);
        Ok(())
    }
}

mod branches {
    use super::*;

    #[topology(application_id = "branches")]
    struct Branches {
        limit: u64,
        #[source(topic = "in")]
        input: KStream<String, u64>,
        #[from(input.branch(|_, v| *v < self.limit))]
        #[sink(topic = "small")]
        small: KStream<String, u64>,
        #[from(input.branch(|_, v| *v > 5).map_values(|v| v * 10))]
        #[sink(topic = "big")]
        big: KStream<String, u64>,
        #[from(input.otherwise())]
        #[sink(topic = "rest")]
        rest: KStream<String, u64>,
        #[from(input.map_values(|v| v + 1))]
        #[sink(topic = "all")]
        all: KStream<String, u64>,
        #[from(input.branch(|_, v| v % 2 == 0, split = "parity"))]
        #[sink(topic = "even")]
        even: KStream<String, u64>,
        #[from(all.filter(|_, _| true))]
        #[sink(topic = |_, v| if *v > 7 { "high" } else { "low" }, topics("low", "high"))]
        routed: KStream<String, u64>,
    }

    #[test]
    fn the_first_matching_branch_takes_the_record() -> kstreams::Result<()> {
        let t = Branches::builder().limit(3).test_driver()?;
        for n in [1_u64, 4, 8] {
            t.input.send("k", n).at(1);
        }
        assert_eq!(pairs(t.small.read()), updates([("k", 1)]));
        assert_eq!(pairs(t.big.read()), updates([("k", 80)]));
        assert_eq!(pairs(t.rest.read()), updates([("k", 4)]));
        assert_eq!(pairs(t.all.read()), updates([("k", 2), ("k", 5), ("k", 9)]));
        assert_eq!(pairs(t.even.read()), updates([("k", 4), ("k", 8)]));
        assert_eq!(
            pairs(t.routed.read()),
            updates([("k", 2), ("k", 5), ("k", 9)])
        );
        assert_eq!(t.read_raw("high")?.len(), 1);
        Ok(())
    }
}

mod aggregates {
    use super::*;

    #[topology(application_id = "aggregates")]
    struct Aggregates {
        #[source(topic = "words", partitions = 3)]
        words: KStream<Option<String>, Option<u64>>,
        #[from(words.group_by_key().count())]
        #[sink(topic = "counts")]
        counts: KTable<String, i64>,
        #[from(words.group_by_key().reduce(|a, b| a + b))]
        #[store(kind = memory)]
        sums: KTable<String, u64>,
        #[from(words.group_by(|_, n| n.map(|n| n % 2)).count())]
        #[store(name = "by-parity")]
        parity: KTable<u64, i64>,
        #[from(words.group_by_key().aggregate(String::new, |k, n, all| format!("{all}{k}{n}")))]
        texts: KTable<String, String>,
        #[from(words.group_by_key().aggregate(u64::default, |_, n, sum| (n < 9).then_some(sum + n)))]
        #[sink(topic = "until-nine")]
        until_nine: KTable<String, Option<u64>>,
        #[from(until_nine.to_stream())]
        #[sink(topic = "until-nine-stream")]
        until_nine_stream: KStream<String, Option<u64>>,
        #[from(counts.to_stream().filter(|_, n| *n > 1).map_values(|n| n * 10))]
        #[sink(topic = "tens")]
        tens: KStream<String, i64>,
        #[from(words.flat_map_values(|n| [*n; 2]).group_by_key().count().to_stream().map_values(|n| n + 100))]
        #[sink(topic = "in-one")]
        in_one: KStream<String, i64>,
    }

    #[test]
    fn groups_are_counted_reduced_and_aggregated() -> kstreams::Result<()> {
        let t = Aggregates::builder().test_driver()?;
        t.words.send("a".to_owned(), 1_u64).at(1);
        t.words.send("b".to_owned(), 2_u64).at(2);
        t.words.send(None, 3_u64).at(3);
        t.words.send("a".to_owned(), None).at(4);
        t.words.send("a".to_owned(), 9_u64).at(5);
        assert_eq!(
            pairs(t.counts.read()),
            updates([("a", Some(1)), ("b", Some(1)), ("a", Some(2))])
        );
        assert_eq!(t.sums.get("a")?, Some(10));
        assert_eq!(t.parity.get(1_u64)?, Some(3));
        assert_eq!(t.texts.get("a")?, Some("a1a9".to_owned()));
        let until_nine = || updates([("a", Some(1)), ("b", Some(2)), ("a", None)]);
        assert_eq!(pairs(t.until_nine_stream.read()), until_nine());
        assert_eq!(pairs(t.tens.read()), updates([("a", 20)]));
        assert_eq!(
            pairs(t.in_one.read()),
            updates([
                ("a", 101),
                ("a", 102),
                ("b", 101),
                ("b", 102),
                ("a", 103),
                ("a", 104)
            ])
        );
        Ok(())
    }
}

mod aggregates_in_the_middle {
    use super::*;

    #[topology(application_id = "middle")]
    struct Middle {
        #[source(topic = "words", partitions = 3)]
        words: KStream<Option<String>, Option<u64>>,
        #[from(words.group_by(|_, n| *n).count().to_stream().map(|n, count| (count, n)))]
        #[sink(topic = "by-count")]
        by_count: KStream<i64, u64>,
        #[from(words.flat_map_values(|n| [*n; 2]).group_by_key().count().to_stream().map(|word, n| (n, word)))]
        #[sink(topic = "doubled")]
        doubled: KStream<i64, String>,
        #[from(words.group_by_key().aggregate(String::new, |_, n, all| format!("{all}{n}")).map_values(|all| all.len() as u64))]
        #[sink(topic = "lengths")]
        lengths: KTable<String, u64>,
        #[from(words.group_by_key().reduce(|a, b| a + b).to_stream().map_values(|n| n.to_string()).repartition(2).peek(|_, _| ()))]
        #[sink(topic = "texts")]
        texts: KStream<String, String>,
        #[from(lengths.filter(|_, n| *n > 1).to_stream())]
        #[sink(topic = "long")]
        long: KStream<String, Option<u64>>,
    }

    fn run(cache: usize) -> kstreams::Result<MiddleTestDriver> {
        let options = kstreams::test_driver::TestDriverOptions::new().cache_max_bytes(cache);
        let t = Middle::builder().test_driver_with(options)?;
        t.words.send("a".to_owned(), 1_u64).at(1);
        t.words.send("a".to_owned(), 12_u64).at(2);
        t.words.send(None, 3_u64).at(3);
        t.words.send("b".to_owned(), 1_u64).at(4);
        Ok(t)
    }

    fn sorted<K: Ord, V: Ord>(records: Vec<Record<K, V>>) -> Vec<(K, V)> {
        let mut pairs = pairs(records);
        pairs.sort();
        pairs
    }

    #[test]
    fn operators_follow_an_aggregation() -> kstreams::Result<()> {
        let t = run(0)?;
        assert_eq!(sorted(t.by_count.read()), [(1, 1), (1, 3), (1, 12), (2, 1)]);
        let word = |word: &str| word.to_owned();
        let doubled = [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "a"), (4, "a")];
        assert_eq!(sorted(t.doubled.read()), doubled.map(|(n, w)| (n, word(w))));
        let lengths = [("a", Some(1)), ("a", Some(3)), ("b", Some(1))];
        assert_eq!(sorted(t.lengths.read()), updates(lengths));
        assert_eq!(
            sorted(t.texts.read()),
            updates([("a", word("1")), ("a", word("13")), ("b", word("1"))])
        );
        assert_eq!(sorted(t.long.read()), updates([("a", Some(3))]));
        Ok(())
    }

    #[test]
    fn the_record_cache_lets_the_last_update_go() -> kstreams::Result<()> {
        let t = run(1_000_000)?;
        assert!(t.doubled.read().is_empty());
        t.commit()?;
        t.commit()?;
        assert_eq!(sorted(t.by_count.read()), [(1, 3), (1, 12), (2, 1)]);
        assert_eq!(
            sorted(t.doubled.read()),
            [(2, "b".to_owned()), (4, "a".to_owned())]
        );
        assert_eq!(
            sorted(t.texts.read()),
            updates([("a", "13".to_owned()), ("b", "1".to_owned())])
        );
        Ok(())
    }
}

mod tables {
    use super::*;

    #[topology(application_id = "tables")]
    struct Tables {
        min: u64,
        #[source(topic = "in", partitions = 3)]
        #[store]
        input: KTable<String, u64>,
        #[from(input.filter(|_, n| *n >= self.min))]
        #[sink(topic = "large")]
        large: KTable<String, u64>,
        #[from(input.filter_not(|_, n| *n >= self.min).map_values(|n| n.to_string()))]
        #[store]
        small: KTable<String, String>,
        #[from(small.map_values_with_key(|k, n| format!("{k}{n}")))]
        #[sink(topic = "named")]
        named: KTable<String, String>,
        #[from(large.to_stream().map_values(|n| n.unwrap_or(0)))]
        #[sink(topic = "stream")]
        stream: KStream<String, u64>,
        #[source(topic = "unstored")]
        unstored: KTable<String, u64>,
        #[from(unstored.filter(|_, n| *n > 3))]
        #[sink(topic = "unstored-large")]
        unstored_large: KTable<String, u64>,
        #[source(topic = "updates")]
        changes: KStream<Option<String>, Option<u64>>,
        #[from(changes.to_table())]
        #[store]
        latest: KTable<String, u64>,
        #[from(changes.select_key(|_, v| v.map(|v| v.to_string())).to_table())]
        #[sink(topic = "rekeyed")]
        rekeyed: KTable<String, u64>,
    }

    #[test]
    fn tables_are_filtered_mapped_and_streamed() -> kstreams::Result<()> {
        let t = Tables::builder().min(5).test_driver()?;
        t.input.send("a", 7_u64).at(1);
        t.input.send("b", 1_u64).at(2);
        t.input.send("a", 2_u64).at(3);
        t.input.delete("b").at(4);
        assert_eq!(
            pairs(t.large.read()),
            updates([("a", Some(7)), ("a", None)]),
            "absent rows leave no tombstones"
        );
        assert_eq!(pairs(t.stream.read()), updates([("a", 7), ("a", 0)]));
        assert_eq!(t.small.all()?, updates([("a", "2".to_owned())]));
        let named = [
            ("b", Some("b1".to_owned())),
            ("a", Some("a2".to_owned())),
            ("b", None),
        ];
        assert_eq!(pairs(t.named.read()), updates(named));
        assert_eq!(t.input.all()?, updates([("a", 2)]));

        t.unstored.send("x", 1_u64).at(1);
        t.unstored.send("x", 5_u64).at(1);
        assert_eq!(
            pairs(t.unstored_large.read()),
            updates([("x", None), ("x", Some(5))]),
            "nobody knows that x was absent"
        );

        t.changes.send("k".to_owned(), 1_u64).at(1);
        t.changes.send(None, 2_u64).at(2);
        t.changes.send("l".to_owned(), 3_u64).at(3);
        t.changes.send("k".to_owned(), None).at(4);
        assert_eq!(t.latest.all()?, updates([("l", 3)]));
        let mut rekeyed = pairs(t.rekeyed.read());
        rekeyed.sort();
        assert_eq!(
            rekeyed,
            updates([("1", Some(1)), ("2", Some(2)), ("3", Some(3))])
        );
        Ok(())
    }
}

mod joins {
    use super::*;

    #[topology(application_id = "joins")]
    struct Joins {
        #[source(topic = "orders", partitions = 4)]
        orders: KStream<Option<String>, u64>,
        #[source(topic = "customers", partitions = 4)]
        customers: KTable<String, String>,
        #[source(topic = "products")]
        products: GlobalKTable<u64, String>,
        #[from(orders.join(customers, |n, c| format!("{c}{n}")))]
        #[sink(topic = "inner")]
        inner: KStream<String, String>,
        #[from(orders.left_join_with_key(customers, |k, n, c| format!("{k:?}{n}{c:?}")))]
        #[sink(topic = "left")]
        left: KStream<Option<String>, String>,
        #[from(orders.select_key(|_, n| format!("c{n}")).join_with_key(customers, |k, n, c| format!("{k}{n}{c}")))]
        #[sink(topic = "rekeyed")]
        rekeyed: KStream<String, String>,
        #[from(orders.map(|_, n| (None, n)).left_join(customers, |n, c| format!("{n}{c:?}"), name = "j1"))]
        #[sink(topic = "null-keys")]
        null_keys: KStream<Option<String>, String>,
        #[from(orders.join(products, |_, n| *n, |n, p| format!("{n}{p}")))]
        #[sink(topic = "global")]
        global: KStream<Option<String>, String>,
        #[from(orders.left_join_with_key(products, |_, n| (*n > 1).then_some(*n), |_, n, p| format!("{n}{p:?}")))]
        #[sink(topic = "global-left")]
        global_left: KStream<Option<String>, String>,
    }

    #[test]
    fn streams_meet_tables() -> kstreams::Result<()> {
        let t = Joins::builder().test_driver()?;
        t.customers.send("c1", "Ann").at(1);
        t.products.send(1_u64, "pen").at(1);
        t.products.send(2_u64, "ink").at(1);
        t.orders.send("c1".to_owned(), 1_u64).at(2);
        t.orders.send("c2".to_owned(), 2_u64).at(3);
        t.orders.send(None, 3_u64).at(4);
        let text = |text: &str| text.to_owned();
        let key = |key: &str| Some(key.to_owned());
        assert_eq!(pairs(t.inner.read()), [(text("c1"), text("Ann1"))]);
        let left = [
            (key("c1"), text("Some(\"c1\")1Some(\"Ann\")")),
            (key("c2"), text("Some(\"c2\")2None")),
            (None, text("None3None")),
        ];
        let mut got = pairs(t.left.read());
        got.sort_by_key(|(_, value)| value.chars().rev().collect::<String>());
        assert_eq!(got.len(), left.len());
        for pair in left {
            assert!(got.contains(&pair), "{pair:?} in {got:?}");
        }
        assert_eq!(pairs(t.rekeyed.read()), [(text("c1"), text("c11Ann"))]);
        assert_eq!(t.null_keys.read().len(), 3);
        assert_eq!(
            pairs(t.global.read()),
            [(key("c1"), text("1pen")), (key("c2"), text("2ink"))]
        );
        assert_eq!(t.global_left.read().len(), 3);
        Ok(())
    }
}

mod repartitions {
    use super::*;

    /// Counts words.
    #[topology(application_id = "word-count")]
    struct WordCount {
        #[source(topic = "lines")]
        lines: KStream<(), String>,
        #[from(lines.flat_map_values(|line| line.split(' ').map(str::to_owned)).group_by(|_, word| word.clone()).count())]
        #[sink(topic = "counts")]
        counts: KTable<String, i64>,
        #[from(lines.select_key(|_, line| line.len() as u64).repartition(3, name = "by-length"))]
        #[sink(topic = "by-length")]
        by_length: KStream<u64, String>,
        #[from(by_length.group_by_key().count())]
        lengths: KTable<u64, i64>,
        #[from(lines.map(|_, line| (line.len() as u64, 1_u64)))]
        rekeyed: KStream<u64, u64>,
        #[from(rekeyed.filter(|_, _| true).group_by_key().reduce(|a, b| a + b))]
        inherited: KTable<u64, u64>,
    }

    #[test]
    fn a_key_change_goes_through_a_topic() -> kstreams::Result<()> {
        let t = WordCount::builder().test_driver()?;
        t.lines.send((), "a b a").at(10);
        t.lines.send((), "a").at(5);
        let counts = t.counts.read();
        let mut counts: Vec<_> = counts
            .into_iter()
            .map(|r| (r.key, r.value, r.timestamp))
            .collect();
        counts.sort();
        let expected = [("a", 1), ("a", 2), ("a", 3), ("b", 1)];
        assert_eq!(
            counts,
            expected.map(|(word, n)| (word.to_owned(), Some(n), 10))
        );
        assert_eq!(t.by_length.read().len(), 2);
        assert_eq!(
            (t.lengths.get(5_u64)?, t.lengths.get(1_u64)?),
            (Some(1), Some(1))
        );
        assert_eq!(t.inherited.get(5_u64)?, Some(1));
        assert_eq!(t.read_raw("word-count-by-length-repartition")?.len(), 2);
        assert_eq!(t.read_raw("word-count-inherited-repartition")?.len(), 2);
        assert_eq!(t.read_raw("word-count-counts-repartition")?.len(), 4);
        Ok(())
    }
}

mod description {
    use kstreams::Topology;
    use kstreams::descriptor::TopicRole;

    use super::*;

    #[topology(application_id = "described")]
    struct Described {
        #[source(topic = "numbers", partitions = 3)]
        numbers: KStream<u64, String>,
        #[from(numbers.group_by(|_, text| text.clone()).count())]
        #[sink(topic = "counts")]
        counts: KTable<String, i64>,
    }

    #[test]
    fn the_description_knows_topics_types_and_roles() {
        let topics = Described::TOPOLOGY.topics;
        let names: Vec<_> = topics
            .iter()
            .map(|topic| (topic.name, topic.role))
            .collect();
        let expected = [
            ("numbers", TopicRole::Source),
            ("counts", TopicRole::Sink),
            ("counts-repartition", TopicRole::Repartition),
            ("counts-changelog", TopicRole::Changelog),
        ];
        assert_eq!(names, expected);
        assert_eq!((topics[0].key.name, topics[0].partitions), ("u64", Some(3)));
        let seven = (topics[0].key.to_json)(Some(&7_u64.to_be_bytes())).unwrap();
        assert_eq!(seven.to_string(), "7");
        assert_eq!(
            (topics[1].value.from_text)("7").unwrap(),
            Some(7_i64.to_be_bytes().to_vec())
        );
        assert_eq!(topics[2].value.name, "_");
    }
}

mod settings {
    use super::*;
    use kstreams::Topology as _;

    #[topology(application_id = "settings")]
    struct Settings {
        #[source(topic = "in")]
        input: KStream<String, u64>,
        #[from(input.group_by_key().count())]
        #[store(changelog_config("min.insync.replicas" = "2", "segment.ms" = "5"))]
        counts: KTable<String, i64>,
    }

    #[test]
    fn a_store_says_how_its_changelog_is_kept() {
        let expected = [("min.insync.replicas", "2"), ("segment.ms", "5")];
        assert_eq!(Settings::TOPOLOGY.stores[0].changelog_config, expected);
    }
}

mod names {
    use super::*;

    /// Fields that are called like methods of others, or differ in underscores only.
    #[topology(application_id = "names")]
    #[allow(non_snake_case, reason = "two underscores are the point")]
    struct Names {
        #[source(topic = "in")]
        input: KStream<String, u64>,
        #[source(topic = "other")]
        other: KStream<String, u64>,
        #[from(input.merge(other).group_by(|_, n| *n).count().to_stream())]
        #[sink(topic = "x")]
        x: KStream<u64, i64>,
        #[from(input.group_by(|_, n| n % 2).count().to_stream())]
        #[sink(topic = "x-merged")]
        x_merged: KStream<u64, i64>,
        #[from(input.group_by(|_, n| n % 3).count().to_stream())]
        #[sink(topic = "x--merged")]
        x__merged: KStream<u64, i64>,
        #[from(x_merged.filter(|_, _| true))]
        #[sink(topic = "x-changed")]
        x_changed: KStream<u64, i64>,
    }

    #[test]
    fn fields_may_be_called_like_what_is_generated() -> kstreams::Result<()> {
        let t = Names::builder().test_driver()?;
        t.input.send("a", 4_u64).at(1);
        t.other.send("b", 4_u64).at(2);
        assert_eq!(pairs(t.x.read()), [(4, 1), (4, 2)]);
        assert_eq!(pairs(t.x_merged.read()), [(0, 1)]);
        assert_eq!(pairs(t.x__merged.read()), [(1, 1)]);
        assert_eq!(pairs(t.x_changed.read()), [(0, 1)]);
        Ok(())
    }
}
