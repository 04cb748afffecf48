//! The shop: tables and a global table to join with, branches, a repartition.
//!
//! ```text
//! #[topology(application_id = "shop")]
//! pub struct Shop {
//!     min: u64,
//!     #[source(topic = "orders", partitions = 6)] orders: KStream<String, Order>,
//!     #[source(topic = "customers", partitions = 6)] customers: KTable<String, Customer>,
//!     #[source(topic = "products")] products: GlobalKTable<String, Product>,
//!     #[from(orders.filter(|_, o| o.total >= self.min).join(customers, Enriched::new)
//!         .left_join(products, |_, e| e.product.clone(), Enriched::with))]
//!     #[sink(topic = "enriched", partitions = 6)] enriched: KStream<String, Enriched>,
//!     #[from(enriched.branch(|_, e| e.is_large()))] #[sink(topic = "large")] large: KStream<String, Enriched>,
//!     #[from(enriched.otherwise())] #[sink(topic = "small")] small: KStream<String, Enriched>,
//!     #[from(orders.flat_map_values(|o| o.lines.clone()).group_by(|_, l| l.product.clone()).count())]
//!     #[sink(topic = "per-product")] per_product: KTable<String, i64>,
//! }
//! ```

use serde::{Deserialize, Serialize};
use streams_core::__private as __s;
use streams_core::handles::{GlobalKTable, KStream, KTable};

/// What `#[derive(Json)]` makes.
macro_rules! json {
    ($($t:ty)*) => {$(
        impl __s::Serde for $t {
            fn serialize(&self, out: &mut __s::Vec<u8>) -> __s::Result<(), __s::SerdeError> {
                __s::json::write(self, out)
            }
            fn deserialize(bytes: &[u8]) -> __s::Result<Self, __s::SerdeError> {
                __s::json::read(bytes)
            }
            fn to_json(&self) -> __s::serde_json::Value {
                __s::json::value(self)
            }
        }
    )*};
}
json!(Order Line Customer Product Enriched);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) total: u64,
    pub(crate) product: String,
    pub(crate) lines: Vec<Line>,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) product: String,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Customer {
    pub(crate) name: String,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) title: String,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Enriched {
    pub(crate) total: u64,
    pub(crate) customer: String,
    pub(crate) product: String,
    pub(crate) title: Option<String>,
}
impl Enriched {
    fn new(order: Order, customer: &Customer) -> Self {
        let Order { total, product, .. } = order;
        Enriched {
            total,
            customer: customer.name.clone(),
            product,
            title: None,
        }
    }
    fn with(self, product: Option<&Product>) -> Self {
        Enriched {
            title: product.map(|p| p.title.clone()),
            ..self
        }
    }
    fn is_large(&self) -> bool {
        self.total > 500
    }
}

pub struct Shop {
    pub(crate) min: u64,
    #[allow(dead_code)]
    orders: KStream<String, Order>,
    #[allow(dead_code)]
    customers: KTable<String, Customer>,
    #[allow(dead_code)]
    products: GlobalKTable<String, Product>,
    #[allow(dead_code)]
    enriched: KStream<String, Enriched>,
    #[allow(dead_code)]
    large: KStream<String, Enriched>,
    #[allow(dead_code)]
    small: KStream<String, Enriched>,
    #[allow(dead_code)]
    per_product: KTable<String, i64>,
}

impl Shop {
    /// Part of what the builder does.
    pub(crate) fn new(min: u64, registry: &__s::QueryRegistry) -> Self {
        Shop {
            min,
            orders: __s::KStream::of_node("orders"),
            customers: __s::KTable::of_node("customers", __s::Some(0), registry),
            products: __s::GlobalKTable::of_node("products", __s::Some(1), registry),
            enriched: __s::KStream::of_node("enriched"),
            large: __s::KStream::of_node("large"),
            small: __s::KStream::of_node("small"),
            per_product: __s::KTable::of_node("per_product", __s::Some(2), registry),
        }
    }
}

