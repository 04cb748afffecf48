//! The plan: how a checked topology runs. Chains become segments of straight-line steps, the graph becomes sub-topologies, and
//! every topic, store and node gets its name. Decides everything that the emitter writes down; emits nothing.

mod chains;
mod describe;
mod dump;
pub(crate) mod facts;
mod foreign;
pub(crate) mod old_values;
pub(crate) mod processors;
pub(crate) mod shared;
mod stream_joins;
pub(crate) mod suppression;
mod times;
pub(crate) mod versioned;

use std::collections::BTreeMap;

use syn::Type;

use super::kinds::{BUFFER, SUPPRESSED, Shape};
use super::model::{Node, NodeId, Origin, Topology};
use super::parse::{OffsetReset, Partitions, SinkTopic, StoreKind};
use super::windows::Time;

pub(crate) use self::describe::{DescribedKind, DescribedNode};
pub(crate) use self::processors::{NamedOutput, Processor};
pub(crate) use self::stream_joins::Joined;
pub(crate) use self::times::{TimeRole, TimeSlot};

/// How a topology runs.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) application_id: String,
    pub(crate) topics: Vec<Topic<'a>>,
    pub(crate) stores: Vec<Store<'a>>,
    /// In the order of the fields that begin them.
    pub(crate) subtopologies: Vec<Subtopology>,
    pub(crate) globals: Vec<Global>,
    /// In the order of the fields, and along each chain.
    pub(crate) processors: Vec<Processor>,
    /// By `NodeId`.
    pub(crate) nodes: Vec<NodePlan<'a>>,
}

/// A topic that is read or written.
#[derive(Debug)]
pub(crate) struct Topic<'a> {
    /// The full name; for internal topics the part after `<application.id>-`.
    pub(crate) name: String,
    pub(crate) role: TopicRole,
    pub(crate) partitions: Option<&'a Partitions>,
    /// `None` where only rustc knows them: an automatic repartition's.
    pub(crate) types: Option<(Type, Type)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicRole {
    Source,
    Sink,
    SourceAndSink,
    Repartition,
    Changelog,
}

/// A state store. It belongs to a field.
#[derive(Debug)]
pub(crate) struct Store<'a> {
    pub(crate) name: String,
    pub(crate) node: NodeId,
    pub(crate) role: Role,
    pub(crate) backend: StoreKind,
    pub(crate) kind: Kind<'a>,
    pub(crate) cache: bool,
    pub(crate) changelog: Changelog,
    /// `None` where only rustc knows them: operators follow the aggregation.
    pub(crate) types: Option<(Type, Type)>,
    /// Whether the field's handle shows this store's content.
    pub(crate) queryable: bool,
    pub(crate) field: &'a Node,
}

/// What a store is to its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The field's own: its handle has the field's name.
    Primary,
    /// An operator's: its handle is called `<field>_<role>`.
    Inner(&'static str),
}

/// What a store holds.
#[derive(Debug, Clone)]
pub(crate) enum Kind<'a> {
    /// The latest value of each key, with its timestamp.
    Table,
    /// Those before it too, for so long.
    Versioned(&'a Time),
    /// Records of a stream that wait so long for a table.
    JoinBuffer(&'a Time),
    /// What belongs to a join of two streams.
    Joined(Joined),
    /// Updates that are held back.
    SuppressBuffer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changelog {
    None,
    Internal(usize),
    Source(usize),
}

/// A connected part of the graph.
#[derive(Debug, Default)]
pub(crate) struct Subtopology {
    pub(crate) sources: Vec<Entry>,
    /// Indexes into `Plan::stores`; a store's place here is its local index.
    pub(crate) stores: Vec<usize>,
    /// Global tables that it reads.
    pub(crate) globals: Vec<NodeId>,
    pub(crate) nodes: Vec<DescribedNode>,
    /// Topics that must have equal partition counts.
    pub(crate) copartitioned: Vec<Vec<usize>>,
    /// The times of its operators; a time's place here is its local index.
    pub(crate) times: Vec<TimeSlot>,
}

/// A topic that a sub-topology reads, and where its records go.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The describing source node's name.
    pub(crate) name: String,
    pub(crate) topic: usize,
    pub(crate) offset_reset: OffsetReset,
    pub(crate) node: NodeId,
    /// The segment that receives, and by which arm; `None` for a source field.
    pub(crate) received_by: Option<(usize, Arm)>,
}

/// How the records of a repartition topic enter a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arm {
    /// Behind the n-th repartition topic of the segment.
    Repartitioned(usize),
    /// Behind the repartition topic of the other side of the chain's n-th meeting.
    OtherRepartitioned(usize),
    /// At its start: a foreign-key join's internal topics.
    Head,
}

