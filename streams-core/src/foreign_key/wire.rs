//! The records of a foreign-key join's internal topics and the keys of its store, byte for byte Kafka Streams'
//! (`SubscriptionWrapperSerde`, `SubscriptionResponseWrapperSerde`, `CombinedKeySchema`): `docs/formats.md`.

use std::fmt::Write as _;

use crate::serde::{Serde, SerdeError};

/// Set in the first byte where there is no hash; the other bits are the version.
const NO_HASH: u8 = 0x80;
/// The version of subscriptions that is written; 0, without the partition, is read too.
const SUBSCRIPTION_VERSION: u8 = 1;
/// The version of responses.
const RESPONSE_VERSION: u8 = 0;

/// The hash of a left row's value.
pub(super) type Hash = [u8; 16];

/// What a subscription asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instruction {
    /// The row left this foreign key for another one: no answer.
    DeleteNoPropagate,
    /// The row left, and joins with nothing now: the answer is null.
    DeleteAndPropagate,
    /// The row may have joined before: answer, with null where there is no partner.
    PropagateNull,
    /// The row joined with nothing before: answer only where there is a partner.
    PropagateOnlyIfAvailable,
}

impl Instruction {
    const ALL: [Instruction; 4] = [
        Instruction::DeleteNoPropagate,
        Instruction::DeleteAndPropagate,
        Instruction::PropagateNull,
        Instruction::PropagateOnlyIfAvailable,
    ];

    /// Kafka Streams' name.
    fn name(self) -> &'static str {
        match self {
            Instruction::DeleteNoPropagate => "DELETE_KEY_NO_PROPAGATE",
            Instruction::DeleteAndPropagate => "DELETE_KEY_AND_PROPAGATE",
            Instruction::PropagateNull => "PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE",
            Instruction::PropagateOnlyIfAvailable => "PROPAGATE_ONLY_IF_FK_VAL_AVAILABLE",
        }
    }

    fn byte(self) -> u8 {
        match self {
            Instruction::DeleteNoPropagate => 0,
            Instruction::DeleteAndPropagate => 1,
            Instruction::PropagateNull => 2,
            Instruction::PropagateOnlyIfAvailable => 3,
        }
    }
}

/// A left row's subscription to a foreign key, the primary key as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SubscriptionBytes<'a> {
    pub(super) instruction: Instruction,
    /// `None` where the row was deleted.
    pub(super) hash: Option<Hash>,
    pub(super) primary_key: &'a [u8],
    /// The left row's partition; `None` in version 0.
    pub(super) partition: Option<i32>,
}

impl<'a> SubscriptionBytes<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, SerdeError> {
        let (version, hash_follows, rest) = first_byte(bytes, "a subscription")?;
        if version > SUBSCRIPTION_VERSION {
            return Err(unknown_version(
                "a subscription",
                version,
                SUBSCRIPTION_VERSION,
            ));
        }
        let Some((byte, rest)) = rest.split_first() else {
            return Err(too_short("a subscription"));
        };
        let Some(instruction) = Instruction::ALL.get(usize::from(*byte)).copied() else {
            return Err(invalid(
                "a subscription",
                format!("its instruction is {byte}, not 0 to 3"),
            ));
        };
        let (hash, rest) = hash_of(rest, hash_follows, "a subscription")?;
        let (primary_key, partition) = if version == 0 {
            (rest, None)
        } else {
            match rest.split_last_chunk::<4>() {
                Some((key, partition)) => (key, Some(i32::from_be_bytes(*partition))),
                None => return Err(too_short("a subscription")),
            }
        };
        Ok(SubscriptionBytes {
            instruction,
            hash,
            primary_key,
            partition,
        })
    }

    /// Everything before the primary key.
    pub(super) fn write_head(&self, out: &mut Vec<u8>) {
        let version = match self.partition {
            Some(_) => SUBSCRIPTION_VERSION,
            None => 0,
        };
        write_first_byte(version, self.hash.is_some(), out);
        out.push(self.instruction.byte());
        out.extend_from_slice(self.hash.as_ref().map_or(&[], Hash::as_slice));
    }

    /// Everything behind the primary key.
    pub(super) fn write_tail(&self, out: &mut Vec<u8>) {
        if let Some(partition) = self.partition {
            out.extend_from_slice(&partition.to_be_bytes());
        }
    }
}

/// The answer to a subscription, the right row's value as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResponseBytes<'a> {
    /// The hash that the subscription had.
    pub(super) hash: Option<Hash>,
    /// `None` is no partner. A value without bytes cannot be told from it, as in Kafka Streams.
    pub(super) value: Option<&'a [u8]>,
}

