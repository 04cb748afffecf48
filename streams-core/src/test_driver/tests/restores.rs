//! How state comes back: to which end it is restored, from where, and what a listener is told.

use super::*;

/// The changelog of a run with committed updates in it, the partition with most of them, and its end.
fn fullest_changelog(engine: &mut Engine) -> (TopicPartition, i64) {
    let name = "words-counts-changelog";
    let ends = engine.ranges(&[name]).remove(0);
    let (end, partition) = ends
        .into_iter()
        .zip(0..)
        .map(|(range, n)| (range.end, TopicPartition::new(name, n)))
        .max_by_key(|(end, _)| *end)
        .unwrap();
    (partition, end)
}

#[test]
fn a_restore_waits_for_the_marker_of_a_transaction_that_the_offsets_count() {
    let mut engine = engine(TestDriverOptions::new().guarantee(EOS).on_demand());
    let faults = Faults::none();
    engine.wrap_transport(|inner| FaultTransport::new(inner, faults.clone()));
    for round in 0..3 {
        send(&mut engine, "a b c d e f g h", round, 0);
        engine.run().unwrap();
        engine.tick(COMMIT);
        engine.run().unwrap();
    }
    engine.commit().unwrap();
    let (changelog, end) = fullest_changelog(&mut engine);
    // The last transaction's records are in the log, and so are the group's offsets; readers do not see the records yet.
    faults.hold(changelog.clone(), end - 1);
    engine.crash_all();
    for _ in 0..50 {
        engine.step_worker(0).unwrap();
    }
    let restoring = engine.restoring();
    assert_eq!(restoring.len(), 1, "{restoring:?}");
    assert_eq!(restoring[0].partition, changelog);
    assert_eq!(
        (restoring[0].offset, restoring[0].ending_offset),
        (end - 1, end)
    );
    faults.release();
    engine.run().unwrap();
    assert!(engine.restoring().is_empty());
    let eight = ["a", "b", "c", "d", "e", "f", "g", "h"];
    assert_eq!(counts(&mut engine), expected(&eight.map(|word| (word, 3))));
    assert_eq!(engine.stats().wiped, 0);
}

#[test]
fn a_changelog_that_was_cut_before_it_was_read_is_restored_from_where_it_begins() {
    for state in [TestState::Memory, TestState::Lmdb] {
        let log = Arc::new(Restores::default());
        let mut options = TestDriverOptions::new()
            .guarantee(EOS)
            .state(state)
            .on_demand();
        options.config = options.config.on_restore(log.clone());
        let mut engine = engine(options);
        let faults = Faults::none();
        engine.wrap_transport(|inner| FaultTransport::new(inner, faults.clone()));
        for round in 0..3 {
            send(&mut engine, "a b c d e f g h", round, 0);
            engine.run().unwrap();
            engine.tick(COMMIT);
            engine.run().unwrap();
        }
        engine.commit().unwrap();
        let (changelog, end) = fullest_changelog(&mut engine);
        if state == TestState::Lmdb {
            // One more transaction, that the state misses.
            send(&mut engine, "a b c d e f g h", 4, 0);
            engine.run().unwrap();
            engine.tick(COMMIT);
            engine.run().unwrap();
            faults.at_next_commit(Fault::CrashAfterCommit);
            while !faults.crashed() {
                drop(engine.step_worker(0));
                engine.tick(COMMIT);
            }
            faults.revive();
        }
        let first = if state == TestState::Lmdb { end } else { 0 };
        faults.hold(changelog.clone(), first);
        engine.crash_all();
        for _ in 0..50 {
            engine.step_worker(0).unwrap();
        }
        assert_eq!(engine.restoring()[0].offset, first, "{state:?}");
        let last = engine.restoring()[0].ending_offset;
        assert!(last > first);
        engine.delete_before(&changelog, last - 1);
        faults.release();
        engine.run().unwrap();
        assert_eq!(engine.stats().wiped, 1, "{state:?}");
        let told = log.0.lock().unwrap().clone();
        let of_it: Vec<&String> = told
            .iter()
            .filter(|t| t.contains(&changelog.to_string()))
            .collect();
        let expected = [
            format!("start {changelog} counts {first} {last}"),
            format!("suspended {changelog} counts 0"),
            format!("start {changelog} counts {} {last}", last - 1),
            format!("batch {changelog} counts {last} 1"),
            format!("end {changelog} counts 1"),
        ];
        assert_eq!(
            of_it[of_it.len() - 5..],
            expected.iter().collect::<Vec<_>>(),
            "{told:?}"
        );
    }
}

