//! Facts that follow from the graph alone: who is rekeyed, who loses keys, who has a store and of what types, what is
//! partitioned together. Shared by plan, checks and obligations.

use std::collections::BTreeSet;

use syn::{LitStr, Type, parse_quote};

use super::super::kinds::{
    BUFFER, InnerStore, Key, Losing, Operator, Partitioning, SUPPRESSED, Shape, State,
};
use super::super::model::{Chain, Edge, Node, NodeId, Op, Reads, Topology};
use super::super::parse::ungrouped;
use super::super::stream_join::{self, joins_streams};
use super::super::windows;
use super::{Internal, old_values, shared};

/// `optimization = "all"`, or a list that names it: source topics serve as changelogs.
pub(crate) fn reuses_source_topics(topology: &Topology) -> bool {
    optimizes(topology, "reuse.ktable.source.topics")
}

/// Whether `optimization = "…"` names this one, or all.
pub(crate) fn optimizes(topology: &Topology, name: &str) -> bool {
    topology.args.optimization.as_ref().is_some_and(|text| {
        text.value()
            .split(',')
            .any(|word| word.trim() == "all" || word.trim() == name)
    })
}

/// Behind which change of the key a node's stream goes through one repartition topic for all its readers, where each would have
/// one of its own with the same records, and that topic's name.
pub(crate) fn merged_repartition(topology: &Topology, id: NodeId) -> Option<(usize, String)> {
    let node = topology.node(id);
    let chain = node.chain()?;
    if !optimizes(topology, "merge.repartition.topics")
        || node.shape != Shape::Stream
        || !node.sinks.is_empty()
    {
        return None;
    }
    let changed = chain
        .ops
        .iter()
        .rposition(|op| op.known().is_some_and(|row| row.key == Key::Changes))?;
    let rest = chain.ops.get(changed + 1..)?;
    if !rest.iter().all(passes_records) {
        return None;
    }
    let readers: Vec<_> = topology.readers(id).collect();
    let mut names = readers.iter().map(|edge| {
        let reader = topology.node(edge.to);
        let chain = reader.chain().filter(|_| edge.op.is_none())?;
        let needs = chain.ops.iter().position(|op| !passes_records(op))?;
        let by_key = chain.ops[needs].known().is_some_and(|row| {
            matches!(
                row.partitioning,
                Partitioning::ByKey | Partitioning::ByKeyOrNull
            )
        });
        by_key.then(|| named_repartition(reader, chain, needs))
    });
    let first = names.next()??;
    (readers.len() > 1 && names.all(|name| name.is_some())).then_some((changed + 1, first))
}

/// Whether an operator takes records one by one and leaves them in their partition.
fn passes_records(op: &Op) -> bool {
    op.known().is_some_and(|row| {
        let free = row.partitioning == Partitioning::Free && row.key == Key::Keeps;
        let plain = row.with.is_none() && !op.is("branch") && !op.is("otherwise");
        free && plain && row.yields != Shape::Nothing
    })
}

/// Whether that repartition topic comes before the operator at `position`, or behind the last one.
pub(crate) fn merges_at(topology: &Topology, id: NodeId, position: usize) -> bool {
    merged_repartition(topology, id).is_some_and(|(at, _)| at == position)
}

/// The store's name: the field's, or the one given.
pub(crate) fn store_name(node: &Node) -> String {
    node.store
        .as_ref()
        .and_then(|store| store.name.as_ref())
        .map_or_else(|| plain(&node.name), syn::LitStr::value)
}

/// A field's name without `r#`.
pub(crate) fn plain(name: &proc_macro2::Ident) -> String {
    syn::ext::IdentExt::unraw(name).to_string()
}

/// Kafka describes a table as two nodes: the source, and the processor that keeps the table.
pub(crate) fn source_node_name(node: &Node) -> String {
    match node.shape {
        Shape::Table | Shape::GlobalTable => format!("{}-source", plain(&node.name)),
        _ => plain(&node.name),
    }
}

fn rekeyed(topology: &Topology, id: NodeId, seen: &mut BTreeSet<NodeId>) -> bool {
    let Some(chain) = topology.node(id).chain() else {
        return false;
    };
    rekeyed_before(topology, chain, chain.ops.len(), id, seen)
}

