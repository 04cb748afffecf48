//! Committed entries between two keys, read from either end while a snapshot lasts: what queries iterate.

use std::fmt;
use std::ops::Bound;

use super::memory::MapRange;
use super::{StoreError, disk};
use crate::lmdb::{Database, Direction, View};

/// Entries in order of their keys, from both ends.
#[derive(Debug)]
pub struct Entries<'a>(Either<'a>);

#[derive(Debug)]
enum Either<'a> {
    Memory(MapRange<'a>),
    Disk(Box<DiskEntries<'a>>),
}

impl<'a> Entries<'a> {
    pub(super) fn of_map(range: MapRange<'a>) -> Self {
        Entries(Either::Memory(range))
    }

    pub(super) fn on_disk(
        view: View<'a>,
        database: Database,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Self {
        Entries(Either::Disk(Box::new(DiskEntries {
            view,
            database,
            from: from.map(Into::into),
            to: to.map(Into::into),
            front: End::default(),
            back: End::default(),
            finished: false,
        })))
    }
}

/// LMDB has a cursor for each direction; they meet where one sees what the other has passed.
struct DiskEntries<'a> {
    view: View<'a>,
    database: Database,
    from: Bound<Box<[u8]>>,
    to: Bound<Box<[u8]>>,
    front: End<'a>,
    back: End<'a>,
    finished: bool,
}

impl fmt::Debug for DiskEntries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskEntries")
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// One end: its cursor, opened when it is first asked, and the last key that it gave.
#[derive(Default)]
struct End<'a> {
    range: Option<disk::DiskRange<'a>>,
    last: Option<&'a [u8]>,
}

type Entry<'a> = Result<(&'a [u8], &'a [u8]), StoreError>;

impl<'a> DiskEntries<'a> {
    fn advance(&mut self, direction: Direction) -> Option<Entry<'a>> {
        if self.finished {
            return None;
        }
        let (end, other) = match direction {
            Direction::Forward => (&mut self.front, &self.back),
            Direction::Backward => (&mut self.back, &self.front),
        };
        let range = match &mut end.range {
            Some(range) => range,
            None => {
                let (from, to) = (
                    self.from.as_ref().map(AsRef::as_ref),
                    self.to.as_ref().map(AsRef::as_ref),
                );
                match disk::range(self.view, self.database, from, to, direction) {
                    Ok(range) => end.range.insert(range),
                    Err(e) => {
                        self.finished = true;
                        return Some(Err(e.into()));
                    }
                }
            }
        };
        let next = match range.next() {
            Some(Ok((key, value))) => {
                let passed = other.last.is_some_and(|last| match direction {
                    Direction::Forward => key >= last,
                    Direction::Backward => key <= last,
                });
                end.last = Some(key);
                (!passed).then_some(Ok((key, value)))
            }
            Some(Err(e)) => {
                self.finished = true;
                return Some(Err(e.into()));
            }
            None => None,
        };
        self.finished = next.is_none();
        next
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Either::Memory(range) => range.next().map(Ok),
            Either::Disk(entries) => entries.advance(Direction::Forward),
        }
    }
}

impl DoubleEndedIterator for Entries<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Either::Memory(range) => range.next_back().map(Ok),
            Either::Disk(entries) => entries.advance(Direction::Backward),
        }
    }
}
