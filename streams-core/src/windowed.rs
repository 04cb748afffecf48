//! Layer 1. Keys of windowed tables: the key, and the window that its value belongs to, in Kafka's formats.

use std::fmt;

use crate::record::Timestamp;
use crate::serde::{Serde, SerdeError};

/// A key and a window: the key of a windowed table.
///
/// Its bytes are Kafka Streams': of time windows the key's and 8 bytes of start, of [sessions](SessionWindow) the key's and 8 bytes each
/// of end and start. As a topic's key it goes to the partition of the key alone.
///
/// ```
/// use streams_core::serde::Serde;
/// use streams_core::windowed::{TimeWindow, Windowed};
///
/// let key = Windowed::<_>::new("a".to_owned(), TimeWindow { start: 1, end: 11 });
/// let mut bytes = vec![];
/// key.serialize(&mut bytes)?;
/// assert_eq!(bytes, [b'a', 0, 0, 0, 0, 0, 0, 0, 1]);
/// // The end is not in the bytes: a type may say the size, otherwise the window has no end.
/// let read = Windowed::<String, TimeWindow<10>>::deserialize(&bytes)?;
/// assert_eq!(read.window.end, 11);
/// assert_eq!(Windowed::<String>::deserialize(&bytes)?.window.end, i64::MAX);
/// # Ok::<(), streams_core::serde::SerdeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Windowed<K, W = TimeWindow> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: W,
}

/// A window of tumbling, hopping, sliding or unlimited windows. `SIZE`, in milliseconds, is only needed where windows are read from a
/// topic and their ends matter: bytes have no ends. 0 says that it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeWindow<const SIZE: i64 = 0> {
    /// Its first millisecond.
    pub start: Timestamp,
    /// The millisecond after its last; of sliding windows the last one. `i64::MAX` where there is no end, or it is not known.
    pub end: Timestamp,
}

/// A session: from its first record to its last, both of which belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionWindow {
    /// The first record's timestamp.
    pub start: Timestamp,
    /// The last record's timestamp.
    pub end: Timestamp,
}

impl<K, W: Window> Windowed<K, W> {
    /// A key and its window.
    pub const fn new(key: K, window: W) -> Self {
        Windowed { key, window }
    }

    /// The window's start.
    pub fn start(&self) -> Timestamp {
        self.window.start()
    }

    /// The window's end.
    pub fn end(&self) -> Timestamp {
        self.window.end()
    }
}

impl<K: fmt::Display, W: Window> fmt::Display for Windowed<K, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}@{}/{}]", self.key, self.start(), self.end())
    }
}

/// A window: [`TimeWindow`] or [`SessionWindow`].
pub trait Window: Copy + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// How many bytes of a key are the window's.
    const LENGTH: usize;
    /// The size that the type says; 0 where it says none.
    const SIZE: i64;
    /// A window from start to end.
    fn between(start: Timestamp, end: Timestamp) -> Self;
    /// Its start.
    fn start(&self) -> Timestamp;
    /// Its end.
    fn end(&self) -> Timestamp;
    /// Appends its bytes.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads its bytes, [`LENGTH`](Self::LENGTH) of them.
    fn read(bytes: &[u8]) -> Option<Self>;
}

impl<const SIZE: i64> Window for TimeWindow<SIZE> {
    const LENGTH: usize = 8;
    const SIZE: i64 = SIZE;

    fn between(start: Timestamp, end: Timestamp) -> Self {
        TimeWindow { start, end }
    }
    fn start(&self) -> Timestamp {
        self.start
    }
    fn end(&self) -> Timestamp {
        self.end
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.start.to_be_bytes());
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let start = Timestamp::from_be_bytes(*bytes.first_chunk()?);
        let end = match SIZE {
            0 => Timestamp::MAX,
            size => start.saturating_add(size),
        };
        Some(TimeWindow { start, end })
    }
}

impl Window for SessionWindow {
    const LENGTH: usize = 16;
    const SIZE: i64 = 0;

    fn between(start: Timestamp, end: Timestamp) -> Self {
        SessionWindow { start, end }
    }
    fn start(&self) -> Timestamp {
        self.start
    }
    fn end(&self) -> Timestamp {
        self.end
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.end.to_be_bytes());
        out.extend_from_slice(&self.start.to_be_bytes());
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = Timestamp::from_be_bytes(*bytes.first_chunk()?);
        let start = Timestamp::from_be_bytes(*bytes.last_chunk()?);
        Some(SessionWindow { start, end })
    }
}

/// The key of a windowed table, whichever its windows: what aggregations by windows yield.
#[diagnostic::on_unimplemented(
    message = "an aggregation by windows yields keys of type `Windowed<…>`, not `{Self}` [KS0245]",
    label = "declared with keys of type `{Self}`",
    note = "declare `KTable<Windowed<K>, V>`, and `KTable<Windowed<K, SessionWindow>, V>` for sessions"
)]
pub trait WindowedKey: Serde {
    /// The key without window.
    type Key: Serde;
    /// The window.
    type Window: Window;
    /// Puts both together.
    fn of(key: Self::Key, start: Timestamp, end: Timestamp) -> Self;
    /// The key.
    fn key(&self) -> &Self::Key;
    /// The window's start and end.
    fn bounds(&self) -> (Timestamp, Timestamp);
    /// The same, of a window that ends where a window of this size does.
    #[must_use]
    fn sized(self, size: i64) -> Self;
}

