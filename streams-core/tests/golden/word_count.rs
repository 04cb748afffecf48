//! The word count: a stateless chain, an automatic repartition, a count.
//!
//! ```text
//! #[topology(application_id = "word-count")]
//! pub struct WordCount {
//!     #[source(topic = "lines")]
//!     lines: KStream<(), String>,
//!     #[from(lines.flat_map_values(|line| line.split(' ').map(str::to_owned)).group_by(|_, word| word.clone()).count())]
//!     #[sink(topic = "counts")]
//!     counts: KTable<String, i64>,
//! }
//! ```

use streams_core::__private as __s;
use streams_core::handles::{KStream, KTable};

#[derive(Debug)]
pub struct WordCount {
    #[allow(dead_code)]
    lines: KStream<(), String>,
    #[allow(dead_code)]
    counts: KTable<String, i64>,
}

impl WordCount {
    /// Part of what the builder does.
    pub(crate) fn new(registry: &__s::QueryRegistry) -> Self {
        WordCount {
            lines: __s::KStream::of_node("lines"),
            counts: __s::KTable::of_node("counts", __s::Some(0), registry),
        }
    }
}

const _: () = {
    #[allow(unused_imports)]
    use __s::{Aggregate as _, NotNullKey as _, NotNullValue as _, ToStream as _};

    static TOPOLOGY: __s::TopologyDescriptor = __s::TopologyDescriptor {
        name: "WordCount",
        application_id: "word-count",
        topics: &[
            __s::TopicDescriptor {
                name: "lines",
                role: __s::TopicRole::Source,
                partitions: __s::None,
                key: __s::TypeDescriptor::of::<()>("()"),
                value: __s::TypeDescriptor::of::<String>("String"),
            },
            __s::TopicDescriptor {
                name: "counts",
                role: __s::TopicRole::Sink,
                partitions: __s::None,
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<i64>("i64"),
            },
            __s::TopicDescriptor {
                name: "counts-repartition",
                role: __s::TopicRole::Repartition,
                partitions: __s::None,
                key: __s::TypeDescriptor::inferred(),
                value: __s::TypeDescriptor::inferred(),
            },
            __s::TopicDescriptor {
                name: "counts-changelog",
                role: __s::TopicRole::Changelog,
                partitions: __s::None,
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<i64>("i64"),
            },
        ],
        stores: &[__s::StoreDescriptor {
            name: "counts",
            node: "counts",
            kind: __s::StoreKind::TimestampedKeyValue,
            backend: __s::StoreBackend::Lmdb,
            format: __s::StoreFormat::Default,
            cache: true,
            changelog: __s::Changelog::Internal(3),
            changelog_config: &[],
            key: __s::TypeDescriptor::of::<String>("String"),
            value: __s::TypeDescriptor::of::<i64>("i64"),
        }],
        subtopologies: &[
            __s::SubtopologyDescriptor {
                sources: &[__s::SourceDescriptor {
                    node: "lines",
                    topic: 0,
                    offset_reset: __s::OffsetReset::Earliest,
                    timestamps: __s::SourceTimestamps::Configured,
                }],
                stores: &[],
                nodes: &[
                    __s::NodeDescriptor {
                        name: "lines",
                        kind: __s::NodeKind::Source { topics: &[0] },
                        stores: &[],
                        children: &["counts-flat_map_values"],
                        parents: &[],
                    },
                    __s::NodeDescriptor {
                        name: "counts-flat_map_values",
                        kind: __s::NodeKind::Processor {
                            operator: "flat_map_values",
                        },
                        stores: &[],
                        children: &["counts-group_by"],
                        parents: &["lines"],
                    },
                    __s::NodeDescriptor {
                        name: "counts-group_by",
                        kind: __s::NodeKind::Processor {
                            operator: "group_by",
                        },
                        stores: &[],
                        children: &["counts-repartition-filter"],
                        parents: &["counts-flat_map_values"],
                    },
                    __s::NodeDescriptor {
                        name: "counts-repartition-filter",
                        kind: __s::NodeKind::Processor { operator: "filter" },
                        stores: &[],
                        children: &["counts-repartition-sink"],
                        parents: &["counts-group_by"],
                    },
                    __s::NodeDescriptor {
                        name: "counts-repartition-sink",
                        kind: __s::NodeKind::Sink {
                            topic: __s::SinkTopic::Static(2),
                        },
                        stores: &[],
                        children: &[],
                        parents: &["counts-repartition-filter"],
                    },
                ],
                copartitioned: &[],
                times: &[],
            },
            __s::SubtopologyDescriptor {
                sources: &[__s::SourceDescriptor {
                    node: "counts-repartition-source",
                    topic: 2,
                    offset_reset: __s::OffsetReset::Earliest,
                    timestamps: __s::SourceTimestamps::Configured,
                }],
                stores: &[0],
                nodes: &[
                    __s::NodeDescriptor {
                        name: "counts-repartition-source",
                        kind: __s::NodeKind::Source { topics: &[2] },
                        stores: &[],
                        children: &["counts"],
                        parents: &[],
                    },
                    __s::NodeDescriptor {
                        name: "counts",
                        kind: __s::NodeKind::Processor { operator: "count" },
                        stores: &["counts"],
                        children: &["counts-sink"],
                        parents: &["counts-repartition-source"],
                    },
                    __s::NodeDescriptor {
                        name: "counts-sink",
                        kind: __s::NodeKind::Sink {
                            topic: __s::SinkTopic::Static(1),
                        },
                        stores: &[],
                        children: &[],
                        parents: &["counts"],
                    },
                ],
                copartitioned: &[],
                times: &[],
            },
        ],
        globals: &[],
    };

    impl __s::Topology for WordCount {
        const TOPOLOGY: &'static __s::TopologyDescriptor = &TOPOLOGY;
        type TestDriver = ();
        fn subtopology(
            app: &__s::Arc<Self>,
            index: usize,
        ) -> __s::TaskResult<__s::Box<dyn __s::SubTopology>> {
            let app = __s::Clone::clone(app);
            match index {
                0 => __s::Ok(__s::Box::new(__s::Bound {
                    app,
                    task: WordCountTask0 {},
                })),
                1 => __s::Ok(__s::Box::new(__s::Bound {
                    app,
                    task: WordCountTask1 {
                        counts: __s::TableStore::new(0),
                    },
                })),
                other => __s::Err(__s::unknown_subtopology(other)),
            }
        }
    }

    /// Sub-topology 0: lines -> counts-repartition
    #[derive(Debug)]
    struct WordCountTask0 {}

    impl __s::TaskOf<WordCount> for WordCountTask0 {
        fn process(
            &mut self,
            app: &WordCount,
            source: usize,
            raw: __s::RawRecord<'_>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            match source {
                0 => {
                    let __s::Some(r) = cx.decode::<(), String>(raw)? else {
                        return __s::Ok(());
                    };
                    __Nodes::lines(app, self, r, cx)
                }
                other => __s::Err(__s::unknown_source(other)),
            }
        }
        fn flushed(
            &mut self,
            _: &WordCount,
            store: usize,
            _: __s::Flushed<'_>,
            _: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            __s::Err(__s::unknown_store(store))
        }
    }

    /// Sub-topology 1: counts-repartition -> counts
    #[derive(Debug)]
    struct WordCountTask1 {
        counts: __s::TableStore<String, i64>,
    }

    impl __s::TaskOf<WordCount> for WordCountTask1 {
        fn process(
            &mut self,
            app: &WordCount,
            source: usize,
            raw: __s::RawRecord<'_>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            match source {
                0 => __Nodes::counts(app, CountsAt::Repartitioned1(self, raw), cx),
                other => __s::Err(__s::unknown_source(other)),
            }
        }
        fn flushed(
            &mut self,
            app: &WordCount,
            store: usize,
            entry: __s::Flushed<'_>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            match store {
                0 => {
                    let r = self.counts.flushed(entry, cx)?;
                    __Nodes::counts_changed(app, self, r, cx)
                }
                other => __s::Err(__s::unknown_store(other)),
            }
        }
    }

    /// Where the chain of `counts` goes on.
    #[derive(Debug)]
    enum CountsAt<'a> {
        Head(&'a mut WordCountTask0, __s::Record<(), String>),
        Repartitioned1(&'a mut WordCountTask1, __s::RawRecord<'a>),
    }

    trait __Nodes {
        fn lines(
            &self,
            t: &mut WordCountTask0,
            r: __s::Record<(), String>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult;
        fn counts(&self, at: CountsAt<'_>, cx: &mut __s::TaskContext) -> __s::TaskResult;
        fn counts_changed(
            &self,
            t: &mut WordCountTask1,
            r: __s::Record<String, __s::Change<i64>>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult;
    }

    impl __Nodes for WordCount {
        /// lines (source) -> counts
        fn lines(
            &self,
            t: &mut WordCountTask0,
            r: __s::Record<(), String>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            __Nodes::counts(self, CountsAt::Head(t, r), cx)
        }

        /// lines -> flat_map_values -> group_by =counts-repartition=> count
        fn counts(&self, at: CountsAt<'_>, cx: &mut __s::TaskContext) -> __s::TaskResult {
            #[allow(non_camel_case_types)]
            enum counts {}
            let edge1 = __s::edge();
            match at {
                CountsAt::Head(_t, r) => {
                    for r in
                        __s::ops::flat_map_values(&r, |line| line.split(' ').map(str::to_owned))
                    {
                        let r = __s::ops::group_by(r, |_, word| word.clone());
                        let __s::Some(r) = __s::Keyed(r).not_null_key() else {
                            continue;
                        };
                        edge1.send(2, r, cx)?;
                    }
                    __s::Ok(())
                }
                CountsAt::Repartitioned1(t, raw) => {
                    let __s::Some(r) = edge1.receive(raw, cx)? else {
                        return __s::Ok(());
                    };
                    let __s::Some(r) = __s::Keyed(r).not_null_key_counted(cx) else {
                        return __s::Ok(());
                    };
                    let __s::Some(r) = __s::Valued(r).not_null_value_counted(cx) else {
                        return __s::Ok(());
                    };
                    let __s::Some(r) = t.counts.grouped(r).count::<counts>(cx)? else {
                        return __s::Ok(());
                    };
                    __Nodes::counts_changed(self, t, r, cx)
                }
            }
        }

        /// counts -> sink counts
        fn counts_changed(
            &self,
            _t: &mut WordCountTask1,
            r: __s::Record<String, __s::Change<i64>>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            cx.send_change::<String, i64>(1, &r)
        }
    }
};
