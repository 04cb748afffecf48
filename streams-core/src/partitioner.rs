//! Layer 1. Which partition a record belongs to: Kafka's own rule, so that topics can be shared with any Kafka client, or a
//! partitioner of the user's.

use std::collections::BTreeSet;

/// Kafka's murmur2 (`org.apache.kafka.common.utils.Utils.murmur2`), as the signed number that Java has.
///
/// ```
/// use streams_core::partitioner::murmur2;
///
/// assert_eq!(murmur2(b"abc"), 479_470_107);
/// ```
#[must_use]
pub const fn murmur2(data: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    // Java computes with the array's length as a 32-bit int; Kafka's records are never longer.
    #[expect(clippy::cast_possible_truncation, reason = "as in Java")]
    let mut h = SEED ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    let mut i = 0;
    while i < words.len() {
        let mut k = u32::from_le_bytes(words[i]).wrapping_mul(M);
        k ^= k >> R;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
        i += 1;
    }
    let mut shift = 0;
    let mut tail = 0;
    let mut i = 0;
    while i < rest.len() {
        tail |= (rest[i] as u32) << shift;
        shift += 8;
        i += 1;
    }
    if !rest.is_empty() {
        h = (h ^ tail).wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    (h ^ (h >> 15)).cast_signed()
}

/// The partition of a record with these key bytes, out of `partitions`: `(murmur2(key) & 0x7fffffff) % partitions`.
/// Without partitions there is only partition 0.
///
/// ```
/// use streams_core::partitioner::partition_for_key;
///
/// assert_eq!(partition_for_key(b"abc", 12), 3);
/// ```
#[must_use]
pub const fn partition_for_key(key: &[u8], partitions: u32) -> i32 {
    match (murmur2(key) & i32::MAX)
        .cast_unsigned()
        .checked_rem(partitions)
    {
        Some(partition) => partition.cast_signed(),
        None => 0,
    }
}

/// Where a partitioner puts a record.
///
/// Partitioners return anything that is [`IntoPartitions`]: a number, an `Option` of it, or several numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Partitions {
    /// Where Kafka's own partitioner puts it.
    Default,
    /// Nowhere: it is dropped, and counted (`dropped-records`).
    Nowhere,
    /// Into this partition.
    One(i32),
    /// Into each of these, in this order.
    Several(Vec<i32>),
}

impl Partitions {
    /// Into each of these, the lowest first, once each; nowhere if there are none.
    pub fn several(partitions: impl IntoIterator<Item = i32>) -> Self {
        let mut all: Vec<i32> = partitions.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        if all.is_empty() {
            return Partitions::Nowhere;
        }
        Partitions::Several(all)
    }
}

/// What a partitioner returns: the partition's number, `None` for Kafka's own rule, several numbers, an empty list to drop the
/// record, or [`Partitions`].
#[diagnostic::on_unimplemented(
    message = "a partitioner has to return partitions, not `{Self}` [KS0273]",
    label = "returns `{Self}`; an `i32`, an `Option<i32>`, a list of `i32`, or `Partitions` is needed"
)]
pub trait IntoPartitions {
    /// Where the record goes.
    fn into_partitions(self) -> Partitions;
}

#[diagnostic::do_not_recommend]
impl IntoPartitions for Partitions {
    #[inline(always)]
    fn into_partitions(self) -> Partitions {
        self
    }
}

#[diagnostic::do_not_recommend]
impl IntoPartitions for i32 {
    #[inline(always)]
    fn into_partitions(self) -> Partitions {
        Partitions::One(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoPartitions for u32 {
    #[inline(always)]
    fn into_partitions(self) -> Partitions {
        Partitions::One(i32::try_from(self).unwrap_or(i32::MAX))
    }
}

#[diagnostic::do_not_recommend]
impl<T: IntoPartitions> IntoPartitions for Option<T> {
    #[inline(always)]
    fn into_partitions(self) -> Partitions {
        self.map_or(Partitions::Default, T::into_partitions)
    }
}

#[diagnostic::do_not_recommend]
impl<const N: usize> IntoPartitions for [i32; N] {
    fn into_partitions(self) -> Partitions {
        Partitions::several(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoPartitions for Vec<i32> {
    fn into_partitions(self) -> Partitions {
        Partitions::several(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoPartitions for BTreeSet<i32> {
    fn into_partitions(self) -> Partitions {
        Partitions::several(self)
    }
}

/// Kafka Streams' `StreamPartitioner`: chooses the partitions of a record. `#[sink(partitioner = P)]` and
/// `repartition(partitioner = P)` take a value of such a type, a function, or a closure
/// `|topic, key, value, num_partitions| …`. It has to be a pure function.
///
/// ```
/// use streams_core::partitioner::{IntoPartitions, Partitions, StreamPartitioner};
///
/// /// Even numbers into the first partition, all others where Kafka puts them.
/// struct EvenFirst;
///
/// impl StreamPartitioner<String, u64> for EvenFirst {
///     fn partitions(&self, _: &str, _: &String, value: &u64, _: u32) -> Partitions {
///         (value % 2 == 0).then_some(0).into_partitions()
///     }
/// }
///
/// let key = "a".to_owned();
/// assert_eq!(EvenFirst.partitions("orders", &key, &4, 6), Partitions::One(0));
/// assert_eq!(EvenFirst.partitions("orders", &key, &5, 6), Partitions::Default);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no partitioner of records with keys of type `{K}` and values of type `{V}` [KS0274]",
    label = "the records here have keys of type `{K}` and values of type `{V}`",
    note = "write `impl StreamPartitioner<{K}, {V}>` for it, a function `fn(&str, &{K}, &{V}, u32) -> Option<i32>`, or a closure \
            `|topic, key, value, num_partitions| …`"
)]
pub trait StreamPartitioner<K, V> {
    /// Where a record goes: `topic` is the topic's full name, which has `num_partitions` partitions, from 0 on.
    fn partitions(&self, topic: &str, key: &K, value: &V, num_partitions: u32) -> Partitions;
}

#[diagnostic::do_not_recommend]
impl<K, V, R, F> StreamPartitioner<K, V> for F
where
    F: Fn(&str, &K, &V, u32) -> R,
    R: IntoPartitions,
{
    #[inline(always)]
    fn partitions(&self, topic: &str, key: &K, value: &V, num_partitions: u32) -> Partitions {
        self(topic, key, value, num_partitions).into_partitions()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_partitioner_returns_says_where_the_record_goes() {
        assert_eq!(3.into_partitions(), Partitions::One(3));
        assert_eq!((-1).into_partitions(), Partitions::One(-1));
        assert_eq!(u32::MAX.into_partitions(), Partitions::One(i32::MAX));
        assert_eq!(None::<i32>.into_partitions(), Partitions::Default);
        assert_eq!(Some(2).into_partitions(), Partitions::One(2));
        let sorted = Partitions::Several(vec![0, 2]);
        assert_eq!([2, 0, 2].into_partitions(), sorted);
        assert_eq!(Some(vec![0, 2]).into_partitions(), sorted);
        assert_eq!(BTreeSet::from([2, 0]).into_partitions(), sorted);
        assert_eq!(Vec::new().into_partitions(), Partitions::Nowhere);
        assert_eq!(Some([0; 0]).into_partitions(), Partitions::Nowhere);
    }
}
