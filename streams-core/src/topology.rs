//! Layer 1. The static description of a topology that the macro emits, and everything else reads: the runtime, the
//! test driver, `describe()`. Nobody derives the graph again at run time.

use std::marker::PhantomData;

use crate::serde::{Serde, SerdeError};
use crate::timestamps::TimestampExtractor;

/// A whole topology. The macro emits one `static` of it.
#[derive(Debug)]
pub struct TopologyDescriptor {
    /// The user's struct.
    pub name: &'static str,
    /// `application.id`: the group, the prefix of internal topics, the state directory's name.
    pub application_id: &'static str,
    /// Every topic that is read or written, once. `TopicIndex` counts in this list.
    pub topics: &'static [TopicDescriptor],
    /// Every store, once. `StoreIndex` counts in this list.
    pub stores: &'static [StoreDescriptor],
    /// The sub-topologies. Connected parts of the graph; a repartition topic separates.
    pub subtopologies: &'static [SubtopologyDescriptor],
    /// Topics of global tables: source topic and store.
    pub globals: &'static [GlobalDescriptor],
}

impl TopologyDescriptor {
    /// The node that writes a topic: the field of its sink, the store of its changelog; for messages.
    #[must_use]
    pub fn writer_of(&self, topic: usize) -> Option<&'static str> {
        let nodes = self.subtopologies.iter().flat_map(|s| s.nodes);
        let sink = nodes
            .filter(|node| match node.kind {
                NodeKind::Sink {
                    topic: SinkTopic::Static(index),
                } => index == topic,
                NodeKind::Sink {
                    topic: SinkTopic::PerRecord(indexes),
                } => indexes.contains(&topic),
                NodeKind::Source { .. } | NodeKind::Processor { .. } => false,
            })
            .map(|node| node.parents.first().copied().unwrap_or(node.name))
            .next();
        let store = || {
            let mut stores = self.stores.iter();
            let logs = |s: &&StoreDescriptor| s.changelog == Changelog::Internal(topic);
            stores.find(logs).map(|store| store.node)
        };
        sink.or_else(store)
    }
}

/// A connected part of the graph, run by one task per partition.
#[derive(Debug)]
pub struct SubtopologyDescriptor {
    /// The topics it reads, in the order in which `SubTopology::process` counts its sources.
    pub sources: &'static [SourceDescriptor],
    /// Its stores, as indexes into `TopologyDescriptor::stores`. `SubTopology` and `TaskContext` count local stores in this order.
    pub stores: &'static [usize],
    /// Its nodes, in topological order.
    pub nodes: &'static [NodeDescriptor],
    /// Groups of topics that must have equal partition counts.
    pub copartitioned: &'static [&'static [usize]],
    /// Its operators' times, by name: `TaskContext::time` counts them in this order. A committed offset's metadata has them under
    /// these names.
    pub times: &'static [&'static str],
}

/// A source of a sub-topology.
#[derive(Debug)]
pub struct SourceDescriptor {
    /// The node.
    pub node: &'static str,
    /// The topic.
    pub topic: usize,
    /// Where a group without committed offset begins.
    pub offset_reset: OffsetReset,
    /// Where its records' timestamps come from.
    pub timestamps: SourceTimestamps,
}

/// Where the timestamps of a source's records come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceTimestamps {
    /// As `default.timestamp.extractor` says.
    Configured,
    /// As this extractor does. Internal topics have what the application wrote: an invalid one fails.
    By(TimestampExtractor),
    /// From the user's own extractor, which generated code calls.
    Extracted,
}

/// Where to begin without a committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the oldest record.
    Earliest,
    /// At the end.
    Latest,
    /// Not at all: an error.
    None,
}

/// A global table's or global store's topic and store.
#[derive(Debug)]
pub struct GlobalDescriptor {
    /// The node.
    pub node: &'static str,
    /// The source topic.
    pub topic: usize,
    /// The store.
    pub store: usize,
    /// Who keeps the store.
    pub kept_by: KeptBy,
}

/// Who puts the records of a global store's topic into the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptBy {
    /// They are its entries: a global table.
    Topic,
    /// A processor of the user's: `SubTopology::process` of the code behind the last sub-topology's, where sources count the
    /// topology's globals.
    Processor,
}

/// A topic.
#[derive(Debug, Clone, Copy)]
pub struct TopicDescriptor {
    /// The full name for external topics; for internal ones the part after `<application.id>-`.
    pub name: &'static str,
    /// What it is for.
    pub role: TopicRole,
    /// The declared partition count, where there is one. Internal topics have none: theirs follows from the sources.
    pub partitions: Option<u32>,
    /// The key's type.
    pub key: TypeDescriptor,
    /// The value's type.
    pub value: TypeDescriptor,
}

impl TopicDescriptor {
    /// No topic: what a list of topics is made of before it is filled.
    #[doc(hidden)]
    pub const NONE: TopicDescriptor = TopicDescriptor {
        name: "",
        role: TopicRole::Changelog,
        partitions: None,
        key: TypeDescriptor::inferred(),
        value: TypeDescriptor::inferred(),
    };
}

