//! Snapshots of what a topology becomes: its plan as text and Mermaid, its expansion as formatted code.

use proc_macro2::TokenStream;

use super::{check, emit, model, parse, plan};
use crate::ctxt::Ctxt;

/// The plan of a topology without mistakes.
fn planned<T>(args: &str, item: &str, show: impl FnOnce(&plan::Plan<'_>) -> T) -> T {
    let tokens = |text: &str| text.parse::<TokenStream>().expect("Rust tokens");
    let cx = Ctxt::new();
    let syntax = parse::topology(&cx, tokens(args), tokens(item)).expect("a struct");
    let topology = model::build(&cx, syntax);
    check::all(&cx, &topology);
    if let Err(errors) = cx.check() {
        panic!("{errors:#?}");
    }
    show(&plan::lower(&topology))
}

fn plan_of(item: &str) -> String {
    planned("application_id = \"app\"", item, |plan| {
        format!("{}\n{}", plan.to_text(), plan.to_mermaid())
    })
}

fn expansion(args: &str, item: &str) -> String {
    let tokens = planned(args, item, emit::topology);
    let file = syn::parse2(tokens).expect("what is generated parses");
    prettyplease::unparse(&file)
}

/// Lines of the nodes' methods: what is written per node.
fn node_lines(expansion: &str) -> usize {
    let start = expansion.find("impl __Nodes for").expect("the nodes");
    expansion[start..]
        .lines()
        .take_while(|line| *line != "    }")
        .count()
}

const WORD_COUNT: &str = "
    /// Counts words.
    pub struct WordCount {
        #[source(topic = \"lines\")]
        lines: KStream<(), String>,
        #[from(lines.flat_map_values(|line| line.split(' ').map(str::to_owned)).group_by(|_, word| word.clone()).count())]
        #[sink(topic = \"counts\")]
        counts: KTable<String, i64>,
    }";

const SHOP: &str = "
    #[derive(Debug)]
    pub struct Shop {
        /// An order below this is ignored.
        min: u64,
        #[source(topic = \"orders\", partitions = 6)]
        orders: KStream<String, Order>,
        #[source(topic = \"customers\", partitions = 6)]
        customers: KTable<String, Customer>,
        #[source(topic = \"products\")]
        products: GlobalKTable<String, Product>,
        #[from(orders.filter(|_, o| o.total >= self.min)
            .join(customers, Enriched::new)
            .left_join(products, |_, e| e.product.clone(), Enriched::with))]
        #[sink(topic = \"enriched\", partitions = 6)]
        pub enriched: KStream<String, Enriched>,
        #[from(enriched.branch(|_, e| e.is_large()))]
        #[sink(topic = \"large\")]
        large: KStream<String, Enriched>,
        #[from(enriched.otherwise())]
        #[sink(topic = |_, e| e.topic(), topics(\"small\", \"tiny\"))]
        small: KStream<String, Enriched>,
        #[from(orders.flat_map_values(|o| o.lines.clone()).group_by(|_, l| l.product.clone()).count())]
        #[sink(topic = \"per-product\")]
        per_product: KTable<String, i64>,
    }";

#[test]
fn word_count_expands_to_readable_code() {
    insta::assert_snapshot!(
        "word_count_expansion",
        expansion("application_id = \"word-count\"", WORD_COUNT)
    );
}

#[test]
fn orders_expand_to_readable_code() {
    insta::assert_snapshot!(
        "orders_expansion",
        expansion("application_id = \"shop\"", SHOP)
    );
}

