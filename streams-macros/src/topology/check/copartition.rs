//! Co-partitioning: records of one key meet in one task only if every topic on the way puts that key into the same partition.
//! That takes equal partition counts, equal partitioners and equal key bytes. Counts behind consts are compared by rustc, see
//! `obligations`.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use syn::{Expr, LitStr, Type};

use super::inputs::is_cyclic;
use super::{at, chains, compact, type_text};
use crate::ctxt::Ctxt;
use crate::topology::kinds::{Key, Operator, Partitioning, Shape};
use crate::topology::model::{Chain, Node, NodeId, Op, Topology};
use crate::topology::parse::{Partitions, SinkTopic, Source};
use crate::topology::plan::facts::{self, Origin};
use crate::topology::plan::shared;

/// An operator at which records of two sides meet in one task.
struct Meeting<'a> {
    node: &'a Node,
    op: &'a Op,
    /// The node that the operator names.
    other: &'a Node,
    left: Vec<Origin>,
    right: Vec<Origin>,
}

/// The joins with tables, and the merges, in the order of the fields.
fn meetings(topology: &Topology) -> Vec<Meeting<'_>> {
    if is_cyclic(topology) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for (node, chain) in chains(topology) {
        for (position, op) in chain.ops.iter().enumerate() {
            let (Some(row), Some((_, Some(other)))) = (op.known(), &op.other) else {
                continue;
            };
            let meets = row.has_two_sides()
                || (row.with == Some(Shape::Table) && !facts::joins_foreign(op))
                || (row.with == Some(Shape::Stream) && row.partitioning == Partitioning::Free);
            if !meets {
                continue;
            }
            all.push(Meeting {
                node,
                op,
                other: topology.node(*other),
                left: facts::arriving(topology, node.id, position),
                right: if row.has_two_sides() {
                    facts::arriving_from_other(topology, node.id, position)
                } else {
                    facts::origins_before(topology, *other, usize::MAX)
                },
            });
        }
    }
    all
}

