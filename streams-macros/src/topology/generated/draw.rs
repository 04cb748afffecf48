//! Draws legal topologies, node by node and operator by operator, from the rows of the table that are built. A row that this
//! file does not know fails: a new operator is taught to it in [`operator`].

use std::collections::{BTreeMap, BTreeSet};

use super::super::kinds::{Key, Losing, OPERATORS, Operator, Param, Shape};
use super::drawn::{Does, Kind, Node, Op, Origin, Row, Topology, Ty};
use super::legal::{At, Choice, is_legal, repartitions, start};
use super::windowed::Windows;

/// How many topologies a test draws.
pub(crate) const HOW_MANY: usize = 50;

/// The seed: fixed, so that a run can be repeated; another one by `KSTREAMS_SEED`.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("KSTREAMS_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_260_731);
    println!("KSTREAMS_SEED={seed}");
    seed
}

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len()))
    }
}

fn row_of(row: &Operator) -> Row {
    (row.name, format!("{:?} {:?}", row.on, row.with))
}

/// The plain model has no time, and no stores but those of tables: what waits, and processors with state, are tested elsewhere
/// (`tests/semantics`, `tests/processors`).
fn is_drawn(row: &Operator) -> bool {
    let by_windows = row.on == Shape::WindowedCogroup || row.yields == Shape::WindowedCogroup;
    let transformer = row.name == "transform_values";
    !by_windows && !transformer && row.name != "suppress" && base_of(row).is_none()
}

/// The row of a `try_…` operator without `try_`, in whose place it is drawn.
fn base_of(row: &Operator) -> Option<&'static Operator> {
    let base = row.name.strip_prefix("try_")?;
    let same = |other: &&Operator| (other.name, other.on, other.with) == (base, row.on, row.with);
    OPERATORS.iter().find(same)
}

/// The `try_…` operators that together should be used often.
pub(crate) fn fallible_rows() -> BTreeSet<Row> {
    OPERATORS
        .iter()
        .filter(|row| base_of(row).is_some_and(is_drawn))
        .map(row_of)
        .collect()
}

/// What the topologies together should use.
pub(crate) fn rows_to_draw() -> BTreeSet<Row> {
    OPERATORS
        .iter()
        .filter(|row| is_drawn(row))
        .map(row_of)
        .collect()
}

/// Draws that many topologies.
pub(crate) fn topologies(seed: u64, how_many: usize) -> Vec<Topology> {
    let mut draw = Draw {
        random: Random::new(seed),
        used: BTreeMap::new(),
    };
    (0..how_many).map(|number| draw.topology(number)).collect()
}

struct Draw {
    random: Random,
    /// How often each row was drawn: the rare ones are preferred.
    used: BTreeMap<Row, usize>,
}

impl Draw {
    fn topology(&mut self, number: usize) -> Topology {
        let mut topology = Topology {
            application_id: format!("drawn-{number}"),
            partitions: 1 + self.random.below(3),
            limit: self.random.chance(40).then_some(4),
            nodes: Vec::new(),
            extra: Vec::new(),
            generics: "",
        };
        let sources = 2 + self.random.below(4);
        for source in 0..sources {
            let shape = match source {
                0 => Shape::Stream,
                1 => Shape::Table,
                2 if self.random.chance(50) => Shape::Stream,
                _ => *self
                    .random
                    .pick(&[Shape::Stream, Shape::Table, Shape::GlobalTable])
                    .unwrap_or(&Shape::Stream),
            };
            self.source(&mut topology, shape);
        }
        // Streams of one key, or hardly any would meet.
        if let [first, _, third, ..] = topology.nodes.as_mut_slice()
            && third.shape == Shape::Stream
        {
            third.key = first.key;
        }
        let derived = 3 + self.random.below(5);
        for _ in 0..derived {
            if self.random.chance(12) {
                self.split(&mut topology);
            } else {
                self.derived(&mut topology);
            }
        }
        self.give_everything_a_reader(&mut topology);
        topology
    }

