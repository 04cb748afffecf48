//! Foreign-key joins: the left side subscribes, the right one keeps subscriptions and answers, the left one joins the answers.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::Expr;
use syn::spanned::Spanned as _;

use super::super::model::{NodeId, Op};
use super::super::parse::ungrouped;
use super::super::plan::{Role, facts};
use super::super::windows;
use super::steps::{Flow, Method};
use super::{at, ident_at, mixed_ident, number, task};

impl Method<'_> {
    fn foreign_join(&self, position: usize) -> Option<(&Op, NodeId)> {
        let other = facts::foreign_of(self.emit.plan.topology, self.node, position)?;
        Some((self.node.chain()?.ops.get(position)?, other))
    }

    /// An update of the left table subscribes.
    pub(super) fn subscribe(&self, position: usize, topic: usize, flow: Flow) -> TokenStream {
        let Some((op, other)) = self.foreign_join(position) else {
            return flow.done();
        };
        let (marker, table) = (
            self.emit.marker(self.node),
            self.emit.marker(self.emit.plan.topology.node(other)),
        );
        let f = ident_at(&op.name.to_string(), op.name.span());
        let node = self.name_if_fallible(op);
        let ((foreign_key, _), topic) = (self.emit.types(other), number(topic));
        let (extractor, cx) = (op.args.get(1), self.context());
        let call = flow.call(&mixed!(r.#f::<#foreign_key, _>(#extractor, #node #cx)));
        let partitioned = op.other_partitioner().map(|expr| {
            let by = match ungrouped(expr) {
                Expr::Closure(_) => mixed!(#expr),
                _ => {
                    let span = at(expr.span());
                    let given = mixed!(topic, key, value, count);
                    let call = quote_spanned! {span=>
                        __s::StreamPartitioner::<#foreign_key, ()>::partitions(&#expr, #given)
                    };
                    mixed!(|topic, key, value, count| #call)
                }
            };
            let node = facts::plain(&self.node.name);
            mixed!(let r = r.by::<#foreign_key, _>(#node, #by);)
        });
        mixed! {
            let r = __s::Subscribing::new(r, #topic).between::<#marker, #table>();
            #partitioned
            #call
        }
    }

    /// The right side: a subscription `asked`, or a row changed.
    pub(super) fn answer(
        &self,
        asked: bool,
        position: usize,
        topic: usize,
        flow: Flow,
    ) -> TokenStream {
        let Some((op, other)) = self.foreign_join(position) else {
            return flow.done();
        };
        let plan = self.emit.plan;
        let stores = plan.node(self.node.id).inner.iter();
        let mut handles = stores.filter_map(|store| plan.stores.get(*store));
        let Some(subscriptions) = handles.find(|s| s.role == Role::Inner("subscriptions")) else {
            return flow.done();
        };
        let (handle, node) = (task::handle(subscriptions), plan.topology.node(other));
        let (t, cx, topic) = (self.task(), self.context(), number(topic));
        let foreign = mixed!(__s::Foreign { subscriptions: #t.#handle, topic: #topic });
        let span = op.name.span();
        if !asked {
            let changed = ident_at("changed", span);
            return flow.call(&mixed!(#foreign.#changed(r, #cx)));
        }
        if !facts::is_viewed(plan.topology, node) {
            let table = &node.name;
            let rows = windows::of_node(node).map(|_| mixed!(.rows()));
            let subscribed = ident_at("subscribed", span);
            return flow.call(&mixed!(#foreign.#subscribed(r, #t.#table #rows, #cx)));
        }
        let (keep, exit) = (ident_at("keep", span), flow.exit());
        let sized = self.sized("asked", other);
        let find = self.find(other, &mixed!(key), None, &exit);
        let answer = flow.call(&mixed!(asked.answer(row, #cx)));
        mixed! {
            let __s::Some(asked) = #foreign.#keep(r, #cx)? else { #exit };
            #sized
            let row = match asked.foreign_key() {
                __s::Some(key) => #find,
                __s::None => __s::None,
            };
            #answer
        }
    }

    /// `let asked = asked.sized(600000);` where a table is by windows: a key that crossed a topic has lost its window's end.
    fn sized(&self, key: &str, table: NodeId) -> Option<TokenStream> {
        let (size, key) = (self.emit.window_size(table)?, mixed_ident(key));
        Some(mixed!(let #key = #key.sized(#size);))
    }

    /// An answer becomes a joined row.
    pub(super) fn respond(
        &self,
        op: &Op,
        position: usize,
        flow: Flow,
        next: &TokenStream,
    ) -> TokenStream {
        let topology = self.emit.plan.topology;
        let left = self.node.chain().and_then(|chain| chain.input);
        let (Some(left), Some(other)) = (left, facts::foreign_of(topology, self.node, position))
        else {
            return next.clone();
        };
        let (_, foreign_value) = self.emit.types(other);
        let (t, cx, exit) = (self.task(), self.context(), flow.exit());
        let joiner = op.args.get(2);
        let f = ident_at(&op.base_name(), op.name.span());
        let joined = self.joined(op, "table_tried", &exit);
        let present = if self.table_operator_follows(position) {
            mixed!(let r = __s::TableChain(r).present();)
        } else {
            TokenStream::new()
        };
        let table = topology.node(left);
        let responded = if facts::is_viewed(topology, table) {
            let (key, _) = self.emit.types(left);
            let sized = self.sized("answer", left);
            let find = self.find(left, &mixed!(answer.key()), None, &exit);
            mixed! {
                let answer = __s::Answer::<#key, #foreign_value>::arrived(r, #cx)?;
                let __s::Some(answer) = answer else { #exit };
                #sized
                let row = #find;
                let __s::Some(r) = answer.to(row, #cx)? else { #exit };
            }
        } else {
            let field = &table.name;
            mixed! {
                let __s::Some(r) = #t.#field.responded::<#foreign_value>(r, #cx)? else { #exit };
            }
        };
        mixed! {
            #responded
            let r = r.#f(#joiner);
            #joined
            #present
            #next
        }
    }

    /// A call of the method that takes a right table's updates.
    pub(super) fn call_foreign(&self, id: NodeId, record: &TokenStream) -> TokenStream {
        let segment = self.emit.plan.foreign_segment(id).unwrap_or_default();
        self.call(id, segment, record)
    }
}
