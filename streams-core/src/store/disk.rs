//! The LMDB backend: one environment per task, one named database per store, and `__meta`. How keys lie in it is told in
//! `docs/formats.md`.

use std::borrow::Cow;
use std::ops::Bound;

use crate::lmdb::{Database, Direction, LmdbError, MAX_KEY_LENGTH, Range};

/// The database beside the stores' own. No store may have its name.
pub(crate) const META: &str = "__meta";

/// Key in `__meta`: the layout's version, one byte.
pub(crate) const LAYOUT_KEY: &[u8] = b"layout";

/// Key in `__meta`: the [`super::Checkpoint`].
pub(crate) const CHECKPOINT_KEY: &[u8] = b"checkpoint";

/// The layout that this version writes. A higher one is refused; a lower one will be converted when there is one.
pub(crate) const LAYOUT: u8 = 1;

/// A key as LMDB holds it. LMDB has no empty keys, so keys of nothing but zero bytes (the empty one among them) are one zero
/// byte longer there. This keeps the order, and every other key as it is.
#[inline]
pub(crate) fn encode(key: &[u8]) -> Cow<'_, [u8]> {
    match key.first() {
        Some(first) if *first != 0 => Cow::Borrowed(key),
        _ if key.iter().all(|b| *b == 0) => Cow::Owned(vec![0; key.len() + 1]),
        _ => Cow::Borrowed(key),
    }
}

/// The key that [`encode`] made it of.
#[inline]
pub(crate) fn decode(key: &[u8]) -> &[u8] {
    match key.split_first() {
        Some((0, rest)) if rest.iter().all(|b| *b == 0) => rest,
        _ => key,
    }
}

/// Whether LMDB can hold a key.
#[inline]
pub(crate) fn fits(key: &[u8]) -> bool {
    key.len() < MAX_KEY_LENGTH || (key.len() == MAX_KEY_LENGTH && key.iter().any(|b| *b != 0))
}

/// The entries of a database between two keys.
pub(crate) fn range<'a>(
    view: crate::lmdb::View<'a>,
    database: Database,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
    direction: Direction,
) -> Result<DiskRange<'a>, LmdbError> {
    let from = from.map(encode);
    let to = to.map(encode);
    let inner = view.range(
        database,
        from.as_ref().map(Cow::as_ref),
        to.as_ref().map(Cow::as_ref),
        direction,
    )?;
    Ok(DiskRange(inner))
}

/// Entries in order of their keys.
#[derive(Debug)]
pub(crate) struct DiskRange<'a>(Range<'a>);

impl<'a> Iterator for DiskRange<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), LmdbError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map(|(key, value)| (decode(key), value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_keeps_the_order_and_comes_back() {
        let mut keys: Vec<Vec<u8>> = vec![vec![]];
        for length in 1..5_usize {
            for n in 0..3_usize.pow(u32::try_from(length).unwrap()) {
                keys.push(
                    (0..length)
                        .map(|i| [0, 1, 255][n / 3_usize.pow(u32::try_from(i).unwrap()) % 3])
                        .collect(),
                );
            }
        }
        keys.sort();
        for pair in keys.windows(2) {
            assert!(encode(&pair[0]) < encode(&pair[1]), "{pair:?}");
        }
        for key in &keys {
            assert!(!encode(key).is_empty());
            assert_eq!(decode(&encode(key)), key);
        }
    }
}
