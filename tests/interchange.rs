//! A Java Kafka Streams application and ours take over from one another: the same changelogs, the same committed offsets, the
//! same stores, and outputs as if nobody had changed. Needs a JDK and Maven.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::OnceLock;

use kafka_broker::{Case, Cluster};
use kstreams::ProcessingGuarantee::{self, AtLeastOnce, ExactlyOnceV2};

#[path = "interchange/class_path.rs"]
mod class_path;
#[path = "interchange/client.rs"]
mod client;
#[path = "interchange/java.rs"]
mod java;
#[path = "interchange/scenario.rs"]
mod scenario;
#[path = "interchange/tables.rs"]
mod tables;
#[path = "interchange/topology.rs"]
mod topology;
#[path = "interchange/windows.rs"]
mod windows;
#[path = "interchange/work.rs"]
mod work;

use client::{ByKey, Metadata};
use scenario::{Outcome, Scenario, Side, equal};
use tables::TABLES;
use topology::Start;
use windows::WINDOWS;
use work::{Compare, Work};

fn main() -> ExitCode {
    use topology::{tables, windows};
    let each: [(&str, &str, &'static Work, ProcessingGuarantee, bool, Start); 8] = [
        (
            "rust_takes_over_from_java_at_least_once",
            "java-rust-alo",
            &TABLES,
            AtLeastOnce,
            true,
            tables::java_rust_at_least_once::start,
        ),
        (
            "rust_takes_over_from_java_exactly_once",
            "java-rust-eos",
            &TABLES,
            ExactlyOnceV2,
            true,
            tables::java_rust_exactly_once::start,
        ),
        (
            "java_takes_over_from_rust_at_least_once",
            "rust-java-alo",
            &TABLES,
            AtLeastOnce,
            false,
            tables::rust_java_at_least_once::start,
        ),
        (
            "java_takes_over_from_rust_exactly_once",
            "rust-java-eos",
            &TABLES,
            ExactlyOnceV2,
            false,
            tables::rust_java_exactly_once::start,
        ),
        (
            "rust_takes_over_windows_from_java_at_least_once",
            "win-java-rust-alo",
            &WINDOWS,
            AtLeastOnce,
            true,
            windows::java_rust_at_least_once::start,
        ),
        (
            "rust_takes_over_windows_from_java_exactly_once",
            "win-java-rust-eos",
            &WINDOWS,
            ExactlyOnceV2,
            true,
            windows::java_rust_exactly_once::start,
        ),
        (
            "java_takes_over_windows_from_rust_at_least_once",
            "win-rust-java-alo",
            &WINDOWS,
            AtLeastOnce,
            false,
            windows::rust_java_at_least_once::start,
        ),
        (
            "java_takes_over_windows_from_rust_exactly_once",
            "win-rust-java-eos",
            &WINDOWS,
            ExactlyOnceV2,
            false,
            windows::rust_java_exactly_once::start,
        ),
    ];
    let cases = each.map(|(case, name, work, guarantee, java_begins, rust)| {
        Case::new(case, move |cluster| {
            let (java, rust) = (Side::Java, Side::Rust(rust));
            let (first, second) = if java_begins {
                (java, rust)
            } else {
                (rust, java)
            };
            takes_over(cluster, work, name, guarantee, first, second);
        })
    });
    kafka_broker::main(cases.into())
}

/// What Java leaves when it runs alone and is never stopped: what all others are compared with.
fn control(bootstrap: &str, work: &'static Work) -> &'static Result<Outcome, String> {
    static CONTROLS: [OnceLock<Result<Outcome, String>>; 2] = [OnceLock::new(), OnceLock::new()];
    let (place, name) = if work.name == WINDOWS.name {
        (&CONTROLS[1], "win-java-alone")
    } else {
        (&CONTROLS[0], "java-alone")
    };
    place.get_or_init(|| {
        let directory = kafka_broker::temp_dir().map_err(|e| e.to_string())?;
        let scenario = Scenario {
            work,
            bootstrap,
            name,
            guarantee: AtLeastOnce,
            first: Side::Java,
            second: None,
        };
        scenario.run(directory.path())
    })
}

/// Half of the input is processed by one side, the rest by the other.
fn takes_over(
    cluster: &Cluster,
    work: &'static Work,
    name: &str,
    guarantee: ProcessingGuarantee,
    first: Side,
    second: Side,
) {
    let directory = kafka_broker::temp_dir().unwrap();
    let bootstrap = cluster.bootstrap();
    let scenario = Scenario {
        work,
        bootstrap: &bootstrap,
        name,
        guarantee,
        first,
        second: Some(second),
    };
    let outcome = scenario
        .run(directory.path())
        .unwrap_or_else(|e| panic!("{e}"));
    let control = control(&bootstrap, work);
    let control = control
        .as_ref()
        .unwrap_or_else(|e| panic!("Java alone: {e}"));
    let mut differ = Vec::new();
    for (topic, expected) in &control.topics {
        assert!(client::count(expected) > 0, "{topic} is empty");
        if let Err(how) = same_records(&outcome.topics[topic], expected) {
            differ.push(format!("{topic}{how}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    equal("stores at the end", &control.stores, &outcome.stores).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(outcome.settings, control.settings, "settings of topics");
    same_metadata(work, &outcome.metadata, &control.metadata);
}

/// Tells the first difference.
fn same_records(found: &ByKey, expected: &ByKey) -> Result<(), String> {
    for ((partition, key), records) in expected {
        let found = found.get(&(*partition, key.clone()));
        let key = String::from_utf8_lossy(key.as_deref().unwrap_or_default());
        let found = found.ok_or_else(|| format!("-{partition}: no {key}"))?;
        for (nth, (found, expected)) in found.iter().zip(records).enumerate() {
            if found != expected {
                return Err(format!(
                    "-{partition}, {key}, record {nth} is {found:?}, expected {expected:?}"
                ));
            }
        }
    }
    let counts = (client::count(found), client::count(expected));
    if counts.0 == counts.1 {
        return Ok(());
    }
    Err(format!(" has {} records, expected {}", counts.0, counts.1))
}

/// The times of partitions are equal. Of operators' times ours has more; those that Java has must be the same.
fn same_metadata(work: &Work, found: &Metadata, expected: &Metadata) {
    // Where records lie anywhere, it is of no use which partition's time is which.
    let anywhere = |topic: &str| {
        work.written
            .iter()
            .any(|(name, how)| *name == topic && *how == Compare::Unordered)
    };
    let partition_times = |of: &Metadata| {
        let mut times = BTreeMap::new();
        for ((topic, partition), beside) in of {
            let partition = (!anywhere(topic)).then_some(*partition);
            let time = times.entry((topic.clone(), partition)).or_insert(-1);
            *time = beside.partition_time.max(*time);
        }
        times
    };
    assert_eq!(partition_times(found), partition_times(expected));
    // A partition that got nothing since has older times; the latest of a task's count.
    let operators_times = |of: &Metadata| {
        let mut times = BTreeMap::new();
        for ((_, partition), beside) in of {
            for (name, time) in &beside.processors {
                let latest = times.entry((*partition, name.clone())).or_insert(*time);
                *latest = (*latest).max(*time);
            }
        }
        times
    };
    let (found, expected) = (operators_times(found), operators_times(expected));
    let emits = work.written.iter().any(|(topic, _)| *topic == "out-closed");
    assert_eq!(emits, !expected.is_empty(), "{expected:?}");
    for (of, time) in &expected {
        assert_eq!(found.get(of), Some(time), "{of:?}");
    }
}
