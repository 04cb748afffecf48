//! Rules of names: Kafka's, and the ones that the macro derives.

use proc_macro2::{Ident, TokenStream};
use syn::LitStr;
use syn::ext::IdentExt as _;

use super::inputs::is_cyclic;
use super::{at, chains};
use crate::ctxt::Ctxt;
use crate::topology::kinds::Shape;
use crate::topology::model::{Node, Origin, Topology};
use crate::topology::parse::{OptValue, SinkTopic, literal_text};
use crate::topology::plan::facts;

/// Kafka's limit for the name of a topic.
const LONGEST: usize = 249;

/// The names that the user wrote, with what they name.
fn written(topology: &Topology) -> Vec<(&'static str, LitStr)> {
    let mut names = Vec::new();
    names.extend(
        topology
            .args
            .application_id
            .clone()
            .map(|id| ("application id", id)),
    );
    for node in &topology.nodes {
        let read = node.source().into_iter().flat_map(|source| &source.topics);
        let sent = node.sinks.iter().flat_map(|sink| match &sink.topic {
            SinkTopic::Static(topic) => std::slice::from_ref(topic),
            SinkTopic::PerRecord(_, topics) => topics.as_slice(),
        });
        names.extend(read.chain(sent).map(|topic| ("topic", topic.clone())));
        let store = node.store.as_ref().and_then(|store| store.name.clone());
        names.extend(store.map(|name| ("store", name)));
    }
    for (_, chain) in chains(topology) {
        for opt in chain.ops.iter().filter_map(|op| op.option("name")) {
            if let OptValue::Is(expr) = &opt.value
                && let Some(name) = literal_text(expr)
            {
                names.push(("name", name));
            }
        }
    }
    names
}

// Kafka's rule for topics, which Kafka Streams applies to all names, because they become parts of topics and directories.
pub(super) fn names_are_legal(cx: &Ctxt, topology: &Topology) {
    for (what, name) in written(topology) {
        if let Some(why) = illegal(&name.value()) {
            let what = if what == "name" {
                String::new()
            } else {
                format!("{what} ")
            };
            cx.error(
                "KS0501",
                &name,
                format!("the {what}name `{}` {why}", name.value())
                    .replace("application id name", "application id"),
            );
        }
    }
    for node in &topology.nodes {
        let name = node.name.unraw().to_string();
        if let Some(why) = illegal(&name) {
            cx.error(
                "KS0501",
                &node.name,
                format!("the field's name is also its node's: `{name}` {why}"),
            );
        }
    }
}

fn illegal(name: &str) -> Option<String> {
    let suggestion: String = name
        .chars()
        .map(|c| if is_legal(c) { c } else { '-' })
        .collect();
    match name {
        "" => Some("is empty".to_owned()),
        "." | ".." => Some("is one that Kafka reserves: `.` and `..` mean directories".to_owned()),
        _ => name.chars().find(|c| !is_legal(*c)).map(|c| {
            format!(
                "contains {}, and Kafka allows only ASCII letters, digits, `.`, `_` and `-`: `{}`",
                if c == ' ' {
                    "a blank".to_owned()
                } else {
                    format!("`{c}`")
                },
                suggestion.trim_matches('-')
            )
        }),
    }
}

fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// An internal topic: its name after `<application id>-`, the field and operator that make it, and what it is for.
struct Internal<'a> {
    name: String,
    node: &'a Node,
    place: TokenStream,
    what: &'static str,
}