impl<'a> ResponseBytes<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, SerdeError> {
        let (version, hash_follows, rest) = first_byte(bytes, "a response")?;
        if version != RESPONSE_VERSION {
            return Err(unknown_version("a response", version, RESPONSE_VERSION));
        }
        let (hash, value) = hash_of(rest, hash_follows, "a response")?;
        let value = Some(value).filter(|value| !value.is_empty());
        Ok(ResponseBytes { hash, value })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write_first_byte(RESPONSE_VERSION, self.hash.is_some(), out);
        out.extend_from_slice(self.hash.as_ref().map_or(&[], Hash::as_slice));
        out.extend_from_slice(self.value.unwrap_or_default());
    }
}

/// A key of the subscription store: length and bytes of the foreign key, then `primary_key`.
pub(super) fn write_combined(
    foreign_key: &[u8],
    primary_key: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), SerdeError> {
    let Ok(length) = i32::try_from(foreign_key.len()) else {
        return Err(invalid(
            "a foreign key",
            format!("it has {} bytes", foreign_key.len()),
        ));
    };
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(foreign_key);
    out.extend_from_slice(primary_key);
    Ok(())
}

/// Foreign and primary key of a key of the subscription store.
pub(super) fn read_combined(bytes: &[u8]) -> Result<(&[u8], &[u8]), SerdeError> {
    const WHAT: &str = "a foreign key with a primary key";
    let (length, rest) = bytes
        .split_first_chunk::<4>()
        .ok_or_else(|| too_short(WHAT))?;
    let length = usize::try_from(i32::from_be_bytes(*length));
    let length = length.map_err(|_| invalid(WHAT, "its length is negative".to_owned()))?;
    rest.split_at_checked(length).ok_or_else(|| too_short(WHAT))
}

/// Version, whether a hash follows, and the rest.
fn first_byte<'a>(bytes: &'a [u8], what: &'static str) -> Result<(u8, bool, &'a [u8]), SerdeError> {
    let (first, rest) = bytes.split_first().ok_or_else(|| too_short(what))?;
    Ok((first & !NO_HASH, first & NO_HASH == 0, rest))
}

fn write_first_byte(version: u8, hash_follows: bool, out: &mut Vec<u8>) {
    out.push(if hash_follows {
        version
    } else {
        version | NO_HASH
    });
}

fn hash_of<'a>(
    bytes: &'a [u8],
    follows: bool,
    what: &'static str,
) -> Result<(Option<Hash>, &'a [u8]), SerdeError> {
    if !follows {
        return Ok((None, bytes));
    }
    match bytes.split_first_chunk::<16>() {
        Some((hash, rest)) => Ok((Some(*hash), rest)),
        None => Err(too_short(what)),
    }
}

#[cold]
fn invalid(type_name: &'static str, reason: String) -> SerdeError {
    SerdeError::Invalid { type_name, reason }
}

#[cold]
fn too_short(what: &'static str) -> SerdeError {
    invalid(what, "there are too few bytes".to_owned())
}

#[cold]
fn unknown_version(what: &'static str, version: u8, known: u8) -> SerdeError {
    let reason =
        format!("its version is {version}, and this version of kstreams knows up to {known}");
    invalid(what, reason)
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A subscription as a value: of the registration topic, and of the subscription store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription<K> {
    /// What it asks for.
    pub instruction: Instruction,
    /// Murmur3's 128 bits over the left row's value; `None` where the row was deleted.
    pub hash: Option<[u8; 16]>,
    /// The left row's key.
    pub primary_key: K,
    /// The left row's partition; `None` where a version before 3.5 of Kafka Streams wrote it.
    pub primary_partition: Option<i32>,
}

impl<K: Serde> Serde for Subscription<K> {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let bytes = SubscriptionBytes {
            instruction: self.instruction,
            hash: self.hash,
            primary_key: &[],
            partition: self.primary_partition,
        };
        bytes.write_head(out);
        self.primary_key.serialize(out)?;
        bytes.write_tail(out);
        Ok(())
    }

    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        let bytes = SubscriptionBytes::read(bytes)?;
        Ok(Subscription {
            instruction: bytes.instruction,
            hash: bytes.hash,
            primary_key: K::deserialize(bytes.primary_key)?,
            primary_partition: bytes.partition,
        })
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "version": i32::from(self.primary_partition.is_some()),
            "instruction": self.instruction.name(),
            "hash": self.hash.map(|hash| hex(&hash)),
            "primary_key": self.primary_key.to_json(),
            "primary_partition": self.primary_partition,
        })
    }
}

/// A response as a value of the response topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response<V> {
    /// The hash that the subscription had.
    pub hash: Option<[u8; 16]>,
    /// The right row's value; `None` where there is no such row.
    pub foreign_value: Option<V>,
}

