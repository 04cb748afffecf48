//! The rules, one by one: the tokens of a topology against the errors that they give.

use std::str::FromStr as _;

use proc_macro2::TokenStream;

use crate::ctxt::Ctxt;
use crate::topology::{check, model, parse};

/// An error as `KS0105 @ ordres`: its code and the tokens that it points at.
pub(crate) struct Found {
    pub(crate) code: String,
    pub(crate) at: String,
    pub(crate) message: String,
}

/// What parse, model and check say about a struct. The other ends of edges are left out.
pub(crate) fn errors(args: &str, item: &str) -> Vec<Found> {
    let tokens = |text: &str| TokenStream::from_str(text).expect("the case is made of tokens");
    let cx = Ctxt::new();
    let found = match parse::topology(&cx, tokens(args), tokens(item)) {
        Ok(syntax) => {
            let topology = model::build(&cx, syntax);
            check::all(&cx, &topology);
            cx.check().err().unwrap_or_default()
        }
        Err(error) => {
            let _ = cx.check();
            vec![error]
        }
    };
    found
        .iter()
        .filter_map(|error| {
            let first = error.clone().into_iter().next()?;
            let message = first.to_string();
            let code = message.lines().next()?.rsplit_once('[')?.1;
            let code = code.trim_end_matches(']').to_owned();
            let at = first.span().source_text().unwrap_or_default();
            Some(Found { code, at, message })
        })
        .collect()
}

/// The errors of a struct with these fields.
pub(crate) fn errors_of_fields(fields: &str) -> Vec<Found> {
    errors(
        "application_id = \"app\"",
        &format!("struct App {{ {fields} }}"),
    )
}

/// The fields give exactly these errors, each written `KS0105 @ ordres`.
#[track_caller]
fn fails(fields: &str, expected: &[&str]) {
    let found: Vec<String> = errors_of_fields(fields)
        .iter()
        .map(|error| format!("{} @ {}", error.code, error.at))
        .collect();
    assert_eq!(found, expected, "of\n{fields}");
}

#[track_caller]
fn passes(fields: &str) {
    let found: Vec<String> = errors_of_fields(fields)
        .into_iter()
        .map(|error| error.message)
        .collect();
    assert!(found.is_empty(), "{found:#?}\nof\n{fields}");
}

const ORDERS: &str = r#"
    #[source(topic = "orders", partitions = 6)] orders: KStream<String, u64>,
    #[from(orders.for_each(|_, o| drop(o)))] end: (),
"#;

fn with_orders(rest: &str) -> String {
    format!("{ORDERS}{rest}")
}

#[test]
fn inputs_exist() {
    fails(
        &with_orders(
            r#"#[from(ordres.filter(|_, _| true))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
        ),
        &["KS0105 @ ordres"],
    );
    fails(
        &with_orders(
            r#"#[from(orders.join(custmers, |o, _| o))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
        ),
        &["KS0105 @ custmers"],
    );
    let found = errors_of_fields(&with_orders(
        r#"#[from(ordres.filter(|_, _| true))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
    ));
    assert!(
        found[0].message.contains("did you mean `orders`?"),
        "{}",
        found[0].message
    );
}

#[test]
fn a_misspelt_input_counts_as_read() {
    // One mistake, one error: `orders` is read by whoever meant it.
    fails(
        r#"#[source(topic = "orders")] orders: KStream<String, u64>,
           #[from(ordres.filter(|_, _| true))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
        &["KS0105 @ ordres"],
    );
    // And so it is where the chain does not parse at all.
    fails(
        r#"#[source(topic = "orders")] orders: KStream<String, u64>,
           #[from(orders.filter(|_, _| true) + 1)] #[sink(topic = "a")] a: KStream<String, u64>,"#,
        &["KS0113 @ orders.filter(|_, _| true) + 1"],
    );
}

