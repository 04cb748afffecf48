//! Layer 5. The text beside a committed offset, in Kafka Streams' format (`TopicPartitionMetadata`): base64 of a version
//! byte, the partition time, and what processors keep there.

use crate::record::Timestamp;

/// The time of a partition, or of a task, that has seen no record.
pub(crate) const UNKNOWN: Timestamp = -1;

/// The version that Kafka Streams 4.3 writes.
const MAGIC: u8 = 2;
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Among the operators' names: when all instances of the application were asked to shut down. No operator is called that.
const SHUTDOWN: &str = "__shutdown-application";

/// What brokers take unless they are told otherwise (`offset.metadata.max.bytes`).
const MAX_LENGTH: usize = 4096;

/// What a text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// The highest timestamp that was processed of the partition.
    pub(crate) partition_time: Timestamp,
    /// Operators' times by name (Kafka Streams' `ProcessorMetadata`).
    pub(crate) times: Vec<(String, Timestamp)>,
    /// When an instance asked all others to shut down.
    pub(crate) shutdown: Option<Timestamp>,
}

impl Default for Metadata {
    fn default() -> Self {
        Metadata {
            partition_time: UNKNOWN,
            times: Vec::new(),
            shutdown: None,
        }
    }
}

/// The text for a partition whose highest processed timestamp is `partition_time`, and a task with these operators' times. Of too
/// many operators the text says nothing; the state's checkpoint has their times too.
pub(crate) fn encode(partition_time: Timestamp, times: &[(&str, Timestamp)]) -> String {
    let mut bytes = vec![MAGIC];
    bytes.extend_from_slice(&partition_time.to_be_bytes());
    let without = bytes.len();
    if !times.is_empty() {
        length(&mut bytes, times.len());
        for (name, time) in times {
            length(&mut bytes, name.len());
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(&time.to_be_bytes());
        }
        if bytes.len().div_ceil(3) * 4 > MAX_LENGTH {
            bytes.truncate(without);
        }
    }
    base64(&bytes)
}

/// The same text, which also says since when all instances are to shut down. To Kafka Streams it is one name more.
pub(crate) fn asking_to_shut_down(text: &str, at: Timestamp) -> String {
    let before = decode(text);
    let mut times = vec![(SHUTDOWN, at)];
    times.extend(
        before
            .times
            .iter()
            .map(|(name, time)| (name.as_str(), *time)),
    );
    let asking = encode(before.partition_time, &times);
    if decode(&asking).shutdown.is_some() {
        return asking;
    }
    // All names together are too long.
    encode(before.partition_time, &[(SHUTDOWN, at)])
}

fn length(out: &mut Vec<u8>, n: usize) {
    // What is that long does not fit into a text and is left out.
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes());
}

/// What a text says; nothing where it was written by something else.
pub(crate) fn decode(text: &str) -> Metadata {
    // Version 1 had the time alone; both begin alike.
    let bytes = from_base64(text).unwrap_or_default();
    let Some((&(1 | MAGIC), rest)) = bytes.split_first() else {
        return Metadata::default();
    };
    let Some((time, mut rest)) = rest.split_first_chunk::<8>() else {
        return Metadata::default();
    };
    let mut times = operators(&mut rest).unwrap_or_default();
    let shutdown = times.iter().position(|(name, _)| name == SHUTDOWN);
    Metadata {
        partition_time: Timestamp::from_be_bytes(*time),
        shutdown: shutdown.map(|at| times.remove(at).1),
        times,
    }
}

fn operators(input: &mut &[u8]) -> Option<Vec<(String, Timestamp)>> {
    let mut times = Vec::new();
    for _ in 0..u32::from_be_bytes(take(input)?) {
        let length = u32::from_be_bytes(take(input)?) as usize;
        let (name, rest) = input.split_at_checked(length)?;
        *input = rest;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        times.push((name, Timestamp::from_be_bytes(take(input)?)));
    }
    Some(times)
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*head)
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
        assert_eq!(encode(1_700_000_000_000, &[]), "AgAAAYvP5WgA");
        assert_eq!(decode("AgAAAYvP5WgA").partition_time, 1_700_000_000_000);
        let version_1 = decode(&base64(&[1, 0, 0, 0, 0, 0, 0, 0, 9]));
        assert_eq!(version_1.partition_time, 9);
        for foreign in ["", "hello", "AgAA", "\u{fc}", "A"] {
            assert_eq!(decode(foreign), Metadata::default());
        }
    }

    #[test]
    fn operators_times_are_kafka_streams_processor_metadata() {
        let text = encode(7, &[("counts", 258), ("w", -1)]);
        let bytes = [
            &[2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 6][..],
            b"counts",
            &[0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 1],
            b"w",
            &[255; 8],
        ];
        assert_eq!(text, STANDARD.encode(bytes.concat()));
        let decoded = decode(&text);
        assert_eq!(decoded.partition_time, 7);
        let times = [("counts".to_owned(), 258), ("w".to_owned(), -1)];
        assert_eq!(decoded.times, times);
        let bytes = bytes.concat();
        for cut in 0..bytes.len() {
            let torn = decode(&base64(&bytes[..cut]));
            assert!(torn.times.is_empty(), "what is torn says nothing");
        }
    }

    #[test]
    fn a_request_to_shut_down_changes_nothing_else() {
        let asking = asking_to_shut_down(&encode(7, &[("counts", 258)]), 1_000);
        let decoded = decode(&asking);
        assert_eq!((decoded.partition_time, decoded.shutdown), (7, Some(1_000)));
        assert_eq!(decoded.times, [("counts".to_owned(), 258)]);
        let again = decode(&asking_to_shut_down(&asking, 2_000));
        assert_eq!((again.shutdown, again.times), (Some(2_000), decoded.times));
        let nothing = decode(&asking_to_shut_down("", 3));
        assert_eq!(
            (nothing.partition_time, nothing.shutdown),
            (UNKNOWN, Some(3))
        );
        // Where the operators' times leave no room, the request goes first.
        let name = "n".repeat(249);
        let full = encode(7, &vec![(name.as_str(), 1); 11]);
        assert_eq!(decode(&asking_to_shut_down(&full, 5)).shutdown, Some(5));
        assert_eq!(decode(&encode(7, &[("counts", 258)])).shutdown, None);
    }

    #[test]
    fn more_times_than_a_broker_takes_are_left_out() {
        let name = "n".repeat(249);
        let times = vec![(name.as_str(), 1); 11];
        assert!(encode(7, &times).len() <= MAX_LENGTH);
        assert_eq!(decode(&encode(7, &times)).times.len(), 11);
        let times = vec![(name.as_str(), 1); 12];
        assert_eq!(encode(7, &times), encode(7, &[]));
    }
}
