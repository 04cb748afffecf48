//! The entries of several partitions in one order, lazily and from both ends.

use super::{ByteEntries, ByteEntry};

/// Entries in the order of their keys' bytes.
pub struct Merged<'s> {
    parts: Vec<Part<'s>>,
}

struct Part<'s> {
    entries: ByteEntries<'s>,
    front: Option<ByteEntry<'s>>,
    back: Option<ByteEntry<'s>>,
}

/// From which end.
#[derive(Clone, Copy)]
enum From {
    Front,
    Back,
}

impl std::fmt::Debug for Merged<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merged")
            .field("parts", &self.parts.len())
            .finish()
    }
}

impl<'s> Part<'s> {
    /// What one end has next; what the other one has looked at, where there is nothing between.
    fn peek(&mut self, end: From) -> Option<&ByteEntry<'s>> {
        match end {
            From::Front if self.front.is_none() => {
                self.front = self.entries.next().or_else(|| self.back.take());
            }
            From::Back if self.back.is_none() => {
                self.back = self.entries.next_back().or_else(|| self.front.take());
            }
            _ => {}
        }
        match end {
            From::Front => self.front.as_ref(),
            From::Back => self.back.as_ref(),
        }
    }

    fn take(&mut self, end: From) -> Option<ByteEntry<'s>> {
        match end {
            From::Front => self.front.take(),
            From::Back => self.back.take(),
        }
    }
}

impl<'s> Merged<'s> {
    pub(super) fn new(parts: impl IntoIterator<Item = ByteEntries<'s>>) -> Self {
        let part = |entries| Part {
            entries,
            front: None,
            back: None,
        };
        Merged {
            parts: parts.into_iter().map(part).collect(),
        }
    }

    /// Whether there is nothing; an error is something.
    pub(super) fn is_empty(&mut self) -> bool {
        self.parts
            .iter_mut()
            .all(|part| part.peek(From::Front).is_none())
    }

    fn advance(&mut self, end: From) -> Option<ByteEntry<'s>> {
        let mut best: Option<(usize, &'s [u8])> = None;
        for (index, part) in self.parts.iter_mut().enumerate() {
            match part.peek(end) {
                None => {}
                Some(Err(_)) => return part.take(end),
                Some(Ok((key, _))) => {
                    let better = best.is_none_or(|(_, other)| match end {
                        From::Front => *key < other,
                        From::Back => *key >= other,
                    });
                    if better {
                        best = Some((index, key));
                    }
                }
            }
        }
        let (index, _) = best?;
        self.parts.get_mut(index)?.take(end)
    }
}

impl<'s> Iterator for Merged<'s> {
    type Item = ByteEntry<'s>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance(From::Front)
    }
}

impl DoubleEndedIterator for Merged<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.advance(From::Back)
    }
}
