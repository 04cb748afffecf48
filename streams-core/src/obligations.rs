//! Layer 1. Relations between types that only rustc knows: one small trait each, whose message speaks of the user's nodes.
//!
//! Every trait is implemented for identity only, and generated code asks for it on a receiver whose types are already
//! known; so rustc never infers one side from the other, and prints the message instead of a mismatch deep inside.
//! `Node` and `Table` are marker types with the names of the user's fields.

/// A node's declared key type against its chain's.
#[diagnostic::on_unimplemented(
    message = "`{Node}` is declared with keys of type `{Self}`, but its chain yields keys of type `{Chain}` [KS0200]",
    label = "declared with keys of type `{Self}`; the chain's keys are `{Chain}`",
    note = "change the field's key type, or end the chain with `.select_key(…)`"
)]
pub trait DeclaredKey<Chain, Node> {
    /// The same value, now of the declared type.
    fn of(chain: Chain) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T, Node> DeclaredKey<T, Node> for T {
    #[inline(always)]
    fn of(chain: T) -> T {
        chain
    }
}

/// A node's declared value type against its chain's.
#[diagnostic::on_unimplemented(
    message = "`{Node}` is declared with values of type `{Self}`, but its chain yields `{Chain}` [KS0201]",
    label = "declared with values of type `{Self}`; the chain yields `{Chain}`",
    note = "change the field's value type, or end the chain with `.map_values(…)`"
)]
pub trait DeclaredValue<Chain, Node> {
    /// The same value, now of the declared type.
    fn of(chain: Chain) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T, Node> DeclaredValue<T, Node> for T {
    #[inline(always)]
    fn of(chain: T) -> T {
        chain
    }
}

/// A stream's key against the key of the table that it is joined with. A nullable key joins with nothing where it is null.
#[diagnostic::on_unimplemented(
    message = "in `{Node}`, the stream is keyed by `{Self}`, the table `{Table}` by `{TableKey}` [KS0203]",
    label = "the stream is keyed by `{Self}` here, `{Table}` by `{TableKey}`; a join needs the same key type on both sides",
    note = "re-key the stream first, `.select_key(|key, value| …)`, or join with a `GlobalKTable` by a mapped key"
)]
pub trait JoinKey<TableKey, Node, Table> {
    /// The key to look up.
    fn as_key(&self) -> Option<&TableKey>;
}

#[diagnostic::do_not_recommend]
impl<T, Node, Table> JoinKey<T, Node, Table> for T {
    #[inline(always)]
    fn as_key(&self) -> Option<&T> {
        Some(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T, Node, Table> JoinKey<T, Node, Table> for Option<T> {
    #[inline(always)]
    fn as_key(&self) -> Option<&T> {
        self.as_ref()
    }
}

/// The keys of two tables that are joined.
#[diagnostic::on_unimplemented(
    message = "in `{Node}`, this table and `{Other}` are keyed by `{Self}` and `{OtherKey}` [KS0203]",
    label = "one side is keyed by `{Self}`, the other by `{OtherKey}`; a join of tables needs the same key type on both sides",
    note = "re-key one of them: `.to_stream().select_key(…).to_table()` in a field of its own"
)]
pub trait TablesKey<OtherKey, Node, Other> {
    /// The other table's key as one of this table.
    fn of(other: OtherKey) -> Self;
    /// The key to look up in the other table.
    fn as_other(&self) -> &OtherKey;
}

#[diagnostic::do_not_recommend]
impl<T, Node, Other> TablesKey<T, Node, Other> for T {
    #[inline(always)]
    fn of(other: T) -> T {
        other
    }
    #[inline(always)]
    fn as_other(&self) -> &T {
        self
    }
}

/// The keys of two streams that are joined.
#[diagnostic::on_unimplemented(
    message = "in `{Node}`, this stream is keyed by `{Key}`, `{Other}` by `{Self}` [KS0203]",
    label = "keyed by `{Key}` here, `{Other}` by `{Self}`; a join needs the same key type on both sides",
    note = "re-key one of them: `.select_key(|key, value| …)`"
)]
pub trait JoinedKey<Key, Node, Other> {
    /// The same key, now of the stream's type.
    fn joined(self) -> Key;
}

#[diagnostic::do_not_recommend]
impl<T, Node, Other> JoinedKey<T, Node, Other> for T {
    #[inline(always)]
    fn joined(self) -> T {
        self
    }
}

