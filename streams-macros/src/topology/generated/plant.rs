//! One mistake in a legal topology, as a person would make it.

use super::super::kinds::Shape;
use super::draw::{HOW_MANY, Random};
use super::drawn::{Does, Node, Op, Origin, Topology};
use super::fields;

/// A mistake: its code, what it is, and how it comes into a topology that has a place for it.
pub(crate) struct Mistake {
    pub(crate) code: &'static str,
    pub(crate) what: &'static str,
    pub(crate) plant: fn(&mut Random, &Topology) -> Option<Topology>,
}

/// Plants some mistake that the topology has a place for.
pub(crate) fn plant(random: &mut Random, topology: &Topology) -> (&'static Mistake, Topology) {
    let mistakes: Vec<&Mistake> = mistakes().collect();
    for _ in 0..10 * HOW_MANY {
        if let Some(mistake) = random.pick(&mistakes).copied()
            && let Some(broken) = (mistake.plant)(random, topology)
        {
            return (mistake, broken);
        }
    }
    panic!("no mistake fits into\n{}", topology.item());
}

/// All of them.
pub(crate) fn mistakes() -> impl Iterator<Item = &'static Mistake> {
    MISTAKES.iter().chain(fields::MISTAKES)
}

macro_rules! mistake {
    ($code:literal, $what:literal, $plant:expr) => {
        Mistake {
            code: $code,
            what: $what,
            plant: $plant,
        }
    };
}

/// A copy of the topology with further fields.
pub(super) fn with_fields(topology: &Topology, fields: &str) -> Option<Topology> {
    let mut broken = topology.clone();
    broken.extra.push(fields.to_owned());
    Some(broken)
}

/// A copy of the topology in which a random node that fits was changed.
fn change(
    random: &mut Random,
    topology: &Topology,
    fits: impl Fn(&Topology, usize) -> bool,
    edit: impl Fn(&mut Node),
) -> Option<Topology> {
    let fitting: Vec<usize> = (0..topology.nodes.len())
        .filter(|id| fits(topology, *id))
        .collect();
    let id = random.pick(&fitting).copied()?;
    let mut broken = topology.clone();
    edit(&mut broken.nodes[id]);
    Some(broken)
}

fn unread(topology: &Topology, id: usize) -> bool {
    topology.readers(id).is_empty()
}

fn derived(topology: &Topology, id: usize) -> bool {
    matches!(topology.nodes[id].origin, Origin::From(..))
}

fn source(topology: &Topology, id: usize) -> bool {
    matches!(topology.nodes[id].origin, Origin::Source(_))
}

fn shape(topology: &Topology, id: usize) -> Shape {
    topology.nodes[id].shape
}

fn has(topology: &Topology, id: usize, does: impl Fn(&Does) -> bool) -> bool {
    topology.nodes[id].ops().iter().any(|op| does(&op.does))
}

/// Adds an operator that changes nothing in front of a chain that is no branch.
fn first_op(node: &mut Node, name: &str, args: &[&str]) {
    if let Some(ops) = node.ops_mut() {
        ops.insert(0, op(name, args));
    }
}

fn op(name: &str, args: &[&str]) -> Op {
    Op {
        name: name.to_owned(),
        row: ("", String::new()),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        does: Does::Nothing,
        other: None,
        repartitions: false,
    }
}

fn is_split(topology: &Topology, id: usize) -> bool {
    has(topology, id, |does| {
        matches!(does, Does::Branch { .. } | Does::Otherwise)
    })
}

/// A derived node whose chain begins at a stream.
fn of_stream(topology: &Topology, id: usize) -> bool {
    matches!(&topology.nodes[id].origin, Origin::From(base, _) if topology.nodes[*base].shape == Shape::Stream)
        && !is_split(topology, id)
}

