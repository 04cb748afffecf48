//! Layer 1. Which partition a key belongs to: Kafka's own rule, so that topics can be shared with any Kafka client.

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
