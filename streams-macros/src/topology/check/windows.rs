//! Rules of time: sizes, advances and grace of windows, how long stores keep them, and when results can be sent. Times that are consts
//! are rustc's to compare (`emit/windows.rs`).

use super::{at, chains};
use crate::ctxt::Ctxt;
use crate::topology::kinds::{Operator, Shape};
use crate::topology::model::{Chain, Op, Topology};
use crate::topology::windows::{self, Emits, Time, Windows, WindowsKind};

fn aggregation(chain: &Chain) -> Option<&Op> {
    let is_windowed = |op: &&Op| op.known().is_some_and(Operator::aggregates_windows);
    chain.ops.iter().find(is_windowed)
}

// A window that holds no millisecond holds no record. (A time difference of 0, and a gap of 0, do: of records of one timestamp.)
pub(super) fn windows_have_a_size(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        let Some(of) = windows::of_chain(chain) else {
            continue;
        };
        let least = match of.kind {
            WindowsKind::Tumbling | WindowsKind::Hopping => 1,
            _ => 0,
        };
        if let Some(Time::Literal(ms, expr)) = &of.size
            && *ms < least
        {
            let what = match of.kind {
                WindowsKind::Sliding => "the time difference of sliding windows",
                WindowsKind::Session => "the gap of sessions",
                _ => "the size of windows",
            };
            let bound = if least == 1 {
                "has to be longer than 0"
            } else {
                "cannot be negative"
            };
            cx.error("KS0412", expr, format!("{what} {bound}"));
        }
        if let Some(Time::Literal(ms, expr)) = &of.start
            && *ms < 0
        {
            cx.error(
                "KS0412",
                expr,
                "no window starts before time 0: no record is older",
            );
        }
    }
}

// With an advance of 0 all windows would begin at once; with one that is larger than the size, records would fall between them.
pub(super) fn windows_advance_by_less_than_their_size(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        let Some(of) = windows::of_chain(chain) else {
            continue;
        };
        let Some(Time::Literal(advance, expr)) = &of.advance else {
            continue;
        };
        let size = of.size.as_ref().and_then(Time::ms);
        if *advance <= 0 || size.is_some_and(|size| size > 0 && *advance > size) {
            cx.error(
                "KS0413",
                expr,
                "hopping windows advance by more than 0 and by at most their size: with more, records between two windows would \
                 belong to none",
            );
        }
    }
}

// Grace is how long a window stays open after its end.
pub(super) fn grace_is_not_negative(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        if let Some(Time::Literal(ms, expr)) =
            windows::of_chain(chain).and_then(|of| of.grace.as_ref())
            && *ms < 0
        {
            cx.error(
                "KS0414",
                expr,
                "grace cannot be negative: a window closes when it ends, at the earliest",
            );
        }
    }
}

// What a late record may still update has to be there. A retention that belongs to no windows says nothing.
pub(super) fn windows_are_kept_long_enough(cx: &Ctxt, topology: &Topology) {
    for node in &topology.nodes {
        let retention = node
            .store
            .as_ref()
            .and_then(|store| store.retention.as_ref());
        let Some(retention) = retention.filter(|_| node.shape != Shape::Store) else {
            continue;
        };
        let Some(of) = windows::of_node(node) else {
            let clear = node.chain().is_none_or(super::is_clear);
            if clear && !node.is_poisoned() {
                cx.error(
                    "KS0405",
                    retention,
                    format!(
                        "`retention` says how long a window store keeps its windows, and `{}` aggregates by none; remove it",
                        node.name
                    ),
                );
            }
            continue;
        };
        if let (Some(kept), Some(needed)) = (retention.ms(), of.needed_ms())
            && kept < needed
        {
            let sum = match of.kind {
                WindowsKind::Unlimited => "windows without an end are kept for ever",
                WindowsKind::Sliding => {
                    "sliding windows are needed for twice their time difference and the grace"
                }
                WindowsKind::Session => "sessions are needed for their gap and the grace",
                _ => "windows are needed for their size and the grace",
            };
            let message = format!(
                "the store of `{}` forgets windows that late records may still reach: {sum}, {needed} ms here, and it keeps them for {kept} ms",
                node.name
            );
            cx.error_with(
                "KS0415",
                retention,
                message,
                [(at(&of.name), "these windows".to_owned())],
            );
        }
    }
}

// A window without an end never closes: nothing would ever be sent.
pub(super) fn windows_that_close_are_emitted(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        let Some(Windows {
            kind: WindowsKind::Unlimited,
            name,
            ..
        }) = windows::of_chain(chain)
        else {
            continue;
        };
        for op in chain
            .ops
            .iter()
            .filter(|op| op.emits == Some(Emits::OnWindowClose))
        {
            cx.error_with(
                "KS0416",
                &op.name,
                "unlimited windows never close, so `emit(on_window_close)` would never send anything",
                [(at(name), "these windows".to_owned())],
            );
        }
    }
}

// When sessions become one, so do their aggregates; other windows never do.
pub(super) fn sessions_are_merged(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        let (Some(of), Some(op)) = (windows::of_chain(chain), aggregation(chain)) else {
            continue;
        };
        if !op.is("aggregate") {
            continue;
        }
        // The inputs of a cogroup bring their aggregators themselves.
        let (others, which, takes) = match op.known().is_some_and(Operator::aggregates_cogroup) {
            true => (1, "second", "an initializer"),
            false => (2, "third", "an initializer and an aggregator"),
        };
        match (of.kind.is_session(), op.args.get(others)) {
            (true, None) if op.args.len() == others => cx.error_with(
                "KS0417",
                &op.name,
                format!(
                    "a record may join two sessions: `aggregate` needs a {which} function here that makes one aggregate of two, \
                     `|key, a, b| …`"
                ),
                [(at(&of.name), "these are sessions".to_owned())],
            ),
            (false, Some(merger)) => cx.error_with(
                "KS0417",
                merger,
                format!("only sessions are merged: `aggregate` takes {takes} here"),
                [(at(&of.name), "these windows stay apart".to_owned())],
            ),
            _ => {}
        }
    }
}
