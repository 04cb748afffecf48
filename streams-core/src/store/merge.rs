//! A range over write buffer and backend together: what was put hides what was committed.

use super::StoreError;
use super::buffer::BufferRange;
use super::reader::CommittedRange;
use crate::lmdb::Direction;

/// Entries in order of their keys, as of the last put.
#[derive(Debug)]
pub struct MergedRange<'a> {
    buffered: BufferRange<'a>,
    committed: CommittedRange<'a>,
    direction: Direction,
    next_buffered: Option<(&'a [u8], Option<&'a [u8]>)>,
    next_committed: Option<(&'a [u8], &'a [u8])>,
    /// Whether the two heads above were ever filled.
    begun: bool,
}

impl<'a> MergedRange<'a> {
    pub(super) fn new(
        buffered: BufferRange<'a>,
        committed: CommittedRange<'a>,
        direction: Direction,
    ) -> Self {
        let (next_buffered, next_committed) = (None, None);
        MergedRange {
            buffered,
            committed,
            direction,
            next_buffered,
            next_committed,
            begun: false,
        }
    }

    fn advance_committed(&mut self) -> Result<(), StoreError> {
        self.next_committed = None;
        self.next_committed = self.committed.next().transpose()?;
        Ok(())
    }
}

impl<'a> Iterator for MergedRange<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.begun {
            self.begun = true;
            self.next_buffered = self.buffered.next();
            if let Err(e) = self.advance_committed() {
                return Some(Err(e));
            }
        }
        loop {
            let order = match (self.next_buffered, self.next_committed) {
                (None, None) => return None,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(_), None) => std::cmp::Ordering::Less,
                (Some((put, _)), Some((committed, _))) => match self.direction {
                    Direction::Forward => put.cmp(committed),
                    Direction::Backward => committed.cmp(put),
                },
            };
            if order.is_gt() {
                let entry = self.next_committed?;
                return Some(self.advance_committed().map(|()| entry));
            }
            let (key, value) = self.next_buffered?;
            self.next_buffered = self.buffered.next();
            if order.is_eq()
                && let Err(e) = self.advance_committed()
            {
                return Some(Err(e));
            }
            if let Some(value) = value {
                return Some(Ok((key, value)));
            }
        }
    }
}
