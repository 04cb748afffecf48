//! The entries of a write buffer: keys and values side by side in large pieces of memory, without an allocation for each.

use std::hint::black_box;

/// What a position counts, in bytes.
const UNIT: usize = 8;

/// How many bits of a position count units within its piece; the others are the piece's number.
const OFFSET_BITS: u32 = 13;

/// An entry begins in these first bytes of a piece, whatever else it holds.
const PIECE: usize = UNIT << OFFSET_BITS;

/// The first piece; each is as large as all before it together, up to [`PIECE`].
const FIRST_PIECE: usize = 1 << 10;

/// The lengths of key and value, the room for the value, and where it lies.
const HEADER: usize = 16;

/// As the length of a value: the entry deletes its key.
const DELETED: u32 = u32::MAX;

/// As the place of a value: behind its key.
const BEHIND_KEY: u32 = u32::MAX;

/// Entries by position. They are added, and their values replaced, until all are forgotten at once.
#[derive(Debug, Default)]
pub(super) struct Arena {
    pieces: Vec<Vec<u8>>,
    /// The piece that is being filled; those behind it are empty.
    current: usize,
}

#[derive(Debug, Clone, Copy)]
struct Header {
    key: u32,
    value: u32,
    room: u32,
    place: u32,
}

impl Header {
    #[inline]
    fn read(bytes: &[u8]) -> Option<(Header, &[u8])> {
        let (key, rest) = bytes.split_first_chunk()?;
        let (value, rest) = rest.split_first_chunk()?;
        let (room, rest) = rest.split_first_chunk()?;
        let (place, rest) = rest.split_first_chunk()?;
        let header = Header {
            key: u32::from_ne_bytes(*key),
            value: u32::from_ne_bytes(*value),
            room: u32::from_ne_bytes(*room),
            place: u32::from_ne_bytes(*place),
        };
        Some((header, rest))
    }

    #[inline]
    fn bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let parts = [self.key, self.value, self.room, self.place];
        for (to, part) in bytes.chunks_exact_mut(4).zip(parts) {
            to.copy_from_slice(&part.to_ne_bytes());
        }
        bytes
    }
}

/// The length of bytes that lie in memory anyway: those of a record, which has less than 2 GiB.
#[inline]
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(DELETED - 1)
}

impl Arena {
    /// Adds an entry; `None` as the value deletes the key.
    #[inline]
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> u32 {
        let of_value = value.unwrap_or_default();
        let header = Header {
            key: length(key),
            value: value.map_or(DELETED, length),
            room: length(of_value),
            place: BEHIND_KEY,
        };
        self.append(HEADER + key.len() + of_value.len(), |piece| {
            piece.extend_from_slice(&header.bytes());
            piece.extend_from_slice(key);
            piece.extend_from_slice(of_value);
        })
    }

    /// The key of an entry.
    #[inline]
    pub(super) fn key(&self, at: u32) -> &[u8] {
        let Some((header, rest)) = Header::read(self.at(at)) else {
            return &[];
        };
        rest.get(..header.key as usize).unwrap_or_default()
    }

    /// The value of an entry; `None` if it deletes its key.
    #[inline]
    pub(super) fn value(&self, at: u32) -> Option<&[u8]> {
        self.get(at).1
    }

    /// Key and value of an entry.
    #[inline]
    pub(super) fn get(&self, at: u32) -> (&[u8], Option<&[u8]>) {
        let Some((header, rest)) = Header::read(self.at(at)) else {
            return (&[], None);
        };
        let (key, behind) = rest
            .split_at_checked(header.key as usize)
            .unwrap_or_default();
        if header.value == DELETED {
            return (key, None);
        }
        let lies = match header.place {
            BEHIND_KEY => behind,
            place => self.at(place),
        };
        (key, lies.get(..header.value as usize))
    }

    /// Brings an entry close.
    #[inline]
    pub(super) fn look_ahead(&self, at: u32) {
        if let Some(value) = self.value(at) {
            touch(value);
        }
    }

    /// Replaces the value of an entry: in place where there is room, elsewhere with room to grow where there is not.
    pub(super) fn set(&mut self, at: u32, value: Option<&[u8]>) {
        let Some((mut header, _)) = Header::read(self.at(at)) else {
            return;
        };
        header.value = value.map_or(DELETED, length);
        if let Some(value) = value {
            if value.len() > header.room as usize {
                // So that a value that grows again and again leaves behind no more than it takes itself.
                let room = value.len() + header.room as usize;
                header.place = self.append(room, |piece| {
                    piece.extend_from_slice(value);
                    piece.resize(piece.len() + room - value.len(), 0);
                });
                header.room = u32::try_from(room).unwrap_or(DELETED - 1);
            } else {
                let (place, from) = match header.place {
                    BEHIND_KEY => (at, HEADER + header.key as usize),
                    place => (place, 0),
                };
                let room = self.at_mut(place).get_mut(from..from + value.len());
                if let Some(room) = room {
                    room.copy_from_slice(value);
                }
            }
        }
        if let Some(to) = self.at_mut(at).first_chunk_mut() {
            *to = header.bytes();
        }
    }

