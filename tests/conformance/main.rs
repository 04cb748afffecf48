//! Replays what Apache Kafka Streams 4.3.1 does (`tests/vectors`) through hand-written topologies, and compares exactly.
//!
//! `cargo test --test conformance -- --nocapture` prints how many scenarios are covered.
//! `KSTREAMS_VECTORS=DIR` replays another folder of the same format with the topologies known by name, and prints which are not.

mod compare;
mod differing;
mod effects;
mod loader;
mod names;
mod replay;
mod serdes;
mod topologies;

use std::path::{Path, PathBuf};

use loader::Scenario;
use replay::{Backend, Schedule};
use topologies::Entry;

fn vectors() -> PathBuf {
    std::env::var_os("KSTREAMS_VECTORS").map_or_else(own_vectors, PathBuf::from)
}

fn own_vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// The scenarios with their topologies, and the names of those that have none.
fn scenarios() -> (Vec<(Scenario, Entry)>, Vec<String>) {
    with_topologies(&vectors())
}

fn with_topologies(folder: &Path) -> (Vec<(Scenario, Entry)>, Vec<String>) {
    let mut covered = Vec::new();
    let mut open = Vec::new();
    let differences = differing::listed(&own_vectors());
    for mut scenario in loader::folder(folder) {
        differing::apply(&mut scenario, &differences);
        match topologies::by_name(&scenario.name) {
            Some(entry) => covered.push((scenario, entry)),
            None => open.push(scenario.name),
        }
    }
    (covered, open)
}

/// Replays all under one schedule; the text of every difference.
fn differences(covered: &[(Scenario, Entry)], schedule: Schedule) -> Vec<String> {
    covered
        .iter()
        .filter(|(_, entry)| !schedule.kills() || entry.survives_a_kill())
        .filter_map(|(scenario, entry)| {
            let difference = match replay::run(scenario, entry, schedule) {
                Ok(mut actual) if schedule.kills() => {
                    let scenario = &mut scenario.clone();
                    compare::forget_expired(scenario, entry, &mut actual);
                    compare::first_difference(scenario, &entry.names, &actual)?
                }
                Ok(actual) => compare::first_difference(scenario, &entry.names, &actual)?,
                Err(e) => format!("it cannot be replayed: {e}"),
            };
            let Scenario {
                name, description, ..
            } = scenario;
            Some(format!(
                "{name} ({schedule}) differs: {description}\n{difference}"
            ))
        })
        .collect()
}

#[test]
fn equals_kafka_streams() {
    if std::env::var_os("KSTREAMS_BLESS").is_some() {
        let (covered, _) = scenarios();
        differing::bless(&own_vectors(), |difference| {
            let of = |(s, _): &&(Scenario, Entry)| s.name == difference.scenario;
            let (scenario, entry) = covered.iter().find(of).expect("the scenario");
            let run = replay::run(scenario, entry, Schedule::once(Backend::Memory));
            let topic = entry.names.ours(&difference.topic);
            run.expect("it runs")
                .records
                .remove(&topic)
                .unwrap_or_default()
        });
    }
    let (covered, open) = scenarios();
    let differing = differences(&covered, Schedule::once(Backend::Memory));
    println!(
        "conformance: {} of {} scenarios, {} differ",
        covered.len(),
        covered.len() + open.len(),
        differing.len()
    );
    println!("not yet covered ({}): {}", open.len(), open.join(", "));
    // Another folder may have scenarios that this build knows nothing of.
    if std::env::var_os("KSTREAMS_VECTORS").is_none() {
        assert!(open.is_empty(), "no topology: {}", open.join(", "));
    }
    assert!(differing.is_empty(), "\n{}", differing.join("\n\n"));
}

#[test]
fn equals_kafka_streams_on_disk() {
    let (covered, _) = scenarios();
    let differing = differences(&covered, Schedule::once(Backend::Disk));
    assert!(differing.is_empty(), "\n{}", differing.join("\n\n"));
}

#[test]
fn equals_kafka_streams_exactly_once() {
    let (covered, _) = scenarios();
    for schedule in [
        Schedule::once(Backend::Memory),
        Schedule::with_kills(Backend::Disk, 3),
    ] {
        let differing = differences(&covered, schedule.exactly_once());
        assert!(differing.is_empty(), "\n{}", differing.join("\n\n"));
    }
}

/// A kill between any two steps, and what was there before the kill, change nothing.
#[test]
fn equals_kafka_streams_with_a_kill_after_every_kth_step() {
    for backend in [Backend::Disk, Backend::Memory] {
        let (mut covered, _) = scenarios();
        covered.retain(|(_, entry)| backend == Backend::Disk || !entry.forgets_on_a_kill());
        for k in [1, 2, 3, 5] {
            let differing = differences(&covered, Schedule::with_kills(backend, k));
            assert!(differing.is_empty(), "\n{}", differing.join("\n\n"));
        }
    }
}

