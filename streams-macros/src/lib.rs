//! The macros of kstreams: `#[topology]` (parse → model → check → plan → emit), `#[processor]` and `#[derive(Json)]`. Use them through the
//! `kstreams` crate.

#![allow(
    clippy::large_enum_variant,
    reason = "a topology is parsed once and moved a few times: boxes would cost more reading than they save"
)]

mod ctxt;
mod json;
mod paths;
mod processor;
mod topology;

/// Makes a struct a topology: each field is a node, or a parameter of the app.
///
/// ```text
/// #[topology(application_id = "orders")]
/// pub struct Orders {
///     /// A plain field is a parameter: `self.min_total` in any closure.
///     min_total: u64,
///     /// The field's type says how the topic is read: as a stream, as a table, or as a global table.
///     #[source(topic = "orders", partitions = 6)]
///     orders: KStream<CustomerId, Order>,
///     #[source(topic = "customers", partitions = 6)]
///     customers: KTable<CustomerId, Customer>,
///     /// A chain of operators, in Kafka Streams' words.
///     #[from(orders.filter(|_, o| o.total >= self.min_total).join(customers, Enriched::new))]
///     #[sink(topic = "enriched-orders")]
///     enriched: KStream<CustomerId, Enriched>,
///     /// A table that is aggregated has a store, named like the field; so has one with `#[store]`, and a source that is joined with.
///     #[from(enriched.group_by_key().count())]
///     counts: KTable<CustomerId, i64>,
/// }
/// ```
///
/// What it makes: `Orders::builder()`, with a method for each parameter, then `.start(config)` for the running application
/// (`Running<Orders>`, whose table fields answer queries), `.test_driver()` for `OrdersTestDriver` (a typed field for each node
/// that is read or written) and `.main()` for a whole command-line program; `Orders::main()` where there are no parameters.
///
/// Operators and options: `docs/operators.md`. What it refuses: `docs/errors.md`.
#[proc_macro_attribute]
pub fn topology(
    args: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    topology::expand(args.into(), item.into()).into()
}

/// Makes a struct a processor of the Processor API.
///
/// ```text
/// #[processor(out = (CustomerId, Alert), punctuate(wall_clock = "30s", call = flush))]
/// struct FraudAlerts {
///     /// A plain field is a parameter of `FraudAlerts::new`.
///     limit: u64,
///     /// Begins as its default.
///     #[default]
///     seen_by_now: u64,
///     /// A store of its own, named `<node>-seen`.
///     #[store]
///     seen: KeyValueStore<CustomerId, u64>,
///     /// One that its topology gives: `process(FraudAlerts::new(…), stores(customers))`.
///     #[store]
///     customers: ReadOnlyKeyValueStore<CustomerId, Customer>,
///     /// A punctuator that is to be cancelled.
///     #[punctuate(stream_time = "1m", call = tick)]
///     ticker: Punctuator,
/// }
/// ```
///
/// `out = (K, V)` says what it forwards, `out(large = (K, V), small = (K, V))` what its outputs are, where there are several;
/// `fixed_key` belongs to a `FixedKeyProcessor`. It writes `new`; the trait (`Processor`, `FixedKeyProcessor`,
/// `ValueTransformer`) is yours. `docs/processors.md` is the guide.
#[proc_macro_attribute]
pub fn processor(
    args: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    processor::expand(args.into(), item.into()).into()
}

/// Gives a type the wire format JSON: compact, its fields in their order. It needs serde's `Serialize` and `Deserialize`.
///
/// ```text
/// #[derive(Serialize, Deserialize, Json)]
/// struct Order {
///     customer: String,
///     cents: u64,
/// }
/// ```
///
/// `#[kstreams(crate = path)]` says where the `kstreams` crate is, if it has another name.
#[proc_macro_derive(Json, attributes(kstreams))]
pub fn json(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    json::expand(item.into()).into()
}
