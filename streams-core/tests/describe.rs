//! `describe()` against the texts that Kafka Streams 4.3.1 printed, and the pictures of a small topology.

use std::collections::BTreeMap;

use serde_json::Value;
use streams_core::describe;
use streams_core::topology::{
    Changelog, GlobalDescriptor, KeptBy, NodeDescriptor, NodeKind, OffsetReset, SinkTopic,
    SourceDescriptor, SourceTimestamps, StoreBackend, StoreDescriptor, StoreFormat, StoreKind,
    SubtopologyDescriptor, TopicDescriptor, TopicRole, TopologyDescriptor, TypeDescriptor,
};

const KAFKA: &str = include_str!("describe/kafka-streams-4.3.1.json");

#[test]
fn text_is_kafkas() {
    let file: Value = serde_json::from_str(KAFKA).expect("the file is JSON");
    let cases = file["cases"].as_array().expect("a list of cases");
    let mut compared = 0;
    for case in cases {
        let name = case["name"].as_str().expect("a name");
        let expected = case["describe"].as_str().expect("a text");
        if name == "pattern-source" {
            continue; // Sources by pattern are not there yet.
        }
        let mut read = parse(expected);
        if name == "papi-shared-stores" {
            // The text has lost the order in which this node's parents were declared: `addSink(k2, o2, [p2, p1])`.
            read.parents_of("k2", &["p2", "p1"]);
        }
        let (topology, renamed) = read.descriptor();
        let mut actual = describe::text(&topology);
        for (ours, kafkas) in &renamed {
            actual = actual.replace(ours.as_str(), kafkas);
        }
        assert_eq!(actual, expected, "case `{name}`");
        compared += 1;
    }
    assert_eq!(compared, cases.len() - 1);
}

#[test]
fn a_sink_that_chooses_per_record_names_what_it_may_choose() {
    let text = describe::text(&SHOP);
    assert!(
        text.contains("    Sink: routed-sink (extractor class: large | small)\n      <-- routed\n"),
        "{text}"
    );
}

#[test]
fn mermaid_draws_topics_nodes_stores_and_globals() {
    assert_eq!(
        describe::mermaid(&SHOP),
        r#"flowchart TD
  t0[/"orders"/]
  tany_n0_2[/"large | small"/]
  t1[/"products"/]
  subgraph part0 ["Sub-topology 0"]
    n0_0["orders"]
    n0_1["routed"]
    n0_2["routed-sink"]
    s0[("seen")]
  end
  subgraph part1 ["Sub-topology 1, global: every instance has it whole"]
    g0_source["products-source"]
    g0["products"]
    s1[("products")]
  end
  n0_0 --> n0_1
  t0 --> n0_0
  n0_1 --> n0_2
  n0_2 --> tany_n0_2
  t1 --> g0_source
  g0_source --> g0
  n0_1 -.- s0
  g0 -.- s1
"#
    );
}

#[test]
fn dot_is_the_same_picture() {
    let dot = describe::dot(&SHOP);
    assert!(
        dot.starts_with("digraph \"shop\" {\n  node [shape=box];\n"),
        "{dot}"
    );
    assert!(
        dot.contains("  subgraph cluster0 {\n    label=\"Sub-topology 0\";\n"),
        "{dot}"
    );
    assert!(
        dot.contains("  n0_1 -> s0 [dir=none, style=dashed];\n"),
        "{dot}"
    );
    assert!(dot.ends_with("}\n"), "{dot}");
}

#[test]
fn json_holds_the_whole_descriptor() {
    let json = describe::json(&SHOP);
    assert_eq!(json["application_id"], "shop");
    assert_eq!(json["topics"][0]["partitions"], 6);
    assert_eq!(
        json["subtopologies"][0]["nodes"][2]["topics_per_record"][1],
        "small"
    );
    assert_eq!(json["stores"][0]["changelog"], Value::Null);
    assert_eq!(json["globals"][0]["store"], "products");
}

static SHOP: TopologyDescriptor = TopologyDescriptor {
    name: "Shop",
    application_id: "shop",
    topics: &[
        topic("orders", TopicRole::Source, Some(6)),
        topic("products", TopicRole::Source, None),
        topic("large", TopicRole::Sink, None),
        topic("small", TopicRole::Sink, None),
    ],
    stores: &[
        store("seen", Changelog::None),
        store("products", Changelog::Source(1)),
    ],
    subtopologies: &[SubtopologyDescriptor {
        sources: &[SourceDescriptor {
            node: "orders",
            topic: 0,
            offset_reset: OffsetReset::Earliest,
            timestamps: SourceTimestamps::Configured,
        }],
        stores: &[0],
        nodes: &[
            NodeDescriptor {
                name: "orders",
                kind: NodeKind::Source { topics: &[0] },
                stores: &[],
                children: &["routed"],
                parents: &[],
            },
            NodeDescriptor {
                name: "routed",
                kind: NodeKind::Processor { operator: "filter" },
                stores: &["seen"],
                children: &["routed-sink"],
                parents: &["orders"],
            },
            NodeDescriptor {
                name: "routed-sink",
                kind: NodeKind::Sink {
                    topic: SinkTopic::PerRecord(&[2, 3]),
                },
                stores: &[],
                children: &[],
                parents: &["routed"],
            },
        ],
        copartitioned: &[],
        times: &[],
    }],
    globals: &[GlobalDescriptor {
        node: "products",
        topic: 1,
        store: 1,
        kept_by: KeptBy::Topic,
    }],
};

const fn topic(name: &'static str, role: TopicRole, partitions: Option<u32>) -> TopicDescriptor {
    let text = TypeDescriptor::of::<String>("String");
    TopicDescriptor {
        name,
        role,
        partitions,
        key: text,
        value: text,
    }
}