/// A closure of a derived node whose parameter list is `from` becomes one with `to`.
fn closures(node: &mut Node, from: &str, to: &str) {
    if let Some(ops) = node.ops_mut() {
        for arg in ops.iter_mut().flat_map(|op| &mut op.args) {
            if arg.starts_with(from) {
                *arg = arg.replacen(from, to, 1);
                return;
            }
        }
    }
}

fn source_option(node: &mut Node, from: &str, to: &str) {
    if let Origin::Source(options) = &mut node.origin {
        for option in options.iter_mut() {
            if option.starts_with(from) {
                *option = option.replacen(from, to, 1);
                return;
            }
        }
    }
}

/// Whether two sources meet in a join with both partition counts declared: a stream straight from its source with a source table.
fn plain_join(topology: &Topology, id: usize) -> bool {
    joined_table(topology, id).is_some()
}

/// The source table that is joined by the first operator of a chain that starts at a source stream.
fn joined_table(topology: &Topology, id: usize) -> Option<usize> {
    let Origin::From(base, ops) = &topology.nodes[id].origin else {
        return None;
    };
    let first = ops.first()?;
    let table = first.other?;
    (matches!(first.does, Does::Join { .. }) && source(topology, *base) && source(topology, table))
        .then_some(table)
}

/// A stream joined with another one, or with a table.
fn with_stream_join(topology: &Topology, with: &str, times: &str) -> Topology {
    let mut broken = topology.clone();
    broken.extra.extend([
        "#[source(topic = \"shown\", partitions = 6)] shown: KStream<String, u64>,".to_owned(),
        "#[source(topic = \"clicks\", partitions = 6)] clicks: KStream<String, u64>,".to_owned(),
        "#[source(topic = \"people\", partitions = 6)] people: KTable<String, u64>,".to_owned(),
        "#[from(clicks.join(people, |a, b| a + b))] #[sink(topic = \"known\")] known: KStream<String, u64>,"
            .to_owned(),
    ]);
    let other = if with == "table" { "people" } else { "clicks" };
    broken.extra.push(format!(
        "#[from(shown.join({other}, |a, b| a + b{times}))] #[sink(topic = \"met\")] met: KStream<String, u64>,"
    ));
    broken
}

/// A stream and a table of their own, with these options of their sources, joined.
fn with_join(
    topology: &Topology,
    left: &str,
    right: &str,
    key: &str,
    ops: &str,
) -> Option<Topology> {
    let mut broken = topology.clone();
    broken.extra.extend([
        format!("#[source(topic = \"left-in\"{left})] left: KStream<String, u64>,"),
        format!("#[source(topic = \"right-in\"{right})] right: KTable<{key}, u64>,"),
        format!("#[from(left{ops}.join(right, |v, _| v))] #[sink(topic = \"joined\")] joined: KStream<String, u64>,"),
    ]);
    Some(broken)
}

/// A table of its own, with such a store, suppressed.
fn with_suppression(topology: &Topology, store: &str, until: &str) -> Option<Topology> {
    let mut broken = topology.clone();
    broken.extra.extend([
        format!("#[source(topic = \"rows\")] #[store({store})] rows: KTable<String, u64>,"),
        format!(
            "#[from(rows.suppress({until}))] #[sink(topic = \"rare\")] rare: KTable<String, u64>,"
        ),
    ]);
    Some(broken)
}