/// Whether the records before the operator at `position` are rekeyed.
pub(crate) fn is_rekeyed_before(topology: &Topology, id: NodeId, position: usize) -> bool {
    topology
        .node(id)
        .chain()
        .is_some_and(|chain| rekeyed_before(topology, chain, position, id, &mut BTreeSet::new()))
}

/// What changed the key of the records before the operator at `position`, if anything did: an operator of the chain, or a node
/// before it.
pub(crate) fn rekeyed_by(topology: &Topology, id: NodeId, position: usize) -> Option<String> {
    if !is_rekeyed_before(topology, id, position) {
        return None;
    }
    let chain = topology.node(id).chain()?;
    let changes = |op: &&Op| op.known().is_some_and(|row| row.key == Key::Changes);
    let op = chain.ops.iter().take(position).rev().find(changes);
    Some(match op {
        Some(op) => op.name.to_string(),
        None => plain(&chain.base),
    })
}

fn rekeyed_before(
    topology: &Topology,
    chain: &Chain,
    position: usize,
    id: NodeId,
    seen: &mut BTreeSet<NodeId>,
) -> bool {
    if !seen.insert(id) {
        return false;
    }
    let mut now = chain
        .input
        .is_some_and(|input| rekeyed(topology, input, seen));
    let merged = merged_repartition(topology, id).map(|(at, _)| at);
    for (index, op) in chain.ops[..position.min(chain.ops.len())]
        .iter()
        .enumerate()
    {
        let Some(row) = op.known() else { continue };
        match row.partitioning {
            Partitioning::Topic | Partitioning::ByKey | Partitioning::ByKeyOrNull => now = false,
            Partitioning::Free => {}
        }
        if row.key == Key::Changes {
            now = true;
        }
        if op.is("merge")
            && let Some((_, Some(other))) = op.other
        {
            now |= rekeyed(topology, other, seen);
        }
        if merged == Some(index + 1) {
            now = false;
        }
    }
    seen.remove(&id);
    now
}

/// Whether a repartition topic comes before the operator at `position` (or is the operator itself).
pub(crate) fn repartitions_before(topology: &Topology, id: NodeId, position: usize) -> bool {
    if merges_at(topology, id, position) {
        return true;
    }
    let Some(op) = topology
        .node(id)
        .chain()
        .and_then(|chain| chain.ops.get(position))
    else {
        return false;
    };
    match op.known().map(|row| row.partitioning) {
        Some(Partitioning::Topic) => true,
        Some(Partitioning::ByKey | Partitioning::ByKeyOrNull) => {
            is_rekeyed_before(topology, id, position)
        }
        Some(Partitioning::Free) | None => false,
    }
}

/// Whether the other node of the two-sided operator at `position` goes through a repartition topic on its way in.
pub(crate) fn repartitions_other(topology: &Topology, id: NodeId, position: usize) -> bool {
    let Some(op) = topology
        .node(id)
        .chain()
        .and_then(|chain| chain.ops.get(position))
    else {
        return false;
    };
    let by_key = |row: &Operator| {
        row.has_two_sides()
            && matches!(
                row.partitioning,
                Partitioning::ByKey | Partitioning::ByKeyOrNull
            )
    };
    match &op.other {
        Some((_, Some(other))) if op.known().is_some_and(by_key) => {
            meets(topology, topology.node(id), position)
                && *other != id
                && rekeyed(topology, *other, &mut BTreeSet::new())
        }
        _ => false,
    }
}

/// The name of the repartition topic of a two-sided operator's other side, without `-repartition`.
pub(crate) fn other_repartition_name(node: &Node, op: &Op) -> String {
    if op.is("cogroup") {
        let other = op.other.as_ref().map(|(name, _)| plain(name));
        let name = || format!("{}-{}", store_name(node), other.unwrap_or_default());
        return op.given_name().map_or_else(name, |name| name.value());
    }
    format!("{}-right", operator_name(node, op))
}

