//! The past of one key in one segment, as a row: Kafka Streams' `RocksDBVersionedStoreSegmentValueFormatter`.
//!
//! `next:8 first:8`, then for each version, the latest first, `from:8 length:4` (-1 is a tombstone), then their values, the
//! latest last. A version lasts until the one before it in the list begins; the first of the list until `next`. Where a key has
//! nothing but a tombstone, `next`, `first` and that one version's time are the same.

use std::ops::Range;

use crate::record::Timestamp;

/// A row, decoded. Keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Row {
    next: Timestamp,
    /// The latest first.
    versions: Vec<(Timestamp, Option<Range<usize>>)>,
    /// Their values, in any order.
    values: Vec<u8>,
}

/// A version of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InRow {
    pub(super) index: usize,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

impl Row {
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Option<()> {
        let (next, rest) = bytes.split_first_chunk::<8>()?;
        let (first, mut rest) = rest.split_first_chunk::<8>()?;
        let first = Timestamp::from_be_bytes(*first);
        self.next = Timestamp::from_be_bytes(*next);
        self.versions.clear();
        self.values.clear();
        let mut end = bytes.len();
        loop {
            let (from, after) = rest.split_first_chunk::<8>()?;
            let (length, after) = after.split_first_chunk::<4>()?;
            rest = after;
            let from = Timestamp::from_be_bytes(*from);
            let range = match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) => {
                    let start = end.checked_sub(length)?;
                    let at = self.values.len();
                    self.values.extend_from_slice(bytes.get(start..end)?);
                    end = start;
                    Some(at..at + length)
                }
                Err(_) => None,
            };
            self.versions.push((from, range));
            if from <= first {
                return (from == first && bytes.len() - rest.len() == end).then_some(());
            }
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.next.to_be_bytes());
        out.extend_from_slice(&self.first().to_be_bytes());
        for (from, range) in &self.versions {
            // A value comes from a record, which is shorter than 2 GiB.
            let length = range
                .as_ref()
                .map_or(-1, |r| i32::try_from(r.len()).unwrap_or(i32::MAX));
            out.extend_from_slice(&from.to_be_bytes());
            out.extend_from_slice(&length.to_be_bytes());
        }
        for (_, range) in self.versions.iter().rev() {
            let value = range.clone().and_then(|r| self.values.get(r));
            out.extend_from_slice(value.unwrap_or_default());
        }
    }

    /// When its latest version ends.
    pub(super) fn next(&self) -> Timestamp {
        self.next
    }

    /// When its first version begins.
    pub(super) fn first(&self) -> Timestamp {
        self.versions.last().map_or(self.next, |(from, _)| *from)
    }

    pub(super) fn len(&self) -> usize {
        self.versions.len()
    }

    pub(super) fn at(&self, index: usize) -> Option<InRow> {
        let (from, _) = self.versions.get(index)?;
        let to = match index.checked_sub(1).and_then(|i| self.versions.get(i)) {
            Some((from, _)) => *from,
            None => self.next,
        };
        Some(InRow {
            index,
            from: *from,
            to,
        })
    }

    /// The version that is valid at a time between [`Row::first`] and [`Row::next`].
    pub(super) fn find(&self, time: Timestamp) -> Option<InRow> {
        let index = self.versions.partition_point(|(from, _)| *from > time);
        self.at(index)
    }

    /// A version's value; `None` is a tombstone.
    pub(super) fn value(&self, index: usize) -> Option<&[u8]> {
        let (_, range) = self.versions.get(index)?;
        self.values.get(range.clone()?)
    }

    /// Makes it a row of nothing but a tombstone at a time.
    pub(super) fn begin_at(&mut self, time: Timestamp) {
        self.next = time;
        self.versions.clear();
        self.versions.push((time, None));
        self.values.clear();
    }

    fn is_only_a_tombstone(&self) -> bool {
        self.next == self.first()
    }

    /// Adds a version behind all others. Between them nothing was.
    pub(super) fn add_latest(&mut self, from: Timestamp, to: Timestamp, value: Option<&[u8]>) {
        if self.is_only_a_tombstone() {
            self.versions.clear();
        }
        if self.next != from {
            self.insert(0, self.next, None);
        }
        self.insert(0, from, value);
        self.next = to;
    }

    /// Adds a version before all others.
    pub(super) fn add_first(&mut self, from: Timestamp, value: Option<&[u8]>) {
        if self.is_only_a_tombstone() {
            self.versions.clear();
        }
        self.insert(self.versions.len(), from, value);
    }

    /// Adds a version that begins after the one at `index` and ends with it.
    pub(super) fn insert(&mut self, index: usize, from: Timestamp, value: Option<&[u8]>) {
        let range = self.keep(value);
        self.versions
            .insert(index.min(self.versions.len()), (from, range));
    }

    /// Replaces a version.
    pub(super) fn set(&mut self, index: usize, from: Timestamp, value: Option<&[u8]>) {
        let range = self.keep(value);
        if let Some(version) = self.versions.get_mut(index) {
            *version = (from, range);
        }
    }

    fn keep(&mut self, value: Option<&[u8]>) -> Option<Range<usize>> {
        let value = value?;
        let at = self.values.len();
        self.values.extend_from_slice(value);
        Some(at..at + value.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(row: &Row) -> Vec<u8> {
        let mut out = Vec::new();
        row.encode(&mut out);
        out
    }

    /// These very bytes are documented in `docs/formats.md` and lie on users' disks.
    #[test]
    fn the_bytes_are_those_of_the_document() {
        let mut row = Row::default();
        row.begin_at(1);
        assert_eq!(
            bytes(&row),
            [&[0, 0, 0, 0, 0, 0, 0, 1].repeat(3)[..], &[255; 4]].concat()
        );
        row.add_latest(1, 3, Some(b"ab"));
        row.add_latest(4, 5, Some(b"c"));
        let expected = [
            &[0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1][..],
            &[0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1],
            &[0, 0, 0, 0, 0, 0, 0, 3, 255, 255, 255, 255],
            &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2],
            b"abc",
        ]
        .concat();
        assert_eq!(bytes(&row), expected);
        let mut again = Row::default();
        assert_eq!(again.decode(&expected), Some(()));
        assert_eq!(bytes(&again), expected);
        assert_eq!(again.value(0), Some(&b"c"[..]));
        assert_eq!(again.value(1), None);
        assert_eq!(again.value(2), Some(&b"ab"[..]));
        for cut in 0..expected.len() {
            assert_eq!(again.decode(&expected[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn a_version_is_found_by_its_time() {
        let mut row = Row::default();
        row.begin_at(10);
        row.add_latest(10, 20, Some(b"x"));
        row.add_first(5, Some(b"y"));
        let found = row.find(19).unwrap();
        assert_eq!((found.from, found.to), (10, 20));
        let found = row.find(9).unwrap();
        assert_eq!((found.from, found.to), (5, 10));
        row.insert(found.index, 7, None);
        assert_eq!(row.find(8).map(|f| (f.from, f.to)), Some((7, 10)));
        assert_eq!(row.value(row.find(8).unwrap().index), None);
        assert_eq!(row.find(6).map(|f| (f.from, f.to)), Some((5, 7)));
    }
}
