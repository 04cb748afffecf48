//! Looks at a data file before LMDB follows its page numbers. LMDB reads through a memory map and trusts it: a page beyond the
//! end of a file that was cut off would kill the process with SIGBUS, and garbage could do anything. The walk costs little,
//! since it reads every branch page but only so many leaves.
//!
//! The file's format is LMDB's own (`mdb.c`, data version 1): native byte order, pages of `psize` bytes, a 16-byte header.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

const HEADER: usize = 16;
const NODE: usize = 8;
const META: usize = 136;

const P_BRANCH: u16 = 0x01;
const P_LEAF: u16 = 0x02;
const P_OVERFLOW: u16 = 0x04;
const P_META: u16 = 0x08;

const F_BIGDATA: u16 = 0x01;
const F_SUBDATA: u16 = 0x02;

const NO_ROOT: u64 = u64::MAX;
/// LMDB's own limit (`CURSOR_STACK`).
const MAX_DEPTH: u16 = 32;

/// Bytes of leaf pages that are looked into; of more only the place is checked.
const LEAF_BUDGET: u64 = 16 << 20;

/// Why a file must not be mapped.
#[derive(Debug)]
pub(super) enum Unusable {
    Damaged(String),
    Io(io::Error),
    /// Nothing is wrong: other processes have committed so often since that no meta page has that transaction any more.
    Overtaken,
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Unusable::Io(error)
    }
}

type Result<T> = std::result::Result<T, Unusable>;

fn damaged<T>(detail: impl Into<String>) -> Result<T> {
    Err(Unusable::Damaged(detail.into()))
}