/// Whether records after the operator at `position`, or what comes of them, meet a left join anywhere. Kafka Streams lets null
/// keys into every repartition topic before a left join, not only into the join's own; who needs a key drops and counts them.
pub(crate) fn left_join_after(topology: &Topology, id: NodeId, position: usize) -> bool {
    fn visit(
        topology: &Topology,
        id: NodeId,
        from: usize,
        seen: &mut BTreeSet<(NodeId, usize)>,
    ) -> bool {
        if !seen.insert((id, from)) {
            return false;
        }
        let ops = topology.node(id).chain().map(|chain| &chain.ops[..]);
        let is_left = |op: &Op| {
            let outer = op.is("outer_join") || op.is("outer_join_with_key");
            op.is("left_join") || op.is("left_join_with_key") || (outer && !joins_tables(op))
        };
        ops.is_some_and(|ops| ops.iter().skip(from).any(is_left))
            || topology.readers(id).any(|edge| {
                let chain = topology.node(edge.to).chain();
                let read_by = |op: usize| chain.and_then(|chain| chain.ops.get(op));
                let streams = |op: &Op| op.known().is_some_and(stream_join::joins_streams);
                match edge.op {
                    None => visit(topology, edge.to, 0, seen),
                    Some(op) if read_by(op).is_some_and(streams) => {
                        visit(topology, edge.to, op, seen)
                    }
                    Some(op) => {
                        read_by(op).is_some_and(|op| op.is("merge"))
                            && visit(topology, edge.to, op + 1, seen)
                    }
                }
            })
    }
    visit(topology, id, position + 1, &mut BTreeSet::new())
}

/// The name of the repartition topic before an operator, without `-repartition`.
pub(crate) fn repartition_name(
    topology: &Topology,
    node: &Node,
    chain: &Chain,
    position: usize,
) -> String {
    match merged_repartition(topology, node.id) {
        Some((at, name)) if at == position => name,
        _ => named_repartition(node, chain, position),
    }
}

fn named_repartition(node: &Node, chain: &Chain, position: usize) -> String {
    let op = &chain.ops[position];
    if op.known().is_some_and(Operator::has_two_sides) {
        return format!("{}-left", operator_name(node, op));
    }
    let says_windows = |op: &&Op| op.is("windowed_by") || op.is("emit");
    let grouping = chain.ops[..position]
        .iter()
        .rev()
        .find(|op| !says_windows(op))
        .filter(|op| op.is("group_by") || op.is("group_by_key"));
    if let Some(given) = grouping
        .and_then(Op::given_name)
        .or_else(|| op.given_name())
    {
        return given.value();
    }
    let keeps_store = op
        .known()
        .is_some_and(|row| matches!(row.state, State::Owns | State::OwnsIfMaterialized))
        || op.is("cogroup");
    if keeps_store {
        store_name(node)
    } else {
        plain(&node.name)
    }
}

/// How many parts a node has: one more than its repartition topics; global tables and shared stores have none.
pub(crate) fn part_count(node: &Node, internal: &Internal) -> usize {
    match node.shape {
        Shape::GlobalTable | Shape::Store => 0,
        _ => 1 + internal.in_chain(node.id, usize::MAX),
    }
}

/// The part of a node in which the operator at `position` runs.
pub(crate) fn part_at(internal: &Internal, id: NodeId, position: usize) -> usize {
    internal.in_chain(id, position)
}

/// Whether the table that a node declares can lose a key, so that `to_stream` yields `Option<V>`.
pub(crate) fn loses_keys(topology: &Topology, id: NodeId) -> bool {
    let node = topology.node(id);
    match node.chain() {
        Some(chain) => loses_before(topology, node, chain, chain.ops.len()),
        None => node.source().is_some(),
    }
}

