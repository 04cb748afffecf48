//! The steps of a segment, straight-line: one line per operator, closures pasted as they were written, exactly once.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use std::cell::Cell;
use syn::Expr;
use syn::spanned::Spanned as _;

use super::super::kinds::Shape;
use super::super::model::{Chain, Node, NodeId, Op};
use super::super::parse::SinkTopic;
use super::super::plan::{Child, Segment, Start, Step, facts, old_values, processors, versioned};
use super::super::stream_join::joins_streams;
use super::{Emit, at, ident_at, meetings, sinks};

/// The method being written.
pub(super) struct Method<'e> {
    pub(super) emit: &'e Emit<'e>,
    pub(super) node: &'e Node,
    pub(super) segment: &'e Segment,
    /// The user's own `self` token, or ours where no closure has one.
    pub(super) receiver: Ident,
    /// The operator that brings the input of a cogroup that is being written; `None` is the first.
    pub(super) input: Cell<Option<usize>>,
    /// The steps of the stage that is being written, as a range.
    pub(super) within: Cell<(usize, usize)>,
    pub(super) uses_task: Cell<bool>,
    pub(super) uses_context: Cell<bool>,
}

/// Where code stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Flow {
    /// In the loop of a `flat_map`, not in a method's straight line.
    pub(super) looped: bool,
    /// On the way to an update, which the code after it takes.
    pub(super) updates: bool,
}

impl Flow {
    pub(super) const STRAIGHT: Flow = Flow {
        looped: false,
        updates: false,
    };

    /// Done with this record.
    pub(super) fn exit(self) -> TokenStream {
        if self.looped {
            mixed!(continue;)
        } else {
            mixed!(return __s::Ok(());)
        }
    }

    /// The last call of a path.
    pub(super) fn call(self, call: &TokenStream) -> TokenStream {
        if self.looped {
            mixed!(#call?;)
        } else {
            call.clone()
        }
    }

    /// The end of a path that calls nobody.
    pub(super) fn done(self) -> TokenStream {
        match self {
            Flow { looped: true, .. } => TokenStream::new(),
            Flow { updates: true, .. } => mixed!((t, updates)),
            Flow { .. } => mixed!(__s::Ok(())),
        }
    }
}

impl<'e> Method<'e> {
    pub(super) fn chain(&self) -> Option<&'e Chain> {
        self.node.chain()
    }

    /// `t`, noting that it is used.
    pub(super) fn task(&self) -> TokenStream {
        self.uses_task.set(true);
        mixed!(t)
    }

    /// `cx`, noting that it is used.
    pub(super) fn context(&self) -> TokenStream {
        self.uses_context.set(true);
        mixed!(cx)
    }