    fn key_type(&mut self) -> Ty {
        if self.random.chance(70) {
            Ty::Text
        } else {
            Ty::Number
        }
    }

    fn value_type(&mut self) -> Ty {
        if self.random.chance(50) {
            Ty::Text
        } else {
            Ty::Number
        }
    }

    fn source(&mut self, topology: &mut Topology, shape: Shape) {
        let name = format!("n{}", topology.nodes.len());
        let mut options = vec![format!("topic = \"{name}-in\"")];
        if shape != Shape::GlobalTable {
            options.push(format!("partitions = {}", topology.partitions));
        }
        let key = self.key_type();
        let value = self.value_type();
        let store = (shape == Shape::Table && self.random.chance(40)).then(|| self.store_options());
        topology.nodes.push(Node {
            name,
            shape,
            key,
            value,
            origin: Origin::Source(options),
            base_text: None,
            type_text: None,
            sinks: Vec::new(),
            store,
            loses: true,
            depth: 0,
            rekeyed: false,
        });
    }

    fn store_options(&mut self) -> String {
        ["kind = memory", "kind = lmdb", "cache = false"][self.random.below(3)].to_owned()
    }

    /// A node with a chain of one to four operators.
    fn derived(&mut self, topology: &mut Topology) {
        let bases: Vec<usize> = (0..topology.nodes.len())
            .filter(|id| matches!(topology.nodes[*id].shape, Shape::Stream | Shape::Table))
            .collect();
        let Some(base) = self.random.pick(&bases).copied() else {
            return;
        };
        let mut at = start(&topology.nodes[base]);
        let mut ops = Vec::new();
        let length = 1 + self.random.below(4);
        while ops.len() < length
            || !matches!(at.shape, Shape::Stream | Shape::Table | Shape::Nothing)
        {
            let Some(op) = self.operator_of(topology, base, &at, &ops, length) else {
                break;
            };
            *self.used.entry(row_of(op.row)).or_default() += 1;
            let op = self.fallible(op);
            let (op, next) = operator(&mut self.random, topology, op, &at);
            let forced = matches!(op.does, Does::ToStream) && at.loses;
            at = next;
            ops.push(op);
            if forced {
                let (op, next) = present(&mut self.random, &at);
                at = next;
                ops.push(op);
            }
            if let Some(Does::ByWindows(windows, _)) = ops.last().map(|op| &op.does) {
                at = forget_windows(&mut self.random, &at, *windows, &mut ops);
                break;
            }
            let owns = ops.last().is_some_and(|op| {
                op.does.aggregates() || matches!(op.does, Does::JoinStreams { .. })
            });
            if owns || at.shape == Shape::Nothing {
                break;
            }
        }
        if ops.is_empty() || !matches!(at.shape, Shape::Stream | Shape::Table | Shape::Nothing) {
            return;
        }
        self.push(topology, base, ops, &at);
    }

    fn push(&mut self, topology: &mut Topology, base: usize, ops: Vec<Op>, at: &At) {
        let name = format!("n{}", topology.nodes.len());
        let sinks = match at.shape {
            Shape::Nothing => Vec::new(),
            _ if self.random.chance(70) => vec![self.sink(&name)],
            _ => Vec::new(),
        };
        let store =
            (at.shape == Shape::Table && self.random.chance(40)).then(|| self.store_options());
        topology.nodes.push(Node {
            name,
            shape: at.shape,
            key: at.key,
            value: at.value,
            origin: Origin::From(base, ops),
            base_text: None,
            type_text: None,
            sinks,
            store,
            loses: at.loses,
            depth: at.depth,
            rekeyed: at.rekeyed,
        });
    }

    fn sink(&mut self, name: &str) -> String {
        if self.random.chance(15) {
            format!("topic = |_, _| \"{name}-out\", topics(\"{name}-out\")")
        } else {
            format!("topic = \"{name}-out\"")
        }
    }

