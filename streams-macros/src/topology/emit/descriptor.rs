//! The static description of the topology.

use proc_macro2::{Literal, TokenStream};

use super::super::kinds::Shape;
use super::super::model::Node;
use super::super::parse::{OffsetReset, Partitions, StoreFormat, StoreKind};
use super::super::plan::{
    Changelog, DescribedKind, DescribedNode, Entry, Kind, Role, Store, Topic, TopicRole, facts,
};
use super::super::windows::Time;
use super::task::type_descriptor;
use super::type_text;
use super::{Emit, globals, milliseconds, number, numbers, processors, stream_join, windows};

/// Expands to `static TOPOLOGY: __s::TopologyDescriptor = …;`.
pub(super) fn topology(emit: &Emit<'_>) -> TokenStream {
    let plan = emit.plan;
    let (name, id) = (facts::plain(emit.app), &plan.application_id);
    let topics = plan.topics.iter().enumerate();
    let topics = topics.map(|(index, of)| topic(of, globals::types_taken(emit, index)));
    let topics = mixed!(#(#topics),*);
    let stores = plan.stores.iter().map(|of| store(emit, of));
    let stores = mixed!(#(#stores),*);
    let subs = (0..plan.subtopologies.len()).map(|sub| subtopology(emit, sub));
    let globals = plan.globals.iter().map(|global| {
        let node = plan.topology.node(global.node);
        let kept_by = match node.is_global_store() {
            true => mixed!(Processor),
            false => mixed!(Topic),
        };
        let node = facts::plain(&node.name);
        let (topic, store) = (number(global.topic), number(global.store));
        mixed! {
            __s::GlobalDescriptor {
                node: #node,
                topic: #topic,
                store: #store,
                kept_by: __s::KeptBy::#kept_by,
            }
        }
    });
    // What processors add to the lists, only rustc knows.
    let lists = processors::lists(emit, &topics, &stores);
    let (topics, stores) = match lists {
        Some(_) => (mixed!(&__TOPICS), mixed!(&__STORES)),
        None => (mixed!(&[#topics]), mixed!(&[#stores])),
    };
    mixed! {
        #lists
        static TOPOLOGY: __s::TopologyDescriptor = __s::TopologyDescriptor {
            name: #name,
            application_id: #id,
            topics: #topics,
            stores: #stores,
            subtopologies: &[#(#subs),*],
            globals: &[#(#globals),*],
        };
    }
}

fn topic(topic: &Topic<'_>, taken: Option<(TokenStream, TokenStream)>) -> TokenStream {
    let name = &topic.name;
    let role = match topic.role {
        TopicRole::Source => mixed!(Source),
        TopicRole::Sink => mixed!(Sink),
        TopicRole::SourceAndSink => mixed!(SourceAndSink),
        TopicRole::Repartition => mixed!(Repartition),
        TopicRole::Changelog => mixed!(Changelog),
    };
    let partitions = match topic.partitions {
        Some(Partitions::Literal(n, _)) => {
            let n = Literal::u32_unsuffixed(*n);
            mixed!(__s::Some(#n))
        }
        Some(Partitions::Const(expr)) => mixed!(__s::Some(#expr)),
        Some(Partitions::Runtime(_)) | None => mixed!(__s::None),
    };
    let types = topic.types.as_ref();
    let (key, value) = match (types, taken) {
        (None, Some(taken)) => taken,
        _ => (
            type_descriptor(types.map(|(key, _)| key)),
            type_descriptor(types.map(|(_, value)| value)),
        ),
    };
    mixed! {
        __s::TopicDescriptor {
            name: #name,
            role: __s::TopicRole::#role,
            partitions: #partitions,
            key: #key,
            value: #value,
        }
    }
}

fn store(emit: &Emit<'_>, store: &Store<'_>) -> TokenStream {
    let (name, node, cache) = (&store.name, facts::plain(&store.field.name), store.cache);
    let backend = match store.backend {
        StoreKind::Lmdb => mixed!(Lmdb),
        StoreKind::Memory => mixed!(Memory),
    };
    let changelog = match store.changelog {
        Changelog::None => mixed!(None),
        Changelog::Internal(topic) => {
            let topic = number(topic);
            mixed!(Internal(#topic))
        }
        Changelog::Source(topic) => {
            let topic = number(topic);
            mixed!(Source(#topic))
        }
    };
    let (key, value) = (
        store_key(store),
        type_descriptor(store.types.as_ref().map(|(_, value)| value)),
    );
    let kind = match &store.kind {
        Kind::Table if store.field.shape == Shape::Store => kind_of_field(store.field),
        Kind::Table => match windows::of_store(store) {
            Some(of) => windows::kind(emit, store.field, of),
            None => mixed!(TimestampedKeyValue),
        },
        Kind::Versioned(history) => {
            let retention = milliseconds(history);
            mixed!(Versioned { retention: #retention })
        }
        Kind::Joined(joined) => return stream_join::store(store, joined, &backend, &changelog),
        Kind::JoinBuffer(grace) => {
            let grace = milliseconds(grace);
            mixed!(JoinBuffer { grace: #grace })
        }
        Kind::SuppressBuffer => mixed!(SuppressBuffer),
    };
    let format = format(emit, store);
    let options = store.field.store.as_ref();
    let settings = options.into_iter().flat_map(|o| &o.changelog_config);
    let settings = settings.map(|(key, value)| mixed!((#key, #value)));
    mixed! {
        __s::StoreDescriptor {
            name: #name,
            node: #node,
            kind: __s::StoreKind::#kind,
            backend: __s::StoreBackend::#backend,
            format: __s::StoreFormat::#format,
            cache: #cache,
            changelog: __s::Changelog::#changelog,
            changelog_config: &[#(#settings),*],
            key: #key,
            value: #value,
        }
    }
}

/// What a store field's type and options say.
fn kind_of_field(field: &Node) -> TokenStream {
    let options = field.store.as_ref();
    let time = |time: Option<&Time>| time.map_or_else(|| mixed!(0), milliseconds);
    let retention = || time(options.and_then(|options| options.retention.as_ref()));
    match &*field.type_name {
        "WindowStore" => {
            let (kept, size) = (
                retention(),
                time(options.and_then(|options| options.window_size.as_ref())),
            );
            mixed!(Window { retention_ms: #kept, size_ms: #size, duplicates: false })
        }
        "SessionStore" => {
            let kept = retention();
            mixed!(Session { retention_ms: #kept, emitted: __s::None })
        }
        "VersionedStore" => {
            let kept = retention();
            mixed!(Versioned { retention: #kept })
        }
        "TimestampedKeyValueStore" => mixed!(TimestampedKeyValue),
        _ => mixed!(KeyValue),
    }
}

/// The type of a store's keys; those of window and session stores hold times, too.
fn store_key(store: &Store<'_>) -> TokenStream {
    let Some((key, _)) = &store.types else {
        return type_descriptor(None);
    };
    let of = match &*store.field.type_name {
        "WindowStore" => mixed!(TimeWindow),
        "SessionStore" => mixed!(SessionWindow),
        _ => return type_descriptor(Some(key)),
    };
    let text = type_text(key);
    mixed!(__s::TypeDescriptor { name: #text, ..__s::Described::<__s::Windowed<#key, __s::#of>>::TYPE })
}

/// As in Kafka Streams, tables in memory, versioned ones, and the stores of joins and suppressions know no headers, or always do.
fn format(emit: &Emit<'_>, store: &Store<'_>) -> TokenStream {
    if store.role == Role::Inner("subscriptions") {
        return mixed!(Logged);
    }
    let is_table = matches!(store.kind, Kind::Table) && matches!(store.role, Role::Primary);
    let is_table = is_table && store.field.shape != Shape::Store;
    let wanted = emit.plan.topology.args.store_format == Some(StoreFormat::Headers);
    if wanted && is_table && store.backend == StoreKind::Lmdb {
        mixed!(Headers)
    } else {
        mixed!(Default)
    }
}

fn subtopology(emit: &Emit<'_>, index: usize) -> TokenStream {
    let sub = &emit.plan.subtopologies[index];
    let sources = sub.sources.iter().map(|entry| source(emit, entry));
    let stores = numbers(&sub.stores);
    let stores = processors::local_stores(emit, index, &mixed!(#(#stores),*));
    let nodes = sub.nodes.iter().map(|described| node(emit, described));
    let times = sub.times.iter().map(|time| &time.name);
    let groups = sub.copartitioned.iter().map(|group| {
        let group = numbers(group);
        mixed!(&[#(#group),*])
    });
    mixed! {
        __s::SubtopologyDescriptor {
            sources: &[#(#sources),*],
            stores: #stores,
            nodes: &[#(#nodes),*],
            copartitioned: &[#(#groups),*],
            times: &[#(#times),*],
        }
    }
}

fn source(emit: &Emit<'_>, source: &Entry) -> TokenStream {
    let policy = |variant: &str| {
        let variant = super::mixed_ident(variant);
        mixed!(__s::SourceTimestamps::By(__s::TimestampExtractor::#variant))
    };
    let node = emit.plan.topology.node(source.node);
    let timestamp = node.source().and_then(|source| source.timestamp.as_ref());
    let timestamps = match (source.received_by, timestamp) {
        // As Kafka Streams does: what the application wrote itself has a timestamp.
        (Some(_), _) => policy("FailOnInvalidTimestamp"),
        (None, None) => mixed!(__s::SourceTimestamps::Configured),
        (None, Some(timestamp)) => match facts::named_extractor(timestamp) {
            Some(variant) => policy(variant),
            None => mixed!(__s::SourceTimestamps::Extracted),
        },
    };
    let (name, topic) = (&source.name, number(source.topic));
    let reset = match source.offset_reset {
        OffsetReset::Earliest => mixed!(Earliest),
        OffsetReset::Latest => mixed!(Latest),
        OffsetReset::None => mixed!(None),
    };
    mixed! {
        __s::SourceDescriptor {
            node: #name,
            topic: #topic,
            offset_reset: __s::OffsetReset::#reset,
            timestamps: #timestamps,
        }
    }
}

fn node(emit: &Emit<'_>, node: &DescribedNode) -> TokenStream {
    let (name, children, parents) = (&node.name, &node.children, &node.parents);
    let stores = processors::node_stores(emit, node.processor, &node.stores);
    let kind = match &node.kind {
        DescribedKind::Source(topics) => {
            let topics = numbers(topics);
            mixed!(Source { topics: &[#(#topics),*] })
        }
        DescribedKind::Processor(operator) => mixed!(Processor { operator: #operator }),
        DescribedKind::Sink(topic) => {
            let topic = number(*topic);
            mixed!(Sink { topic: __s::SinkTopic::Static(#topic) })
        }
        DescribedKind::SinkPerRecord(topics) => {
            let topics = numbers(topics);
            mixed!(Sink { topic: __s::SinkTopic::PerRecord(&[#(#topics),*]) })
        }
    };
    mixed! {
        __s::NodeDescriptor {
            name: #name,
            kind: __s::NodeKind::#kind,
            stores: #stores,
            children: &[#(#children),*],
            parents: &[#(#parents),*],
        }
    }
}
