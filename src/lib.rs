//! Kafka Streams for Rust: an annotated struct is the topology, the running application and its test, and it is checked
//! at compile time.
//!
//! ```
//! use kstreams::prelude::*;
//!
//! #[topology(application_id = "shouting")]
//! pub struct Shouting {
//!     /// A plain field is a parameter: the builder asks for it, closures see it.
//!     at_least: usize,
//!     #[source(topic = "messages", partitions = 2)]
//!     messages: KStream<String, String>,
//!     #[from(messages.filter(|_, text| text.len() >= self.at_least).map_values(|text| text.to_uppercase()))]
//!     #[sink(topic = "shouts", partitions = 2)]
//!     shouts: KStream<String, String>,
//!     #[from(messages.group_by_key().count())]
//!     per_author: KTable<String, i64>,
//! }
//!
//! fn main() -> kstreams::Result<()> {
//!     let test = Shouting::builder().at_least(3).test_driver()?;
//!     test.messages.send("ada", "hello").at(1_000);
//!     assert_eq!(test.shouts.read_one().map(|r| r.value), Some("HELLO".to_owned()));
//!     assert_eq!(test.per_author.get("ada")?, Some(1));
//!     // `Shouting::builder().at_least(3).start(config)?` runs it, and `.main()` is a whole program.
//!     Ok(())
//! }
//! ```
//!
//! - [`topology`] and [`processor`](macro@processor) are the macros, [`prelude`] is all that a topology needs.
//! - [`StreamsConfig`] says where it runs and how, [`Running`] is the running application, [`KafkaStreams`] its handle.
//! - [`Snapshot`] answers queries of [`KTable`]s, [`GlobalKTable`]s and stores.
//! - [`Serde`] gives a type its wire format, [`Json`](struct@Json) that of JSON.
//! - [`exceptions`] has the handlers of records that fail, [`mod@processor`] the Processor API, [`partitioner`] the choice of partitions.
//! - [`test_driver`] tests a topology, [`ProcessorTest`] a processor alone; [`program`] is the command line.
//!
//! The pages under `docs/` are the guide: concepts, each family of operators, queries, Kafka, configuration, and what differs from
//! Kafka Streams.

pub use streams_core::config::{ProcessingGuarantee, StateRestoreListener, StreamsConfig};
pub use streams_core::error::{Error, Result};
pub use streams_core::generated::Topology;
pub use streams_core::handles::{GlobalKTable, KStream, KTable};
pub use streams_core::partitioner::{Partitions, StreamPartitioner};
pub use streams_core::processor::{
    self, Context, Entries, FixedKeyProcessor, FixedKeyRecord, InitContext, KeyValueStore,
    ProcessingError, ProcessingResult, Processor, ProcessorContext, ProcessorTest, Punctuation,
    Punctuator, ReadOnlyKeyValueStore, ReadOnlySessionStore, ReadOnlyVersionedStore,
    ReadOnlyWindowStore, SessionStore, SourceMetadata, TimestampedKeyValueStore, ValueAndTimestamp,
    ValueTransformer, VersionedStore, WindowEntry, WindowStore,
};
pub use streams_core::query::{QueryError, Snapshot, SnapshotEntries};
pub use streams_core::record::{
    Change, Header, Headers, Record, RecordContext, Timestamp, TopicPartition,
};
pub use streams_core::routing::Topic;
pub use streams_core::runtime::{KafkaStreams, RestoreProgress, Running, State, Statistics};
pub use streams_core::serde::{Json, Serde, SerdeError};
pub use streams_core::store::Placed;
pub use streams_core::test_driver::{
    self, TestDriver, TestDriverOptions, TestGlobalStore, TestInput, TestInputTable, TestOutput,
    TestStore, TestTable,
};
pub use streams_core::windowed::{SessionWindow, TimeWindow, Windowed};
pub use streams_macros::{Json, processor, topology};

mod progress;

pub mod program;

pub use progress::Progress;

/// The static description that the macro emits for a topology: [`Topology::TOPOLOGY`].
#[doc(inline)]
pub use streams_core::topology as descriptor;
#[doc(inline)]
pub use streams_core::{
    config, describe, error, exceptions, ops, outbox, partitioner, runtime, timestamps, topics,
    transport,
};

/// Everything that a topology needs: `use kstreams::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Context, FixedKeyProcessor, FixedKeyRecord, GlobalKTable, Headers, InitContext, Json,
        KStream, KTable, KeyValueStore, Partitions, ProcessingError, ProcessingGuarantee,
        ProcessingResult, Processor, ProcessorTest, Punctuation, Punctuator, ReadOnlyKeyValueStore,
        ReadOnlySessionStore, ReadOnlyVersionedStore, ReadOnlyWindowStore, Record, Serde,
        SessionStore, SessionWindow, StreamPartitioner, StreamsConfig, TimeWindow, Timestamp,
        TimestampedKeyValueStore, Topic, ValueAndTimestamp, ValueTransformer, VersionedStore,
        WindowStore, Windowed, processor, topology,
    };
}

/// What generated code names, and nothing else may: not subject to semantic versioning.
#[doc(hidden)]
pub mod __private {
    pub use crate::program::main as program;
    pub use streams_core::__private::*;
}

/// The examples of the README and the guide, compiled and run.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/from_java.md")]
    struct FromJava;
    #[doc = include_str!("../docs/streams.md")]
    struct Streams;
    #[doc = include_str!("../docs/aggregations.md")]
    struct Aggregations;
    #[doc = include_str!("../docs/stream_table_joins.md")]
    struct StreamTableJoins;
    #[doc = include_str!("../docs/stream_joins.md")]
    struct StreamJoins;
    #[doc = include_str!("../docs/testing.md")]
    struct Testing;
    #[doc = include_str!("../docs/windows.md")]
    struct Windows;
    #[doc = include_str!("../docs/versioned.md")]
    mod versioned {}
    #[doc = include_str!("../docs/queries.md")]
    mod queries {}
    #[doc = include_str!("../docs/suppress.md")]
    mod suppress {}
    #[doc = include_str!("../docs/program.md")]
    struct Program;
    #[doc = include_str!("../docs/processors.md")]
    struct Processors;
    #[doc = include_str!("../docs/kafka.md")]
    struct Kafka;
    #[doc = include_str!("../docs/error_handling.md")]
    struct ErrorHandling;
    #[doc = include_str!("../docs/tables.md")]
    struct Tables;
    #[doc = include_str!("../docs/foreign_key_joins.md")]
    struct ForeignKeyJoins;
}
