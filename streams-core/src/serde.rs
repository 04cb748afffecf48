//! Layer 1. Wire formats: a key or value type carries its own. Uses `error`-free layer 0 only.
//!
//! Source of the formats: Apache Kafka's `org.apache.kafka.common.serialization` (4.3.1).

use bytes::Bytes;
use uuid::Uuid;

mod change;
pub mod json;
pub use json::Json;

/// Why bytes could not be read or a value not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SerdeError {
    /// A null where the type has no null.
    #[error("null, but `{type_name}` is not nullable: read it as `Option<{type_name}>`")]
    Null {
        /// The Rust type.
        type_name: &'static str,
    },
    /// The wrong number of bytes for a fixed-size type.
    #[error("{actual} bytes, but `{type_name}` has {expected}")]
    Length {
        /// The Rust type.
        type_name: &'static str,
        /// The size in bytes that the type has.
        expected: usize,
        /// The number of bytes that were there.
        actual: usize,
    },
    /// Bytes that are no value of the type, or a value that has no bytes.
    #[error("not a `{type_name}`: {reason}")]
    Invalid {
        /// The Rust type.
        type_name: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// A wire format, carried by the type itself. The same type has the same bytes as a key, a value, in a store and in every topic.
///
/// | type | bytes (Kafka's serde of that name) |
/// |---|---|
/// | `String` | UTF-8 (`String`) |
/// | `i16` `i32` `i64`, `f32` `f64` | big-endian (`Short`, `Integer`, `Long`, `Float`, `Double`) |
/// | `u8` … `u64`, `i8` | big-endian |
/// | `bool` | one byte, 1 or 0 (`Boolean`) |
/// | `Vec<u8>`, `Bytes` | as they are (`ByteArray`, `Bytes`) |
/// | `Uuid` | its 36 characters (`UUID`) |
/// | `()` | null (`Void`) |
/// | `Option<T>` | null, or `T`'s bytes |
/// | [`Json<T>`](Json), `#[derive(Json)]` | compact JSON |
///
/// A type of your own may have any format:
///
/// ```
/// use streams_core::serde::{Serde, SerdeError};
///
/// struct Celsius(f64);
///
/// impl Serde for Celsius {
///     fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
///         self.0.serialize(out)
///     }
///     fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
///         f64::deserialize(bytes).map(Celsius)
///     }
/// }
///
/// let mut bytes = vec![];
/// Celsius(21.5).serialize(&mut bytes)?;
/// assert_eq!(Celsius::deserialize(&bytes)?.0, 21.5);
/// // A null is no temperature; where there may be one, the type is `Option<Celsius>`.
/// assert!(Celsius::deserialize_nullable(None).is_err());
/// # Ok::<(), SerdeError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no wire format, so it cannot be read from or written to a topic or a store [KS0210]",
    label = "`{Self}` is used as a key or value here",
    note = "derive one with `#[derive(kstreams::Json)]` on `{Self}` (with serde's `Serialize` and `Deserialize`), or wrap it: `Json<{Self}>`"
)]
pub trait Serde: Sized + Send + 'static {
    /// Appends the value's bytes to `out`.
    ///
    /// # Errors
    /// When the value has no bytes in this format.
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError>;

    /// Reads a value from all of `bytes`.
    ///
    /// # Errors
    /// When the bytes are no value of this type.
    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError>;

    /// Whether the value is written as null.
    fn is_null(&self) -> bool {
        false
    }

    /// The value that null stands for.
    ///
    /// # Errors
    /// When the type has none, as all but `Option` and `()`.
    fn from_null() -> Result<Self, SerdeError> {
        Err(SerdeError::Null {
            type_name: std::any::type_name::<Self>(),
        })
    }

    /// The same as a window store of windows of that size has it: a window's bytes have no end.
    #[doc(hidden)]
    #[must_use]
    fn of_window_size(self, _size: i64) -> Self {
        self
    }

    /// The value as a person reads it (`consume`, `query`, `--json`). Unless overridden, the bytes as a list of numbers.
    fn to_json(&self) -> serde_json::Value {
        let mut bytes = Vec::new();
        match self.serialize(&mut bytes) {
            Ok(()) if !self.is_null() => bytes.into(),
            _ => serde_json::Value::Null,
        }
    }

    /// The value that a person typed (`produce`, `query`). Unless overridden, the text's bytes are the value's bytes.
    ///
    /// # Errors
    /// When the text is no value of this type.
    fn from_text(text: &str) -> Result<Self, SerdeError> {
        Self::deserialize(text.as_bytes())
    }

    /// The part of a key's bytes that decides its partition: all of them, unless overridden.
    #[must_use]
    fn partition_bytes(bytes: &[u8]) -> &[u8] {
        bytes
    }

    /// Reads bytes that may be null.
    ///
    /// # Errors
    /// As [`deserialize`](Serde::deserialize) and [`from_null`](Serde::from_null).
    fn deserialize_nullable(bytes: Option<&[u8]>) -> Result<Self, SerdeError> {
        match bytes {
            Some(bytes) => Self::deserialize(bytes),
            None => Self::from_null(),
        }
    }
}

