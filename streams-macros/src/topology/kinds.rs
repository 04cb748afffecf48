//! The table of operators and attribute options. It drives parsing, checks, messages, `docs/operators.md` and codegen:
//! an operator is a row here and an emit function.

use std::fmt;

/// What a chain is at some point, and so which operators it offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    Stream,
    /// After `group_by`/`group_by_key` of a stream.
    GroupedStream,
    /// After `windowed_by`.
    WindowedStream,
    /// After `cogroup`.
    CogroupedStream,
    /// After `windowed_by` of a cogroup.
    WindowedCogroup,
    Table,
    /// After `group_by` of a table.
    GroupedTable,
    GlobalTable,
    /// A store field that processors share.
    Store,
    /// After `for_each`: nothing follows.
    Nothing,
}

impl Shape {
    /// "a stream", for messages.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Shape::Stream => "a stream",
            Shape::GroupedStream => "a grouped stream",
            Shape::WindowedStream => "a windowed stream",
            Shape::CogroupedStream => "a cogrouped stream",
            Shape::WindowedCogroup => "a windowed cogroup",
            Shape::Table => "a table",
            Shape::GroupedTable => "a grouped table",
            Shape::GlobalTable => "a global table",
            Shape::Store => "a store",
            Shape::Nothing => "nothing",
        }
    }

    /// Whether it only says by what to aggregate.
    pub(crate) fn is_grouping(self) -> bool {
        matches!(
            self,
            Shape::GroupedStream
                | Shape::WindowedStream
                | Shape::CogroupedStream
                | Shape::WindowedCogroup
                | Shape::GroupedTable
        )
    }

    /// The field type that declares a node of this shape.
    pub(crate) fn field_type(self) -> &'static str {
        match self {
            Shape::Stream => "KStream<K, V>",
            Shape::Table => "KTable<K, V>",
            Shape::GlobalTable => "GlobalKTable<K, V>",
            Shape::Store => "KeyValueStore<K, V>",
            Shape::Nothing => "()",
            Shape::GroupedStream
            | Shape::WindowedStream
            | Shape::CogroupedStream
            | Shape::WindowedCogroup
            | Shape::GroupedTable => "(not a field: an aggregation must follow)",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// A positional argument of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Param {
    /// A closure, or a path to a function.
    Function {
        /// What it is for: "predicate", "joiner".
        role: &'static str,
        /// What it takes, as written in its signature.
        takes: &'static [&'static str],
        /// What it gives.
        gives: &'static str,
    },
    /// Another node, by its field's name.
    Node,
    /// A partition count: a literal or a const.
    Count,
    /// Windows: `tumbling("10m")` and so on.
    Windows,
    /// `FraudAlerts::new(self.limit)`.
    Processor,
    /// Any other value: an emit strategy, a suppression.
    Value,
}

/// How an operator treats the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Keeps,
    /// Sets a new key: what groups or joins by it later goes through a repartition topic.
    Changes,
}

/// Whether an operator relies on its input being partitioned by the key: after a key change a repartition topic comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partitioning {
    /// Works record by record.
    Free,
    /// Needs records of a key in one task; drops null keys before the topic.
    ByKey,
    /// The same, but lets null keys through (left joins).
    ByKeyOrNull,
    /// Is a repartition topic.
    Topic,
}

/// Whose records an operator takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sides {
    /// Those of its chain. Another node, if it names one, is looked up, or merged in as it is.
    One,
    /// Those of its chain and those of the node that it names: both enter the method of the reading node. Where the other
    /// node is rekeyed, it goes through a repartition topic of its own.
    Two,
}

/// A store that an operator keeps beside the one of its field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InnerStore {
    /// What it is for: the handle of the task is called `<field>_<role>`.
    pub(crate) role: &'static str,
    /// The store is called `<name>-<suffix>`; the name is the field's, or the one that the operator was given.
    pub(crate) suffix: &'static str,
}

/// The state an operator uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    None,
    /// A store of its own, which belongs to the field.
    Owns,
    /// Stores of its own that are not what the field declares: the row's `inner`.
    OwnsInner,
    /// A store of its own where the field asks for one (`#[store]`) or somebody joins with it.
    OwnsIfMaterialized,
    /// The store of the other node.
    OfOther,
}

/// What happens to null keys and values where the types allow them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    Keeps,
    /// Null keys are dropped and counted.
    DropsKeys,
    /// Null values are dropped and counted.
    DropsValues,
    /// Null keys and null values are dropped and counted.
    DropsKeysAndValues,
}

/// Whether the table that an operator yields can lose a key it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Losing {
    /// Does not yield a table.
    NoTable,
    Never,
    Always,
    /// As its input.
    AsInput,
    /// If the value that the aggregation or the stream carries is declared as `Option<…>`.
    IfOption,
}

/// Whether an option can be used yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Built,
    /// Known by name, refused with `KS0190`.
    Later,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Operator {
    pub(crate) name: &'static str,
    /// What it is called on.
    pub(crate) on: Shape,
    /// The shape of the other node, where it takes one (`join`, `merge`).
    pub(crate) with: Option<Shape>,
    pub(crate) params: &'static [Param],
    /// How many of `params` may be left out at the end.
    pub(crate) optional: usize,
    /// Named options: `name = "…"`, `within("5m")`.
    pub(crate) options: &'static [&'static str],
    pub(crate) yields: Shape,
    pub(crate) key: Key,
    pub(crate) partitioning: Partitioning,
    pub(crate) state: State,
    pub(crate) sides: Sides,
    pub(crate) inner: &'static [InnerStore],
    #[allow(dead_code, reason = "read by the test that renders docs/operators.md")]
    pub(crate) nulls: Nulls,
    pub(crate) losing: Losing,
    /// One line for the docs.
    #[allow(dead_code, reason = "read by the test that renders docs/operators.md")]
    pub(crate) doc: &'static str,
}

impl Operator {
    /// `join(table, |V, &TV| -> O)`, for messages and docs.
    pub(crate) fn signature(&self) -> String {
        let params: Vec<String> = self
            .params
            .iter()
            .map(|param| match param {
                Param::Function { takes, gives, .. } => {
                    format!("|{}| -> {gives}", takes.join(", "))
                }
                Param::Node => match self.with {
                    Some(Shape::Table) => "table".to_owned(),
                    Some(Shape::GlobalTable) => "global_table".to_owned(),
                    _ => "stream".to_owned(),
                },
                Param::Count => "partitions".to_owned(),
                Param::Windows => "windows".to_owned(),
                Param::Processor => "Processor::new(…)".to_owned(),
                Param::Value => "…".to_owned(),
            })
            .collect();
        let within = if self.on == Shape::Stream && self.has_two_sides() {
            ", within(\"…\")"
        } else {
            ""
        };
        format!("{}({}{within})", self.name, params.join(", "))
    }