/// A global table's topic and store.
#[derive(Debug)]
pub(crate) struct Global {
    pub(crate) node: NodeId,
    pub(crate) topic: usize,
    pub(crate) store: usize,
}

/// How one node runs.
#[derive(Debug)]
pub(crate) struct NodePlan<'a> {
    /// Each becomes a method; the first carries the node's name.
    pub(crate) segments: Vec<Segment>,
    /// The sub-topology of each part: a repartition topic begins a new one.
    pub(crate) parts: Vec<usize>,
    /// The node's own store, as an index into `Plan::stores`.
    pub(crate) store: Option<usize>,
    /// Its inner stores, in the order of `facts::inner_stores`.
    pub(crate) inner: Vec<usize>,
    /// Who gets its records, in order, after its sinks.
    pub(crate) children: Vec<Child>,
    /// The outputs of its processor that have names and are read.
    pub(crate) outputs: Vec<NamedOutput>,
    /// Topics of its sinks, as indexes into `Plan::topics`.
    pub(crate) sinks: Vec<SinkPlan<'a>>,
}

#[derive(Debug)]
pub(crate) struct SinkPlan<'a> {
    pub(crate) sink: &'a super::parse::Sink,
    pub(crate) topics: Vec<usize>,
}

/// Who gets a node's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Child {
    /// A node: its first segment, or the one after its n-th merge.
    Node(NodeId, usize),
    /// The other side of a node's n-th meeting.
    Other(NodeId, usize),
    /// A node that this one is the right table of a foreign-key join for.
    Foreign(NodeId),
    /// The branches of one split: the first that matches takes the record.
    Split(Vec<NodeId>),
}

/// A part of a chain that is one method.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) start: Start,
    pub(crate) steps: Vec<Step>,
    /// The node's part in which it starts.
    pub(crate) part: usize,
}

/// What a segment takes.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    /// Records of the node's own topic.
    Source,
    /// Records of the chain's input.
    Input(NodeId),
    /// After the n-th merge of the chain, with this node. Both streams come with the node's own declared types where the merge
    /// ends the chain, otherwise with those of the node that was merged in.
    Merged {
        other: NodeId,
        number: usize,
        ends: bool,
    },
    /// What the processor at this position of the chain forwards.
    Processed(usize),
    /// Updates of the node's own store, whose types these are.
    Changed(Box<(Type, Type)>),
    /// On the right side of a foreign-key join, with this node: the subscriptions of the left one.
    Subscribed { other: NodeId, topic: usize },
    /// On the right side of a foreign-key join: updates of this node.
    Foreign(NodeId),
    /// On the left side of a foreign-key join: what the right one answers.
    Responded { topic: usize },
}

