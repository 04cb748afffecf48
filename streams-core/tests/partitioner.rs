//! Every hash and partition of `murmur2.json`, which Kafka's own code computed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use streams_core::partitioner::{murmur2, partition_for_key};

#[test]
fn hashes_and_partitions_are_kafkas() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/murmur2.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let numbers = |list: &Value| -> Vec<i64> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_i64().unwrap())
            .collect()
    };
    let counts = numbers(&vectors["partition_counts"]);
    let keys = vectors["keys"].as_array().unwrap();
    for key in keys {
        let bytes = BASE64_STANDARD
            .decode(key["key_b64"].as_str().unwrap())
            .unwrap();
        assert_eq!(
            i64::from(murmur2(&bytes)),
            key["murmur2"].as_i64().unwrap(),
            "{key}"
        );
        let partitions: Vec<i64> = counts
            .iter()
            .map(|count| partition_for_key(&bytes, u32::try_from(*count).unwrap()).into())
            .collect();
        assert_eq!(partitions, numbers(&key["partitions"]), "{key}");
    }
    assert!(keys.len() > 20, "the file was read");
}