impl<K: Serde, W: Window> WindowedKey for Windowed<K, W> {
    type Key = K;
    type Window = W;

    fn of(key: K, start: Timestamp, end: Timestamp) -> Self {
        Windowed {
            key,
            window: W::between(start, end),
        }
    }
    fn key(&self) -> &K {
        &self.key
    }
    fn bounds(&self) -> (Timestamp, Timestamp) {
        (self.start(), self.end())
    }
    fn sized(mut self, size: i64) -> Self {
        if W::LENGTH == 8 {
            let start = self.start();
            self.window = W::between(start, start.saturating_add(size));
        }
        self
    }
}

impl<K: Serde, W: Window> Serde for Windowed<K, W> {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.key.serialize(out)?;
        self.window.write(out);
        Ok(())
    }

    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        let split = bytes.len().checked_sub(W::LENGTH);
        let parts = split.and_then(|at| bytes.split_at_checked(at));
        let Some((key, Some(window))) = parts.map(|(key, window)| (key, W::read(window))) else {
            return Err(SerdeError::Length {
                type_name: "a key with its window",
                expected: W::LENGTH,
                actual: bytes.len(),
            });
        };
        let key = K::deserialize(key)?;
        Ok(Windowed { key, window })
    }

    fn of_window_size(self, size: i64) -> Self {
        match W::SIZE {
            0 if size > 0 => self.sized(size),
            _ => self,
        }
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "key": self.key.to_json(),
            "start": self.start(),
            "end": self.end(),
        })
    }

    /// `{"key": …, "start": …, "end": …}`; the end may be left out of time windows.
    fn from_text(text: &str) -> Result<Self, SerdeError> {
        let invalid = |reason: String| SerdeError::Invalid {
            type_name: "Windowed",
            reason,
        };
        let json: serde_json::Value =
            serde_json::from_str(text).map_err(|e| invalid(e.to_string()))?;
        let key = match json.get("key") {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => return Err(invalid("it has no `key`".to_owned())),
        };
        let time = |name: &str| json.get(name).and_then(serde_json::Value::as_i64);
        let Some(start) = time("start") else {
            return Err(invalid("it has no `start` in milliseconds".to_owned()));
        };
        let end = match (time("end"), W::SIZE) {
            (Some(end), _) => end,
            (None, 0) if W::LENGTH == 8 => Timestamp::MAX,
            (None, 0) => return Err(invalid("it has no `end` in milliseconds".to_owned())),
            (None, size) => start.saturating_add(size),
        };
        Ok(Windowed {
            key: K::from_text(&key)?,
            window: W::between(start, end),
        })
    }

    fn partition_bytes(bytes: &[u8]) -> &[u8] {
        let length = bytes.len().saturating_sub(W::LENGTH);
        bytes.get(..length).unwrap_or(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Session = Windowed<String, SessionWindow>;

    #[test]
    fn sessions_have_end_and_start() {
        let key = Session::new("k".to_owned(), SessionWindow { start: 1, end: 258 });
        let mut bytes = Vec::new();
        key.serialize(&mut bytes).unwrap();
        assert_eq!(
            bytes,
            [b'k', 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1]
        );
        assert_eq!(Session::deserialize(&bytes), Ok(key));
        assert_eq!(Session::partition_bytes(&bytes), b"k");
        for cut in 0..16 {
            assert!(Session::deserialize(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn text_is_the_json_that_is_shown() {
        let key = Windowed::<i64, TimeWindow<10>>::new(7, TimeWindow { start: 5, end: 15 });
        let text = key.to_json().to_string();
        assert_eq!(text, r#"{"end":15,"key":7,"start":5}"#);
        assert_eq!(Windowed::from_text(&text), Ok(key));
        assert_eq!(Windowed::from_text(r#"{"key": 7, "start": 5}"#), Ok(key));
        for wrong in ["7", "{}", r#"{"key": 7}"#, r#"{"key": "x", "start": 1}"#] {
            assert!(Windowed::<i64>::from_text(wrong).is_err(), "{wrong}");
        }
        assert!(Session::from_text(r#"{"key": "a", "start": 1}"#).is_err());
    }

    #[test]
    fn a_size_makes_an_end() {
        let key = Windowed::<i64>::new(
            1,
            TimeWindow {
                start: 5,
                end: i64::MAX,
            },
        );
        assert_eq!(key.sized(10).end(), 15);
        assert_eq!(key.sized(i64::MAX).end(), i64::MAX);
        let session = Windowed::new(1_i64, SessionWindow { start: 5, end: 6 });
        assert_eq!(
            session.sized(10),
            session,
            "sessions have ends of their own"
        );
    }
}