/// What the mapper of a join with a global table returns, against that table's key.
#[diagnostic::on_unimplemented(
    message = "in `{Node}`, the key mapper yields `{Self}`, but the global table `{Table}` is keyed by `{TableKey}` [KS0204]",
    label = "this join maps records to keys of type `{Self}`; `{Table}` is keyed by `{TableKey}`",
    note = "return `{TableKey}`, or `Option<{TableKey}>` where a record may have no counterpart"
)]
pub trait GlobalKey<TableKey, Node, Table> {
    /// The key to look up.
    fn into_key(self) -> Option<TableKey>;
}

#[diagnostic::do_not_recommend]
impl<T, Node, Table> GlobalKey<T, Node, Table> for T {
    #[inline(always)]
    fn into_key(self) -> Option<T> {
        Some(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T, Node, Table> GlobalKey<T, Node, Table> for Option<T> {
    #[inline(always)]
    fn into_key(self) -> Option<T> {
        self
    }
}

/// What the key mapper of a `try_…` join with a global table, or the extractor of one by a foreign key, returns.
#[diagnostic::on_unimplemented(
    message = "in `{Node}`, the key of this join is a `{Self}`, but `{Table}` is keyed by `{TableKey}` [KS0204]",
    label = "this join maps records to keys of type `{Self}`; `{Table}` is keyed by `{TableKey}`",
    note = "return `{TableKey}`, or `Option<{TableKey}>` where a record may have no counterpart, or a `Result` of one of them"
)]
pub trait TriedKey<TableKey, Node, Table> {
    /// The key to look up.
    ///
    /// # Errors
    /// Why there is none.
    fn try_into_key(self) -> Result<Option<TableKey>, Box<dyn std::error::Error + Send + Sync>>;
}

#[diagnostic::do_not_recommend]
impl<T, Node, Table> TriedKey<T, Node, Table> for T {
    #[inline(always)]
    fn try_into_key(self) -> Result<Option<T>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Some(self))
    }
}

#[diagnostic::do_not_recommend]
impl<T, Node, Table> TriedKey<T, Node, Table> for Option<T> {
    #[inline(always)]
    fn try_into_key(self) -> Result<Option<T>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T, E, Node, Table> TriedKey<T, Node, Table> for Result<T, E>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    #[inline(always)]
    fn try_into_key(self) -> Result<Option<T>, Box<dyn std::error::Error + Send + Sync>> {
        self.map(Some).map_err(Into::into)
    }
}

#[diagnostic::do_not_recommend]
impl<T, E, Node, Table> TriedKey<T, Node, Table> for Result<Option<T>, E>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    #[inline(always)]
    fn try_into_key(self) -> Result<Option<T>, Box<dyn std::error::Error + Send + Sync>> {
        self.map_err(Into::into)
    }
}

/// What the extractor of a foreign-key join returns, against the right table's key.
#[diagnostic::on_unimplemented(
    message = "in `{Node}`, the foreign key is a `{Self}`, but `{Table}` is keyed by `{TableKey}` [KS0208]",
    label = "this extractor yields `{Self}`; `{Table}` is keyed by `{TableKey}`",
    note = "return `{TableKey}`, or `Option<{TableKey}>` where a row may have no foreign key"
)]
pub trait ForeignKey<TableKey, Node, Table> {
    /// The key to look up; `None` is no foreign key.
    fn into_key(self) -> Option<TableKey>;
}

#[diagnostic::do_not_recommend]
impl<T, Node, Table> ForeignKey<T, Node, Table> for T {
    #[inline(always)]
    fn into_key(self) -> Option<T> {
        Some(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T, Node, Table> ForeignKey<T, Node, Table> for Option<T> {
    #[inline(always)]
    fn into_key(self) -> Option<T> {
        self
    }
}

/// A key type that tells records apart. `()` does not, and where a key is needed it asks for this trait, which nothing has; `V`
/// only puts the question off until a record is at hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is the type of records without a key, and this node groups, joins or repartitions by the key [KS0115]",
    label = "the records have no key here",
    note = "give them one first: `.select_key(|_, value| …)`, or `.group_by(|_, value| …)` by a part of the value"
)]
pub trait TellsApart<V> {}

/// What the closure of a `try_…` operator returns: a `Result`, whose error a handler is asked about.
#[diagnostic::on_unimplemented(
    message = "the closure of a `try_…` operator has to return a `Result`, not `{Self}` [KS0212]",
    label = "returns `{Self}`; a `Result` whose error is a `std::error::Error` or a text is needed",
    note = "where it cannot fail, use the operator without `try_`"
)]
pub trait Fallible {
    /// What it returns where it did not fail.
    type Value;
    /// Why it failed.
    type Error: Into<Box<dyn std::error::Error + Send + Sync>>;
    /// As the standard library has it.
    ///
    /// # Errors
    /// Why it failed.
    fn result(self) -> Result<Self::Value, Self::Error>;
}