/// A straight-line step of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The operator at this position of the chain.
    Operator(usize),
    /// A source table's record, without a store: read as an update.
    Read,
    /// A source table's or `to_table`'s record goes into the node's store; yields an update.
    Put,
    /// An update of a derived table goes into the node's store.
    Materialize,
    /// Out to a repartition topic, and back in before the operator at `before`. `number` counts in the segment, from 1.
    Repartition {
        number: usize,
        topic: usize,
        before: usize,
        keeps_null_keys: bool,
    },
    /// Here the records of another node enter: the operator that follows takes both sides. `number` counts in the chain, from 1.
    Meet {
        number: usize,
        /// The operator.
        position: usize,
        other: NodeId,
        /// The repartition topic through which the other node's records come.
        topic: Option<usize>,
    },
    /// The aggregation before yields an update, as the record cache does later: from here on both take the same way.
    Update,
    /// On to the next segment, which is the tail of a merge or takes the updates of the node's store.
    Next(usize),
    /// The chain's end: its types against the declared ones.
    Declare,
    /// Where a row of the table was looked up, it is found here.
    Found,
    /// Left rows of the foreign-key join at `position` subscribe, over this topic.
    Subscribe { position: usize, topic: usize },
    /// A subscription is kept and answered, over this topic.
    Answer { position: usize, topic: usize },
    /// A right row's subscriptions are answered, over this topic.
    AnswerAll { position: usize, topic: usize },
    /// Sinks and children.
    Deliver,
}

impl<'a> Plan<'a> {
    pub(crate) fn node(&self, id: NodeId) -> &NodePlan<'a> {
        &self.nodes[id.0]
    }

    /// A store's sub-topology and its local index there.
    pub(crate) fn local_store(&self, store: usize) -> Option<(usize, usize)> {
        self.subtopologies
            .iter()
            .enumerate()
            .find_map(|(index, sub)| {
                sub.stores
                    .iter()
                    .position(|s| *s == store)
                    .map(|local| (index, local))
            })
    }

    /// The local index of a store that the operator at `position` keeps beside the field's.
    pub(crate) fn local_inner(&self, node: &Node, position: usize) -> Option<usize> {
        let mut all = facts::inner_stores(self.topology, node).into_iter();
        let inner = all.find(|inner| inner.op == position)?;
        let is = |store: &Store<'_>| store.node == node.id && store.name == inner.name;
        let store = self.stores.iter().position(is)?;
        self.local_store(store).map(|(_, local)| local)
    }

    /// The sub-topology in which a node's finished records appear.
    pub(crate) fn home(&self, id: NodeId) -> Option<usize> {
        self.node(id).parts.last().copied()
    }

    /// The segment in which an aggregation's updates go on within their chain, if there is one.
    pub(crate) fn updating_segment(&self, id: NodeId) -> Option<usize> {
        self.node(id)
            .segments
            .iter()
            .position(|segment| segment.steps.contains(&Step::Update))
    }

    /// The segment with a chain's n-th meeting.
    pub(crate) fn meeting_segment(&self, id: NodeId, meeting: usize) -> Option<usize> {
        let meets = |step: &Step| matches!(step, Step::Meet { number, .. } if *number == meeting);
        self.node(id)
            .segments
            .iter()
            .position(|segment| segment.steps.iter().any(meets))
    }

    /// The sub-topology in which an operator of a node runs.
    pub(crate) fn home_of(&self, id: NodeId, segment: usize, step: usize) -> Option<usize> {
        let planned = self.node(id);
        let segment = planned.segments.get(segment)?;
        let before = segment.steps.get(..step)?;
        planned
            .parts
            .get(segment.part + repartitions(before))
            .copied()
    }

    /// The segment of a foreign-key join that takes the right table's updates.
    pub(crate) fn foreign_segment(&self, id: NodeId) -> Option<usize> {
        let mut segments = self.node(id).segments.iter();
        segments.position(|segment| matches!(segment.start, Start::Foreign(_)))
    }

    /// The segment that takes the updates of the node's store, if there is one.
    pub(crate) fn changed_segment(&self, id: NodeId) -> Option<usize> {
        self.node(id)
            .segments
            .iter()
            .position(|segment| matches!(segment.start, Start::Changed(..)))
    }
}

