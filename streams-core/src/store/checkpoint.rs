//! What a commit stores beside the state: where changelogs, inputs and stream times stand. Its bytes: `docs/formats.md`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::{Timestamp, TopicPartition};

/// The version of the encoding that [`encode`] writes. Version 1 had no marks.
const VERSION: u8 = 2;

/// What a window or session store remembers beside its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The largest timestamp that was written; -1 before the first.
    pub(super) observed: Timestamp,
    /// The last sequence number, of a store that keeps duplicates.
    pub(super) sequence: i32,
}

impl Default for Mark {
    fn default() -> Self {
        Mark {
            observed: -1,
            sequence: 0,
        }
    }
}

/// Where a task stands as of a commit. Written in the same transaction as the state, so the two never disagree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// For each store, in the order they were opened in: the changelog offset from which on it has to be restored. Any lower
    /// bound will do. `None`: from the beginning, or there is no changelog.
    pub changelog: Vec<Option<i64>>,
    /// The next offset to process of each input partition.
    pub inputs: BTreeMap<TopicPartition, i64>,
    /// Stream times: the highest timestamp seen, by operator or partition, under a name that its owner chooses.
    pub stream_times: BTreeMap<Arc<str>, Timestamp>,
}

impl Checkpoint {
    /// The changelog offset of a store.
    #[must_use]
    pub fn changelog_offset(&self, store: usize) -> Option<i64> {
        self.changelog.get(store).copied().flatten()
    }

    /// Sets the changelog offset of a store.
    pub fn set_changelog_offset(&mut self, store: usize, offset: Option<i64>) {
        if self.changelog.len() <= store {
            self.changelog.resize(store + 1, None);
        }
        if let Some(slot) = self.changelog.get_mut(store) {
            *slot = offset;
        }
    }
}

/// As it lies on disk: stores by name, those of older topologies among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) changelog: BTreeMap<String, i64>,
    pub(super) inputs: BTreeMap<TopicPartition, i64>,
    pub(super) stream_times: BTreeMap<Arc<str>, Timestamp>,
    pub(super) marks: BTreeMap<String, Mark>,
}

pub(super) fn encode(stored: &Stored, out: &mut Vec<u8>) {
    out.push(VERSION);
    count(out, stored.changelog.len());
    for (name, offset) in &stored.changelog {
        text(out, name);
        out.extend_from_slice(&offset.to_be_bytes());
    }
    count(out, stored.inputs.len());
    for (partition, offset) in &stored.inputs {
        text(out, &partition.topic);
        out.extend_from_slice(&partition.partition.to_be_bytes());
        out.extend_from_slice(&offset.to_be_bytes());
    }
    count(out, stored.stream_times.len());
    for (name, time) in &stored.stream_times {
        text(out, name);
        out.extend_from_slice(&time.to_be_bytes());
    }
    count(out, stored.marks.len());
    for (name, mark) in &stored.marks {
        text(out, name);
        out.extend_from_slice(&mark.observed.to_be_bytes());
        out.extend_from_slice(&mark.sequence.to_be_bytes());
    }
}

fn count(out: &mut Vec<u8>, n: usize) {
    // There are never so many partitions or stores; a task would not fit into memory.
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Why bytes are no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// Written by a later version.
    Newer(u8),
    /// Not written by any.
    Malformed,
}

pub(super) fn decode(bytes: &[u8]) -> Result<Stored, Undecodable> {
    let mut input = Input(bytes);
    let version = match input.u8() {
        Some(version @ 1..=VERSION) => version,
        Some(version) if version > VERSION => return Err(Undecodable::Newer(version)),
        _ => return Err(Undecodable::Malformed),
    };
    input
        .stored(version)
        .filter(|_| input.0.is_empty())
        .ok_or(Undecodable::Malformed)
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn stored(&mut self, version: u8) -> Option<Stored> {
        let mut stored = Stored::default();
        for _ in 0..self.u32()? {
            let name = self.text()?.to_owned();
            stored.changelog.insert(name, self.i64()?);
        }
        for _ in 0..self.u32()? {
            let topic: Arc<str> = self.text()?.into();
            let partition = TopicPartition {
                topic,
                partition: i32::from_be_bytes(self.array()?),
            };
            stored.inputs.insert(partition, self.i64()?);
        }
        for _ in 0..self.u32()? {
            let name: Arc<str> = self.text()?.into();
            stored.stream_times.insert(name, self.i64()?);
        }
        if version > 1 {
            for _ in 0..self.u32()? {
                let name = self.text()?.to_owned();
                let observed = self.i64()?;
                let sequence = i32::from_be_bytes(self.array()?);
                stored.marks.insert(name, Mark { observed, sequence });
            }
        }
        Some(stored)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn text(&mut self) -> Option<&str> {
        let length = self.u32()? as usize;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(head).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// These very bytes are documented in `docs/formats.md` and lie on users' disks.
    #[test]
    fn the_bytes_are_those_of_the_document() {
        let mut stored = Stored::default();
        stored.changelog.insert("counts".to_owned(), 7);
        stored.inputs.insert(TopicPartition::new("lines", 2), 258);
        stored.stream_times.insert("w".into(), -1);
        let mark = Mark {
            observed: 258,
            sequence: 3,
        };
        stored.marks.insert("m".to_owned(), mark);
        let mut bytes = Vec::new();
        encode(&stored, &mut bytes);
        assert_eq!(
            bytes,
            [
                &[2][..],
                &[0, 0, 0, 1, 0, 0, 0, 6],
                b"counts",
                &[0, 0, 0, 0, 0, 0, 0, 7],
                &[0, 0, 0, 1, 0, 0, 0, 5],
                b"lines",
                &[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 2],
                &[0, 0, 0, 1, 0, 0, 0, 1],
                b"w",
                &[255; 8],
                &[0, 0, 0, 1, 0, 0, 0, 1],
                b"m",
                &[0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3],
            ]
            .concat()
        );
        assert_eq!(decode(&bytes), Ok(stored.clone()));
        bytes[0] = 3;
        assert_eq!(decode(&bytes), Err(Undecodable::Newer(3)));
        // As version 1 left it: without marks.
        bytes[0] = 1;
        bytes.truncate(bytes.len() - 21);
        stored.marks.clear();
        assert_eq!(decode(&bytes), Ok(stored));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&bytes);
            for version in 1..=VERSION {
                let mut versioned = vec![version];
                versioned.extend(&bytes);
                let _ = decode(&versioned);
            }
        }

        #[test]
        fn a_checkpoint_comes_back(
            changelog in proptest::collection::btree_map(".{0,9}", any::<i64>(), 0..4),
            inputs in proptest::collection::btree_map((".{0,9}", any::<i32>()), any::<i64>(), 0..4),
            times in proptest::collection::btree_map(".{0,9}", any::<i64>(), 0..4),
            marks in proptest::collection::btree_map(".{0,9}", (any::<i64>(), any::<i32>()), 0..4),
        ) {
            let stored = Stored {
                changelog,
                inputs: inputs.into_iter().map(|((t, p), o)| (TopicPartition::new(t, p), o)).collect(),
                stream_times: times.into_iter().map(|(n, t)| (n.into(), t)).collect(),
                marks: marks
                    .into_iter()
                    .map(|(n, (observed, sequence))| (n, Mark { observed, sequence }))
                    .collect(),
            };
            let mut bytes = Vec::new();
            encode(&stored, &mut bytes);
            prop_assert_eq!(decode(&bytes), Ok(stored));
            for cut in 0..bytes.len() {
                prop_assert!(decode(&bytes[..cut]).is_err());
            }
        }
    }
}
