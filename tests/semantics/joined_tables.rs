//! Joins of tables and cogroups against brute-force models: random updates, in any order of their timestamps.

use std::collections::BTreeMap;

use kstreams::prelude::*;
use kstreams::test_driver::TestDriverOptions;
use proptest::prelude::*;

use crate::read;

/// Each kind of join, of tables with stores and of tables made of others.
#[topology(application_id = "joins")]
struct Joins {
    #[source(topic = "left", partitions = 1)]
    left: KTable<String, i64>,
    #[source(topic = "right", partitions = 1)]
    right: KTable<String, i64>,

    #[from(left.join_with_key(right, |_, l, r| format!("{l}+{r}")))]
    #[sink(topic = "inner")]
    inner: KTable<String, String>,
    #[from(left.left_join_with_key(right, |_, l, r| format!("{l}+{}", shown(r))))]
    #[sink(topic = "left-joined")]
    left_joined: KTable<String, String>,
    #[from(left.outer_join_with_key(right, |_, l, r| format!("{}+{}", shown(l), shown(r))))]
    #[store]
    #[sink(topic = "outer")]
    outer: KTable<String, String>,

    #[from(right.map_values(|r| r * 10))]
    tenfold: KTable<String, i64>,
    #[from(left
        .filter(|_, l| l % 2 == 0)
        .outer_join(tenfold, |l, r| format!("{}+{}", shown(l), shown(r))))]
    #[sink(topic = "even")]
    even: KTable<String, String>,
}

fn shown(value: Option<&i64>) -> String {
    value.map_or("none".to_owned(), i64::to_string)
}

/// An update: of the left table or the right one.
#[derive(Debug, Clone)]
struct Update {
    left: bool,
    key: &'static str,
    value: Option<i64>,
    at: i64,
}

fn updates() -> impl Strategy<Value = Vec<Update>> {
    let update = (
        any::<bool>(),
        prop::sample::select(vec!["a", "b", "c"]),
        prop::option::weighted(0.7, 0..10_i64),
        0..100_i64,
    );
    let update = update.prop_map(|(left, key, value, at)| Update {
        left,
        key,
        value,
        at,
    });
    prop::collection::vec(update, 1..40)
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Inner,
    Left,
    Outer,
}

/// What one table has for a key.
type Row = Option<(i64, i64)>;

