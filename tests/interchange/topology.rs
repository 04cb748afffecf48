//! The topologies of the Java sources in Rust, each once for each scenario: names are part of a topology, and each has its own.

use kstreams::{KafkaStreams, StreamsConfig};

#[path = "topology/tables.rs"]
pub(crate) mod tables;
#[path = "topology/windows.rs"]
pub(crate) mod windows;

/// The running application, whatever its names.
pub(crate) struct Application {
    pub(crate) streams: KafkaStreams,
    _running: Box<dyn std::any::Any>,
}

/// Starts the application of a scenario.
pub(crate) type Start = fn(StreamsConfig) -> kstreams::Result<Application>;
