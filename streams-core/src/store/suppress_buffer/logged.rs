//! Records of a suppression's changelog: the format that is written (3), and those of earlier Kafka Streams, which are read.

use super::{BufferValue, BufferedContext, MALFORMED, buffer_time};
use crate::record::Timestamp;
use crate::store::StoreError;
use crate::store::buffer_value::Input;

/// A record of a suppression's changelog.
#[derive(Debug, Clone)]
pub struct Logged<'a> {
    /// The value of its header `v`; the first format has none.
    pub version: Option<&'a [u8]>,
    /// Its value; `None` says that the key left the buffer.
    pub value: Option<&'a [u8]>,
    /// The record itself: what the first format has no other place for.
    pub record: BufferedContext<'a>,
}

impl<'a> Logged<'a> {
    /// The update and its buffer time. The two oldest formats do not say what the key was before it began to wait: `former` does.
    pub(super) fn decode(
        self,
        former: Option<&BufferValue<'a>>,
    ) -> Result<(BufferValue<'a>, Timestamp), StoreError> {
        let bytes = self.value.ok_or(MALFORMED)?;
        let former = former.and_then(|former| former.prior);
        match self.version {
            Some([3]) => third(bytes),
            // Some versions wrote the third format under the second's number.
            Some([2]) => second(bytes).ok_or(MALFORMED).or_else(|_| third(bytes)),
            Some([1]) => first(bytes, former, None).ok_or(MALFORMED),
            None => first(bytes, former, Some(self.record)).ok_or(MALFORMED),
            Some(_) => Err(StoreError::Malformed {
                what: "a suppression's changelog record of an unknown format",
            }),
        }
    }
}

fn third(bytes: &[u8]) -> Result<(BufferValue<'_>, Timestamp), StoreError> {
    let (value, rest) = BufferValue::decode(bytes)?;
    if rest.len() != 8 {
        return Err(MALFORMED);
    }
    Ok((value, buffer_time(rest)?))
}

/// Context, old and new value as one, prior value, buffer time.
fn second(bytes: &[u8]) -> Option<(BufferValue<'_>, Timestamp)> {
    let mut input = Input(bytes);
    let context = input.context()?;
    let (old, new) = change(input.sized()??)?;
    let prior = input.sized()?;
    let time = input.i64()?;
    let value = BufferValue {
        context,
        prior,
        old,
        new,
    };
    input.0.is_empty().then_some((value, time))
}

/// Buffer time, then (without a context: nothing, and it is the record's) context and length, then old and new value.
fn first<'a>(
    bytes: &'a [u8],
    former: Option<&'a [u8]>,
    record: Option<BufferedContext<'a>>,
) -> Option<(BufferValue<'a>, Timestamp)> {
    let mut input = Input(bytes);
    let time = input.i64()?;
    let (context, (old, new)) = match record {
        Some(record) => (record, change(input.0)?),
        None => {
            let context = input.context()?;
            (context, change(input.sized()??)?)
        }
    };
    let value = BufferValue {
        context,
        prior: former.or(old),
        old,
        new,
    };
    Some((value, time))
}

type Change<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// The old value, then the new one.
fn change(bytes: &[u8]) -> Option<Change<'_>> {
    let mut input = Input(bytes);
    let (old, new) = (input.sized()?, input.sized()?);
    Some((old, new))
}