    /// The branches of a stream, with or without `otherwise`.
    fn split(&mut self, topology: &mut Topology) {
        let streams: Vec<usize> = (0..topology.nodes.len())
            .filter(|id| {
                topology.nodes[*id].shape == Shape::Stream
                    && !topology.readers(*id).iter().any(|reader| {
                        topology.nodes[*reader]
                            .ops()
                            .first()
                            .is_some_and(|op| op.name == "branch")
                    })
            })
            .collect();
        let Some(base) = self.random.pick(&streams).copied() else {
            return;
        };
        let at = start(&topology.nodes[base]);
        let branches = 1 + self.random.below(2);
        for branch in 0..branches {
            let rest = branch as u64;
            let text = format!("|_, v| {}.wrapping_rem(3) == {rest}", at.value.number("v"));
            let op = stateless("branch", vec![text], Does::Branch { rest });
            *self.used.entry(op.row.clone()).or_default() += 1;
            self.push(topology, base, vec![op], &at);
        }
        if self.random.chance(60) {
            let op = stateless("otherwise", Vec::new(), Does::Otherwise);
            *self.used.entry(op.row.clone()).or_default() += 1;
            self.push(topology, base, vec![op], &at);
        }
    }

    /// Streams that nobody reads get a sink, or a `for_each` where they are sources.
    fn give_everything_a_reader(&mut self, topology: &mut Topology) {
        for id in 0..topology.nodes.len() {
            let node = &topology.nodes[id];
            let is_source = matches!(node.origin, Origin::Source(_));
            let unread = topology.readers(id).is_empty() && node.sinks.is_empty();
            if !unread || !matches!(node.shape, Shape::Stream | Shape::Table) {
                continue;
            }
            if is_source && node.shape == Shape::Stream {
                let mut at = start(node);
                at.shape = Shape::Nothing;
                let op = stateless(
                    "for_each",
                    vec!["|_, v| { let _ = v; }".to_owned()],
                    Does::Nothing,
                );
                self.push(topology, id, vec![op], &at);
            } else if !is_source {
                let sink = self.sink(&topology.nodes[id].name.clone());
                topology.nodes[id].sinks.push(sink);
            }
        }
    }

    /// Chooses an operator that is legal here; rarely drawn ones first.
    fn operator_of(
        &mut self,
        topology: &Topology,
        base: usize,
        at: &At,
        ops: &[Op],
        length: usize,
    ) -> Option<Choice> {
        let mut choices: Vec<Choice> = Vec::new();
        for row in OPERATORS
            .iter()
            .filter(|row| is_drawn(row) && row.on == at.shape)
        {
            match row.with {
                None => choices.push(Choice { row, other: None }),
                Some(shape) => choices.extend(
                    (0..topology.nodes.len())
                        .filter(|other| topology.nodes[*other].shape == shape && *other != base)
                        .map(|other| Choice {
                            row,
                            other: Some(other),
                        }),
                ),
            }
        }
        choices.retain(|choice| is_legal(topology, base, at, ops, choice, length));
        // A cogroup of two streams takes two draws in a row, and a second stream that fits.
        let joins =
            |choice: &Choice| at.shape == Shape::CogroupedStream && choice.row.has_two_sides();
        if choices.iter().any(joins) {
            choices.retain(joins);
        }
        let used = &self.used;
        let rarest = choices.iter().map(|choice| rarity(used, choice)).min()?;
        // Of groups there are few, and what was never drawn may not be possible again.
        let groups = !matches!(at.shape, Shape::Stream | Shape::Table);
        if groups || rarest == 0 || self.random.chance(60) {
            choices.retain(|choice| rarity(used, choice) == rarest);
        }
        self.random.pick(&choices).cloned()
    }
}

/// How often an operator was drawn. What begins a windowed stream or a cogroup is as rare as the rarest that may follow: not every group
/// can become one.
fn rarity(used: &BTreeMap<Row, usize>, choice: &Choice) -> usize {
    let row = choice.row;
    let drawn = |row: &Operator| used.get(&row_of(row)).copied().unwrap_or(0);
    let follows = |next: &&Operator| next.on == row.yields && is_drawn(next);
    if row.on == Shape::GroupedStream && row.yields != Shape::Table {
        let next = OPERATORS.iter().filter(follows).map(drawn).min();
        return next.unwrap_or_default();
    }
    drawn(row)
}