    /// Whether it aggregates by windows.
    pub(crate) fn aggregates_windows(&self) -> bool {
        matches!(self.on, Shape::WindowedStream | Shape::WindowedCogroup)
            && self.yields == Shape::Table
    }

    /// Whether it is the aggregation of a cogroup.
    pub(crate) fn aggregates_cogroup(&self) -> bool {
        matches!(self.on, Shape::CogroupedStream | Shape::WindowedCogroup)
            && self.yields == Shape::Table
    }

    pub(crate) fn has_two_sides(&self) -> bool {
        self.sides == Sides::Two
    }
}

macro_rules! function {
    ($role:literal, [$($takes:literal),*] -> $gives:literal) => {
        Param::Function { role: $role, takes: &[$($takes),*], gives: $gives }
    };
}

/// A row with the defaults of a stateless operator on streams.
const STATELESS: Operator = Operator {
    name: "",
    on: Shape::Stream,
    with: None,
    params: &[],
    optional: 0,
    options: &[],
    yields: Shape::Stream,
    key: Key::Keeps,
    partitioning: Partitioning::Free,
    state: State::None,
    sides: Sides::One,
    inner: &[],
    nulls: Nulls::Keeps,
    losing: Losing::NoTable,
    doc: "",
};
const ON_TABLE: Operator = Operator {
    on: Shape::Table,
    yields: Shape::Table,
    state: State::OwnsIfMaterialized,
    losing: Losing::AsInput,
    ..STATELESS
};
const AGGREGATION: Operator = Operator {
    on: Shape::GroupedStream,
    options: &["name"],
    yields: Shape::Table,
    partitioning: Partitioning::ByKey,
    state: State::Owns,
    nulls: Nulls::DropsKeysAndValues,
    ..STATELESS
};
const WINDOWED: Operator = Operator {
    on: Shape::WindowedStream,
    nulls: Nulls::DropsKeys,
    ..AGGREGATION
};
const COGROUPED: Operator = Operator {
    on: Shape::CogroupedStream,
    nulls: Nulls::DropsValues,
    ..AGGREGATION
};
const GROUPED_TABLE: Operator = Operator {
    on: Shape::GroupedTable,
    nulls: Nulls::Keeps,
    ..AGGREGATION
};
/// What waits for a table; only a join with a `grace` has it.
pub(crate) const BUFFER: InnerStore = InnerStore {
    role: "buffer",
    suffix: "Buffer",
};
/// What a suppression holds back.
pub(crate) const SUPPRESSED: InnerStore = InnerStore {
    role: "suppressed",
    suffix: "store",
};
const JOIN_TABLE: Operator = Operator {
    with: Some(Shape::Table),
    options: &["name", "grace"],
    inner: &[BUFFER],
    partitioning: Partitioning::ByKey,
    state: State::OfOther,
    nulls: Nulls::DropsKeysAndValues,
    ..STATELESS
};
const LEFT_JOIN_TABLE: Operator = Operator {
    partitioning: Partitioning::ByKeyOrNull,
    nulls: Nulls::Keeps,
    ..JOIN_TABLE
};
const JOIN_GLOBAL: Operator = Operator {
    with: Some(Shape::GlobalTable),
    options: &["name"],
    state: State::OfOther,
    nulls: Nulls::DropsKeysAndValues,
    ..STATELESS
};
const JOIN_STREAM: Operator = Operator {
    with: Some(Shape::Stream),
    options: &[
        "name",
        "within",
        "before",
        "after",
        "grace",
        "left_store",
        "right_store",
    ],
    partitioning: Partitioning::ByKey,
    state: State::OwnsInner,
    sides: Sides::Two,
    inner: &[
        InnerStore {
            role: "left",
            suffix: "this-join-store",
        },
        InnerStore {
            role: "right",
            suffix: "other-join-store",
        },
    ],
    nulls: Nulls::DropsKeysAndValues,
    ..STATELESS
};
const LEFT_JOIN_STREAM: Operator = Operator {
    options: OPTIONS_WITH_UNMATCHED,
    partitioning: Partitioning::ByKeyOrNull,
    inner: &[
        InnerStore {
            role: "left",
            suffix: "this-join-store",
        },
        InnerStore {
            role: "right",
            suffix: "outer-other-join-store",
        },
        InnerStore {
            role: "outer",
            suffix: "left-shared-join-store",
        },
    ],
    nulls: Nulls::DropsValues,
    ..JOIN_STREAM
};
const OUTER_JOIN_STREAM: Operator = Operator {
    inner: &[
        InnerStore {
            role: "left",
            suffix: "outer-this-join-store",
        },
        InnerStore {
            role: "right",
            suffix: "outer-other-join-store",
        },
        InnerStore {
            role: "outer",
            suffix: "outer-shared-join-store",
        },
    ],
    ..LEFT_JOIN_STREAM
};
const OPTIONS_WITH_UNMATCHED: &[&str] = &[
    "name",
    "within",
    "before",
    "after",
    "grace",
    "left_store",
    "right_store",
    "outer_store",
];
const JOIN_TABLES: Operator = Operator {
    with: Some(Shape::Table),
    options: &["name"],
    partitioning: Partitioning::ByKey,
    sides: Sides::Two,
    losing: Losing::Always,
    ..ON_TABLE
};
const JOIN_FOREIGN: Operator = Operator {
    partitioning: Partitioning::Free,
    sides: Sides::One,
    options: &["name", "other_partitioner"],
    inner: &[InnerStore {
        role: "subscriptions",
        suffix: "subscription-store",
    }],
    ..JOIN_TABLES
};

