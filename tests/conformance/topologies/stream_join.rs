//! `join-ss-*` and `long-ss-left`: two streams joined within a time difference.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("join-ss-inner", Inner).names(INNER),
        entry!("join-ss-inner-before-after", InnerBeforeAfter).names(INNER),
        entry!("join-ss-left", Left).names(LEFT),
        entry!("join-ss-left-no-grace-after", LeftAfter).names(LEFT),
        entry!("join-ss-null-keys-left", LeftNullKeys).names(LEFT),
        entry!("join-ss-outer", Outer).names(OUTER),
        entry!("join-ss-outer-headers", OuterHeaders).names(OUTER),
        entry!("join-ss-outer-interval", OuterNoGrace).names(OUTER),
        entry!("join-ss-outer-matched-then-late", OuterNoGrace).names(OUTER),
        entry!("join-ss-repartitioned", Repartitioned).names(&[
            ("st-this-join-store", "jn-this-join-store"),
            ("st-other-join-store", "jn-other-join-store"),
        ]),
        entry!("join-ss-self", Itself).names(&[
            (
                "KSTREAM-JOINTHIS-0000000003-store",
                "joined-this-join-store",
            ),
            (
                "KSTREAM-JOINOTHER-0000000004-store",
                "joined-other-join-store",
            ),
        ]),
        entry!("join-ss-self-optimized", ItselfOverOneStore).names(&[(
            "KSTREAM-JOINTHIS-0000000003-store",
            "joined-this-join-store",
        )]),
        entry!("join-ss-types-in-memory", TypesInMemory),
        entry!("long-ss-left", LongLeft).names(LEFT),
    ]
}

const INNER: &[(&str, &str)] = &[
    (
        "KSTREAM-JOINTHIS-0000000004-store",
        "joined-this-join-store",
    ),
    (
        "KSTREAM-JOINOTHER-0000000005-store",
        "joined-other-join-store",
    ),
];
const LEFT: &[(&str, &str)] = &[
    (
        "KSTREAM-JOINTHIS-0000000004-store",
        "joined-this-join-store",
    ),
    (
        "KSTREAM-OUTEROTHER-0000000005-store",
        "joined-outer-other-join-store",
    ),
    (
        "KSTREAM-OUTERSHARED-0000000004-store",
        "joined-left-shared-join-store",
    ),
];
const OUTER: &[(&str, &str)] = &[
    (
        "KSTREAM-OUTERTHIS-0000000004-store",
        "joined-outer-this-join-store",
    ),
    (
        "KSTREAM-OUTEROTHER-0000000005-store",
        "joined-outer-other-join-store",
    ),
    (
        "KSTREAM-OUTERSHARED-0000000004-store",
        "joined-outer-shared-join-store",
    ),
];

fn or_null(value: Option<&String>) -> &str {
    value.map_or("null", String::as_str)
}

fn first(value: Option<&str>) -> Option<String> {
    value.and_then(|v| v.chars().next()).map(String::from)
}

#[topology(application_id = "vec")]
struct Inner {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.join(right, |l, r| format!("{l}+{r}"), within("10ms")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct InnerBeforeAfter {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.join(right, |l, r| format!("{l}+{r}"), within("0ms"), before("4ms"), after("8ms")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct Left {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.left_join(right, |l, r| format!("{l}+{}", or_null(r)), within("10ms"), grace("5ms")))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct LeftAfter {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.left_join(right, |l, r| format!("{l}+{}", or_null(r)), within("0ms").after("20ms")))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct LeftNullKeys {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.left_join_with_key(
        right,
        |k, l, r| format!("{}:{l}+{}", or_null(k.as_ref()), or_null(r)),
        within("10ms"),
    ))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct Outer {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.outer_join(right, |l, r| format!("{}+{}", or_null(l), or_null(r)), within("10ms"), grace("5ms")))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct OuterHeaders {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.outer_join(right, |l, r| format!("{}+{}", or_null(l), or_null(r)), within("5ms").grace("5ms")))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct OuterNoGrace {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.outer_join(right, |l, r| format!("{}+{}", or_null(l), or_null(r)), within("10ms")))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct Repartitioned {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(right.map(|_, v| (first(v.as_deref()), v)))]
    rekeyed: KStream<Option<String>, Option<String>>,
    #[from(left
        .select_key(|_, v| first(v.as_deref()))
        .join(rekeyed, |l, r| format!("{l}+{r}"), within("10ms"), name = "jn"))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct Itself {
    #[source(topic = "in", partitions = 1)]
    records: KStream<Option<String>, Option<String>>,
    #[from(records.join(records, |l, r| format!("{l}+{r}"), within("10ms"), grace("10ms")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

#[topology(application_id = "vec", optimization = "single.store.self.join")]
struct ItselfOverOneStore {
    #[source(topic = "in", partitions = 1)]
    records: KStream<Option<String>, Option<String>>,
    #[from(records.join(records, |l, r| format!("{l}+{r}"), within("10ms"), grace("10ms")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct TypesInMemory {
    #[source(topic = "left", partitions = 1)]
    left: KStream<i32, i64>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<i32, String>,
    #[from(left.join_with_key(
        right,
        |k, l, r| format!("{k}/{l}/{r}"),
        within("10ms"),
        grace("10ms"),
        left_store(name = "ls", kind = memory),
        right_store(name = "rs", kind = memory),
    ))]
    #[sink(topic = "out")]
    joined: KStream<i32, String>,
}

#[topology(application_id = "vec")]
struct LongLeft {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.left_join(
        right,
        |l, r| format!("{l}+{}", or_null(r)),
        within("0ms"),
        before("8ms"),
        after("8ms"),
        grace("10ms"),
    ))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}
