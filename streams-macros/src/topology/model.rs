//! The topology as a graph: nodes by id, the edges between them, and what each operator of a chain means. Every part keeps its
//! syntax, so that later stages can point at the user's token.

use proc_macro2::{Ident, Span};
use syn::{Expr, ItemStruct, LitStr, Type, Visibility};

use super::kinds::{self, Operator, Param, Shape};
use super::parse::{
    self, Declared, FieldSyntax, Opt, OptValue, OriginSyntax, Partitions, Sink, Source,
    StoreOptions, Syntax, TopologyArgs,
};
use super::stream_join::{self, StreamJoin};
use super::suppression::{self, Suppression};
use super::windows::{self, Emits, Time, Windows};
use crate::ctxt::Ctxt;

/// Index into `Topology::nodes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub(crate) usize);

/// The whole topology.
#[derive(Debug)]
pub(crate) struct Topology {
    /// The struct without our attributes.
    pub(crate) item: ItemStruct,
    pub(crate) args: TopologyArgs,
    /// The plain fields.
    pub(crate) params: Vec<AppParam>,
    /// In the order of their fields.
    pub(crate) nodes: Vec<Node>,
    /// In the order of the reading nodes' fields, and along each chain.
    pub(crate) edges: Vec<Edge>,
}

/// A plain field: a parameter of the app.
#[derive(Debug)]
pub(crate) struct AppParam {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
}

/// A field that is a node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) name: Ident,
    pub(crate) vis: Visibility,
    /// The field's whole type.
    pub(crate) ty: Type,
    /// What the type declares.
    pub(crate) shape: Shape,
    /// `KStream`, `WindowStore`: the type's last word.
    pub(crate) type_name: String,
    /// The declared key and value types; `None` for `()`, and where they are missing (then the node is poisoned).
    pub(crate) types: Option<(Type, Type)>,
    pub(crate) origin: Origin,
    pub(crate) sinks: Vec<Sink>,
    pub(crate) store: Option<StoreOptions>,
    /// Whether an attribute of it had a mistake: what it would have said is unknown.
    pub(crate) incomplete: bool,
    /// The names inside its chain as written: read by rules only where the chain is poisoned.
    pub(crate) mentions: Vec<Ident>,
}

/// Where a node's records come from.
#[derive(Debug)]
pub(crate) enum Origin {
    Source(Box<Source>),
    Derived(Chain),
    /// A store field that processors share: no records of its own.
    Shared,
    /// Did not parse. Rules skip it; the error is recorded.
    Poisoned,
}

/// A node's chain.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The node it starts from, as written.
    pub(crate) base: Ident,
    /// The output of that node which it reads, where it is a processor with several.
    pub(crate) output: Option<Ident>,
    /// `None` if no node has that name, or if it is the node itself.
    pub(crate) input: Option<NodeId>,
    pub(crate) ops: Vec<Op>,
    /// What the last operator yields; `None` if an operator did not resolve.
    pub(crate) yields: Option<Shape>,
}

/// One operator of a chain.
#[derive(Debug)]
pub(crate) struct Op {
    pub(crate) name: Ident,
    /// From the opening parenthesis to the closing one.
    pub(crate) parens: Span,
    pub(crate) meaning: Meaning,
    pub(crate) args: Vec<Expr>,
    pub(crate) options: Vec<Opt>,
    /// The other node (`join(customers, …)`, `merge(other)`): its name as written and its id if there is one.
    pub(crate) other: Option<(Ident, Option<NodeId>)>,
    /// The stores that `process` gives its processor.
    pub(crate) stores: Vec<GivenStore>,
    /// The partition count of `repartition`.
    pub(crate) partitions: Option<Partitions>,
    /// What `windowed_by` takes.
    pub(crate) windows: Option<Windows>,
    /// What the options of a join of two streams say.
    pub(crate) stream_join: Option<StreamJoin>,
    /// What `emit` takes.
    pub(crate) emits: Option<Emits>,
    /// What `suppress` takes.
    pub(crate) suppression: Option<Suppression>,
    /// The option `grace` of a join.
    pub(crate) grace: Option<Time>,
}