/// Whether the table before the operator at `position` can lose a key.
pub(crate) fn loses_before(
    topology: &Topology,
    node: &Node,
    chain: &Chain,
    position: usize,
) -> bool {
    let Some(last) = position.checked_sub(1) else {
        return chain
            .input
            .is_some_and(|input| input != node.id && loses_keys(topology, input));
    };
    match chain.ops[last].known().map(|row| row.losing) {
        // A session that grows is another one; the one before is deleted.
        Some(_)
            if windows::of_chain(chain).is_some_and(|of| of.kind.is_session())
                && chain.stateful() == Some(last) =>
        {
            !windows::emits_on_close(chain)
                || store_types(node).is_some_and(|(_, value)| option_of(&value).is_some())
        }
        Some(Losing::Never | Losing::NoTable) => false,
        Some(Losing::Always) | None => true,
        Some(Losing::AsInput) => loses_before(topology, node, chain, last),
        Some(Losing::IfOption) if chain.ops[last].is("to_table") => {
            // The value that the table takes is the input's, unless something on the way may have made it another.
            let changed = chain.ops[..last].iter().any(changes_value);
            let nullable = chain
                .input
                .and_then(|input| topology.node(input).value())
                .is_none_or(|value| option_of(value).is_some());
            changed || nullable
        }
        Some(Losing::IfOption) => {
            store_types(node).is_some_and(|(_, value)| option_of(&value).is_some())
        }
    }
}

/// Whether an operator may yield another value type than it takes.
fn changes_value(op: &Op) -> bool {
    const KEEP: &[&str] = &[
        "filter",
        "filter_not",
        "peek",
        "select_key",
        "merge",
        "branch",
        "otherwise",
        "repartition",
        "group_by",
        "group_by_key",
    ];
    !KEEP.iter().any(|name| op.is(name))
}

