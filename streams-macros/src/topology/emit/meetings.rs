//! Operators of two sides: how the other node's records enter a method, and where both sides meet.
//!
//! Both sides come out of the method's `match`, so that each closure stands once, behind it. A stream's sides meet there as
//! they are. Of tables, an update of the other one brings the row of this one that it belongs to: the row takes the way of an
//! update up to the meeting, through filters and earlier joins.

use proc_macro2::{Ident, Span, TokenStream};

use super::super::kinds::{Operator, Partitioning};
use super::super::model::{NodeId, Op};
use super::super::plan::{Segment, Start, Step, TimeRole, facts, old_values, versioned};
use super::super::windows;
use super::methods::of_node;
use super::steps::{Flow, Method};
use super::{Emit, ident_at, mixed_ident, number};

/// A two-sided operator in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meeting {
    pub(super) number: usize,
    pub(super) position: usize,
    pub(super) other: NodeId,
    pub(super) topic: Option<usize>,
    /// Its place among the steps of the segment.
    step: usize,
}

/// The meetings of a segment, in the order of its chain.
pub(super) fn meetings(segment: &Segment) -> Vec<Meeting> {
    let meeting = |(step, s): (usize, &Step)| match s {
        Step::Meet {
            number,
            position,
            other,
            topic,
        } => Some(Meeting {
            number: *number,
            position: *position,
            other: *other,
            topic: *topic,
            step,
        }),
        _ => None,
    };
    segment
        .steps
        .iter()
        .enumerate()
        .filter_map(meeting)
        .collect()
}

/// `Other1`: the other side's records.
pub(super) fn other(number: usize) -> Ident {
    mixed_ident(&format!("Other{number}"))
}

/// `OtherRepartitioned1`: the same, behind their repartition topic.
pub(super) fn other_repartitioned(number: usize) -> Ident {
    mixed_ident(&format!("OtherRepartitioned{number}"))
}

/// `other1`: an update of the other side on its way to its meeting.
fn carried(number: usize) -> Ident {
    mixed_ident(&format!("other{number}"))
}

/// `other_edge1`.
fn other_edge(number: usize) -> Ident {
    mixed_ident(&format!("other_edge{number}"))
}