impl<V: Serde> Serde for Response<V> {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let head = ResponseBytes {
            hash: self.hash,
            value: None,
        };
        head.write(out);
        match &self.foreign_value {
            Some(value) => value.serialize(out),
            None => Ok(()),
        }
    }

    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        let bytes = ResponseBytes::read(bytes)?;
        Ok(Response {
            hash: bytes.hash,
            foreign_value: bytes.value.map(V::deserialize).transpose()?,
        })
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "version": RESPONSE_VERSION,
            "original_value_hash": self.hash.map(|hash| hex(&hash)),
            "foreign_value": self.foreign_value.as_ref().map(Serde::to_json),
        })
    }
}

/// A key of the subscription store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CombinedKey<FK, PK> {
    /// The right row's key.
    pub foreign_key: FK,
    /// The left row's key.
    pub primary_key: PK,
}

impl<FK: Serde, PK: Serde> Serde for CombinedKey<FK, PK> {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let mut foreign_key = Vec::new();
        self.foreign_key.serialize(&mut foreign_key)?;
        write_combined(&foreign_key, &[], out)?;
        self.primary_key.serialize(out)
    }

    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        let (foreign_key, primary_key) = read_combined(bytes)?;
        Ok(CombinedKey {
            foreign_key: FK::deserialize(foreign_key)?,
            primary_key: PK::deserialize(primary_key)?,
        })
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "foreign_key": self.foreign_key.to_json(),
            "primary_key": self.primary_key.to_json(),
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::Value;

    use super::*;

    /// The examples of a format, each with its bytes.
    fn examples(format: &str) -> Vec<(Value, Vec<u8>)> {
        let formats = include_str!("../../../tests/vectors/formats.json");
        let formats: Value = serde_json::from_str(formats).unwrap();
        let examples = formats[format].as_array().unwrap();
        assert!(examples.len() >= 5);
        let bytes = |example: &Value| STANDARD.decode(example["b64"].as_str().unwrap()).unwrap();
        examples.iter().map(|e| (e.clone(), bytes(e))).collect()
    }

    fn bytes_of(value: &impl Serde) -> Vec<u8> {
        let mut out = b"before".to_vec();
        value.serialize(&mut out).unwrap();
        out.split_off(6)
    }

    #[test]
    fn subscriptions_are_kafkas() {
        for (example, bytes) in examples("subscription") {
            let read = Subscription::<String>::deserialize(&bytes).unwrap();
            assert_eq!(bytes_of(&read), bytes);
            let mut json = read.to_json();
            json["instruction_byte"] = bytes[1].into();
            json["b64"] = example["b64"].clone();
            assert_eq!(json, example);
        }
    }

    #[test]
    fn responses_are_kafkas() {
        for (example, bytes) in examples("response") {
            let read = Response::<String>::deserialize(&bytes).unwrap();
            assert_eq!(bytes_of(&read), bytes);
            let mut json = read.to_json();
            json["b64"] = example["b64"].clone();
            // A value without bytes is none.
            if example["foreign_value"] == "" {
                json["foreign_value"] = "".into();
            }
            assert_eq!(json, example);
        }
    }

    #[test]
    fn combined_keys_are_kafkas() {
        for (example, bytes) in examples("combined_key") {
            let read = CombinedKey::<String, String>::deserialize(&bytes).unwrap();
            assert_eq!(bytes_of(&read), bytes);
            let mut json = read.to_json();
            json["b64"] = example["b64"].clone();
            assert_eq!(json, example);
        }
    }

    #[test]
    fn subscriptions_of_version_0_have_no_partition() {
        let read = SubscriptionBytes::read(b"\x80\x03key").unwrap();
        assert_eq!(read.primary_key, b"key");
        assert_eq!(read.partition, None);
        let typed = Subscription::<String>::deserialize(b"\x80\x03key").unwrap();
        assert_eq!(bytes_of(&typed), b"\x80\x03key");
    }

    #[test]
    fn damage_is_an_error() {
        let hash = [7; 16];
        let mut short = vec![0, 1];
        short.extend_from_slice(&hash[..15]);
        for damaged in [
            &b""[..],
            b"\x81",
            b"\x81\x04key\0\0\0\0",
            b"\x82\x01key\0\0\0\0",
            b"\x81\x01abc",
            &short,
        ] {
            assert!(SubscriptionBytes::read(damaged).is_err(), "{damaged:?}");
        }
        for damaged in [&b""[..], b"\x81", b"\x00123"] {
            assert!(ResponseBytes::read(damaged).is_err(), "{damaged:?}");
        }
        for damaged in [&b"\0\0\0"[..], b"\0\0\0\x02a", b"\xff\xff\xff\xffa"] {
            assert!(read_combined(damaged).is_err(), "{damaged:?}");
        }
    }
}