/// The origins whose sub-topology keeps state. Without any, a task may see any partitions: each record stands for itself.
fn stateful_origins(topology: &Topology, meetings: &[Meeting<'_>]) -> BTreeSet<Origin> {
    let mut stateful = BTreeSet::new();
    for node in &topology.nodes {
        if !node.is_global() && facts::has_store(topology, node) {
            stateful.extend(match node.chain() {
                Some(chain) => chain
                    .ops
                    .iter()
                    .enumerate()
                    .filter(|(_, op)| op.known().is_some_and(|row| row.yields == Shape::Table))
                    .flat_map(|(position, _)| facts::arriving(topology, node.id, position))
                    .chain(facts::origins_before(topology, node.id, usize::MAX))
                    .collect(),
                None => facts::origins_before(topology, node.id, usize::MAX),
            });
        }
    }
    for sharing in shared::sharings(topology) {
        stateful.extend(sharing.origins());
    }
    // What meets stateful records runs in the same tasks.
    loop {
        let before = stateful.len();
        for meeting in meetings {
            let joins = !meeting.op.is("merge");
            let both = || meeting.left.iter().chain(&meeting.right);
            if joins || both().any(|origin| stateful.contains(origin)) {
                stateful.extend(both().copied());
            }
        }
        if stateful.len() == before {
            return stateful;
        }
    }
}

/// What is known about an origin's partition count.
pub(super) enum Count<'a> {
    Given(&'a Partitions),
    /// A source that says none.
    Undeclared(&'a Node),
    /// An automatic repartition topic: it gets the count of what it meets.
    Follows,
}

pub(super) fn count(topology: &Topology, origin: Origin) -> Count<'_> {
    match origin {
        Origin::Source(id) => {
            let node = topology.node(id);
            match node.source().map(|source| source.partitions.as_ref()) {
                Some(Some(partitions)) => Count::Given(partitions),
                Some(None) => Count::Undeclared(node),
                None => Count::Follows,
            }
        }
        Origin::Repartition(id, position) => match operator(topology, id, position) {
            Some(op) => op.partitions.as_ref().map_or(Count::Follows, Count::Given),
            None => Count::Follows,
        },
        Origin::OtherRepartition(..) => Count::Follows,
    }
}

fn operator(topology: &Topology, id: NodeId, position: usize) -> Option<&Op> {
    topology.node(id).chain()?.ops.get(position)
}

/// "`orders`", or "`repartition(5)` of `known`".
pub(super) fn origin_words(topology: &Topology, origin: Origin) -> String {
    match origin {
        Origin::Source(id) => format!("`{}`", topology.node(id).name),
        Origin::Repartition(id, position) => {
            let node = &topology.node(id).name;
            match operator(topology, id, position) {
                Some(op) if op.is("repartition") => format!("the `repartition` in `{node}`"),
                _ => format!("the repartition topic in `{node}`"),
            }
        }
        Origin::OtherRepartition(id, _) => {
            format!("the repartition topic in `{}`", topology.node(id).name)
        }
    }
}

// A topic has one partition count, wherever it is declared.
pub(super) fn topics_have_one_count(cx: &Ctxt, topology: &Topology) {
    let mut seen: Vec<(String, u32, &Partitions)> = Vec::new();
    for node in &topology.nodes {
        let source = node
            .source()
            .map(|source| (source.topics.iter().collect(), source.partitions.as_ref()));
        let sinks = node.sinks.iter().map(|sink| {
            let topics: Vec<&LitStr> = match &sink.topic {
                SinkTopic::Static(topic) => vec![topic],
                SinkTopic::PerRecord(_, topics) => topics.iter().collect(),
            };
            (topics, sink.partitions.as_ref())
        });
        for (topics, partitions) in source.into_iter().chain(sinks) {
            let Some(partitions @ Partitions::Literal(n, _)) = partitions else {
                continue;
            };
            for topic in topics {
                match seen.iter().find(|(name, ..)| *name == topic.value()) {
                    None => seen.push((topic.value(), *n, partitions)),
                    Some((_, first, _)) if first == n => {}
                    Some((name, first, place)) => cx.error_with(
                        "KS0301",
                        partitions,
                        format!(
                            "the topic `{name}` is declared with {n} partitions here and with {first} elsewhere: a topic has \
                             one partition count"
                        ),
                        [(at(place), format!("`{name}` is declared with {first} partitions here"))],
                    ),
                }
            }
        }
    }
}

// Both sides of a join, and of a merge in front of state: counts declared and equal, partitioners equal, key bytes equal.
pub(super) fn meetings_are_copartitioned(cx: &Ctxt, topology: &Topology) {
    let mut undeclared = BTreeSet::new();
    let mut compared = BTreeSet::new();
    let mut meetings = meetings(topology);
    let stateful = stateful_origins(topology, &meetings);
    topics_of_one_source_are_equal(cx, topology, &stateful);
    meetings.retain(|meeting| {
        let mut both = meeting.left.iter().chain(&meeting.right);
        !meeting.op.is("merge") || both.any(|origin| stateful.contains(origin))
    });
    for meeting in meetings {
        if meeting
            .left
            .iter()
            .chain(&meeting.right)
            .collect::<BTreeSet<_>>()
            .len()
            < 2
        {
            continue;
        }
        counts_are_declared(cx, topology, &meeting, &mut undeclared);
        if counts_are_equal(cx, topology, &meeting, &mut compared) {
            partitioners_are_equal(cx, topology, &meeting);
        }
        if !meeting.op.is("merge") {
            key_formats_are_equal(cx, topology, &meeting);
        }
    }
}

/// Several topics read as one stream meet in front of state just as merged ones do; one declared count stands for all of them.
fn topics_of_one_source_are_equal(cx: &Ctxt, topology: &Topology, stateful: &BTreeSet<Origin>) {
    for node in &topology.nodes {
        let Some(source) = node.source() else {
            continue;
        };
        let meets = source.topics.len() > 1 && stateful.contains(&Origin::Source(node.id));
        if meets && source.partitions.is_none() {
            cx.error(
                "KS0302",
                &source.attribute.meta,
                format!(
                    "`{}` reads {} topics as one stream, in front of state, which needs equal partition counts: declare the \
                     one that all of them have, `partitions = 6`, or `partitions = runtime` to have it checked at start-up",
                    node.name,
                    source.topics.len()
                ),
            );
        }
    }
}

fn counts_are_declared(
    cx: &Ctxt,
    topology: &Topology,
    meeting: &Meeting<'_>,
    reported: &mut BTreeSet<NodeId>,
) {
    let both: BTreeSet<Origin> = meeting.left.iter().chain(&meeting.right).copied().collect();
    let decided = both
        .iter()
        .filter(|origin| !matches!(count(topology, **origin), Count::Follows))
        .count();
    if decided < 2 {
        return;
    }
    let known = both
        .iter()
        .find_map(|origin| match count(topology, *origin) {
            Count::Given(Partitions::Literal(n, _)) => Some((*origin, *n)),
            _ => None,
        });
    for origin in both {
        let Count::Undeclared(source) = count(topology, origin) else {
            continue;
        };
        if !reported.insert(source.id) {
            continue;
        }
        let Some(attribute) = source.source().map(|source| &source.attribute) else {
            continue;
        };
        let (example, because) = match known {
            Some((other, n)) => (
                n.to_string(),
                format!(", and {} has {n}", origin_words(topology, other)),
            ),
            None => ("N".to_owned(), String::new()),
        };
        let place = meeting.op.other.as_ref().map(|(place, _)| at(place));
        let (base, other) = (base_name(meeting), meeting.other.name.to_string());
        let partner = if meeting.right.contains(&origin) {
            &base
        } else {
            &other
        };
        let text = format!(
            "`{}` brings `{base}` and `{other}` together here",
            meeting.node.name
        );
        cx.error_with(
            "KS0302",
            &attribute.meta,
            format!(
                "`{}` declares no partition count, but {} needs equal ones{because}: write `partitions = {example}`, or \
                 `partitions = runtime` to have it checked at start-up",
                source.name,
                what(meeting, partner)
            ),
            place.map(|place| (place, text)),
        );
    }
}

/// "the join with `customers` in `known`".
fn what(meeting: &Meeting<'_>, partner: &str) -> String {
    let kind = kind(meeting.op);
    format!("the {kind} with `{partner}` in `{}`", meeting.node.name)
}

/// "merge", "cogroup" or "join".
fn kind(op: &Op) -> &'static str {
    let kinds = ["merge", "cogroup"];
    kinds.into_iter().find(|kind| op.is(kind)).unwrap_or("join")
}