/// Operators follow aggregations whose stores have types that no field declares.
const MIDDLE: &str = "
    struct Middle {
        #[source(topic = \"words\", partitions = 3)]
        words: KStream<Option<String>, u64>,
        #[source(topic = \"more\", partitions = 3)]
        more: KStream<String, u64>,
        #[from(words.flat_map_values(|n| [*n; 2]).group_by_key().count().to_stream().map(|word, n| (n, word)))]
        #[sink(topic = \"doubled\")]
        doubled: KStream<i64, String>,
        #[from(words.group_by(|_, n| n % 10).aggregate(String::new, |_, n, all| format!(\"{all}{n}\")).map_values(|all| all.len() as u64))]
        #[sink(topic = \"lengths\")]
        lengths: KTable<u64, u64>,
        #[from(lengths.filter(|_, n| *n > 1))]
        #[store]
        long: KTable<u64, u64>,
        #[from(more.merge(words).select_key(|_, n| *n).left_join(long, |n, l| n + l.copied().unwrap_or(0)))]
        #[sink(topic = \"joined\")]
        joined: KStream<Option<u64>, u64>,
    }";

#[test]
fn aggregations_in_the_middle_of_a_chain_expand_to_readable_code() {
    let code = expansion("application_id = \"middle\"", MIDDLE);
    let nodes = &code[code.find("impl __Nodes for").expect("the nodes")..];
    let nodes = &nodes[..nodes
        .find("impl __s::Topology")
        .expect("what follows the nodes")];
    insta::assert_snapshot!("middle_nodes", nodes);
}

#[test]
fn plans() {
    insta::assert_snapshot!("middle_plan", plan_of(MIDDLE));
    insta::assert_snapshot!("word_count_plan", plan_of(WORD_COUNT));
    insta::assert_snapshot!("orders_plan", plan_of(SHOP));
}

/// A table `d`, derived in some way, and the stores behind it: those that are there whoever reads `d`, and those that somebody
/// who looks up its rows needs.
const DERIVED: &[(&str, &[&str], &[&str])] = &[
    (
        "#[source(topic = \"own\", partitions = 1)] d: Table,",
        &[],
        &["d"],
    ),
    ("#[from(t.filter(f))] d: Table,", &[], &["t"]),
    ("#[from(t.map_values(f))] d: Table,", &[], &["t"]),
    (
        "#[from(t.transform_values(P::new()))] d: Table,",
        &[],
        &["t"],
    ),
    (
        "#[from(t.filter(f))] e: Table, #[from(e.map_values(f).filter_not(f))] d: Table,",
        &[],
        &["t"],
    ),
    (
        "#[from(stored.filter(f))] d: Table,",
        &["stored"],
        &["stored"],
    ),
    (
        "#[from(t.filter(f))] #[store] e: Table, #[from(e.map_values(f))] d: Table,",
        &["e"],
        &["e"],
    ),
    (
        "#[from(past.filter(f).map_values(f))] d: Table,",
        &["past"],
        &["past"],
    ),
    (
        "#[from(s.group_by_key().reduce(f))] e: Table, #[from(e.map_values(f))] d: Table,",
        &["e"],
        &["e"],
    ),
    (
        "#[from(s.to_table())] e: Table, #[from(e.filter(f))] d: Table,",
        &[],
        &["e"],
    ),
    (
        "#[from(t.join(other, f))] d: Table,",
        &["t", "other"],
        &["t", "other"],
    ),
    (
        "#[from(t.filter(f).left_join(other, f).map_values(f))] d: Table,",
        &["t", "other"],
        &["t", "other"],
    ),
    (
        "#[from(t.suppress(until_time_limit(\"1s\")))] e: Table, #[from(e.map_values(f))] d: Table,",
        &["t", "e-store"],
        &["t", "e-store"],
    ),
    (
        "#[from(t.join_on(other, f, f))] e: Table, #[from(e.filter(f))] d: Table,",
        &["t", "other", "e-subscription-store"],
        &["t", "other", "e-subscription-store", "e"],
    ),
];

