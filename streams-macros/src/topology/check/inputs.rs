//! Rules of the graph as a whole: what reads what.

use std::collections::BTreeSet;

use proc_macro2::Ident;
use syn::Fields;
use syn::ext::IdentExt as _;

use super::{at, chains};
use crate::ctxt::Ctxt;
use crate::topology::kinds::Shape;
use crate::topology::model::{NodeId, Origin, Topology};
use crate::topology::parse::nearest;

// A chain's start and the other node of a join or merge are fields. A name that is none is most often misspelt.
pub(super) fn inputs_exist(cx: &Ctxt, topology: &Topology) {
    for (node, chain) in chains(topology) {
        if chain.input.is_none() && chain.base != node.name {
            unknown(cx, topology, &chain.base);
        }
        for op in &chain.ops {
            if let Some((name, None)) = &op.other {
                unknown(cx, topology, name);
            }
        }
    }
}

fn unknown(cx: &Ctxt, topology: &Topology, name: &Ident) {
    if topology.params.iter().any(|param| param.name == *name) {
        cx.error(
            "KS0105",
            name,
            format!(
                "`{name}` is a parameter of the app, not a node: closures read it as `self.{name}`, chains cannot"
            ),
        );
        return;
    }
    let hint = match suggestion(topology, name) {
        Some(near) => format!("did you mean `{near}`?"),
        None if topology.nodes.is_empty() => "the topology has no nodes".to_owned(),
        None => {
            let names: Vec<_> = topology
                .nodes
                .iter()
                .map(|node| format!("`{}`", node.name))
                .collect();
            format!("the nodes are {}", names.join(", "))
        }
    };
    cx.error(
        "KS0105",
        name,
        format!("there is no node `{name}` in this topology; {hint}"),
    );
}

fn suggestion(topology: &Topology, name: &Ident) -> Option<String> {
    let names: Vec<_> = topology
        .nodes
        .iter()
        .map(|node| node.name.unraw().to_string())
        .collect();
    nearest(&name.unraw().to_string(), names.iter().map(String::as_str))
}

// Records flow from sources to sinks; a node that feeds itself would never come to rest. Each cycle is reported once, where its
// first field reads the last.
pub(super) fn graph_has_no_cycle(cx: &Ctxt, topology: &Topology) {
    for (node, chain) in chains(topology) {
        if chain.base == node.name {
            cx.error(
                "KS0106",
                &chain.base,
                format!(
                    "`{}` reads itself: a topology has no cycles; close the loop through a topic that one node writes \
                     and a `#[source(topic = \"…\")]` reads",
                    node.name
                ),
            );
        }
    }
    let mut seen = BTreeSet::new();
    for node in &topology.nodes {
        if seen.contains(&node.id) {
            continue;
        }
        let Some(path) = path(topology, node.id) else {
            continue;
        };
        seen.extend(path.iter().copied());
        report_cycle(cx, topology, &path);
    }
}

/// Whether any node feeds itself. Rules that walk the graph ask first.
pub(super) fn is_cyclic(topology: &Topology) -> bool {
    topology
        .nodes
        .iter()
        .any(|node| path(topology, node.id).is_some())
}

/// The nodes on the way from a node back to itself, beginning with it, in the direction of flow.
fn path(topology: &Topology, start: NodeId) -> Option<Vec<NodeId>> {
    let mut visited = BTreeSet::new();
    let mut stack = vec![vec![start]];
    while let Some(path) = stack.pop() {
        let last = *path.last()?;
        for edge in topology.readers(last) {
            if edge.to == start {
                return Some(path);
            }
            if visited.insert(edge.to) {
                let mut longer = path.clone();
                longer.push(edge.to);
                stack.push(longer);
            }
        }
    }
    None
}

fn report_cycle(cx: &Ctxt, topology: &Topology, path: &[NodeId]) {
    let (Some(first), Some(last)) = (path.first(), path.last()) else {
        return;
    };
    let Some(back) = topology.inputs(*first).find(|edge| edge.from == *last) else {
        return;
    };
    let names: Vec<_> = path
        .iter()
        .chain([first])
        .map(|id| format!("`{}`", topology.node(*id).name))
        .collect();
    let message = format!(
        "`{}` feeds itself: {}; a topology has no cycles: close the loop through a topic that one node writes and a \
         `#[source(topic = \"…\")]` reads",
        topology.node(*first).name,
        names.join(" -> ")
    );
    let ends = path.windows(2).filter_map(|pair| match pair {
        [from, to] => topology
            .inputs(*to)
            .find(|edge| edge.from == *from)
            .map(|edge| {
                let text = format!("`{}` reads `{}` here", topology.node(*to).name, edge.place);
                (at(&edge.place), text)
            }),
        _ => None,
    });
    cx.error_with(
        "KS0106",
        &back.place,
        message,
        ends.take(1).collect::<Vec<_>>(),
    );
}

