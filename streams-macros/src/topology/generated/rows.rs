//! What becomes of rows in the model: joins of tables, foreign keys, groups. Everything follows from the rows alone.

use super::drawn::{Does, Kind, Op, Ty};
use super::model::{Val, Value};

/// Which side of a join of tables was updated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Updated {
    Left,
    Right,
}

/// The update that a join of tables makes of both sides, of which one was updated; `None` where it has nothing to say.
pub(crate) fn join_tables(op: &Op, left: &Value, right: &Value, updated: Updated) -> Option<Value> {
    let Does::JoinTables { kind, .. } = op.does else {
        return None;
    };
    let (has_left, has_right) = (left.new.is_some(), right.new.is_some());
    let was = left.old.is_some() || right.old.is_some();
    let goes_on = match (kind, updated) {
        (Kind::Inner, Updated::Left) => has_right,
        (Kind::Inner | Kind::Left, Updated::Right) => has_left,
        (Kind::Left, Updated::Left) | (Kind::Outer, _) => has_left || has_right || was,
    };
    goes_on.then(|| Value {
        new: join_rows(op, left.new.as_ref(), right.new.as_ref()),
        old: join_rows(op, left.old.as_ref(), right.old.as_ref()),
    })
}

pub(crate) fn join_rows(op: &Op, left: Option<&Val>, right: Option<&Val>) -> Option<Val> {
    let Does::JoinTables { kind, value } = op.does else {
        return None;
    };
    let there = match kind {
        Kind::Inner => left.is_some() && right.is_some(),
        Kind::Left => left.is_some(),
        Kind::Outer => left.is_some() || right.is_some(),
    };
    let number = |row: Option<&Val>| row.map_or(7, Val::number);
    there.then(|| Val::of(value, number(left).wrapping_add(number(right))))
}

/// The foreign key of a left row.
pub(crate) fn foreign_key(op: &Op, row: &Val) -> Option<Val> {
    let Does::JoinOn { foreign, add, .. } = op.does else {
        return None;
    };
    let v = row.number();
    (!v.is_multiple_of(4)).then(|| Val::of(foreign, v.wrapping_add(add) % 3))
}

/// A joined row, or none.
pub(crate) fn join_on(op: &Op, row: &Val, right: Option<&Val>) -> Option<Val> {
    let Does::JoinOn { left, value, .. } = op.does else {
        return None;
    };
    // A right row without bytes is none in the response, as in Kafka Streams.
    let right = right.filter(|right| **right != Val::Text(String::new()));
    let number = match right {
        Some(right) => right.number(),
        None if left => 7,
        None => return None,
    };
    Some(Val::of(value, row.number().wrapping_add(number)))
}

pub(crate) fn joined(
    op: &Op,
    key: Val,
    v: u64,
    row: Option<u64>,
    left: bool,
) -> Vec<(Val, Option<Val>)> {
    let ty = value_after(op);
    match row {
        Some(row) => vec![(key, Some(Val::of(ty, v.wrapping_add(row))))],
        None if left => vec![(key, Some(Val::of(ty, v.wrapping_add(7))))],
        None => Vec::new(),
    }
}

/// The joiner's type: it wraps the number in text where its source says `format!`.
pub(crate) fn value_after(op: &Op) -> Ty {
    match op.args.last() {
        Some(joiner) if joiner.contains("format!") => Ty::Text,
        _ => Ty::Number,
    }
}

pub(crate) fn type_of(value: &Val) -> Ty {
    match value {
        Val::Text(_) => Ty::Text,
        Val::Number(_) => Ty::Number,
        Val::Count(_) => Ty::Count,
    }
}

pub(crate) fn is_filter(op: &Op) -> bool {
    let filters = matches!(op.does, Does::Filter { .. } | Does::FilterLimit { .. });
    filters && op.row.1.starts_with("Table")
}

/// Filters and `map_values` of tables, which hand on who asks for old values.
pub(crate) fn passes_rows(op: &Op) -> bool {
    is_filter(op) || matches!(op.does, Does::MapValues { .. }) && op.row.1.starts_with("Table")
}

/// The updates of groups that an update of a row makes.
pub(crate) fn regrouped(new: Option<(Val, Val)>, old: Option<(Val, Val)>) -> Vec<(Val, Value)> {
    match (old, new) {
        (Some((from, old)), Some((to, new))) if from == to => {
            let (new, old) = (Some(new), Some(old));
            vec![(from, Value { new, old })]
        }
        (old, new) => {
            let old = old.map(|(key, old)| {
                let (new, old) = (None, Some(old));
                (key, Value { new, old })
            });
            let new = new.map(|(key, new)| (key, Value::of(Some(new))));
            old.into_iter().chain(new).collect()
        }
    }
}