impl Draw {
    /// The same operator, or sometimes its `try_…` form.
    fn fallible(&mut self, choice: Choice) -> Choice {
        let is_twin =
            |row: &&Operator| base_of(row).is_some_and(|base| std::ptr::eq(base, choice.row));
        match OPERATORS.iter().find(is_twin) {
            Some(row) if self.random.chance(40) => Choice { row, ..choice },
            _ => choice,
        }
    }
}

fn stateless(name: &'static str, args: Vec<String>, does: Does) -> Op {
    let row = OPERATORS
        .iter()
        .find(|row| row.name == name && row.on == Shape::Stream)
        .map(row_of)
        .unwrap_or((name, String::new()));
    Op {
        name: name.to_owned(),
        row,
        args,
        does,
        other: None,
        repartitions: false,
    }
}

/// `map_values` of the `Option` that `to_stream` yields.
fn present(random: &mut Random, at: &At) -> (Op, At) {
    let value = if random.chance(50) {
        Ty::Text
    } else {
        Ty::Number
    };
    let body = value.of_number(&format!("v.map_or(9, |v| {})", at.value.number("v")));
    let op = stateless(
        "map_values",
        vec![format!("|v| {body}")],
        Does::Present { value },
    );
    let next = At {
        value,
        revalued: true,
        ..at.clone()
    };
    (op, next)
}

/// `to_stream`, and what makes plain records of the rows of a table by windows: the model has keys without windows alone.
fn forget_windows(random: &mut Random, at: &At, windows: Windows, ops: &mut Vec<Op>) -> At {
    let value = if random.chance(50) {
        Ty::Text
    } else {
        Ty::Number
    };
    let row = OPERATORS
        .iter()
        .find(|row| row.name == "to_stream")
        .map(row_of);
    let mut to_stream = stateless("to_stream", Vec::new(), Does::ToStream);
    to_stream.row = row.unwrap_or(to_stream.row);
    ops.push(to_stream);
    let (name, closure) = windows.forget(at.value, value);
    ops.push(stateless(name, vec![closure], Does::Forget { value }));
    At {
        shape: Shape::Stream,
        value,
        loses: false,
        rekeyed: true,
        ..at.clone()
    }
}

