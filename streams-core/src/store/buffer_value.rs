//! What the buffers of suppression and of stream-table joins with a grace hold of an update: Kafka Streams'
//! `ProcessorRecordContext` and `BufferValue`, to the byte.
//!
//! Context: `timestamp:8 offset:8 topic length:4 topic partition:4 count:4` and the headers, each `key length:4 key value
//! length:4 value` (-1 is null). Behind it the prior, the old and the new value, each `length:4` and its bytes; -1 is null, and -2
//! as the old value is "the same as the prior one".

use std::ops::Range;

use bytes::Bytes;

use super::StoreError;
use crate::record::{Header, Headers, Timestamp};

/// Where a buffered record came from: it is that record's that is forwarded later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferedContext<'a> {
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Its offset.
    pub offset: i64,
    /// Its topic's full name.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its headers.
    pub headers: Headers,
}

/// An update in a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferValue<'a> {
    /// Where it came from.
    pub context: BufferedContext<'a>,
    /// The key's value before the first update that is still in the buffer.
    pub prior: Option<&'a [u8]>,
    /// The value before this update.
    pub old: Option<&'a [u8]>,
    /// The value.
    pub new: Option<&'a [u8]>,
}

impl<'a> BufferValue<'a> {
    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let context = &self.context;
        out.extend_from_slice(&context.timestamp.to_be_bytes());
        out.extend_from_slice(&context.offset.to_be_bytes());
        sized(out, Some(context.topic.as_bytes()));
        out.extend_from_slice(&context.partition.to_be_bytes());
        out.extend_from_slice(&length(context.headers.len()));
        for header in &context.headers {
            sized(out, Some(header.key.as_bytes()));
            sized(out, header.value.as_deref());
        }
        sized(out, self.prior);
        match self.old {
            Some(old) if self.prior == Some(old) => out.extend_from_slice(&(-2_i32).to_be_bytes()),
            old => sized(out, old),
        }
        sized(out, self.new);
    }

    /// Reads one, and what follows it.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn decode(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), StoreError> {
        let mut input = Input(bytes);
        let value = input.value().ok_or(MALFORMED)?;
        Ok((value, input.0))
    }

    /// How much memory Kafka Streams counts for it.
    #[must_use]
    pub fn estimated_size(&self) -> usize {
        let context = &self.context;
        let headers = context
            .headers
            .iter()
            .map(|header| utf16(&header.key) + header.value.as_ref().map_or(0, Bytes::len));
        let old = self.old.filter(|old| self.prior != Some(*old));
        let values = [self.prior, old, self.new].into_iter().flatten();
        20 + utf16(context.topic) + headers.sum::<usize>() + values.map(<[u8]>::len).sum::<usize>()
    }
}

/// Characters as Java counts them.
fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

const MALFORMED: StoreError = StoreError::Malformed {
    what: "a buffered update",
};

fn length(n: usize) -> [u8; 4] {
    // A part of a record is shorter than 2 GiB.
    i32::try_from(n).unwrap_or(i32::MAX).to_be_bytes()
}

fn sized(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
        Some(bytes) => {
            out.extend_from_slice(&length(bytes.len()));
            out.extend_from_slice(bytes);
        }
    }
}

pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    fn value(&mut self) -> Option<BufferValue<'a>> {
        let context = self.context()?;
        let prior = self.sized()?;
        let old = match self.i32()? {
            -2 => prior,
            length => self.part(length)?,
        };
        let new = self.sized()?;
        Some(BufferValue {
            context,
            prior,
            old,
            new,
        })
    }

    pub(super) fn context(&mut self) -> Option<BufferedContext<'a>> {
        let timestamp = self.i64()?;
        let offset = self.i64()?;
        let topic = std::str::from_utf8(self.sized()??).ok()?;
        let partition = self.i32()?;
        let mut headers = Vec::new();
        for _ in 0..self.i32()? {
            let key = std::str::from_utf8(self.sized()??).ok()?.to_owned();
            let value = self.sized()?.map(Bytes::copy_from_slice);
            headers.push(Header { key, value });
        }
        Some(BufferedContext {
            timestamp,
            offset,
            topic,
            partition,
            headers: headers.into_iter().collect(),
        })
    }

    /// A length and that many bytes; the inner `None` is null.
    pub(super) fn sized(&mut self) -> Option<Option<&'a [u8]>> {
        let length = self.i32()?;
        self.part(length)
    }

    fn part(&mut self, length: i32) -> Option<Option<&'a [u8]>> {
        let Ok(length) = usize::try_from(length) else {
            return (length == -1).then_some(None);
        };
        let range: Range<usize> = 0..length;
        let part = self.0.get(range)?;
        self.0 = self.0.get(length..)?;
        Some(Some(part))
    }

    fn i32(&mut self) -> Option<i32> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i32::from_be_bytes(*head))
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i64::from_be_bytes(*head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(
        headers: Headers,
        prior: Option<&'a [u8]>,
        old: Option<&'a [u8]>,
    ) -> BufferValue<'a> {
        let context = BufferedContext {
            timestamp: 351,
            offset: 12,
            topic: "left",
            partition: 0,
            headers,
        };
        BufferValue {
            context,
            prior,
            old,
            new: Some(b"S12"),
        }
    }

    /// As Kafka Streams wrote it (`tests/vectors/join-st-versioned-grace.json`, the last record).
    #[test]
    fn the_bytes_are_kafkas() {
        let mut headers = Headers::new();
        headers.add("h", &b"1"[..]);
        let value = value(headers, None, None);
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        let expected = [
            &[0, 0, 0, 0, 0, 0, 1, 0x5f, 0, 0, 0, 0, 0, 0, 0, 12][..],
            &[0, 0, 0, 4],
            b"left",
            &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1],
            b"h",
            &[0, 0, 0, 1],
            b"1",
            &[255; 8],
            &[0, 0, 0, 3],
            b"S12",
        ]
        .concat();
        assert_eq!(bytes, expected);
        assert_eq!(BufferValue::decode(&bytes).unwrap(), (value, &[][..]));
        for cut in 0..bytes.len() {
            assert!(BufferValue::decode(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn an_old_value_that_is_the_prior_one_is_kept_once() {
        let same = value(Headers::new(), Some(b"9"), Some(b"9"));
        let other = value(Headers::new(), Some(b"9"), Some(b"8"));
        for value in [&same, &other] {
            let mut bytes = Vec::new();
            value.encode(&mut bytes);
            bytes.extend_from_slice(b"rest");
            assert_eq!(
                BufferValue::decode(&bytes).unwrap(),
                (value.clone(), &b"rest"[..])
            );
        }
        assert_eq!(same.estimated_size() + 1, other.estimated_size());
        assert_eq!(same.estimated_size(), 20 + 4 + 1 + 3);
    }
}