/// What reads `d`, whether it looks up rows or asks for old ones, and the stores that it brings itself.
const READING: &[(&str, bool, &[&str])] = &[
    (
        "#[from(d.to_stream())] #[sink(topic = \"out\")] o: Stream,",
        false,
        &[],
    ),
    (
        "#[from(s.join(d, f))] #[sink(topic = \"out\")] o: Stream,",
        true,
        &[],
    ),
    (
        "#[from(s.join(d, f))] #[sink(topic = \"out\")] o: Stream, #[from(s.left_join(d, f))] #[sink(topic = \"two\")] p: Stream,",
        true,
        &[],
    ),
    ("#[from(d.join(r, f))] o: Table,", true, &["r"]),
    ("#[from(r.left_join(d, f))] o: Table,", true, &["r"]),
    (
        "#[from(d.outer_join(r, f))] #[store] o: Table,",
        true,
        &["r", "o"],
    ),
    (
        "#[from(d.join_on(r, f, f))] o: Table,",
        true,
        &["r", "o-subscription-store"],
    ),
    (
        "#[from(r.left_join_on(d, f, f))] o: Table,",
        true,
        &["r", "o-subscription-store"],
    ),
    (
        "#[from(d.join_on(d, f, f))] o: Table,",
        true,
        &["o-subscription-store"],
    ),
    (
        "#[from(s.join(d, f))] #[sink(topic = \"out\")] o: Stream, #[from(r.join_on(d, f, f))] p: Table,",
        true,
        &["r", "p-subscription-store"],
    ),
    (
        "#[from(d.group_by(f).count())] o: KTable<String, i64>,",
        true,
        &["o"],
    ),
];

/// A table without `#[store]` that is derived of others has none, whoever reads it: its rows are made of those of the tables behind.
/// (The lists are what Kafka Streams 4.3.1 describes for the same topologies.)
#[test]
fn derived_tables_have_no_stores() {
    for (derived, always, needed) in DERIVED {
        for (reading, looks_up, own) in READING {
            let fields = format!(
                "struct App {{
                    #[source(topic = \"s\", partitions = 1)] #[sink(topic = \"copy\", partitions = 1)] s: Stream,
                    #[source(topic = \"t\", partitions = 1)] t: Table,
                    #[source(topic = \"other\", partitions = 1)] other: Table,
                    #[source(topic = \"r\", partitions = 1)] r: Table,
                    #[source(topic = \"stored\", partitions = 1)] #[store] stored: Table,
                    #[source(topic = \"past\", partitions = 1)] #[store(versioned = \"1s\")] past: Table,
                    {derived} {reading}
                }}"
            );
            let fields = fields
                .replace("Table,", "KTable<String, String>,")
                .replace("Stream,", "KStream<String, String>,");
            let is_named =
                |name: &str| fields.contains(&format!(" {name}: ")) || name.contains('-');
            let mut expected: Vec<&str> = [always, if *looks_up { needed } else { always }, own]
                .into_iter()
                .flat_map(|stores| stores.iter().copied())
                // They are there by themselves.
                .chain(["stored", "past"])
                .collect();
            expected.sort_unstable();
            expected.dedup();
            assert!(expected.iter().all(|name| is_named(name)), "{expected:?}");
            let mut stores: Vec<String> = planned("application_id = \"app\"", &fields, |plan| {
                plan.stores.iter().map(|store| store.name.clone()).collect()
            });
            stores.sort_unstable();
            assert_eq!(stores, expected, "{fields}");
        }
    }
}

#[test]
fn a_node_has_about_forty_lines_at_most_and_no_boxes_or_lookups() {
    for (args, item, nodes) in [
        ("application_id = \"a\"", WORD_COUNT, 2),
        ("application_id = \"a\"", SHOP, 7),
    ] {
        let code = expansion(args, item);
        let lines = node_lines(&code);
        assert!(
            lines <= nodes * 40,
            "{lines} lines for {nodes} nodes:\n{code}"
        );
        let start = code.find("trait __Nodes").expect("the nodes");
        let end = code[start..]
            .find("impl __s::Topology")
            .map_or(code.len(), |n| start + n);
        for unwanted in ["Box", "dyn ", ".get(\"", "unwrap", "unreachable"] {
            assert!(
                !code[start..end].contains(unwanted),
                "`{unwanted}` in\n{code}"
            );
        }
    }
}
