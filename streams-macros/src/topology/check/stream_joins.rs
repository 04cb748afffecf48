//! Rules of joins of two streams: how far apart in time their records may be.

use super::{at, chains};
use crate::ctxt::Ctxt;
use crate::topology::kinds::Shape;
use crate::topology::model::{Op, Topology};
use crate::topology::stream_join::{self, StreamJoin, joins_streams};

/// The joins of two streams with their times, where those were understood.
fn joins(topology: &Topology) -> impl Iterator<Item = (&Op, &StreamJoin)> {
    chains(topology)
        .flat_map(|(_, chain)| &chain.ops)
        .filter(|op| op.known().is_some_and(joins_streams))
        .filter_map(|op| op.stream_join.as_ref().map(|windows| (op, windows)))
}

// Two streams are endless: without a time difference every record would wait for partners for ever.
pub(super) fn joins_of_streams_say_how_far_apart(cx: &Ctxt, topology: &Topology) {
    for (op, windows) in joins(topology) {
        if windows.before().is_some() && windows.after().is_some() {
            continue;
        }
        let other = op
            .other
            .as_ref()
            .map_or_else(String::new, |(name, _)| name.to_string());
        let mend = match (windows.before(), windows.after()) {
            (Some(_), _) => {
                "it says `before` only: add `after(\"…\")`, or begin with `within(\"5m\")`"
            }
            (_, Some(_)) => {
                "it says `after` only: add `before(\"…\")`, or begin with `within(\"5m\")`"
            }
            _ => "add `within(\"5m\")` for up to five minutes either way",
        };
        cx.error(
            "KS0440",
            &op.name,
            format!(
                "`{}` with the stream `{other}` has to say how far apart in time two records may be that join; {mend}",
                op.name
            ),
        );
    }
}

// What `JoinWindows` refuses at run time: a span that ends before it begins, and waiting for less than no time. And what it takes,
// though nothing ever joins: no time at all, in which the stores keep no record.
pub(super) fn join_windows_are_possible(cx: &Ctxt, topology: &Topology) {
    for (op, windows) in joins(topology) {
        if let Some(grace) = windows.grace()
            && grace.time.ms().is_some_and(|ms| ms < 0)
        {
            cx.error(
                "KS0441",
                &grace.time,
                "`grace` is how long late records are waited for, so it cannot be negative",
            );
        }
        let (Some(before), Some(after)) = (windows.before(), windows.after()) else {
            continue;
        };
        let (Some(earliest), Some(latest)) = (before.time.ms(), after.time.ms()) else {
            continue;
        };
        let Some(size) = earliest.checked_add(latest) else {
            cx.error(
                "KS0441",
                &op.name,
                format!(
                    "the time between `{}` and `{}` is too long",
                    before.word, after.word
                ),
            );
            continue;
        };
        let grace = match windows.grace() {
            Some(grace) => grace.time.ms(),
            None => Some(0),
        };
        if size == 0 && grace == Some(0) && !stream_join::may_be_over_one_store(topology) {
            cx.error(
                "KS0441",
                &after.time,
                "nothing can join: both sides keep their records for `before`, `after` and `grace` together, and that is no time at \
                 all; give a longer time, or a `grace`",
            );
            continue;
        }
        if size >= 0 {
            continue;
        }
        if before.word == after.word {
            cx.error(
                "KS0441",
                &before.time,
                "`within` is how far apart two records may be, so it cannot be negative",
            );
        } else {
            let other = op
                .other
                .as_ref()
                .map_or_else(String::new, |(name, _)| name.to_string());
            cx.error_with(
                "KS0441",
                &after.time,
                format!(
                    "nothing can join: records of `{other}` would have to be from {} ms to {latest} ms after the other \
                     record; `before` and `after` together cannot be negative",
                    -earliest
                ),
                [(at(&before.time), "from here on".to_owned())],
            );
        }
    }
}

// A table has no time span: each record meets what the table holds when it comes.
pub(super) fn joins_with_tables_have_no_time_difference(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        for op in &chain.ops {
            let Some(row) = op.known() else {
                continue;
            };
            let (Some(with @ (Shape::Table | Shape::GlobalTable)), Some((place, Some(id)))) =
                (row.with, &op.other)
            else {
                continue;
            };
            let words = ["within", "before", "after"];
            let Some(opt) = op
                .options
                .iter()
                .find(|opt| words.iter().any(|w| opt.name == w))
            else {
                continue;
            };
            let node = topology.node(*id);
            cx.error_with(
                "KS0442",
                &opt.name,
                format!(
                    "`{}` belongs to joins of two streams, and `{place}` is {with}: a record meets the row that is there when \
                     it comes; leave `{0}` out, or declare `{place}` as `KStream<…>`",
                    opt.name
                ),
                [(at(&node.ty), format!("`{place}` is declared {with} here"))],
            );
        }
    }
}