/// What a join writes, by the rules alone: `of_left` and `of_right` say what becomes of each table's values before it, and
/// `leaves_out` whether updates are left out of left rows that were not there and are not.
fn model(
    updates: &[Update],
    kind: Kind,
    of_left: fn(i64) -> Option<i64>,
    of_right: fn(i64) -> Option<i64>,
    leaves_out: bool,
) -> Vec<String> {
    let mut tables: [BTreeMap<&str, (i64, i64)>; 2] = Default::default();
    let mut out = Vec::new();
    for update in updates {
        let (mine, of_mine, of_theirs) = match update.left {
            true => (0, of_left, of_right),
            false => (1, of_right, of_left),
        };
        let key = update.key;
        let old = match update.value {
            Some(value) => tables[mine].insert(key, (value, update.at)),
            None => tables[mine].remove(key),
        };
        let theirs: Row = tables[1 - mine].get(key).copied();
        let theirs = theirs.and_then(|(value, at)| Some((of_theirs(value)?, at)));
        let new = update.value.and_then(of_mine);
        let old = old.and_then(|(value, _)| of_mine(value));
        if leaves_out && update.left && new.is_none() && old.is_none() {
            continue;
        }
        let goes_on = match kind {
            Kind::Inner => theirs.is_some(),
            Kind::Left if !update.left => theirs.is_some(),
            Kind::Left | Kind::Outer => theirs.is_some() || new.is_some() || old.is_some(),
        };
        if !goes_on {
            continue;
        }
        let theirs_value = theirs.map(|(value, _)| value);
        let (left, right) = match update.left {
            true => (new, theirs_value),
            false => (theirs_value, new),
        };
        let there = match kind {
            Kind::Inner => left.is_some() && right.is_some(),
            Kind::Left => left.is_some(),
            Kind::Outer => left.is_some() || right.is_some(),
        };
        let value = match there {
            true => format!("{}+{}", shown(left.as_ref()), shown(right.as_ref())),
            false => "null".to_owned(),
        };
        let at = theirs.map_or(update.at, |(_, at)| at.max(update.at));
        out.push(format!("{key}={value}@{at}"));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn joins_of_tables_equal_their_model(updates in updates(), restart_every in 1..9_usize) {
        let t = Joins::builder().test_driver().unwrap();
        t.reset(TestDriverOptions::default()).unwrap();
        for (number, update) in updates.iter().enumerate() {
            let table = if update.left { &t.left } else { &t.right };
            match update.value {
                Some(value) => table.send(update.key, value).at(update.at).pipe().unwrap(),
                None => table.delete(update.key).at(update.at).pipe().unwrap(),
            }
            if number % restart_every == 0 {
                t.restart().unwrap();
            }
        }
        let plain = |kind| model(&updates, kind, Some, Some, false);
        prop_assert_eq!(read(&t, "inner"), plain(Kind::Inner));
        prop_assert_eq!(read(&t, "left-joined"), plain(Kind::Left));
        prop_assert_eq!(read(&t, "outer"), plain(Kind::Outer));
        let even = |l: i64| (l % 2 == 0).then_some(l);
        let tenfold = |r: i64| Some(r * 10);
        prop_assert_eq!(read(&t, "even"), model(&updates, Kind::Outer, even, tenfold, true));
    }
}

/// A cogroup of three inputs, of which the last is rekeyed, and one in the middle of a chain.
#[topology(application_id = "cogroups")]
struct Cogroups {
    #[source(topic = "a", partitions = 3)]
    a: KStream<String, i64>,
    #[source(topic = "b", partitions = 3)]
    b: KStream<String, String>,
    #[source(topic = "c", partitions = 2)]
    c: KStream<i64, String>,
    #[from(c.select_key(|_, key| key.clone()))]
    by_name: KStream<String, String>,
    #[from(a
        .group_by_key()
        .cogroup(|_, v, all| format!("{all}a{v}"))
        .cogroup(b, |_, v, all| format!("{all}b{v}"))
        .cogroup(by_name, |_, v, all| format!("{all}c{v}"))
        .aggregate(String::new))]
    #[sink(topic = "all")]
    all: KTable<String, String>,
    #[from(a
        .flat_map_values(|n| [*n, n + 1])
        .group_by_key()
        .cogroup(|_, v, sum| sum + v)
        .cogroup(b, |_, v, sum| sum + v.len() as i64)
        .aggregate(|| 0_i64)
        .filter(|_, sum| sum % 2 == 0)
        .to_stream()
        .map_values(|sum| sum.map_or("odd".to_owned(), |sum| sum.to_string())))]
    #[sink(topic = "sums")]
    sums: KStream<String, String>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn cogroups_equal_their_model(
        inputs in prop::collection::vec((0..3_usize, prop::sample::select(vec!["k", "l", "m"]), 0..100_i64), 1..30)
    ) {
        let t = Cogroups::builder().test_driver().unwrap();
        let (mut all, mut sums) = (BTreeMap::<_, (String, i64)>::new(), BTreeMap::<_, (i64, i64)>::new());
        let (mut expected_all, mut expected_sums) = (Vec::new(), Vec::new());
        for (input, key, at) in inputs {
            let text = match input {
                0 => {
                    t.a.send(key, at).at(at).pipe().unwrap();
                    format!("a{at}")
                }
                1 => {
                    t.b.send(key, "xyz").at(at).pipe().unwrap();
                    "bxyz".to_owned()
                }
                _ => {
                    t.c.send(at, key).at(at).pipe().unwrap();
                    format!("c{key}")
                }
            };
            let (value, time) = all.entry(key).or_default();
            value.push_str(&text);
            *time = at.max(*time);
            expected_all.push(format!("{key}={value}@{time}"));
            let adds = match input {
                0 => vec![at, at + 1],
                1 => vec![3],
                _ => Vec::new(),
            };
            for add in adds {
                let is_new = !sums.contains_key(key);
                let (sum, time) = sums.entry(key).or_default();
                let before = *sum;
                *sum += add;
                *time = at.max(*time);
                // A filter leaves out rows that it let pass neither before nor now; the initial value counts as before.
                if *sum % 2 == 0 {
                    expected_sums.push(format!("{key}={sum}@{time}"));
                } else if before % 2 == 0 || is_new {
                    expected_sums.push(format!("{key}=odd@{time}"));
                }
            }
        }
        let by_key = |mut records: Vec<String>| {
            records.sort_by_key(|record| record.split('=').next().map(str::to_owned));
            records
        };
        prop_assert_eq!(by_key(read(&t, "all")), by_key(expected_all));
        prop_assert_eq!(by_key(read(&t, "sums")), by_key(expected_sums));
    }
}