const TRY_ADDER: Param = function!("aggregator", ["&K", "V", "A"] -> "Result<A, E>");
const TRY_MERGE_SESSIONS: Param = function!("merger", ["&K", "A", "A"] -> "Result<A, E>");
const TRY_REDUCER: Param = function!("reducer", ["V", "V"] -> "Result<V, E>");
const TRY_ROW_ADDER: Param = function!("adder", ["&K", "V", "A"] -> "Result<A, E>");
const TRY_SUBTRACTOR: Param = function!("subtractor", ["&K", "V", "A"] -> "Result<A, E>");
const TRY_ROW_REDUCER: Param = function!("adder", ["V", "V"] -> "Result<V, E>");
const TRY_ROW_SUBTRACTOR: Param = function!("subtractor", ["V", "V"] -> "Result<V, E>");
const PREDICATE: Param = function!("predicate", ["&K", "&V"] -> "bool");
const NEW_KEY: Param = function!("key", ["&K", "&V"] -> "K2");
const TRY_NEW_KEY: Param = function!("key", ["&K", "&V"] -> "Result<K2, E>");
const MAP_VALUE: Param = function!("mapper", ["V"] -> "V2");
const MAP_VALUE_WITH_KEY: Param = function!("mapper", ["&K", "V"] -> "V2");
const LOOK: Param = function!("action", ["&K", "&V"] -> "()");
const INITIAL: Param = function!("initializer", [] -> "A");
const MERGE_SESSIONS: Param = function!("merger", ["&K", "A", "A"] -> "A");
const ADDER: Param = function!("aggregator", ["&K", "V", "A"] -> "A");
const SUBTRACTOR: Param = function!("subtractor", ["&K", "V", "A"] -> "A");
const ROW_ADDER: Param = function!("adder", ["&K", "V", "A"] -> "A");
const ROW_REDUCER: Param = function!("adder", ["V", "V"] -> "V");
const ROW_SUBTRACTOR: Param = function!("subtractor", ["V", "V"] -> "V");
const REDUCER: Param = function!("reducer", ["V", "V"] -> "V");
const GLOBAL_KEY: Param = function!("key mapper", ["&K", "&V"] -> "GK");
const TRY_GLOBAL_KEY: Param = function!("key mapper", ["&K", "&V"] -> "Result<GK, E>");
const JOINER: Param = function!("joiner", ["V", "&TV"] -> "O");
const TRY_JOINER: Param = function!("joiner", ["V", "&TV"] -> "Result<O, E>");
const JOINER_WITH_KEY: Param = function!("joiner", ["&K", "V", "&TV"] -> "O");
const TRY_JOINER_WITH_KEY: Param = function!("joiner", ["&K", "V", "&TV"] -> "Result<O, E>");
const LEFT_JOINER: Param = function!("joiner", ["V", "Option<&TV>"] -> "O");
const TRY_LEFT_JOINER: Param = function!("joiner", ["V", "Option<&TV>"] -> "Result<O, E>");
const LEFT_JOINER_WITH_KEY: Param = function!("joiner", ["&K", "V", "Option<&TV>"] -> "O");
const TRY_LEFT_JOINER_WITH_KEY: Param =
    function!("joiner", ["&K", "V", "Option<&TV>"] -> "Result<O, E>");
const TABLE_JOINER_WITH_KEY: Param = function!("joiner", ["&K", "&V", "&OV"] -> "O");
const TRY_TABLE_JOINER_WITH_KEY: Param = function!("joiner", ["&K", "&V", "&OV"] -> "Result<O, E>");
const TABLE_LEFT_JOINER_WITH_KEY: Param = function!("joiner", ["&K", "&V", "Option<&OV>"] -> "O");
const TRY_TABLE_LEFT_JOINER_WITH_KEY: Param =
    function!("joiner", ["&K", "&V", "Option<&OV>"] -> "Result<O, E>");
const OUTER_JOINER_WITH_KEY: Param =
    function!("joiner", ["&K", "Option<&V>", "Option<&OV>"] -> "O");
const TRY_OUTER_JOINER_WITH_KEY: Param =
    function!("joiner", ["&K", "Option<&V>", "Option<&OV>"] -> "Result<O, E>");
const OUTER_JOINER: Param = function!("joiner", ["Option<&V>", "Option<&OV>"] -> "O");
const TRY_OUTER_JOINER: Param =
    function!("joiner", ["Option<&V>", "Option<&OV>"] -> "Result<O, E>");
const STREAM_JOINER: Param = function!("joiner", ["&V", "&OV"] -> "O");
const TRY_STREAM_JOINER: Param = function!("joiner", ["&V", "&OV"] -> "Result<O, E>");
const STREAM_LEFT_JOINER: Param = function!("joiner", ["&V", "Option<&OV>"] -> "O");
const TRY_STREAM_LEFT_JOINER: Param = function!("joiner", ["&V", "Option<&OV>"] -> "Result<O, E>");