/// Writes an operator's arguments, and says what comes out.
fn operator(random: &mut Random, topology: &Topology, choice: Choice, at: &At) -> (Op, At) {
    let Choice { row, other } = choice;
    let add = random.below(5) as u64;
    let key = if random.chance(60) {
        Ty::Text
    } else {
        Ty::Number
    };
    let value = if random.chance(50) {
        Ty::Text
    } else {
        Ty::Number
    };
    let (k, v) = (at.key.number("k"), at.value.number("v"));
    let of_value = format!("{v}.wrapping_add({add})");
    let of_both = format!("{v}.wrapping_add({k}).wrapping_add({add})");
    let small = format!("{v}.wrapping_add({add}).wrapping_rem(3)");
    let of_other = |left: bool| {
        other.map_or(String::new(), |other| {
            let t = topology.nodes[other].value.number("t");
            if left {
                format!("t.map_or(7, |t| {t})")
            } else {
                t
            }
        })
    };
    let joined = |left: bool| value.of_number(&format!("{v}.wrapping_add({})", of_other(left)));
    let fallible = row.name.strip_prefix("try_");
    let base = fallible.unwrap_or(row.name);
    let left = base.starts_with("left_");
    let with_key = row.name.ends_with("_with_key");
    let mut next = At {
        shape: row.yields,
        repartitioned: at.repartitioned || repartitions(at, row),
        depth: at.depth + usize::from(repartitions(at, row)),
        ..at.clone()
    };
    if repartitions(at, row) {
        next.rekeyed = false;
    }
    if row.key == Key::Changes {
        next.rekeyed = true;
    }
    next.loses = match row.losing {
        Losing::NoTable | Losing::Never => false,
        Losing::Always => true,
        Losing::AsInput => at.loses,
        // Values are never `Option` here; `to_table` does not know behind an operator that makes new ones.
        Losing::IfOption => row.name == "to_table" && at.revalued,
    };
    let (mut args, does) = match (base, row.on, row.with) {
        ("filter" | "filter_not", ..) => {
            let keep = row.name != "filter_not";
            if topology.limit.is_some() && random.chance(40) {
                (
                    vec![format!("|_, v| {v} > self.limit")],
                    Does::FilterLimit { keep },
                )
            } else {
                let rest = add % 3;
                (
                    vec![format!("|_, v| {v}.wrapping_rem(3) != {rest}")],
                    Does::Filter { keep, rest },
                )
            }
        }
        ("map", ..) => {
            (next.key, next.value) = (key, value);
            let text = format!(
                "|k, v| ({}, {})",
                key.of_number(&small),
                value.of_number(&of_both)
            );
            (vec![text], Does::Map { key, value, add })
        }
        ("map_values", ..) => {
            next.value = value;
            (
                vec![format!("|v| {}", value.of_number(&of_value))],
                Does::MapValues {
                    value,
                    add,
                    with_key: false,
                },
            )
        }
        ("map_values_with_key", ..) => {
            next.value = value;
            (
                vec![format!("|k, v| {}", value.of_number(&of_both))],
                Does::MapValues {
                    value,
                    add,
                    with_key: true,
                },
            )
        }
        // The processors stand beside the topologies: `tests/generated/source.rs`.
        ("process", ..) => {
            let types = [at.key, at.value, key, value].map(Ty::rust).join(", ");
            (next.key, next.value) = (key, value);
            let text = format!(
                "crate::Each::<{types}>::new(|k, v| ({}, {}))",
                key.of_number(&small),
                value.of_number(&of_both)
            );
            (vec![text], Does::Map { key, value, add })
        }
        ("process_values", ..) => {
            let types = [at.key, at.value, value].map(Ty::rust).join(", ");
            next.value = value;
            let text = format!(
                "crate::EachValue::<{types}>::new(|k, v| {})",
                value.of_number(&of_both)
            );
            (
                vec![text],
                Does::MapValues {
                    value,
                    add,
                    with_key: true,
                },
            )
        }
        ("map_record", ..) => {
            (next.key, next.value) = (key, value);
            let text = format!(
                "|r| {{ let Record {{ key: k, value: v, timestamp, headers }} = r; \
                 let (key, value) = ({}, {}); Record {{ key, value, timestamp, headers }} }}",
                key.of_number(&small),
                value.of_number(&of_both)
            );
            (vec![text], Does::Map { key, value, add })
        }
        ("map_record_values", ..) => {
            next.value = value;
            let text = format!(
                "|r| {{ let value = {{ let (k, v) = (r.key(), &r.value); {} }}; r.with_value(value) }}",
                value.of_number(&of_both)
            );
            (
                vec![text],
                Does::MapValues {
                    value,
                    add,
                    with_key: true,
                },
            )
        }
        ("flat_map", ..) => {
            (next.key, next.value) = (key, value);
            let one = format!("({}, {})", key.of_number(&small), value.of_number(&of_both));
            let text =
                format!("|k, v| (0..{v}.wrapping_rem(3)).map(|_| {one}).collect::<Vec<_>>()");
            (vec![text], Does::FlatMap { key, value, add })
        }
        ("flat_map_values", ..) => {
            next.value = value;
            let text = format!("|v| vec![{}; 2]", value.of_number(&of_value));
            (
                vec![text],
                Does::FlatMapValues {
                    value,
                    add,
                    with_key: false,
                },
            )
        }
        ("flat_map_values_with_key", ..) => {
            next.value = value;
            let text = format!("|k, v| vec![{}; 2]", value.of_number(&of_both));
            (
                vec![text],
                Does::FlatMapValues {
                    value,
                    add,
                    with_key: true,
                },
            )
        }
        ("select_key" | "group_by", Shape::Stream, _) => {
            next.key = key;
            (
                vec![format!("|_, v| {}", key.of_number(&small))],
                Does::SelectKey { key, add },
            )
        }
        ("group_by", Shape::Table, _) => {
            (next.key, next.value) = (key, value);
            let text = format!(
                "|_, v| ({}, {})",
                key.of_number(&small),
                value.of_number(&of_value)
            );
            (vec![text], Does::Regroup { key, value, add })
        }
        ("join_on" | "left_join_on", ..) => {
            next.value = value;
            next.depth += 1;
            let foreign = other.map_or(Ty::Text, |other| topology.nodes[other].key);
            let extractor = format!(
                "|_, v| ({v}.wrapping_rem(4) != 0).then(|| {})",
                foreign.of_number(&small)
            );
            (
                vec![extractor, format!("|v, t| {}", joined(left))],
                Does::JoinOn {
                    left,
                    foreign,
                    value,
                    add,
                },
            )
        }
        ("peek", ..) | ("for_each", ..) => {
            (vec!["|_, v| { let _ = v; }".to_owned()], Does::Nothing)
        }
        ("print", ..) => (Vec::new(), Does::Nothing),
        ("merge", ..) => {
            if let Some(other) = other {
                let other = &topology.nodes[other];
                next.rekeyed |= other.rekeyed;
                next.depth = next.depth.max(other.depth);
            }
            (Vec::new(), Does::Merge)
        }
        ("repartition", ..) => (vec![topology.partitions.to_string()], Does::Nothing),
        ("group_by_key", ..) => (Vec::new(), Does::Nothing),
        ("windowed_by", ..) => {
            let windows = Windows::draw(random);
            next.windows = Some(windows);
            (vec![windows.text()], Does::WindowedBy(windows))
        }
        ("emit", ..) => (vec!["on_window_update".to_owned()], Does::Nothing),
        ("to_table", ..) => (Vec::new(), Does::ToTable),
        ("to_stream", ..) => (Vec::new(), Does::ToStream),
        ("count", on, _) => {
            next.value = Ty::Count;
            let of_rows = on == Shape::GroupedTable;
            (
                Vec::new(),
                if of_rows {
                    Does::CountRows
                } else {
                    Does::Count
                },
            )
        }
        ("reduce", Shape::GroupedTable, _) => {
            let (a, b) = (at.value.number("a"), at.value.number("b"));
            let body = |f: &str| at.value.of_number(&format!("{a}.{f}({b})"));
            let closure = |f: &str| format!("|a, b| {}", body(f));
            (
                vec![closure("wrapping_add"), closure("wrapping_sub")],
                Does::ReduceRows,
            )
        }
        ("aggregate", Shape::GroupedTable, _) => {
            next.value = value;
            let initial = match value {
                Ty::Text => "String::new",
                _ => "u64::default",
            };
            let a = value.number("a");
            let body = |f: &str| value.of_number(&format!("{a}.{f}({v}).{f}({add})"));
            let closure = |f: &str| format!("|_, v, a| {}", body(f));
            (
                vec![
                    initial.to_owned(),
                    closure("wrapping_add"),
                    closure("wrapping_sub"),
                ],
                Does::AggregateRows { value, add },
            )
        }
        ("reduce", ..) => {
            let b = at.value.number("b");
            let a = at.value.number("a");
            (
                vec![format!(
                    "|a, b| {}",
                    at.value.of_number(&format!("{a}.wrapping_add({b})"))
                )],
                Does::Reduce,
            )
        }
        ("cogroup", ..) => {
            let (value, v) = match other {
                Some(other) => (at.value, topology.nodes[other].value.number("v")),
                None => (value, v.clone()),
            };
            next.value = value;
            let a = value.number("a");
            let body = value.of_number(&format!("{a}.wrapping_add({v}).wrapping_add({add})"));
            (
                vec![format!("|_, v, a| {body}")],
                Does::Cogroup { value, add },
            )
        }
        ("aggregate", Shape::CogroupedStream, _) => {
            let initial = match at.value {
                Ty::Text => "String::new",
                _ => "u64::default",
            };
            (
                vec![initial.to_owned()],
                Does::CogroupEnd { value: at.value },
            )
        }
        ("aggregate", ..) => {
            next.value = value;
            let initial = if value == Ty::Text {
                "String::new"
            } else {
                "u64::default"
            };
            let a = value.number("a");
            let body = value.of_number(&format!("{a}.wrapping_add({v}).wrapping_add({add})"));
            (
                vec![initial.to_owned(), format!("|_, v, a| {body}")],
                Does::Aggregate { value, add },
            )
        }
        (_, Shape::Table, Some(Shape::Table)) | (_, Shape::Stream, Some(Shape::Stream)) => {
            next.value = value;
            let kind = match base.split('_').next() {
                Some("left") => Kind::Left,
                Some("outer") => Kind::Outer,
                _ => Kind::Inner,
            };
            let v = match kind {
                Kind::Outer => format!("v.map_or(7, |v| {v})"),
                Kind::Inner | Kind::Left => v.clone(),
            };
            let joined = format!("{v}.wrapping_add({})", of_other(kind != Kind::Inner));
            let params = if with_key { "|_, v, t|" } else { "|v, t|" };
            let joiner = format!("{params} {}", value.of_number(&joined));
            if row.on == Shape::Stream {
                // Longer than any run: nothing is ever late, and no window ends.
                let within = "within(\"1d\")".to_owned();
                (vec![joiner, within], Does::JoinStreams { value })
            } else {
                (vec![joiner], Does::JoinTables { kind, value })
            }
        }
        (_, Shape::Stream, Some(Shape::Table)) => {
            next.value = value;
            let params = if with_key { "|_, v, t|" } else { "|v, t|" };
            (
                vec![format!("{params} {}", joined(left))],
                Does::Join { left, with_key },
            )
        }
        (_, Shape::Stream, Some(Shape::GlobalTable)) => {
            next.value = value;
            let global = other.map_or(Ty::Text, |other| topology.nodes[other].key);
            let params = if with_key { "|_, v, t|" } else { "|v, t|" };
            let mapper = format!("|_, v| {}", global.of_number(&small));
            (
                vec![mapper, format!("{params} {}", joined(left))],
                Does::JoinGlobal {
                    left,
                    with_key,
                    add,
                },
            )
        }
        (name, on, with) => {
            panic!("teach the generator the operator `{name}` on {on} with {with:?}")
        }
    };
    let does = match at.windows.filter(|_| row.aggregates_windows()) {
        Some(windows) => {
            if let (Windows::Session, Does::Aggregate { value, .. }) = (windows, &does) {
                let (a, b) = (value.number("a"), value.number("b"));
                let merged = value.of_number(&format!("{a}.wrapping_add({b})"));
                args.push(format!("|_, a, b| {merged}"));
            }
            Does::ByWindows(windows, Box::new(does))
        }
        None => does,
    };
    if matches!(
        does,
        Does::Map { .. }
            | Does::MapValues { .. }
            | Does::FlatMap { .. }
            | Does::FlatMapValues { .. }
            | Does::Join { .. }
            | Does::JoinGlobal { .. }
            | Does::JoinTables { .. }
            | Does::JoinOn { .. }
            | Does::Regroup { .. }
            | Does::JoinStreams { .. }
    ) {
        next.revalued = true;
    }
    if fallible.is_some() {
        never_failing(&mut args, &does);
    }
    let takes_node = row.params.contains(&Param::Node);
    let op = Op {
        name: row.name.to_owned(),
        row: row_of(row),
        args,
        does,
        other: other.filter(|_| takes_node),
        repartitions: repartitions(at, row),
    };
    (op, next)
}

/// The closures of the model do not fail.
fn never_failing(args: &mut [String], does: &Does) {
    let maps_keys = matches!(does, Does::JoinGlobal { .. } | Does::JoinOn { .. });
    for closure in args.iter_mut().skip(usize::from(maps_keys)) {
        if let Some((params, body)) = closure.split_once("| ") {
            *closure = format!("{params}| Ok::<_, String>({body})");
        }
    }
}