/// What an operator's name means where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meaning {
    Known(&'static Operator),
    /// No operator has this name.
    UnknownName,
    /// The name exists, but not on this shape.
    WrongReceiver(Shape),
    /// The name exists here, but not with such an other node.
    WrongOther(Shape),
    /// An earlier mistake hides what it would mean: rules skip it.
    Unclear,
}

/// A store that a processor gets from its topology: `stores(seen)`, `stores(last = seen)`.
#[derive(Debug)]
pub(crate) struct GivenStore {
    /// The processor's field.
    pub(crate) field: Ident,
    /// The topology's field, as written.
    pub(crate) place: Ident,
    /// `None` if no node has that name.
    pub(crate) node: Option<NodeId>,
}

/// A node reads another.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    /// The operator of `to`'s chain that reads it: `None` is the chain's start.
    pub(crate) op: Option<usize>,
    /// The name of `from` where it is read.
    pub(crate) place: Ident,
    pub(crate) reads: Reads,
}

/// What of a node another reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Its records or updates.
    Records,
    /// A processor its store, at moments of its own.
    Store,
}

impl Topology {
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    pub(crate) fn find(&self, name: &Ident) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// The edges into a node: its chain's start first.
    pub(crate) fn inputs(&self, id: NodeId) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.to == id)
    }

    /// The edges out of a node, in the order of the readers' fields.
    pub(crate) fn readers(&self, id: NodeId) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.from == id)
    }
}

impl Node {
    pub(crate) fn is_poisoned(&self) -> bool {
        matches!(self.origin, Origin::Poisoned)
    }

    pub(crate) fn chain(&self) -> Option<&Chain> {
        match &self.origin {
            Origin::Derived(chain) => Some(chain),
            _ => None,
        }
    }

    pub(crate) fn source(&self) -> Option<&Source> {
        match &self.origin {
            Origin::Source(source) => Some(source),
            _ => None,
        }
    }

    /// Whether it is a store that every instance has all of, kept by a processor.
    pub(crate) fn is_global_store(&self) -> bool {
        self.shape == Shape::Store && self.source().is_some()
    }

    /// Whether every instance has all of its rows.
    pub(crate) fn is_global(&self) -> bool {
        self.shape == Shape::GlobalTable || self.is_global_store()
    }

    /// What makes the processor of a global store, and its type.
    pub(crate) fn keeper(&self) -> Option<(&Expr, syn::Path)> {
        let made = self.source()?.process.as_ref()?;
        made_by(made).map(|ty| (made, ty))
    }

    pub(crate) fn key(&self) -> Option<&Type> {
        self.types.as_ref().map(|(key, _)| key)
    }

    pub(crate) fn value(&self) -> Option<&Type> {
        self.types.as_ref().map(|(_, value)| value)
    }
}

impl Chain {
    /// The branch operator that starts it, if one does: `branch` or `otherwise`.
    pub(crate) fn branch(&self) -> Option<&Op> {
        self.ops
            .first()
            .filter(|op| op.is("branch") || op.is("otherwise"))
    }

    /// The inputs of a cogroup: the operators that bring them, in order.
    pub(crate) fn cogrouped(&self) -> Vec<usize> {
        let positions = 0..self.ops.len();
        positions.filter(|at| self.ops[*at].is("cogroup")).collect()
    }

    /// The position of the operator that owns the chain's store, if one does by itself.
    pub(crate) fn stateful(&self) -> Option<usize> {
        self.ops.iter().position(|op| {
            op.known()
                .is_some_and(|row| row.state == kinds::State::Owns)
        })
    }
}