/// Every operator. Several rows of one name: the receiver, or the other node, decides.
#[rustfmt::skip]
pub(crate) static OPERATORS: &[Operator] = &[
    // Streams, record by record.
    Operator { name: "filter", params: &[PREDICATE], doc: "Keeps the records for which the predicate holds.", ..STATELESS },
    Operator { name: "filter_not", params: &[PREDICATE], doc: "Drops the records for which the predicate holds.", ..STATELESS },
    Operator { name: "map", params: &[function!("mapper", ["K", "V"] -> "(K2, V2)")], key: Key::Changes, doc: "A new key and a new value for each record.", ..STATELESS },
    Operator { name: "map_values", params: &[MAP_VALUE], doc: "A new value for each record; the key stays.", ..STATELESS },
    Operator { name: "map_values_with_key", params: &[MAP_VALUE_WITH_KEY], doc: "A new value for each record, made with a look at its key.", ..STATELESS },
    Operator { name: "flat_map", params: &[function!("mapper", ["&K", "&V"] -> "impl IntoIterator<Item = (K2, V2)>")], key: Key::Changes, doc: "Any number of records, with new keys, for each record.", ..STATELESS },
    Operator { name: "flat_map_values", params: &[function!("mapper", ["&V"] -> "impl IntoIterator<Item = V2>")], doc: "Any number of values for each record; the key stays.", ..STATELESS },
    Operator { name: "flat_map_values_with_key", params: &[function!("mapper", ["&K", "&V"] -> "impl IntoIterator<Item = V2>")], doc: "Any number of values for each record, made with a look at its key.", ..STATELESS },
    Operator { name: "select_key", params: &[NEW_KEY], key: Key::Changes, doc: "A new key for each record; the value stays.", ..STATELESS },
    Operator { name: "map_record", params: &[function!("mapper", ["Record<K, V>"] -> "Record<K2, V2>")], key: Key::Changes, doc: "A new record for each one, with a look at its headers and timestamp and the right to change them.", ..STATELESS },
    Operator { name: "map_record_values", params: &[function!("mapper", ["FixedKeyRecord<K, V>"] -> "FixedKeyRecord<K, V2>")], doc: "`map_record` that cannot change the key.", ..STATELESS },
    Operator { name: "peek", params: &[LOOK], doc: "Looks at each record and passes it on.", ..STATELESS },
    Operator { name: "for_each", params: &[function!("action", ["&K", "V"] -> "()")], yields: Shape::Nothing, doc: "Ends the chain with a side effect; the field's type is `()`.", ..STATELESS },
    Operator { name: "print", params: &[Param::Value], optional: 1, yields: Shape::Nothing, doc: "Ends the chain by printing each record, `[label]: key, value`; without a label, the stream's name. The field's type is `()`.", ..STATELESS },
    Operator { name: "merge", with: Some(Shape::Stream), params: &[Param::Node], doc: "The records of both streams, in no order between them.", ..STATELESS },
    Operator { name: "branch", params: &[PREDICATE], options: &["split"], doc: "The records for which this predicate is the first of the split to hold.", ..STATELESS },
    Operator { name: "otherwise", options: &["split"], doc: "The records that no branch of the split took.", ..STATELESS },
    Operator { name: "try_map", params: &[function!("mapper", ["K", "V"] -> "Result<(K2, V2), E>")], key: Key::Changes, doc: "`map` with a closure that may fail.", ..STATELESS },
    Operator { name: "try_map_values", params: &[function!("mapper", ["V"] -> "Result<V2, E>")], doc: "`map_values` with a closure that may fail.", ..STATELESS },
    Operator { name: "try_map_values_with_key", params: &[function!("mapper", ["&K", "V"] -> "Result<V2, E>")], doc: "`map_values_with_key` with a closure that may fail.", ..STATELESS },
    Operator { name: "try_select_key", params: &[TRY_NEW_KEY], key: Key::Changes, doc: "`select_key` with a closure that may fail.", ..STATELESS },
    Operator { name: "try_map_record", params: &[function!("mapper", ["Record<K, V>"] -> "Result<Record<K2, V2>, E>")], key: Key::Changes, doc: "`map_record` with a closure that may fail.", ..STATELESS },
    Operator { name: "try_map_record_values", params: &[function!("mapper", ["FixedKeyRecord<K, V>"] -> "Result<FixedKeyRecord<K, V2>, E>")], doc: "`map_record_values` with a closure that may fail.", ..STATELESS },
    Operator { name: "try_filter", params: &[function!("predicate", ["&K", "&V"] -> "Result<bool, E>")], doc: "`filter` with a closure that may fail.", ..STATELESS },
    Operator { name: "try_flat_map", params: &[function!("mapper", ["&K", "&V"] -> "Result<impl IntoIterator<Item = (K2, V2)>, E>")], key: Key::Changes, doc: "`flat_map` with a closure that may fail.", ..STATELESS },
    Operator { name: "try_flat_map_values", params: &[function!("mapper", ["&V"] -> "Result<impl IntoIterator<Item = V2>, E>")], doc: "`flat_map_values` with a closure that may fail.", ..STATELESS },
    Operator { name: "try_for_each", params: &[function!("action", ["&K", "V"] -> "Result<(), E>")], yields: Shape::Nothing, doc: "`for_each` with a closure that may fail.", ..STATELESS },
    // Streams, regrouped.
    Operator { name: "repartition", params: &[Param::Count], optional: 1, options: &["name", "partitions", "partitioner"], partitioning: Partitioning::Topic, doc: "Sends the stream through an internal topic of its own, with as many partitions as given, to those that `partitioner = P` chooses.", ..STATELESS },
    Operator { name: "to_table", options: &["name"], yields: Shape::Table, partitioning: Partitioning::ByKey, state: State::OwnsIfMaterialized, nulls: Nulls::DropsKeys, losing: Losing::IfOption, doc: "The stream read as updates of a table.", ..STATELESS },
    Operator { name: "group_by", params: &[NEW_KEY], options: &["name"], yields: Shape::GroupedStream, key: Key::Changes, doc: "Groups by a new key: an aggregation follows, through a repartition topic.", ..STATELESS },
    Operator { name: "try_group_by", params: &[TRY_NEW_KEY], options: &["name"], yields: Shape::GroupedStream, key: Key::Changes, doc: "`group_by` with a closure that may fail.", ..STATELESS },
    Operator { name: "group_by_key", options: &["name"], yields: Shape::GroupedStream, doc: "Groups by the key as it is: an aggregation follows.", ..STATELESS },
    // Streams joined with tables.
    Operator { name: "join", params: &[Param::Node, JOINER], doc: "Each record with the table's value for its key; without one, no result.", ..JOIN_TABLE },
    Operator { name: "try_join", params: &[Param::Node, TRY_JOINER], doc: "`join` with a joiner that may fail.", ..JOIN_TABLE },
    Operator { name: "left_join", params: &[Param::Node, LEFT_JOINER], doc: "Each record with the table's value for its key, if there is one.", ..LEFT_JOIN_TABLE },
    Operator { name: "try_left_join", params: &[Param::Node, TRY_LEFT_JOINER], doc: "`left_join` with a joiner that may fail.", ..LEFT_JOIN_TABLE },
    Operator { name: "join_with_key", params: &[Param::Node, JOINER_WITH_KEY], doc: "`join` whose joiner also sees the key.", ..JOIN_TABLE },
    Operator { name: "try_join_with_key", params: &[Param::Node, TRY_JOINER_WITH_KEY], doc: "`join_with_key` with a joiner that may fail.", ..JOIN_TABLE },
    Operator { name: "left_join_with_key", params: &[Param::Node, LEFT_JOINER_WITH_KEY], doc: "`left_join` whose joiner also sees the key.", ..LEFT_JOIN_TABLE },
    Operator { name: "try_left_join_with_key", params: &[Param::Node, TRY_LEFT_JOINER_WITH_KEY], doc: "`left_join_with_key` with a joiner that may fail.", ..LEFT_JOIN_TABLE },
    Operator { name: "join", params: &[Param::Node, GLOBAL_KEY, JOINER], doc: "Each record with the global table's value for the key that the mapper finds; without one, no result.", ..JOIN_GLOBAL },
    Operator { name: "try_join", params: &[Param::Node, TRY_GLOBAL_KEY, TRY_JOINER], doc: "`join` with functions that may fail; a mapper that cannot may return a plain key.", ..JOIN_GLOBAL },
    Operator { name: "left_join", params: &[Param::Node, GLOBAL_KEY, LEFT_JOINER], doc: "Each record with the global table's value for the key that the mapper finds, if there is one.", ..JOIN_GLOBAL },
    Operator { name: "try_left_join", params: &[Param::Node, TRY_GLOBAL_KEY, TRY_LEFT_JOINER], doc: "`left_join` with functions that may fail; a mapper that cannot may return a plain key.", ..JOIN_GLOBAL },
    Operator { name: "join_with_key", params: &[Param::Node, GLOBAL_KEY, JOINER_WITH_KEY], doc: "`join` whose joiner also sees the stream's key.", ..JOIN_GLOBAL },
    Operator { name: "try_join_with_key", params: &[Param::Node, TRY_GLOBAL_KEY, TRY_JOINER_WITH_KEY], doc: "`join_with_key` with functions that may fail; a mapper that cannot may return a plain key.", ..JOIN_GLOBAL },
    Operator { name: "left_join_with_key", params: &[Param::Node, GLOBAL_KEY, LEFT_JOINER_WITH_KEY], doc: "`left_join` whose joiner also sees the stream's key.", ..JOIN_GLOBAL },
    Operator { name: "try_left_join_with_key", params: &[Param::Node, TRY_GLOBAL_KEY, TRY_LEFT_JOINER_WITH_KEY], doc: "`left_join_with_key` with functions that may fail; a mapper that cannot may return a plain key.", ..JOIN_GLOBAL },
    Operator { name: "join", params: &[Param::Node, STREAM_JOINER], doc: "Pairs of records of both streams with one key, within a time difference.", ..JOIN_STREAM },
    Operator { name: "try_join", params: &[Param::Node, TRY_STREAM_JOINER], doc: "`join` with a joiner that may fail.", ..JOIN_STREAM },
    Operator { name: "left_join", params: &[Param::Node, STREAM_LEFT_JOINER], doc: "`join` that keeps the left records without a partner.", ..LEFT_JOIN_STREAM },
    Operator { name: "try_left_join", params: &[Param::Node, TRY_STREAM_LEFT_JOINER], doc: "`left_join` with a joiner that may fail.", ..LEFT_JOIN_STREAM },
    Operator { name: "outer_join", params: &[Param::Node, OUTER_JOINER], doc: "`join` that keeps the records of both sides without a partner.", ..OUTER_JOIN_STREAM },
    Operator { name: "try_outer_join", params: &[Param::Node, TRY_OUTER_JOINER], doc: "`outer_join` with a joiner that may fail.", ..OUTER_JOIN_STREAM },
    Operator { name: "join_with_key", params: &[Param::Node, TABLE_JOINER_WITH_KEY], doc: "`join` whose joiner also sees the key.", ..JOIN_STREAM },
    Operator { name: "try_join_with_key", params: &[Param::Node, TRY_TABLE_JOINER_WITH_KEY], doc: "`join_with_key` with a joiner that may fail.", ..JOIN_STREAM },
    Operator { name: "left_join_with_key", params: &[Param::Node, TABLE_LEFT_JOINER_WITH_KEY], doc: "`left_join` whose joiner also sees the key.", ..LEFT_JOIN_STREAM },
    Operator { name: "try_left_join_with_key", params: &[Param::Node, TRY_TABLE_LEFT_JOINER_WITH_KEY], doc: "`left_join_with_key` with a joiner that may fail.", ..LEFT_JOIN_STREAM },
    Operator { name: "outer_join_with_key", params: &[Param::Node, OUTER_JOINER_WITH_KEY], doc: "`outer_join` whose joiner also sees the key.", ..OUTER_JOIN_STREAM },
    Operator { name: "try_outer_join_with_key", params: &[Param::Node, TRY_OUTER_JOINER_WITH_KEY], doc: "`outer_join_with_key` with a joiner that may fail.", ..OUTER_JOIN_STREAM },
    Operator { name: "process", params: &[Param::Processor], options: &["stores"], key: Key::Changes, doc: "A processor of your own, which may change the key; with several outputs the field's type is `()`, and they are read as `field.output`.", ..STATELESS },
    Operator { name: "process_values", params: &[Param::Processor], options: &["stores"], doc: "A processor of your own that cannot change the key.", ..STATELESS },
    // Grouped streams.
    Operator { name: "count", losing: Losing::Never, doc: "How many records each key has had: `KTable<K, i64>`.", ..AGGREGATION },
    Operator { name: "reduce", params: &[REDUCER], losing: Losing::IfOption, doc: "The values of each key combined into one of their type; `None` removes the key.", ..AGGREGATION },
    Operator { name: "try_reduce", params: &[TRY_REDUCER], losing: Losing::IfOption, doc: "`reduce` with a reducer that may fail.", ..AGGREGATION },
    Operator { name: "aggregate", params: &[INITIAL, ADDER], losing: Losing::IfOption, doc: "The values of each key gathered into a value of another type; `None` removes the key.", ..AGGREGATION },
    Operator { name: "try_aggregate", params: &[INITIAL, TRY_ADDER], losing: Losing::IfOption, doc: "`aggregate` with an aggregator that may fail.", ..AGGREGATION },
    Operator { name: "windowed_by", on: Shape::GroupedStream, params: &[Param::Windows], yields: Shape::WindowedStream, doc: "Groups by key and window: `tumbling`, `hopping`, `sliding`, `session`, `unlimited`; an aggregation follows.", ..STATELESS },
    Operator { name: "cogroup", on: Shape::GroupedStream, params: &[ADDER], yields: Shape::CogroupedStream, partitioning: Partitioning::ByKey, nulls: Nulls::DropsKeys, doc: "Begins an aggregation of several streams: this one's records go into the aggregate by this aggregator.", ..STATELESS },
    Operator { name: "try_cogroup", on: Shape::GroupedStream, params: &[TRY_ADDER], yields: Shape::CogroupedStream, partitioning: Partitioning::ByKey, nulls: Nulls::DropsKeys, doc: "`cogroup` with an aggregator that may fail.", ..STATELESS },
    // Windowed and cogrouped streams.
    Operator { name: "emit", on: Shape::WindowedStream, params: &[Param::Value], yields: Shape::WindowedStream, doc: "When results are sent: `on_window_update` or `on_window_close`.", ..STATELESS },
    Operator { name: "count", losing: Losing::Never, doc: "How many records each key has had in each window: `KTable<Windowed<K>, i64>`.", ..WINDOWED },
    Operator { name: "reduce", params: &[REDUCER], losing: Losing::IfOption, doc: "The values of each key and window combined into one of their type.", ..WINDOWED },
    Operator { name: "try_reduce", params: &[TRY_REDUCER], losing: Losing::IfOption, doc: "`reduce` with a reducer that may fail.", ..WINDOWED },
    Operator { name: "aggregate", params: &[INITIAL, ADDER, MERGE_SESSIONS], optional: 1, losing: Losing::IfOption, doc: "The values of each key and window gathered into a value of another type; of sessions with a third function that merges two.", ..WINDOWED },
    Operator { name: "try_aggregate", params: &[INITIAL, TRY_ADDER, TRY_MERGE_SESSIONS], optional: 1, losing: Losing::IfOption, doc: "`aggregate` with functions that may fail.", ..WINDOWED },
    Operator { name: "cogroup", on: Shape::CogroupedStream, with: Some(Shape::Stream), params: &[Param::Node, ADDER], options: &["name"], yields: Shape::CogroupedStream, partitioning: Partitioning::ByKey, sides: Sides::Two, nulls: Nulls::DropsKeys, doc: "Another stream, grouped by its key, whose records go into the same aggregate.", ..STATELESS },
    Operator { name: "try_cogroup", on: Shape::CogroupedStream, with: Some(Shape::Stream), params: &[Param::Node, TRY_ADDER], options: &["name"], yields: Shape::CogroupedStream, partitioning: Partitioning::ByKey, sides: Sides::Two, nulls: Nulls::DropsKeys, doc: "`cogroup` with an aggregator that may fail.", ..STATELESS },
    Operator { name: "windowed_by", on: Shape::CogroupedStream, params: &[Param::Windows], yields: Shape::WindowedCogroup, doc: "Groups all inputs by key and window; each keeps a stream time of its own.", ..STATELESS },
    Operator { name: "aggregate", params: &[INITIAL], losing: Losing::IfOption, doc: "Ends a cogroup with the initial value.", ..COGROUPED },
    Operator { name: "aggregate", on: Shape::WindowedCogroup, params: &[INITIAL, MERGE_SESSIONS], optional: 1, losing: Losing::IfOption, nulls: Nulls::Keeps, doc: "Ends a cogroup by windows with the initial value; of sessions with a function that merges two, too.", ..COGROUPED },
    // Tables.
    Operator { name: "try_filter", params: &[function!("predicate", ["&K", "&V"] -> "Result<bool, E>")], losing: Losing::Always, doc: "`filter` with a closure that may fail.", ..ON_TABLE },
    Operator { name: "try_map_values", params: &[function!("mapper", ["V"] -> "Result<V2, E>")], doc: "`map_values` with a closure that may fail.", ..ON_TABLE },
    Operator { name: "try_map_values_with_key", params: &[function!("mapper", ["&K", "V"] -> "Result<V2, E>")], doc: "`map_values_with_key` with a closure that may fail.", ..ON_TABLE },
    Operator { name: "filter", params: &[PREDICATE], losing: Losing::Always, doc: "The rows for which the predicate holds; a row that stops matching is deleted.", ..ON_TABLE },
    Operator { name: "filter_not", params: &[PREDICATE], losing: Losing::Always, doc: "The rows for which the predicate does not hold.", ..ON_TABLE },
    Operator { name: "map_values", params: &[MAP_VALUE], doc: "A new value for each row.", ..ON_TABLE },
    Operator { name: "map_values_with_key", params: &[MAP_VALUE_WITH_KEY], doc: "A new value for each row, made with a look at its key.", ..ON_TABLE },
    Operator { name: "transform_values", params: &[Param::Processor], options: &["stores"], losing: Losing::Always, doc: "A processor of your own makes a new value for each row, with a look at stores.", ..ON_TABLE },
    Operator { name: "to_stream", on: Shape::Table, doc: "The table's updates as a stream; `Option<V>` where the table can lose keys.", ..STATELESS },
    Operator { name: "group_by", params: &[function!("mapper", ["&K", "&V"] -> "(K2, V2)")], options: &["name"], yields: Shape::GroupedTable, losing: Losing::NoTable, key: Key::Changes, state: State::None, doc: "Groups rows by a new key: an aggregation with adder and subtractor follows, through a repartition topic. Rows whose new key or value is `None` are in no group.", ..ON_TABLE },
    Operator { name: "try_group_by", params: &[function!("mapper", ["&K", "&V"] -> "Result<(K2, V2), E>")], options: &["name"], yields: Shape::GroupedTable, losing: Losing::NoTable, key: Key::Changes, state: State::None, doc: "`group_by` with a closure that may fail.", ..ON_TABLE },
    Operator { name: "count", losing: Losing::Never, doc: "How many rows each group has.", ..GROUPED_TABLE },
    Operator { name: "reduce", params: &[ROW_REDUCER, ROW_SUBTRACTOR], losing: Losing::IfOption, doc: "The rows of each group combined: `adder(combined, row)`, `subtractor(combined, row)`; `None` removes the group.", ..GROUPED_TABLE },
    Operator { name: "try_reduce", params: &[TRY_ROW_REDUCER, TRY_ROW_SUBTRACTOR], losing: Losing::IfOption, doc: "`reduce` with functions that may fail.", ..GROUPED_TABLE },
    Operator { name: "aggregate", params: &[INITIAL, ROW_ADDER, SUBTRACTOR], losing: Losing::IfOption, doc: "The rows of each group gathered: initializer, adder, subtractor; `None` removes the group.", ..GROUPED_TABLE },
    Operator { name: "try_aggregate", params: &[INITIAL, TRY_ROW_ADDER, TRY_SUBTRACTOR], losing: Losing::IfOption, doc: "`aggregate` with functions that may fail.", ..GROUPED_TABLE },
    Operator { name: "join", params: &[Param::Node, STREAM_JOINER], doc: "The rows of both tables with one key.", ..JOIN_TABLES },
    Operator { name: "try_join", params: &[Param::Node, TRY_STREAM_JOINER], doc: "`join` with a joiner that may fail.", ..JOIN_TABLES },
    Operator { name: "left_join", params: &[Param::Node, STREAM_LEFT_JOINER], losing: Losing::AsInput, doc: "`join` that keeps the left rows without a partner.", ..JOIN_TABLES },
    Operator { name: "try_left_join", params: &[Param::Node, TRY_STREAM_LEFT_JOINER], losing: Losing::AsInput, doc: "`left_join` with a joiner that may fail.", ..JOIN_TABLES },
    Operator { name: "outer_join", params: &[Param::Node, OUTER_JOINER], doc: "`join` that keeps the rows of both sides without a partner.", ..JOIN_TABLES },
    Operator { name: "try_outer_join", params: &[Param::Node, TRY_OUTER_JOINER], doc: "`outer_join` with a joiner that may fail.", ..JOIN_TABLES },
    Operator { name: "join_with_key", params: &[Param::Node, TABLE_JOINER_WITH_KEY], doc: "`join` whose joiner also sees the key.", ..JOIN_TABLES },
    Operator { name: "try_join_with_key", params: &[Param::Node, TRY_TABLE_JOINER_WITH_KEY], doc: "`join_with_key` with a joiner that may fail.", ..JOIN_TABLES },
    Operator { name: "left_join_with_key", params: &[Param::Node, TABLE_LEFT_JOINER_WITH_KEY], losing: Losing::AsInput, doc: "`left_join` whose joiner also sees the key.", ..JOIN_TABLES },
    Operator { name: "try_left_join_with_key", params: &[Param::Node, TRY_TABLE_LEFT_JOINER_WITH_KEY], losing: Losing::AsInput, doc: "`left_join_with_key` with a joiner that may fail.", ..JOIN_TABLES },
    Operator { name: "outer_join_with_key", params: &[Param::Node, OUTER_JOINER_WITH_KEY], doc: "`outer_join` whose joiner also sees the key.", ..JOIN_TABLES },
    Operator { name: "try_outer_join_with_key", params: &[Param::Node, TRY_OUTER_JOINER_WITH_KEY], doc: "`outer_join_with_key` with a joiner that may fail.", ..JOIN_TABLES },
    Operator { name: "join_on", params: &[Param::Node, function!("foreign key", ["&K", "&V"] -> "FK"), STREAM_JOINER], doc: "Each row with the row of another table that its foreign key names; a chain starts with it. Partition counts may differ.", ..JOIN_FOREIGN },
    Operator { name: "try_join_on", params: &[Param::Node, function!("foreign key", ["&K", "&V"] -> "Result<FK, E>"), TRY_STREAM_JOINER], doc: "`join_on` with functions that may fail; an extractor that cannot may return a plain key.", ..JOIN_FOREIGN },
    Operator { name: "left_join_on", params: &[Param::Node, function!("foreign key", ["&K", "&V"] -> "Option<FK>"), STREAM_LEFT_JOINER], losing: Losing::AsInput, doc: "`join_on` that keeps rows without a partner, or without a foreign key.", ..JOIN_FOREIGN },
    Operator { name: "try_left_join_on", params: &[Param::Node, function!("foreign key", ["&K", "&V"] -> "Result<Option<FK>, E>"), TRY_STREAM_LEFT_JOINER], losing: Losing::AsInput, doc: "`left_join_on` with functions that may fail; an extractor that cannot may return a plain key.", ..JOIN_FOREIGN },
    Operator { name: "suppress", params: &[Param::Value], options: &["name"], inner: &[SUPPRESSED], doc: "Holds updates back until a window closes (`until_window_closes()`) or a time limit passes (`until_time_limit(\"10s\")`).", ..ON_TABLE },
];