/// Plans a topology that passed the checks.
pub(crate) fn lower(topology: &Topology) -> Plan<'_> {
    let mut plan = Plan {
        topology,
        application_id: topology
            .args
            .application_id
            .as_ref()
            .map(syn::LitStr::value)
            .unwrap_or_default(),
        topics: Vec::new(),
        stores: Vec::new(),
        subtopologies: Vec::new(),
        globals: Vec::new(),
        processors: Vec::new(),
        nodes: Vec::new(),
    };
    let mut internal = Internal::default();
    for node in &topology.nodes {
        external_topics(&mut plan, node);
        chains::repartition_topics(&mut plan, node, &mut internal);
    }
    for node in &topology.nodes {
        let planned = chains::plan_node(&plan, node, &internal);
        plan.nodes.push(planned);
    }
    subtopologies(&mut plan, &internal);
    processors::processors(&mut plan, &internal);
    stores(&mut plan, &internal);
    entries(&mut plan);
    copartitioned(&mut plan, &internal);
    times::slots(&mut plan, &internal);
    describe::nodes(&mut plan, &internal);
    plan
}

/// The repartition topics before operators, by node and operator position.
#[derive(Debug, Default)]
pub(crate) struct Internal {
    /// Those within a chain.
    pub(crate) chains: BTreeMap<(NodeId, usize), usize>,
    /// Those of the other sides of two-sided operators.
    pub(crate) others: BTreeMap<(NodeId, usize), usize>,
    /// Those of subscriptions and of responses of foreign-key joins.
    pub(crate) foreign: BTreeMap<(NodeId, usize), (usize, usize)>,
}

impl Internal {
    /// How many divide a chain up to an operator.
    pub(crate) fn in_chain(&self, id: NodeId, position: usize) -> usize {
        self.chains.range((id, 0)..=(id, position)).count()
    }
}

fn external_topics<'a>(plan: &mut Plan<'a>, node: &'a Node) {
    if let Some(source) = node.source() {
        for topic in &source.topics {
            add_topic(
                plan,
                topic.value(),
                TopicRole::Source,
                source.partitions.as_ref(),
                // What a processor reads there, it says itself.
                node.types.clone().filter(|_| !node.is_global_store()),
            );
        }
    }
    for sink in &node.sinks {
        match &sink.topic {
            SinkTopic::Static(topic) => {
                add_topic(
                    plan,
                    topic.value(),
                    TopicRole::Sink,
                    sink.partitions.as_ref(),
                    node.types.clone(),
                );
            }
            SinkTopic::PerRecord(_, topics) => {
                for topic in topics {
                    let partitions = sink.partitions.as_ref();
                    add_topic(
                        plan,
                        topic.value(),
                        TopicRole::Sink,
                        partitions,
                        node.types.clone(),
                    );
                }
            }
        }
    }
}

/// A topic is listed once, whoever reads and writes it.
fn add_topic<'a>(
    plan: &mut Plan<'a>,
    name: String,
    role: TopicRole,
    partitions: Option<&'a Partitions>,
    types: Option<(Type, Type)>,
) -> usize {
    let external = |role| !matches!(role, TopicRole::Repartition | TopicRole::Changelog);
    if let Some(index) = plan
        .topics
        .iter()
        .position(|topic| topic.name == name && external(topic.role) && external(role))
    {
        let topic = &mut plan.topics[index];
        if topic.role != role {
            topic.role = TopicRole::SourceAndSink;
        }
        topic.partitions = topic.partitions.or(partitions);
        topic.types = topic.types.take().or(types);
        return index;
    }
    plan.topics.push(Topic {
        name,
        role,
        partitions,
        types,
    });
    plan.topics.len() - 1
}

/// The index of a topic that was added; topics of sources and sinks all are.
fn topic_index(plan: &Plan<'_>, name: &str) -> usize {
    plan.topics
        .iter()
        .position(|topic| {
            topic.name == name
                && !matches!(topic.role, TopicRole::Repartition | TopicRole::Changelog)
        })
        .unwrap_or_default()
}