/// The changelogs and repartition topics that the plan will make.
fn internal_topics(topology: &Topology) -> Vec<Internal<'_>> {
    if is_cyclic(topology) {
        return Vec::new();
    }
    // What an operator that is not built would do to the key, here or in front, is nobody's business yet.
    let clear = chains(topology).all(|(_, chain)| super::is_clear(chain));
    let mut topics = Vec::new();
    for node in topology.nodes.iter().filter(|node| !node.is_poisoned()) {
        if logs_its_store(topology, node) {
            topics.push(Internal {
                name: format!("{}-changelog", facts::store_name(node)),
                node,
                place: store_place(node),
                what: "changelog",
            });
        }
        if !unlogged(node) {
            topics.extend(
                facts::inner_stores(topology, node)
                    .into_iter()
                    .map(|inner| Internal {
                        name: format!("{}-changelog", inner.name),
                        node,
                        place: inner_place(node, &inner),
                        what: "changelog",
                    }),
            );
        }
        let Some(chain) = node.chain().filter(|_| clear) else {
            continue;
        };
        for position in 0..=chain.ops.len() {
            let op = chain.ops.get(position);
            if let Some(op) = op.filter(|op| facts::joins_foreign(op)) {
                topics.extend(facts::foreign_topics(node, op).map(|name| Internal {
                    name,
                    node,
                    place: op.given_name().map_or_else(|| at(&node.name), at),
                    what: "topic of a foreign-key join",
                }));
            }
            if facts::repartitions_before(topology, node.id, position) {
                topics.push(Internal {
                    name: format!(
                        "{}-repartition",
                        facts::repartition_name(topology, node, chain, position)
                    ),
                    node,
                    place: op.map_or_else(|| at(&node.name), |op| at(&op.name)),
                    what: "repartition topic",
                });
            }
            let Some(op) = op else { continue };
            if facts::repartitions_other(topology, node.id, position) {
                topics.push(Internal {
                    name: format!("{}-repartition", facts::other_repartition_name(node, op)),
                    node,
                    place: at(&op.name),
                    what: "repartition topic",
                });
            }
        }
    }
    topics
}

/// Whether the macro derives a changelog's name for a node: not where the source topic serves, or nothing is logged.
fn logs_its_store(topology: &Topology, node: &Node) -> bool {
    let reused =
        node.source().is_some() && (node.is_global() || facts::reuses_source_topics(topology));
    has_own_store(topology, node) && !unlogged(node) && !reused
}

fn unlogged(node: &Node) -> bool {
    node.store
        .as_ref()
        .and_then(|store| store.changelog.as_ref())
        .is_some_and(|changelog| !changelog.value)
}

/// The operator that keeps an inner store.
fn inner_place(node: &Node, inner: &facts::Inner) -> TokenStream {
    match node.chain().and_then(|chain| chain.ops.get(inner.op)) {
        Some(op) => at(&op.name),
        None => at(&node.name),
    }
}

fn has_own_store(topology: &Topology, node: &Node) -> bool {
    !matches!(node.origin, Origin::Shared | Origin::Poisoned) && facts::has_store(topology, node)
}

/// Where a store got its name: `#[store(name = …)]`, or the field.
fn store_place(node: &Node) -> TokenStream {
    match node.store.as_ref().and_then(|store| store.name.as_ref()) {
        Some(name) => at(name),
        None => at(&node.name),
    }
}

// Kafka's limit holds for the whole name of an internal topic, `<application id>-<name>-changelog`.
pub(super) fn names_are_short_enough(cx: &Ctxt, topology: &Topology) {
    for (what, name) in written(topology) {
        let length = name.value().len();
        if length > LONGEST {
            cx.error(
                "KS0502",
                &name,
                format!("this {what} has {length} characters, and Kafka allows {LONGEST}")
                    .replace("this name", "this name of a topic"),
            );
        }
    }
    let id = application_id(topology);
    if id.len() > LONGEST {
        return;
    }
    let written_long: Vec<String> = written(topology)
        .into_iter()
        .map(|(_, name)| name.value())
        .filter(|name| name.len() > LONGEST)
        .collect();
    for topic in internal_topics(topology) {
        let full = format!("{id}-{}", topic.name);
        let said = written_long.iter().any(|name| full.contains(name.as_str()));
        if full.len() > LONGEST && !said {
            cx.error(
                "KS0502",
                &topic.place,
                format!(
                    "the {} of `{}` would be called `{id}-{}`, which has {} characters, and Kafka allows {LONGEST}: give it a \
                     shorter name",
                    topic.what,
                    topic.node.name,
                    topic.name,
                    full.len()
                ),
            );
        }
    }
}

fn application_id(topology: &Topology) -> String {
    topology
        .args
        .application_id
        .as_ref()
        .map(LitStr::value)
        .unwrap_or_default()
}

