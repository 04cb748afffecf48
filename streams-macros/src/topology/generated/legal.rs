//! Where a chain is while it is drawn, and which operators may come next: the macro's rules, and those of a model without timing.

use super::super::kinds::{Key, Operator, Partitioning, Shape, State};
use super::drawn::{Does, Node, Op, Origin, Topology, Ty};
use super::windowed::Windows;

/// Where a chain is while it is drawn.
#[derive(Debug, Clone)]
pub(crate) struct At {
    pub(crate) shape: Shape,
    pub(crate) key: Ty,
    pub(crate) value: Ty,
    pub(crate) loses: bool,
    pub(crate) rekeyed: bool,
    pub(crate) depth: usize,
    /// Whether an operator of this chain made new values: `to_table` then takes them for nullable.
    pub(crate) revalued: bool,
    /// A repartition topic is named by its field, so a chain has one.
    pub(crate) repartitioned: bool,
    /// Of a windowed stream.
    pub(crate) windows: Option<Windows>,
}

#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) row: &'static Operator,
    pub(crate) other: Option<usize>,
}

pub(crate) fn start(node: &Node) -> At {
    At {
        shape: node.shape,
        key: node.key,
        value: node.value,
        loses: node.loses,
        rekeyed: node.rekeyed,
        depth: node.depth,
        revalued: false,
        repartitioned: false,
        windows: None,
    }
}

pub(crate) fn repartitions(at: &At, row: &Operator) -> bool {
    match row.partitioning {
        Partitioning::Topic => true,
        Partitioning::ByKey | Partitioning::ByKeyOrNull => at.rekeyed,
        Partitioning::Free => false,
    }
}

/// What the rules of the macro, and a model without timing, ask of an operator here.
pub(crate) fn is_legal(
    topology: &Topology,
    base: usize,
    at: &At,
    ops: &[Op],
    choice: &Choice,
    length: usize,
) -> bool {
    let row = choice.row;
    let other = choice.other.map(|other| &topology.nodes[other]);
    let last = ops.len() + 1 >= length;
    // Branches are drawn as whole splits.
    if matches!(row.name, "branch" | "otherwise") {
        return false;
    }
    if repartitions(at, row) && (at.repartitioned || at.depth > 0) {
        return false;
    }
    // Behind a repartition topic records of several tasks would arrive in any order under a new key.
    if row.key == Key::Changes && at.depth > 0 && topology.partitions > 1 {
        return false;
    }
    let looked_up = choice.other.filter(|_| row.with == Some(Shape::Table));
    let joins_base = row.has_two_sides() && row.on == Shape::Table;
    let looked_up = looked_up.into_iter().chain(joins_base.then_some(base));
    if looked_up
        .into_iter()
        .any(|id| topology.begins_in_passing(id))
    {
        return false;
    }
    match row.name {
        "merge" => other.is_some_and(|other| {
            other.key == at.key && other.value == at.value && other.depth + at.depth < 2
        }),
        "cogroup" if row.has_two_sides() => {
            let fits = other
                .is_some_and(|other| other.key == at.key && other.depth == 0 && !other.rekeyed);
            let apart = choice.other.is_some_and(|other| {
                let sources = topology.sources_of(other);
                sources.is_disjoint(&topology.sources_before(base, ops))
            });
            fits && apart && ops.len() < length + 3
        }
        // The model follows one update after the other: both sides of a join come from different sources. Its streams have no
        // repartition topics on the way.
        _ if row.has_two_sides() => {
            let rekeyed = at.rekeyed || other.is_some_and(|other| other.rekeyed);
            let rekeyed = rekeyed && row.on == Shape::Stream;
            let begins = ops.iter().any(|op| op.does == Does::ToTable);
            let fits = other.is_some_and(|other| other.key == at.key && other.depth == 0);
            let apart = choice.other.is_some_and(|other| {
                let sources = topology.sources_of(other);
                sources.is_disjoint(&topology.sources_before(base, ops))
            });
            let behind_tables =
                row.on == Shape::Stream && ops.iter().any(|op| op.row.1 == "Table Some(Table)");
            at.depth == 0 && !begins && !rekeyed && fits && apart && !behind_tables
        }
        // The model answers subscriptions at once, so nothing else changes both sides.
        "join_on" | "left_join_on" => {
            let is_source = |node: &Node| matches!(node.origin, Origin::Source(_));
            ops.is_empty() && is_source(&topology.nodes[base]) && other.is_some_and(is_source)
        }
        _ if row.with == Some(Shape::Table) => {
            other.is_some_and(|other| other.key == at.key && other.depth == 0 && !other.rekeyed)
        }
        "emit" => ops.iter().all(|op| op.name != "emit"),
        // The rest of a chain behind them is nothing.
        "for_each" | "print" => last,
        _ if row.state == State::Owns => true,
        // Rows that are grouped anew ask for old values, for which a `to_table` in the middle of a chain has no store.
        "group_by" if at.shape == Shape::Table => {
            !(at.repartitioned || at.depth > 0)
                && ops.iter().all(|op| op.does != Does::ToTable)
                && says_old_values(topology, base)
        }
        // An aggregation follows at once.
        "group_by" | "group_by_key" => {
            !(at.repartitioned || at.depth > 0) || (row.name == "group_by_key" && !at.rekeyed)
        }
        _ => true,
    }
}

/// Whether a table has a store, or its chain comes from one that has or gets one.
pub(crate) fn says_old_values(topology: &Topology, id: usize) -> bool {
    let node = &topology.nodes[id];
    let Origin::From(base, ops) = &node.origin else {
        return true;
    };
    let keeps = |op: &Op| op.does.aggregates();
    match ops.iter().position(|op| op.does == Does::ToTable) {
        _ if node.store.is_some() || ops.iter().any(keeps) => true,
        Some(position) => position + 1 == ops.len(),
        None => says_old_values(topology, *base),
    }
}
