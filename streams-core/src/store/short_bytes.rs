//! Bytes that need no allocation of their own while they are short: most keys, and the values of counts.

use std::borrow::Borrow;
use std::cmp::Ordering;

/// The longest that lies inline.
const INLINE: usize = 22;

/// Owned bytes in 24 bytes, inline up to 22.
#[derive(Clone)]
pub(crate) enum ShortBytes {
    Inline { length: u8, bytes: [u8; INLINE] },
    Heap(Box<[u8]>),
}

impl ShortBytes {
    /// Bytes that it holds on the heap.
    pub(crate) fn len(&self) -> usize {
        match self {
            ShortBytes::Inline { length, .. } => usize::from(*length),
            ShortBytes::Heap(bytes) => bytes.len(),
        }
    }

    /// Replaces the contents; in place where they fit.
    pub(crate) fn set(&mut self, bytes: &[u8]) {
        match self {
            ShortBytes::Heap(old) if old.len() == bytes.len() => old.copy_from_slice(bytes),
            _ => *self = ShortBytes::from(bytes),
        }
    }

    /// The contents.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            // The length is never above the array's, so this is all of it.
            ShortBytes::Inline { length, bytes } => {
                bytes.get(..usize::from(*length)).unwrap_or(bytes)
            }
            ShortBytes::Heap(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for ShortBytes {
    #[inline]
    fn from(from: &[u8]) -> Self {
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..from.len()), u8::try_from(from.len())) {
            (Some(inline), Ok(length)) => {
                inline.copy_from_slice(from);
                ShortBytes::Inline { length, bytes }
            }
            _ => ShortBytes::Heap(from.into()),
        }
    }
}

impl Borrow<[u8]> for ShortBytes {
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for ShortBytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for ShortBytes {}

impl PartialOrd for ShortBytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ShortBytes {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl std::fmt::Debug for ShortBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_slice().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_comes_back_and_compares_as_bytes() {
        let all: Vec<u8> = (0..=255).collect();
        for length in [0, 1, 21, 22, 23, 200, 256] {
            let mut short = ShortBytes::from(&all[..length]);
            assert_eq!(short.as_slice(), &all[..length]);
            assert_eq!(short.len(), length);
            for other in [0, 5, 22, 23, 200] {
                assert_eq!(
                    short.cmp(&ShortBytes::from(&all[..other])),
                    length.cmp(&other)
                );
                short.set(&all[..other]);
                assert_eq!(short.as_slice(), &all[..other]);
                short.set(&all[..length]);
            }
        }
        assert_eq!(size_of::<ShortBytes>(), 24);
    }
}