fn base_name(meeting: &Meeting<'_>) -> String {
    meeting
        .node
        .chain()
        .map(|chain| chain.base.to_string())
        .unwrap_or_default()
}

/// Compares the literal counts. One error for a pair of origins, however often they meet.
fn counts_are_equal(
    cx: &Ctxt,
    topology: &Topology,
    meeting: &Meeting<'_>,
    compared: &mut BTreeSet<(Origin, Origin)>,
) -> bool {
    let literal = |origin: &Origin| match count(topology, *origin) {
        Count::Given(place @ Partitions::Literal(n, _)) => Some((*origin, *n, place)),
        _ => None,
    };
    let Some((left, left_count, left_place)) = meeting.left.iter().find_map(literal) else {
        return true;
    };
    let differing = meeting
        .right
        .iter()
        .filter_map(literal)
        .find(|(_, n, _)| *n != left_count);
    let Some((right, right_count, right_place)) = differing else {
        return true;
    };
    if !compared.insert((left.min(right), left.max(right))) {
        return false;
    }
    let (left_words, right_words) = (origin_words(topology, left), origin_words(topology, right));
    let left_name = base_name(meeting);
    let is_repartition = |origin| !matches!(origin, Origin::Source(_));
    let (code, mend) = if is_repartition(left) || is_repartition(right) {
        let (moved, to) = if is_repartition(left) {
            (&left_words, right_count)
        } else {
            (&right_words, left_count)
        };
        ("KS0304", format!("give {moved} {to} partitions"))
    } else if meeting.op.is("merge") {
        (
            "KS0301",
            format!(
                "make the counts equal, or add `.repartition({right_count})` to the chain of `{}` before the merge and \
                 merge a repartitioned field",
                meeting.node.name
            ),
        )
    } else if meeting.op.known().is_some_and(Operator::has_two_sides) {
        let mend = match meeting.other.shape {
            Shape::Table => format!(
                "make the counts equal, or send one of them through a field of its own, \
                 `{left_name}.to_stream().repartition({right_count}).to_table()`"
            ),
            _ => format!(
                "make the counts equal, or put `.repartition({right_count})` before the {}",
                kind(meeting.op)
            ),
        };
        ("KS0301", mend)
    } else {
        (
            "KS0301",
            format!(
                "make the counts equal, put `.repartition({right_count})` before the join, or declare `{}` as a \
                 `GlobalKTable` and join it by a key mapper",
                meeting.other.name
            ),
        )
    };
    let kind = match kind(meeting.op) {
        "merge" => "merges it, in front of state,",
        "cogroup" => "cogroups it",
        _ => "joins it",
    };
    cx.error_with(
        code,
        right_place,
        format!(
            "co-partitioning: {right_words} has {right_count} partitions, but `{}` {kind} with {left_words}, which has \
             {left_count}: records of one key would lie in different tasks; {mend}",
            meeting.node.name
        ),
        [(
            at(left_place),
            format!("co-partitioning: {left_words} has {left_count} partitions"),
        )],
    );
    false
}

