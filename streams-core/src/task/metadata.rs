//! Layer 5. The text beside a committed offset, in Kafka Streams' format (`TopicPartitionMetadata`): base64 of a version
//! byte, the partition time, and what processors keep there.

use crate::record::Timestamp;

/// The time of a partition, or of a task, that has seen no record.
pub(crate) const UNKNOWN: Timestamp = -1;

/// The version that Kafka Streams 4.3 writes.
const MAGIC: u8 = 2;
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text for a partition whose highest processed timestamp is `partition_time`.
pub(crate) fn encode(partition_time: Timestamp) -> String {
    let mut bytes = vec![MAGIC];
    bytes.extend_from_slice(&partition_time.to_be_bytes());
    base64(&bytes)
}

/// The partition time in a text; unknown where it was written by something else.
pub(crate) fn decode(text: &str) -> Timestamp {
    // Version 1 had the time alone; both begin alike.
    let time = from_base64(text).and_then(|bytes| match bytes.split_first() {
        Some((1 | 2, rest)) => rest
            .first_chunk::<8>()
            .map(|time| Timestamp::from_be_bytes(*time)),
        _ => None,
    });
    time.unwrap_or(UNKNOWN)
}

/// Base64 with padding (RFC 4648 §4). Thirty lines here spare a dependency.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        for (to, from) in group.iter_mut().skip(1).zip(chunk) {
            *to = *from;
        }
        let bits = u32::from_be_bytes(group);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            let c = DIGITS.get(index as usize).filter(|_| digit <= chunk.len());
            text.push(c.map_or('=', |c| char::from(*c)));
        }
    }
    text
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for chunk in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in chunk {
            bits = bits << 6 | u32::try_from(DIGITS.iter().position(|d| d == digit)?).ok()?;
        }
        bits <<= 6 * (4 - chunk.len());
        bytes.extend(bits.to_be_bytes().iter().skip(1).take(chunk.len() - 1));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::STANDARD;

    #[test]
    fn base64_is_the_usual_one() {
        for n in 0..40_u8 {
            let bytes: Vec<u8> = (0..n).map(|i| i.wrapping_mul(97).wrapping_add(n)).collect();
            assert_eq!(base64(&bytes), STANDARD.encode(&bytes));
            assert_eq!(from_base64(&base64(&bytes)).unwrap(), bytes);
        }
    }

    #[test]
    fn the_format_is_kafka_streams() {
        // Magic 2, time 1 700 000 000 000, no processor metadata.
        assert_eq!(encode(1_700_000_000_000), "AgAAAYvP5WgA");
        assert_eq!(decode("AgAAAYvP5WgA"), 1_700_000_000_000);
        assert_eq!(
            decode(&base64(&[1, 0, 0, 0, 0, 0, 0, 0, 9])),
            9,
            "version 1"
        );
        assert_eq!(
            decode(&(encode(7) + &base64(&[0, 0, 0]))),
            7,
            "with processor metadata"
        );
        for foreign in ["", "hello", "AgAA", "\u{fc}", "A"] {
            assert_eq!(decode(foreign), UNKNOWN);
        }
    }
}
