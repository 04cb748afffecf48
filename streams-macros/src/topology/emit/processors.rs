//! Processors in generated code: how they are made, called and punctuated, and where their stores are. What a processor declares
//! itself only rustc knows: consts put it together.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote_spanned};
use syn::spanned::Spanned as _;

use super::super::kinds::Shape;
use super::super::model::{GivenStore, Node, NodeId, Op};
use super::super::plan::{NamedOutput, Processor, Step, facts, old_values, processors};
use super::steps::{Flow, Method};
use super::{Emit, at, globals, mixed_ident, number};

impl<'p> Emit<'p> {
    /// The processor that an operator of a node calls.
    pub(super) fn processor(&self, id: NodeId, position: usize) -> Option<&'p Processor> {
        self.plan.processor(id, position)
    }

    /// The type of the record that a processor forwards, as the segment behind it takes it.
    pub(super) fn processed(&self, id: NodeId, position: usize) -> TokenStream {
        let Some(processor) = self.processor(id, position) else {
            return mixed!(());
        };
        let ty = &processor.ty;
        if processors::has_outputs(self.plan.topology.node(id)) {
            return mixed!(<#ty as __s::ProcessorDefinition>::Out);
        }
        mixed!(__s::Record<__s::KeyOf<#ty>, __s::ValueOf<#ty>>)
    }

    /// The type of the records of an output with a name.
    pub(super) fn output(&self, node: &Node, name: &Ident) -> TokenStream {
        let Some(processor) = self.plan.last_processor(node) else {
            return mixed!(());
        };
        let (ty, named) = (&processor.ty, self.named_output(node, processor, name));
        mixed!(__s::Record<<#ty as #named>::Key, <#ty as #named>::Value>)
    }

    /// `__s::NamedOutput<__OUTPUT_0_1>`.
    fn named_output(&self, node: &Node, processor: &Processor, name: &Ident) -> TokenStream {
        let outputs = &self.plan.node(node.id).outputs;
        let at = outputs.iter().position(|output| output.name == *name);
        let number = output_number(self, processor, at.unwrap_or_default());
        mixed!(__s::NamedOutput<#number>)
    }

    /// Takes a record of an output with a name out of what a processor forwards.
    pub(super) fn take_output(&self, node: &Node, output: &NamedOutput) -> TokenStream {
        let Some(processor) = self.plan.last_processor(node) else {
            return mixed!(__s::Err(r));
        };
        let (ty, named) = (
            &processor.ty,
            self.named_output(node, processor, &output.name),
        );
        mixed!(<#ty as #named>::take(r))
    }

    /// The function that makes a processor: `new_alerts_process`.
    fn maker(&self, processor: &Processor) -> Ident {
        let made = self.processor(processor.node, processor.position);
        let processor = made.unwrap_or(processor);
        let mut name = format_ident!("new_{}", processor.field, span = Span::mixed_site());
        while self.plan.topology.find(&name).is_some() {
            name = format_ident!("{name}_", span = Span::mixed_site());
        }
        name
    }

    /// Handles of the stores that a topology gives a processor.
    fn given(&self, given: &GivenStore, sub: usize) -> Option<TokenStream> {
        let node = self.plan.topology.node(given.node?);
        let (key, value) = self.types(node.id);
        let place = at(given.place.span());
        if node.is_global() {
            let index = self.plan.globals.iter().position(|g| g.node == node.id)?;
            let index = number(index);
            return Some(match node.shape {
                Shape::Store => {
                    let ty = globals::read_only(node);
                    quote_spanned!(place=> __s::#ty::<#key, #value>::global(#index))
                }
                _ => quote_spanned!(place=> __s::GlobalTable::<#key, #value>::new(#index)),
            });
        }
        let store = self.plan.node(node.id).store?;
        let local = self.plan.subtopologies[sub]
            .stores
            .iter()
            .position(|s| *s == store)?;
        let local = number(local);
        Some(match node.shape {
            Shape::Store => {
                let ty = super::store_type(node);
                quote_spanned!(place=> __s::#ty::<#key, #value>::local(#local))
            }
            _ => quote_spanned!(place=> __s::TableStore::<#key, #value>::new(#local)),
        })
    }
}

impl Method<'_> {
    /// Through a processor; what it forwards goes to the segment behind it.
    pub(super) fn process(
        &self,
        op: &Op,
        position: usize,
        rest: &[Step],
        flow: Flow,
    ) -> TokenStream {
        let (Some(processor), Some(Step::Next(segment))) =
            (self.emit.processor(self.node.id, position), rest.first())
        else {
            return flow.done();
        };
        let span = op.args.first().map_or(op.name.span(), |arg| arg.span());
        let f = super::ident_at(&op.name.to_string(), span);
        let function = quote_spanned!(at(span)=> __s::#f);
        let field = Ident::new(&processor.field, Span::mixed_site());
        let record = if processors::has_outputs(self.node) {
            mixed!(r)
        } else {
            mixed!(__s::IntoOutput::into_output(r))
        };
        let next = self.call(self.node.id, *segment, &record);
        let (t, cx) = (self.task(), self.context());
        let call = mixed!(#function(#t, |t| &mut t.#field, r, #cx, |t, r, cx| #next));
        flow.call(&call)
    }

    /// A table's update through a processor that makes its value anew.
    pub(super) fn transform_values(
        &self,
        op: &Op,
        position: usize,
        rest: &[Step],
        flow: Flow,
    ) -> TokenStream {
        let Some(processor) = self.emit.processor(self.node.id, position) else {
            return flow.done();
        };
        let topology = self.emit.plan.topology;
        let old = if old_values::transforms_old(topology, self.node, position) {
            mixed!(__s::OldValue::Told)
        } else {
            mixed!(__s::OldValue::Unasked)
        };
        let span = op.args.first().map_or(op.name.span(), |arg| arg.span());
        let function = quote_spanned!(at(span)=> __s::transform_values);
        let (t, cx) = (self.task(), self.context());
        let call = |processor: &Processor, old: TokenStream| {
            let field = Ident::new(&processor.field, Span::mixed_site());
            mixed!(#function(#t, |t| &mut t.#field, r, #old, #cx)?)
        };
        let update = call(processor, old);
        let of_rows = self.emit.plan.processor_of_rows(self.node.id, position);
        let (before, transformed) = match (of_rows, self.is_row_before(position)) {
            (Some(of_rows), Some(is_row)) => {
                let row = call(of_rows, mixed!(__s::OldValue::Unasked));
                let r = mixed!(let r = if #is_row { #row } else { #update };);
                (r, mixed!(r))
            }
            _ => (TokenStream::new(), update),
        };
        let next = self.steps(rest, flow, false);
        let exit = flow.exit();
        mixed! {
            #before
            let __s::Some(r) = #transformed else { #exit };
            #next
        }
    }

    /// What a processor with several outputs forwards: to those who read the output.
    pub(super) fn deliver_outputs(&self, flow: Flow) -> TokenStream {
        let mut out = TokenStream::new();
        for output in &self.emit.plan.node(self.node.id).outputs {
            let Some((last, others)) = output.children.split_last() else {
                continue;
            };
            let taken = self.emit.take_output(self.node, output);
            let others = others.iter().map(|child| self.give_copy(child));
            let straight = Flow {
                looped: false,
                ..flow
            };
            let last = self.give(last, straight);
            out.extend(mixed! {
                let r = match #taken {
                    __s::Ok(r) => {
                        #(#others)*
                        return { #last };
                    }
                    __s::Err(r) => r,
                };
            });
        }
        let done = flow.done();
        mixed!(#out let _ = r; #done)
    }
}

/// The operator that calls a processor.
pub(super) fn op_of<'a>(node: &'a Node, processor: &Processor) -> Option<&'a Op> {
    node.chain()?.ops.get(processor.position)
}

/// Expands to, for each processor:
/// ```text
/// fn new_alerts_process(&self) -> FraudAlerts { let mut processor = FraudAlerts::new(self.limit); … processor }
/// ```
pub(super) fn makers(emit: &Emit<'_>) -> (TokenStream, TokenStream) {
    let (mut signatures, mut methods) = (TokenStream::new(), TokenStream::new());
    for processor in emit.plan.processors_with_stores() {
        let node = emit.plan.topology.node(processor.node);
        let Some(op) = op_of(node, processor) else {
            continue;
        };
        let Some(made) = op.args.first() else {
            continue;
        };
        let (name, ty) = (emit.maker(processor), &processor.ty);
        let receiver = super::steps::own_self(&[made]).unwrap_or_else(|| mixed_ident("self"));
        let marker = emit.marker(node);
        let node_name = facts::plain(&node.name);
        let shares = op.stores.iter().filter_map(|given| {
            let handle = emit.given(given, processor.sub)?;
            let field = facts::plain(&given.field);
            let position = quote_spanned!(at(given.field.span())=> __s::shared_with);
            let of = quote_spanned!(at(given.place.span())=> __s::SharedAs::<_, #marker>::of);
            Some(mixed! {
                const SHARED: usize = #position(
                    #node_name,
                    <#ty as __s::ProcessorDefinition>::NAME,
                    <#ty as __s::ProcessorDefinition>::SHARED,
                    #field,
                );
                let store: <#ty as __s::SharesStore<SHARED>>::Store =
                    #of(#handle);
                __s::SharesStore::<SHARED>::share(&mut processor, store);
            })
        });
        let shares: Vec<_> = shares.collect();
        let body = if shares.is_empty() {
            mixed!(#made)
        } else {
            mixed! {
                let mut processor = #made;
                #({ #shares })*
                processor
            }
        };
        let doc = format!(" The processor of `{node_name}`, for a task.");
        signatures.extend(mixed!(fn #name(&#receiver) -> #ty;));
        methods.extend(mixed!(#[doc = #doc] fn #name(&#receiver) -> #ty { #body }));
    }
    (signatures, methods)
}

/// The processors' fields in a task's struct.
pub(super) fn task_fields(emit: &Emit<'_>, sub: usize) -> TokenStream {
    let fields = emit.plan.processors_of(sub).map(|processor| {
        let (field, ty) = (mixed_ident(&processor.field), &processor.ty);
        mixed!(#field: __s::ProcessorSlot<#ty>,)
    });
    mixed!(#(#fields)*)
}

/// Their values in a new task.
pub(super) fn new_fields(emit: &Emit<'_>, sub: usize) -> TokenStream {
    let first = number(emit.plan.subtopologies[sub].stores.len());
    let (mut before, mut next) = (TokenStream::new(), TokenStream::new());
    let mut out = TokenStream::new();
    for processor in emit.plan.processors_of(sub) {
        let of_rows = processor.of_rows.then(|| mixed!(.of_rows()));
        if !processor.of_rows {
            before.extend(std::mem::take(&mut next));
            let stores = alias(emit, processor);
            next = mixed!(+ #stores::COUNT);
        }
        let (field, maker) = (mixed_ident(&processor.field), emit.maker(processor));
        let node = facts::plain(&emit.plan.topology.node(processor.node).name);
        let index = number(processor.index);
        out.extend(mixed! {
            #field: __s::ProcessorSlot::new(
                #node,
                #index,
                #first #before,
                __Nodes::#maker(&*app),
            )#of_rows,
        });
    }
    out
}

/// `init`, `punctuate` and `close` of a task that has processors.
pub(super) fn task_methods(emit: &Emit<'_>, sub: usize) -> TokenStream {
    if emit.plan.processors_of(sub).next().is_none() {
        return TokenStream::new();
    }
    let app = emit.app;
    let (mut inits, mut closes, mut arms) =
        (TokenStream::new(), TokenStream::new(), TokenStream::new());
    for processor in emit.plan.processors_of(sub) {
        let node = emit.plan.topology.node(processor.node);
        let Some(op) = op_of(node, processor) else {
            continue;
        };
        let (init, close) = match op.name.to_string().as_str() {
            "process" => ("init", "close"),
            "process_values" => ("init_values", "close_values"),
            _ => ("init_transformer", "close_transformer"),
        };
        let span = op.args.first().map_or(op.name.span(), |arg| arg.span());
        let (init, close) = (super::ident_at(init, span), super::ident_at(close, span));
        let (field, index) = (mixed_ident(&processor.field), number(processor.index));
        inits.extend(mixed!(self.#field.#init(cx)?;));
        closes.extend(mixed!(self.#field.#close();));
        let forward = match processor.segment {
            Some(segment) => {
                let method = emit.method_name(node.id, segment);
                let record = if processors::has_outputs(node) {
                    mixed!(r)
                } else {
                    mixed!(__s::IntoOutput::into_output(r))
                };
                let call = if emit.is_split(node.id, segment) {
                    let at = emit.at_name(node.id, segment);
                    mixed!(__Nodes::#method(app, #at::Head(t, #record), cx))
                } else {
                    mixed!(__Nodes::#method(app, t, #record, cx))
                };
                mixed!(|t, r, cx| #call)
            }
            None => mixed!(|_, _, _| __s::Ok(())),
        };
        arms.extend(mixed! {
            #index => __s::punctuate(self, |t| &mut t.#field, function, now, cx, #forward),
        });
    }
    let app_name = match emit.plan.processors_of(sub).any(|p| p.segment.is_some()) {
        true => mixed!(app),
        false => mixed!(_),
    };
    mixed! {
        fn init(&mut self, _: &#app, cx: &mut __s::TaskContext) -> __s::TaskResult {
            #inits
            __s::Ok(())
        }
        fn punctuate(
            &mut self,
            #app_name: &#app,
            processor: usize,
            function: usize,
            now: __s::Timestamp,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            match processor {
                #arms
                other => __s::Err(__s::unknown_processor(other)),
            }
        }
        fn close(&mut self) { #closes }
    }
}

/// The name of the description of a processor's stores.
fn alias(emit: &Emit<'_>, processor: &Processor) -> Ident {
    mixed_ident(&format!("__Stores{}", number_of(emit, processor)))
}

fn place(emit: &Emit<'_>, processor: &Processor) -> Ident {
    mixed_ident(&format!("__STORES_{}", number_of(emit, processor)))
}

/// The const that numbers an output: by itself, so that a name that is none gives one error.
fn output_number(emit: &Emit<'_>, processor: &Processor, output: usize) -> Ident {
    mixed_ident(&format!("__OUTPUT_{}_{output}", number_of(emit, processor)))
}

fn number_of(emit: &Emit<'_>, processor: &Processor) -> usize {
    let all = &emit.plan.processors;
    all.iter()
        .position(|other| std::ptr::eq(other, processor))
        .unwrap_or_default()
}

/// Expands to, for each processor:
/// ```text
/// impl __s::Named for __node::alerts { const NAME: &'static str = "alerts"; }
/// const __STORES_0: __s::StorePlace = …;                                            // where its stores begin
/// type __Stores0 = __s::Declared<__node::alerts, FraudAlerts, { __STORES_0.topic }>; // what they are
/// const _: () = __s::shared_stores_are_given(…);                                    // and what has to hold
/// ```
pub(super) fn declarations(emit: &Emit<'_>) -> TokenStream {
    let plan = emit.plan;
    let mut out = TokenStream::new();
    let mut named: Vec<NodeId> = Vec::new();
    let all: Vec<_> = plan.processors_with_stores().collect();
    for (at, processor) in all.iter().copied().enumerate() {
        let node = plan.topology.node(processor.node);
        let (marker, name, ty) = (emit.marker(node), facts::plain(&node.name), &processor.ty);
        if !named.contains(&node.id) {
            named.push(node.id);
            out.extend(mixed! {
                impl __s::Named for #marker { const NAME: &'static str = #name; }
            });
        }
        let (stores, here) = (alias(emit, processor), place(emit, processor));
        let begins = match at.checked_sub(1).and_then(|before| all.get(before)) {
            Some(before) => {
                let (place, ty) = (place(emit, before), &before.ty);
                let marker = emit.marker(plan.topology.node(before.node));
                mixed!(#place.after::<#marker, #ty>())
            }
            None => {
                let (store, topic) = (number(plan.stores.len()), number(plan.topics.len()));
                mixed!(__s::StorePlace { store: #store, topic: #topic })
            }
        };
        out.extend(mixed! {
            const #here: __s::StorePlace = #begins;
            type #stores = __s::Declared<#marker, #ty, { #here.topic }>;
        });
        out.extend(obligations(emit, processor));
        if emit
            .plan
            .last_processor(node)
            .is_some_and(|last| std::ptr::eq(last, processor))
        {
            out.extend(output_numbers(emit, node, processor));
        }
    }
    if !plan.processors.is_empty() {
        out.extend(mixed!(
            const _: () = __s::stores_differ(&__STORES);
        ));
    }
    out
}

/// The numbers of the outputs that are read.
fn output_numbers(emit: &Emit<'_>, node: &Node, processor: &Processor) -> TokenStream {
    let ty = &processor.ty;
    let node_name = facts::plain(&node.name);
    let outputs = emit.plan.node(node.id).outputs.iter().enumerate();
    outputs
        .map(|(at, output)| {
            let (number, text) = (
                output_number(emit, processor, at),
                facts::plain(&output.name),
            );
            let function = quote_spanned!(super::at(output.name.span())=> __s::output_named);
            mixed! {
                const #number: usize = #function(
                    #node_name,
                    <#ty as __s::ProcessorDefinition>::NAME,
                    <#ty as __s::ProcessorDefinition>::OUTPUTS,
                    #text,
                );
            }
        })
        .collect()
}

/// What has to hold of a processor where it is used.
fn obligations(emit: &Emit<'_>, processor: &Processor) -> TokenStream {
    let topology = emit.plan.topology;
    let node = topology.node(processor.node);
    let Some(op) = op_of(node, processor) else {
        return TokenStream::new();
    };
    let (name, ty) = (facts::plain(&node.name), &processor.ty);
    let span = at(op.args.first().map_or(op.name.span(), |arg| arg.span()));
    let definition = quote_spanned!(span=> <#ty as __s::ProcessorDefinition>);
    let given: Vec<String> = op.stores.iter().map(|g| facts::plain(&g.field)).collect();
    let mut out = quote_spanned! {span=>
        const _: () = __s::shared_stores_are_given(
            #name, #definition::NAME, #definition::SHARED, &[#(#given),*],
        );
    };
    if op.is("process") || op.is("process_values") {
        let read: Vec<String> = match processors::has_outputs(node)
            && emit
                .plan
                .last_processor(node)
                .is_some_and(|last| last.position == processor.position)
        {
            true => emit
                .plan
                .node(node.id)
                .outputs
                .iter()
                .map(|output| facts::plain(&output.name))
                .collect(),
            false => Vec::new(),
        };
        out.extend(quote_spanned! {span=>
            const _: () = __s::outputs_are_read(
                #name, #definition::NAME, #definition::OUTPUTS, &[#(#read),*],
            );
        });
    }
    if let Some(rekeyed_by) = facts::rekeyed_by(topology, node.id, processor.position) {
        let (operator, stores) = (op.name.to_string(), alias(emit, processor));
        out.extend(quote_spanned! {span=>
            const _: () = __s::stateful_is_partitioned(
                #name, #definition::NAME, #stores::COUNT, #rekeyed_by, #operator,
            );
        });
    }
    out
}

/// The whole lists of topics and stores, where processors add to them; `None` where none does.
pub(super) fn lists(
    emit: &Emit<'_>,
    topics: &TokenStream,
    stores: &TokenStream,
) -> Option<TokenStream> {
    let plan = emit.plan;
    if plan.processors.is_empty() {
        return None;
    }
    let aliases: Vec<_> = plan
        .processors_with_stores()
        .map(|p| alias(emit, p))
        .collect();
    let (topic_count, store_count) = (number(plan.topics.len()), number(plan.stores.len()));
    Some(mixed! {
        static __TOPICS: [__s::TopicDescriptor; #topic_count #(+ #aliases::TOPIC_COUNT)*] =
            __s::joined(__s::TopicDescriptor::NONE, &[&[#topics], #(#aliases::TOPICS),*]);
        static __STORES: [__s::StoreDescriptor; #store_count #(+ #aliases::COUNT)*] =
            __s::joined(__s::StoreDescriptor::NONE, &[&[#stores], #(#aliases::STORES),*]);
    })
}

/// The stores of a sub-topology, where processors add to them.
pub(super) fn local_stores(emit: &Emit<'_>, sub: usize, own: &TokenStream) -> TokenStream {
    let processors: Vec<_> = emit
        .plan
        .processors_of(sub)
        .filter(|processor| !processor.of_rows)
        .collect();
    if processors.is_empty() {
        return mixed!(&[#own]);
    }
    let count = number(emit.plan.subtopologies[sub].stores.len());
    let aliases: Vec<_> = processors.iter().map(|p| alias(emit, p)).collect();
    let places: Vec<_> = processors.iter().map(|p| place(emit, p)).collect();
    mixed! {
        &__s::joined::<usize, { #count #(+ #aliases::COUNT)* }>(
            0,
            &[&[#own], #(&__s::numbered::<{ #aliases::COUNT }>(#places.store)),*],
        )
    }
}

/// The names of the stores that a described node uses, where it is a processor.
pub(super) fn node_stores(
    emit: &Emit<'_>,
    processor: Option<(NodeId, usize)>,
    names: &[String],
) -> TokenStream {
    let processor = processor.and_then(|(id, position)| emit.plan.processor(id, position));
    let Some(processor) = processor else {
        return mixed!(&[#(#names),*]);
    };
    let stores = alias(emit, processor);
    if names.is_empty() {
        return mixed!(#stores::NAMES);
    }
    let count = number(names.len());
    mixed! {
        &__s::joined::<&str, { #count + #stores::COUNT }>("", &[&[#(#names),*], #stores::NAMES])
    }
}