impl StoreDescriptor {
    /// No store: what a list of stores is made of before it is filled.
    #[doc(hidden)]
    pub const NONE: StoreDescriptor = StoreDescriptor {
        name: "",
        node: "",
        kind: StoreKind::KeyValue,
        backend: StoreBackend::Lmdb,
        format: StoreFormat::Default,
        cache: false,
        changelog: Changelog::None,
        changelog_config: &[],
        key: TypeDescriptor::inferred(),
        value: TypeDescriptor::inferred(),
    };
}

/// What a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicRole {
    /// Read, and not ours.
    Source,
    /// Written, and not ours.
    Sink,
    /// Both read and written, and not ours.
    SourceAndSink,
    /// Ours: between two sub-topologies.
    Repartition,
    /// Ours: a store's changelog.
    Changelog,
}

impl TopicRole {
    /// Whether the application owns, creates and may delete it.
    #[must_use]
    pub const fn is_internal(self) -> bool {
        matches!(self, TopicRole::Repartition | TopicRole::Changelog)
    }
}

/// A state store.
#[derive(Debug, Clone, Copy)]
pub struct StoreDescriptor {
    /// The store's name: the field's, or `#[store(name = …)]`.
    pub name: &'static str,
    /// The node that owns it.
    pub node: &'static str,
    /// What it holds.
    pub kind: StoreKind,
    /// Where it holds it.
    pub backend: StoreBackend,
    /// What of a record's headers reaches it.
    pub format: StoreFormat,
    /// Whether the record cache lies before it, if one is configured.
    pub cache: bool,
    /// Where its changes are logged.
    pub changelog: Changelog,
    /// Settings of an internal changelog, over Kafka Streams' and the configuration's.
    pub changelog_config: &'static [(&'static str, &'static str)],
    /// The key's type.
    pub key: TypeDescriptor,
    /// The value's type (without the timestamp).
    pub value: TypeDescriptor,
}

/// What a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// `value` by key.
    KeyValue,
    /// `timestamp:8 + value` by key: every DSL table.
    TimestampedKeyValue,
    /// The latest value of each key, and those before it for a time.
    Versioned {
        /// For how long the past is kept, in milliseconds.
        retention: i64,
    },
    /// `value` by key and window start: a window store of processors and of stream-stream joins.
    Window {
        /// How long windows are kept, in milliseconds, from the latest start that was written.
        retention_ms: i64,
        /// The windows' size in milliseconds; `i64::MAX` where they have no end.
        size_ms: i64,
        /// Whether it keeps several values of one key and start.
        duplicates: bool,
    },
    /// `timestamp:8 + value` by key and window start: aggregations by tumbling, hopping, sliding and unlimited windows.
    TimestampedWindow {
        /// How long windows are kept, in milliseconds, from the latest start that was written.
        retention_ms: i64,
        /// The windows' size in milliseconds; `i64::MAX` where they have no end.
        size_ms: i64,
        /// The time up to which closed windows were emitted (in the sub-topology's `times`), where they are emitted only then.
        emitted: Option<usize>,
        /// Whether entries lie in the order of their times first: where windows are emitted when they close and none is read by
        /// ranges of time.
        emits_by_time: bool,
    },
    /// `value` by key, session end and start.
    Session {
        /// How long sessions are kept, in milliseconds, from the latest end that was written.
        retention_ms: i64,
        /// The time up to which closed sessions were emitted, where they are emitted only then.
        emitted: Option<usize>,
    },
    /// Records of a stream that wait for a table (a join with a grace), in the order of their times.
    JoinBuffer {
        /// For how long they wait, in milliseconds.
        grace: i64,
    },
    /// Updates that a suppression holds back.
    SuppressBuffer,
}

impl StoreKind {
    /// Whether stored values begin with their timestamp.
    #[must_use]
    pub const fn has_timestamps(self) -> bool {
        matches!(
            self,
            StoreKind::TimestampedKeyValue
                | StoreKind::TimestampedWindow { .. }
                | StoreKind::Versioned { .. }
        )
    }

    /// How long a window or session store keeps its entries, in milliseconds; `None` of other stores.
    #[must_use]
    pub const fn retention_ms(self) -> Option<i64> {
        match self {
            StoreKind::Window { retention_ms, .. }
            | StoreKind::TimestampedWindow { retention_ms, .. }
            | StoreKind::Session { retention_ms, .. } => Some(retention_ms),
            _ => None,
        }
    }

    /// The time slot of what was emitted, of a store whose windows are emitted when they close.
    #[must_use]
    pub const fn emitted(self) -> Option<usize> {
        match self {
            StoreKind::TimestampedWindow { emitted, .. } | StoreKind::Session { emitted, .. } => {
                emitted
            }
            _ => None,
        }
    }

