//! A doubly linked list of positions. The links lie apart from what they order, so that moving an entry touches few cache lines.

use std::hint::black_box;

/// No position.
const NIL: u32 = u32::MAX;

/// Stands for both links of a position that is not in the list.
const OUTSIDE: Links = Links {
    before: NIL - 1,
    after: NIL - 1,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Links {
    before: u32,
    after: u32,
}

/// Positions in an order, each at most once.
#[derive(Debug)]
pub(super) struct List {
    links: Vec<Links>,
    first: u32,
    last: u32,
}

impl List {
    pub(super) const fn new() -> Self {
        List {
            links: Vec::new(),
            first: NIL,
            last: NIL,
        }
    }

    #[inline]
    pub(super) fn first(&self) -> Option<u32> {
        (self.first != NIL).then_some(self.first)
    }

    #[inline]
    pub(super) fn last(&self) -> Option<u32> {
        (self.last != NIL).then_some(self.last)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first == NIL
    }

    /// The position after another.
    pub(super) fn after(&self, at: u32) -> Option<u32> {
        self.links
            .get(at as usize)
            .map(|l| l.after)
            .filter(|after| *after < NIL - 1)
    }

    #[inline]
    pub(super) fn contains(&self, at: u32) -> bool {
        self.links.get(at as usize).is_some_and(|l| *l != OUTSIDE)
    }

    /// Brings close the positions before and after another, which change when it moves.
    #[inline]
    pub(super) fn look_around(&self, at: u32) {
        let links = self.links.get(at as usize);
        let around = links.map(|l| [l.before, l.after]).into_iter().flatten();
        for at in around {
            black_box(self.links.get(at as usize).copied());
        }
    }

    /// Makes a position the first, wherever it was.
    #[inline]
    pub(super) fn move_to_first(&mut self, at: u32) {
        if self.first != at {
            self.remove(at);
            let after = std::mem::replace(&mut self.first, at);
            self.set(at, |l| *l = Links { before: NIL, after });
            self.set(after, |l| l.before = at);
            if after == NIL {
                self.last = at;
            }
        }
    }

    /// Makes a position the last, wherever it was.
    #[inline]
    pub(super) fn move_to_last(&mut self, at: u32) {
        if self.last != at {
            self.remove(at);
            let before = std::mem::replace(&mut self.last, at);
            self.set(at, |l| *l = Links { before, after: NIL });
            self.set(before, |l| l.after = at);
            if before == NIL {
                self.first = at;
            }
        }
    }

    /// Takes a position out, if it is in; makes room for it otherwise.
    #[inline]
    pub(super) fn remove(&mut self, at: u32) {
        match self.links.get(at as usize) {
            None => self.links.resize(at as usize + 1, OUTSIDE),
            Some(&OUTSIDE) => {}
            Some(&Links { before, after }) => {
                if self.first == at {
                    self.first = after;
                }
                if self.last == at {
                    self.last = before;
                }
                self.set(before, |l| l.after = after);
                self.set(after, |l| l.before = before);
                self.set(at, |l| *l = OUTSIDE);
            }
        }
    }

    #[inline]
    fn set(&mut self, at: u32, change: impl FnOnce(&mut Links)) {
        if let Some(links) = self.links.get_mut(at as usize) {
            change(links);
        }
    }
}