// A stream without a sink and without a reader computes records for nobody. (A table may be there for queries.) Where a chain
// is unreadable or an input misspelt, what it meant counts as read.
pub(super) fn streams_are_read(cx: &Ctxt, topology: &Topology) {
    let mut meant = BTreeSet::new();
    let mut unclear = false;
    for (node, chain) in chains(topology) {
        let others = chain
            .ops
            .iter()
            .filter_map(|op| op.other.as_ref())
            .filter(|(_, id)| id.is_none())
            .map(|(name, _)| name);
        let base = (chain.input.is_none() && chain.base != node.name).then_some(&chain.base);
        for name in others.chain(base) {
            match suggestion(topology, name) {
                Some(near) => {
                    meant.insert(near);
                }
                None => unclear = true,
            }
        }
        // An argument in the wrong place may be the name of a node.
        for op in chain.ops.iter().filter(|op| op.known().is_none()) {
            meant.extend(op.args.iter().filter_map(|arg| match arg {
                syn::Expr::Path(path) => Some(path.path.get_ident()?.unraw().to_string()),
                _ => None,
            }));
        }
    }
    for node in topology.nodes.iter().filter(|node| node.is_poisoned()) {
        meant.extend(node.mentions.iter().map(|name| name.unraw().to_string()));
    }
    for node in &topology.nodes {
        let is_read = topology.readers(node.id).next().is_some()
            || !node.sinks.is_empty()
            || meant.contains(&node.name.unraw().to_string());
        if node.shape != Shape::Stream
            || is_read
            || unclear
            || node.incomplete
            || yields_no_stream(node)
        {
            continue;
        }
        let name = &node.name;
        let mend = match node.origin {
            Origin::Source(_) => "read it in a chain, or remove it".to_owned(),
            _ => format!(
                "write it with `#[sink(topic = \"{}\")]`, read it in another chain, or end its chain in `.for_each(…)` \
                 with the field type `()`",
                name.unraw()
            ),
        };
        cx.error(
            "KS0103",
            name,
            format!("nobody reads the stream `{name}`: its records would go nowhere; {mend}"),
        );
    }
}

/// Declared a stream by mistake: the rule about kinds says so, and what to declare instead may need no reader.
fn yields_no_stream(node: &crate::topology::model::Node) -> bool {
    match &node.origin {
        Origin::Derived(chain) => chain.yields != Some(Shape::Stream),
        Origin::Source(_) => false,
        Origin::Shared | Origin::Poisoned => true,
    }
}

// A topic has one source: a second one would want its own offsets and its own place in the assignment.
pub(super) fn topics_are_read_once(cx: &Ctxt, topology: &Topology) {
    let mut seen: Vec<(&syn::LitStr, &Ident)> = Vec::new();
    for node in &topology.nodes {
        for topic in node.source().into_iter().flat_map(|source| &source.topics) {
            let Some((first, reader)) = seen
                .iter()
                .find(|(first, _)| first.value() == topic.value())
            else {
                seen.push((topic, &node.name));
                continue;
            };
            let message = format!(
                "`{}` reads the topic `{}`, and `{reader}` reads it already; a topic is read once: derive one of them from \
                 the other, as in `#[from({reader}.to_table())]`",
                node.name,
                topic.value()
            );
            let text = format!("`{reader}` reads the topic `{}` here", topic.value());
            cx.error_with("KS0104", topic, message, [(at(first), text)]);
        }
    }
}

// An app that reads nothing would join no group and never do anything.
pub(super) fn something_is_read(cx: &Ctxt, topology: &Topology) {
    let is_struct = matches!(topology.item.fields, Fields::Named(_));
    let has_nodes = topology
        .nodes
        .iter()
        .any(|node| !matches!(node.origin, Origin::Shared));
    if is_struct && !has_nodes && cx.count() == 0 {
        cx.error(
            "KS0107",
            &topology.item.ident,
            format!(
                "the topology `{}` reads no topic: give it a field with `#[source(topic = \"…\")]`, a `KStream`, `KTable` \
                 or `GlobalKTable`",
                topology.item.ident
            ),
        );
    }
}