    /// Some steps, then the rest. `fresh` says that null keys were left out just before.
    pub(super) fn steps(&self, steps: &[Step], flow: Flow, fresh: bool) -> TokenStream {
        let Some((step, rest)) = steps.split_first() else {
            return flow.done();
        };
        match step {
            Step::Operator(position) => {
                match self.chain().and_then(|chain| chain.ops.get(*position)) {
                    Some(op) => self.operator(op, *position, rest, flow, fresh),
                    None => self.steps(rest, flow, fresh),
                }
            }
            Step::Read => {
                let rest = self.steps(rest, flow, false);
                mixed!(let r = __s::ops::to_table(r); #rest)
            }
            Step::Put => {
                let before = self.updates(fresh, flow);
                let put = self.put("source", rest, flow);
                mixed!(#before #put)
            }
            Step::Materialize => {
                let last = self.chain().and_then(|chain| chain.ops.last());
                let materialize = if self.tells_absent_rows() {
                    "materialize_filtered"
                } else if last.is_some_and(facts::joins_tables) {
                    "materialize_joined"
                } else {
                    "materialize"
                };
                self.put(materialize, rest, flow)
            }
            Step::Repartition {
                number,
                topic,
                before,
                keeps_null_keys,
            } => {
                let (edge, topic) = (edge(*number), super::number(*topic));
                let cx = self.context();
                let chain = self.chain().and_then(|chain| chain.ops.get(*before));
                let send = match chain.and_then(Op::partitioner) {
                    Some(expr) => {
                        let (way, by) = sinks::partitioner(expr);
                        let send = ident_at(&format!("send_{way}"), expr.span());
                        mixed!(#edge.#send(#topic, r, #by, #cx))
                    }
                    None => {
                        let send = ident_at("send", self.made_before(*before));
                        mixed!(#edge.#send(#topic, r, #cx))
                    }
                };
                let send = flow.call(&send);
                if *keeps_null_keys {
                    return send;
                }
                let exit = flow.exit();
                // The key's type stays: all readers see it as it is declared.
                if facts::merges_at(self.emit.plan.topology, self.node.id, *before) {
                    return mixed!(if __s::Serde::is_null(&r.key) { #exit } #send);
                }
                let not_null = ident_at("not_null_key", self.node.name.span());
                mixed!(let __s::Some(r) = __s::Keyed(r).#not_null() else { #exit }; #send)
            }
            Step::Update => self.crossing(flow),
            Step::Meet { position, .. } if self.is_cogroup(*position) => {
                self.steps(rest, flow, fresh)
            }
            Step::Meet { .. } if flow.updates => {
                let crossing = self.crossing(flow);
                mixed!(let r = __s::Sided::This(r); #crossing)
            }
            Step::Meet { position, .. } => {
                let meet = self.meet(step, flow);
                let topology = self.emit.plan.topology;
                let latest = (self.op_at(*position).is_some_and(facts::joins_tables)
                    && versioned::is_versioned_before(topology, self.node, *position))
                .then(|| self.latest(&mixed!(r), &flow.exit()));
                let rest = self.steps(rest, flow, false);
                mixed!(#latest #meet #rest)
            }
            Step::Next(segment) => {
                let merged = self.merged(*segment);
                let call = self.call(self.node.id, *segment, &mixed!(r));
                let call = flow.call(&call);
                mixed!(#merged #call)
            }
            Step::Declare => {
                let declared = self.declared();
                let rest = self.steps(rest, flow, false);
                mixed!(#declared #rest)
            }
            Step::Found => {
                let rest = self.steps(rest, flow, false);
                mixed! {
                    if let __s::Some(row) = row {
                        *row = __s::Some(__s::found(r));
                        return __s::Ok(());
                    }
                    #rest
                }
            }
            Step::Subscribe { position, topic } => self.subscribe(*position, *topic, flow),
            Step::Answer { position, topic } => self.answer(true, *position, *topic, flow),
            Step::AnswerAll { position, topic } => self.answer(false, *position, *topic, flow),
            Step::Deliver => self.deliver(flow),
        }
    }

    /// The operator that made what goes through the repartition topic before this position.
    pub(super) fn made_before(&self, position: usize) -> Span {
        let made = self
            .chain()
            .and_then(|chain| chain.ops.get(position.saturating_sub(1)));
        made.map_or(self.node.name.span(), |op| op.name.span())
    }

    /// The chain's types against the declared ones.
    fn declared(&self) -> TokenStream {
        let Some((key, value)) = &self.node.types else {
            return TokenStream::new();
        };
        let wrapper = match self.node.shape {
            Shape::Table => mixed!(__s::TableChain),
            _ => mixed!(__s::Chain),
        };
        let declared = ident_at("declared", self.node.ty.span());
        let marker = self.emit.marker(self.node);
        mixed!(let r = #wrapper(r).#declared::<#marker, #key, #value>();)
    }

    /// Before the tail of a merge: what this side of it has to be.
    fn merged(&self, segment: usize) -> TokenStream {
        let segments = &self.emit.plan.node(self.node.id).segments;
        match segments.get(segment).map(|next| &next.start) {
            Some(Start::Merged { ends: true, .. }) => self.declared(),
            Some(Start::Merged { other, .. }) => {
                let place = self.chain().and_then(|chain| place_of(chain, *other));
                let merged = ident_at("merged", place.map_or(self.node.name.span(), Ident::span));
                let marker = self.emit.marker(self.node);
                let other_marker = self.emit.marker(self.emit.plan.topology.node(*other));
                let (key, value) = self.emit.types(*other);
                mixed!(let r = __s::Chain(r).#merged::<#marker, #other_marker, #key, #value>();)
            }
            _ => TokenStream::new(),
        }
    }

    /// A record for a reader that merges this node in as the end of its chain: it has to have the reader's types.
    fn merging(&self, reader: NodeId, segment: usize, record: TokenStream) -> TokenStream {
        if reader == self.node.id {
            return record;
        }
        let node = self.emit.plan.topology.node(reader);
        let start = self
            .emit
            .plan
            .node(reader)
            .segments
            .get(segment)
            .map(|segment| &segment.start);
        let (Some(Start::Merged { ends: true, .. }), Some(chain)) = (start, node.chain()) else {
            return record;
        };
        let place = place_of(chain, self.node.id);
        let merged = ident_at("merged", place.map_or(node.name.span(), Ident::span));
        let marker = self.emit.marker(node);
        let base = chain
            .input
            .map_or(node, |input| self.emit.plan.topology.node(input));
        let base = self.emit.marker(base);
        let (key, value) = self.emit.types(reader);
        mixed!(__s::Chain(#record).#merged::<#marker, #base, #key, #value>())
    }

    /// A record of a stream read as an update of the node's own table (`to_table`); a source table's already is one.
    fn updates(&self, fresh: bool, flow: Flow) -> TokenStream {
        let (Some(_), Some((key, value))) = (self.chain(), &self.node.types) else {
            return TokenStream::new();
        };
        let keys = self.not_null_keys(fresh, flow);
        let declared = ident_at("declared", self.node.ty.span());
        let marker = self.emit.marker(self.node);
        mixed! {
            #keys
            let r = __s::Updates(__s::Valued(r).nullable()).#declared::<#marker, #key, #value>();
        }
    }

    pub(super) fn not_null_keys(&self, fresh: bool, flow: Flow) -> TokenStream {
        if fresh {
            return TokenStream::new();
        }
        let (cx, exit) = (self.context(), flow.exit());
        let not_null = ident_at("not_null_key_counted", self.node.name.span());
        mixed!(let __s::Some(r) = __s::Keyed(r).#not_null(#cx) else { #exit };)
    }

    pub(super) fn not_null_values(&self, flow: Flow) -> TokenStream {
        let (cx, exit) = (self.context(), flow.exit());
        mixed!(let __s::Some(r) = __s::Valued(r).not_null_value_counted(#cx) else { #exit };)
    }

    /// Into the node's store; what comes out at once goes on.
    fn put(&self, method: &str, rest: &[Step], flow: Flow) -> TokenStream {
        let (t, cx) = (self.task(), self.context());
        let store = &self.node.name;
        let method = ident_at(method, self.node.name.span());
        self.held_back(&mixed!(#t.#store.#method(r, #cx)?), rest, flow)
    }

    /// `call` yields `None` where the record cache holds the update back.
    fn held_back(&self, call: &TokenStream, rest: &[Step], flow: Flow) -> TokenStream {
        if rest.is_empty() {
            let done = flow.done();
            return mixed!(#call; #done);
        }
        let exit = flow.exit();
        let rest = self.steps(rest, flow, false);
        mixed!(let __s::Some(r) = #call else { #exit }; #rest)
    }

    fn operator(
        &self,
        op: &'e Op,
        position: usize,
        rest: &[Step],
        flow: Flow,
        fresh: bool,
    ) -> TokenStream {
        let on = op.known().map_or(Shape::Stream, |row| row.on);
        let name = op.name.to_string();
        let span = op.name.span();
        let f = ident_at(&name, span);
        let function = quote_spanned!(at(span)=> __s::ops::#f);
        let args = &op.args;
        let next = |keeps_fresh: bool| self.steps(rest, flow, fresh && keeps_fresh);
        let base = op.base_name();
        // All of the call at the user's word: what a closure that may fail returns is rustc's to complain of there.
        let called = quote_spanned!(at(span)=> #function(r #(, #args)*));
        match (on, base.as_str()) {
            (Shape::Stream, "filter") if op.is_fallible() => {
                let (exit, next) = (flow.exit(), next(true));
                let call = self.tried(&called);
                mixed!(let __s::Some(__s::Some(r)) = #call else { #exit }; #next)
            }
            (Shape::Stream, "filter" | "filter_not") => {
                let (exit, next) = (flow.exit(), next(true));
                mixed!(let __s::Some(r) = #function(r #(, #args)*) else { #exit }; #next)
            }
            (Shape::Stream, "map_values" | "map_values_with_key" | "peek") => {
                let next = next(true);
                let r = self.made(op, &called, flow);
                mixed!(#r #next)
            }
            (Shape::Stream, "map" | "select_key" | "group_by") => {
                let next = next(false);
                let r = self.made(op, &called, flow);
                mixed!(#r #next)
            }
            // A record that was made may be none, so these may fail anyway.
            (Shape::Stream, "map_record" | "map_record_values") => {
                let (exit, next) = (flow.exit(), next(base == "map_record_values"));
                let call = self.tried(&called);
                mixed!(let __s::Some(r) = #call else { #exit }; #next)
            }
            (Shape::Stream, "flat_map" | "flat_map_values" | "flat_map_values_with_key") => {
                let inner = self.steps(
                    rest,
                    Flow {
                        looped: true,
                        ..flow
                    },
                    fresh && base != "flat_map",
                );
                let done = flow.done();
                if op.is_fallible() {
                    let exit = flow.exit();
                    let called = quote_spanned!(at(span)=> #function(&r #(, #args)*));
                    let call = self.tried(&called);
                    return mixed!(
                        let __s::Some(all) = #call else { #exit };
                        for r in all { #inner }
                        #done
                    );
                }
                mixed!(for r in #function(&r #(, #args)*) { #inner } #done)
            }
            (Shape::Stream, "for_each") if op.is_fallible() => {
                let done = flow.done();
                let call = self.tried(&called);
                mixed!(#call; #done)
            }
            (Shape::Stream, "print") => {
                let done = flow.done();
                let label = match args.first() {
                    Some(label) => label.to_token_stream(),
                    None => {
                        let input = self.chain().and_then(|chain| chain.input);
                        let printed =
                            input.map_or(self.node, |id| self.emit.plan.topology.node(id));
                        facts::plain(&printed.name).to_token_stream()
                    }
                };
                mixed!(#function(r, #label); #done)
            }
            (Shape::Stream, "process" | "process_values") => self.process(op, position, rest, flow),
            (Shape::Table, "transform_values") => self.transform_values(op, position, rest, flow),
            (Shape::Stream, "for_each") => {
                let done = flow.done();
                mixed!(#function(r #(, #args)*); #done)
            }
            (Shape::Stream, "to_table") => {
                let (keys, next) = (self.not_null_keys(fresh, flow), next(true));
                mixed!(#keys let r = #function(__s::Valued(r).nullable()); #next)
            }
            (Shape::Stream, _) if op.known().is_some_and(joins_streams) => {
                self.stream_join(op, position, rest, flow)
            }
            (Shape::Stream, "join" | "join_with_key" | "left_join" | "left_join_with_key") => {
                if facts::waits(op) {
                    return self.waiting_join(op, position, rest, flow, fresh);
                }
                self.join(op, flow, fresh, &|fresh| self.steps(rest, flow, fresh))
            }
            (Shape::Table, "group_by") => {
                let f = ident_at(&format!("table_{name}"), span);
                let called = quote_spanned!(at(span)=> __s::ops::#f(r #(, #args)*));
                let r = self.made(op, &called, flow);
                let inner = self.steps(
                    rest,
                    Flow {
                        looped: true,
                        ..flow
                    },
                    false,
                );
                let (cx, done) = (self.context(), flow.done());
                mixed! {
                    #r
                    for r in __s::Regrouping(r).present().rows(#cx) { #inner }
                    #done
                }
            }
            (Shape::GroupedTable, "count" | "reduce" | "aggregate") => {
                let (before, call) = self.aggregation(op, &f, rest.contains(&Step::Update));
                let rest = self.held_back(&call, rest, flow);
                mixed!(#before #rest)
            }
            (Shape::GroupedStream, "count" | "reduce" | "aggregate")
            | (Shape::CogroupedStream, "aggregate") => {
                let keys = self.not_null_keys(fresh, flow);
                let values = self.not_null_values(flow);
                let (before, call) = self.aggregation(op, &f, rest.contains(&Step::Update));
                let rest = self.held_back(&call, rest, flow);
                mixed!(#keys #values #before #rest)
            }
            (Shape::Table, "suppress") => self.suppress(op, position, rest, flow),
            (Shape::WindowedStream, "count" | "reduce" | "aggregate")
            | (Shape::WindowedCogroup, "aggregate") => self.windowed(op, rest, flow, fresh),
            (Shape::Table, "filter" | "filter_not") => {
                let f = ident_at(&format!("table_{name}"), span);
                let next = next(true);
                let absent = if rest.contains(&Step::Materialize) && self.is_last(position)
                    || !old_values::input_can_say(self.emit.plan.topology, self.node, position)
                    || versioned::is_versioned_before(self.emit.plan.topology, self.node, position)
                {
                    TokenStream::new()
                } else {
                    let exit = flow.exit();
                    match self.is_row_before(position) {
                        Some(is_row) => mixed! {
                            if !(#is_row) && __s::ops::is_absent(&r) { #exit }
                        },
                        None => mixed!(let __s::Some(r) = __s::ops::not_absent(r) else { #exit };),
                    }
                };
                let r = self.made(op, &mixed!(__s::ops::#f(r #(, #args)*)), flow);
                mixed!(#r #absent #next)
            }
            (Shape::Table, "map_values" | "map_values_with_key") => {
                let f = ident_at(&format!("table_{name}"), span);
                let next = next(true);
                let topology = self.emit.plan.topology;
                let new_only = if old_values::told_unasked(topology, self.node, position) {
                    mixed!(let r = __s::ops::new_only(r);)
                } else {
                    TokenStream::new()
                };
                let present = if self.table_operator_follows(position) {
                    mixed!(let r = __s::TableChain(r).present();)
                } else {
                    TokenStream::new()
                };
                let r = self.made(op, &mixed!(__s::ops::#f(r #(, #args)*)), flow);
                mixed!(#new_only #r #present #next)
            }
            (Shape::Table, _) if facts::joins_tables(op) => {
                let (exit, next) = (flow.exit(), next(true));
                let args = op.args.get(1..).unwrap_or_default();
                let present = if self.table_operator_follows(position) {
                    mixed!(let r = __s::TableChain(r).present();)
                } else {
                    TokenStream::new()
                };
                let f = ident_at(&base, span);
                let joined = self.joined(op, "table_tried", &exit);
                mixed!(let __s::Some(r) = r.#f(#(#args),*) else { #exit }; #joined #present #next)
            }
            (Shape::Table, "join_on" | "left_join_on") => {
                let next = next(true);
                self.respond(op, position, flow, &next)
            }
            (Shape::Table, "to_stream") => {
                let next = next(true);
                let loses = self.chain().is_none_or(|chain| {
                    facts::loses_before(self.emit.plan.topology, self.node, chain, position)
                });
                if loses {
                    return mixed!(let r = __s::TableChain(r).#f(); #next);
                }
                let (exit, f) = (flow.exit(), ident_at("to_stream_present", span));
                mixed!(let __s::Some(r) = __s::TableChain(r).#f() else { #exit }; #next)
            }
            // `branch` and `otherwise` are decided where the record comes from; `group_by_key` and `repartition` are what the
            // steps around them are.
            _ => next(true),
        }
    }

    /// What an operator makes of a record, if its closure does not fail.
    fn made(&self, op: &Op, call: &TokenStream, flow: Flow) -> TokenStream {
        if !op.is_fallible() {
            return mixed!(let r = #call;);
        }
        let (call, exit) = (self.tried(call), flow.exit());
        mixed!(let __s::Some(r) = #call else { #exit };)
    }

    /// What a closure that may fail made, or `None` where it failed and a handler says to go on.
    fn tried(&self, call: &TokenStream) -> TokenStream {
        let (cx, node) = (self.context(), facts::plain(&self.node.name));
        mixed!(#cx.tried(#node, #call)?)
    }

    /// The node's name as an argument, for an operator whose functions may fail.
    pub(super) fn name_if_fallible(&self, op: &Op) -> TokenStream {
        let node = facts::plain(&self.node.name);
        if op.is_fallible() {
            mixed!(#node,)
        } else {
            TokenStream::new()
        }
    }

    /// After a join whose joiner may fail: what it made, at the joiner itself, as it is what rustc may complain of.
    pub(super) fn joined(&self, op: &Op, tried: &str, exit: &TokenStream) -> TokenStream {
        let Some(joiner) = op.args.last().filter(|_| op.is_fallible()) else {
            return TokenStream::new();
        };
        let span = joiner.span();
        let tried = ident_at(tried, span);
        let call = quote_spanned!(at(span)=> __s::ops::#tried(r));
        let call = self.tried(&call);
        mixed!(let __s::Some(r) = #call else { #exit };)
    }

    pub(super) fn join(
        &self,
        op: &'e Op,
        flow: Flow,
        fresh: bool,
        next: &dyn Fn(bool) -> TokenStream,
    ) -> TokenStream {
        let Some((place, Some(other))) = &op.other else {
            return next(fresh);
        };
        let table = self.emit.plan.topology.node(*other);
        let inner = op.is("join") || op.is("join_with_key");
        let global = table.shape == Shape::GlobalTable;
        let keys = if inner && !global {
            self.not_null_keys(fresh, flow)
        } else {
            TokenStream::new()
        };
        let values = self.not_null_values(flow);
        let (t, cx, exit) = (self.task(), self.context(), flow.exit());
        let (marker, table_marker) = (self.emit.marker(self.node), self.emit.marker(table));
        let field = Ident::new(&table.name.to_string(), table.name.span());
        let joining = ident_at("joining", place.span());
        let f = ident_at(&op.base_name(), op.name.span());
        let joined = self.joined(op, "tried", &exit);
        let args = op.args.get(1..).unwrap_or_default();
        let next = next(fresh || inner && !global);
        if facts::is_viewed(self.emit.plan.topology, table) {
            let topology = self.emit.plan.topology;
            let (key, _) = self.emit.types(*other);
            let by = ident_at("by_nullable", place.span());
            let version = versioned::is_versioned(topology, *other)
                .then(|| mixed!(__s::Version::AsOf(r.timestamp)));
            let find = self.find(*other, &mixed!(key), version.as_ref(), &exit);
            return mixed! {
                #keys
                #values
                let row = match __s::LookUp(&r.key).#by::<#marker, #table_marker, #key>() {
                    __s::Some(key) => #find,
                    __s::None => __s::None,
                };
                let __s::Some(r) = __s::Found(r, row).#f(#(#args),*) else { #exit };
                #joined
                #next
            };
        }
        // A mapper that may fail finds the key.
        let (f, node) = if global {
            let f = ident_at(&op.name.to_string(), op.name.span());
            (f, self.name_if_fallible(op))
        } else {
            (f, TokenStream::new())
        };
        mixed! {
            #keys
            #values
            let r = #t.#field.#joining(r).between::<#marker, #table_marker>();
            let __s::Some(r) = r.#f(#(#args,)* #node #cx)? else { #exit };
            #joined
            #next
        }
    }

    /// Sinks first, then children in the order of their fields; the last consumer takes the record.
    fn deliver(&self, flow: Flow) -> TokenStream {
        if processors::has_outputs(self.node) {
            return self.deliver_outputs(flow);
        }
        let planned = self.emit.plan.node(self.node.id);
        let (sinks, children) = (&planned.sinks, &planned.children);
        let sends: Vec<_> = sinks.iter().map(|sink| self.send(sink)).collect();
        let Some((last, others)) = children.split_last() else {
            let Some((last, others)) = sends.split_last() else {
                let done = flow.done();
                return mixed!(let _ = r; #done);
            };
            let last = flow.call(last);
            return mixed!(#( #others?; )* #last);
        };
        let others = others.iter().map(|child| self.give_copy(child));
        let last = self.give(last, flow);
        mixed!(#( #sends?; )* #( #others )* #last)
    }

    fn is_last(&self, position: usize) -> bool {
        self.chain()
            .is_some_and(|chain| position + 1 == chain.ops.len())
    }

    /// Whether the next operator of the chain takes a table's values, and is not called where there is none.
    pub(super) fn table_operator_follows(&self, position: usize) -> bool {
        self.chain()
            .and_then(|chain| chain.ops.get(position + 1)?.known())
            .is_some_and(|row| row.on == Shape::Table && row.yields == Shape::Table)
    }

    /// Whether the store of a derived table leaves out tombstones of rows that it does not have: that of a filter does, if
    /// somebody asks for old values or its input can say them.
    fn tells_absent_rows(&self) -> bool {
        let Some(chain) = self.chain() else {
            return false;
        };
        let Some(last) = chain.ops.len().checked_sub(1) else {
            return false;
        };
        let topology = self.emit.plan.topology;
        (chain.ops[last].is("filter") || chain.ops[last].is("filter_not"))
            && !versioned::is_versioned_before(topology, self.node, last)
            && (old_values::input_can_say(topology, self.node, last)
                || old_values::is_asked(topology, self.node))
    }

    /// The record goes to this child for good.
    pub(super) fn give(&self, child: &Child, flow: Flow) -> TokenStream {
        match child {
            Child::Node(id, merge) => {
                flow.call(&self.call(*id, self.segment_of(*id, *merge), &mixed!(r)))
            }
            Child::Other(id, meeting) => flow.call(&self.call_other(*id, *meeting, &mixed!(r))),
            Child::Foreign(id) => flow.call(&self.call_foreign(*id, &mixed!(r))),
            Child::Split(branches) => self.split(branches, &mixed!(r), flow),
        }
    }

    /// A copy goes to this child; others follow.
    pub(super) fn give_copy(&self, child: &Child) -> TokenStream {
        let copy = quote_spanned!(at(self.node.ty.span())=> __s::Clone::clone(&r));
        match child {
            Child::Node(id, merge) => {
                let call = self.call(*id, self.segment_of(*id, *merge), &copy);
                mixed!(#call?;)
            }
            Child::Foreign(id) => {
                let call = self.call_foreign(*id, &copy);
                mixed!(#call?;)
            }
            Child::Other(id, meeting) => {
                let call = self.call_other(*id, *meeting, &copy);
                mixed!(#call?;)
            }
            Child::Split(branches) => {
                let split = self.split(
                    branches,
                    &mixed!(copy),
                    Flow {
                        looped: true,
                        updates: false,
                    },
                );
                mixed!(let copy = #copy; #split)
            }
        }
    }

    /// The segment of a reader: its first, or the one after its n-th merge.
    fn segment_of(&self, id: NodeId, merge: usize) -> usize {
        if merge == 0 {
            return 0;
        }
        let segments = &self.emit.plan.node(id).segments;
        segments
            .iter()
            .position(
                |segment| matches!(segment.start, Start::Merged { number, .. } if number == merge),
            )
            .unwrap_or_default()
    }

    /// The first branch whose predicate holds takes the record.
    fn split(&self, branches: &[NodeId], record: &TokenStream, flow: Flow) -> TokenStream {
        let mut out = TokenStream::new();
        for id in branches {
            let Some(op) = self
                .emit
                .plan
                .topology
                .node(*id)
                .chain()
                .and_then(Chain::branch)
            else {
                continue;
            };
            let call = flow.call(&self.call(*id, 0, record));
            if op.is("otherwise") {
                out.extend(mixed!({ #call }));
                return out;
            }
            let predicate = ident_at("predicate", op.name.span());
            let args = &op.args;
            let predicate = quote_spanned!(at(op.name.span())=> __s::ops::#predicate);
            out.extend(mixed!(if #predicate(&#record #(, #args)*) { #call } else));
        }
        let done = flow.done();
        out.extend(mixed!({ #done }));
        out
    }

    /// A call of a segment's method.
    pub(super) fn call(&self, id: NodeId, segment: usize, record: &TokenStream) -> TokenStream {
        let (t, cx, receiver) = (self.task(), self.context(), &self.receiver);
        let method = self.emit.method_name(id, segment);
        let record = self.merging(id, segment, record.clone());
        if self.emit.is_split(id, segment) {
            let at = self.emit.at_name(id, segment);
            mixed!(__Nodes::#method(#receiver, #at::Head(#t, #record), #cx))
        } else {
            mixed!(__Nodes::#method(#receiver, #t, #record, #cx))
        }
    }

    /// A call of the method in which a record meets the other side of an operator.
    fn call_other(&self, id: NodeId, meeting: usize, record: &TokenStream) -> TokenStream {
        let (t, cx, receiver) = (self.task(), self.context(), &self.receiver);
        let segment = self
            .emit
            .plan
            .meeting_segment(id, meeting)
            .unwrap_or_default();
        let method = self.emit.method_name(id, segment);
        let (at, other) = (self.emit.at_name(id, segment), meetings::other(meeting));
        mixed!(__Nodes::#method(#receiver, #at::#other(#t, #record), #cx))
    }

    /// Everything of the user's that this method pastes.
    pub(super) fn pasted(
        emit: &'e Emit<'e>,
        node: &'e Node,
        segment: &'e Segment,
    ) -> Vec<&'e Expr> {
        let mut out = Vec::new();
        for step in &segment.steps {
            match step {
                Step::Operator(position) | Step::Subscribe { position, .. } => {
                    let op = node.chain().and_then(|chain| chain.ops.get(*position));
                    if matches!(step, Step::Subscribe { .. }) {
                        out.extend(op.and_then(Op::other_partitioner));
                    }
                    out.extend(
                        op.filter(|op| !op.is("branch") && !op.is_processor())
                            .into_iter()
                            .flat_map(|op| &op.args),
                    );
                }
                Step::Repartition { before, .. } => {
                    let op = node.chain().and_then(|chain| chain.ops.get(*before));
                    out.extend(op.and_then(Op::partitioner));
                }
                Step::Deliver => {
                    for sink in &node.sinks {
                        if let SinkTopic::PerRecord(choose, _) = &sink.topic {
                            out.push(choose);
                        }
                        out.extend(&sink.partitioner);
                    }
                    for child in &emit.plan.node(node.id).children {
                        let Child::Split(branches) = child else {
                            continue;
                        };
                        for id in branches {
                            let branch =
                                emit.plan.topology.node(*id).chain().and_then(Chain::branch);
                            out.extend(branch.into_iter().flat_map(|op| &op.args));
                        }
                    }
                }
                _ => {}
            }
        }
        out
    }
}

/// Where a chain names another node.
fn place_of(chain: &Chain, other: NodeId) -> Option<&Ident> {
    chain
        .ops
        .iter()
        .filter_map(|op| op.other.as_ref())
        .find(|(_, id)| *id == Some(other))
        .map(|(name, _)| name)
}

/// `edge1`.
pub(super) fn edge(number: usize) -> Ident {
    Ident::new(&format!("edge{number}"), proc_macro2::Span::mixed_site())
}

/// The user's own `self` token: whatever hygiene it has, the receiver has it too.
pub(super) fn own_self(exprs: &[&Expr]) -> Option<Ident> {
    exprs
        .iter()
        .find_map(|expr| find_self(expr.to_token_stream()))
}

fn find_self(tokens: TokenStream) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        proc_macro2::TokenTree::Ident(ident) if ident == "self" => Some(ident),
        proc_macro2::TokenTree::Group(group) => find_self(group.stream()),
        _ => None,
    })
}