/// Connects what runs in one task: union-find over the parts of nodes. A repartition topic separates, a global table does not
/// connect.
fn subtopologies(plan: &mut Plan<'_>, internal: &Internal) {
    let topology = plan.topology;
    let mut unit_of = BTreeMap::new();
    for node in &topology.nodes {
        for part in 0..facts::part_count(node, internal) {
            let unit = unit_of.len();
            unit_of.insert((node.id, part), unit);
        }
    }
    let mut sets = Sets((0..unit_of.len()).collect());
    let mut sharing: BTreeMap<NodeId, usize> = BTreeMap::new();
    for edge in &topology.edges {
        let from = topology.node(edge.from);
        let part = edge
            .op
            .map_or(0, |op| facts::part_at(internal, edge.to, op));
        if from.shape == Shape::Store
            && !from.is_global_store()
            && let Some(unit) = unit_of.get(&(edge.to, part))
        {
            let first = *sharing.entry(edge.from).or_insert(*unit);
            sets.unite(first, *unit);
        }
        if let Some(op) = edge.op
            && (internal.others.contains_key(&(edge.to, op))
                || internal.foreign.contains_key(&(edge.to, op)))
        {
            continue;
        }
        let Some(last) = facts::part_count(from, internal).checked_sub(1) else {
            continue;
        };
        if let (Some(a), Some(b)) = (
            unit_of.get(&(edge.from, last)),
            unit_of.get(&(edge.to, part)),
        ) {
            sets.unite(*a, *b);
        }
    }
    let mut ids = BTreeMap::new();
    for ((node, _), unit) in by_unit(&unit_of) {
        let next = ids.len();
        let id = *ids.entry(sets.find(unit)).or_insert(next);
        if let Some(planned) = plan.nodes.get_mut(node.0) {
            planned.parts.push(id);
        }
    }
    plan.subtopologies = ids.iter().map(|_| Subtopology::default()).collect();
    for node in &topology.nodes {
        let Some(chain) = node.chain() else { continue };
        for (position, op) in chain.ops.iter().enumerate() {
            let Some((_, Some(other))) = &op.other else {
                continue;
            };
            if topology.node(*other).shape != Shape::GlobalTable {
                continue;
            }
            let part = facts::part_at(internal, node.id, position);
            let Some(sub) = plan.nodes[node.id.0].parts.get(part) else {
                continue;
            };
            let globals = &mut plan.subtopologies[*sub].globals;
            if !globals.contains(other) {
                globals.push(*other);
            }
        }
    }
}

/// The units in the order in which they were numbered: that of the fields.
fn by_unit(units: &BTreeMap<(NodeId, usize), usize>) -> Vec<((NodeId, usize), usize)> {
    let mut list: Vec<_> = units.iter().map(|(key, unit)| (*key, *unit)).collect();
    list.sort_by_key(|(_, unit)| *unit);
    list
}

/// Union-find.
struct Sets(Vec<usize>);

impl Sets {
    fn find(&self, mut x: usize) -> usize {
        while self.0[x] != x {
            x = self.0[x];
        }
        x
    }

    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// Stores in the order of their fields, each with its changelog; a field's own before those of its operators.
fn stores(plan: &mut Plan<'_>, internal: &Internal) {
    let topology = plan.topology;
    for node in &topology.nodes {
        if facts::has_store(topology, node) {
            primary_store(plan, internal, node);
        }
        for inner in facts::inner_stores(topology, node) {
            inner_store(plan, internal, node, inner);
        }
    }
}

/// The store of a field.
fn primary_store<'a>(plan: &mut Plan<'a>, internal: &Internal, node: &'a Node) {
    let topology = plan.topology;
    let types = facts::store_types(node);
    let index = plan.stores.len();
    let changelog = changelog(plan, node, types.as_ref());
    let options = node.store.as_ref();
    plan.stores.push(Store {
        name: facts::store_name(node),
        node: node.id,
        role: Role::Primary,
        backend: backend(node),
        kind: versioned::history(topology, node).map_or(Kind::Table, Kind::Versioned),
        cache: !matches!(node.shape, Shape::GlobalTable | Shape::Store)
            && !super::windows::are_sent_uncached(node)
            && versioned::history(topology, node).is_none()
            && options
                .and_then(|options| options.cache.as_ref())
                .is_none_or(|cache| cache.value),
        changelog,
        types,
        queryable: facts::store_is_fields(node),
        field: node,
    });
    plan.nodes[node.id.0].store = Some(index);
    if node.is_global() {
        let topic = node
            .source()
            .and_then(|source| source.topics.first())
            .map_or(0, |topic| topic_index(plan, &topic.value()));
        plan.globals.push(Global {
            node: node.id,
            topic,
            store: index,
        });
        return;
    }
    let home = match node.shape {
        Shape::Store => processors::home_of_shared(plan, internal, node.id),
        _ => store_home(plan, node),
    };
    if let Some(sub) = home {
        plan.subtopologies[sub].stores.push(index);
    }
}

