//! Rules of suppressions: which tables can be held back, and until when.

use super::super::model::Topology;
use super::super::plan::{facts, suppression, versioned};
use super::super::suppression::{Until, WhenFull};
use super::super::windows::WindowsKind;
use super::{at, chains, is_clear};
use crate::ctxt::Ctxt;

// A versioned table sends updates of the past, which no later one makes superfluous. A window closes only where there are windows, and
// its result is sent once: what is sent early is none. And a buffer without bounds is never full.
pub(super) fn suppressions_fit_their_tables(cx: &Ctxt, topology: &Topology) {
    for (node, chain) in chains(topology).filter(|(_, chain)| is_clear(chain)) {
        for (position, op) in chain.ops.iter().enumerate() {
            let Some(wanted) = op
                .suppression
                .as_ref()
                .filter(|_| facts::is_suppression(op))
            else {
                continue;
            };
            if versioned::is_versioned_before(topology, node, position) {
                cx.error(
                    "KS0432",
                    &op.name,
                    "a versioned table cannot be suppressed: its updates of the past are not superseded by later ones; suppress a \
                     table without `versioned`",
                );
            }
            if wanted.waits_for_windows() {
                match suppression::windows_before(topology, node, position) {
                    None => cx.error(
                        "KS0433",
                        &wanted.name,
                        "no window ever closes here: the table is not computed by windows; aggregate with `.windowed_by(…)`, or \
                         write `until_time_limit(\"10s\")`",
                    ),
                    Some(windows) if windows.iter().all(|w| w.kind == WindowsKind::Unlimited) => {
                        let these = windows.iter().map(|w| (at(&w.name), "these windows".to_owned()));
                        cx.error_with(
                            "KS0433",
                            &wanted.name,
                            "no window ever closes here: unlimited windows have no end, so all would be held back for ever; write \
                             `until_time_limit(\"10s\")`",
                            these,
                        );
                    }
                    Some(_) => {}
                }
            }
            match &wanted.when_full {
                Some((WhenFull::EmitEarly, place)) if wanted.waits_for_windows() => cx.error(
                    "KS0433",
                    place,
                    "the result of a window is sent once, when it closes: nothing can be sent early; write \
                     `shut_down_when_full()`, or allow for more",
                ),
                Some((_, place)) if !wanted.is_bounded() => cx.error(
                    "KS0434",
                    place,
                    format!(
                        "a buffer without bounds is never full: give it some, as in `.max_records(10_000).{place}()`, or leave \
                         `{place}` out"
                    ),
                ),
                _ => {}
            }
            if let Until::TimeLimit(limit) = &wanted.until
                && limit.ms().is_some_and(|ms| ms < 0)
            {
                cx.error(
                    "KS0434",
                    limit,
                    "updates cannot be held back for a negative time: write how long, as in `until_time_limit(\"10s\")`",
                );
            }
        }
    }
}
