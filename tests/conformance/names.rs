//! Generated names of Kafka Streams (`KSTREAM-AGGREGATE-STATE-STORE-0000000001`) against ours, which are never numbered.
//! The tables themselves stand beside the topologies.

/// Pairs of a name in the vectors and ours. It also holds inside the names of topics.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Names(pub(crate) &'static [(&'static str, &'static str)]);

impl Names {
    /// Our name of a topic or store.
    pub(crate) fn ours(&self, theirs: &str) -> String {
        self.0
            .iter()
            .fold(theirs.to_owned(), |name, (theirs, ours)| {
                name.replace(theirs, ours)
            })
    }
}