/// The rows of a name.
pub(crate) fn rows(name: &str) -> impl Iterator<Item = &'static Operator> {
    OPERATORS.iter().filter(move |row| row.name == name)
}

/// Whether any row of that name has that named option (so that `within("5m")` is told from a positional argument).
pub(crate) fn has_option(operator: &str, option: &str) -> bool {
    rows(operator).any(|row| row.options.contains(&option))
}

/// Every operator name, once.
pub(crate) fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = OPERATORS.iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The operators that a shape offers, each once.
pub(crate) fn offered_by(shape: Shape) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for row in OPERATORS.iter().filter(|row| row.on == shape) {
        if !names.contains(&row.name) {
            names.push(row.name);
        }
    }
    names
}

/// An option of an attribute.
#[derive(Debug)]
pub(crate) struct AttributeOption {
    /// `topology`, `source`, `sink`, `store`.
    pub(crate) attribute: &'static str,
    pub(crate) name: &'static str,
    pub(crate) status: Status,
    #[allow(dead_code, reason = "read by the test that renders docs/operators.md")]
    pub(crate) doc: &'static str,
}

const fn option(
    attribute: &'static str,
    name: &'static str,
    status: Status,
    doc: &'static str,
) -> AttributeOption {
    AttributeOption {
        attribute,
        name,
        status,
        doc,
    }
}

