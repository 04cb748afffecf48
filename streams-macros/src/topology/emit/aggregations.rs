//! Aggregations: by key, by windows, of cogroups and of tables grouped anew.

use proc_macro2::{Ident, TokenStream};

use super::super::kinds::Shape;
use super::super::model::Op;
use super::super::plan::{Step, facts};
use super::super::windows::{self, WindowsKind};
use super::ident_at;
use super::steps::{Flow, Method};

impl<'e> Method<'e> {
    /// What an aggregation's call needs where its functions may fail: their types, which rustc infers, and the node's name.
    fn fallible(&self, op: &Op) -> (TokenStream, TokenStream) {
        if !op.is_fallible() {
            return (TokenStream::new(), TokenStream::new());
        }
        let functions = match op.base_name().as_str() {
            "aggregate" => op.args.len() - 1,
            // Its other argument is the other stream.
            "cogroup" => 1,
            _ => op.args.len(),
        };
        let types = std::iter::repeat_n(mixed!(_), functions);
        (mixed!(#(, #types)*), self.name_if_fallible(op))
    }

    /// The aggregation of a cogroup's input: the call's name, and what it needs where the aggregator may fail.
    fn of_input(&self, input: &Op, plain: &str) -> (Ident, TokenStream, TokenStream) {
        let word = if input.is_fallible() { "try_" } else { "" };
        let (types, name) = self.fallible(input);
        let f = ident_at(&format!("{word}{plain}"), input.name.span());
        (f, types, name)
    }

    /// The call of an aggregation, and what comes before it. Where rustc has to infer the store's types, the record and the
    /// initializer tell them.
    pub(super) fn aggregation(
        &self,
        op: &Op,
        f: &Ident,
        inferred: bool,
    ) -> (TokenStream, TokenStream) {
        let cx = self.context();
        let (args, marker) = (&op.args, self.emit.marker(self.node));
        if let Some((input, aggregator)) = self.aggregator(op) {
            let (store, like) = if inferred {
                let like = mixed!(.with_keys_of(&r).with_values_of(&initial));
                (mixed!(store), like)
            } else {
                let (t, store) = (self.task(), &self.node.name);
                (mixed!(#t.#store), TokenStream::new())
            };
            let (f, types, name) = self.of_input(input, "aggregate");
            let call = mixed! {
                #store #like.grouped(r).#f::<#marker #types>(&initial, #aggregator, #name #cx)?
            };
            let key = if inferred {
                TokenStream::new()
            } else {
                self.cogrouped_key()
            };
            return (key, call);
        }
        let (types, name) = self.fallible(op);
        let of_table = op.known().is_some_and(|row| row.on == Shape::GroupedTable);
        let (grouped, like) = if of_table {
            (mixed!(regrouped), mixed!(with_rows_like))
        } else {
            (mixed!(grouped), mixed!(with_values_like))
        };
        if !inferred {
            let (t, store) = (self.task(), &self.node.name);
            let nullable = self
                .node
                .value()
                .is_some_and(|v| facts::option_of(v).is_some());
            let f = if nullable && op.is("reduce") {
                &ident_at(&format!("{f}_or_delete"), op.name.span())
            } else {
                f
            };
            let call = mixed!(#t.#store.#grouped(r).#f::<#marker #types>(#(#args,)* #name #cx)?);
            return (TokenStream::new(), call);
        }
        let store = mixed!(store.with_keys_of(&r));
        match op.args.split_first() {
            Some((initializer, rest)) if op.is("aggregate") => {
                let call = mixed! {
                    #store.with_values_of(&initial).#grouped(r).#f::<#marker #types>(initial, #(#rest,)* #name #cx)?
                };
                (mixed!(let initial = #initializer;), call)
            }
            Some(_) => {
                let call = mixed! {
                    #store.#like(&r).#grouped(r).#f::<#marker #types>(#(#args,)* #name #cx)?
                };
                (TokenStream::new(), call)
            }
            None => (
                TokenStream::new(),
                mixed!(#store.#grouped(r).#f::<#marker>(#cx)?),
            ),
        }
    }

    /// An aggregation by windows: each window that the record updates goes on by a closure.
    pub(super) fn windowed(
        &self,
        op: &'e Op,
        rest: &[Step],
        flow: Flow,
        fresh: bool,
    ) -> TokenStream {
        let windows = windows::of_node(self.node);
        let kind = windows.map(|of| of.kind);
        let keys = self.not_null_keys(fresh, flow);
        let values = if kind == Some(WindowsKind::Sliding) {
            self.not_null_values(flow)
        } else {
            TokenStream::new()
        };
        let inferred = rest.contains(&Step::Update);
        let next = match rest {
            [] => mixed!(|_, _| __s::Ok(())),
            _ if inferred => {
                // For what follows behind the junction.
                self.uses_task.set(true);
                mixed!(|r, _| {
                    updates.push(r);
                    __s::Ok(())
                })
            }
            rest => {
                let rest = self.steps(rest, Flow::STRAIGHT, false);
                mixed!(|r, cx: &mut __s::TaskContext| { #rest })
            }
        };
        let session = kind == Some(WindowsKind::Session) && op.is("aggregate");
        let sessions = if session { "_sessions" } else { "" };
        let f = ident_at(&format!("{}{sessions}", op.name), op.name.span());
        let (types, name) = self.fallible(op);
        let (cx, marker) = (self.context(), self.emit.marker(self.node));
        let done = flow.done();
        if let Some((input, aggregator)) = self.aggregator(op) {
            let time = self.time_of_input();
            let mut merge = self.merger(op).map(|merger| mixed!(#merger,));
            let (f, mut types, name) = self.of_input(input, &f.to_string());
            if let (Some(merger), true) = (&mut merge, input.is_fallible()) {
                let never_fails = mixed!(__s::Ok::<_, __s::Infallible>);
                let called = self.merger(op);
                *merger = mixed!(|key, one, other| #never_fails((#called)(key, one, other)),);
                types.extend(mixed!(, _));
            }
            let call = mixed!(::<#marker #types>(&initial, #aggregator, #merge #name #cx, #next));
            if inferred {
                return mixed! {
                    #keys
                    #values
                    store #time.with_keys_of(&r).with_values_of(&initial).windowed(r).#f #call?;
                    #done
                };
            }
            let (t, store, key) = (self.task(), &self.node.name, self.cogrouped_key());
            let call = flow.call(&mixed!(store.windowed(r).#f #call));
            return mixed!(#keys #values #key let store = #t.#store #time; #call);
        }
        if !inferred {
            let (t, store, args) = (self.task(), &self.node.name, &op.args);
            let call = flow
                .call(&mixed!(store.windowed(r).#f::<#marker #types>(#(#args,)* #name #cx, #next)));
            return mixed!(#keys #values let store = #t.#store; #call);
        }
        let store = mixed!(store.with_keys_of(&r));
        match op.args.split_first() {
            Some((initializer, rest)) if op.is("aggregate") => mixed! {
                #keys
                #values
                let initial = #initializer;
                #store.with_values_of(&initial).windowed(r).#f::<#marker #types>(initial, #(#rest,)* #name #cx, #next)?;
                #done
            },
            Some((reducer, _)) => mixed! {
                #keys
                #values
                #store.with_values_like(&r).windowed(r).#f::<#marker #types>(#reducer, #name #cx, #next)?;
                #done
            },
            None => mixed! {
                #keys
                #values
                #store.windowed(r).#f::<#marker>(#cx, #next)?;
                #done
            },
        }
    }
}