pub(super) fn partitioner(topology: &Topology, origin: Origin) -> Option<&Expr> {
    match origin {
        Origin::Source(id) => {
            let source = topology.node(id).source()?;
            source
                .partitioner
                .as_ref()
                .or_else(|| written_by(topology, source))
        }
        Origin::Repartition(id, position) => operator(topology, id, position)?.partitioner(),
        Origin::OtherRepartition(..) => None,
    }
}

/// The partitioner by which the topology itself writes a topic that it reads.
fn written_by<'t>(topology: &'t Topology, source: &Source) -> Option<&'t Expr> {
    let reads = |topic: &LitStr| source.topics.iter().any(|t| t.value() == topic.value());
    let mut sinks = topology.nodes.iter().flat_map(|node| &node.sinks);
    let sink = sinks.find(|sink| match &sink.topic {
        SinkTopic::Static(topic) => reads(topic),
        SinkTopic::PerRecord(_, topics) => topics.iter().any(reads),
    })?;
    sink.partitioner.as_ref()
}

/// The partitioner of an origin's topic, as it is written.
pub(super) fn partitioner_words(topology: &Topology, origin: Origin) -> String {
    match partitioner(topology, origin) {
        Some(expr) => compact(&at(expr).to_string()),
        None => "Kafka's own partitioner".to_owned(),
    }
}

fn partitioners_are_equal(cx: &Ctxt, topology: &Topology, meeting: &Meeting<'_>) {
    let words = |origin: Origin| partitioner_words(topology, origin);
    let Some(left) = meeting.left.first().copied() else {
        return;
    };
    let Some(right) = meeting
        .right
        .iter()
        .copied()
        .find(|right| words(*right) != words(left))
    else {
        return;
    };
    let place = |origin: Origin| -> TokenStream {
        match (partitioner(topology, origin), origin) {
            (Some(expr), _) => at(expr),
            (None, Origin::Source(id)) => match topology.node(id).source() {
                Some(source) => at(&source.attribute.meta),
                None => at(&topology.node(id).name),
            },
            (None, Origin::Repartition(id, _) | Origin::OtherRepartition(id, _)) => {
                at(&topology.node(id).name)
            }
        }
    };
    let (left_words, right_words) = (origin_words(topology, left), origin_words(topology, right));
    cx.error_with(
        "KS0303",
        place(right),
        format!(
            "co-partitioning: {right_words} is partitioned by `{}`, but {} meets {left_words}, which is partitioned by \
             `{}`: records of one key would lie in different tasks; use one partitioner, or put `.repartition(N)` before \
             the {}",
            words(right),
            what(meeting, &meeting.other.name.to_string()),
            words(left),
            kind(meeting.op),
        )
        .replace("`Kafka's own partitioner`", "Kafka's own partitioner"),
        [(
            place(left),
            format!("co-partitioning: {left_words} is partitioned by `{}`", words(left))
                .replace("`Kafka's own partitioner`", "Kafka's own partitioner"),
        )],
    );
}

