//! Layer 1. The order in which Kafka Streams lists nodes, so that the same names give the same text.
//!
//! Nodes of a sub-topology are sorted by the number of paths that leave them, largest first, then by name. Parents and
//! children are kept sorted by the same rule *while those numbers still grow* (`InternalTopologyBuilder.describeSubtopology`
//! in Apache Kafka 4.3.1), so their order depends on the order in which nodes are connected, which is a Java hash map's.

use std::collections::BTreeMap;

use crate::topology::NodeDescriptor;

/// A node with its neighbours in the order of the text.
#[derive(Debug)]
pub(super) struct Ordered<'a> {
    pub(super) node: &'a NodeDescriptor,
    pub(super) children: Vec<&'static str>,
    pub(super) parents: Vec<&'static str>,
    size: usize,
}

/// The nodes of a sub-topology in the order of the text.
pub(super) fn nodes(nodes: &[NodeDescriptor]) -> Vec<Ordered<'_>> {
    let mut graph: BTreeMap<&'static str, Ordered<'_>> = nodes
        .iter()
        .map(|node| {
            (
                node.name,
                Ordered {
                    node,
                    children: Vec::new(),
                    parents: Vec::new(),
                    size: 1,
                },
            )
        })
        .collect();
    let names: Vec<&'static str> = nodes.iter().map(|n| n.name).collect();
    for name in java_set(&names) {
        let parents = graph.get(name).map_or(&[][..], |n| n.node.parents);
        for &parent in parents {
            connect(&mut graph, parent, name);
        }
    }
    let mut ordered: Vec<Ordered<'_>> = graph.into_values().collect();
    // Stable, over values in the order of their names.
    ordered.sort_by_key(|n| std::cmp::Reverse(n.size));
    ordered
}

fn connect(
    graph: &mut BTreeMap<&'static str, Ordered<'_>>,
    parent: &'static str,
    child: &'static str,
) {
    let size_of = |name: &str| graph.get(name).map_or(0, |n| n.size);
    let before = |a: &str, b: &str| (size_of(b), a) < (size_of(a), b);
    let place =
        |list: &[&'static str], new: &str| list.iter().take_while(|n| before(n, new)).count();

    let (Some(above), Some(below)) = (graph.get(parent), graph.get(child)) else {
        return;
    };
    let (in_children, in_parents) = (place(&above.children, child), place(&below.parents, parent));
    let grown_by = below.size;
    if let Some(below) = graph.get_mut(child) {
        below.parents.insert(in_parents, parent);
    }
    if let Some(above) = graph.get_mut(parent) {
        above.children.insert(in_children, child);
    }
    grow(graph, parent, grown_by);
}

fn grow(graph: &mut BTreeMap<&'static str, Ordered<'_>>, name: &str, by: usize) {
    let Some(node) = graph.get_mut(name) else {
        return;
    };
    node.size += by;
    for parent in node.parents.clone() {
        grow(graph, parent, by);
    }
}

/// The elements in the iteration order of a Java `HashSet` of strings.
pub(super) fn java_set(names: &[&'static str]) -> Vec<&'static str> {
    let mut buckets = 16;
    while names.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    let mut ordered: Vec<&'static str> = names.to_vec();
    ordered.sort_by_key(|name| {
        let hash = name.encode_utf16().fold(0_u32, |hash, unit| {
            hash.wrapping_mul(31).wrapping_add(u32::from(unit))
        });
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
    ordered.dedup();
    ordered
}
