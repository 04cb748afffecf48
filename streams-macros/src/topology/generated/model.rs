//! What a drawn topology computes, in ordinary Rust: records are followed one by one through the nodes, a repartition topic is
//! a queue, a table a map.

use std::collections::{BTreeMap, VecDeque};

use super::super::kinds::Shape;
use super::draw::Random;
use super::drawn::{Does, Kind, Node, Op, Origin, Topology, Ty};
use super::rows::{
    Updated, foreign_key, is_filter, join_on, join_rows, join_tables, joined, passes_rows,
    regrouped, type_of,
};
use super::windowed::{Rows, Windows};

/// A key or a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Val {
    Text(String),
    Number(u64),
    Count(i64),
}

impl Val {
    pub(crate) fn of(ty: Ty, number: u64) -> Val {
        match ty {
            Ty::Text => Val::Text(format!("t{number}")),
            Ty::Number => Val::Number(number),
            Ty::Count => Val::Count(number as i64),
        }
    }

    pub(crate) fn number(&self) -> u64 {
        match self {
            Val::Text(text) => text.len() as u64,
            Val::Number(number) => *number,
            Val::Count(count) => count.unsigned_abs(),
        }
    }

    /// As a literal of Rust.
    pub(crate) fn rust(&self) -> String {
        match self {
            Val::Text(text) => format!("{text:?}"),
            Val::Number(number) => format!("{number}u64"),
            Val::Count(count) => format!("{count}i64"),
        }
    }

    /// As `{:?}` shows it.
    pub(crate) fn debug(&self) -> String {
        match self {
            Val::Text(text) => format!("{text:?}"),
            Val::Number(number) => number.to_string(),
            Val::Count(count) => count.to_string(),
        }
    }
}

/// A record of a source: `None` is a tombstone.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) node: usize,
    pub(crate) key: Val,
    pub(crate) value: Option<Val>,
    pub(crate) timestamp: i64,
}

/// A record of a sink.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) node: usize,
    pub(crate) key: Val,
    pub(crate) value: Option<Val>,
    pub(crate) timestamp: i64,
}

/// Random records for the sources: few keys, so that they meet; timestamps that only grow.
pub(crate) fn inputs(topology: &Topology, seed: u64) -> Vec<Input> {
    let mut random = Random::new(seed ^ 0x1275);
    let sources: Vec<usize> = (0..topology.nodes.len())
        .filter(|id| matches!(topology.nodes[*id].origin, Origin::Source(_)))
        .collect();
    let mut inputs = Vec::new();
    for number in 0..24 {
        let Some(node) = random.pick(&sources).copied() else {
            continue;
        };
        let source = &topology.nodes[node];
        // The same small texts and numbers that the closures make.
        let key = Val::of(source.key, random.below(3) as u64);
        let value = match source.value {
            Ty::Text => Val::Text("x".repeat(random.below(8))),
            _ => Val::Number(random.below(12) as u64),
        };
        let is_table = source.shape != Shape::Stream;
        inputs.push(Input {
            node,
            key,
            value: (!is_table || !random.chance(20)).then_some(value),
            timestamp: 1_000 + number * 10,
        });
    }
    inputs
}

/// Everything that the sinks get.
pub(crate) fn outputs(topology: &Topology, inputs: &[Input]) -> Vec<Output> {
    let mut run = Run {
        topology,
        tables: vec![BTreeMap::new(); topology.nodes.len()],
        sides: BTreeMap::new(),
        windows: BTreeMap::new(),
        queue: VecDeque::new(),
        outputs: Vec::new(),
        timestamp: 0,
    };
    for input in inputs {
        run.timestamp = input.timestamp;
        run.deliver(input.node, input.key.clone(), input.value.clone());
        while let Some(waiting) = run.queue.pop_front() {
            run.enter(waiting);
        }
    }
    run.outputs
}

/// What flows: a stream's value, or a row's new and old one. `None` is no row, or the null that `to_stream` makes of one.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) new: Option<Val>,
    pub(crate) old: Option<Val>,
}

impl Value {
    pub(crate) fn of(new: Option<Val>) -> Value {
        Value { new, old: None }
    }
}