/// Expands to `Other1(&'t mut ShopTask0, Record<…>),` for each meeting, and `OtherRepartitioned1(…)` where there is a topic.
pub(super) fn variants(
    emit: &Emit<'_>,
    id: NodeId,
    index: usize,
    segment: &Segment,
) -> TokenStream {
    let mut out = TokenStream::new();
    for meeting in meetings(segment) {
        let home = emit.plan.home_of(id, index, meeting.step);
        let here = emit.task_name(home.unwrap_or_default());
        let (variant, record) = (other(meeting.number), of_node(emit, meeting.other));
        if meeting.topic.is_none() {
            out.extend(mixed!(#variant(&'t mut #here, #record),));
            continue;
        }
        let there = emit.plan.home(meeting.other);
        let there = emit.task_name(there.unwrap_or_default());
        let received = other_repartitioned(meeting.number);
        out.extend(mixed!(#variant(&'t mut #there, #record),));
        out.extend(mixed!(#received(&'t mut #here, __s::RawRecord<'t>),));
    }
    if segment.steps.contains(&Step::Found) {
        let task = emit.head_task(id, index);
        let (key, value) = emit.types(id);
        let version =
            versioned::is_versioned(emit.plan.topology, id).then(|| mixed!(__s::Version,));
        let row = mixed!(&'t mut __s::Option<__s::Row<#value>>);
        out.extend(mixed!(Row(&'t mut #task, &'t #key, #version #row),));
    }
    out
}

impl<'e> Method<'e> {
    /// The meetings of the stage that is being written.
    fn meetings(&self) -> Vec<Meeting> {
        let (begin, end) = self.within.get();
        let here = |meeting: &Meeting| (begin..end).contains(&meeting.step);
        meetings(self.segment).into_iter().filter(here).collect()
    }

    pub(super) fn op_at(&self, position: usize) -> Option<&'e Op> {
        self.node.chain()?.ops.get(position)
    }

    /// Whether the operator at a position brings an input of a cogroup.
    pub(super) fn is_cogroup(&self, position: usize) -> bool {
        self.op_at(position).is_some_and(|op| op.is("cogroup"))
    }

    /// Whether the operator of a meeting joins tables.
    fn is_of_tables(&self, meeting: &Meeting) -> bool {
        self.op_at(meeting.position)
            .is_some_and(facts::joins_tables)
    }

    /// What the arms of this method yield besides the record: the other sides' updates, on their way to their meetings of
    /// tables, and where a row goes that is looked up.
    fn carried(&self) -> Vec<Ident> {
        self.meetings()
            .iter()
            .filter(|meeting| self.is_of_tables(meeting))
            .map(|meeting| carried(meeting.number))
            .chain(self.is_viewed().then(|| mixed_ident("row")))
            .collect()
    }

    /// Whether rows are looked up through this method.
    fn is_viewed(&self) -> bool {
        self.segment.steps.contains(&Step::Found)
    }

    /// Where the arms of the method's `match` come together: in these steps, the number of those that belong to the arm.
    pub(super) fn junction(&self, steps: &[Step]) -> Option<usize> {
        if let Some(update) = steps.iter().position(|step| *step == Step::Update) {
            return Some(update + 1);
        }
        if steps.contains(&Step::Found) {
            return Some(0);
        }
        let (step, meeting) = steps.iter().enumerate().find_map(|(step, s)| match s {
            Step::Meet { position, .. } if !self.is_cogroup(*position) => Some((step, *position)),
            _ => None,
        })?;
        let tables = self.op_at(meeting).is_some_and(facts::joins_tables);
        Some(if tables { 0 } else { step + 1 })
    }

    /// What an arm of the `match` yields: the task, the record, and no update of another table.
    pub(super) fn crossing(&self, flow: Flow) -> TokenStream {
        self.uses_task.set(true);
        let none: Vec<_> = self.carried().iter().map(|_| mixed!(__s::None)).collect();
        if flow.looped {
            match none.is_empty() {
                true => mixed!(updates.push(r);),
                false => mixed!(updates.push((r #(, #none)*));),
            }
        } else {
            mixed!((t, r #(, #none)*))
        }
    }

    /// The same as patterns. What is met behind a suppression is taken out within its loop.
    fn carried_patterns(&self) -> Vec<TokenStream> {
        let held: Vec<_> = self
            .meetings()
            .iter()
            .filter(|meeting| self.is_held_back(meeting.step))
            .map(|meeting| carried(meeting.number))
            .collect();
        let pattern = |name: Ident| match held.contains(&name) {
            true => mixed!(mut #name),
            false => mixed!(#name),
        };
        self.carried().into_iter().map(pattern).collect()
    }

    /// Whether a suppression stands before this step in the method's straight line.
    fn is_held_back(&self, step: usize) -> bool {
        let suppresses = |step: &Step| match step {
            Step::Operator(position) => self.op_at(*position).is_some_and(facts::is_suppression),
            _ => false,
        };
        let before = self.segment.steps.get(..step).unwrap_or_default();
        before.iter().any(suppresses)
    }

    /// What the `match` yields besides the task, as a pattern.
    pub(super) fn crossed(&self, looped: bool) -> TokenStream {
        let others = self.carried_patterns();
        if looped {
            mixed!(, updates)
        } else {
            mixed!(, r #(, #others)*)
        }
    }

    /// What one of several updates is, as a pattern.
    pub(super) fn each(&self) -> TokenStream {
        let others = self.carried_patterns();
        match others.is_empty() {
            true => mixed!(r),
            false => mixed!((r #(, #others)*)),
        }
    }

    /// The edges of the other sides' repartition topics.
    pub(super) fn other_edges(&self) -> TokenStream {
        self.meetings()
            .iter()
            .filter(|meeting| meeting.topic.is_some())
            .map(|meeting| {
                let edge = other_edge(meeting.number);
                let made = ident_at("edge", self.place(meeting));
                mixed!(let #edge = __s::#made();)
            })
            .collect()
    }

    /// Where the user names the other node.
    fn place(&self, meeting: &Meeting) -> Span {
        let other = self
            .op_at(meeting.position)
            .and_then(|op| op.other.as_ref());
        other.map_or(self.node.name.span(), |(name, _)| name.span())
    }

    /// An arm for each meeting: the other side's records.
    pub(super) fn other_arms(
        &self,
        at: &Ident,
        looped: bool,
        ways: &mut Vec<TokenStream>,
    ) -> TokenStream {
        let mut out = TokenStream::new();
        for meeting in self.meetings() {
            let variant = other(meeting.number);
            ways.push(mixed!(#at::#variant(..)));
            self.uses_task.set(false);
            let arm = self.enters(&meeting, looped);
            let t = mixed_ident(if self.uses_task.get() { "t" } else { "_t" });
            let Some(topic) = meeting.topic else {
                out.extend(mixed!(#at::#variant(#t, other) => { #arm }));
                continue;
            };
            let (edge, topic) = (other_edge(meeting.number), super::number(topic));
            let nullable = self
                .op_at(meeting.position)
                .and_then(|op| op.known())
                .is_some_and(|row| row.partitioning == Partitioning::ByKeyOrNull);
            let keys = if nullable {
                TokenStream::new()
            } else {
                let not_null = ident_at("not_null_key", self.place(&meeting));
                mixed! {
                    let __s::Some(other) = __s::Keyed(other).#not_null() else {
                        return __s::Ok(());
                    };
                }
            };
            let send = ident_at("send", self.place(&meeting));
            let receive = ident_at("receive", self.place(&meeting));
            let received = other_repartitioned(meeting.number);
            ways.push(mixed!(#at::#received(..)));
            out.extend(mixed! {
                #at::#variant(_t, other) => {
                    #keys
                    return #edge.#send(#topic, other, cx);
                }
                #at::#received(#t, raw) => {
                    let __s::Some(other) = #edge.#receive(raw, cx)? else {
                        return __s::Ok(());
                    };
                    #arm
                }
            });
        }
        out
    }

    /// The arm by which a row is looked up.
    pub(super) fn row_arm(&self, at: &Ident, ways: &mut Vec<TokenStream>) -> TokenStream {
        let Some(Start::Input(input)) = self.is_viewed().then_some(&self.segment.start) else {
            return TokenStream::new();
        };
        ways.push(mixed!(#at::Row(..)));
        self.uses_context.set(true);
        let topology = self.emit.plan.topology;
        let version = versioned::is_versioned(topology, self.node.id).then(|| mixed!(version));
        let exit = Flow::STRAIGHT.exit();
        let find = self.find(*input, &mixed!(key), version.as_ref(), &exit);
        let found = mixed!(__s::row_of(key, found, cx)?);
        let found = match self.emit.window_size(self.node.id) {
            Some(size) => mixed!(__s::Suppress::sized(#found, #size)),
            None => found,
        };
        let version = version.map(|version| mixed!(#version,));
        let carried = self.carried().into_iter().map(|name| {
            if name == "row" {
                mixed!(__s::Some(row))
            } else {
                mixed!(__s::None)
            }
        });
        mixed! {
            #at::Row(t, key, #version row) => {
                let found = #find;
                (t, #found #(, #carried)*)
            }
        }
    }

    /// The row of a table under a key that is lent: of a versioned one the latest, unless a `version` is given. Where a function that
    /// makes the row fails, and the handler says to go on, the way ends by `exit`.
    pub(super) fn find(
        &self,
        id: NodeId,
        key: &TokenStream,
        version: Option<&TokenStream>,
        exit: &TokenStream,
    ) -> TokenStream {
        let (t, cx, receiver) = {
            self.uses_task.set(true);
            self.uses_context.set(true);
            (mixed!(t), mixed!(cx), &self.receiver)
        };
        let topology = self.emit.plan.topology;
        let table = topology.node(id);
        if !facts::is_viewed(topology, table) {
            let field = &table.name;
            return match version {
                Some(version) => mixed!(#t.#field.find_version(#key, #version, #cx)?),
                None => mixed!(#t.#field.find(#key, #cx)?),
            };
        }
        let version = versioned::is_versioned(topology, id).then(|| match version {
            Some(version) => mixed!(#version,),
            None => mixed!(__s::Version::Latest,),
        });
        let segments = &self.emit.plan.node(id).segments;
        let segment = segments
            .iter()
            .position(|segment| segment.steps.contains(&Step::Found))
            .unwrap_or_default();
        let method = self.emit.method_name(id, segment);
        let at = self.emit.at_name(id, segment);
        mixed!({
            let mut row = __s::None;
            __Nodes::#method(#receiver, #at::Row(#t, #key, #version &mut row), #cx)?;
            let __s::Some(row) = row else { #exit };
            row
        })
    }

    /// What the arm of a meeting yields for a record `other` of the other side.
    fn enters(&self, meeting: &Meeting, looped: bool) -> TokenStream {
        if self.is_cogroup(meeting.position) {
            return self.cogrouped(meeting, looped);
        }
        let (row, carried) = if self.is_of_tables(meeting) {
            let latest = versioned::is_versioned(self.emit.plan.topology, meeting.other)
                .then(|| self.latest(&mixed!(other), &mixed!(return __s::Ok(());)));
            let (row, carried) = self.row_of(meeting);
            (mixed!(#latest #row), carried)
        } else {
            (mixed!(let r = __s::Sided::Other(other);), Vec::new())
        };
        let task = {
            self.uses_task.set(true);
            mixed!(t)
        };
        let each = match carried.is_empty() {
            true => mixed!(r),
            false => mixed!((r #(, #carried)*)),
        };
        let crossed = if looped {
            mixed!({
                let mut updates = __s::Vec::new();
                updates.push(#each);
                (#task, updates)
            })
        } else {
            mixed!((#task, r #(, #carried)*))
        };
        mixed!(#row #crossed)
    }

    /// The key of a cogroup's further input has to be that of the aggregate.
    pub(super) fn cogrouped_key(&self) -> TokenStream {
        let input = self.input.get().and_then(|position| self.op_at(position));
        let (Some((place, Some(other))), Some((key, _))) =
            (input.and_then(|op| op.other.as_ref()), &self.node.types)
        else {
            return TokenStream::new();
        };
        let by_windows = windows::of_node(self.node).is_some();
        let cogrouped = if by_windows {
            "cogrouped_by_windows"
        } else {
            "cogrouped"
        };
        let cogrouped = ident_at(cogrouped, place.span());
        let node = self.emit.marker(self.node);
        let other = self.emit.marker(self.emit.plan.topology.node(*other));
        mixed!(let r = __s::Chain(r).#cogrouped::<#node, #other, #key>();)
    }

    /// The initializer of a cogroup, and what merges its sessions: every input may need them.
    pub(super) fn initializer(&self) -> TokenStream {
        let Some(op) = self.cogroup_aggregate() else {
            return TokenStream::new();
        };
        let initializer = op.args.first();
        let merger = op
            .args
            .get(1)
            .zip(self.merger_types())
            .map(|(merger, typed)| mixed!(let merge = #typed.by(#merger);));
        mixed!(let initial = #initializer; #merger)
    }

    /// What tells rustc the types of a function that merges sessions, before it sees a record; `None` where the function
    /// stands behind one, as it has one place only.
    fn merger_types(&self) -> Option<TokenStream> {
        if let Some((key, value)) = facts::store_types(self.node) {
            return Some(mixed!(__s::Merging::<#key, #value>::new()));
        }
        let cogroups = self.node.chain()?.cogrouped().into_iter();
        let mut others = cogroups.filter_map(|at| self.op_at(at)?.other.as_ref()?.1);
        let record = of_node(self.emit, others.next()?);
        let keys = mixed!(with_keys_like(&|r: #record| __s::Keyed(r).not_null_key()));
        Some(mixed!(store.#keys.with_values_of(&initial).merging()))
    }

    /// The function that merges the sessions of a cogroup, as an argument.
    pub(super) fn merger(&self, op: &Op) -> Option<TokenStream> {
        let merger = op.args.get(1)?;
        Some(match self.merger_types() {
            Some(_) => mixed!(&merge),
            None => mixed!(#merger),
        })
    }

    /// The aggregation of a cogroup, if it is in this method.
    fn cogroup_aggregate(&self) -> Option<&'e Op> {
        let position = self.node.chain()?.stateful()?;
        let here = self.segment.steps.contains(&Step::Operator(position));
        let aggregates = |op: &&Op| op.known().is_some_and(Operator::aggregates_cogroup);
        self.op_at(position).filter(aggregates).filter(|_| here)
    }

    /// The aggregator of the cogroup's input that is being written, and the word it was given to; none if `aggregation` is not
    /// that of a cogroup.
    pub(super) fn aggregator(&self, aggregation: &Op) -> Option<(&'e Op, &'e syn::Expr)> {
        if !aggregation.known()?.aggregates_cogroup() {
            return None;
        }
        let first = || self.node.chain()?.cogrouped().first().copied();
        let op = self.op_at(self.input.get().or_else(first)?)?;
        Some((op, op.args.last()?))
    }

    /// `.at_time(1)`: the time of a cogroup's input, where it is not the first.
    pub(super) fn time_of_input(&self) -> TokenStream {
        let role = self.input.get().map(TimeRole::Input);
        match role.and_then(|role| self.emit.plan.time(self.node.id, role)) {
            Some(slot) => {
                let slot = number(slot);
                mixed!(.at_time(#slot))
            }
            None => TokenStream::new(),
        }
    }

    /// An input of a cogroup: its records go into the aggregate by its own aggregator, and on as the others do.
    fn cogrouped(&self, meeting: &Meeting, looped: bool) -> TokenStream {
        let aggregate = self.node.chain().and_then(|chain| chain.stateful());
        let steps = &self.segment.steps;
        let from = steps
            .iter()
            .position(|step| matches!(step, Step::Operator(at) if Some(*at) == aggregate));
        let to = steps.iter().position(|step| *step == Step::Update);
        let steps = from.and_then(|from| match to {
            Some(to) => steps.get(from..=to),
            None => steps.get(from..),
        });
        let before = self.input.replace(Some(meeting.position));
        let flow = Flow {
            looped: false,
            updates: to.is_some(),
        };
        let body = self.steps(steps.unwrap_or_default(), flow, meeting.topic.is_some());
        self.input.set(before);
        if looped && windows::of_node(self.node).is_some() {
            return mixed!(let r = other; { let mut updates = __s::Vec::new(); #body });
        }
        let body = if looped {
            // One update at most, where another input may bring several.
            let others = self.carried();
            let each = match others.is_empty() {
                true => mixed!(r),
                false => mixed!((r #(, #others)*)),
            };
            mixed!({
                let (t, r #(, #others)*) = { #body };
                let mut updates = __s::Vec::new();
                updates.push(#each);
                (t, updates)
            })
        } else {
            body
        };
        mixed!(let r = other; #body)
    }

    /// Joins of tables take the latest updates of a versioned one: those of its past are dropped and counted.
    pub(super) fn latest(&self, record: &TokenStream, exit: &TokenStream) -> TokenStream {
        self.uses_context.set(true);
        mixed!(let __s::Some(#record) = __s::latest(#record, cx) else { #exit };)
    }

    /// Looks up this table's row for an update of the other one.
    fn row_of(&self, meeting: &Meeting) -> (TokenStream, Vec<TokenStream>) {
        self.uses_context.set(true);
        let topology = self.emit.plan.topology;
        let (node, other) = (
            self.emit.marker(self.node),
            self.emit.marker(topology.node(meeting.other)),
        );
        let split = ident_at("split", self.place(meeting));
        let (key, find) = self.base_row(meeting);
        let arrived = carried(meeting.number);
        let carried = self.carried().into_iter().map(|name| {
            if name == arrived {
                mixed!(__s::Some(other))
            } else {
                mixed!(__s::None)
            }
        });
        let row = mixed! {
            let (key, other) = __s::LookUp(other).among::<#key>().#split::<#node, #other>();
            let row = #find;
            let r = __s::row(key, row);
        };
        (row, carried.collect())
    }

    /// How a row is found by `&key` in the table that a chain's table operators begin with, and the key's type.
    fn base_row(&self, meeting: &Meeting) -> (TokenStream, TokenStream) {
        let before = self.segment.steps.get(..meeting.step).unwrap_or_default();
        if before.contains(&Step::Update) {
            return (mixed!(_), mixed!(store.find(&key, cx)?));
        }
        match &self.segment.start {
            Start::Changed(types) => {
                let (key, _) = &**types;
                self.uses_task.set(true);
                let field = &self.node.name;
                (mixed!(#key), mixed!(t.#field.find(&key, cx)?))
            }
            Start::Input(input) => {
                let (key, _) = self.emit.types(*input);
                let exit = Flow::STRAIGHT.exit();
                (key, self.find(*input, &mixed!(&key), None, &exit))
            }
            Start::Source
            | Start::Merged { .. }
            | Start::Processed(_)
            | Start::Subscribed { .. }
            | Start::Foreign(_)
            | Start::Responded { .. } => (mixed!(_), TokenStream::new()),
        }
    }

    /// Whether what flows before the operator at `position` is a row that was looked up: `other1.is_some() || …`.
    pub(super) fn is_row_before(&self, position: usize) -> Option<TokenStream> {
        let later = self
            .meetings()
            .into_iter()
            .filter(|meeting| meeting.position >= position && self.is_of_tables(meeting))
            .map(|meeting| carried(meeting.number));
        let row = self.is_viewed().then(|| mixed_ident("row"));
        let rows: Vec<_> = later.chain(row).collect();
        (!rows.is_empty()).then(|| mixed!(#(#rows.is_some())||*))
    }

    /// Both sides of a table's join come together, as `r`.
    pub(super) fn meet(&self, step: &Step, flow: Flow) -> TokenStream {
        let Step::Meet {
            number,
            position,
            other,
            ..
        } = step
        else {
            return TokenStream::new();
        };
        let Some(op) = self.op_at(*position) else {
            return TokenStream::new();
        };
        let topology = self.emit.plan.topology;
        let table = topology.node(*other);
        let place = op
            .other
            .as_ref()
            .map_or(op.name.span(), |(name, _)| name.span());
        let (node, marker) = (self.emit.marker(self.node), self.emit.marker(table));
        let (key, _) = self.emit.types(*other);
        let by = ident_at("by", place);
        let key = mixed!(__s::LookUp(&r.key).#by::<#node, #marker, #key>());
        let find = self.find(*other, &key, None, &flow.exit());
        let met = mixed!({
            let row = #find;
            __s::Met::by_row(r, row)
        });
        let arrived = carried(*number);
        let here = |meeting: &Meeting| meeting.number == *number;
        let held = self.meetings().into_iter().find(here);
        let taken = held
            .filter(|meeting| self.is_held_back(meeting.step))
            .map(|_| mixed!(.take()));
        let passing = self
            .is_row_before(*position + 1)
            .map(|is_row| mixed!(__s::None if #is_row => __s::Met::as_row(#met),));
        let old = old_values::is_asked_at(topology, self.node, *position + 1)
            .then(|| mixed!(.sending_old_values()));
        mixed! {
            let r = match #arrived #taken {
                __s::Some(other) => __s::Met::by_other(r, other),
                #passing
                __s::None => #met,
            }#old;
        }
    }
}
