//! The bytes of the store of records without partner, those of `TimestampedKeyAndJoinSideSerializer`,
//! `LeftOrRightValueSerializer` and `ListSerializer` (4.3.1): in order of time, side and key, a list of values each.

use serde_json::json;

use super::windows::Side;
use crate::record::Timestamp;
use crate::serde::{Serde, SerdeError};

/// `ListSerializer` writes each entry with its length.
const VARIABLE_SIZE: u8 = 1;
const LEFT: u8 = 1;
const RIGHT: u8 = 0;

const fn flag(side: Side) -> u8 {
    match side {
        Side::Left => LEFT,
        Side::Right => RIGHT,
    }
}

/// `timestamp:8 side:1 key`.
pub(crate) fn write_key(out: &mut Vec<u8>, timestamp: Timestamp, side: Side, key: &[u8]) {
    out.clear();
    out.extend_from_slice(&timestamp.to_be_bytes());
    out.push(flag(side));
    out.extend_from_slice(key);
}

/// The parts of a key; `None` where the bytes are none.
pub(crate) fn read_key(bytes: &[u8]) -> Option<(Timestamp, Side, &[u8])> {
    let (timestamp, rest) = bytes.split_first_chunk::<8>()?;
    let (flag, key) = rest.split_first()?;
    let side = if *flag == RIGHT {
        Side::Right
    } else {
        Side::Left
    };
    Some((Timestamp::from_be_bytes(*timestamp), side, key))
}

/// Appends a value to a list, which may be empty (no bytes at all).
pub(crate) fn add_value(list: &mut Vec<u8>, side: Side, value: &[u8]) {
    let count = match list.split_first_chunk::<5>() {
        Some(([_, count @ ..], _)) => u32::from_be_bytes(*count),
        None => {
            list.clear();
            list.extend_from_slice(&[VARIABLE_SIZE, 0, 0, 0, 0]);
            0
        }
    };
    if let Some(bytes) = list.get_mut(1..5) {
        bytes.copy_from_slice(&count.saturating_add(1).to_be_bytes());
    }
    // A record's value has less than 2 GiB.
    let length = u32::try_from(value.len() + 1).unwrap_or(u32::MAX);
    list.extend_from_slice(&length.to_be_bytes());
    list.push(flag(side));
    list.extend_from_slice(value);
}

/// The values of a list; `None` as an item where the bytes are no list.
pub(crate) fn values(list: &[u8]) -> impl Iterator<Item = Option<(Side, &[u8])>> {
    let (count, mut rest) = match list.split_first_chunk::<5>() {
        Some(([VARIABLE_SIZE, count @ ..], rest)) => (u32::from_be_bytes(*count), rest),
        // One broken item, so that the reader notices.
        _ => (1, &[][..]),
    };
    let mut left = count;
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let value = split_value(&mut rest);
        if value.is_none() {
            left = 0;
        }
        Some(value)
    })
}

fn split_value<'b>(rest: &mut &'b [u8]) -> Option<(Side, &'b [u8])> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let (value, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *rest = tail;
    let (flag, value) = value.split_first()?;
    let side = if *flag == LEFT {
        Side::Left
    } else {
        Side::Right
    };
    Some((side, value))
}

/// A key of the store of records without partner, as `query` and `describe` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmatchedKey<K> {
    /// The record's key.
    pub key: K,
    /// The record's time.
    pub timestamp: Timestamp,
    /// The record's side.
    pub side: Side,
}

impl<K: Serde> Serde for UnmatchedKey<K> {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.push(flag(self.side));
        self.key.serialize(out)
    }

    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        let Some((timestamp, side, key)) = read_key(bytes) else {
            return Err(SerdeError::Length {
                type_name: "the key of a record without partner",
                expected: 9,
                actual: bytes.len(),
            });
        };
        let key = K::deserialize(key)?;
        Ok(UnmatchedKey {
            key,
            timestamp,
            side,
        })
    }

    fn to_json(&self) -> serde_json::Value {
        let side = match self.side {
            Side::Left => "left",
            Side::Right => "right",
        };
        json!({ "key": self.key.to_json(), "ts": self.timestamp, "side": side })
    }
}

/// The values of a key of the store of records without partner: records of one key, time and side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmatchedValues<V, OV>(pub Vec<Unmatched<V, OV>>);

/// The value of a record without partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmatched<V, OV> {
    /// Of the left stream.
    Left(V),
    /// Of the right stream.
    Right(OV),
}