/// A record in a repartition topic, before the operator at `position`.
struct Waiting {
    node: usize,
    position: usize,
    key: Val,
    value: Value,
}

struct Run<'a> {
    topology: &'a Topology,
    /// The rows of each table, and the aggregates.
    tables: Vec<BTreeMap<Val, Val>>,
    /// What came to a join of streams: by its node and position, and whether from the other stream; keys and values.
    sides: BTreeMap<(usize, usize, bool), Vec<(Val, Val)>>,
    /// The rows of each aggregation by windows.
    windows: BTreeMap<usize, Rows>,
    queue: VecDeque<Waiting>,
    outputs: Vec<Output>,
    timestamp: i64,
}

impl Run<'_> {
    /// A node's finished record: its rows, its sinks, its readers in the order of their fields.
    fn deliver(&mut self, id: usize, key: Val, value: Option<Val>) {
        let node = &self.topology.nodes[id];
        let mut old = None;
        if node.shape != Shape::Stream {
            old = match &value {
                Some(value) => self.tables[id].insert(key.clone(), value.clone()),
                None => self.tables[id].remove(&key),
            };
        }
        for _ in &node.sinks {
            self.outputs.push(Output {
                node: id,
                key: key.clone(),
                value: value.clone(),
                timestamp: self.timestamp,
            });
        }
        // An aggregation says its initial value as the old one of a key's first update, as in Kafka Streams.
        if old.is_none() {
            old = match node.ops().last().map(|op| &op.does) {
                Some(Does::Count) => Some(Val::Count(0)),
                Some(
                    Does::Aggregate {
                        value: Ty::Text, ..
                    }
                    | Does::CogroupEnd { value: Ty::Text },
                ) => Some(Val::Text(String::new())),
                Some(Does::Aggregate { .. } | Does::CogroupEnd { .. }) => Some(Val::Number(0)),
                _ => None,
            };
        }
        let value = Value { new: value, old };
        let mut split_done = false;
        for reader in self.topology.readers(id) {
            let Origin::From(base, ops) = &self.topology.nodes[reader].origin else {
                continue;
            };
            let branches = ops.first().is_some_and(is_branch);
            if *base == id && branches {
                if !split_done {
                    split_done = true;
                    self.split(id, &key, value.new.as_ref());
                }
                continue;
            }
            if *base == id {
                self.follow(reader, 0, key.clone(), value.clone());
            }
            for (position, op) in ops.iter().enumerate() {
                if op.other != Some(id) {
                    continue;
                }
                if op.does == Does::Merge {
                    self.follow(reader, position + 1, key.clone(), value.clone());
                } else if let Does::Cogroup { .. } = &op.does {
                    self.cogroup(reader, position, key.clone(), value.new.as_ref());
                } else if let Does::JoinOn { .. } = &op.does {
                    self.answer(reader, op, *base, &key, value.new.as_ref());
                } else if let Does::JoinStreams { .. } = &op.does {
                    self.meet(reader, position, key.clone(), value.new.clone(), true);
                } else if let Does::JoinTables { .. } = &op.does {
                    let left = self.row_before(reader, position, &key);
                    let left = Value {
                        new: left.clone(),
                        old: left,
                    };
                    if let Some(joined) = join_tables(op, &left, &value, Updated::Right) {
                        self.follow(reader, position + 1, key.clone(), joined);
                    }
                }
            }
        }
    }

    /// The first branch that matches takes the record.
    fn split(&mut self, id: usize, key: &Val, value: Option<&Val>) {
        let Some(value) = value else { return };
        for reader in self.topology.readers(id) {
            let node = &self.topology.nodes[reader];
            let Origin::From(base, ops) = &node.origin else {
                continue;
            };
            let takes = match ops.first().map(|op| &op.does) {
                Some(Does::Branch { rest }) => value.number() % 3 == *rest,
                Some(Does::Otherwise) => true,
                _ => false,
            };
            if *base == id && takes {
                self.follow(reader, 1, key.clone(), Value::of(Some(value.clone())));
                return;
            }
        }
    }

    /// Runs a chain from the operator at `position` on.
    fn follow(&mut self, id: usize, position: usize, key: Val, value: Value) {
        let node = &self.topology.nodes[id];
        let ops = node.ops();
        if let Some(op) = ops.get(position)
            && let Does::JoinOn { .. } = op.does
        {
            self.subscribe(id, op, key, &value);
            return;
        }
        let Some(op) = ops.get(position) else {
            if node.shape != Shape::Nothing {
                self.deliver(id, key, value.new);
            }
            return;
        };
        let waiting = Waiting {
            node: id,
            position,
            key,
            value,
        };
        if op.repartitions {
            self.queue.push_back(waiting);
        } else {
            self.resume(waiting);
        }
    }

    /// A record comes out of an internal topic.
    fn enter(&mut self, waiting: Waiting) {
        let ops = self.topology.nodes[waiting.node].ops();
        let before = waiting.position.checked_sub(1).map(|last| &ops[last].does);
        if let Some(Does::JoinOn { .. }) = before {
            self.follow(waiting.node, waiting.position, waiting.key, waiting.value);
        } else {
            self.resume(waiting);
        }
    }

    /// A left row of a foreign-key join changes: what comes back waits in the response topic.
    fn subscribe(&mut self, id: usize, op: &Op, key: Val, row: &Value) {
        let Does::JoinOn { left, .. } = op.does else {
            return;
        };
        let old = row.old.as_ref().and_then(|row| foreign_key(op, row));
        let new = row.new.as_ref().and_then(|row| foreign_key(op, row));
        let rows = op.other.map(|other| &self.tables[other]);
        let right = rows.and_then(|rows| rows.get(new.as_ref()?));
        let joined = row.new.as_ref().and_then(|row| join_on(op, row, right));
        let answered = if left {
            row.new.is_some() || row.old.is_some()
        } else {
            right.is_some() || old.is_some() && old != new
        };
        if answered {
            self.respond(id, key, joined);
        }
    }

    /// A right row of a foreign-key join changes: every left row that names it is answered.
    fn answer(&mut self, id: usize, op: &Op, base: usize, key: &Val, right: Option<&Val>) {
        let left = self.tables[base].clone();
        for (left, row) in left {
            if foreign_key(op, &row).as_ref() == Some(key) {
                self.respond(id, left, join_on(op, &row, right));
            }
        }
    }

    fn respond(&mut self, id: usize, key: Val, joined: Option<Val>) {
        self.queue.push_back(Waiting {
            node: id,
            position: 1,
            key,
            value: Value::of(joined),
        });
    }

    fn resume(&mut self, waiting: Waiting) {
        let Waiting {
            node: id,
            position,
            key,
            value,
        } = waiting;
        let topology = self.topology;
        let node: &Node = &topology.nodes[id];
        let op = &node.ops()[position];
        if let Does::Cogroup { .. } = &op.does {
            self.cogroup(id, position, key, value.new.as_ref());
            return;
        }
        if let Does::JoinStreams { .. } = &op.does {
            self.meet(id, position, key, value.new, false);
            return;
        }
        if let Does::ByWindows(windows, aggregation) = &op.does {
            self.by_windows((id, position), *windows, aggregation, key, value.new);
            return;
        }
        if let (Does::JoinTables { .. }, Some(other)) = (&op.does, op.other) {
            let right = self.look_up(other, &key);
            let right = Value {
                new: right.clone(),
                old: right,
            };
            if let Some(joined) = join_tables(op, &value, &right, Updated::Left) {
                self.follow(id, position + 1, key, joined);
            }
            return;
        }
        if let Does::Regroup {
            key: kt,
            value: vt,
            add,
        } = &op.does
        {
            let row = |row: &Val| {
                let v = row.number().wrapping_add(*add);
                (Val::of(*kt, v % 3), Val::of(*vt, v))
            };
            let (new, old) = (value.new.as_ref().map(row), value.old.as_ref().map(row));
            for (key, value) in regrouped(new, old) {
                self.follow(id, position + 1, key, value);
            }
            return;
        }
        if op.does.aggregates_rows() {
            let new = self.aggregate_rows(id, op, &key, value);
            self.follow(id, position + 1, key, Value::of(new));
            return;
        }
        if op.row.1.starts_with("Table") && op.does != Does::ToStream {
            let new = self.row(op, &key, value.new);
            let kept = position + 1 == node.ops().len() && self.has_store(id);
            let old = match kept {
                true => self.tables[id].get(&key).cloned(),
                false => self.row(op, &key, value.old),
            };
            let absent = new.is_none() && old.is_none();
            if !(absent && self.leaves_out_absent_rows(id, position)) {
                self.follow(id, position + 1, key, Value { new, old });
            }
            return;
        }
        for (key, value) in self.apply(id, op, key, value.new) {
            self.follow(id, position + 1, key, Value::of(value));
        }
    }

    /// An input's record goes into the aggregate of a cogroup.
    fn cogroup(&mut self, id: usize, position: usize, key: Val, value: Option<&Val>) {
        let ops = self.topology.nodes[id].ops();
        let end = ops
            .iter()
            .position(|op| matches!(op.does, Does::CogroupEnd { .. }));
        let (Does::Cogroup { value: ty, add }, Some(end), Some(value)) =
            (&ops[position].does, end, value)
        else {
            return;
        };
        let before = self.tables[id].get(&key).map_or(0, Val::number);
        let now = before.wrapping_add(value.number()).wrapping_add(*add);
        self.follow(id, end + 1, key, Value::of(Some(Val::of(*ty, now))));
    }

    /// A record goes into its windows; what follows gets their rows without them.
    fn by_windows(
        &mut self,
        (id, position): (usize, usize),
        windows: Windows,
        aggregation: &Does,
        key: Val,
        value: Option<Val>,
    ) {
        let Some(value) = value else { return };
        let add = |before: Option<&Val>| match (aggregation, before) {
            (Does::Count, _) => Val::Count(before.map_or(0, Val::number) as i64 + 1),
            (Does::Aggregate { value: ty, add }, _) => {
                let before = before.map_or(0, Val::number);
                Val::of(*ty, before.wrapping_add(value.number()).wrapping_add(*add))
            }
            (_, Some(before)) => {
                let sum = before.number().wrapping_add(value.number());
                Val::of(type_of(before), sum)
            }
            (_, None) => value.clone(),
        };
        // A session that goes on is merged with the initial value first.
        let carry = |session: &Val| match aggregation {
            Does::Aggregate { value, .. } => Val::of(*value, session.number()),
            _ => session.clone(),
        };
        let rows = self.windows.entry(id).or_default();
        let updates = rows.record(windows, &key, self.timestamp, carry, add);
        let forget = self.topology.nodes[id].ops().get(position + 2);
        let Some(Does::Forget { value: ty }) = forget.map(|op| &op.does) else {
            return;
        };
        for (start, end, row) in updates {
            let number = Windows::number(start, end, row.number());
            let row = Value::of(Some(Val::of(*ty, number)));
            self.follow(id, position + 3, key.clone(), row);
        }
    }

    /// A table's row: its own, or as it follows now from those of the tables that it is made of.
    fn look_up(&self, id: usize, key: &Val) -> Option<Val> {
        if self.makes_rows(id) && !self.has_store(id) {
            self.row_before(id, self.topology.nodes[id].ops().len(), key)
        } else {
            self.tables[id].get(key).cloned()
        }
    }

    /// A record meets those of the other stream that came before it.
    fn meet(&mut self, id: usize, position: usize, key: Val, value: Option<Val>, is_other: bool) {
        let Some(value) = value else { return };
        let Does::JoinStreams { value: ty } = self.topology.nodes[id].ops()[position].does else {
            return;
        };
        let met = self.sides.get(&(id, position, !is_other));
        let partners: Vec<Val> = met
            .into_iter()
            .flatten()
            .filter(|(partner, _)| *partner == key)
            .map(|(_, partner)| partner.clone())
            .collect();
        for partner in partners {
            let joined = Val::of(ty, value.number().wrapping_add(partner.number()));
            self.follow(id, position + 1, key.clone(), Value::of(Some(joined)));
        }
        let own = self.sides.entry((id, position, is_other)).or_default();
        own.push((key, value));
    }

    /// The row before the operator at `position` of a chain of tables.
    fn row_before(&self, id: usize, position: usize, key: &Val) -> Option<Val> {
        let Origin::From(base, ops) = &self.topology.nodes[id].origin else {
            return None;
        };
        let mut row = self.look_up(*base, key);
        for op in &ops[..position] {
            row = match (&op.does, op.other) {
                (Does::JoinTables { .. }, Some(other)) => {
                    join_rows(op, row.as_ref(), self.look_up(other, key).as_ref())
                }
                _ => self.row(op, key, row),
            };
        }
        row
    }

    /// A group without the old row and with the new one.
    fn aggregate_rows(&self, id: usize, op: &Op, key: &Val, rows: Value) -> Option<Val> {
        let (ty, one) = match &op.does {
            Does::AggregateRows { value, add } => (Some(*value), Some(*add)),
            Does::CountRows => (Some(Ty::Count), None),
            _ => (None, None),
        };
        let amount = |row: &Val| match (&op.does, one) {
            (Does::CountRows, _) => 1,
            (_, add) => row.number().wrapping_add(add.unwrap_or_default()),
        };
        let mut now = self.tables[id].get(key).cloned();
        if let (Some(before), Some(old)) = (&now, &rows.old) {
            now = Some(Val::of(
                ty.unwrap_or(type_of(before)),
                before.number().wrapping_sub(amount(old)),
            ));
        }
        if let Some(new) = rows.new {
            now = match (now, ty) {
                (None, None) => Some(new),
                (before, ty) => {
                    let before = before.unwrap_or_else(|| Val::of(Ty::Number, 0));
                    let sum = before.number().wrapping_add(amount(&new));
                    Some(Val::of(ty.unwrap_or(type_of(&before)), sum))
                }
            };
        }
        now
    }

    /// A row behind an operator of tables.
    fn row(&self, op: &Op, key: &Val, row: Option<Val>) -> Option<Val> {
        let row = row?;
        let (k, v) = (key.number(), row.number());
        let limit = self.topology.limit.unwrap_or_default();
        match &op.does {
            Does::Filter { keep, rest } => ((v % 3 != *rest) == *keep).then_some(row),
            Does::FilterLimit { keep } => ((v > limit) == *keep).then_some(row),
            Does::MapValues {
                value,
                add,
                with_key,
            } => {
                let base = if *with_key { v.wrapping_add(k) } else { v };
                Some(Val::of(*value, base.wrapping_add(*add)))
            }
            _ => Some(row),
        }
    }

    /// A filter leaves out rows that it let pass neither before nor now, if its input can say old values, or if it has a store
    /// and a reader asks for old values: Kafka Streams' rule.
    fn leaves_out_absent_rows(&self, id: usize, position: usize) -> bool {
        let ops = self.topology.nodes[id].ops();
        let has_store = position + 1 == ops.len() && self.has_store(id);
        is_filter(&ops[position])
            && (self.can_say(id, position) || (has_store && self.is_asked(id)))
    }

    /// Whether a reader of a table asks for old values: a filter does, or a `map_values` without a store that is asked itself.
    fn is_asked(&self, id: usize) -> bool {
        self.topology.readers(id).into_iter().any(|reader| {
            let node = &self.topology.nodes[reader];
            let Origin::From(base, ops) = &node.origin else {
                return false;
            };
            let as_other = ops.iter().enumerate().any(|(position, op)| {
                let Does::JoinTables { kind, .. } = op.does else {
                    return op.other == Some(id) && matches!(op.does, Does::JoinOn { .. });
                };
                op.other == Some(id) && (kind == Kind::Outer || self.asks(reader, position + 1))
            });
            as_other || *base == id && self.asks(reader, 0)
        })
    }

    fn asks(&self, id: usize, position: usize) -> bool {
        let ops = self.topology.nodes[id].ops();
        match ops.get(position) {
            None => self.is_asked(id),
            Some(op) if is_filter(op) => true,
            Some(op) if matches!(op.does, Does::Regroup { .. } | Does::JoinOn { .. }) => true,
            Some(Op {
                does: Does::JoinTables { kind, .. },
                ..
            }) => *kind != Kind::Inner || self.asks(id, position + 1),
            Some(op) => {
                let has_store = position + 1 == ops.len() && self.has_store(id);
                matches!(op.does, Does::MapValues { .. })
                    && op.row.1.starts_with("Table")
                    && !has_store
                    && self.asks(id, position + 1)
            }
        }
    }

    /// Whether the table before the operator at `position` says old values.
    fn can_say(&self, id: usize, position: usize) -> bool {
        let node = &self.topology.nodes[id];
        let Origin::From(base, ops) = &node.origin else {
            return self.has_store(id);
        };
        let Some(last) = position.checked_sub(1) else {
            return self.can_say(*base, self.topology.nodes[*base].ops().len());
        };
        if matches!(ops[last].does, Does::JoinTables { .. }) {
            return true;
        }
        if matches!(ops[last].does, Does::JoinOn { .. }) {
            return position == ops.len() && self.has_store(id);
        }
        if ops[last].does.aggregates() || (position == ops.len() && self.has_store(id)) {
            return true;
        }
        let of_table = ops[last].row.1.starts_with("Table") && ops[last].does != Does::ToStream;
        of_table && self.can_say(id, last)
    }

    fn has_store(&self, id: usize) -> bool {
        let node = &self.topology.nodes[id];
        node.store.is_some()
            || node.ops().iter().any(|op| op.does.aggregates())
            || self.is_forced(id)
            || !self.makes_rows(id) && self.is_looked_up(id)
    }

    /// Whether a table without a store is looked up in those that it is made of.
    fn makes_rows(&self, id: usize) -> bool {
        let node = &self.topology.nodes[id];
        let of_tables = |op: &Op| op.row.1.starts_with("Table") && op.does != Does::ToStream;
        node.shape == Shape::Table
            && node.store.is_none()
            && node.ops().last().is_some_and(of_tables)
    }

    /// Whether a join looks up a table's rows: it names the table, starts from it, or from one that is made of it.
    fn is_looked_up(&self, id: usize) -> bool {
        let joins_tables =
            |op: &Op| matches!(op.does, Does::JoinTables { .. } | Does::JoinOn { .. });
        let names = |op: &Op| {
            op.other == Some(id) && (matches!(op.does, Does::Join { .. }) || joins_tables(op))
        };
        self.topology.nodes[id].shape == Shape::Table
            && self.topology.readers(id).into_iter().any(|reader| {
                let node = &self.topology.nodes[reader];
                let ops = node.ops();
                ops.iter().any(names)
                    || ops.iter().any(joins_tables)
                    || self.makes_rows(reader) && self.is_looked_up(reader)
            })
    }

    /// Whether a source or `to_table` has a store because its rows are grouped anew, at once or behind what has none.
    fn is_forced(&self, id: usize) -> bool {
        let node = &self.topology.nodes[id];
        let keeps = match node.ops().last() {
            None => true,
            Some(op) => op.does == Does::ToTable,
        };
        node.shape == Shape::Table && keeps && self.is_regrouped(id)
    }

    fn is_regrouped(&self, id: usize) -> bool {
        self.topology.readers(id).into_iter().any(|reader| {
            let node = &self.topology.nodes[reader];
            match &node.origin {
                Origin::From(base, ops) if *base == id => {
                    let free = ops.iter().take_while(|op| passes_rows(op)).count();
                    match ops.get(free) {
                        Some(op) => matches!(op.does, Does::Regroup { .. }),
                        None => !self.has_store(reader) && self.is_regrouped(reader),
                    }
                }
                _ => false,
            }
        })
    }

    /// What an operator of streams makes of a record. `None` is the null of `to_stream`.
    fn apply(
        &mut self,
        id: usize,
        op: &Op,
        key: Val,
        value: Option<Val>,
    ) -> Vec<(Val, Option<Val>)> {
        let limit = self.topology.limit.unwrap_or_default();
        let k = key.number();
        let v = value.as_ref().map_or(0, Val::number);
        match &op.does {
            Does::Filter { .. } | Does::FilterLimit { .. } => {
                let keeps = match &op.does {
                    Does::Filter { keep, rest } => (v % 3 != *rest) == *keep,
                    Does::FilterLimit { keep } => (v > limit) == *keep,
                    _ => true,
                };
                if keeps {
                    vec![(key, value)]
                } else {
                    Vec::new()
                }
            }
            Does::Map {
                key: kt,
                value: vt,
                add,
            } => {
                vec![(
                    Val::of(*kt, v.wrapping_add(*add) % 3),
                    Some(Val::of(*vt, v.wrapping_add(k).wrapping_add(*add))),
                )]
            }
            Does::MapValues {
                value: ty,
                add,
                with_key,
            } => {
                let base = if *with_key { v.wrapping_add(k) } else { v };
                let new = value.map(|_| Val::of(*ty, base.wrapping_add(*add)));
                vec![(key, new)]
            }
            Does::FlatMap {
                key: kt,
                value: vt,
                add,
            } => {
                let one = (
                    Val::of(*kt, v.wrapping_add(*add) % 3),
                    Some(Val::of(*vt, v.wrapping_add(k).wrapping_add(*add))),
                );
                (0..v % 3).map(|_| one.clone()).collect()
            }
            Does::FlatMapValues {
                value: ty,
                add,
                with_key,
            } => {
                let base = if *with_key { v.wrapping_add(k) } else { v };
                vec![(key, Some(Val::of(*ty, base.wrapping_add(*add)))); 2]
            }
            Does::SelectKey { key: kt, add } => {
                vec![(Val::of(*kt, v.wrapping_add(*add) % 3), value)]
            }
            Does::Nothing
            | Does::WindowedBy(_)
            | Does::Merge
            | Does::Branch { .. }
            | Does::Otherwise
            | Does::ToTable
            | Does::ToStream => {
                vec![(key, value)]
            }
            Does::Present { value: ty } => {
                vec![(
                    key,
                    Some(Val::of(*ty, value.map_or(9, |value| value.number()))),
                )]
            }
            Does::Count => {
                let now = self.tables[id].get(&key).map_or(0, Val::number) + 1;
                vec![(key, Some(Val::Count(now as i64)))]
            }
            Does::Reduce => {
                let now = match (self.tables[id].get(&key), &value) {
                    (Some(before), _) => Val::of(type_of(before), before.number().wrapping_add(v)),
                    (None, Some(first)) => first.clone(),
                    (None, None) => return Vec::new(),
                };
                vec![(key, Some(now))]
            }
            Does::Aggregate { value: ty, add } => {
                let before = self.tables[id].get(&key).map_or(0, Val::number);
                vec![(
                    key,
                    Some(Val::of(*ty, before.wrapping_add(v).wrapping_add(*add))),
                )]
            }
            Does::JoinOn { .. }
            | Does::Regroup { .. }
            | Does::CountRows
            | Does::ReduceRows
            | Does::AggregateRows { .. } => Vec::new(),
            Does::Join { left, .. } => {
                let row = op.other.and_then(|other| self.look_up(other, &key));
                joined(op, key.clone(), v, row.as_ref().map(Val::number), *left)
            }
            // Both sides meet in `resume` and `deliver`.
            Does::JoinStreams { .. }
            | Does::JoinTables { .. }
            | Does::Cogroup { .. }
            | Does::CogroupEnd { .. }
            | Does::ByWindows(..)
            | Does::Forget { .. } => Vec::new(),
            Does::JoinGlobal { left, add, .. } => {
                let row = op.other.and_then(|other| {
                    let key = Val::of(self.topology.nodes[other].key, v.wrapping_add(*add) % 3);
                    self.tables[other].get(&key)
                });
                joined(op, key.clone(), v, row.map(Val::number), *left)
            }
        }
    }
}

fn is_branch(op: &Op) -> bool {
    matches!(op.does, Does::Branch { .. } | Does::Otherwise)
}