    /// Forgets all entries; keeps the memory, unless it was for an unusual load.
    pub(super) fn clear(&mut self) {
        let used: usize = self.pieces.iter().map(Vec::len).sum();
        let held: usize = self.pieces.iter().map(Vec::capacity).sum();
        if held > 4 * used + PIECE {
            *self = Arena::default();
            return;
        }
        self.pieces.iter_mut().for_each(Vec::clear);
        self.current = 0;
    }

    #[inline]
    fn at(&self, at: u32) -> &[u8] {
        let piece = self.pieces.get((at >> OFFSET_BITS) as usize);
        piece.and_then(|p| p.get(offset(at)..)).unwrap_or_default()
    }

    fn at_mut(&mut self, at: u32) -> &mut [u8] {
        let piece = self.pieces.get_mut((at >> OFFSET_BITS) as usize);
        piece
            .and_then(|p| p.get_mut(offset(at)..))
            .unwrap_or_default()
    }

    /// Has so many bytes written, where there is room for them side by side; tells where they are.
    #[inline]
    fn append(&mut self, bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> u32 {
        let fits = |piece: &Vec<u8>| {
            let start = piece.len().next_multiple_of(UNIT);
            start < PIECE && start + bytes <= piece.capacity()
        };
        if !self.pieces.get(self.current).is_some_and(fits) {
            self.next_piece(bytes);
        }
        let Some(piece) = self.pieces.get_mut(self.current) else {
            return u32::MAX;
        };
        piece.resize(piece.len().next_multiple_of(UNIT), 0);
        // 2^19 pieces would be far more than fits into memory.
        let number = u32::try_from(self.current).unwrap_or(u32::MAX);
        let units = u32::try_from(piece.len() / UNIT).unwrap_or(u32::MAX);
        write(piece);
        (number << OFFSET_BITS) | units
    }

    /// Goes on with a piece that has so much room.
    #[cold]
    fn next_piece(&mut self, bytes: usize) {
        if self.pieces.get(self.current).is_some_and(|p| !p.is_empty()) {
            self.current += 1;
        }
        let so_far: usize = self.pieces.iter().map(Vec::capacity).sum();
        let capacity = so_far.clamp(FIRST_PIECE, PIECE).max(bytes);
        match self.pieces.get_mut(self.current) {
            Some(piece) if piece.capacity() >= bytes => {}
            Some(piece) => *piece = Vec::with_capacity(capacity),
            None => self.pieces.push(Vec::with_capacity(capacity)),
        }
    }
}

/// Reads from the beginning of a value, from each piece that a processor fetches at once, so that it is fetched.
#[inline]
pub(super) fn touch(value: &[u8]) {
    for byte in value.iter().step_by(64).take(4) {
        black_box(*byte);
    }
}

#[inline]
fn offset(at: u32) -> usize {
    (at as usize & (PIECE / UNIT - 1)) * UNIT
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(seed: usize, length: usize) -> Vec<u8> {
        (0..length).map(|i| (seed * 31 + i) as u8).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn entries_keep_what_was_put_last(
            rounds in proptest::collection::vec(
                proptest::collection::vec(
                    (0..40_usize, 0..40_usize, proptest::option::of(prop_oneof![0..30_usize, 900..5_000_usize, 65_000..66_000_usize])),
                    0..40,
                ),
                1..3,
            ),
        ) {
            let mut arena = Arena::default();
            for puts in rounds {
                let mut model: Vec<(u32, Vec<u8>, Option<Vec<u8>>)> = Vec::new();
                for (seed, (which, key, value)) in puts.into_iter().enumerate() {
                    let value = value.map(|length| bytes(seed, length));
                    match model.get_mut(which) {
                        Some((at, _, old)) => {
                            arena.set(*at, value.as_deref());
                            *old = value;
                        }
                        None => {
                            let key = bytes(seed, key);
                            let at = arena.push(&key, value.as_deref());
                            model.push((at, key, value));
                        }
                    }
                    for (at, key, value) in &model {
                        prop_assert_eq!(arena.get(*at), (key.as_slice(), value.as_deref()));
                        prop_assert_eq!(arena.key(*at), key.as_slice());
                    }
                }
                arena.clear();
            }
        }
    }

    #[test]
    fn a_value_that_grows_byte_by_byte_takes_its_room_a_few_times() {
        let mut arena = Arena::default();
        let at = arena.push(b"key", Some(b""));
        let value = bytes(1, 100_000);
        for length in 0..value.len() {
            arena.set(at, value.get(..length));
        }
        assert_eq!(arena.value(at), value.get(..99_999));
        let held: usize = arena.pieces.iter().map(Vec::capacity).sum();
        assert!(held < 500_000, "{held}");
    }
}
