//! A drawn topology: its nodes and operators as data, for the model, and as the struct that a user would write.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::kinds::Shape;
use super::windowed::Windows;

/// The types of keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ty {
    Text,
    Number,
    /// What `count` gives.
    Count,
}

impl Ty {
    pub(crate) fn rust(self) -> &'static str {
        match self {
            Ty::Text => "String",
            Ty::Number => "u64",
            Ty::Count => "i64",
        }
    }

    /// An expression of type `u64` from a value of this type or a reference to one.
    pub(crate) fn number(self, name: &str) -> String {
        match self {
            Ty::Text => format!("({name}.len() as u64)"),
            Ty::Number => format!("{name}.wrapping_add(0)"),
            Ty::Count => format!("{name}.unsigned_abs()"),
        }
    }

    /// An expression of this type from one of type `u64`.
    pub(crate) fn of_number(self, expression: &str) -> String {
        match self {
            Ty::Text => format!("format!(\"t{{}}\", {expression})"),
            Ty::Number => expression.to_owned(),
            Ty::Count => format!("{expression} as i64"),
        }
    }
}

/// What an operator does, for the model. Numbers are the parameters of its closures, all of which compute with the `u64` that
/// [`Ty::number`] makes of keys and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Does {
    Filter {
        keep: bool,
        rest: u64,
    },
    /// By the app's parameter.
    FilterLimit {
        keep: bool,
    },
    Map {
        key: Ty,
        value: Ty,
        add: u64,
    },
    MapValues {
        value: Ty,
        add: u64,
        with_key: bool,
    },
    FlatMap {
        key: Ty,
        value: Ty,
        add: u64,
    },
    FlatMapValues {
        value: Ty,
        add: u64,
        with_key: bool,
    },
    SelectKey {
        key: Ty,
        add: u64,
    },
    Nothing,
    Merge,
    Branch {
        rest: u64,
    },
    Otherwise,
    ToTable,
    ToStream,
    /// `map_values` of the `Option` that `to_stream` of a table that loses keys yields.
    Present {
        value: Ty,
    },
    Count,
    Reduce,
    Aggregate {
        value: Ty,
        add: u64,
    },
    /// `group_by` of a table.
    Regroup {
        key: Ty,
        value: Ty,
        add: u64,
    },
    CountRows,
    ReduceRows,
    AggregateRows {
        value: Ty,
        add: u64,
    },
    /// A join of two sources' tables by a foreign key.
    JoinOn {
        left: bool,
        foreign: Ty,
        value: Ty,
        add: u64,
    },
    Join {
        left: bool,
        with_key: bool,
    },
    JoinGlobal {
        left: bool,
        with_key: bool,
        add: u64,
    },
    JoinTables {
        kind: Kind,
        value: Ty,
    },
    /// An input of a cogroup, and the type of its aggregate.
    Cogroup {
        value: Ty,
        add: u64,
    },
    CogroupEnd {
        value: Ty,
    },
    JoinStreams {
        value: Ty,
    },
    WindowedBy(Windows),
    /// An aggregation by windows of what `Count`, `Reduce` or `Aggregate` would do.
    ByWindows(Windows, Box<Does>),
    /// Makes a stream of such a table's rows, of this type, without their windows: behind `to_stream`.
    Forget {
        value: Ty,
    },
}

/// Which rows a join of tables keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Inner,
    Left,
    Outer,
}

impl Does {
    /// Whether it owns a store: of a stream's or a table's aggregation.
    pub(crate) fn aggregates(&self) -> bool {
        let of_stream = matches!(
            self,
            Does::Count | Does::Reduce | Does::Aggregate { .. } | Does::CogroupEnd { .. }
        );
        of_stream || self.aggregates_rows()
    }

    /// Whether it aggregates a grouped table.
    pub(crate) fn aggregates_rows(&self) -> bool {
        matches!(
            self,
            Does::CountRows | Does::ReduceRows | Does::AggregateRows { .. }
        )
    }
}

/// A row, by what tells it from others of its name.
pub(crate) type Row = (&'static str, String);

#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub(crate) name: String,
    pub(crate) row: Row,
    pub(crate) args: Vec<String>,
    pub(crate) does: Does,
    /// The other node.
    pub(crate) other: Option<usize>,
    /// Whether a repartition topic comes before it.
    pub(crate) repartitions: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// The options of `#[source(…)]`.
    Source(Vec<String>),
    From(usize, Vec<Op>),
    None,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) key: Ty,
    pub(crate) value: Ty,
    pub(crate) origin: Origin,
    /// The base of the chain as written, where it is not the node's name.
    pub(crate) base_text: Option<String>,
    /// The field's type as written, where it is not the plain one.
    pub(crate) type_text: Option<String>,
    /// The options of each `#[sink(…)]`.
    pub(crate) sinks: Vec<String>,
    /// The options of `#[store(…)]`.
    pub(crate) store: Option<String>,
    /// Whether a key may be lost.
    pub(crate) loses: bool,
    /// How many repartition topics lie before it.
    pub(crate) depth: usize,
    /// Whether the key changed since the last repartition topic.
    pub(crate) rekeyed: bool,
}

