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