const fn store(name: &'static str, changelog: Changelog) -> StoreDescriptor {
    let text = TypeDescriptor::of::<String>("String");
    StoreDescriptor {
        name,
        node: name,
        kind: StoreKind::TimestampedKeyValue,
        backend: StoreBackend::Lmdb,
        format: StoreFormat::Default,
        cache: false,
        changelog,
        changelog_config: &[],
        key: text,
        value: text,
    }
}

/// A described text, read back: what it says, without the order in which it says it.
#[derive(Default)]
struct Described {
    subtopologies: Vec<Subtopology>,
}

#[derive(Default)]
struct Subtopology {
    global: bool,
    nodes: BTreeMap<String, Node>,
}

#[derive(Default)]
struct Node {
    kind: String,
    argument: String,
    parents: Vec<String>,
    children: Vec<String>,
}

fn parse(text: &str) -> Described {
    let mut read = Described::default();
    let mut node = String::new();
    for line in text.lines().skip(1).map(str::trim_start) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "Sub-topology:" {
            let global = rest.contains("for global store");
            read.subtopologies.push(Subtopology {
                global,
                ..Subtopology::default()
            });
            continue;
        }
        let Some(subtopology) = read.subtopologies.last_mut() else {
            continue;
        };
        let names = || {
            rest.split(", ")
                .filter(|n| *n != "none")
                .map(str::to_owned)
                .collect()
        };
        match word {
            "-->" => subtopology.nodes.entry(node.clone()).or_default().children = names(),
            "<--" => subtopology.nodes.entry(node.clone()).or_default().parents = names(),
            "Source:" | "Processor:" | "Sink:" => {
                let (name, argument) = rest.split_once(' ').expect("a name and what it has");
                node = name.to_owned();
                let entry = subtopology.nodes.entry(node.clone()).or_default();
                word.clone_into(&mut entry.kind);
                argument
                    .trim_matches(['(', ')'])
                    .clone_into(&mut entry.argument);
            }
            _ => assert!(line.is_empty(), "unexpected line `{line}`"),
        }
    }
    read
}

impl Described {
    fn parents_of(&mut self, node: &str, parents: &[&str]) {
        for node in self
            .subtopologies
            .iter_mut()
            .filter_map(|s| s.nodes.get_mut(node))
        {
            node.parents = parents.iter().map(|&p| p.to_owned()).collect();
        }
    }

    /// The descriptor, and the names in its text that Kafka Streams numbered.
    fn descriptor(&self) -> (TopologyDescriptor, Vec<(String, String)>) {
        let mut topics: Vec<TopicDescriptor> = Vec::new();
        let mut topic_index = |name: &str| {
            topics
                .iter()
                .position(|t| t.name == name)
                .unwrap_or_else(|| {
                    topics.push(topic(leak(name), TopicRole::Source, None));
                    topics.len() - 1
                })
        };
        let (mut subtopologies, mut globals, mut stores, mut renamed) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for part in &self.subtopologies {
            if part.global {
                let (source_name, source) = part
                    .nodes
                    .iter()
                    .find(|(_, n)| n.kind == "Source:")
                    .expect("a source");
                let (name, node) = part
                    .nodes
                    .iter()
                    .find(|(_, n)| n.kind == "Processor:")
                    .expect("a processor");
                stores.push(store(leak(list(&node.argument)[0]), Changelog::None));
                globals.push(GlobalDescriptor {
                    node: leak(name),
                    topic: topic_index(list(&source.argument)[0]),
                    store: stores.len() - 1,
                    kept_by: KeptBy::Topic,
                });
                renamed.push((format!("{name}-source"), source_name.clone()));
                continue;
            }
            let nodes = part.nodes.iter().map(|(name, node)| {
                let listed = list(&node.argument);
                NodeDescriptor {
                    name: leak(name),
                    kind: match node.kind.as_str() {
                        "Source:" => NodeKind::Source {
                            topics: leak_all(listed.iter().map(|t| topic_index(t)).collect()),
                        },
                        "Processor:" => NodeKind::Processor { operator: "" },
                        _ => NodeKind::Sink {
                            topic: SinkTopic::Static(topic_index(listed[0])),
                        },
                    },
                    stores: if node.kind == "Processor:" {
                        leak_all(listed.iter().map(|s| leak(s)).collect())
                    } else {
                        &[]
                    },
                    children: leak_all(node.children.iter().map(|n| leak(n)).collect()),
                    parents: leak_all(node.parents.iter().map(|n| leak(n)).collect()),
                }
            });
            subtopologies.push(SubtopologyDescriptor {
                sources: &[],
                stores: &[],
                nodes: leak_all(nodes.collect()),
                copartitioned: &[],
                times: &[],
            });
        }
        let descriptor = TopologyDescriptor {
            name: "Case",
            application_id: "case",
            topics: leak_all(topics),
            stores: leak_all(stores),
            subtopologies: leak_all(subtopologies),
            globals: leak_all(globals),
        };
        (descriptor, renamed)
    }
}

/// `topics: [a, b]`, `stores: []` and `topic: a` as lists.
fn list(argument: &str) -> Vec<&str> {
    let (_, names) = argument.split_once(": ").expect("a kind and names");
    names
        .trim_matches(['[', ']'])
        .split(", ")
        .filter(|n| !n.is_empty())
        .collect()
}

/// A descriptor is static data in every program; here it lives as long as the test.
fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn leak_all<T>(list: Vec<T>) -> &'static [T] {
    Box::leak(list.into_boxed_slice())
}
