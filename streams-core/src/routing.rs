//! Layer 1. Topics that a sink's closure chooses for each record.

use std::fmt::Debug;

/// A topic out of those that a sink declares by an enum: `#[sink(topic = |key, value| …, topics(enum Route { … }))]`.
///
/// `#[topology]` writes the enum, with `Debug`, `Clone`, `Copy`, `PartialEq`, `Eq` and `Hash`, and implements this for it. Attributes
/// (documentation, `#[derive(…)]` of something else) and a visibility may stand before it, as before any enum. The sink's closure
/// returns it, so a topic that is not declared cannot be named.
///
/// ```
/// # // The facade's `#[topology]` is not known here; `docs/processors.md` shows it.
/// use streams_core::routing::Topic;
///
/// fn names<T: Topic>() -> Vec<&'static str> {
///     T::ALL.iter().map(|topic| topic.name()).collect()
/// }
/// ```
pub trait Topic: Copy + Debug + Send + Sync + 'static {
    /// All topics of the set, in the order in which they are declared.
    const ALL: &'static [Self];

    /// The topic's name.
    fn name(self) -> &'static str;

    /// Its place in [`ALL`](Self::ALL).
    fn index(self) -> usize;
}
