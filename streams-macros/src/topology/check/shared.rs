//! Co-partitioning of those who share a store: a task has the part of a store that belongs to its partition, so records of one key
//! find the same entries only where every user gets them in the same partition.

use super::at;
use super::copartition::{Count, count, origin_words, partitioner, partitioner_words};
use super::inputs::is_cyclic;
use crate::ctxt::Ctxt;
use crate::topology::kinds::Shape;
use crate::topology::model::{NodeId, Topology};
use crate::topology::parse::Partitions;
use crate::topology::plan::facts::Origin;
use crate::topology::plan::shared::{Sharing, sharings};

/// A user of a store, or the table itself, and what it gets.
struct Side<'s> {
    /// The node, and the token at which it names the store.
    node: NodeId,
    place: proc_macro2::TokenStream,
    origins: &'s [Origin],
}

// Counts declared and equal, partitioners equal, among all that share a store. Each is compared with the first.
pub(super) fn shared_stores_are_copartitioned(cx: &Ctxt, topology: &Topology) {
    if is_cyclic(topology) {
        return;
    }
    for sharing in sharings(topology) {
        let all = sides(topology, &sharing);
        let Some((first, others)) = all.split_first() else {
            continue;
        };
        let Some(of_first) = first.origins.first().copied() else {
            continue;
        };
        for other in others {
            let differing = other
                .origins
                .iter()
                .copied()
                .find(|origin| *origin != of_first);
            let Some(of_other) = differing else { continue };
            if let Some((code, message)) =
                difference(topology, &sharing, (first, of_first), (other, of_other))
            {
                let store = &topology.node(sharing.store).name;
                let text = match topology.node(sharing.store).shape {
                    Shape::Table => format!("`{store}` is declared here"),
                    _ => format!(
                        "`{store}` is shared with `{}` here",
                        topology.node(first.node).name
                    ),
                };
                cx.error_with(code, &other.place, message, [(first.place.clone(), text)]);
                break;
            }
        }
    }
}

fn sides<'s>(topology: &Topology, sharing: &'s Sharing<'_>) -> Vec<Side<'s>> {
    let store = topology.node(sharing.store);
    let table = (store.shape == Shape::Table).then(|| Side {
        node: store.id,
        place: at(&store.name),
        origins: &sharing.own,
    });
    let users = sharing.users.iter().map(|user| Side {
        node: user.edge.to,
        place: at(&user.edge.place),
        origins: &user.origins,
    });
    table.into_iter().chain(users).collect()
}

/// What keeps two from sharing a store: the code, and the message.
fn difference(
    topology: &Topology,
    sharing: &Sharing<'_>,
    (first, of_first): (&Side<'_>, Origin),
    (other, of_other): (&Side<'_>, Origin),
) -> Option<(&'static str, String)> {
    let store = topology.node(sharing.store);
    let (this, that) = (
        &topology.node(other.node).name,
        &topology.node(first.node).name,
    );
    let (words, first_words) = (
        origin_words(topology, of_other),
        origin_words(topology, of_first),
    );
    let shares = match store.shape {
        Shape::Table => {
            format!("`{this}` reads the store of `{that}`, which gets its rows from {first_words}")
        }
        _ => format!(
            "`{this}` shares the store `{}` with `{that}`, which reads {first_words}",
            store.name
        ),
    };
    let because = "a task has the part of a store that belongs to its partition, so records of one key would find different parts";
    let apart = match store.shape {
        Shape::Table => "or read the table as a `GlobalKTable`",
        _ => "or give each a store of its own",
    };
    let literal = |origin| match count(topology, origin) {
        Count::Given(Partitions::Literal(n, _)) => Some(*n),
        _ => None,
    };
    if let (Some(a), Some(b)) = (literal(of_first), literal(of_other)) {
        return (a != b)
            .then(|| {
                (
                    "KS0301",
                    format!(
                        "co-partitioning: {words} has {b} partitions, but {shares} with {a}: {because}; make the counts equal, \
                         put `.repartition({a})` before the processor of `{this}`, {apart}"
                    ),
                )
            })
            .or_else(|| partitioners(topology, &shares, (of_first, of_other), because, apart));
    }
    let undeclared = [of_other, of_first]
        .into_iter()
        .find(|origin| matches!(count(topology, *origin), Count::Undeclared(_)));
    let decided = |origin| !matches!(count(topology, origin), Count::Follows);
    if let Some(origin) = undeclared.filter(|_| decided(of_first) && decided(of_other)) {
        return Some((
            "KS0302",
            format!(
                "{} declares no partition count, but {shares}: these need equal ones; write `partitions = {}` there, or \
                 `partitions = runtime` to have it checked at start-up",
                origin_words(topology, origin),
                literal(of_first)
                    .or(literal(of_other))
                    .map_or_else(|| "N".to_owned(), |n| n.to_string()),
            ),
        ));
    }
    partitioners(topology, &shares, (of_first, of_other), because, apart)
}

fn partitioners(
    topology: &Topology,
    shares: &str,
    (of_first, of_other): (Origin, Origin),
    because: &str,
    apart: &str,
) -> Option<(&'static str, String)> {
    let words = |origin| match partitioner(topology, origin) {
        Some(_) => format!("`{}`", partitioner_words(topology, origin)),
        None => partitioner_words(topology, origin),
    };
    let (a, b) = (words(of_first), words(of_other));
    (a != b).then(|| {
        (
            "KS0303",
            format!(
                "co-partitioning: {} is partitioned by {b}, but {shares}, partitioned by {a}: {because}; use one partitioner, {apart}",
                origin_words(topology, of_other)
            ),
        )
    })
}