/// A store that an operator keeps beside the field's. It is never cached.
fn inner_store<'a>(plan: &mut Plan<'a>, internal: &Internal, node: &'a Node, inner: facts::Inner) {
    let index = plan.stores.len();
    let foreign = facts::foreign_of(plan.topology, node, inner.op);
    if !stream_joins::store(plan, node, &inner) {
        let types = foreign.and_then(|other| foreign::store_types(plan.topology, node, other));
        // What the field says of its store is not about the subscriptions.
        let changelog = if foreign.is_some() || logs(node) {
            let name = format!("{}-changelog", inner.name);
            Changelog::Internal(add_topic(
                plan,
                name,
                TopicRole::Changelog,
                None,
                types.clone(),
            ))
        } else {
            Changelog::None
        };
        plan.stores.push(Store {
            name: inner.name.clone(),
            node: node.id,
            role: Role::Inner(inner.role),
            backend: if foreign.is_some() {
                StoreKind::Lmdb
            } else {
                backend(node)
            },
            kind: inner_kind(node, &inner),
            cache: false,
            changelog,
            types,
            queryable: false,
            field: node,
        });
    }
    plan.nodes[node.id.0].inner.push(index);
    let part = facts::part_at(internal, node.id, inner.op);
    let home = match foreign {
        Some(other) => plan.home(other),
        None => plan.nodes[node.id.0].parts.get(part).copied(),
    };
    if let Some(sub) = home {
        plan.subtopologies[sub].stores.push(index);
    }
}

fn inner_kind<'a>(node: &'a Node, inner: &facts::Inner) -> Kind<'a> {
    let op = node.chain().and_then(|chain| chain.ops.get(inner.op));
    match op.and_then(|op| op.grace.as_ref()) {
        Some(grace) if inner.role == BUFFER.role => Kind::JoinBuffer(grace),
        _ if inner.role == SUPPRESSED.role => Kind::SuppressBuffer,
        _ => Kind::Table,
    }
}

fn backend(node: &Node) -> StoreKind {
    node.store
        .as_ref()
        .and_then(|options| options.kind.as_ref())
        .map_or(StoreKind::Lmdb, |(kind, _)| *kind)
}

/// Whether a node's stores are logged.
fn logs(node: &Node) -> bool {
    node.store
        .as_ref()
        .and_then(|options| options.changelog.as_ref())
        .is_none_or(|changelog| changelog.value)
}

/// A store lives where the operator that owns it runs.
fn store_home(plan: &Plan<'_>, node: &Node) -> Option<usize> {
    let NodePlan {
        parts, segments, ..
    } = plan.node(node.id);
    let part = segments.iter().find_map(|segment| {
        if matches!(segment.start, Start::Changed(..)) {
            return Some(segment.part);
        }
        let update = segment
            .steps
            .iter()
            .position(|step| *step == Step::Update)?;
        Some(segment.part + repartitions(&segment.steps[..update]))
    });
    part.and_then(|part| parts.get(part))
        .or(parts.last())
        .copied()
}