impl Op {
    /// Whether it is that operator, or its `try_…` form.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.base_name() == name
    }

    /// Its name without `try_`: what it does where its closure does not fail.
    pub(crate) fn base_name(&self) -> String {
        let name = self.name.to_string();
        name.strip_prefix("try_")
            .map_or(name.clone(), str::to_owned)
    }

    /// Whether its closure returns a `Result`.
    pub(crate) fn is_fallible(&self) -> bool {
        self.name.to_string().starts_with("try_")
    }

    /// Whether it calls a processor of the user's.
    pub(crate) fn is_processor(&self) -> bool {
        self.is("process") || self.is("process_values") || self.is("transform_values")
    }

    /// The type of its processor: `FraudAlerts` of `FraudAlerts::new(…)`; `None` where it is written otherwise.
    pub(crate) fn processor(&self) -> Option<syn::Path> {
        made_by(self.args.first().filter(|_| self.is_processor())?)
    }

    /// The row of the table, if the operator resolved.
    pub(crate) fn known(&self) -> Option<&'static Operator> {
        match self.meaning {
            Meaning::Known(row) => Some(row),
            _ => None,
        }
    }

    /// `partitioner = P` of `repartition`.
    pub(crate) fn partitioner(&self) -> Option<&Expr> {
        match &self.option("partitioner")?.value {
            OptValue::Is(expr) if self.is("repartition") => Some(expr),
            _ => None,
        }
    }

    /// `other_partitioner = P` of a foreign-key join: how the right table is partitioned.
    pub(crate) fn other_partitioner(&self) -> Option<&Expr> {
        match &self.option("other_partitioner")?.value {
            OptValue::Is(expr) => Some(expr),
            _ => None,
        }
    }

    /// Whichever of both it has.
    pub(crate) fn any_partitioner(&self) -> Option<&Expr> {
        self.partitioner().or_else(|| self.other_partitioner())
    }

    pub(crate) fn option(&self, name: &str) -> Option<&Opt> {
        self.options.iter().find(|opt| opt.name == name)
    }

    /// `name = "…"`.
    pub(crate) fn given_name(&self) -> Option<LitStr> {
        self.text_option("name")
    }

    /// `split = "…"` of branch and otherwise; both of one split have the same.
    pub(crate) fn split(&self) -> Option<LitStr> {
        self.text_option("split")
    }

    fn text_option(&self, name: &str) -> Option<LitStr> {
        match &self.option(name)?.value {
            OptValue::Is(expr) => parse::literal_text(expr),
            _ => None,
        }
    }
}

/// `FraudAlerts` of `FraudAlerts::new(…)`.
fn made_by(expr: &Expr) -> Option<syn::Path> {
    let Expr::Call(call) = parse::ungrouped(expr) else {
        return None;
    };
    let Expr::Path(function) = parse::ungrouped(&call.func) else {
        return None;
    };
    if function.qself.is_some() {
        return None;
    }
    let mut path = function.path.clone();
    let segments = path.segments.iter().take(path.segments.len() - 1);
    path.segments = segments.cloned().collect();
    (!path.segments.is_empty()).then_some(path)
}

/// Builds the graph. Names that mean nothing stay in it, unresolved, for the checks to report.
pub(crate) fn build(cx: &Ctxt, syntax: Syntax) -> Topology {
    let Syntax { item, args, fields } = syntax;
    let (mut params, mut nodes, mut origins) = (Vec::new(), Vec::new(), Vec::new());
    for field in fields {
        if field.declared.is_none() || is_unit_parameter(&field) {
            if field.annotated {
                cx.error(
                    "KS0102",
                    &field.ty,
                    format!(
                        "`{}` cannot be a node: nodes are `KStream`, `KTable`, `GlobalKTable` and store fields, \
                         or `()` for a chain that ends in `for_each`",
                        field.name
                    ),
                );
            }
            params.push(AppParam {
                name: field.name,
                ty: field.ty,
            });
        } else {
            let (node, origin) = node(cx, NodeId(nodes.len()), field);
            nodes.push(node);
            origins.push(origin);
        }
    }
    let mut topology = Topology {
        item,
        args,
        params,
        nodes,
        edges: Vec::new(),
    };
    for (index, origin) in origins.into_iter().enumerate() {
        let Some(OriginSyntax::From(chain)) = origin else {
            continue;
        };
        let chain = resolve(cx, &mut topology, NodeId(index), chain);
        topology.nodes[index].origin = Origin::Derived(chain);
    }
    topology
}