impl Serde for String {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(self.as_bytes());
        Ok(())
    }
    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        match std::str::from_utf8(bytes) {
            Ok(s) => Ok(s.to_owned()),
            Err(e) => Err(SerdeError::Invalid {
                type_name: "String",
                reason: e.to_string(),
            }),
        }
    }
    fn to_json(&self) -> serde_json::Value {
        self.as_str().into()
    }
}

macro_rules! big_endian {
    ($($t:ty)*) => {$(
        impl Serde for $t {
            fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
                out.extend_from_slice(&self.to_be_bytes());
                Ok(())
            }
            fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
                match bytes.try_into() {
                    Ok(b) => Ok(<$t>::from_be_bytes(b)),
                    Err(_) => Err(SerdeError::Length {
                        type_name: stringify!($t),
                        expected: size_of::<$t>(),
                        actual: bytes.len(),
                    }),
                }
            }
            fn to_json(&self) -> serde_json::Value {
                (*self).into()
            }
            fn from_text(text: &str) -> Result<Self, SerdeError> {
                text.trim().parse().map_err(|e: <$t as std::str::FromStr>::Err| SerdeError::Invalid {
                    type_name: stringify!($t),
                    reason: e.to_string(),
                })
            }
        }
    )*};
}
big_endian!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);

/// Kafka's `BooleanSerializer`: one byte, 1 or 0; any other byte is an error, as it is there.
impl Serde for bool {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.push(u8::from(*self));
        Ok(())
    }
    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        match bytes {
            [0] => Ok(false),
            [1] => Ok(true),
            [byte] => Err(SerdeError::Invalid {
                type_name: "bool",
                reason: format!("the byte is {byte}, neither 0 nor 1"),
            }),
            _ => Err(SerdeError::Length {
                type_name: "bool",
                expected: 1,
                actual: bytes.len(),
            }),
        }
    }
    fn to_json(&self) -> serde_json::Value {
        (*self).into()
    }
    fn from_text(text: &str) -> Result<Self, SerdeError> {
        let parsed = text.trim().parse();
        parsed.map_err(|_| SerdeError::Invalid {
            type_name: "bool",
            reason: "neither `true` nor `false`".to_owned(),
        })
    }
}

impl Serde for Vec<u8> {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(self);
        Ok(())
    }
    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        Ok(bytes.to_vec())
    }
}

impl Serde for Bytes {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(self);
        Ok(())
    }
    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        Ok(Bytes::copy_from_slice(bytes))
    }
}

/// Kafka's `UUIDSerializer`: the 36 characters in lower case. Upper case is read too.
impl Serde for Uuid {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        out.extend_from_slice(self.as_hyphenated().encode_lower(&mut text).as_bytes());
        Ok(())
    }
    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        let invalid = |reason: String| SerdeError::Invalid {
            type_name: "Uuid",
            reason,
        };
        let text = std::str::from_utf8(bytes).map_err(|e| invalid(e.to_string()))?;
        if text.len() != uuid::fmt::Hyphenated::LENGTH {
            return Err(invalid(format!("{} characters instead of 36", text.len())));
        }
        Uuid::parse_str(text).map_err(|e| invalid(e.to_string()))
    }
    fn to_json(&self) -> serde_json::Value {
        self.to_string().into()
    }
}

/// Nothing: null on the wire. As a key, "no key"; whatever bytes are there are ignored.
impl Serde for () {
    fn serialize(&self, _: &mut Vec<u8>) -> Result<(), SerdeError> {
        Ok(())
    }
    fn deserialize(_: &[u8]) -> Result<Self, SerdeError> {
        Ok(())
    }
    fn is_null(&self) -> bool {
        true
    }
    fn from_null() -> Result<Self, SerdeError> {
        Ok(())
    }
}

impl<T: Serde> Serde for Option<T> {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.as_ref().map_or(Ok(()), |v| v.serialize(out))
    }
    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        T::deserialize(bytes).map(Some)
    }
    fn is_null(&self) -> bool {
        self.as_ref().is_none_or(Serde::is_null)
    }
    fn from_null() -> Result<Self, SerdeError> {
        Ok(None)
    }
    fn to_json(&self) -> serde_json::Value {
        self.as_ref()
            .map_or(serde_json::Value::Null, Serde::to_json)
    }
    fn from_text(text: &str) -> Result<Self, SerdeError> {
        T::from_text(text).map(Some)
    }
    fn partition_bytes(bytes: &[u8]) -> &[u8] {
        T::partition_bytes(bytes)
    }
}