impl Node {
    pub(crate) fn ops(&self) -> &[Op] {
        match &self.origin {
            Origin::From(_, ops) => ops,
            _ => &[],
        }
    }

    pub(crate) fn ops_mut(&mut self) -> Option<&mut Vec<Op>> {
        match &mut self.origin {
            Origin::From(_, ops) => Some(ops),
            _ => None,
        }
    }

    pub(crate) fn ty(&self) -> String {
        if let Some(text) = &self.type_text {
            return text.clone();
        }
        match self.shape {
            Shape::Stream => format!("KStream<{}, {}>", self.key.rust(), self.value.rust()),
            Shape::Table => format!("KTable<{}, {}>", self.key.rust(), self.value.rust()),
            Shape::GlobalTable => {
                format!("GlobalKTable<{}, {}>", self.key.rust(), self.value.rust())
            }
            _ => "()".to_owned(),
        }
    }
}

/// A topology as a struct to be written.
#[derive(Debug, Clone)]
pub(crate) struct Topology {
    pub(crate) application_id: String,
    pub(crate) partitions: usize,
    /// The app's parameter, if it has one.
    pub(crate) limit: Option<u64>,
    pub(crate) nodes: Vec<Node>,
    /// Whole fields that a mistake adds.
    pub(crate) extra: Vec<String>,
    /// What follows the struct's name.
    pub(crate) generics: &'static str,
}

impl Topology {
    pub(crate) fn args(&self) -> String {
        format!("application_id = \"{}\"", self.application_id)
    }

    /// The struct, without its attribute.
    pub(crate) fn item(&self) -> String {
        let mut text = format!("pub struct Drawn{} {{\n", self.generics);
        if self.limit.is_some() {
            text.push_str("    limit: u64,\n");
        }
        for node in &self.nodes {
            match &node.origin {
                Origin::Source(options) => {
                    let _ = writeln!(text, "    #[source({})]", options.join(", "));
                }
                Origin::From(base, ops) => {
                    let base = node.base_text.as_ref().unwrap_or(&self.nodes[*base].name);
                    let chain: String = ops.iter().map(|op| self.op_text(op)).collect();
                    let _ = writeln!(text, "    #[from({base}{chain})]");
                }
                Origin::None => {}
            }
            for sink in &node.sinks {
                let _ = writeln!(text, "    #[sink({sink})]");
            }
            if let Some(store) = &node.store {
                let _ = writeln!(text, "    #[store({store})]");
            }
            let _ = writeln!(text, "    {}: {},", node.name, node.ty());
        }
        for field in &self.extra {
            let _ = writeln!(text, "    {field}");
        }
        text.push_str("}\n");
        text
    }

    fn op_text(&self, op: &Op) -> String {
        let other = op.other.map(|other| self.nodes[other].name.clone());
        let args: Vec<String> = other.into_iter().chain(op.args.iter().cloned()).collect();
        format!("\n        .{}({})", op.name, args.join(", "))
    }

    pub(crate) fn rows(&self) -> BTreeSet<Row> {
        self.nodes
            .iter()
            .flat_map(Node::ops)
            .map(|op| op.row.clone())
            .collect()
    }

    /// The sources that a node's records come from, by any way.
    pub(crate) fn sources_of(&self, id: usize) -> BTreeSet<usize> {
        let Origin::From(base, ops) = &self.nodes[id].origin else {
            return BTreeSet::from([id]);
        };
        self.sources_before(*base, ops)
    }

    /// The sources of what a chain from `base` with these operators yields.
    pub(crate) fn sources_before(&self, base: usize, ops: &[Op]) -> BTreeSet<usize> {
        let others = ops.iter().filter_map(|op| op.other);
        others
            .chain([base])
            .flat_map(|id| self.sources_of(id))
            .collect()
    }

    /// Whether a table's rows cannot be looked up: they are made of those of a `to_table` in the middle of a chain.
    pub(crate) fn begins_in_passing(&self, id: usize) -> bool {
        let node = &self.nodes[id];
        let Origin::From(base, ops) = &node.origin else {
            return false;
        };
        let keeps = |op: &Op| op.does == Does::ToTable || op.does.aggregates();
        if node.store.is_some() || ops.iter().any(|op| op.does.aggregates()) {
            return false;
        }
        !ops.last().is_some_and(keeps) && (ops.iter().any(keeps) || self.begins_in_passing(*base))
    }

    /// Who reads a node: its readers' positions, in the order of the fields.
    pub(crate) fn readers(&self, id: usize) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|reader| match &self.nodes[*reader].origin {
                Origin::From(base, ops) => *base == id || ops.iter().any(|op| op.other == Some(id)),
                _ => false,
            })
            .collect()
    }
}
