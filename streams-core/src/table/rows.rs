//! How a table's rows lie in their store: under their key's bytes, or, of tables by windows, under local keys.

use crate::context::TaskContext;
use crate::error::TaskResult;
use crate::record::Timestamp;
use crate::serde::SerdeError;

/// What a row lies under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKeys {
    /// The bytes that its key has in topics.
    Plain,
    /// The same, with a segment before them and a sequence number of 0 behind.
    Windows,
    /// The same, with a segment before them. Values have no timestamp: it is the session's end.
    Sessions,
}

/// A table's store without types.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) store: usize,
    pub(crate) keys: RowKeys,
}

impl RowKeys {
    /// Empties `scratch.key`, for a key's bytes to be written to.
    #[inline]
    pub(crate) fn begin(self, cx: &mut TaskContext) {
        cx.scratch.key.clear();
        if self != RowKeys::Plain {
            cx.scratch.key.extend_from_slice(&[0; 8]);
        }
    }

    /// Completes `scratch.key`, behind the key's bytes.
    #[inline]
    pub(crate) fn complete(self, store: usize, cx: &mut TaskContext) -> TaskResult {
        match self {
            RowKeys::Plain => Ok(()),
            RowKeys::Windows => {
                cx.scratch.key.extend_from_slice(&[0; 4]);
                cx.localize_key(store)
            }
            RowKeys::Sessions => cx.localize_key(store),
        }
    }

    /// The end of the session in `scratch.key`; other rows have their timestamp in their value.
    #[inline]
    pub(crate) fn end(self, cx: &TaskContext) -> Timestamp {
        let key = &cx.scratch.key;
        let at = match self {
            RowKeys::Sessions => key.len().checked_sub(16),
            RowKeys::Plain | RowKeys::Windows => None,
        };
        let end = at.and_then(|at| key.get(at..)?.first_chunk());
        end.map_or(-1, |end| Timestamp::from_be_bytes(*end))
    }

    /// Takes timestamp and value of a row apart.
    #[inline]
    pub(crate) fn apart(
        self,
        end: Timestamp,
        stored: &[u8],
    ) -> Result<(Timestamp, &[u8]), SerdeError> {
        if self == RowKeys::Sessions {
            return Ok((end, stored));
        }
        match stored.split_first_chunk::<8>() {
            Some((timestamp, value)) => Ok((Timestamp::from_be_bytes(*timestamp), value)),
            None => Err(SerdeError::Length {
                type_name: "a stored value with its timestamp",
                expected: 8,
                actual: stored.len(),
            }),
        }
    }
}

impl Rows {
    /// Copies the value of the row whose key has these bytes to `scratch.value`; gives its timestamp.
    pub(crate) fn copy(self, key: &[u8], cx: &mut TaskContext) -> TaskResult<Option<Timestamp>> {
        self.keys.begin(cx);
        cx.scratch.key.extend_from_slice(key);
        self.keys.complete(self.store, cx)?;
        let end = self.keys.end(cx);
        let mut row = std::mem::take(&mut cx.scratch.value);
        row.clear();
        let found = match cx.store_get(self.store) {
            Ok(Some(stored)) => self.keys.apart(end, stored).map(|(timestamp, value)| {
                row.extend_from_slice(value);
                Some(timestamp)
            }),
            Ok(None) => Ok(None),
            Err(e) => return Err(e),
        };
        cx.scratch.value = row;
        found.map_err(|reason| cx.corrupt_store(self.store, reason))
    }
}
