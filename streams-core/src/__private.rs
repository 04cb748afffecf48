//! Layer 7. What generated code names, and nothing else may: not subject to semantic versioning.
//! `kstreams::__private` re-exports it whole; macro and core are released in lockstep.

pub use core::clone::Clone;
pub use core::convert::{From, Infallible, Into};
pub use core::default::Default;
pub use core::iter::IntoIterator;
pub use core::option::Option::{self, None, Some};
pub use core::result::Result::{self, Err, Ok};
pub use std::boxed::Box;
pub use std::sync::Arc;
pub use std::vec::Vec;

pub use serde_json;

pub use crate::chain::{
    Chain, Keyed, NotNullKey, NotNullValue, TableChain, ToStream, Updates, Valued,
};
pub use crate::config::StreamsConfig;
pub use crate::context::{InNode, TaskContext, in_context};
pub use crate::edge::edge;
pub use crate::error::Error;
pub use crate::error::{TaskError, TaskResult};
pub use crate::foreign_key::{Answer, CombinedKey, Foreign, Response, Subscribing, Subscription};
pub use crate::generated::{
    Bound, Flushed, SubTopology, TaskOf, Topology, unknown_processor, unknown_source,
    unknown_store, unknown_subtopology,
};
pub use crate::global_table::GlobalTable;
pub use crate::handles::{GlobalKTable, KStream, KTable};
pub use crate::obligations::{Milliseconds, copartitioned, join_keeps, join_windows, not_negative};
pub use crate::ops::{self, Sided};
pub use crate::partitioner::StreamPartitioner;
pub use crate::processor::{
    Declared, FixedKeyRecord, ForwardsNothing, InitContext, Interval, IntoOutput, KeyOf,
    KeyValueStore, Named, NamedOutput, NoOutput, OldValue, Output, ProcessingResult,
    ProcessorDefinition, ProcessorSlot, ProcessorStore, Punctuation, Punctuator,
    ReadOnlyKeyValueStore, ReadOnlySessionStore, ReadOnlyVersionedStore, ReadOnlyWindowStore,
    SessionStore, SharedAs, SharesStore, StorePlace, TimestampedKeyValueStore, ValueOf,
    VersionedStore, WindowStore, joined, keep, keeps_one_store, keys_taken, numbered, output_named,
    outputs_are_read, process, process_global, process_values, punctuate, shared_stores_are_given,
    shared_with, stateful_is_partitioned, stores_differ, transform_values, values_taken,
};
pub use crate::query::QueryRegistry;
pub use crate::record::{Change, Headers, RawRecord, Record, Timestamp};
pub use crate::routing::Topic;
pub use crate::runtime::{Running, start};
pub use crate::serde::json::{self, AsJson};
pub use crate::serde::{Serde, SerdeError};
pub use crate::stream_join::{
    JoinKind, JoinParts, JoinWindows, UnmatchedKey, UnmatchedValues, YieldedKey, stream_join,
    stream_self_join,
};
pub use crate::table::join::{Found, LookUp, Met, Row, Version, found, latest, row, row_of};
pub use crate::table::waiting::{Arrived, Suppress, Waiting};
pub use crate::table::{Aggregate, AggregateRows, PresentRows, Regrouping, TableStore};
pub use crate::test_driver::{
    TestDriver, TestDriverOptions, TestGlobalStore, TestInput, TestInputTable, TestOutput,
    TestStore, TestTable,
};
pub use crate::timestamps::TimestampExtractor;
pub use crate::topology::{
    Changelog, Described, GlobalDescriptor, KeptBy, NodeDescriptor, NodeKind, OffsetReset,
    SinkTopic, SourceDescriptor, SourceTimestamps, StoreBackend, StoreDescriptor, StoreFormat,
    StoreKind, SubtopologyDescriptor, TopicDescriptor, TopicRole, TopologyDescriptor,
    TypeDescriptor, Undescribed,
};
pub use crate::window::{
    MergeSessions, Merging, SessionAggregate, SessionWindows, SlidingWindows, TimeWindows,
    UnlimitedWindows, WindowedAggregate, WindowedTable, ms, retention_fits, window_size_fits,
};
pub use crate::windowed::WindowedKey;
pub use crate::windowed::{SessionWindow, TimeWindow, Windowed};