/// What a restore listener was told.
#[derive(Default)]
struct Restores(std::sync::Mutex<Vec<String>>);

impl Restores {
    fn push(&self, told: String) {
        self.0.lock().unwrap().push(told);
    }
}

impl crate::config::StateRestoreListener for Restores {
    fn on_restore_start(&self, partition: &TopicPartition, store: &str, from: i64, to: i64) {
        self.push(format!("start {partition} {store} {from} {to}"));
    }
    fn on_batch_restored(&self, partition: &TopicPartition, store: &str, next: i64, n: u64) {
        self.push(format!("batch {partition} {store} {next} {n}"));
    }
    fn on_restore_end(&self, partition: &TopicPartition, store: &str, total: u64) {
        self.push(format!("end {partition} {store} {total}"));
    }
    fn on_restore_suspended(&self, partition: &TopicPartition, store: &str, total: u64) {
        self.push(format!("suspended {partition} {store} {total}"));
    }
}

#[test]
fn a_task_that_moves_away_while_it_is_restored_is_told_as_suspended() {
    let log = Arc::new(Restores::default());
    let mut options = TestDriverOptions::new().guarantee(EOS).on_demand();
    options.config = options.config.on_restore(log.clone());
    let mut engine = engine(options);
    let faults = Faults::none();
    engine.wrap_transport(|inner| FaultTransport::new(inner, faults.clone()));
    send(&mut engine, "a b c d e f g h", 1, 0);
    engine.run().unwrap();
    engine.commit().unwrap();
    engine.run().unwrap();
    engine.commit().unwrap();
    for partition in 0..2 {
        faults.hold(TopicPartition::new("words-counts-changelog", partition), 0);
    }
    engine.crash_all();
    for _ in 0..20 {
        engine.step_worker(0).unwrap();
    }
    assert_eq!(engine.restoring().len(), 2);
    engine.add_worker();
    for _ in 0..50 {
        engine.step_worker(0).unwrap();
        engine.step_worker(1).unwrap();
    }
    let told = log.0.lock().unwrap().clone();
    let suspended = told.iter().filter(|t| t.starts_with("suspended")).count();
    assert!(suspended > 0, "{told:?}");
    faults.release();
    engine.run().unwrap();
    assert!(engine.restoring().is_empty());
    assert_eq!(counts(&mut engine).values().sum::<i64>(), 8);
}

#[test]
fn a_changelog_record_that_no_store_can_take_is_named() {
    let long = vec![b'k'; crate::store::MAX_KEY_LENGTH + 1];
    let unreadable: [(&[u8], &[u8], &str); 2] = [
        (
            &long,
            &[0; 8],
            "a key of 1983 bytes is too long for store `counts`",
        ),
        (b"word", b"seven b", "7 bytes, but `i64` has 8"),
    ];
    for (key, value, why) in unreadable {
        let mut engine = engine(TestDriverOptions::new().guarantee(EOS));
        send(&mut engine, "a", 1, 0);
        engine.commit().unwrap();
        engine.commit().unwrap();
        let (changelog, end) = fullest_changelog(&mut engine);
        let (partition, headers) = (Some(changelog.partition), Headers::new());
        engine
            .pipe(
                &changelog.topic,
                partition,
                Some(key),
                Some(value),
                Some(1),
                headers,
            )
            .unwrap();
        let error = engine.crash().unwrap_err().to_string();
        let place =
            format!("offset {end} of changelog {changelog} cannot be restored into store `counts`");
        assert!(error.contains(&place) && error.contains(why), "{error}");
    }
}