#[test]
fn the_other_sides_repartition_topic_is_named_by_the_store_and_the_input() {
    let topics: Vec<_> = <Cogroups as kstreams::Topology>::TOPOLOGY
        .topics
        .iter()
        .map(|t| t.name)
        .collect();
    assert!(topics.contains(&"all-by_name-repartition"), "{topics:?}");
}

/// Joins and cogroups in the middle of chains that go on through repartition topics: rustc infers the types on both sides.
#[topology(application_id = "middles")]
struct Middles {
    #[source(topic = "prices", partitions = 3)]
    prices: KTable<String, i64>,
    #[source(topic = "stock", partitions = 3)]
    stock: KTable<String, i64>,
    #[from(prices
        .join(stock, |price, pieces| (price * pieces, *pieces))
        .group_by(|_, (value, pieces)| (format!("of {pieces}"), value.to_string()))
        .aggregate(
            || 0_i64,
            |_, value, all| all + value.len() as i64,
            |_, value, all| all - value.len() as i64,
        )
        .map_values(|all| format!("{all} digits")))]
    #[sink(topic = "digits")]
    digits: KTable<String, String>,
    #[source(topic = "sales", partitions = 3)]
    sales: KStream<String, i64>,
    #[from(sales.group_by_key().cogroup(|_, n, all| all + n).aggregate(|| 0_i64))]
    #[sink(topic = "totals")]
    totals: KTable<String, i64>,
}

#[test]
fn a_join_or_a_cogroup_may_stand_in_the_middle_of_a_chain() {
    let t = Middles::builder().test_driver().unwrap();
    t.prices.send("a", 5).at(1);
    t.stock.send("a", 4).at(2);
    t.prices.send("b", 250).at(3);
    t.stock.send("b", 4).at(4);
    t.stock.send("a", 7).at(5);
    let mut digits = read(&t, "digits");
    digits.sort();
    let expected = [
        "of 4=2 digits@2",
        "of 4=4 digits@5",
        "of 4=6 digits@4",
        "of 7=2 digits@5",
    ];
    assert_eq!(digits, expected);
    t.sales.send("x", 2).at(6);
    t.sales.send("x", 3).at(7);
    assert_eq!(read(&t, "totals"), ["x=2@6", "x=5@7"]);
}

/// Tables that keep their past, joined with each other, with one that does not, and behind a filter.
#[topology(application_id = "past")]
struct Past {
    #[source(topic = "left", partitions = 1)]
    #[store(versioned = "1h")]
    left: KTable<String, i64>,
    #[source(topic = "right", partitions = 1)]
    #[store(versioned = "1h")]
    right: KTable<String, i64>,
    #[source(topic = "plain", partitions = 1)]
    plain: KTable<String, i64>,
    #[from(left.join(right, |l, r| l * 100 + r))]
    #[sink(topic = "inner")]
    inner: KTable<String, i64>,
    #[from(left.filter(|_, l| *l > 1).left_join(right, |l, r| l * 100 + r.unwrap_or(&0)))]
    #[sink(topic = "filtered")]
    filtered: KTable<String, i64>,
    #[from(plain.outer_join(right, |p, r| p.unwrap_or(&0) * 100 + r.unwrap_or(&0)))]
    #[store]
    #[sink(topic = "half")]
    half: KTable<String, i64>,
}

#[test]
fn a_join_takes_no_updates_of_the_past_of_a_versioned_table() {
    let t = Past::builder().test_driver().unwrap();
    t.reset(TestDriverOptions::new()).unwrap();
    t.left.send("k", 5).at(10);
    t.right.send("k", 7).at(10);
    t.plain.send("k", 3).at(10);
    t.run().unwrap();
    for topic in ["inner", "filtered", "half"] {
        read(&t, topic);
    }
    let before = t.dropped_records_total();
    // Of the past: each join that it reaches drops it, and counts that.
    t.left.send("k", 6).at(5);
    t.right.send("k", 8).at(5);
    t.run().unwrap();
    for topic in ["inner", "filtered", "half"] {
        assert_eq!(read(&t, topic), Vec::<String>::new(), "{topic}");
    }
    assert_eq!(t.dropped_records_total() - before, 2 + 3);
    // Out of order, but not versioned.
    t.plain.send("k", 4).at(5);
    t.left.send("k", 9).at(20);
    t.run().unwrap();
    assert_eq!(read(&t, "half"), ["k=407@10"]);
    assert_eq!(read(&t, "inner"), ["k=907@20"]);
    assert_eq!(read(&t, "filtered"), ["k=907@20"]);
}
