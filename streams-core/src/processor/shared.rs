//! Stores that processors share: the topology's store fields, and tables' and global stores, which they only read.

use super::{
    KeyValueStore, ProcessorStore, ReadOnlyKeyValueStore, ReadOnlySessionStore,
    ReadOnlyVersionedStore, ReadOnlyWindowStore, SessionStore, TimestampedKeyValueStore,
    VersionedStore, WindowStore,
};
use crate::global_table::GlobalTable;
use crate::obligations::{Message, refuse};
use crate::table::TableStore;

/// A processor's shared store number `N`, in the order of its fields. `#[processor]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` keeps no global store: it has no field with `#[store(shared)]` [KS0270]",
    label = "it is to keep a global store",
    note = "give it one, of the type that the topology's field has: `#[store(shared)] names: KeyValueStore<K, V>`"
)]
pub trait SharesStore<const N: usize> {
    /// The field's type.
    type Store;
    /// Sets the field.
    fn share(&mut self, store: Self::Store);
}

/// A processor's field against the store that its node gives it.
#[diagnostic::on_unimplemented(
    message = "`{Node}` gives its processor the store `{Given}`, which its field of type `{Self}` cannot be [KS0253]",
    label = "the processor's field is `{Self}`, the topology's store `{Given}`",
    note = "key and value types have to be the same; tables and global stores are only read: the processor declares such a one \
            `#[store] name: ReadOnlyKeyValueStore<K, V>`"
)]
pub trait SharedAs<Given, Node>: Sized {
    /// The same store, as the field has it.
    fn of(given: Given) -> Self;
}

macro_rules! shared {
    ($($store:ident as $field:ident;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<K, V, Node> SharedAs<$store<K, V>, Node> for $field<K, V> {
            fn of(given: $store<K, V>) -> Self {
                $field::placed(given.at)
            }
        }
    )*};
}
shared! {
    KeyValueStore as KeyValueStore;
    TimestampedKeyValueStore as TimestampedKeyValueStore;
    KeyValueStore as ReadOnlyKeyValueStore;
    TimestampedKeyValueStore as ReadOnlyKeyValueStore;
    ReadOnlyKeyValueStore as ReadOnlyKeyValueStore;
    WindowStore as WindowStore;
    WindowStore as ReadOnlyWindowStore;
    SessionStore as SessionStore;
    SessionStore as ReadOnlySessionStore;
    VersionedStore as VersionedStore;
    VersionedStore as ReadOnlyVersionedStore;
}

macro_rules! shared_globally {
    ($($store:ident)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<K, V, Node> SharedAs<$store<K, V>, Node> for $store<K, V> {
            fn of(given: $store<K, V>) -> Self {
                given
            }
        }
    )*};
}
shared_globally!(ReadOnlyWindowStore ReadOnlySessionStore ReadOnlyVersionedStore);

#[diagnostic::do_not_recommend]
impl<K, V, Node> SharedAs<TableStore<K, V>, Node> for ReadOnlyKeyValueStore<K, V> {
    fn of(given: TableStore<K, V>) -> Self {
        ReadOnlyKeyValueStore::local(given.index())
    }
}

#[diagnostic::do_not_recommend]
impl<K, V, Node> SharedAs<GlobalTable<K, V>, Node> for ReadOnlyKeyValueStore<K, V> {
    fn of(given: GlobalTable<K, V>) -> Self {
        ReadOnlyKeyValueStore::global(given.index())
    }
}

/// The number of a processor's shared store by its field's name. Evaluated by the compiler; refuses what the processor has not.
#[must_use]
pub const fn shared_with(
    node: &str,
    processor: &str,
    shared: &[ProcessorStore],
    field: &str,
) -> usize {
    let mut at = 0;
    while at < shared.len() {
        if same(shared[at].field, field) {
            return at;
        }
        at += 1;
    }
    let message = Message::new()
        .text("`")
        .text(node)
        .text("` gives its processor the store `")
        .text(field)
        .text("`, but `")
        .text(processor)
        .text("` has no field of that name with `#[store(shared)]`; write `stores(field = ")
        .text(field)
        .text(")` where the names differ, or remove it [KS0252]");
    refuse(&message);
    usize::MAX
}

/// Refuses, at compile time, a processor that gets fewer stores than it shares.
pub const fn shared_stores_are_given(
    node: &str,
    processor: &str,
    shared: &[ProcessorStore],
    given: &[&str],
) {
    let mut at = 0;
    while at < shared.len() {
        let mut found = false;
        let mut one = 0;
        while one < given.len() {
            found = found || same(shared[at].field, given[one]);
            one += 1;
        }
        if !found {
            let field = shared[at].field;
            let message = Message::new()
                .text("`")
                .text(processor)
                .text("` shares a store `")
                .text(field)
                .text("`, and `")
                .text(node)
                .text("` does not say which: write `process(")
                .text(processor)
                .text("::new(...), stores(")
                .text(field)
                .text("))`, with a store field, a table or a global table of that name [KS0251]");
            refuse(&message);
        }
        at += 1;
    }
}

/// Whether two texts are the same, for const contexts.
pub(super) const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}