#[diagnostic::do_not_recommend]
impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Fallible for Result<T, E> {
    type Value = T;
    type Error = E;
    #[inline(always)]
    fn result(self) -> Result<T, E> {
        self
    }
}

/// What the closure of a table's `try_group_by` makes where it does not fail: the key of the group, and the row there.
#[diagnostic::on_unimplemented(
    message = "the closure of a table's `try_group_by` has to return `Result<(K2, V2), E>`, the key of a group and the row in it, not a `Result` of `{Self}` [KS0212]",
    label = "returns a `Result` of `{Self}`; one of two values is needed, `Ok((key, row))`"
)]
pub trait GroupedRow {
    /// The group's key.
    type Key;
    /// What is aggregated.
    type Row;
    /// Both.
    fn pair(self) -> (Self::Key, Self::Row);
}

#[diagnostic::do_not_recommend]
impl<K, V> GroupedRow for (K, V) {
    type Key = K;
    type Row = V;
    #[inline(always)]
    fn pair(self) -> (K, V) {
        self
    }
}

/// What a function of a `try_…` aggregation returns: a `Result` of the aggregate, whose error a handler is asked about.
#[diagnostic::on_unimplemented(
    message = "the functions of a `try_…` aggregation have to return `Result<{Aggregate}, E>`, a `Result` of its aggregate, not `{Self}` [KS0280]",
    label = "a function of this one returns `{Self}`; `Result<{Aggregate}, E>` is needed, where `E` is a `std::error::Error` or a text",
    note = "where none of them can fail, use the operator without `try_`"
)]
pub trait AggregateOf<Aggregate> {
    /// Why it failed.
    type Error: Into<Box<dyn std::error::Error + Send + Sync>>;
    /// As the standard library has it.
    ///
    /// # Errors
    /// Why it failed.
    fn result(self) -> Result<Aggregate, Self::Error>;
}

#[diagnostic::do_not_recommend]
impl<A, E: Into<Box<dyn std::error::Error + Send + Sync>>> AggregateOf<A> for Result<A, E> {
    type Error = E;
    #[inline(always)]
    fn result(self) -> Result<A, E> {
        self
    }
}

/// What the closure of `#[sink(topic = |key, value| …)]` returns: a topic's name.
#[diagnostic::on_unimplemented(
    message = "the closure of a sink's `topic` has to return a topic's name, not `{Self}` [KS0206]",
    label = "returns `{Self}`; a `&str` or `String` is needed"
)]
pub trait TopicName {
    /// The topic's name.
    fn topic_name(&self) -> &str;
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str>> TopicName for T {
    #[inline(always)]
    fn topic_name(&self) -> &str {
        self.as_ref()
    }
}

/// What the closure of a sink returns that declares its topics by an enum: one of them.
#[diagnostic::on_unimplemented(
    message = "the closure of this sink's `topic` has to return one of the topics that the sink declares, a `{Set}`, not `{Self}` [KS0206]",
    label = "returns `{Self}`; a `{Set}` is needed",
    note = "names as strings are for `topics(\"…\", \"…\")`, or for a sink that declares no topics"
)]
pub trait TopicOf<Set> {
    /// The same topic.
    fn topic(self) -> Set;
}

#[diagnostic::do_not_recommend]
impl<T> TopicOf<T> for T {
    #[inline(always)]
    fn topic(self) -> T {
        self
    }
}