/// Every option of every attribute.
#[rustfmt::skip]
pub(crate) static ATTRIBUTE_OPTIONS: &[AttributeOption] = &[
    option("topology", "application_id", Status::Built, "Kafka's `application.id`: the group, and the prefix of internal topics."),
    option("topology", "optimization", Status::Built, "`\"none\"`, `\"all\"`, or a list of `reuse.ktable.source.topics` (source topics serve as changelogs), `merge.repartition.topics` (readers of a re-keyed stream share a repartition topic) and `single.store.self.join` (a stream that is joined with itself has one store)."),
    option("topology", "crate", Status::Built, "The path of the `kstreams` crate, where it is renamed."),
    option("topology", "lock", Status::Later, "The topology lock file."),
    option("topology", "store_format", Status::Built, "`\"default\"` or `\"headers\"`: Kafka's `dsl.store.format`. With `\"headers\"` tombstones are logged with their record's headers."),
    option("source", "topic", Status::Built, "The topic."),
    option("source", "topics", Status::Built, "Several topics read as one stream."),
    option("source", "pattern", Status::Later, "A regular expression of topic names."),
    option("source", "partitions", Status::Built, "How many partitions the topic has: a number, a const, or `runtime`."),
    option("source", "partitioner", Status::Built, "By which partitioner others write the topic; that of a `#[sink]` of the same topology is known."),
    option("source", "timestamp", Status::Built, "Where the timestamps come from: one of Kafka Streams' extractors (`fail_on_invalid_timestamp`, `log_and_skip_on_invalid_timestamp`, `use_partition_time_on_invalid_timestamp`, `wallclock_timestamp_extractor`), or a closure `|record, partition_time|` that returns milliseconds, an `Option` or a `Result` of them."),
    option("source", "offset_reset", Status::Built, "Where to begin without a committed offset: `earliest`, `latest`, `none`."),
    option("source", "global", Status::Built, "On a store's field: a global store, kept by the processor that `process` makes."),
    option("source", "process", Status::Built, "The processor of a global store, as `process = UpperCase::new()`; it shares that store and nothing else."),
    option(
        "sink",
        "topic",
        Status::Built,
        "The topic, or a closure that chooses it per record: `|key, value|`, or `|key, value, context|`, whose third parameter is a `RecordContext`.",
    ),
    option("sink", "topics", Status::Built, "The topics among which the closure chooses: an enum that is written, as `topics(enum Route { Orders = \"orders\" })`, or names, as `topics(\"small\", \"large\")`."),
    option("sink", "partitions", Status::Built, "How many partitions the topic has."),
    option("sink", "partitioner", Status::Built, "A partitioner other than Kafka's default: a `StreamPartitioner`, a function, or a closure `|topic, key, value, num_partitions|` that returns a partition, `None` for Kafka's own, several, or an empty list to drop the record."),
    option("store", "kind", Status::Built, "`lmdb` (default) or `memory`."),
    option("store", "cache", Status::Built, "Whether the record cache lies before the store: `true` (default) or `false`."),
    option("store", "changelog", Status::Built, "Whether changes are logged: `true` (default) or `false`."),
    option("store", "name", Status::Built, "The store's name, where it is not the field's."),
    option("store", "retention", Status::Built, "How long a store of windows or sessions keeps entries; of a `VersionedStore` field, how long it keeps the past."),
    option("store", "window_size", Status::Built, "The size of the windows of a `WindowStore` field."),
    option("store", "versioned", Status::Built, "Keeps the past of every key for that long: joins and queries as of a time."),
    option("store", "changelog_config", Status::Built, "Settings of the changelog's topic, as `changelog_config(\"min.insync.replicas\" = \"2\")`."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_name_differ_in_receiver_or_other_node() {
        for (i, a) in OPERATORS.iter().enumerate() {
            for b in &OPERATORS[i + 1..] {
                assert!(
                    a.name != b.name || a.on != b.on || a.with != b.with,
                    "two rows for {} on {}",
                    a.name,
                    a.on
                );
            }
        }
    }

    #[test]
    fn a_row_takes_a_node_if_and_only_if_it_says_which() {
        for row in OPERATORS {
            assert_eq!(
                row.with.is_some(),
                row.params.contains(&Param::Node),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn a_table_says_whether_it_loses_keys() {
        for row in OPERATORS {
            assert_eq!(
                row.yields == Shape::Table,
                row.losing != Losing::NoTable,
                "{}",
                row.name
            );
        }
    }

    /// The named options, and what each is for.
    #[rustfmt::skip]
    const OPERATOR_OPTIONS: &[(&str, &str)] = &[
        ("name", "What the operator's repartition topics, stores and other internal topics are named by, instead of the field."),
        ("partitions", "How many partitions the topic has; the same as the first argument."),
        ("partitioner", "To which partitions records go: as that of `#[sink(…)]`."),
        ("other_partitioner", "How the right table is partitioned: as that of `#[sink(…)]`, but asked for the key alone."),
        ("split", "Which split of the stream a branch belongs to, as `split = \"size\"`, where there are several."),
        ("stores", "The topology's stores and tables that the processor's fields get: `stores(seen)`, `stores(field = seen)`."),
        ("within", "How far apart two records may be: `within(\"5m\")`; `before(\"1m\")`, `after(\"10m\")` and `grace(\"30s\")` may follow it."),
        ("before", "How much earlier the other record may be."),
        ("after", "How much later the other record may be."),
        ("grace", "How long late records are waited for; in a join with a versioned table how long records wait for the table."),
        ("left_store", "How the left side's records are kept: `left_store(name = \"…\", kind = memory, changelog = false)`."),
        ("right_store", "How the right side's records are kept."),
        ("outer_store", "How the records without partner are kept."),
    ];

    /// The operators that take an option, without their `try_…` forms.
    fn takers(option: &str) -> Vec<&'static str> {
        let mut names: Vec<&str> = Vec::new();
        for row in OPERATORS.iter().filter(|row| row.options.contains(&option)) {
            if !row.name.starts_with("try_") && !names.contains(&row.name) {
                names.push(row.name);
            }
        }
        names
    }

    #[test]
    fn every_named_option_is_told_of() {
        for option in OPERATORS.iter().flat_map(|row| row.options) {
            let told = OPERATOR_OPTIONS.iter().any(|(name, _)| name == option);
            assert!(told, "{option}");
        }
        for (name, _) in OPERATOR_OPTIONS {
            assert!(!takers(name).is_empty(), "{name}");
        }
    }

    /// `docs/operators.md`, from the table.
    fn page() -> String {
        let mut out = String::from(
            "# Operators\n\nThe operators of a chain in `#[from(…)]`, and the options of the attributes. \
             This page is rendered from the macro's own table (`streams-macros/src/topology/kinds.rs`).\n\
             Options marked *later* are known by name and refused with KS0190.\n",
        );
        let shapes = [
            Shape::Stream,
            Shape::GroupedStream,
            Shape::WindowedStream,
            Shape::CogroupedStream,
            Shape::WindowedCogroup,
            Shape::Table,
            Shape::GroupedTable,
        ];
        for shape in shapes {
            out += &format!("\n## On {shape}\n\n| operator | yields | |\n|---|---|---|\n");
            for row in OPERATORS.iter().filter(|row| row.on == shape) {
                let mut notes = String::new();
                if row.key == Key::Changes {
                    notes += " Changes the key.";
                }
                match row.partitioning {
                    Partitioning::ByKey | Partitioning::ByKeyOrNull => {
                        notes += " After a key change, through a repartition topic.";
                    }
                    Partitioning::Free | Partitioning::Topic => {}
                }
                match row.nulls {
                    Nulls::Keeps => {}
                    Nulls::DropsKeys => notes += " Drops null keys.",
                    Nulls::DropsValues => notes += " Drops null values.",
                    Nulls::DropsKeysAndValues => notes += " Drops null keys and values.",
                }
                let signature = row.signature().replace('|', "\\|");
                out += &format!("| `{signature}` | {} | {}{notes} |\n", row.yields, row.doc);
            }
        }
        out += "\n## Named options of operators\n\nThey stand behind the other arguments, as in \
                `join(payments, joiner, within(\"5m\"), name = \"paid\")`.\n\n| option | of | |\n|---|---|---|\n";
        for (name, doc) in OPERATOR_OPTIONS {
            let of: Vec<String> = takers(name)
                .iter()
                .map(|taker| format!("`{taker}`"))
                .collect();
            out += &format!("| `{name}` | {} | {doc} |\n", of.join(", "));
        }
        for attribute in ["topology", "source", "sink", "store"] {
            out += &format!("\n## `#[{attribute}(…)]`\n\n| option | |\n|---|---|\n");
            for row in ATTRIBUTE_OPTIONS
                .iter()
                .filter(|row| row.attribute == attribute)
            {
                let later = if row.status == Status::Built {
                    ""
                } else {
                    "*later.* "
                };
                out += &format!("| `{}` | {later}{} |\n", row.name, row.doc);
            }
        }
        out
    }

    /// With `KSTREAMS_BLESS=1` it writes the page.
    #[test]
    fn the_page_of_operators_is_up_to_date() {
        // The facade's generator draws from this table too; the page is ours.
        if env!("CARGO_PKG_NAME") != "streams-macros" {
            return;
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operators.md");
        if std::env::var_os("KSTREAMS_BLESS").is_some() {
            std::fs::write(path, page()).expect("docs/operators.md can be written");
        }
        let text = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            text == page(),
            "docs/operators.md is out of date: run this test with KSTREAMS_BLESS=1"
        );
    }
}