fn repartitions(steps: &[Step]) -> usize {
    steps
        .iter()
        .filter(|step| matches!(step, Step::Repartition { .. }))
        .count()
}

fn changelog(plan: &mut Plan<'_>, node: &Node, types: Option<&(Type, Type)>) -> Changelog {
    let source_topic = node
        .source()
        .and_then(|source| source.topics.first())
        .map(syn::LitStr::value);
    if let Some(topic) = &source_topic
        && (node.is_global() || facts::reuses_source_topics(plan.topology))
    {
        return Changelog::Source(topic_index(plan, topic));
    }
    if !logs(node) {
        return Changelog::None;
    }
    let name = format!("{}-changelog", facts::store_name(node));
    let types = types.cloned();
    Changelog::Internal(add_topic(plan, name, TopicRole::Changelog, None, types))
}

/// What each sub-topology reads, in the order of the fields.
fn entries(plan: &mut Plan<'_>) {
    let topology = plan.topology;
    for node in &topology.nodes {
        if let (Some(source), Some(sub)) =
            (node.source(), plan.nodes[node.id.0].parts.first().copied())
        {
            for topic in &source.topics {
                let entry = Entry {
                    name: facts::source_node_name(node),
                    topic: topic_index(plan, &topic.value()),
                    offset_reset: source
                        .offset_reset
                        .as_ref()
                        .map_or(OffsetReset::Earliest, |(reset, _)| *reset),
                    node: node.id,
                    received_by: None,
                };
                plan.subtopologies[sub].sources.push(entry);
            }
        }
        if !matches!(node.origin, Origin::Derived(_)) {
            continue;
        }
        for segment in 0..plan.nodes[node.id.0].segments.len() {
            foreign::entry(plan, node.id, segment);
            let steps = plan.nodes[node.id.0].segments[segment].steps.clone();
            for (index, step) in steps.iter().enumerate() {
                let (topic, arm, at) = match step {
                    Step::Repartition { number, topic, .. } => {
                        (*topic, Arm::Repartitioned(*number), index + 1)
                    }
                    Step::Meet {
                        number,
                        topic: Some(topic),
                        ..
                    } => (*topic, Arm::OtherRepartitioned(*number), index),
                    _ => continue,
                };
                let Some(sub) = plan.home_of(node.id, segment, at) else {
                    continue;
                };
                let name = format!("{}-source", plan.topics[topic].name);
                plan.subtopologies[sub].sources.push(Entry {
                    name,
                    topic,
                    offset_reset: OffsetReset::Earliest,
                    node: node.id,
                    received_by: Some((segment, arm)),
                });
            }
        }
    }
}

/// The topics behind both sides of each join, and behind each aggregation of several topics.
fn copartitioned(plan: &mut Plan<'_>, internal: &Internal) {
    for group in facts::copartition_groups(plan.topology, internal) {
        let Some(sub) = plan.nodes[group.node.0].parts.get(group.part).copied() else {
            continue;
        };
        let mut topics: Vec<usize> = group
            .origins
            .iter()
            .flat_map(|origin| origin_topics(plan, internal, *origin))
            .collect();
        topics.sort_unstable();
        topics.dedup();
        let groups = &mut plan.subtopologies[sub].copartitioned;
        if topics.len() > 1 && !groups.contains(&topics) {
            groups.push(topics);
        }
    }
    foreign::copartitioned(plan, internal);
}

/// The topics that records of an origin come from.
fn origin_topics(plan: &Plan<'_>, internal: &Internal, origin: facts::Origin) -> Vec<usize> {
    let topic = match origin {
        facts::Origin::Source(id) => {
            let source = plan.topology.node(id).source();
            let topics = source.into_iter().flat_map(|source| &source.topics);
            return topics
                .map(|topic| topic_index(plan, &topic.value()))
                .collect();
        }
        facts::Origin::Repartition(id, op) => internal.chains.get(&(id, op)),
        facts::Origin::OtherRepartition(id, op) => internal.others.get(&(id, op)),
    };
    topic.copied().into_iter().collect()
}