/// `T` of `Option<T>`, by its spelling.
pub(crate) fn option_of(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Group(group) => option_of(&group.elem),
        Type::Paren(paren) => option_of(&paren.elem),
        Type::Path(path) => {
            let segment = path.path.segments.last()?;
            if segment.ident != "Option" {
                return None;
            }
            let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments else {
                return None;
            };
            match arguments.args.first()? {
                syn::GenericArgument::Type(inner) => Some(inner),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether somebody looks up the table's rows by their key: a join that names it, one in a chain that starts from it and has no
/// store before the join, or a table without a store that is made of it and looked up itself.
pub(crate) fn is_looked_up(topology: &Topology, id: NodeId) -> bool {
    looked_up_by(topology, id, &mut BTreeSet::new()).is_some()
}

/// The edge by which a table's rows are looked up.
pub(crate) fn looked_up(topology: &Topology, id: NodeId) -> Option<&Edge> {
    looked_up_by(topology, id, &mut BTreeSet::new())
}

fn looked_up_by<'t>(
    topology: &'t Topology,
    id: NodeId,
    seen: &mut BTreeSet<NodeId>,
) -> Option<&'t Edge> {
    if topology.node(id).shape != Shape::Table || !seen.insert(id) {
        return None;
    }
    topology.readers(id).find(|edge| {
        let reader = topology.node(edge.to);
        let looks_up = || reader.chain().is_some_and(looks_up_its_input);
        edge.op.is_some()
            || looks_up()
            || makes_rows(reader) && looked_up_by(topology, reader.id, seen).is_some()
    })
}

/// Whether a join of two tables within a chain looks up what the chain starts from.
fn looks_up_its_input(chain: &Chain) -> bool {
    let store = chain.stateful().unwrap_or(chain.ops.len());
    let joins = |op: &Op| (joins_tables(op) || joins_foreign(op)) && chain.yields.is_some();
    chain.ops.iter().take(store).any(joins)
}

/// Whether a derived table without a store is looked up in the tables that it is made of.
pub(crate) fn makes_rows(node: &Node) -> bool {
    let passes = |op: &Op| {
        let simple = [
            "filter",
            "filter_not",
            "map_values",
            "map_values_with_key",
            "transform_values",
        ];
        let on_table = op.known().is_some_and(|row| row.on == Shape::Table);
        on_table && simple.iter().any(|name| op.is(name)) || joins_tables(op) || is_suppression(op)
    };
    node.shape == Shape::Table
        && node.store.is_none()
        && node
            .chain()
            .is_some_and(|chain| chain.ops.last().is_some_and(passes))
}

/// Whether a node's rows are looked up through its chain.
pub(crate) fn is_viewed(topology: &Topology, node: &Node) -> bool {
    makes_rows(node) && !has_store(topology, node) && is_looked_up(topology, node.id)
}

/// Whether rows that are looked up go through the `transform_values` at `position`: on their way out of the node, or to a join in
/// its chain. Another transformer makes them than makes the updates, as in Kafka Streams.
pub(crate) fn transforms_rows(topology: &Topology, node: &Node, position: usize) -> bool {
    let Some(chain) = node.chain() else {
        return false;
    };
    let to = chain.stateful().unwrap_or(chain.ops.len());
    let behind = chain.ops.get(position + 1..to).unwrap_or_default();
    let transforms = |op: &Op| op.is("transform_values");
    chain.ops.get(position).is_some_and(transforms)
        && (behind.iter().any(joins_tables) || is_viewed(topology, node))
}

/// Whether an operator joins two tables by a foreign key.
pub(crate) fn joins_foreign(op: &Op) -> bool {
    let is_one = op.is("join_on") || op.is("left_join_on");
    is_one && op.known().is_some()
}

/// The right table of the foreign-key join at `position`, if there is one.
pub(crate) fn foreign_of(topology: &Topology, node: &Node, position: usize) -> Option<NodeId> {
    let op = node.chain()?.ops.get(position)?;
    let (_, other) = op.other.as_ref().filter(|_| joins_foreign(op))?;
    other.filter(|id| topology.node(*id).shape == Shape::Table)
}

/// The names of a foreign-key join's topics: of subscriptions, and of responses.
pub(crate) fn foreign_topics(node: &Node, op: &Op) -> [String; 2] {
    let name = operator_name(node, op);
    ["registration", "response"].map(|what| format!("{name}-subscription-{what}-topic"))
}

/// The source of one of these topics: `…-subscription-response-source`.
pub(crate) fn foreign_source(topic: &str) -> String {
    format!("{}-source", topic.trim_end_matches("-topic"))
}

/// Whether an operator joins two tables.
pub(crate) fn joins_tables(op: &Op) -> bool {
    op.known()
        .is_some_and(|row| row.has_two_sides() && row.on == Shape::Table)
}

/// Whether a node keeps state, exactly as in Kafka Streams: an aggregation, `#[store]`, or somebody joins with it.
pub(crate) fn has_store(topology: &Topology, node: &Node) -> bool {
    match node.shape {
        Shape::GlobalTable => true,
        Shape::Store => true,
        _ if node.chain().is_some_and(|chain| chain.stateful().is_some()) => true,
        Shape::Table => {
            node.store.is_some() && !tells_of_a_buffer(node)
                || is_given(topology, node.id)
                || !makes_rows(node) && is_looked_up(topology, node.id)
                || old_values::forces_store(topology, node)
        }
        _ => false,
    }
}

/// Whether `#[store(…)]` says no more than how the buffer of a suppression is logged.
fn tells_of_a_buffer(node: &Node) -> bool {
    let suppressed = |chain: &Chain| chain.ops.iter().any(is_suppression);
    let Some(options) = node
        .store
        .as_ref()
        .filter(|_| node.chain().is_some_and(suppressed))
    else {
        return false;
    };
    let of_rows = options.kind.is_some()
        || options.cache.is_some()
        || options.retention.is_some()
        || options.window_size.is_some()
        || options.name.is_some()
        || options.versioned.is_some();
    let logged = options.changelog.is_some() || !options.changelog_config.is_empty();
    logged && !of_rows
}

/// Whether a processor reads the node's store.
fn is_given(topology: &Topology, id: NodeId) -> bool {
    topology.readers(id).any(|edge| edge.reads == Reads::Store)
}

/// A store that an operator of a node keeps beside the field's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inner {
    /// The operator's position.
    pub(crate) op: usize,
    pub(crate) role: &'static str,
    pub(crate) name: String,
}

/// Whether an operator holds updates of a table back.
pub(crate) fn is_suppression(op: &Op) -> bool {
    op.known()
        .is_some_and(|row| row.inner.contains(&SUPPRESSED))
}

/// Whether records wait at an operator, in a buffer that has a time of its own: a join of a stream with a table and a grace, or a
/// suppression.
pub(crate) fn waits(op: &Op) -> bool {
    op.known()
        .is_some_and(|row| row.inner.contains(&BUFFER) && op.grace.is_some())
        || is_suppression(op)
}

