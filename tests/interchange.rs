//! A Java Kafka Streams application and ours take over from one another: the same changelogs, the same committed offsets, the
//! same stores, and outputs as if nobody had changed. Needs a JDK and Maven.

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
#[path = "interchange/topology.rs"]
mod topology;

use scenario::{Outcome, Scenario, Side, equal};

fn main() -> ExitCode {
    kafka_broker::main(vec![
        Case::new("rust_takes_over_from_java_at_least_once", |cluster| {
            let rust = Side::Rust(topology::java_rust_at_least_once::start);
            takes_over(cluster, "java-rust-alo", AtLeastOnce, Side::Java, rust);
        }),
        Case::new("rust_takes_over_from_java_exactly_once", |cluster| {
            let rust = Side::Rust(topology::java_rust_exactly_once::start);
            takes_over(cluster, "java-rust-eos", ExactlyOnceV2, Side::Java, rust);
        }),
        Case::new("java_takes_over_from_rust_at_least_once", |cluster| {
            let rust = Side::Rust(topology::rust_java_at_least_once::start);
            takes_over(cluster, "rust-java-alo", AtLeastOnce, rust, Side::Java);
        }),
        Case::new("java_takes_over_from_rust_exactly_once", |cluster| {
            let rust = Side::Rust(topology::rust_java_exactly_once::start);
            takes_over(cluster, "rust-java-eos", ExactlyOnceV2, rust, Side::Java);
        }),
    ])
}

/// What Java leaves when it runs alone and is never stopped: what all others are compared with.
fn control(bootstrap: &str) -> &'static Result<Outcome, String> {
    static CONTROL: OnceLock<Result<Outcome, String>> = OnceLock::new();
    CONTROL.get_or_init(|| {
        let directory = kafka_broker::temp_dir().map_err(|e| e.to_string())?;
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

/// Half of the input is processed by one side, the rest by the other.
fn takes_over(
    cluster: &Cluster,
    name: &str,
    guarantee: ProcessingGuarantee,
    first: Side,
    second: Side,
) {
    let directory = kafka_broker::temp_dir().unwrap();
    let bootstrap = cluster.bootstrap();
    let scenario = Scenario {
        bootstrap: &bootstrap,
        name,
        guarantee,
        first,
        second: Some(second),
    };
    let outcome = scenario
        .run(directory.path())
        .unwrap_or_else(|e| panic!("{e}"));
    let control = control(&bootstrap);
    let control = control
        .as_ref()
        .unwrap_or_else(|e| panic!("Java alone: {e}"));
    for (topic, expected) in &control.topics {
        let found = &outcome.topics[topic];
        assert!(client::count(expected) > 0, "{topic} is empty");
        for ((partition, key), records) in expected {
            let found = found.get(&(*partition, key.clone()));
            let key = String::from_utf8_lossy(key.as_deref().unwrap_or_default());
            let found = found.unwrap_or_else(|| panic!("{topic}-{partition}: no {key}"));
            for (nth, (found, expected)) in found.iter().zip(records).enumerate() {
                assert_eq!(found, expected, "{topic}-{partition}, {key}, record {nth}");
            }
        }
        assert_eq!(client::count(found), client::count(expected), "{topic}");
    }
    equal("stores at the end", &control.stores, &outcome.stores).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        outcome.metadata, control.metadata,
        "beside the committed offsets"
    );
}