impl<V: Serde, OV: Serde> Serde for UnmatchedValues<V, OV> {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let (mut list, mut bytes) = (Vec::new(), Vec::new());
        for value in &self.0 {
            bytes.clear();
            let side = match value {
                Unmatched::Left(value) => value.serialize(&mut bytes).map(|()| Side::Left),
                Unmatched::Right(value) => value.serialize(&mut bytes).map(|()| Side::Right),
            }?;
            add_value(&mut list, side, &bytes);
        }
        out.extend_from_slice(&list);
        Ok(())
    }

    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        let read = |value: Option<(Side, &[u8])>| match value {
            Some((Side::Left, value)) => V::deserialize(value).map(Unmatched::Left),
            Some((Side::Right, value)) => OV::deserialize(value).map(Unmatched::Right),
            None => Err(SerdeError::Invalid {
                type_name: "a list of records without partner",
                reason: "it is damaged".to_owned(),
            }),
        };
        values(bytes)
            .map(read)
            .collect::<Result<_, _>>()
            .map(UnmatchedValues)
    }

    fn to_json(&self) -> serde_json::Value {
        let shown = self.0.iter().map(|value| match value {
            Unmatched::Left(value) => json!({ "left": value.to_json() }),
            Unmatched::Right(value) => json!({ "right": value.to_json() }),
        });
        shown.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From the changelog of Kafka Streams' `join-ss-outer-interval`, step 9.
    #[test]
    fn the_bytes_are_kafka_streams_own() {
        let mut key = vec![7];
        write_key(&mut key, 100, Side::Right, b"f");
        assert_eq!(key, [0, 0, 0, 0, 0, 0, 0, 100, 0, b'f']);
        write_key(&mut key, 0, Side::Left, b"a");
        assert_eq!(key, [0, 0, 0, 0, 0, 0, 0, 0, 1, b'a']);

        let mut list = Vec::new();
        add_value(&mut list, Side::Right, b"R2");
        assert_eq!(list, [1, 0, 0, 0, 1, 0, 0, 0, 3, 0, b'R', b'2']);
        add_value(&mut list, Side::Right, b"R3");
        assert_eq!(
            list,
            [
                1, 0, 0, 0, 2, 0, 0, 0, 3, 0, b'R', b'2', 0, 0, 0, 3, 0, b'R', b'3'
            ]
        );
        let read: Vec<_> = values(&list).collect();
        let right = |value| Some((Side::Right, value));
        assert_eq!(read, [right(&b"R2"[..]), right(&b"R3"[..])]);
    }

    #[test]
    fn keys_and_values_are_shown_as_they_are() {
        let mut bytes = Vec::new();
        write_key(&mut bytes, 100, Side::Right, b"f");
        let key = UnmatchedKey::<String>::deserialize(&bytes).expect("a key");
        assert_eq!(
            key.to_json().to_string(),
            r#"{"key":"f","side":"right","ts":100}"#
        );
        let mut again = Vec::new();
        key.serialize(&mut again).expect("bytes");
        assert_eq!(again, bytes);

        let mut list = Vec::new();
        add_value(&mut list, Side::Left, &7_i64.to_be_bytes());
        add_value(&mut list, Side::Right, b"R");
        let values = UnmatchedValues::<i64, String>::deserialize(&list).expect("values");
        assert_eq!(
            values.to_json().to_string(),
            r#"[{"left":7},{"right":"R"}]"#
        );
        again.clear();
        values.serialize(&mut again).expect("bytes");
        assert_eq!(again, list);
        assert!(UnmatchedValues::<i64, String>::deserialize(&list[..9]).is_err());
    }

    #[test]
    fn keys_are_in_order_of_time_then_right_before_left_then_key() {
        let key = |timestamp, side, key: &[u8]| {
            let mut out = Vec::new();
            write_key(&mut out, timestamp, side, key);
            out
        };
        let ordered = [
            key(1, Side::Right, b"z"),
            key(1, Side::Left, b"a"),
            key(1, Side::Left, b"b"),
            key(256, Side::Right, b""),
        ];
        assert!(ordered.is_sorted());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            timestamp in 0_i64..,
            left in any::<bool>(),
            key in proptest::collection::vec(any::<u8>(), 0..8),
            list in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..8)), 1..5),
        ) {
            let side = |left| if left { Side::Left } else { Side::Right };
            let mut bytes = Vec::new();
            write_key(&mut bytes, timestamp, side(left), &key);
            prop_assert_eq!(read_key(&bytes), Some((timestamp, side(left), key.as_slice())));
            bytes.clear();
            for (left, value) in &list {
                add_value(&mut bytes, side(*left), value);
            }
            let read: Vec<_> = values(&bytes).collect();
            let written: Vec<_> = list.iter().map(|(left, v)| Some((side(*left), v.as_slice()))).collect();
            prop_assert_eq!(read, written);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read_key(&bytes);
            let items: Vec<_> = values(&bytes).collect();
            prop_assert!(!items.is_empty() || bytes.get(..5) == Some(&[1, 0, 0, 0, 0]));
            prop_assert!(items.iter().rev().skip(1).all(Option::is_some));
        }
    }
}