/// The stores of a node that are not what its field declares.
pub(crate) fn inner_stores(topology: &Topology, node: &Node) -> Vec<Inner> {
    let ops = node.chain().map_or(&[][..], |chain| &chain.ops);
    let inner = |(position, op): (usize, &Op)| {
        let stores = op.known().map_or(&[][..], |row| row.inner);
        let one = stream_join::is_over_one_store(topology, node, position);
        stores
            .iter()
            .filter(|inner| **inner != BUFFER || op.grace.is_some())
            .filter(|inner| !one || inner.role == "left")
            .map(move |inner| Inner {
                op: position,
                role: inner.role,
                name: inner_name(node, op, inner),
            })
            .collect::<Vec<_>>()
    };
    ops.iter().enumerate().flat_map(inner).collect()
}

/// The name of an inner store. A join of streams has room for more words: `#[store(name = "…")]` stands for the first part of all its
/// stores' names, `left_store(name = "…")` for a whole one, and for the first part of the store of records without partner.
fn inner_name(node: &Node, op: &Op, inner: &InnerStore) -> String {
    let given = |role: &str| op.stream_join.as_ref()?.store(role)?.name.as_ref();
    if let Some(name) = given(inner.role) {
        return name.value();
    }
    let store = node.store.as_ref().and_then(|store| store.name.as_ref());
    let base = if inner.role == "outer" && given("left").is_some() {
        given("left").map(LitStr::value)
    } else if op.known().is_some_and(joins_streams) {
        store.map(LitStr::value)
    } else {
        None
    };
    let base = base.unwrap_or_else(|| operator_name(node, op));
    format!("{base}-{}", inner.suffix)
}

/// Whether records of another node enter at this operator.
pub(crate) fn meets(topology: &Topology, node: &Node, position: usize) -> bool {
    let op = node.chain().and_then(|chain| chain.ops.get(position));
    op.and_then(Op::known).is_some_and(Operator::has_two_sides)
        && !stream_join::is_over_one_store(topology, node, position)
}

/// The types of a join of two streams, without their nulls: key, left and right value. What only rustc knows is missing.
pub(crate) fn joined_types(topology: &Topology, node: &Node) -> [Option<Type>; 3] {
    let Some((position, op)) = stream_join::of_node(node) else {
        return [None, None, None];
    };
    let not_null = |ty: &Type| option_of(ty).unwrap_or(ty).clone();
    let keeps_key = |ops: &[Op]| {
        ops.iter()
            .all(|op| op.known().is_some_and(|row| row.key == Key::Keeps))
    };
    let (before, after, input) = match node.chain() {
        Some(chain) => (
            chain.ops.get(..position).unwrap_or_default(),
            chain.ops.get(position + 1..).unwrap_or_default(),
            chain.input.map(|id| topology.node(id)),
        ),
        None => (&[][..], &[][..], None),
    };
    let other = op.other.as_ref().and_then(|(_, id)| *id);
    let other = other.map(|id| topology.node(id));
    // The other stream's key is the join's, and so is the node's if nothing behind the join changes it.
    let key = other
        .and_then(Node::key)
        .or_else(|| node.key().filter(|_| keeps_key(after)));
    let left = input
        .and_then(Node::value)
        .filter(|_| !before.iter().any(changes_value));
    let right = other.and_then(Node::value);
    [key.map(not_null), left.map(not_null), right.map(not_null)]
}

/// What an operator of two sides, its inner stores and its repartition topics are named by: its `name = "…"`, or the field.
pub(crate) fn operator_name(node: &Node, op: &Op) -> String {
    op.given_name()
        .map_or_else(|| plain(&node.name), |name| name.value())
}

/// Whether the store holds what the field declares: it does unless operators follow the aggregation.
pub(crate) fn store_is_fields(node: &Node) -> bool {
    match node.chain() {
        Some(chain) => chain
            .stateful()
            .is_none_or(|position| position + 1 == chain.ops.len()),
        None => true,
    }
}