const _: () = {
    #[allow(unused_imports)]
    use __s::{Aggregate as _, NotNullKey as _, NotNullValue as _, ToStream as _};

    static TOPOLOGY: __s::TopologyDescriptor = __s::TopologyDescriptor {
        name: "Shop",
        application_id: "shop",
        topics: &[
            __s::TopicDescriptor {
                name: "orders",
                role: __s::TopicRole::Source,
                partitions: __s::Some(6),
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<Order>("Order"),
            },
            __s::TopicDescriptor {
                name: "customers",
                role: __s::TopicRole::Source,
                partitions: __s::Some(6),
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<Customer>("Customer"),
            },
            __s::TopicDescriptor {
                name: "products",
                role: __s::TopicRole::Source,
                partitions: __s::None,
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<Product>("Product"),
            },
            __s::TopicDescriptor {
                name: "enriched",
                role: __s::TopicRole::Sink,
                partitions: __s::Some(6),
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<Enriched>("Enriched"),
            },
            __s::TopicDescriptor {
                name: "large",
                role: __s::TopicRole::Sink,
                partitions: __s::None,
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<Enriched>("Enriched"),
            },
            __s::TopicDescriptor {
                name: "small",
                role: __s::TopicRole::Sink,
                partitions: __s::None,
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<Enriched>("Enriched"),
            },
            __s::TopicDescriptor {
                name: "per_product-repartition",
                role: __s::TopicRole::Repartition,
                partitions: __s::None,
                key: __s::TypeDescriptor::inferred(),
                value: __s::TypeDescriptor::inferred(),
            },
            __s::TopicDescriptor {
                name: "per-product",
                role: __s::TopicRole::Sink,
                partitions: __s::None,
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<i64>("i64"),
            },
            __s::TopicDescriptor {
                name: "customers-changelog",
                role: __s::TopicRole::Changelog,
                partitions: __s::None,
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<Customer>("Customer"),
            },
            __s::TopicDescriptor {
                name: "per_product-changelog",
                role: __s::TopicRole::Changelog,
                partitions: __s::None,
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<i64>("i64"),
            },
        ],
        stores: &[
            __s::StoreDescriptor {
                name: "customers",
                node: "customers",
                kind: __s::StoreKind::TimestampedKeyValue,
                backend: __s::StoreBackend::Lmdb,
                format: __s::StoreFormat::Default,
                cache: true,
                changelog: __s::Changelog::Internal(8),
                changelog_config: &[],
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<Customer>("Customer"),
            },
            __s::StoreDescriptor {
                name: "products",
                node: "products",
                kind: __s::StoreKind::TimestampedKeyValue,
                backend: __s::StoreBackend::Lmdb,
                format: __s::StoreFormat::Default,
                cache: false,
                changelog: __s::Changelog::Source(2),
                changelog_config: &[],
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<Product>("Product"),
            },
            __s::StoreDescriptor {
                name: "per_product",
                node: "per_product",
                kind: __s::StoreKind::TimestampedKeyValue,
                backend: __s::StoreBackend::Lmdb,
                format: __s::StoreFormat::Default,
                cache: true,
                changelog: __s::Changelog::Internal(9),
                changelog_config: &[],
                key: __s::TypeDescriptor::of::<String>("String"),
                value: __s::TypeDescriptor::of::<i64>("i64"),
            },
        ],
        subtopologies: &[
            __s::SubtopologyDescriptor {
                sources: &[
                    __s::SourceDescriptor {
                        node: "orders",
                        topic: 0,
                        offset_reset: __s::OffsetReset::Earliest,
                        timestamps: __s::SourceTimestamps::Configured,
                    },
                    __s::SourceDescriptor {
                        node: "customers",
                        topic: 1,
                        offset_reset: __s::OffsetReset::Earliest,
                        timestamps: __s::SourceTimestamps::Configured,
                    },
                ],
                stores: &[0],
                nodes: &[
                    __s::NodeDescriptor {
                        name: "orders",
                        kind: __s::NodeKind::Source { topics: &[0] },
                        stores: &[],
                        children: &["enriched-filter", "per_product-flat_map_values"],
                        parents: &[],
                    },
                    __s::NodeDescriptor {
                        name: "customers",
                        kind: __s::NodeKind::Source { topics: &[1] },
                        stores: &["customers"],
                        children: &[],
                        parents: &[],
                    },
                    __s::NodeDescriptor {
                        name: "enriched-filter",
                        kind: __s::NodeKind::Processor { operator: "filter" },
                        stores: &[],
                        children: &["enriched-join"],
                        parents: &["orders"],
                    },
                    __s::NodeDescriptor {
                        name: "enriched-join",
                        kind: __s::NodeKind::Processor { operator: "join" },
                        stores: &["customers"],
                        children: &["enriched"],
                        parents: &["enriched-filter"],
                    },
                    __s::NodeDescriptor {
                        name: "enriched",
                        kind: __s::NodeKind::Processor {
                            operator: "left_join",
                        },
                        stores: &[],
                        children: &["enriched-sink", "large", "small"],
                        parents: &["enriched-join"],
                    },
                    __s::NodeDescriptor {
                        name: "enriched-sink",
                        kind: __s::NodeKind::Sink {
                            topic: __s::SinkTopic::Static(3),
                        },
                        stores: &[],
                        children: &[],
                        parents: &["enriched"],
                    },
                    __s::NodeDescriptor {
                        name: "large",
                        kind: __s::NodeKind::Processor { operator: "branch" },
                        stores: &[],
                        children: &["large-sink"],
                        parents: &["enriched"],
                    },
                    __s::NodeDescriptor {
                        name: "large-sink",
                        kind: __s::NodeKind::Sink {
                            topic: __s::SinkTopic::Static(4),
                        },
                        stores: &[],
                        children: &[],
                        parents: &["large"],
                    },
                    __s::NodeDescriptor {
                        name: "small",
                        kind: __s::NodeKind::Processor {
                            operator: "otherwise",
                        },
                        stores: &[],
                        children: &["small-sink"],
                        parents: &["enriched"],
                    },
                    __s::NodeDescriptor {
                        name: "small-sink",
                        kind: __s::NodeKind::Sink {
                            topic: __s::SinkTopic::Static(5),
                        },
                        stores: &[],
                        children: &[],
                        parents: &["small"],
                    },
                    __s::NodeDescriptor {
                        name: "per_product-flat_map_values",
                        kind: __s::NodeKind::Processor {
                            operator: "flat_map_values",
                        },
                        stores: &[],
                        children: &["per_product-group_by"],
                        parents: &["orders"],
                    },
                    __s::NodeDescriptor {
                        name: "per_product-group_by",
                        kind: __s::NodeKind::Processor {
                            operator: "group_by",
                        },
                        stores: &[],
                        children: &["per_product-repartition-filter"],
                        parents: &["per_product-flat_map_values"],
                    },
                    __s::NodeDescriptor {
                        name: "per_product-repartition-filter",
                        kind: __s::NodeKind::Processor { operator: "filter" },
                        stores: &[],
                        children: &["per_product-repartition-sink"],
                        parents: &["per_product-group_by"],
                    },
                    __s::NodeDescriptor {
                        name: "per_product-repartition-sink",
                        kind: __s::NodeKind::Sink {
                            topic: __s::SinkTopic::Static(6),
                        },
                        stores: &[],
                        children: &[],
                        parents: &["per_product-repartition-filter"],
                    },
                ],
                copartitioned: &[&[0, 1]],
                times: &[],
            },
            __s::SubtopologyDescriptor {
                sources: &[__s::SourceDescriptor {
                    node: "per_product-repartition-source",
                    topic: 6,
                    offset_reset: __s::OffsetReset::Earliest,
                    timestamps: __s::SourceTimestamps::Configured,
                }],
                stores: &[2],
                nodes: &[
                    __s::NodeDescriptor {
                        name: "per_product-repartition-source",
                        kind: __s::NodeKind::Source { topics: &[6] },
                        stores: &[],
                        children: &["per_product"],
                        parents: &[],
                    },
                    __s::NodeDescriptor {
                        name: "per_product",
                        kind: __s::NodeKind::Processor { operator: "count" },
                        stores: &["per_product"],
                        children: &["per_product-sink"],
                        parents: &["per_product-repartition-source"],
                    },
                    __s::NodeDescriptor {
                        name: "per_product-sink",
                        kind: __s::NodeKind::Sink {
                            topic: __s::SinkTopic::Static(7),
                        },
                        stores: &[],
                        children: &[],
                        parents: &["per_product"],
                    },
                ],
                copartitioned: &[],
                times: &[],
            },
        ],
        globals: &[__s::GlobalDescriptor {
            node: "products",
            topic: 2,
            store: 1,
            kept_by: __s::KeptBy::Topic,
        }],
    };

    impl __s::Topology for Shop {
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
                    task: ShopTask0 {
                        customers: __s::TableStore::new(0),
                        products: __s::GlobalTable::new(0),
                    },
                })),
                1 => __s::Ok(__s::Box::new(__s::Bound {
                    app,
                    task: ShopTask1 {
                        per_product: __s::TableStore::new(0),
                    },
                })),
                other => __s::Err(__s::unknown_subtopology(other)),
            }
        }
    }

    /// Sub-topology 0: orders, customers -> enriched, large, small, per_product-repartition
    #[derive(Debug)]
    struct ShopTask0 {
        customers: __s::TableStore<String, Customer>,
        products: __s::GlobalTable<String, Product>,
    }

    impl __s::TaskOf<Shop> for ShopTask0 {
        fn process(
            &mut self,
            app: &Shop,
            source: usize,
            raw: __s::RawRecord<'_>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            match source {
                0 => {
                    let __s::Some(r) = cx.decode::<String, Order>(raw)? else {
                        return __s::Ok(());
                    };
                    __Nodes::orders(app, self, r, cx)
                }
                1 => {
                    let __s::Some(r) = cx.decode_table::<String, Customer>(raw)? else {
                        return __s::Ok(());
                    };
                    __Nodes::customers(app, self, r, cx)
                }
                other => __s::Err(__s::unknown_source(other)),
            }
        }
        fn flushed(
            &mut self,
            _: &Shop,
            store: usize,
            _: __s::Flushed<'_>,
            _: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            match store {
                0 => __s::Ok(()),
                other => __s::Err(__s::unknown_store(other)),
            }
        }
    }

    /// Sub-topology 1: per_product-repartition -> per-product
    #[derive(Debug)]
    struct ShopTask1 {
        per_product: __s::TableStore<String, i64>,
    }

    impl __s::TaskOf<Shop> for ShopTask1 {
        fn process(
            &mut self,
            app: &Shop,
            source: usize,
            raw: __s::RawRecord<'_>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            match source {
                0 => __Nodes::per_product(app, PerProductAt::Repartitioned1(self, raw), cx),
                other => __s::Err(__s::unknown_source(other)),
            }
        }
        fn flushed(
            &mut self,
            app: &Shop,
            store: usize,
            entry: __s::Flushed<'_>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            match store {
                0 => {
                    let r = self.per_product.flushed(entry, cx)?;
                    __Nodes::per_product_changed(app, self, r, cx)
                }
                other => __s::Err(__s::unknown_store(other)),
            }
        }
    }

    /// Where the chain of `per_product` goes on.
    #[derive(Debug)]
    enum PerProductAt<'a> {
        Head(&'a mut ShopTask0, __s::Record<String, Order>),
        Repartitioned1(&'a mut ShopTask1, __s::RawRecord<'a>),
    }

    trait __Nodes {
        fn orders(
            &self,
            t: &mut ShopTask0,
            r: __s::Record<String, Order>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult;
        fn customers(
            &self,
            t: &mut ShopTask0,
            r: __s::Record<String, __s::Option<Customer>>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult;
        fn enriched(
            &self,
            t: &mut ShopTask0,
            r: __s::Record<String, Order>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult;
        fn large(
            &self,
            t: &mut ShopTask0,
            r: __s::Record<String, Enriched>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult;
        fn small(
            &self,
            t: &mut ShopTask0,
            r: __s::Record<String, Enriched>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult;
        fn per_product(&self, at: PerProductAt<'_>, cx: &mut __s::TaskContext) -> __s::TaskResult;
        fn per_product_changed(
            &self,
            t: &mut ShopTask1,
            r: __s::Record<String, __s::Change<i64>>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult;
    }

    impl __Nodes for Shop {
        /// orders (source) -> enriched, per_product
        fn orders(
            &self,
            t: &mut ShopTask0,
            r: __s::Record<String, Order>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            __Nodes::enriched(self, t, __s::Clone::clone(&r), cx)?;
            __Nodes::per_product(self, PerProductAt::Head(t, r), cx)
        }

        /// customers (source)
        fn customers(
            &self,
            t: &mut ShopTask0,
            r: __s::Record<String, __s::Option<Customer>>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            t.customers.source(r, cx)?;
            __s::Ok(())
        }

        /// orders -> filter -> join customers -> left_join products -> sink enriched; large, small
        fn enriched(
            &self,
            t: &mut ShopTask0,
            r: __s::Record<String, Order>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            #[allow(non_camel_case_types)]
            enum enriched {}
            #[allow(non_camel_case_types)]
            enum customers {}
            #[allow(non_camel_case_types)]
            enum products {}
            let __s::Some(r) = __s::ops::filter(r, |_, o| o.total >= self.min) else {
                return __s::Ok(());
            };
            let __s::Some(r) = __s::Keyed(r).not_null_key_counted(cx) else {
                return __s::Ok(());
            };
            let __s::Some(r) = __s::Valued(r).not_null_value_counted(cx) else {
                return __s::Ok(());
            };
            let __s::Some(r) = t
                .customers
                .joining(r)
                .between::<enriched, customers>()
                .join(Enriched::new, cx)?
            else {
                return __s::Ok(());
            };
            let __s::Some(r) = __s::Valued(r).not_null_value_counted(cx) else {
                return __s::Ok(());
            };
            let __s::Some(r) = t
                .products
                .joining(r)
                .between::<enriched, products>()
                .left_join(|_, e| e.product.clone(), Enriched::with, cx)?
            else {
                return __s::Ok(());
            };
            let r = __s::Chain(r).declared::<enriched, String, Enriched>();
            cx.send::<String, Enriched>(3, &r)?;
            if __s::ops::predicate(&r, |_, e| e.is_large()) {
                __Nodes::large(self, t, r, cx)
            } else {
                __Nodes::small(self, t, r, cx)
            }
        }

        /// enriched -> branch -> sink large
        fn large(
            &self,
            _t: &mut ShopTask0,
            r: __s::Record<String, Enriched>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            cx.send::<String, Enriched>(4, &r)
        }

        /// enriched -> otherwise -> sink small
        fn small(
            &self,
            _t: &mut ShopTask0,
            r: __s::Record<String, Enriched>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            cx.send::<String, Enriched>(5, &r)
        }

        /// orders -> flat_map_values -> group_by =per_product-repartition=> count
        fn per_product(&self, at: PerProductAt<'_>, cx: &mut __s::TaskContext) -> __s::TaskResult {
            #[allow(non_camel_case_types)]
            enum per_product {}
            let edge1 = __s::edge();
            match at {
                PerProductAt::Head(_t, r) => {
                    for r in __s::ops::flat_map_values(&r, |o| o.lines.clone()) {
                        let r = __s::ops::group_by(r, |_, l| l.product.clone());
                        let __s::Some(r) = __s::Keyed(r).not_null_key() else {
                            continue;
                        };
                        edge1.send(6, r, cx)?;
                    }
                    __s::Ok(())
                }
                PerProductAt::Repartitioned1(t, raw) => {
                    let __s::Some(r) = edge1.receive(raw, cx)? else {
                        return __s::Ok(());
                    };
                    let __s::Some(r) = __s::Keyed(r).not_null_key_counted(cx) else {
                        return __s::Ok(());
                    };
                    let __s::Some(r) = __s::Valued(r).not_null_value_counted(cx) else {
                        return __s::Ok(());
                    };
                    let __s::Some(r) = t.per_product.grouped(r).count::<per_product>(cx)? else {
                        return __s::Ok(());
                    };
                    __Nodes::per_product_changed(self, t, r, cx)
                }
            }
        }

        /// per_product -> sink per-product
        fn per_product_changed(
            &self,
            _t: &mut ShopTask1,
            r: __s::Record<String, __s::Change<i64>>,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            cx.send_change::<String, i64>(7, &r)
        }
    }
};