/// A plain `()` field without attributes is a (pointless) parameter.
fn is_unit_parameter(field: &FieldSyntax) -> bool {
    !field.annotated
        && field
            .declared
            .as_ref()
            .is_some_and(|declared| declared.shape == Shape::Nothing)
}

/// A node without its chain, which needs the other nodes.
fn node(cx: &Ctxt, id: NodeId, field: FieldSyntax) -> (Node, Option<OriginSyntax>) {
    let Declared {
        shape,
        type_name,
        types,
    } = field.declared.unwrap_or(Declared {
        shape: Shape::Nothing,
        type_name: String::new(),
        types: None,
    });
    let mut origin = Origin::Poisoned;
    let mut rest = None;
    match field.origin {
        Some(OriginSyntax::Source(source)) => origin = Origin::Source(source),
        Some(OriginSyntax::Poisoned) => {}
        other @ Some(OriginSyntax::From(_)) => rest = other,
        None if shape == Shape::Store => origin = Origin::Shared,
        None => cx.error(
            "KS0101",
            &field.ty,
            format!(
                "node `{}` has no origin: `#[source(topic = \"…\")]` reads it from a topic, `#[from(…)]` derives it \
                 from another node",
                field.name
            ),
        ),
    }
    if types.is_none() && shape != Shape::Nothing {
        cx.error(
            "KS0102",
            &field.ty,
            format!("`{type_name}` takes two types, the key's and the value's: `{type_name}<String, i64>`"),
        );
        origin = Origin::Poisoned;
        rest = None;
    }
    let node = Node {
        id,
        name: field.name,
        vis: field.vis,
        ty: field.ty,
        shape,
        type_name,
        types,
        origin,
        sinks: field.sinks,
        store: field.store,
        incomplete: field.incomplete,
        mentions: field.mentions,
    };
    (node, rest)
}

/// Gives each operator of a chain its meaning, from the shape before it on.
fn resolve(cx: &Ctxt, topology: &mut Topology, to: NodeId, chain: parse::ChainSyntax) -> Chain {
    let input = topology
        .find(&chain.base)
        .map(|node| node.id)
        .filter(|id| *id != to);
    let mut shape = input.map(|id| topology.node(id).shape);
    if let Some(from) = input {
        topology.edges.push(Edge {
            from,
            to,
            op: None,
            place: chain.base.clone(),
            reads: Reads::Records,
        });
        if chain.output.is_some() && shape == Some(Shape::Nothing) {
            shape = Some(Shape::Stream);
        }
    }
    let mut ops = Vec::new();
    for syntax in chain.ops {
        let mut other = other_node(topology, &syntax);
        let other_shape = other
            .as_ref()
            .map(|(_, id)| id.map(|id| topology.node(id).shape));
        let meaning = meaning(&syntax.name.to_string(), shape, other_shape);
        // The first `cogroup` of a chain takes none: its aggregator may be a path.
        if matches!(meaning, Meaning::Known(row) if row.with.is_none()) {
            other = None;
        }
        if let Some((place, Some(from))) = &other {
            topology.edges.push(Edge {
                from: *from,
                to,
                op: Some(ops.len()),
                place: place.clone(),
                reads: Reads::Records,
            });
        }
        let stores = given_stores(cx, topology, &syntax);
        for given in &stores {
            if let Some(from) = given.node {
                topology.edges.push(Edge {
                    from,
                    to,
                    op: Some(ops.len()),
                    place: given.place.clone(),
                    reads: Reads::Store,
                });
            }
        }
        shape = match meaning {
            Meaning::Known(row) => Some(row.yields),
            _ => None,
        };
        let partitions = repartition_count(cx, &syntax);
        let windows = syntax.args.first().filter(|_| syntax.name == "windowed_by");
        let windows = windows.and_then(|arg| windows::windows(cx, arg));
        let stream_join = match meaning {
            Meaning::Known(row) if stream_join::joins_streams(row) => {
                stream_join::stream_join(cx, &syntax.options)
            }
            _ => None,
        };
        let emits = syntax.args.first().filter(|_| syntax.name == "emit");
        let emits = emits.and_then(|arg| windows::emits(cx, arg));
        let suppression = syntax.args.first().filter(|_| syntax.name == "suppress");
        let suppression = suppression.and_then(|arg| suppression::suppression(cx, arg));
        // That of a join of streams is read with its other times.
        let of_streams = matches!(meaning, Meaning::Known(row) if stream_join::joins_streams(row));
        let grace = syntax
            .options
            .iter()
            .find(|opt| opt.name == "grace" && !of_streams);
        let grace = grace.and_then(|opt| windows::time_of_option(cx, opt));
        ops.push(Op {
            name: syntax.name,
            parens: syntax.parens,
            meaning,
            args: syntax.args,
            options: syntax.options,
            other,
            stores,
            partitions,
            windows,
            stream_join,
            emits,
            grace,
            suppression,
        });
    }
    Chain {
        base: chain.base,
        output: chain.output,
        input,
        ops,
        yields: shape,
    }
}