// Subscriptions of a foreign-key join go to the partition that Kafka's own partitioner finds for the foreign key, or the one that the
// join names: elsewhere lie no rows for them, and nothing would join. (Answers go back to the partition that asked, however that was
// chosen.)
pub(super) fn foreign_keys_find_their_rows(cx: &Ctxt, topology: &Topology) {
    let quoted = |expr: Option<&Expr>| match expr {
        Some(expr) => format!("`{}`", compact(&at(expr).to_string())),
        None => "Kafka's own partitioner".to_owned(),
    };
    for (node, chain) in chains(topology) {
        for (position, op) in chain.ops.iter().enumerate() {
            let (Some(other), Some((name, _))) =
                (facts::foreign_of(topology, node, position), &op.other)
            else {
                continue;
            };
            let named = op.other_partitioner();
            let asked = quoted(named);
            let elsewhere = facts::origins_before(topology, other, usize::MAX)
                .into_iter()
                .map(|origin| (origin, partitioner(topology, origin)))
                .find(|(_, expr)| quoted(*expr) != asked);
            let Some((origin, expr)) = elsewhere else {
                continue;
            };
            let words = quoted(expr);
            let mend = match (expr, named) {
                (Some(expr), _) => format!(
                    "name it here, `other_partitioner = {}`, or bring the table's records through a `.repartition(N)` before \
                     `.to_table()`",
                    compact(&at(expr).to_string())
                ),
                (None, Some(named)) => format!(
                    "leave `other_partitioner` out, or, if others write the topic so, say it at the source: \
                     `#[source(…, partitioner = {})]`",
                    compact(&at(named).to_string())
                ),
                (None, None) => String::new(),
            };
            let notes = expr.map(|expr| (at(expr), format!("partitioned by {words}")));
            cx.error_with(
                "KS0303",
                named.map_or_else(|| at(name), at),
                format!(
                    "the foreign-key join looks for rows of `{name}` where {asked} puts their keys, but {} is partitioned by \
                     {words}: rows would not be found; {mend}",
                    origin_words(topology, origin)
                ),
                notes,
            );
        }
    }
}

// `Json<K>` and `K` are the same key to a reader, and other bytes to Kafka: they lie in different partitions and look-ups miss.
fn key_formats_are_equal(cx: &Ctxt, topology: &Topology, meeting: &Meeting<'_>) {
    let Some(chain) = meeting.node.chain() else {
        return;
    };
    let (Some(input), Some(position)) = (
        chain.input,
        chain.ops.iter().position(|op| std::ptr::eq(op, meeting.op)),
    ) else {
        return;
    };
    if key_changes_before(chain, position) {
        return;
    }
    let stream = topology.node(input);
    let (Some(left), Some(right)) = (stream.key(), meeting.other.key()) else {
        return;
    };
    let ((left_inner, left_format), (right_inner, right_format)) =
        (unwrapped(left), unwrapped(right));
    if left_format == right_format || left_inner != right_inner {
        return;
    }
    cx.error_with(
        "KS0308",
        right,
        format!(
            "co-partitioning: `{}` is keyed by `{}`, but `{}` joins it with `{}`, which is keyed by `{}`: the same key in \
             other bytes lies in another partition; use one wire format, or re-key before the join, \
             `.select_key(|key, _| …)`",
            meeting.other.name,
            type_text(right),
            meeting.node.name,
            stream.name,
            type_text(left)
        ),
        [(
            at(left),
            format!("co-partitioning: `{}` is keyed by `{}`", stream.name, type_text(left)),
        )],
    );
}

fn key_changes_before(chain: &Chain, position: usize) -> bool {
    chain
        .ops
        .iter()
        .take(position)
        .any(|op| op.known().is_none_or(|row| row.key == Key::Changes))
}

/// A key's type without its wrapper, and the wrapper.
fn unwrapped(ty: &Type) -> (String, Option<String>) {
    let ty = facts::option_of(ty).unwrap_or(ty);
    if let Type::Path(path) = ty
        && let Some(segment) = path.path.segments.last()
        && ["Json", "Avro", "Protobuf"]
            .iter()
            .any(|format| segment.ident == format)
        && let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments
        && let Some(syn::GenericArgument::Type(inner)) = arguments.args.first()
    {
        return (type_text(inner), Some(segment.ident.to_string()));
    }
    (type_text(ty), None)
}
