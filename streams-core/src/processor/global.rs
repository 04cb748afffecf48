//! Processors that keep global stores: they get all records of a topic, in every instance, and put them into the store as they see fit.

use super::{
    NoOutput, Processor, ProcessorDefinition, ProcessorSlot, SharedAs, SharesStore, process,
};
use crate::context::TaskContext;
use crate::error::TaskResult;
use crate::obligations::{Message, refuse};
use crate::record::RawRecord;
use crate::serde::Serde;
use crate::topology::TypeDescriptor;

/// What the processor of a global store forwards: nothing, as it belongs to no task and nothing stands behind it.
#[diagnostic::on_unimplemented(
    message = "the processor of a global store forwards nothing, and this one has outputs [KS0271]",
    label = "its processor forwards `{Self}`",
    note = "remove `out` from its `#[processor(…)]`: it only puts records into its store; what else the topic's records are for is \
            done by a node that reads the store"
)]
pub trait ForwardsNothing {}

#[diagnostic::do_not_recommend]
impl ForwardsNothing for NoOutput {}

/// Gives a processor the global store that it keeps.
pub fn keep<P, S, Node>(processor: &mut P, store: S)
where
    P: SharesStore<0>,
    P::Store: SharedAs<S, Node>,
{
    processor.share(SharedAs::of(store));
}

/// Hands a record of a global store's topic to the processor that keeps the store.
///
/// # Errors
/// When the record cannot be read, or the processor fails, and the handler says to fail.
#[inline]
pub fn process_global<T, P, K, V>(
    task: &mut T,
    slot: fn(&mut T) -> &mut ProcessorSlot<P>,
    raw: RawRecord<'_>,
    cx: &mut TaskContext,
) -> TaskResult
where
    P: Processor<K, V>,
    P::Out: ForwardsNothing,
    K: Serde,
    V: Serde,
{
    let Some(record) = cx.decode::<K, V>(raw)? else {
        return Ok(());
    };
    process(task, slot, record, cx, |_, _, _| Ok(()))
}

/// The keys that a processor takes.
#[must_use]
pub const fn keys_taken<P: Processor<K, V>, K: Serde, V: Serde>() -> TypeDescriptor {
    TypeDescriptor::of::<K>("_")
}

/// The values that a processor takes.
#[must_use]
pub const fn values_taken<P: Processor<K, V>, K: Serde, V: Serde>() -> TypeDescriptor {
    TypeDescriptor::of::<V>("_")
}

/// Refuses, at compile time, a processor of a global store that keeps anything else.
pub const fn keeps_one_store<P: ProcessorDefinition>(node: &str) {
    let text = if !P::STORES.is_empty() {
        "` and a store of its own, but it belongs to no task, and what it keeps has no changelog: it keeps the global store alone. \
         Remove the other; a processor of a stream may have it [KS0270]"
    } else if P::SHARED.len() > 1 {
        "` and other stores: it belongs to no task and keeps the global store alone, in one field with `#[store(shared)]` [KS0270]"
    } else if P::PUNCTUATORS > 0 {
        "` and has punctuators, but it belongs to no task that could call them: remove them [KS0272]"
    } else {
        return;
    };
    let message = Message::new()
        .text("`")
        .text(P::NAME)
        .text("` keeps the global store `")
        .text(node)
        .text(text);
    refuse(&message);
}