/// The keys of a cogroup's inputs.
#[diagnostic::on_unimplemented(
    message = "in `{Node}`, the streams of a cogroup need the same keys: the aggregate is keyed by `{Self}`, `{Other}` by `{Chain}` [KS0203]",
    label = "`{Other}` is keyed by `{Chain}`, the aggregate by `{Self}`",
    note = "re-key it first, in a field of its own: `.select_key(…)`; the repartition topic comes by itself"
)]
pub trait CogroupedKey<Chain, Node, Other> {
    /// The same value, now of the aggregate's type.
    fn of(chain: Chain) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T, Node, Other> CogroupedKey<T, Node, Other> for T {
    #[inline(always)]
    fn of(chain: T) -> T {
        chain
    }
}

/// The keys of two merged streams.
#[diagnostic::on_unimplemented(
    message = "`merge` needs two streams of the same keys: in `{Node}`, this one is keyed by `{Chain}`, `{Other}` by `{Self}` [KS0202]",
    label = "keyed by `{Chain}` here, `{Other}` by `{Self}`",
    note = "re-key one of them first: `.select_key(…)`"
)]
pub trait MergedKey<Chain, Node, Other> {
    /// The same value, now of the other stream's type.
    fn of(chain: Chain) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T, Node, Other> MergedKey<T, Node, Other> for T {
    #[inline(always)]
    fn of(chain: T) -> T {
        chain
    }
}

/// The values of two merged streams.
#[diagnostic::on_unimplemented(
    message = "`merge` needs two streams of the same values: in `{Node}`, this one carries `{Chain}`, `{Other}` carries `{Self}` [KS0202]",
    label = "carries `{Chain}` here, `{Other}` carries `{Self}`",
    note = "bring both to one type first: `.map_values(…)`"
)]
pub trait MergedValue<Chain, Node, Other> {
    /// The same value, now of the other stream's type.
    fn of(chain: Chain) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T, Node, Other> MergedValue<T, Node, Other> for T {
    #[inline(always)]
    fn of(chain: T) -> T {
        chain
    }
}

/// Refuses, at compile time, two inputs of one operator whose declared partition counts differ. The macro asks for it where it
/// cannot see a count itself, because it is a const. `mend` and `rest` stand around the count that one side may be given.
pub const fn copartitioned(
    node: &str,
    operator: &str,
    first: &str,
    first_count: u32,
    second: &str,
    second_count: u32,
    (mend, rest): (&str, &str),
) {
    let message = Message::new()
        .text("in `")
        .text(node)
        .text("`, `")
        .text(operator)
        .text("` needs equal partition counts: `")
        .text(first)
        .text("` has ")
        .number(first_count)
        .text(" partitions, `")
        .text(second)
        .text("` has ")
        .number(second_count)
        .text("; make them equal, ")
        .text(mend)
        .number(second_count)
        .text(rest)
        .text(" [KS0301]");
    assert!(first_count == second_count, "{}", message.as_str());
}

/// Stops the compiler with this text.
pub(crate) const fn refuse(message: &Message) {
    assert!(message.length == 0, "{}", message.as_str());
}

/// A const that says a time: a `Duration`, or whole milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Milliseconds<T>(pub T);

impl Milliseconds<i64> {
    /// The milliseconds.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl Milliseconds<std::time::Duration> {
    /// The milliseconds; the longest time there is where they are more.
    #[must_use]
    pub const fn get(self) -> i64 {
        let ms = self.0.as_millis();
        if ms > i64::MAX as u128 {
            i64::MAX
        } else {
            ms as i64
        }
    }
}

/// Refuses, at compile time, a negative time. The macro asks for it where it cannot see the time itself, because it is a const.
pub const fn not_negative(what: &str, node: &str, ms: i64, code: &str) {
    let message = Message::new()
        .text(what)
        .text(" of `")
        .text(node)
        .text("` is negative: a time is at least 0 [")
        .text(code)
        .text("]");
    assert!(ms >= 0, "{}", message.as_str());
}

/// Refuses, at compile time, a join of two streams whose times cannot be. The macro asks for it where it cannot see a time itself,
/// because it is a const.
pub const fn join_windows(node: &str, before: i64, after: i64, grace: i64) {
    let message = Message::new().text("in `").text(node).text(
        "`, `grace` is how long late records are waited for, so it cannot be negative [KS0441]",
    );
    assert!(grace >= 0, "{}", message.as_str());
    let message = Message::new()
        .text("in `")
        .text(node)
        .text("`, nothing can join: `before` and `after` together cannot be negative [KS0441]");
    assert!(before.saturating_add(after) >= 0, "{}", message.as_str());
}

/// Refuses, at compile time, a join of two streams whose stores keep no record: nothing ever joins.
pub const fn join_keeps(node: &str, before: i64, after: i64, grace: i64) {
    let message = Message::new().text("in `").text(node).text(
        "`, nothing can join: both sides keep their records for `before`, `after` and `grace` together, and that is no time at all; \
         give a longer time, or a `grace` [KS0441]",
    );
    let none = before.saturating_add(after) == 0 && grace == 0;
    assert!(!none, "{}", message.as_str());
}

/// Text put together at compile time; what does not fit is left out.
pub(crate) struct Message {
    bytes: [u8; 512],
    length: usize,
}

impl Message {
    pub(crate) const fn new() -> Self {
        Message {
            bytes: [0; 512],
            length: 0,
        }
    }

    pub(crate) const fn text(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() && self.length < self.bytes.len() {
            self.bytes[self.length] = bytes[i];
            self.length += 1;
            i += 1;
        }
        self
    }

    const fn number(self, n: u32) -> Self {
        let digits = if n >= 10 { self.number(n / 10) } else { self };
        let digit = [b'0' + (n % 10) as u8];
        match std::str::from_utf8(&digit) {
            Ok(digit) => digits.text(digit),
            Err(_) => digits,
        }
    }

    pub(crate) const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.length).0) {
            Ok(text) => text,
            Err(_) => "partition counts differ [KS0301]",
        }
    }
}