/// The types of a node's store: the declared ones, or, where operators follow the aggregation, as far as they can be told
/// without inference. `None`: rustc infers them.
pub(crate) fn store_types(node: &Node) -> Option<(Type, Type)> {
    let declared = node.types.clone()?;
    let Some(chain) = node.chain() else {
        return Some(declared);
    };
    let Some(position) = chain.stateful() else {
        return Some(declared);
    };
    let rest = &chain.ops[position + 1..];
    if rest.is_empty() {
        return Some(declared);
    }
    let (key, value) = declared;
    if rest
        .iter()
        .any(|op| op.known().is_none_or(|row| row.key == Key::Changes))
    {
        return None;
    }
    if chain.ops[position].is("count") {
        return Some((key, parse_quote!(i64)));
    }
    let keeps = |op: &Op| op.is("to_stream") || !changes_value(op);
    let loses_late = rest.iter().any(|op| op.is("filter") || op.is("filter_not"))
        && rest.first().is_some_and(|op| !op.is("to_stream"));
    if !rest.iter().all(keeps) || loses_late {
        return None;
    }
    // `aggregate(…).to_stream()` of a table that loses keys declares `Option<A>`, and so does its store.
    Some((key, value))
}

/// Whether records of a node come to another, however they are changed on the way.
fn feeds(topology: &Topology, from: NodeId, to: NodeId) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(id) = next.pop() {
        if !seen.insert(id) {
            continue;
        }
        let records = topology
            .readers(id)
            .filter(|edge| edge.reads == Reads::Records);
        next.extend(records.map(|edge| edge.to));
    }
    seen.remove(&from);
    seen.contains(&to)
}

/// Whether what an operator of `from` makes goes into the repartition topic before the operator `at` of `to`.
pub(crate) fn fills(
    topology: &Topology,
    (from, op): (NodeId, usize),
    (to, at): (NodeId, usize),
) -> bool {
    if from == to {
        return op < at;
    }
    // What comes in at that operator or later is not in the topic.
    topology
        .inputs(to)
        .filter(|edge| edge.reads == Reads::Records && edge.op.is_none_or(|op| op < at))
        .any(|edge| edge.from == from || feeds(topology, from, edge.from))
}

/// Whether what a node makes goes into the repartition topic of the other side of the operator `at` of `to`.
pub(crate) fn fills_other(topology: &Topology, from: NodeId, (to, at): (NodeId, usize)) -> bool {
    topology
        .inputs(to)
        .filter(|edge| edge.reads == Reads::Records && edge.op == Some(at))
        .any(|edge| edge.from == from || feeds(topology, from, edge.from))
}

/// Where records of a part were last partitioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    Source(NodeId),
    /// The repartition topic before an operator.
    Repartition(NodeId, usize),
    /// The repartition topic of the other side of an operator.
    OtherRepartition(NodeId, usize),
}

/// Origins that must have equal partition counts, and why.
#[derive(Debug)]
pub(crate) struct CopartitionGroup {
    /// The node whose operator asks for it.
    pub(crate) node: NodeId,
    pub(crate) op: usize,
    /// The part of the node in which the operator runs.
    pub(crate) part: usize,
    pub(crate) origins: Vec<Origin>,
}

/// The origins of the records before the operator at `position`.
pub(crate) fn origins_before(topology: &Topology, id: NodeId, position: usize) -> Vec<Origin> {
    let mut out = BTreeSet::new();
    gather(topology, id, position, &mut out, &mut BTreeSet::new());
    out.into_iter().collect()
}

/// Where the records that reach an operator were last partitioned.
pub(crate) fn arriving(topology: &Topology, id: NodeId, position: usize) -> Vec<Origin> {
    if repartitions_before(topology, id, position) {
        vec![Origin::Repartition(id, position)]
    } else {
        origins_before(topology, id, position)
    }
}

/// Where the records that reach an operator from the other node were last partitioned.
pub(crate) fn arriving_from_other(topology: &Topology, id: NodeId, position: usize) -> Vec<Origin> {
    if repartitions_other(topology, id, position) {
        return vec![Origin::OtherRepartition(id, position)];
    }
    let op = topology
        .node(id)
        .chain()
        .and_then(|chain| chain.ops.get(position));
    match op.and_then(|op| op.other.as_ref()) {
        Some((_, Some(other))) => origins_before(topology, *other, usize::MAX),
        _ => Vec::new(),
    }
}