#[test]
fn cycles_are_reported_once() {
    fails(
        &with_orders(
            r#"#[from(a.filter(|_, _| true))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
        ),
        &["KS0106 @ a"],
    );
    fails(
        &with_orders(
            r#"#[from(orders.merge(c))] a: KStream<String, u64>,
               #[from(a.filter(|_, _| true))] b: KStream<String, u64>,
               #[from(b.group_by_key().count())] n: KTable<String, i64>,
               #[from(b.map_values(|o| o))] c: KStream<String, u64>,"#,
        ),
        &["KS0106 @ c"],
    );
}

#[test]
fn tables_need_no_reader_and_streams_do() {
    passes(&with_orders(
        "#[from(orders.group_by_key().count())] n: KTable<String, i64>,",
    ));
    fails(
        &with_orders("#[from(orders.filter(|_, _| true))] a: KStream<String, u64>,"),
        &["KS0103 @ a"],
    );
    fails(
        r#"#[source(topic = "orders")] orders: KStream<String, u64>,"#,
        &["KS0103 @ orders"],
    );
}

#[test]
fn settings_of_a_changelog_need_names_values_and_a_changelog() {
    for (store, expected) in [
        (
            r#"changelog_config("retention.ms")"#,
            "KS0113 @ changelog_config",
        ),
        (
            "changelog_config(retention = 5)",
            "KS0113 @ changelog_config",
        ),
        ("changelog_config()", "KS0113 @ changelog_config"),
        (
            r#"changelog = false, changelog_config("segment.ms" = "5")"#,
            r#"KS0113 @ "segment.ms""#,
        ),
    ] {
        fails(
            &format!(
                r#"#[source(topic = "orders")] #[store({store})] orders: KTable<String, u64>,"#
            ),
            &[expected],
        );
    }
    fails(
        r#"#[source(topic = "rows")] #[store(changelog_config("segment.ms" = "5"))] rows: GlobalKTable<String, u64>,"#,
        &[r#"KS0405 @ "segment.ms""#],
    );
}

#[test]
fn a_chain_joins_tables_or_streams() {
    let chain = |between: &str| {
        format!(
            r#"#[source(topic = "one", partitions = 3)] one: KTable<String, u64>,
               #[source(topic = "two", partitions = 3)] two: KTable<String, u64>,
               #[source(topic = "sent", partitions = 3)] sent: KStream<String, u64>,
               #[from(one.join(two, |a, b| a + b).to_stream(){between}.left_join(sent, |a, _| a, within("1m")))]
               #[sink(topic = "met")] met: KStream<String, Option<u64>>,"#
        )
    };
    fails(&chain(""), &["KS0403 @ left_join"]);
    fails(&chain(".repartition(3)"), &[]);
}

#[test]
fn store_fields_are_set_up_by_their_kind() {
    let kept = |ty: &str, store: &str| {
        format!(
            r#"#[source(topic = "kept", global, process = Keep::new())] {store} kept: {ty}<String, u64>,
               #[source(topic = "rows", partitions = 3)] rows: KTable<String, u64>,"#
        )
    };
    for (ty, store) in [
        ("KeyValueStore", ""),
        ("TimestampedKeyValueStore", "#[store(kind = memory)]"),
        (
            "WindowStore",
            r#"#[store(window_size = "1h", retention = "1d")]"#,
        ),
        ("SessionStore", r#"#[store(retention = "1d")]"#),
        ("VersionedStore", r#"#[store(retention = HISTORY)]"#),
    ] {
        fails(&kept(ty, store), &[]);
    }
    for (ty, store, expected) in [
        ("WindowStore", "", "KS0111 @ WindowStore<String, u64>"),
        (
            "SessionStore",
            "#[store(kind = memory)]",
            "KS0111 @ store(kind = memory)",
        ),
        (
            "VersionedStore",
            r#"#[store(retention = "1d", kind = memory)]"#,
            "KS0430 @ memory",
        ),
        (
            "KeyValueStore",
            r#"#[store(versioned = "1h")]"#,
            "KS0114 @ versioned",
        ),
        (
            "KeyValueStore",
            r#"#[store(retention = "1h")]"#,
            r#"KS0114 @ "1h""#,
        ),
        (
            "SessionStore",
            r#"#[store(window_size = "1h", retention = "1d")]"#,
            r#"KS0114 @ "1h""#,
        ),
        (
            "KeyValueStore",
            "#[store(changelog = true)]",
            "KS0405 @ true",
        ),
        ("KeyValueStore", "#[store(cache = false)]", "KS0405 @ false"),
    ] {
        fails(&kept(ty, store), &[expected]);
    }
    fails(
        r#"#[source(topic = "rows")] #[store(window_size = "1h")] rows: KTable<String, u64>,"#,
        &[r#"KS0114 @ "1h""#],
    );
}

#[test]
fn a_global_store_says_who_keeps_it() {
    for (source, expected) in [
        ("global", "KS0111 @ global"),
        ("process = Keep::new()", "KS0111 @ Keep::new()"),
        ("global, process = keep", "KS0132 @ keep"),
        ("global = true, process = Keep::new()", "KS0113 @ global"),
        (
            "global, process = Keep::new(), offset_reset = latest",
            "KS0114 @ latest",
        ),
        ("global, process = Keep::new(self.rows)", "KS0130 @ rows"),
        ("partitions = 3", "KS0126 @ KeyValueStore<String, u64>"),
    ] {
        fails(
            &format!(
                r#"#[source(topic = "kept", {source})] kept: KeyValueStore<String, u64>,
                   #[source(topic = "rows", partitions = 3)] rows: KTable<String, u64>,"#
            ),
            &[expected],
        );
    }
}

#[test]
fn one_mistake_in_an_attribute_gives_one_error() {
    for (source, expected) in [
        (r#"topc = "orders""#, "KS0110 @ topc"),
        ("topic = orders", "KS0113 @ topic"),
        (r#"topic = "orders", partitions = 0"#, "KS0113 @ 0"),
        (r#"topic = "orders", topic = "b""#, "KS0112 @ topic"),
        ("partitions = 6", "KS0111 @ #[source(partitions = 6)]"),
        (r#"pattern = "orders.*""#, "KS0190 @ pattern"),
        (r#""orders""#, r#"KS0113 @ "orders""#),
    ] {
        fails(
            &format!(
                r#"#[source({source})] orders: KStream<String, u64>,
                   #[source(topic = "customers", partitions = 3)] customers: KTable<String, u64>,
                   #[from(orders.join(customers, |o, _| o))] #[sink(topic = "a")] a: KStream<String, u64>,"#
            ),
            &[expected],
        );
    }
}

#[test]
fn misspelt_attributes_are_told() {
    for (attributes, expected) in [
        (
            r#"#[form(orders.filter(|_, _| true))] #[sink(topic = "a")]"#,
            "KS0110 @ form",
        ),
        (
            r#"#[from(orders.filter(|_, _| true))] #[snik(topic = "a")]"#,
            "KS0110 @ snik",
        ),
        (r#"#[soruce(topic = "a")]"#, "KS0110 @ soruce"),
    ] {
        fails(
            &format!(
                r#"#[source(topic = "orders")] orders: KStream<String, u64>,
                   {attributes} a: KStream<String, u64>,
                   #[from(orders.for_each(|_, _| ()))] end: (),
                   #[from(a.for_each(|_, _| ()))] end_of_a: (),"#
            ),
            &[expected],
        );
    }
}

#[test]
fn operators_behind_an_unknown_one_are_not_guessed_at() {
    fails(
        &with_orders(
            r#"#[from(orders.fliter(|_, _| true).count().merge(nothing, 1))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
        ),
        &["KS0105 @ nothing", "KS0120 @ fliter"],
    );
}

#[test]
fn kinds_fit() {
    fails(
        &with_orders("#[from(orders.count())] n: KTable<String, i64>,"),
        &["KS0121 @ count"],
    );
    fails(
        &with_orders("#[from(orders.group_by_key())] n: KTable<String, i64>,"),
        &["KS0122 @ group_by_key"],
    );
    fails(
        &with_orders(
            "#[from(orders.group_by_key().filter(|_, _| true).count())] n: KTable<String, i64>,",
        ),
        &["KS0122 @ filter"],
    );
    fails(
        &with_orders(
            r#"#[from(orders.group_by_key().count())] #[sink(topic = "n")] n: KStream<String, i64>,"#,
        ),
        &["KS0126 @ KStream<String, i64>"],
    );
    fails(
        &with_orders(
            r#"#[from(orders.for_each(|_, _| ()).filter(|_, _| true))] #[sink(topic = "n")] n: KStream<String, i64>,"#,
        ),
        &["KS0127 @ filter"],
    );
}

#[test]
fn closures_are_counted_and_paths_are_not() {
    for (op, expected) in [
        ("filter(|o| true)", Some("KS0125 @ |o|")),
        ("filter(is_large)", None),
        ("filter(|_, _| true, 3)", Some("KS0124 @ filter")),
        ("filter()", Some("KS0124 @ filter")),
        ("filter(3)", Some("KS0124 @ 3")),
        ("map_values(|_, _| 3)", Some("KS0125 @ |_, _|")),
        ("map(|k, v| (k, v))", None),
        ("map(move |k| (k, 3))", Some("KS0125 @ |k|")),
        ("repartition(3)", None),
        ("repartition(partitions = 3)", None),
        (
            "repartition(3, partitions = 3)",
            Some("KS0124 @ repartition"),
        ),
        ("repartition(nmae = \"x\")", Some("KS0110 @ nmae")),
        ("repartition(name = x)", Some("KS0113 @ name")),
    ] {
        let fields = with_orders(&format!(
            r#"#[from(orders.{op})] #[sink(topic = "a")] a: KStream<String, u64>,"#
        ));
        match expected {
            Some(expected) => fails(&fields, &[expected]),
            None => passes(&fields),
        }
    }
}

#[test]
fn splits_have_an_order() {
    let split = |branches: &[&str]| {
        branches.iter().enumerate().fold(ORDERS.to_owned(), |fields, (i, op)| {
            format!(r#"{fields} #[from(orders.{op})] #[sink(topic = "t{i}")] f{i}: KStream<String, u64>,"#)
        })
    };
    let large = "branch(|_, o| *o > 3)";
    passes(&split(&[large, "branch(|_, o| *o > 2)", "otherwise()"]));
    passes(&split(&[large]));
    passes(&split(&[
        large,
        "otherwise()",
        "branch(|_, o| *o > 3, split = \"b\")",
        "otherwise(split = \"b\")",
    ]));
    fails(&split(&["otherwise()", large]), &["KS0129 @ branch"]);
    fails(&split(&["otherwise()"]), &["KS0129 @ otherwise"]);
    fails(
        &split(&[large, "otherwise()", "otherwise()"]),
        &["KS0129 @ otherwise"],
    );
    fails(&split(&[large, large]), &["KS0129 @ |_, o| *o > 3"]);
    fails(
        &split(&["filter(|_, _| true).branch(|_, o| *o > 3)"]),
        &["KS0128 @ branch"],
    );
}

#[test]
fn closures_touch_no_nodes() {
    let table = r#"limit: u64, #[source(topic = "t")] #[store] table: KTable<String, u64>,"#;
    for (body, expected) in [
        ("*o > self.limit", None),
        ("self.table.get(k).is_ok()", Some("KS0130 @ table")),
        (
            "{ println!(\"{:?}\", self.table); true }",
            Some("KS0130 @ table"),
        ),
        ("self.table(k)", None),
        ("other.table > 3", None),
    ] {
        let fields = with_orders(&format!(
            r#"{table} #[from(orders.filter(|k, o| {body}))] #[sink(topic = "a")] a: KStream<String, u64>,"#
        ));
        match expected {
            Some(expected) => fails(&fields, &[expected]),
            None => passes(&fields),
        }
    }
}

/// A join of two sources with these options, and the errors.
#[track_caller]
fn joined(orders: &str, chain: &str, customers: &str, expected: &[&str]) {
    let fields = format!(
        r#"#[source(topic = "orders"{orders})] orders: KStream<String, u64>,
           #[source(topic = "customers"{customers})] customers: KTable<String, u64>,
           #[from({chain}.join(customers, |o, _| o))] #[sink(topic = "a")] a: KStream<String, u64>,"#
    );
    fails(&fields, expected);
}

#[test]
fn joins_are_copartitioned() {
    joined(", partitions = 6", "orders", ", partitions = 6", &[]);
    joined(
        ", partitions = 6",
        "orders",
        ", partitions = 4",
        &["KS0301 @ 4"],
    );
    joined(
        ", partitions = 6",
        "orders",
        "",
        &["KS0302 @ source(topic = \"customers\")"],
    );
    joined(
        "",
        "orders.filter(|_, _| true)",
        ", partitions = 6",
        &["KS0302 @ source(topic = \"orders\")"],
    );
    joined(
        "",
        "orders",
        "",
        &[
            "KS0302 @ source(topic = \"orders\")",
            "KS0302 @ source(topic = \"customers\")",
        ],
    );
    joined(", partitions = runtime", "orders", ", partitions = 4", &[]);
    joined(", partitions = N", "orders", ", partitions = 4", &[]);
    // An automatic repartition topic gets the table's count; an explicit one has its own.
    joined("", "orders.select_key(|_, o| o.to_string())", "", &[]);
    joined(
        ", partitions = 6",
        "orders.repartition(4)",
        ", partitions = 4",
        &[],
    );
    joined(
        ", partitions = 6",
        "orders.repartition(5)",
        ", partitions = 4",
        &["KS0304 @ 4"],
    );
    joined(
        ", partitions = 6",
        "orders",
        ", partitions = 6, partitioner = ByRegion",
        &["KS0303 @ ByRegion"],
    );
    joined(
        ", partitions = 6, partitioner = ByRegion",
        "orders",
        ", partitions = 6, partitioner = ByRegion",
        &[],
    );
}

#[test]
fn foreign_key_joins_name_the_partitioner_of_the_right_table() {
    let joined = |source: &str, option: &str, errors: &[&str]| {
        let fields = format!(
            r#"#[source(topic = "l")] l: KTable<u64, String>,
               #[source(topic = "r"{source})] r: KTable<String, u64>,
               #[from(r.filter(|_, n| *n > 3))] large: KTable<String, u64>,
               #[from(l.join_on(large, |_, l| l.clone(), |_, r| *r{option}))] a: KTable<u64, u64>,"#
        );
        match errors {
            [] => passes(&fields),
            errors => fails(&fields, errors),
        }
    };
    joined("", "", &[]);
    joined(
        ", partitioner = ByRegion",
        ", other_partitioner = ByRegion",
        &[],
    );
    joined(", partitioner = ByRegion", "", &["KS0303 @ large"]);
    joined("", ", other_partitioner = ByRegion", &["KS0303 @ ByRegion"]);
    joined(
        ", partitioner = ByRegion",
        ", other_partitioner = ByCountry",
        &["KS0303 @ ByCountry"],
    );
    joined(
        "",
        ", other_partitioner(ByRegion)",
        &["KS0113 @ other_partitioner"],
    );
    joined(
        "",
        ", other_partitoner = ByRegion",
        &["KS0110 @ other_partitoner"],
    );
}

#[test]
fn merges_are_copartitioned_where_state_follows() {
    let merged = |rest: &str| {
        format!(
            r#"#[source(topic = "a", partitions = 6)] a: KStream<String, u64>,
               #[source(topic = "b", partitions = 3)] b: KStream<String, u64>,
               {rest}"#
        )
    };
    passes(&merged(
        r#"#[from(a.merge(b))] #[sink(topic = "c")] c: KStream<String, u64>,"#,
    ));
    passes(&merged(
        "#[from(a.merge(b).group_by(|_, o| *o).count())] c: KTable<u64, i64>,",
    ));
    fails(
        &merged("#[from(a.merge(b).group_by_key().count())] c: KTable<String, i64>,"),
        &["KS0301 @ 3"],
    );
    // Also where the state is elsewhere in the sub-topology: its tasks would have partitions of both.
    fails(
        &merged(
            r#"#[from(a.merge(b))] #[sink(topic = "c")] c: KStream<String, u64>,
               #[from(a.group_by_key().count())] n: KTable<String, i64>,"#,
        ),
        &["KS0301 @ 3"],
    );
}

#[test]
fn several_topics_in_front_of_state_declare_their_count() {
    let counted = |count: &str| {
        format!(
            r#"#[source(topics("a", "b"){count})] both: KStream<String, u64>,
               #[from(both.group_by_key().count())] n: KTable<String, i64>,"#
        )
    };
    fails(&counted(""), &[r#"KS0302 @ source(topics("a", "b"))"#]);
    passes(&counted(", partitions = 6"));
    passes(
        r#"#[source(topics("a", "b"))] both: KStream<String, u64>,
           #[from(both.filter(|_, _| true))] #[sink(topic = "c")] c: KStream<String, u64>,"#,
    );
}

#[test]
fn the_example_of_the_design_lacks_only_what_comes_later() {
    fails(
        r#"
        min_total: u64,
        #[source(topic = "orders", partitions = 6)]
        orders: KStream<CustomerId, Order>,
        #[source(topic = "customers", partitions = 6)]
        customers: KTable<CustomerId, Customer>,
        #[source(topic = "products")]
        products: GlobalKTable<ProductId, Product>,
        #[from(orders.filter(|_, o| o.total >= self.min_total)
            .join(customers, Enriched::new)
            .left_join(products, |_, e| e.product, Enriched::with_product))]
        #[sink(topic = "enriched-orders", partitions = 6)]
        enriched: KStream<CustomerId, Enriched>,
        #[from(enriched.branch(|_, e| e.is_large()))]
        #[sink(topic = "large-orders")]
        large: KStream<CustomerId, Enriched>,
        #[from(enriched.otherwise())]
        #[sink(topic = "small-orders")]
        small: KStream<CustomerId, Enriched>,
        #[from(orders.group_by_key().windowed_by(tumbling("10m").grace("1m")).count())]
        per_ten_minutes: KTable<Windowed<CustomerId>, i64>,
        #[from(enriched.process(FraudAlerts::new(self.min_total)))]
        #[sink(topic = |_, alert| alert.kind.topic(), topics("fraud", "review"))]
        alerts: KStream<CustomerId, Alert>,
        "#,
        &[],
    );
}

#[test]
fn keys_have_one_wire_format() {
    fails(
        r#"#[source(topic = "orders", partitions = 6)] orders: KStream<Json<Id>, u64>,
           #[source(topic = "customers", partitions = 6)] customers: KTable<Id, u64>,
           #[from(orders.join(customers, |o, _| o))] #[sink(topic = "a")] a: KStream<Id, u64>,"#,
        &["KS0308 @ Id"],
    );
}

#[test]
fn a_topic_has_one_count() {
    fails(
        r#"#[source(topic = "orders", partitions = 6)] orders: KStream<String, u64>,
           #[from(orders.filter(|_, _| true))] #[sink(topic = "a", partitions = 3)] a: KStream<String, u64>,
           #[from(orders.filter(|_, _| true))] #[sink(topic = "a", partitions = 4)] b: KStream<String, u64>,"#,
        &["KS0301 @ 4"],
    );
}

#[test]
fn chains_have_one_store() {
    fails(
        &with_orders(
            "#[from(orders.group_by_key().count().to_stream().group_by_key().count())] n: KTable<String, i64>,",
        ),
        &["KS0403 @ count"],
    );
    let found = errors_of_fields(&with_orders(
        "#[from(orders.filter(|_, o| *o > 3).group_by_key().count().to_stream().group_by_key().count())] n: KTable<String, i64>,",
    ));
    assert!(
        found[0].message.contains(
            "    #[from(orders.filter(|_, o| *o > 3).group_by_key().count())]\n    n_count: KTable<String, i64>,"
        ),
        "{}",
        found[0].message
    );
    for (windows, key) in [
        ("tumbling(10)", "Windowed<String>"),
        ("session(10)", "Windowed<String, SessionWindow>"),
    ] {
        let found = errors_of_fields(&with_orders(&format!(
            "#[from(orders.group_by_key().windowed_by({windows}).count().to_stream().group_by_key().count())] n: KTable<{key}, i64>,",
        )));
        let pasted = format!("n_count: KTable<{key}, i64>,");
        assert!(found[0].message.contains(&pasted), "{}", found[0].message);
    }
}

#[test]
fn a_join_does_not_look_into_the_store_of_an_earlier_operator() {
    fails(
        r#"#[source(topic = "orders", partitions = 6)] orders: KStream<String, u64>,
           #[from(orders.group_by_key().count().filter(|_, n| *n > 3))] many: KTable<String, i64>,
           #[from(orders.join(many, |o, _| o))] #[sink(topic = "a")] a: KStream<String, u64>,"#,
        &["KS0403 @ count"],
    );
}

#[test]
fn joins_do_not_look_into_tables_in_the_middle_of_chains() {
    for (row, reading, place) in [
        (
            "left.join_on(right, |_, l| *l, |l, _| *l).filter(|_, n| *n > 3)",
            "left.join(row, |l, _| *l)",
            "row",
        ),
        (
            "s.to_table().filter(|_, n| *n > 3)",
            "right.join_on(row, |_, r| r.to_string(), |r, _| *r)",
            "row",
        ),
        (
            "s.to_table().map_values(|n| n)",
            "row.join_on(right, |_, n| *n, |n, _| *n)",
            "row",
        ),
    ] {
        fails(
            &format!(
                r#"#[source(topic = "s", partitions = 6)] #[sink(topic = "copy", partitions = 6)] s: KStream<String, u64>,
                   #[source(topic = "left", partitions = 6)] left: KTable<String, u64>,
                   #[source(topic = "right", partitions = 6)] right: KTable<u64, u64>,
                   #[from({row})] row: KTable<String, u64>, #[from({reading})] a: KTable<String, u64>,"#
            ),
            &[&format!("KS0403 @ {place}")],
        );
    }
}

#[test]
fn names_are_kafkas() {
    for (name, legal) in [
        ("orders", true),
        ("Orders.v2_x-y", true),
        ("", false),
        (".", false),
        ("..", false),
        ("...", true),
        ("a b", false),
        ("a/b", false),
        ("größe", false),
        (&"a".repeat(249), true),
    ] {
        let fields = format!(
            r#"#[source(topic = "{name}")] orders: KStream<String, u64>, #[from(orders.for_each(|_, _| ()))] end: (),"#
        );
        if legal {
            passes(&fields);
        } else {
            fails(&fields, &[&format!("KS0501 @ \"{name}\"")]);
        }
    }
    let long = "a".repeat(250);
    fails(
        &format!(
            r#"#[source(topic = "{long}")] orders: KStream<String, u64>, #[from(orders.for_each(|_, _| ()))] end: (),"#
        ),
        &[&format!("KS0502 @ \"{long}\"")],
    );
}

#[test]
fn derived_names_differ() {
    fails(
        &with_orders(
            r#"#[from(orders.group_by_key().count())] a: KTable<String, i64>,
               #[from(orders.group_by_key().count())] #[store(name = "a")] b: KTable<String, i64>,"#,
        ),
        &["KS0503 @ \"a\""],
    );
    fails(
        &with_orders(
            r#"#[from(orders.group_by_key().count())] #[sink(topic = "app-a-changelog")] a: KTable<String, i64>,"#,
        ),
        &["KS0504 @ \"app-a-changelog\""],
    );
    fails(
        &with_orders(
            r#"#[from(orders.repartition(3).select_key(|_, o| *o).repartition(4))] #[sink(topic = "a")] a: KStream<u64, u64>,"#,
        ),
        &["KS0503 @ repartition"],
    );
    fails(&with_orders("start: u64,"), &["KS0505 @ start"]);
}

#[test]
fn sets_of_topics_give_each_variant_a_topic() {
    let set = |set: &str| {
        with_orders(&format!(
            "#[from(orders.filter(|_, _| true))] #[sink(topic = choose, topics({set}))] a: KStream<String, u64>,"
        ))
    };
    passes(&set(r#"pub enum Route { A = "a", B = "b" }"#));
    passes(&set(r#"/// Where.
        #[derive(Ord)] enum Route { /// There.
        A = "a", },"#));
    fails(&set(r#"enum Route { A = "a", B }"#), &["KS0460 @ B"]);
    fails(&set("enum Route { A = 1 }"), &["KS0460 @ 1"]);
    fails(&set(r#"enum Route { A(u8) = "a" }"#), &["KS0460 @ (u8)"]);
    fails(
        &set(r#"enum Route { A = "a", B = "a" }"#),
        &[r#"KS0460 @ "a""#],
    );
    fails(&set("enum Route {}"), &["KS0460 @ Route"]);
    fails(&set(r#"enum Route<T> { A = "a" }"#), &["KS0460 @ <T>"]);
    // The names are those of topics, in every rule of topics.
    fails(
        &set(r#"enum Route { A = "not legal" }"#),
        &[r#"KS0501 @ "not legal""#],
    );
    fails(&set("enum Route"), &["KS0113 @ )"]);
}

#[test]
fn fallible_operators_pass_a_versioned_table_on_as_the_others_do() {
    for op in ["filter", "try_filter", "map_values", "try_map_values"] {
        fails(
            &format!(
                r#"#[source(topic = "prices")] #[store(versioned = "1h")] prices: KTable<String, u64>,
                   #[from(prices.{op}(choose).suppress(until_time_limit("10s")))] late: KTable<String, u64>,"#
            ),
            &["KS0432 @ suppress"],
        );
    }
}

#[test]
fn a_store_is_shared_on_one_side_of_what_meets() {
    let topology = |other: &str, meets: &str| {
        format!(
            r#"#[source(topic = "orders", partitions = 2)] orders: KStream<String, u64>,
               #[source(topic = "payments", partitions = 2)] payments: KStream<String, u64>,
               #[store] seen: KeyValueStore<String, u64>,
               #[from({other}.process_values(Known::new(), stores(seen)).select_key(other))] rekeyed: KStream<String, u64>,
               #[from({meets}.process_values(Known::new(), stores(seen)))] #[sink(topic = "a")] a: KStream<String, u64>,"#
        )
    };
    let join = r#"orders.join(rekeyed, |o, p| o + p, within("1m"))"#;
    let split = &["KS0332 @ seen"];
    fails(&topology("payments", join), split);
    // The stream meets itself there.
    passes(&topology("orders", join).replace("payments: KStream", "payments: KTable"));
    // Behind what the other side gets by itself there is no topic.
    passes(&topology("payments", join).replace(".select_key(other)", ""));
    // Before the meeting, on the side that has no topic.
    passes(&topology(
        "payments",
        r#"orders.filter(large).process_values(Known::new(), stores(seen)).join(rekeyed, |o, p| o + p, within("1m"))"#,
    ).replace(".process_values(Known::new(), stores(seen)))] #[sink", ")] #[sink"));
}
