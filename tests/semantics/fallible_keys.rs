//! Closures that find a new key and fail: the record goes nowhere, and a row stays in the group that it is in.

use kstreams::prelude::*;

use crate::fallible::{noting, taken};
use crate::read;

/// `17 red` is keyed by 17.
fn number(_: &str, line: &str) -> Result<u32, String> {
    let digits = line.split(' ').next().unwrap_or_default();
    digits.parse().map_err(|e| format!("{line}: {e}"))
}

/// `17 red` is in the group `red`, with 17.
fn colour(_: &str, line: &str) -> Result<(String, i64), String> {
    let (digits, colour) = line.split_once(' ').ok_or(format!("{line}: no colour"))?;
    let n = digits.parse().map_err(|e| format!("{line}: {e}"))?;
    Ok((colour.to_owned(), n))
}

#[topology(application_id = "keys")]
struct Keys {
    #[source(topic = "lines", partitions = 2)]
    lines: KStream<String, String>,
    #[source(topic = "names", partitions = 2)]
    names: KTable<u32, String>,
    #[source(topic = "rows", partitions = 2)]
    rows: KTable<String, String>,
    /// Through a repartition topic, as behind `select_key`.
    #[from(lines.try_select_key(|k, v| number(k, v)).join(names, |line, name| format!("{line} of {name}")))]
    #[sink(topic = "named")]
    named: KStream<u32, String>,
    #[from(lines.try_group_by(|k, v| number(k, v), name = "by-number").count())]
    #[sink(topic = "counts")]
    counts: KTable<u32, i64>,
    /// An option in the result is a key that may be null: in no group.
    #[from(lines.try_group_by(|k, v| number(k, v).map(|n| Some(n).filter(|n| *n > 0))).count())]
    #[sink(topic = "positive")]
    positive: KTable<u32, i64>,
    #[from(rows.try_group_by(|k, v| colour(k, v)).reduce(|a, b| a + b, |a, b| a - b))]
    #[sink(topic = "sums")]
    sums: KTable<String, i64>,
}

#[test]
fn a_record_without_a_new_key_goes_nowhere() {
    let t = Keys::builder().test_driver().unwrap();
    let notes = noting(&t);
    t.names.send(17_u32, "ann").at(0);
    t.lines.send("a", "17 red").at(1);
    t.lines.send("a", "none").at(9);
    t.lines.send("a", "17 blue").at(3);
    t.lines.send("a", "0").at(4);
    t.commit().unwrap();
    assert_eq!(t.named.read().len(), 2);
    assert_eq!(t.counts.get(17_u32).unwrap(), Some(2));
    assert_eq!(t.counts.get(0_u32).unwrap(), Some(1));
    assert_eq!(t.positive.get(17_u32).unwrap(), Some(2));
    assert_eq!(t.positive.get(0_u32).unwrap(), None);
    let why = "lines-1: none: invalid digit found in string";
    assert_eq!(
        taken(&notes),
        ["named", "counts", "positive"].map(|node| format!("{node} {why}"))
    );
    assert_eq!(read(&t, "dlq"), ["a=none@9"; 3]);
    let topics = t.topics().unwrap();
    assert!(
        topics.contains(&"keys-by-number-repartition".to_owned()),
        "{topics:?}"
    );
}

#[test]
fn a_row_whose_group_is_not_found_stays_in_its_own() {
    let t = Keys::builder().test_driver().unwrap();
    let notes = noting(&t);
    t.rows.send("a", "17 red".to_owned()).at(1);
    t.rows.send("b", "3 red".to_owned()).at(2);
    t.rows.send("b", "4".to_owned()).at(3);
    t.commit().unwrap();
    assert_eq!(t.sums.get("red").unwrap(), Some(20));
    assert_eq!(taken(&notes), ["sums rows-2: 4: no colour"]);
    // The group of the old row is looked for, too, as in Kafka Streams: where it is not found, the new row does not move either.
    t.rows.send("b", "5 blue".to_owned()).at(4);
    t.commit().unwrap();
    assert_eq!(t.sums.get("blue").unwrap(), None);
    assert_eq!(t.sums.get("red").unwrap(), Some(20));
    assert_eq!(taken(&notes), ["sums rows-3: 4: no colour"]);
    t.rows.send("b", "6 red".to_owned()).at(5);
    t.commit().unwrap();
    assert_eq!(t.sums.get("red").unwrap(), Some(26));
    assert_eq!(taken(&notes), Vec::<String>::new());
}

#[test]
fn by_default_it_stops_the_task() {
    let t = Keys::builder().test_driver().unwrap();
    let error = t.lines.send("a", "none").at(1).pipe().unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("`named` failed on offset 0 of lines-"),
        "{error}"
    );
    assert!(error.contains("none: invalid digit"), "{error}");
}