/// What can go wrong, by code. The type errors, which rustc finds, are planted by the facade's test.
const MISTAKES: &[Mistake] = &[
    mistake!("KS0100", "the struct is generic", |_, topology| {
        Some(Topology {
            generics: "<T>",
            ..topology.clone()
        })
    }),
    mistake!(
        "KS0101",
        "a field has a node's type and no attribute",
        |_, topology| {
            let mut broken = topology.clone();
            broken.extra.push("lost: KTable<String, u64>,".to_owned());
            Some(broken)
        }
    ),
    mistake!(
        "KS0101",
        "a table's chain is forgotten",
        |random, topology| {
            change(
                random,
                topology,
                |t, id| derived(t, id) && shape(t, id) == Shape::Table && base_is_read(t, id),
                |node| {
                    node.origin = Origin::None;
                },
            )
        }
    ),
    mistake!(
        "KS0102",
        "a parameter's type has an attribute",
        |_, topology| {
            let mut broken = topology.clone();
            broken
                .extra
                .push("#[source(topic = \"others\")] others: Vec<String>,".to_owned());
            Some(broken)
        }
    ),
    mistake!(
        "KS0103",
        "a stream's sink is forgotten",
        |random, topology| {
            change(
                random,
                topology,
                |t, id| derived(t, id) && shape(t, id) == Shape::Stream && unread(t, id),
                |node| {
                    node.sinks.clear();
                },
            )
        }
    ),
    mistake!("KS0104", "two sources read one topic", |_, topology| {
        let mut broken = topology.clone();
        broken
            .extra
            .push("#[source(topic = \"n0-in\")] again: GlobalKTable<String, u64>,".to_owned());
        Some(broken)
    }),
    mistake!("KS0105", "an input is misspelt", |random, topology| {
        change(
            random,
            topology,
            |t, id| derived(t, id) && base_is_read(t, id) && !is_split(t, id),
            |node| {
                node.base_text = Some("nowhere".to_owned());
            },
        )
    }),
    mistake!(
        "KS0105",
        "a joined table is misspelt",
        |random, topology| {
            change(random, topology, plain_join, |node| {
                if let Some(op) = node.ops_mut().and_then(|ops| ops.first_mut()) {
                    op.other = None;
                    op.args.insert(0, "nowhere".to_owned());
                }
            })
        }
    ),
    mistake!("KS0106", "a node reads itself", |random, topology| {
        change(
            random,
            topology,
            |t, id| derived(t, id) && base_is_read(t, id) && !is_split(t, id),
            |node| {
                node.base_text = Some(node.name.clone());
            },
        )
    }),
    mistake!("KS0107", "no node is left", |_, topology| {
        Some(Topology {
            nodes: Vec::new(),
            ..topology.clone()
        })
    }),
    mistake!("KS0108", "a sink is there twice", |random, topology| {
        change(
            random,
            topology,
            |t, id| t.nodes[id].sinks.iter().any(|sink| !sink.contains('|')),
            |node| {
                node.sinks.extend(node.sinks.clone());
            },
        )
    }),
    mistake!("KS0109", "a global table has a sink", |_, topology| {
        let mut broken = topology.clone();
        broken.extra.push("#[source(topic = \"rows\")] #[sink(topic = \"copies\")] rows: GlobalKTable<String, u64>,".to_owned());
        Some(broken)
    }),
    mistake!(
        "KS0110",
        "a source's option is misspelt",
        |random, topology| {
            change(random, topology, source, |node| {
                source_option(node, "topic", "topc")
            })
        }
    ),
    mistake!(
        "KS0110",
        "a sink's option is misspelt",
        |random, topology| {
            change(
                random,
                topology,
                |t, id| !t.nodes[id].sinks.is_empty(),
                |node| {
                    for sink in &mut node.sinks {
                        *sink = sink.replacen("topic", "topik", 1);
                    }
                },
            )
        }
    ),
    mistake!("KS0110", "a store's option is misspelt", |_, topology| {
        with_store(topology, "knid = memory")
    }),
    mistake!(
        "KS0111",
        "a source's topic is forgotten",
        |random, topology| {
            change(random, topology, source, |node| {
                node.origin = Origin::Source(vec!["offset_reset = latest".to_owned()]);
            })
        }
    ),
    mistake!("KS0112", "an option is there twice", |random, topology| {
        change(random, topology, source, |node| {
            if let Origin::Source(options) = &mut node.origin {
                options.extend(options.first().cloned());
            }
        })
    }),
    mistake!("KS0113", "a topic is no literal", |random, topology| {
        change(random, topology, source, |node| {
            node.origin = Origin::Source(vec!["topic = ORDERS".to_owned()]);
        })
    }),
    mistake!("KS0113", "a store of an unknown kind", |_, topology| {
        with_store(topology, "kind = rocksdb")
    }),
    mistake!(
        "KS0114",
        "a global table says where to begin",
        |_, topology| {
            let mut broken = topology.clone();
            broken.extra.push("#[source(topic = \"rows\", offset_reset = latest)] rows: GlobalKTable<String, u64>,".to_owned());
            Some(broken)
        }
    ),
    mistake!("KS0115", "a table has no key", |_, topology| {
        let mut broken = topology.clone();
        broken
            .extra
            .push("#[source(topic = \"rows\")] rows: KTable<(), u64>,".to_owned());
        Some(broken)
    }),
    mistake!("KS0120", "an operator is misspelt", |random, topology| {
        change(
            random,
            topology,
            |t, id| derived(t, id) && t.nodes[id].ops().iter().any(|op| op.name == "filter"),
            |node| {
                for op in node.ops_mut().into_iter().flatten() {
                    if op.name == "filter" {
                        op.name = "fliter".to_owned();
                        return;
                    }
                }
            },
        )
    }),
    mistake!(
        "KS0121",
        "an aggregation without a grouping",
        |_, topology| {
            let mut broken = topology.clone();
            broken
                .extra
                .push("#[from(n0.count())] counted: KTable<String, i64>,".to_owned());
            Some(broken)
        }
    ),
    mistake!(
        "KS0121",
        "an operator of tables on a stream",
        |random, topology| {
            change(random, topology, of_stream, |node| {
                first_op(node, "to_stream", &[])
            })
        }
    ),
    mistake!(
        "KS0122",
        "a grouping without an aggregation",
        |random, topology| {
            change(
                random,
                topology,
                |t, id| of_stream(t, id) && ends_in_aggregation(t, id),
                |node| {
                    if let Some(ops) = node.ops_mut() {
                        ops.pop();
                    }
                },
            )
        }
    ),
    mistake!("KS0123", "a table is merged", |random, topology| {
        let table = (0..topology.nodes.len()).find(|id| shape(topology, *id) == Shape::Table)?;
        let name = topology.nodes[table].name.clone();
        change(random, topology, of_stream, move |node| {
            first_op(node, "merge", &[&name])
        })
    }),
    mistake!("KS0124", "an argument is missing", |random, topology| {
        change(
            random,
            topology,
            |t, id| has(t, id, |does| matches!(does, Does::Aggregate { .. })),
            |node| {
                for op in node.ops_mut().into_iter().flatten() {
                    if matches!(op.does, Does::Aggregate { .. }) {
                        op.args.remove(0);
                    }
                }
            },
        )
    }),
    mistake!(
        "KS0125",
        "a predicate takes the value only",
        |random, topology| {
            change(
                random,
                topology,
                |t, id| {
                    t.nodes[id]
                        .ops()
                        .iter()
                        .any(|op| op.args.iter().any(|arg| arg.starts_with("|_, v| ")))
                },
                |node| closures(node, "|_, v| ", "|v| "),
            )
        }
    ),
    mistake!(
        "KS0126",
        "a table is declared a stream",
        |random, topology| {
            change(
                random,
                topology,
                |t, id| {
                    derived(t, id)
                        && shape(t, id) == Shape::Table
                        && unread(t, id)
                        && t.nodes[id].store.is_none()
                },
                |node| {
                    node.type_text = Some(format!(
                        "KStream<{}, {}>",
                        node.key.rust(),
                        node.value.rust()
                    ));
                },
            )
        }
    ),
    mistake!(
        "KS0126",
        "a stream is declared a table",
        |random, topology| {
            change(
                random,
                topology,
                |t, id| derived(t, id) && shape(t, id) == Shape::Stream && unread(t, id),
                |node| {
                    node.type_text = Some(format!(
                        "KTable<{}, {}>",
                        node.key.rust(),
                        node.value.rust()
                    ));
                },
            )
        }
    ),
    mistake!(
        "KS0127",
        "an operator behind for_each",
        |random, topology| {
            change(random, topology, of_stream, |node| {
                first_op(node, "for_each", &["|_, _| ()"])
            })
        }
    ),
    mistake!("KS0128", "a branch in the middle", |random, topology| {
        change(
            random,
            topology,
            |t, id| of_stream(t, id) && shape(t, id) != Shape::Nothing,
            |node| {
                first_op(node, "branch", &["|_, _| true"]);
                first_op(node, "peek", &["|_, _| ()"]);
            },
        )
    }),
    mistake!("KS0129", "otherwise before the branches", |_, topology| {
        let mut broken = topology.clone();
        broken.extra.extend([
            "#[from(n0.otherwise(split = \"planted\"))] #[sink(topic = \"rest\")] rest: "
                .to_owned()
                + &stream_like(topology)
                + ",",
            "#[from(n0.branch(|_, _| true, split = \"planted\"))] #[sink(topic = \"some\")] some: "
                .to_owned()
                + &stream_like(topology)
                + ",",
        ]);
        Some(broken)
    }),
    mistake!(
        "KS0130",
        "a closure looks into a table",
        |random, topology| {
            let table =
                (0..topology.nodes.len()).find(|id| shape(topology, *id) == Shape::Table)?;
            let name = topology.nodes[table].name.clone();
            let body = format!("|_, _| self.{name}.get(&3).is_ok()");
            change(random, topology, of_stream, move |node| {
                first_op(node, "filter", &[&body])
            })
        }
    ),
    mistake!(
        "KS0190",
        "an option that is not built yet",
        |random, topology| {
            change(random, topology, source, |node| {
                source_option(node, "topic = \"", "pattern = \"")
            })
        }
    ),
    mistake!("KS0430", "a global table keeps its past", |_, topology| {
        let mut broken = topology.clone();
        broken.extra.push("#[source(topic = \"rows\")] #[store(versioned = \"1h\")] rows: GlobalKTable<String, u64>,".to_owned());
        Some(broken)
    }),
    mistake!("KS0430", "the past of a table in memory", |_, topology| {
        let mut broken = topology.clone();
        broken.extra.push("#[source(topic = \"rows\")] #[store(versioned = \"1h\", kind = memory)] rows: KTable<String, u64>,".to_owned());
        Some(broken)
    }),
    mistake!(
        "KS0431",
        "a grace with latest values only",
        |_, topology| {
            let mut broken = topology.clone();
            broken.extra.extend([
            "#[source(topic = \"left-in\", partitions = 6)] left: KStream<String, u64>,".to_owned(),
            "#[source(topic = \"right-in\", partitions = 6)] right: KTable<String, u64>,".to_owned(),
            "#[from(left.join(right, |v, _| v, grace(\"1m\")))] #[sink(topic = \"joined\")] joined: KStream<String, u64>,".to_owned(),
        ]);
            Some(broken)
        }
    ),
    mistake!(
        "KS0432",
        "a versioned table is suppressed",
        |_, topology| {
            with_suppression(topology, "versioned = \"1h\"", "until_time_limit(\"1m\")")
        }
    ),
    mistake!("KS0433", "no window that could close", |_, topology| {
        with_suppression(topology, "", "until_window_closes()")
    }),
    mistake!("KS0433", "windows without an end", |_, topology| {
        windowed(
            topology,
            r#".windowed_by(unlimited()).count().suppress(until_window_closes()))] w: KTable<Windowed<KEY>, i64>,"#,
        )
    }),
    mistake!("KS0434", "a buffer that is never full", |_, topology| {
        with_suppression(
            topology,
            "",
            "until_time_limit(\"1m\").shut_down_when_full()",
        )
    }),
    mistake!("KS0434", "a suppression until nothing", |_, topology| {
        with_suppression(topology, "", "until_time_limit()")
    }),
    mistake!(
        "KS0301",
        "joined topics have different counts",
        |_, topology| {
            with_join(
                topology,
                ", partitions = 6",
                ", partitions = 9",
                "String",
                "",
            )
        }
    ),
    mistake!(
        "KS0301",
        "merged and counted topics have different counts",
        |_, topology| {
            let mut broken = topology.clone();
            broken.extra.extend([
                "#[source(topic = \"left-in\", partitions = 6)] left: KStream<String, u64>,"
                    .to_owned(),
                "#[source(topic = \"right-in\", partitions = 9)] right: KStream<String, u64>,"
                    .to_owned(),
                "#[from(left.merge(right).group_by_key().count())] merged: KTable<String, i64>,"
                    .to_owned(),
            ]);
            Some(broken)
        }
    ),
    mistake!(
        "KS0302",
        "a joined topic declares no count",
        |_, topology| {
            with_join(
                topology,
                ", partitions = 6",
                "",
                "String",
                ".filter(|_, _| true)",
            )
        }
    ),
    mistake!(
        "KS0303",
        "foreign keys of a table that another partitioner spread",
        |_, topology| {
            let mut broken = topology.clone();
            broken.extra.extend([
                "#[source(topic = \"left-in\")] left: KTable<u64, String>,".to_owned(),
                "#[source(topic = \"right-in\", partitioner = ByRegion)] right: KTable<String, u64>,"
                    .to_owned(),
                "#[from(left.join_on(right, |_, l| l.clone(), |_, r| *r))] #[sink(topic = \"rows\")] found: KTable<u64, u64>,"
                    .to_owned(),
            ]);
            Some(broken)
        }
    ),
    mistake!(
        "KS0303",
        "a foreign-key join names another partitioner than the table's",
        |_, topology| {
            let mut broken = topology.clone();
            broken.extra.extend([
                "#[source(topic = \"left-in\")] left: KTable<u64, String>,".to_owned(),
                "#[source(topic = \"right-in\")] right: KTable<String, u64>,".to_owned(),
                "#[from(left.join_on(right, |_, l| l.clone(), |_, r| *r, other_partitioner = ByRegion))] \
                 #[sink(topic = \"rows\")] found: KTable<u64, u64>,"
                    .to_owned(),
            ]);
            Some(broken)
        }
    ),
    mistake!(
        "KS0303",
        "joined topics have different partitioners",
        |_, topology| {
            with_join(
                topology,
                ", partitions = 6, partitioner = ByRegion",
                ", partitions = 6",
                "String",
                "",
            )
        }
    ),
    mistake!(
        "KS0304",
        "a repartition has another count than the table that is joined",
        |_, topology| {
            with_join(
                topology,
                "",
                ", partitions = 6",
                "String",
                ".repartition(5)",
            )
        }
    ),
    mistake!(
        "KS0308",
        "a joined table has its keys in JSON",
        |_, topology| {
            with_join(
                topology,
                ", partitions = 6",
                ", partitions = 6",
                "Json<String>",
                ".peek(|_, _| ())",
            )
        }
    ),
    mistake!("KS0402", "a stream has a store", |random, topology| {
        change(
            random,
            topology,
            |t, id| {
                // A join of streams has stores, and takes their options; so has an aggregation in the middle of a chain.
                let keeps =
                    |op: &Op| matches!(op.does, Does::JoinStreams { .. } | Does::ByWindows(..));
                shape(t, id) == Shape::Stream && !t.nodes[id].ops().iter().any(keeps)
            },
            |node| {
                node.store = Some("kind = memory".to_owned());
            },
        )
    }),
    mistake!("KS0403", "a chain needs two stores", |_, topology| {
        let mut broken = topology.clone();
        let key = topology.nodes[0].key.rust();
        broken.extra.push(format!(
            "#[from(n0.group_by_key().count().to_stream().group_by_key().count())] twice: KTable<{key}, i64>,"
        ));
        Some(broken)
    }),
    mistake!("KS0404", "a store that nobody uses", |_, topology| {
        let mut broken = topology.clone();
        broken
            .extra
            .push("#[store] seen: KeyValueStore<String, u64>,".to_owned());
        Some(broken)
    }),
    mistake!(
        "KS0405",
        "a global table without a changelog",
        |_, topology| {
            let mut broken = topology.clone();
            broken.extra.push("#[source(topic = \"rows\")] #[store(changelog = false)] rows: GlobalKTable<String, u64>,".to_owned());
            Some(broken)
        }
    ),
    mistake!("KS0440", "streams joined without a time", |_, topology| {
        Some(with_stream_join(topology, "stream", ""))
    }),
    mistake!("KS0441", "streams joined never", |_, topology| {
        let times = ", within(\"5m\").before(\"-6m\")";
        Some(with_stream_join(topology, "stream", times))
    }),
    mistake!("KS0441", "streams joined within no time", |_, topology| {
        Some(with_stream_join(topology, "stream", ", within(\"0s\")"))
    }),
    mistake!(
        "KS0441",
        "streams joined with negative grace",
        |_, topology| {
            let times = ", within(\"5m\"), grace(\"-1m\")";
            Some(with_stream_join(topology, "stream", times))
        }
    ),
    mistake!("KS0442", "a table joined within a time", |_, topology| {
        Some(with_stream_join(topology, "table", ", within(\"5m\")"))
    }),
    mistake!("KS0410", "a duration without a unit", |_, topology| {
        windowed(
            topology,
            r#".windowed_by(tumbling("ten")).count())] w: KTable<Windowed<KEY>, i64>,"#,
        )
    }),
    mistake!(
        "KS0411",
        "hopping windows that do not advance",
        |_, topology| windowed(
            topology,
            r#".windowed_by(hopping("10m")).count())] w: KTable<Windowed<KEY>, i64>,"#,
        )
    ),
    mistake!("KS0412", "windows of no size", |_, topology| windowed(
        topology,
        r#".windowed_by(tumbling("0s")).count())] w: KTable<Windowed<KEY>, i64>,"#,
    )),
    mistake!("KS0413", "windows with gaps between them", |_, topology| {
        windowed(
            topology,
            r#".windowed_by(hopping("1s").advance_by("2s")).count())] w: KTable<Windowed<KEY>, i64>,"#,
        )
    }),
    mistake!("KS0414", "negative grace", |_, topology| windowed(
        topology,
        r#".windowed_by(tumbling("1s").grace("-1s")).count())] w: KTable<Windowed<KEY>, i64>,"#,
    )),
    mistake!("KS0415", "a store that forgets too early", |_, topology| {
        windowed(
            topology,
            r#".windowed_by(tumbling("1m").grace("1m")).count())] #[store(retention = "1m")] w: KTable<Windowed<KEY>, i64>,"#,
        )
    }),
    mistake!(
        "KS0416",
        "windows that never close",
        |_, topology| windowed(
            topology,
            r#".windowed_by(unlimited()).emit(on_window_close).count())] w: KTable<Windowed<KEY>, i64>,"#,
        )
    ),
    mistake!("KS0417", "sessions that cannot be merged", |_, topology| {
        windowed(
            topology,
            r#".windowed_by(session("1m")).aggregate(|| 0, |_, _, n| n + 1))] w: KTable<Windowed<KEY, SessionWindow>, i64>,"#,
        )
    }),
    mistake!(
        "KS0417",
        "a cogroup whose windows are no sessions, merged",
        |_, topology| windowed(
            topology,
            r#".cogroup(|_, _, n: i64| n).windowed_by(tumbling("1m")).aggregate(|| 0, |_, a, b| a + b))] w: KTable<Windowed<KEY>, i64>,"#,
        )
    ),
    mistake!("KS0122", "a cogroup that emits on close", |_, topology| {
        windowed(
            topology,
            r#".cogroup(|_, _, n: i64| n).windowed_by(tumbling("1m")).emit(on_window_close).aggregate(|| 0))] w: KTable<Windowed<KEY>, i64>,"#,
        )
    }),
    mistake!(
        "KS0418",
        "an unknown emit strategy",
        |_, topology| windowed(
            topology,
            r#".windowed_by(tumbling("1m")).emit(at_the_end).count())] w: KTable<Windowed<KEY>, i64>,"#,
        )
    ),
    mistake!("KS0501", "a topic has a blank", |random, topology| {
        change(random, topology, source, |node| {
            source_option(node, "topic = \"", "topic = \"new ")
        })
    }),
    mistake!("KS0501", "the application id has a slash", |_, topology| {
        Some(Topology {
            application_id: "a/b".to_owned(),
            ..topology.clone()
        })
    }),
    mistake!("KS0502", "a topic is too long", |random, topology| {
        let long = format!("topic = \"{}", "long".repeat(62));
        change(random, topology, source, move |node| {
            source_option(node, "topic = \"", &long)
        })
    }),
    mistake!("KS0503", "two stores of one name", |_, topology| {
        let mut broken = topology.clone();
        let key = topology.nodes[0].key.rust();
        for name in ["one", "two"] {
            broken.extra.push(format!(
                "#[from(n0.group_by_key().count())] #[store(name = \"same\")] {name}: KTable<{key}, i64>,"
            ));
        }
        Some(broken)
    }),
    mistake!("KS0504", "a sink writes a changelog", |_, topology| {
        let mut broken = topology.clone();
        let key = topology.nodes[0].key.rust();
        let id = &topology.application_id;
        broken.extra.push(format!(
            "#[from(n0.group_by_key().count())] #[sink(topic = \"{id}-counted-changelog\")] counted: KTable<{key}, i64>,"
        ));
        Some(broken)
    }),
    mistake!("KS0505", "a parameter is called start", |_, topology| {
        let mut broken = topology.clone();
        broken.extra.push("start: u64,".to_owned());
        Some(broken)
    }),
];

