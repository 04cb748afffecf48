//! A Java Kafka Streams application and ours take over from one another: the same changelogs, the same committed offsets, the
//! same stores, and outputs as if nobody had changed. Needs a JDK and Maven.

use std::process::ExitCode;
use std::sync::OnceLock;

use kstreams::ProcessingGuarantee::{self, AtLeastOnce, ExactlyOnceV2};

#[path = "interchange/client.rs"]
mod client;
#[path = "interchange/java.rs"]
mod java;
#[path = "interchange/scenario.rs"]
mod scenario;
#[path = "interchange/topology.rs"]
mod topology;

use scenario::{Outcome, Scenario, Side, equal};

fn main() -> ExitCode {
    let b = std::env::var("KAFKA_BOOTSTRAP").unwrap();
    let n = std::env::args().nth(1).unwrap();
    println!("{:?}", control(&b).as_ref().map(|o| (o.topics.iter().map(|(k,v)| (k.clone(), client::count(v))).collect::<Vec<_>>(), o.stores.len(), o.metadata.clone())));
    if n == "all" { println!("{:?}", takes_over(&b, "java-rust-alo", AtLeastOnce, Side::Java, Side::Rust(topology::java_rust_at_least_once::start))); }
    ExitCode::SUCCESS
}

/// What Java leaves that is never stopped.
fn control(bootstrap: &str) -> &'static Result<Outcome, String> {
    static CONTROL: OnceLock<Result<Outcome, String>> = OnceLock::new();
    CONTROL.get_or_init(|| {
        let directory = tempfile::tempdir().map_err(|e| e.to_string())?; std::mem::forget(directory.path().to_owned()); eprintln!("{:?}", directory.path()); let directory = std::mem::ManuallyDrop::new(directory);
        let scenario = Scenario {
            bootstrap,
            name: "java-alone",
            guarantee: AtLeastOnce,
            first: Side::Java,
            second: None,
        };
        scenario.run(directory.path())
    })
}

fn takes_over(
    bootstrap: &str,
    name: &str,
    guarantee: ProcessingGuarantee,
    first: Side,
    second: Side,
) -> Result<(), String> {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    let scenario = Scenario {
        bootstrap,
        name,
        guarantee,
        first,
        second: Some(second),
    };
    let outcome = scenario.run(directory.path())?;
    let control = control(bootstrap).as_ref().map_err(|e| format!("Java alone: {e}"))?;
    for (topic, expected) in &control.topics {
        let found = outcome.topics.get(topic).ok_or_else(|| format!("no {topic}"))?;
        for (key, records) in expected {
            let found = found.get(key);
            if found != Some(records) {
                return Err(format!("{topic}, {key:?}: {found:?}, not {records:?}"));
            }
        }
        let (expected, found) = (client::count(expected), client::count(found));
        if expected != found {
            return Err(format!("{topic}: {found} records, not {expected}"));
        }
    }
    equal("stores at the end", &control.stores, &outcome.stores)?;
    if control.metadata != outcome.metadata {
        return Err(format!("{:?} was committed, not {:?}", outcome.metadata, control.metadata));
    }
    Ok(())
}