// Two stores of one name would share a directory and a changelog; two repartition topics of one name would mix their records; an
// internal topic that is also a declared one would be written by both.
pub(super) fn stores_and_internal_topics_differ(cx: &Ctxt, topology: &Topology) {
    if is_cyclic(topology) {
        return;
    }
    let mut stores: Vec<(String, &Node, TokenStream)> = Vec::new();
    for node in &topology.nodes {
        let own =
            has_own_store(topology, node).then(|| (facts::store_name(node), store_place(node)));
        let inner = facts::inner_stores(topology, node)
            .into_iter()
            .map(|inner| (inner.name.clone(), inner_place(node, &inner)));
        for (name, place) in own.into_iter().chain(inner) {
            let Some((_, first, first_place)) = stores.iter().find(|(first, ..)| *first == name)
            else {
                stores.push((name, node, place));
                continue;
            };
            cx.error_with(
                "KS0503",
                place,
                format!(
                    "`{}` and `{}` would have stores of one name, `{name}`: name one of them with `#[store(name = \"…\")]`",
                    first.name, node.name
                ),
                [(first_place.clone(), format!("the store of `{}` is called `{name}` here", first.name))],
            );
        }
    }
    let mut repartitions: Vec<Internal<'_>> = Vec::new();
    let id = application_id(topology);
    for topic in internal_topics(topology) {
        let full = format!("{id}-{}", topic.name);
        if let Some(place) = declared(topology, &full) {
            cx.error_with(
                "KS0504",
                place,
                format!(
                    "`{full}` is also the {} that `{}` makes for itself: call one of them something else",
                    topic.what, topic.node.name
                ),
                [(topic.place.clone(), format!("the {} of `{}` is called `{full}`", topic.what, topic.node.name))],
            );
        }
        // A chain that needs two stores is to be divided anyway.
        if topic.what != "repartition topic" || super::stores::needs_two(topology, topic.node) {
            continue;
        }
        let Some(first) = repartitions.iter().find(|first| first.name == topic.name) else {
            repartitions.push(topic);
            continue;
        };
        cx.error_with(
            "KS0503",
            topic.place,
            format!(
                "this repartition topic would have the name of another, `{}`: name one of them, as in \
                 `.repartition(name = \"…\")` or `.group_by(…, name = \"…\")`",
                first.name
            ),
            [(first.place.clone(), format!("the repartition topic `{}` begins here", first.name))],
        );
    }
}

/// Where a topic of that name is read or written.
fn declared<'a>(topology: &'a Topology, name: &str) -> Option<&'a LitStr> {
    topology.nodes.iter().find_map(|node| {
        let read = node.source().into_iter().flat_map(|source| &source.topics);
        let sent = node.sinks.iter().flat_map(|sink| match &sink.topic {
            SinkTopic::Static(topic) => std::slice::from_ref(topic),
            SinkTopic::PerRecord(_, topics) => topics.as_slice(),
        });
        read.chain(sent).find(|topic| topic.value() == name)
    })
}

/// Functions of the struct and its builder that the macro writes.
pub(crate) const GENERATED: &[&str] = &[
    "builder",
    "start",
    "test_driver",
    "test_driver_with",
    "main",
];

// A parameter becomes a method of the builder, beside the ones that start the app; a table's updates get a method called
// `<field>_changed`; names with two underscores in front are the macro's own.
pub(super) fn fields_do_not_collide_with_generated_code(cx: &Ctxt, topology: &Topology) {
    for param in &topology.params {
        let name = param.name.unraw().to_string();
        if GENERATED.contains(&name.as_str()) {
            cx.error(
                "KS0505",
                &param.name,
                format!("`{name}` is a function of every topology or its builder: give this parameter another name"),
            );
        }
    }
    for name in topology
        .params
        .iter()
        .map(|param| &param.name)
        .chain(topology.nodes.iter().map(|node| &node.name))
    {
        if name.unraw().to_string().starts_with("__") {
            cx.error(
                "KS0505",
                name,
                format!("`{name}`: names that begin with two underscores are the macro's own"),
            );
        }
    }
    for node in &topology.nodes {
        let Some(table) = updates_of(topology, &node.name) else {
            continue;
        };
        cx.error_with(
            "KS0505",
            &node.name,
            format!(
                "the updates of the table `{}` are called `{}` in generated code: give this field another name",
                table.name, node.name
            ),
            [(at(&table.name), format!("`{}` is a table", table.name))],
        );
    }
}

/// The table for whose updates the macro writes a method of that name.
fn updates_of<'a>(topology: &'a Topology, name: &Ident) -> Option<&'a Node> {
    let name = name.unraw().to_string();
    let table = name.strip_suffix("_changed")?;
    topology
        .nodes
        .iter()
        .find(|node| node.shape == Shape::Table && node.name.unraw() == table)
}
