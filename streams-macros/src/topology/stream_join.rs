//! What a join of two streams says beside its joiner: how far apart records may be, as `within("5m").before("1m").grace("30s")` or
//! the same as options of their own, and where each side is kept. Literals become milliseconds here; consts are compared by rustc.

use proc_macro2::Ident;

use super::kinds::{Operator, Shape};
use super::model::{Node, Op, Topology};
use super::parse::{self, JoinStore, Opt, OptValue};
use super::plan::facts;
use super::windows::{self, Time};
use crate::ctxt::Ctxt;

/// Which records without partner a join keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Inner,
    Left,
    Outer,
}

/// What the options of a join of two streams say.
#[derive(Debug, Default)]
pub(crate) struct StreamJoin {
    within: Option<Given>,
    before: Option<Given>,
    after: Option<Given>,
    grace: Option<Given>,
    stores: Vec<JoinStore>,
}

/// A time with the word that it was given by.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) word: Ident,
    pub(crate) time: Time,
}

impl StreamJoin {
    /// How much earlier the other record may be; as `within` says where nothing else is said.
    pub(crate) fn before(&self) -> Option<&Given> {
        self.before.as_ref().or(self.within.as_ref())
    }

    /// How much later the other record may be.
    pub(crate) fn after(&self) -> Option<&Given> {
        self.after.as_ref().or(self.within.as_ref())
    }

    /// How late records are waited for; not at all where nothing is said.
    pub(crate) fn grace(&self) -> Option<&Given> {
        self.grace.as_ref()
    }

    /// What is said of one of its stores: `left`, `right` or `outer`.
    pub(crate) fn store(&self, role: &str) -> Option<&JoinStore> {
        self.stores
            .iter()
            .find(|store| store.word == format!("{role}_store"))
    }
}

/// Whether an operator joins two streams.
pub(crate) fn joins_streams(row: &Operator) -> bool {
    row.on == Shape::Stream && row.with == Some(Shape::Stream) && row.has_two_sides()
}

/// The join of two streams in a chain, with its position; there is room for one.
pub(crate) fn of_node(node: &Node) -> Option<(usize, &Op)> {
    let ops = &node.chain()?.ops;
    let joins = |op: &Op| op.known().is_some_and(joins_streams);
    ops.iter().enumerate().find(|(_, op)| joins(op))
}

/// Which records without partner an operator keeps, by its name.
pub(crate) fn kind(op: &Op) -> JoinKind {
    let name = op.base_name();
    if name.starts_with("left") {
        JoinKind::Left
    } else if name.starts_with("outer") {
        JoinKind::Outer
    } else {
        JoinKind::Inner
    }
}

/// Whether joins of a stream with itself may have one store: there a record meets itself, kept or not.
pub(crate) fn may_be_over_one_store(topology: &Topology) -> bool {
    facts::optimizes(topology, "single.store.self.join")
}

/// Whether an operator joins a stream with itself over one store, because the topology asks for it: as in Kafka Streams where both
/// sides are the very same stream.
pub(crate) fn is_over_one_store(topology: &Topology, node: &Node, position: usize) -> bool {
    let Some(chain) = node.chain() else {
        return false;
    };
    let Some(op) = chain.ops.get(position) else {
        return false;
    };
    let asked = may_be_over_one_store(topology);
    let same = matches!(&op.other, Some((_, Some(other))) if Some(*other) == chain.input);
    asked
        && same
        && position == 0
        && op.known().is_some_and(joins_streams)
        && !facts::repartitions_before(topology, node.id, position)
}

/// Reads the options of a join of two streams. `None` after a mistake.
pub(crate) fn stream_join(cx: &Ctxt, options: &[Opt]) -> Option<StreamJoin> {
    let errors = cx.count();
    let mut out = StreamJoin::default();
    for opt in options {
        let name = opt.name.to_string();
        let slot = match name.as_str() {
            "within" => &mut out.within,
            "before" => &mut out.before,
            "after" => &mut out.after,
            "grace" => &mut out.grace,
            "left_store" | "right_store" | "outer_store" => {
                out.stores.extend(parse::join_store(cx, opt));
                continue;
            }
            _ => continue,
        };
        let value = match &opt.value {
            OptValue::Is(expr) => Some(expr),
            OptValue::List(list) => list.first().filter(|_| list.len() == 1),
            OptValue::Enum(_) | OptValue::Flag => None,
        };
        let Some(value) = value else {
            cx.error(
                "KS0113",
                &opt.name,
                format!("`{name}` takes one duration: `{name}(\"5m\")`"),
            );
            continue;
        };
        // That an option is given twice is said by the rule for options.
        if let Some(time) = windows::time(cx, value) {
            slot.get_or_insert(Given {
                word: opt.name.clone(),
                time,
            });
        }
    }
    (cx.count() == errors).then_some(out)
}