fn gather(
    topology: &Topology,
    id: NodeId,
    position: usize,
    out: &mut BTreeSet<Origin>,
    seen: &mut BTreeSet<(NodeId, usize)>,
) {
    if !seen.insert((id, position)) {
        return;
    }
    let node = topology.node(id);
    let Some(chain) = node.chain() else {
        if node.source().is_some() {
            out.insert(Origin::Source(id));
        }
        return;
    };
    if position > chain.ops.len() && merges_at(topology, id, chain.ops.len()) {
        out.insert(Origin::Repartition(id, chain.ops.len()));
        return;
    }
    for before in (0..position.min(chain.ops.len())).rev() {
        if repartitions_before(topology, id, before) {
            out.insert(Origin::Repartition(id, before));
            return;
        }
        let op = &chain.ops[before];
        let two_sided = op.known().is_some_and(Operator::has_two_sides);
        if two_sided && repartitions_other(topology, id, before) {
            out.insert(Origin::OtherRepartition(id, before));
        } else if (two_sided || op.is("merge"))
            && let Some((_, Some(other))) = op.other
        {
            gather(topology, other, usize::MAX, out, seen);
        }
    }
    if let Some(input) = chain.input {
        gather(topology, input, usize::MAX, out, seen);
    }
}

/// Every operator that relies on partitioning, with the origins of what it sees.
pub(crate) fn copartition_groups(
    topology: &Topology,
    internal: &Internal,
) -> Vec<CopartitionGroup> {
    let mut groups = Vec::new();
    for node in &topology.nodes {
        let Some(chain) = node.chain() else { continue };
        for (position, op) in chain.ops.iter().enumerate() {
            let Some(row) = op.known() else { continue };
            if !matches!(
                row.partitioning,
                Partitioning::ByKey | Partitioning::ByKeyOrNull
            ) {
                continue;
            }
            let mut origins = arriving(topology, node.id, position);
            if (row.has_two_sides() || row.with == Some(Shape::Table))
                && let Some((_, Some(_))) = op.other
            {
                origins.extend(arriving_from_other(topology, node.id, position));
            }
            origins.sort_unstable();
            origins.dedup();
            let part = part_at(internal, node.id, position);
            groups.push(CopartitionGroup {
                node: node.id,
                op: position,
                part,
                origins,
            });
        }
    }
    for sharing in shared::sharings(topology) {
        if let Some(user) = sharing.users.first() {
            groups.push(CopartitionGroup {
                node: user.edge.to,
                op: user.op,
                part: part_at(internal, user.edge.to, user.op),
                origins: sharing.origins(),
            });
        }
    }
    groups
}

/// Where repartition topics are, without their indexes.
pub(crate) fn internal(topology: &Topology) -> Internal {
    let mut internal = Internal::default();
    for node in &topology.nodes {
        let Some(chain) = node.chain() else { continue };
        for position in 0..=chain.ops.len() {
            if repartitions_before(topology, node.id, position) {
                internal.chains.insert((node.id, position), 0);
            }
            if repartitions_other(topology, node.id, position) {
                internal.others.insert((node.id, position), 0);
            }
        }
    }
    internal
}

/// The extractor of Kafka Streams that `timestamp = …` names: the variant of its type.
pub(crate) fn named_extractor(timestamp: &syn::Expr) -> Option<&'static str> {
    let syn::Expr::Path(path) = ungrouped(timestamp) else {
        return None;
    };
    Some(match path.path.get_ident()?.to_string().as_str() {
        "fail_on_invalid_timestamp" => "FailOnInvalidTimestamp",
        "log_and_skip_on_invalid_timestamp" => "LogAndSkipOnInvalidTimestamp",
        "use_partition_time_on_invalid_timestamp" => "UsePartitionTimeOnInvalidTimestamp",
        "wallclock_timestamp_extractor" => "WallclockTimestampExtractor",
        _ => return None,
    })
}

/// The user's own extractor of a source.
pub(crate) fn own_extractor(node: &Node) -> Option<&syn::Expr> {
    let timestamp = node.source()?.timestamp.as_ref()?;
    named_extractor(timestamp).is_none().then_some(timestamp)
}