/// Whether a node's base has a reader or sink besides it: without the node it would still be read.
fn base_is_read(topology: &Topology, id: usize) -> bool {
    let _ = id;
    matches!(&topology.nodes[id].origin, Origin::From(base, ops)
        if (topology.nodes[*base].shape != Shape::Stream || topology.readers(*base).len() > 1 || !topology.nodes[*base].sinks.is_empty())
            && ops.iter().all(|op| op.other.is_none_or(|other| topology.nodes[other].shape != Shape::Stream || topology.readers(other).len() > 1 || !topology.nodes[other].sinks.is_empty())))
        && !is_split(topology, id)
}

fn ends_in_aggregation(topology: &Topology, id: usize) -> bool {
    topology.nodes[id]
        .ops()
        .last()
        .is_some_and(|op| matches!(op.does, Does::Count | Does::Reduce | Does::Aggregate { .. }))
}

/// A table of its own, with these options of its store.
fn with_store(topology: &Topology, options: &str) -> Option<Topology> {
    let mut broken = topology.clone();
    let key = topology.nodes[0].key.rust();
    broken.extra.push(format!(
        "#[from(n0.group_by_key().count())] #[store({options})] counted: KTable<{key}, i64>,"
    ));
    Some(broken)
}

/// The type of the first source, which is always a stream.
fn stream_like(topology: &Topology) -> String {
    topology.nodes[0].ty()
}

/// An aggregation of the first source by windows, written so far and no further.
fn windowed(topology: &Topology, rest: &str) -> Option<Topology> {
    let mut broken = topology.clone();
    let key = topology.nodes[0].key.rust();
    let rest = rest.replace("KEY", key);
    broken.extra.push(format!("#[from(n0.group_by_key(){rest}"));
    Some(broken)
}