/// The record cache merges updates, but what the stores hold in the end is the same, cached, killed or not.
#[test]
fn stores_equal_with_the_record_cache_on() {
    let (mut covered, _) = scenarios();
    covered.retain(|(_, entry)| !entry.forgets_on_a_kill() && entry.survives_a_kill());
    for bytes in [100, 10 << 20] {
        let schedule = Schedule::with_kills(Backend::Memory, 4).with_cache(bytes);
        for (scenario, entry) in &covered {
            let mut actual = replay::run(scenario, entry, schedule).unwrap();
            let scenario = &mut scenario.clone();
            compare::forget_expired(scenario, entry, &mut actual);
            let difference = compare::stores(scenario, &entry.names, &actual);
            assert_eq!(difference, None, "{} ({schedule})", scenario.name);
        }
    }
}

/// What is listed as a difference still is one.
#[test]
fn every_listed_difference_is_one() {
    let theirs = loader::folder(&own_vectors());
    for difference in differing::listed(&own_vectors()) {
        let scenario = theirs.iter().find(|s| s.name == difference.scenario);
        let scenario = scenario.expect("a difference is one of a scenario");
        assert_ne!(
            scenario.records.get(&difference.topic),
            Some(&difference.records()),
            "{}: {} is as in Kafka Streams",
            difference.scenario,
            difference.topic
        );
    }
}

#[test]
fn every_topology_has_its_scenario() {
    let names: Vec<String> = loader::folder(&own_vectors())
        .into_iter()
        .map(|s| s.name)
        .collect();
    let strays: Vec<_> = topologies::all()
        .filter(|e| !names.contains(&e.scenario.to_owned()))
        .collect();
    assert!(
        strays.is_empty(),
        "no such scenario: {:?}",
        strays.iter().map(|e| e.scenario).collect::<Vec<_>>()
    );
}

/// The comparison itself: whatever is changed in a scenario, it is noticed. What is planted fits the project's own vectors.
#[test]
fn a_difference_is_noticed_wherever_it_is() {
    /// A scenario, where the difference shows, and what makes it.
    type Planted = (&'static str, &'static str, fn(&mut Scenario));
    let changes: [Planted; 10] = [
        ("agg-count", "topic out", |s| record(s, "out").value = None),
        ("agg-count", "topic out", |s| {
            record(s, "out").key = Some(b"other".to_vec())
        }),
        ("agg-count", "topic out", |s| {
            record(s, "out").after_step += 1
        }),
        ("agg-count", "topic vec-counts-changelog", |s| {
            record(s, "vec-counts-changelog").timestamp = Some(0);
        }),
        (
            "stateless-repartition",
            "topic vec-by-first-repartition",
            |s| {
                record(s, "vec-by-first-repartition")
                    .headers
                    .push(("h".into(), None));
            },
        ),
        ("agg-count", "store counts", |s| {
            s.stores
                .get_mut("counts")
                .expect("a store")
                .entries
                .reverse();
        }),
        ("agg-count", "internal topics", |s| {
            let config = s
                .internal_topics
                .get_mut("vec-counts-changelog")
                .expect("a topic");
            config.insert("cleanup.policy".into(), "delete".into());
        }),
        ("stateless-peek-foreach", "side effects", |s| {
            s.side_effects.as_mut().expect("side effects").swap(0, 1);
        }),
        ("err-deserialization-fail", "error", |s| {
            s.error.as_mut().expect("an error").after_step = 0;
        }),
        ("agg-count", "dropped records", |s| {
            s.dropped_records_total += 1
        }),
    ];
    let (covered, _) = with_topologies(&own_vectors());
    for (name, place, change) in changes {
        let (scenario, entry) = covered
            .iter()
            .find(|(s, _)| s.name == name)
            .expect("the scenario");
        let actual = replay::run(scenario, entry, Schedule::once(Backend::Memory)).unwrap();
        assert_eq!(
            compare::first_difference(scenario, &entry.names, &actual),
            None,
            "{name}"
        );
        let mut changed = loader::folder(&own_vectors());
        let changed = changed
            .iter_mut()
            .find(|s| s.name == name)
            .expect("the scenario");
        change(changed);
        let difference = compare::first_difference(changed, &entry.names, &actual);
        assert!(
            difference
                .as_ref()
                .is_some_and(|text| text.starts_with(place)),
            "{name}: {place}: {difference:?}"
        );
    }
}

fn record<'s>(scenario: &'s mut Scenario, topic: &str) -> &'s mut loader::Written {
    scenario
        .records
        .get_mut(topic)
        .and_then(|list| list.last_mut())
        .expect("a record")
}
