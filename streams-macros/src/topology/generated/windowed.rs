//! Aggregations by windows, as they are drawn and as the model computes them. Times only grow, so no record is late and no two sessions
//! merge: out of order, by sliding windows and on close they have models of their own (`tests/windows.rs`).

use std::collections::BTreeMap;

use super::draw::Random;
use super::drawn::Ty;
use super::model::Val;

/// Windows as the model computes them; its records are ten milliseconds apart, or come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Windows {
    Tumbling,
    Hopping,
    Session,
    Unlimited,
}

const SIZE: i64 = 40;
const ADVANCE: i64 = 20;
const GAP: i64 = 15;
/// When windows without an end begin: in the middle of the input.
const BEGIN: i64 = 1_100;

impl Windows {
    pub(crate) fn draw(random: &mut Random) -> Windows {
        let all = [
            Windows::Tumbling,
            Windows::Hopping,
            Windows::Session,
            Windows::Unlimited,
        ];
        all[random.below(all.len())]
    }

    /// The argument of `windowed_by`.
    pub(crate) fn text(self) -> String {
        match self {
            Windows::Tumbling => format!("tumbling(\"{SIZE}ms\").grace(\"1d\")"),
            Windows::Hopping => format!("hopping({SIZE}).advance_by({ADVANCE}).grace(\"1d\")"),
            Windows::Session => format!("session(\"{GAP}ms\").grace(\"1h\")"),
            Windows::Unlimited => format!("unlimited().start_on({BEGIN})"),
        }
    }

    /// The operator behind `to_stream` of such a table, and its closure: a row as a record of the key without its window. A session
    /// that grows is another one, and what is said of the one before is left out.
    pub(crate) fn forget(self, old: Ty, new: Ty) -> (&'static str, String) {
        let number = format!(
            "{}.wrapping_add((w.start() / 10 + w.end() % 7) as u64)",
            old.number("v")
        );
        let number = new.of_number(&number);
        match self {
            Windows::Session => (
                "flat_map",
                format!("|w, v| v.as_ref().map(|v| (w.key.clone(), {number}))"),
            ),
            _ => ("map", format!("|w, v| (w.key.clone(), {number})")),
        }
    }

    /// The number that this makes of a row.
    pub(crate) fn number(start: i64, end: i64, value: u64) -> u64 {
        value.wrapping_add((start / 10 + end % 7) as u64)
    }

    /// The windows of a record that are not sessions, in the order of their starts.
    fn of(self, at: i64) -> Vec<(i64, i64)> {
        match self {
            Windows::Tumbling => vec![(at - at % SIZE, at - at % SIZE + SIZE)],
            Windows::Hopping => {
                let last = at - at % ADVANCE;
                vec![(last - ADVANCE, last - ADVANCE + SIZE), (last, last + SIZE)]
            }
            Windows::Unlimited if at >= BEGIN => vec![(BEGIN, i64::MAX)],
            Windows::Unlimited | Windows::Session => Vec::new(),
        }
    }
}

/// The rows of a table by windows.
#[derive(Debug, Default)]
pub(crate) struct Rows(BTreeMap<(Val, i64, i64), Val>);

impl Rows {
    /// What a record changes: windows with their new values. `add` is the aggregator; `carry` is what a merger of sessions makes of
    /// the initial value and a session's.
    pub(crate) fn record(
        &mut self,
        windows: Windows,
        key: &Val,
        at: i64,
        carry: impl Fn(&Val) -> Val,
        add: impl Fn(Option<&Val>) -> Val,
    ) -> Vec<(i64, i64, Val)> {
        if windows == Windows::Session {
            let last = (key.clone(), i64::MIN, i64::MIN)..=(key.clone(), i64::MAX, i64::MAX);
            let last = self.0.range(last).next_back();
            let last = last.map(|((_, start, end), value)| (*start, *end, carry(value)));
            let session = match last.filter(|(_, end, _)| at - end <= GAP) {
                Some((start, end, value)) => {
                    self.0.remove(&(key.clone(), start, end));
                    (start, at, add(Some(&value)))
                }
                None => (at, at, add(None)),
            };
            let (start, end, value) = session.clone();
            self.0.insert((key.clone(), start, end), value);
            return vec![session];
        }
        let mut updates = Vec::new();
        for (start, end) in windows.of(at) {
            let place = (key.clone(), start, end);
            let now = add(self.0.get(&place));
            self.0.insert(place, now.clone());
            updates.push((start, end, now));
        }
        updates
    }
}