    /// The windows' size in milliseconds; 0 where they have none, or keys hold both ends.
    #[must_use]
    pub const fn size_ms(self) -> i64 {
        match self {
            StoreKind::Window { size_ms, .. } | StoreKind::TimestampedWindow { size_ms, .. } => {
                size_ms
            }
            _ => 0,
        }
    }

    /// A store's key as topics have it (the key's type reads it): a window's without its sequence number.
    #[must_use]
    pub fn topic_key(self, store_key: &[u8]) -> &[u8] {
        match self {
            StoreKind::Window { .. } | StoreKind::TimestampedWindow { .. } => {
                let length = store_key.len().saturating_sub(4);
                store_key.get(..length).unwrap_or_default()
            }
            _ => store_key,
        }
    }
}

/// Where a store holds its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreBackend {
    /// On disk.
    Lmdb,
    /// In memory; restored whole from its changelog.
    Memory,
}

/// Kafka Streams' `dsl.store.format`: whether a table's store belongs to those that know headers.
///
/// Operators of Kafka Streams 4.3.1 put values into both with no headers, so the changelogs of both have the same bytes, but for
/// this: of stores that know headers, a tombstone is logged with those of the record that it comes from, and a session that the
/// record cache lets go is sent on without any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreFormat {
    /// Values, with their timestamps where the store keeps them.
    #[default]
    Default,
    /// Headers too: tables on disk of a topology with `store_format = "headers"`.
    Headers,
    /// Values, whose changelog records have the headers of the record that they come from: subscriptions of a foreign-key join.
    Logged,
}

/// Where a store's changes are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changelog {
    /// Nowhere.
    None,
    /// In an internal topic (index into the topics).
    Internal(usize),
    /// The table's source topic serves as its changelog (`optimization = "all"`; global tables).
    Source(usize),
}

/// A node, for `describe()`.
#[derive(Debug)]
pub struct NodeDescriptor {
    /// The node's name: the field's, or `<field>-<operator>` within a chain.
    pub name: &'static str,
    /// What it is.
    pub kind: NodeKind,
    /// Names of the stores it uses.
    pub stores: &'static [&'static str],
    /// Names of the nodes that it forwards to, in order.
    pub children: &'static [&'static str],
    /// Names of the nodes that forward to it.
    pub parents: &'static [&'static str],
}

/// What a node is, for `describe()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// Reads topics.
    Source {
        /// Indexes of the topics.
        topics: &'static [usize],
    },
    /// Anything between, with its operator's name.
    Processor {
        /// `filter`, `join`, …
        operator: &'static str,
    },
    /// Writes a topic.
    Sink {
        /// The topic.
        topic: SinkTopic,
    },
}

/// A sink's topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkTopic {
    /// Always this one.
    Static(usize),
    /// Chosen per record; the declared ones, where they are declared.
    PerRecord(&'static [usize]),
}

/// A key's or value's type: its name, and how a person reads and writes it (`produce`, `consume`, `query`).
#[derive(Debug, Clone, Copy)]
pub struct TypeDescriptor {
    /// The Rust type, as the user wrote it; `_` where rustc infers it.
    pub name: &'static str,
    /// Bytes as JSON.
    pub to_json: fn(Option<&[u8]>) -> Result<serde_json::Value, SerdeError>,
    /// Whether bytes are a value of the type.
    pub check: fn(Option<&[u8]>) -> Result<(), SerdeError>,
    /// Bytes of what a person typed.
    pub from_text: fn(&str) -> Result<Option<Vec<u8>>, SerdeError>,
}

impl TypeDescriptor {
    /// The descriptor of a type with a wire format.
    #[must_use]
    pub const fn of<T: Serde>(name: &'static str) -> Self {
        TypeDescriptor {
            name,
            to_json: |bytes| T::deserialize_nullable(bytes).map(|v| v.to_json()),
            check: |bytes| T::deserialize_nullable(bytes).map(drop),
            from_text: |text| {
                let value = T::from_text(text)?;
                if value.is_null() {
                    return Ok(None);
                }
                let mut bytes = Vec::new();
                value.serialize(&mut bytes)?;
                Ok(Some(bytes))
            },
        }
    }

    /// A type that only rustc knows (an automatic repartition's): shown as bytes.
    #[must_use]
    pub const fn inferred() -> Self {
        TypeDescriptor {
            name: "_",
            ..Self::of::<Option<Vec<u8>>>("_")
        }
    }
}

/// `Described::<T>::TYPE` is the descriptor of `T`, without its name, if `T` has a wire format; otherwise that of bytes. So the
/// static description compiles either way, and a type without a wire format is one error, where it is read or written.
#[derive(Debug)]
pub struct Described<T>(PhantomData<T>);

impl<T: Serde> Described<T> {
    /// The descriptor.
    pub const TYPE: TypeDescriptor = TypeDescriptor::of::<T>("");
}

/// What [`Described`] falls back to.
pub trait Undescribed {
    /// The descriptor of bytes.
    const TYPE: TypeDescriptor = TypeDescriptor::inferred();
}

impl<T> Undescribed for Described<T> {}