/// The node that an operator names as its first argument, if operators of that name take one.
fn other_node(topology: &Topology, op: &parse::OpSyntax) -> Option<(Ident, Option<NodeId>)> {
    let takes_node =
        kinds::rows(&op.name.to_string()).any(|row| row.params.first() == Some(&Param::Node));
    if !takes_node {
        return None;
    }
    let Expr::Path(path) = parse::ungrouped(op.args.first()?) else {
        return None;
    };
    let name = path.path.get_ident()?.clone();
    let id = topology.find(&name).map(|node| node.id);
    Some((name, id))
}

/// `stores(seen, last = customers)` of `process`.
fn given_stores(cx: &Ctxt, topology: &Topology, op: &parse::OpSyntax) -> Vec<GivenStore> {
    let Some(opt) = op.options.iter().find(|opt| opt.name == "stores") else {
        return Vec::new();
    };
    let word = |expr: &Expr| match parse::ungrouped(expr) {
        Expr::Path(path) => path.path.get_ident().cloned(),
        _ => None,
    };
    let given = |expr: &Expr| {
        let (field, place) = match parse::ungrouped(expr) {
            Expr::Assign(assign) => (word(&assign.left)?, word(&assign.right)?),
            other => {
                let name = word(other)?;
                (name.clone(), name)
            }
        };
        let node = topology.find(&place).map(|node| node.id);
        Some(GivenStore { field, place, node })
    };
    let all: Option<Vec<_>> = match &opt.value {
        OptValue::List(list) => list.iter().map(given).collect(),
        _ => None,
    };
    all.unwrap_or_else(|| {
        cx.error(
            "KS0113",
            &opt.name,
            "`stores` is written `stores(seen, customers)`, with the names of fields, or `stores(own = seen)` where the \
             processor's field has another name",
        );
        Vec::new()
    })
}

fn repartition_count(cx: &Ctxt, op: &parse::OpSyntax) -> Option<Partitions> {
    if op.name != "repartition" {
        return None;
    }
    if let Some(opt) = op.options.iter().find(|opt| opt.name == "partitions") {
        return parse::partitions(cx, opt);
    }
    parse::partition_count(cx, op.args.first()?)
}

/// `shape` is what the operator is called on, if known. `other` is the shape of the node it names: `Some(None)` is a name that
/// no node has.
fn meaning(name: &str, shape: Option<Shape>, other: Option<Option<Shape>>) -> Meaning {
    if kinds::rows(name).next().is_none() {
        return Meaning::UnknownName;
    }
    let Some(shape) = shape else {
        return Meaning::Unclear;
    };
    let mut here = kinds::rows(name).filter(|row| row.on == shape).peekable();
    if here.peek().is_none() {
        return Meaning::WrongReceiver(shape);
    }
    let rows: Vec<_> = here.collect();
    if let Some(row) = rows.iter().find(|row| row.with.is_none()) {
        return Meaning::Known(row);
    }
    match other {
        // The name of no node, or no name at all: reported as such.
        None | Some(None) => Meaning::Unclear,
        Some(Some(other)) => match rows.iter().find(|row| row.with == Some(other)) {
            Some(row) => Meaning::Known(row),
            None => Meaning::WrongOther(other),
        },
    }
}