/// Walks the trees of one commit. The caller holds a read transaction of that `transaction`, so that nobody reuses its pages.
pub(super) fn check(data_file: &Path, transaction: u64) -> Result<()> {
    let file = File::open(data_file)?;
    let mut walk = Walk {
        length: file.metadata()?.len(),
        file,
        page_size: 0,
        last_page: 0,
        leaf_budget: LEAF_BUDGET,
        page: Vec::new(),
    };
    let meta = walk.meta(transaction)?;
    walk.page_size = meta.page_size;
    walk.last_page = meta.last_page;
    let mut trees = vec![(meta.free, false), (meta.main, true)];
    while let Some((tree, is_main)) = trees.pop() {
        if tree.root != NO_ROOT {
            walk.tree(tree, is_main, &mut trees)?;
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
struct Tree {
    depth: u16,
    root: u64,
}

struct Meta {
    page_size: u64,
    free: Tree,
    main: Tree,
    last_page: u64,
}

struct Walk {
    file: File,
    length: u64,
    page_size: u64,
    last_page: u64,
    leaf_budget: u64,
    page: Vec<u8>,
}

impl Walk {
    fn meta(&mut self, transaction: u64) -> Result<Meta> {
        let mut at = 0;
        let mut newest = 0;
        for _ in 0..2 {
            let mut bytes = vec![0; HEADER + META];
            read_at(&self.file, &mut bytes, at)?;
            let page_size = u64::from(u32_at(&bytes, HEADER + 24));
            if u16_at(&bytes, 10) & P_META == 0
                || !page_size.is_power_of_two()
                || !(512..=65536).contains(&page_size)
            {
                return damaged("a meta page is none");
            }
            let committed = u64_at(&bytes, HEADER + 128);
            if committed == transaction {
                return Ok(Meta {
                    page_size,
                    free: tree_at(&bytes, HEADER + 24),
                    main: tree_at(&bytes, HEADER + 24 + 48),
                    last_page: u64_at(&bytes, HEADER + 120),
                });
            }
            newest = newest.max(committed);
            at += page_size;
        }
        if newest > transaction {
            return Err(Unusable::Overtaken);
        }
        damaged("no meta page has its last commit")
    }

    /// Looks at a tree's branch pages and as many leaves as the budget allows; adds named databases to `trees`.
    fn tree(&mut self, tree: Tree, is_main: bool, trees: &mut Vec<(Tree, bool)>) -> Result<()> {
        if tree.depth == 0 || tree.depth > MAX_DEPTH {
            return damaged(format!("a tree has depth {}", tree.depth));
        }
        let mut stack = vec![(tree.root, 1)];
        // A tree has no more pages than the file; more visits mean that it loops.
        let mut visits = 0;
        while let Some((number, level)) = stack.pop() {
            visits += 1;
            if visits > self.last_page {
                return damaged("a tree has more pages than the file");
            }
            self.place(number, 1)?;
            let is_leaf = level == tree.depth;
            // The names of databases are always looked at, for their trees.
            if is_leaf && !is_main {
                match self.leaf_budget.checked_sub(self.page_size) {
                    Some(rest) => self.leaf_budget = rest,
                    None => continue,
                }
            }
            self.read(number)?;
            let page = &self.page;
            let wanted = if is_leaf { P_LEAF } else { P_BRANCH };
            if u64_at(page, 0) != number || u16_at(page, 10) != wanted {
                return damaged(format!("page {number} is not what it should be"));
            }
            for node in nodes(page, number)? {
                if is_leaf {
                    self.leaf_node(number, node, is_main, trees)?;
                } else {
                    stack.push((child(&self.page, node.start), level + 1));
                }
            }
        }
        Ok(())
    }

    fn leaf_node(
        &self,
        number: u64,
        node: Range<usize>,
        is_main: bool,
        trees: &mut Vec<(Tree, bool)>,
    ) -> Result<()> {
        let page = &self.page;
        let flags = u16_at(page, node.start + 4);
        let data = node.start + NODE + usize::from(u16_at(page, node.start + 6));
        let size =
            u64::from(u16_at(page, node.start)) | (u64::from(u16_at(page, node.start + 2)) << 16);
        let inline = if flags & F_BIGDATA != 0 { 8 } else { size };
        if (data as u64).saturating_add(inline) > page.len() as u64 {
            return damaged(format!("an entry of page {number} reaches beyond it"));
        }
        match flags {
            0 => Ok(()),
            F_BIGDATA => {
                let first = u64_at(page, data);
                self.place(first, (HEADER as u64 - 1 + size) / self.page_size + 1)?;
                let mut header = [0; HEADER];
                read_at(&self.file, &mut header, first * self.page_size)?;
                if u64_at(&header, 0) == first && u16_at(&header, 10) == P_OVERFLOW {
                    Ok(())
                } else {
                    damaged(format!("page {first} is not what it should be"))
                }
            }
            F_SUBDATA if is_main && size == 48 => {
                trees.push((tree_at(page, data), false));
                Ok(())
            }
            _ => damaged(format!(
                "an entry of page {number} has unknown flags {flags}"
            )),
        }
    }

    /// Checks that so many pages are inside the file.
    fn place(&self, number: u64, count: u64) -> Result<()> {
        let end = number.checked_add(count);
        if number < 2 || end.is_none_or(|end| end - 1 > self.last_page) {
            return damaged(format!("there can be no page {number}"));
        }
        match end.and_then(|end| end.checked_mul(self.page_size)) {
            Some(end) if end <= self.length => Ok(()),
            _ => damaged(format!(
                "page {number} is missing: the file was truncated to {} bytes",
                self.length
            )),
        }
    }

    fn read(&mut self, number: u64) -> Result<()> {
        self.page
            .resize(usize::try_from(self.page_size).unwrap_or(0), 0);
        Ok(read_at(
            &self.file,
            &mut self.page,
            number * self.page_size,
        )?)
    }
}

/// Where the nodes of a page lie, each with its header and key inside the page.
fn nodes(page: &[u8], number: u64) -> Result<Vec<Range<usize>>> {
    let (lower, upper) = (usize::from(u16_at(page, 12)), usize::from(u16_at(page, 14)));
    if lower < HEADER || lower > upper || upper > page.len() || lower % 2 != 0 {
        return damaged(format!("the bounds of page {number} are wrong"));
    }
    (HEADER..lower)
        .step_by(2)
        .map(|pointer| {
            let start = usize::from(u16_at(page, pointer));
            let end = start + NODE + usize::from(u16_at(page, start + 6));
            if start < upper || start + NODE > page.len() || end > page.len() {
                return damaged(format!("an entry of page {number} lies outside of it"));
            }
            Ok(start..end)
        })
        .collect()
}

fn child(page: &[u8], node: usize) -> u64 {
    let part = |at| u64::from(u16_at(page, node + at));
    part(0) | (part(2) << 16) | (part(4) << 32)
}

fn tree_at(bytes: &[u8], at: usize) -> Tree {
    Tree {
        depth: u16_at(bytes, at + 6),
        root: u64_at(bytes, at + 40),
    }
}

/// Zero beyond the end; the callers check where it matters.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |b| u16::from_ne_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |b| u32::from_ne_bytes(*b))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |b| u64::from_ne_bytes(*b))
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, at)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, into: &mut [u8], at: u64) -> io::Result<()> {
    use std::io::{Read as _, Seek as _};
    file.seek(io::SeekFrom::Start(at))?;
    file.read_exact(into)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Unusable, check};
    use crate::lmdb::{Access, Direction, Durability, Environment, EnvironmentOptions, LmdbError};

    fn options(access: Access) -> EnvironmentOptions {
        EnvironmentOptions {
            durability: Durability::NoSync,
            access,
            ..EnvironmentOptions::default()
        }
    }

    /// A file with branch pages, overflow pages, freed pages and several databases.
    fn sample() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let env = Environment::open(dir.path(), &options(Access::ReadWrite)).unwrap();
        for name in ["one", "two", "three"] {
            let db = env.create_database(name).unwrap();
            for round in 0..3_u32 {
                env.write::<_, LmdbError>(|w| {
                    for i in 0..400_u32 {
                        w.put(
                            db,
                            &(i * 7919 % 1000).to_be_bytes(),
                            &(i * round).to_be_bytes().repeat(10),
                        )?;
                    }
                    w.put(db, b"large", &vec![7; 20_000])?;
                    w.delete(db, &(round * 7919 % 1000).to_be_bytes())?;
                    Ok(())
                })
                .unwrap();
            }
        }
        env.close();
        std::fs::read(dir.path().join("data.mdb")).unwrap()
    }

    /// Opens and reads everything; what matters is that it returns.
    fn read_all(data: &[u8]) -> Result<usize, LmdbError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("data.mdb"), data).unwrap();
        let env = Environment::open(dir.path(), &options(Access::ReadOnly))?;
        let mut entries = 0;
        for name in env.database_names()? {
            let Some(db) = env.database(&name)? else {
                continue;
            };
            let snapshot = env.snapshot()?;
            for direction in [Direction::Forward, Direction::Backward] {
                for entry in snapshot.view()?.prefix(db, b"", direction)? {
                    let (key, value) = entry?;
                    entries += usize::from(key.iter().chain(value).fold(0_u8, |a, b| a ^ b) < 255);
                }
            }
        }
        Ok(entries)
    }

    #[test]
    fn a_sound_file_is_read() {
        assert!(read_all(&sample()).unwrap() > 2000);
    }

    #[test]
    fn a_commit_that_others_have_overtaken_is_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data.mdb");
        std::fs::write(&data, sample()).unwrap();
        let last = (1..10_000).find(|t| check(&data, *t).is_ok()).unwrap();
        assert!(matches!(check(&data, last - 2), Err(Unusable::Overtaken)));
        let later = check(&data, last + 2);
        assert!(matches!(later, Err(Unusable::Damaged(_))), "{later:?}");
    }

    #[test]
    fn a_file_cut_off_anywhere_is_told() {
        let sample = sample();
        for pages in 0..sample.len() / 4096 {
            for length in [pages * 4096, pages * 4096 + 100] {
                match read_all(&sample[..length]) {
                    Err(LmdbError::Damaged { .. } | LmdbError::Missing { .. }) => {}
                    // The last pages may be free ones that no tree has.
                    Ok(_) if length + 40 * 4096 > sample.len() => {}
                    other => panic!("{length} of {} bytes: {other:?}", sample.len()),
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn garbage_is_told_or_harmless(
            spots in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 1..5000_usize), 1..4),
        ) {
            let mut data = sample();
            for (at, byte, length) in spots {
                let at = at.index(data.len());
                let end = (at + length).min(data.len());
                // From a single bit to whole pages.
                if length < 2000 { data[at] ^= byte } else { data[at..end].fill(byte) }
            }
            let _ = read_all(&data);
        }
    }
}
