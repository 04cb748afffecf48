//! A table's update as it crosses a repartition topic: Kafka Streams' `ChangedSerializer`.
//!
//! | bytes | |
//! |---|---|
//! | old, `0x00` | only an old value |
//! | new, `0x01` | only a new value |
//! | length of new (zig-zag varint), new, old, `0x02` | both |
//!
//! Readers also know `0x03` to `0x05`: the same with a byte before the flag that says whether the update is the latest one of
//! a versioned table. Kafka Streams reads them so that later versions may write them.

use super::{Serde, SerdeError};
use crate::record::Change;

const OLD: u8 = 0;
const NEW: u8 = 1;
const BOTH: u8 = 2;
/// What the flags with a byte of "is latest" have on top.
const VERSIONED: u8 = 3;

impl<V: Serde> Serde for Change<V> {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        match (&self.new, &self.old) {
            (Some(new), Some(old)) => {
                let begin = out.len();
                new.serialize(out)?;
                let length = out.len() - begin;
                let (prefix, size) = varint(length)?;
                out.extend_from_slice(&[0; 5][..size]);
                out.copy_within(begin..begin + length, begin + size);
                out[begin..begin + size].copy_from_slice(&prefix[..size]);
                old.serialize(out)?;
                out.push(BOTH);
            }
            (Some(new), None) => {
                new.serialize(out)?;
                out.push(NEW);
            }
            (None, Some(old)) => {
                old.serialize(out)?;
                out.push(OLD);
            }
            (None, None) => return Err(invalid("neither a new nor an old value")),
        }
        Ok(())
    }

    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        let Some((&flag, data)) = bytes.split_last() else {
            return Err(invalid("no bytes"));
        };
        let (flag, is_latest, data) = if (VERSIONED..=VERSIONED + BOTH).contains(&flag) {
            match data.split_last() {
                Some((latest @ (0 | 1), data)) => (flag - VERSIONED, *latest == 1, data),
                _ => {
                    return Err(invalid(
                        "the byte that says whether it is the latest is neither 0 nor 1",
                    ));
                }
            }
        } else {
            (flag, true, data)
        };
        let (new, old) = match flag {
            OLD => (None, Some(data)),
            NEW => (Some(data), None),
            BOTH => {
                let (length, rest) = read_varint(data)?;
                let Some((new, old)) = rest.split_at_checked(length) else {
                    return Err(invalid("the new value is longer than all bytes"));
                };
                (Some(new), Some(old))
            }
            other => return Err(invalid(&format!("its last byte is {other}, not 0 to 5"))),
        };
        Ok(Change {
            new: new.map(V::deserialize).transpose()?,
            old: old.map(V::deserialize).transpose()?,
            is_latest,
        })
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "new": self.new.as_ref().map(Serde::to_json),
            "old": self.old.as_ref().map(Serde::to_json),
        })
    }
}

#[cold]
fn invalid(reason: &str) -> SerdeError {
    SerdeError::Invalid {
        type_name: "a table's update",
        reason: reason.to_owned(),
    }
}

/// Kafka's zig-zag varint of a length, and how many of the five bytes it takes.
fn varint(length: usize) -> Result<([u8; 5], usize), SerdeError> {
    let Ok(length) = i32::try_from(length) else {
        return Err(invalid("the new value is longer than 2147483647 bytes"));
    };
    let mut left = length.cast_unsigned() << 1;
    let (mut bytes, mut size) = ([0; 5], 0);
    for byte in &mut bytes {
        size += 1;
        let low = (left & 0x7f) as u8;
        left >>= 7;
        *byte = if left == 0 { low } else { low | 0x80 };
        if left == 0 {
            break;
        }
    }
    Ok((bytes, size))
}

/// A length, and what follows it.
fn read_varint(bytes: &[u8]) -> Result<(usize, &[u8]), SerdeError> {
    let mut value = 0_u64;
    for (position, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            if value & 1 == 1 || value > u64::from(u32::MAX) {
                return Err(invalid(
                    "the new value's length is negative or no 32-bit number",
                ));
            }
            let length = usize::try_from(value >> 1);
            let length = length.map_err(|_| invalid("the new value's length is no size"))?;
            return Ok((length, &bytes[position + 1..]));
        }
    }
    Err(invalid("the new value's length does not end"))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn change(new: Option<&str>, old: Option<&str>) -> Change<String> {
        Change::new(new.map(str::to_owned), old.map(str::to_owned))
    }

    fn bytes(change: &Change<String>) -> Vec<u8> {
        let mut out = b"before".to_vec();
        change.serialize(&mut out).unwrap();
        out.split_off(6)
    }

    #[test]
    fn has_kafkas_bytes() {
        let formats = include_str!("../../../tests/vectors/formats.json");
        let formats: serde_json::Value = serde_json::from_str(formats).unwrap();
        let examples = formats["change"].as_array().unwrap();
        assert!(examples.len() > 10);
        for example in examples {
            let change = change(example["new"].as_str(), example["old"].as_str());
            let expected = STANDARD.decode(example["b64"].as_str().unwrap()).unwrap();
            assert_eq!(bytes(&change), expected, "{example}");
            assert_eq!(Change::deserialize(&expected).unwrap(), change);
        }
    }

    #[test]
    fn a_long_value_has_a_long_length() {
        for length in [0, 1, 63, 64, 8191, 8192, 70_000] {
            let change = change(Some(&"n".repeat(length)), Some("o"));
            assert_eq!(Change::deserialize(&bytes(&change)).unwrap(), change);
        }
    }

    #[test]
    fn a_versioned_tables_flags_are_read() {
        let read = |bytes: &[u8]| Change::<String>::deserialize(bytes);
        assert_eq!(read(b"a\x01\x03").unwrap(), change(None, Some("a")));
        let of_the_past = Change {
            is_latest: false,
            ..change(Some("a"), None)
        };
        assert_eq!(read(b"a\x00\x04").unwrap(), of_the_past);
        assert_eq!(
            read(b"\x02ab\x01\x05").unwrap(),
            change(Some("a"), Some("b"))
        );
        assert!(read(b"a\x02\x04").is_err());
    }

    #[test]
    fn damage_is_an_error() {
        for damaged in [
            &b""[..],
            b"\x02",
            b"\x03",
            b"a\x06",
            b"\x80\x02",
            b"\x04a\x02",
            b"\x01a\x02",
            b"\xff\xff\xff\xff\xff\xff\x02",
            b"\xfe\xff\xff\xff\x7f\x02",
            b"\xff\x01",
        ] {
            assert!(
                Change::<String>::deserialize(damaged).is_err(),
                "{damaged:?}"
            );
        }
        assert!(change(None, None).serialize(&mut Vec::new()).is_err());
        assert!(Change::<String>::deserialize_nullable(None).is_err());
    }
}
