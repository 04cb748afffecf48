//! Rules of versioned tables: what can keep the past, and what needs a table that does.

use super::super::kinds::Shape;
use super::super::model::{Op, Topology};
use super::super::parse::StoreKind;
use super::super::plan::{facts, versioned};
use super::super::windows::{self, Time};
use super::{at, chains, is_clear};
use crate::ctxt::Ctxt;

// A versioned store is a table's, keeps its rows on disk, and has no record cache before it: a cache would merge updates of
// different times. Kafka Streams has no others either, and throws, or leaves the setting out silently.
pub(super) fn versioned_stores_can_be(cx: &Ctxt, topology: &Topology) {
    for node in &topology.nodes {
        let Some(options) = node.store.as_ref().filter(|_| node.shape != Shape::Store) else {
            continue;
        };
        let Some((history, place)) = &options.versioned else {
            continue;
        };
        let name = &node.name;
        if history.ms().is_some_and(|ms| ms < 0) {
            let message = format!(
                "`{name}` cannot keep its past for a negative time: write how long, as in `versioned = \"1h\"`"
            );
            cx.error("KS0430", history, message);
        }
        if node.shape == Shape::GlobalTable {
            let message = format!(
                "`{name}` is a global table, and those keep only latest values: a stream that shall meet the value of its own \
                 time joins a `KTable` with `#[store(versioned = \"…\")]`"
            );
            cx.error("KS0430", place, message);
            continue;
        }
        if let Some((StoreKind::Memory, kind)) = &options.kind {
            let message = format!(
                "`{name}` keeps its past on disk: there are no versioned stores in memory; remove `kind = memory` or \
                 `versioned`"
            );
            cx.error("KS0430", kind, message);
        }
        if let Some(cache) = options.cache.as_ref().filter(|cache| cache.value) {
            let message = format!(
                "no record cache can lie before `{name}`: it would merge updates of different times; remove `cache = true`"
            );
            cx.error("KS0430", cache, message);
        }
        if node
            .chain()
            .is_some_and(|chain| windows::of_chain(chain).is_some())
        {
            let message = format!(
                "`{name}` is windowed, and its windows are the past already: `retention = \"…\"` says how long they are kept"
            );
            cx.error("KS0430", place, message);
        }
    }
}

// Without the past, a stream's record that waited would meet the table's latest value, as if it had not waited: the grace would
// only delay. Kafka Streams throws `IllegalArgumentException` when the topology is built, or its first task.
pub(super) fn grace_needs_a_versioned_table(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology).filter(|(_, chain)| is_clear(chain)) {
        for op in &chain.ops {
            let (Some(grace), Some((_, Some(table)))) = (table_grace(op), &op.other) else {
                continue;
            };
            let table = topology.node(*table);
            if table.is_poisoned() || table.incomplete {
                continue;
            }
            if let Some(time) = grace
                && time.ms().is_some_and(|ms| ms < 0)
            {
                let message = "the grace of a join is how long a record waits for the table: it cannot be negative";
                cx.error("KS0431", time, message);
            }
            if !versioned::is_versioned(topology, table.id) {
                let name = facts::plain(&table.name);
                let place = op
                    .option("grace")
                    .map_or_else(|| at(&op.name), |opt| at(&opt.name));
                cx.error_with(
                    "KS0431",
                    place,
                    format!(
                        "a join with a grace needs a table that keeps its past, and `{name}` keeps only latest values: put \
                         `#[store(versioned = \"…\")]` on `{name}`, at least as long as records are late, or remove `grace`"
                    ),
                    [(at(&table.name), format!("`{name}` is no versioned table"))],
                );
            }
        }
    }
}

/// The grace of a join of a stream with a table; the inner one is `None` where it could not be read.
fn table_grace(op: &Op) -> Option<Option<&Time>> {
    let row = op.known()?;
    let of_table = row.on == Shape::Stream && row.with == Some(Shape::Table);
    let _ = op.option("grace").filter(|_| of_table)?;
    Some(op.grace.as_ref())
}
