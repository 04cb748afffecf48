//! Tests of the record cache against a plain model of Kafka Streams' `NamedCache`.

use proptest::prelude::*;

use super::*;

fn context(timestamp: Timestamp) -> CacheContext {
    CacheContext {
        timestamp,
        ..CacheContext::default()
    }
}

fn keys(entries: &[CacheEntry]) -> Vec<String> {
    entries
        .iter()
        .map(|e| String::from_utf8_lossy(e.key()).into_owned())
        .collect()
}

#[test]
fn several_updates_leave_as_one_in_the_order_of_the_last() {
    let mut cache = RecordCache::new(10_000, 2);
    for (i, key) in ["a", "b", "c", "a"].into_iter().enumerate() {
        cache.put(
            0,
            key.as_bytes(),
            Some(&[u8::try_from(i).unwrap()]),
            &context(i64::try_from(i).unwrap()),
        );
    }
    cache.put(1, b"a", None, &context(9));
    let mut flushed = Vec::new();
    cache.evict(0, &mut flushed);
    assert!(flushed.is_empty(), "it is far below its bound");
    cache.flush(0, &mut flushed);
    assert_eq!(keys(&flushed), ["b", "c", "a"]);
    assert_eq!(flushed[2].value(), Some(&[3][..]));
    assert_eq!(flushed[2].context.timestamp, 3);
    assert!(!cache.is_dirty(0) && cache.is_dirty(1));
    assert_eq!(
        cache.get(0, b"a"),
        Some(Some(&[3][..])),
        "flushed entries stay, clean"
    );
    flushed.clear();
    cache.flush(0, &mut flushed);
    assert!(flushed.is_empty());
}

#[test]
fn an_evicted_dirty_entry_goes_first_then_all_dirty_ones() {
    let one = 1 + 1 + ENTRY_OVERHEAD;
    let mut cache = RecordCache::new(3 * one, 1);
    let mut flushed = Vec::new();
    for key in [b"a", b"b", b"c"] {
        cache.put(0, key, Some(b"v"), &context(0));
        cache.evict(0, &mut flushed);
    }
    // Updated, then used: `b` is the least recently used, `a` the last updated.
    cache.put(0, b"a", Some(b"w"), &context(1));
    assert_eq!(cache.get(0, b"c"), Some(Some(&b"v"[..])));
    assert!(flushed.is_empty());
    cache.put(0, b"d", Some(b"v"), &context(2));
    cache.evict(0, &mut flushed);
    assert_eq!(keys(&flushed), ["b", "c", "a", "d"]);
    assert_eq!(cache.get(0, b"b"), None, "it was evicted");
    assert_eq!((cache.len(), cache.size_in_bytes()), (3, 3 * one));
    flushed.clear();
    cache.put(0, b"e", Some(b"v"), &context(3));
    cache.evict(0, &mut flushed);
    assert!(flushed.is_empty(), "the evicted one was clean");
}

#[test]
fn without_bytes_everything_leaves_at_once() {
    let mut cache = RecordCache::new(0, 1);
    assert!(!cache.is_enabled());
    let mut flushed = Vec::new();
    cache.put(0, b"a", Some(b"v"), &context(0));
    cache.evict(0, &mut flushed);
    assert_eq!(keys(&flushed), ["a"]);
    assert!(cache.is_empty());
    assert_eq!(cache.size_in_bytes(), 0);
}

#[test]
fn a_deletion_is_seen_until_the_store_has_it() {
    let mut cache = RecordCache::new(1000, 1);
    cache.put_clean(0, b"a", b"v");
    cache.put(0, b"a", None, &context(0));
    let mut flushed = Vec::new();
    cache.flush(0, &mut flushed);
    assert_eq!(flushed[0].value(), None);
    assert_eq!(cache.get(0, b"a"), Some(None));
    cache.put_clean(0, b"b", b"v");
    assert_eq!(cache.get(0, b"a"), None);
    // Put again before it is purged: it stays.
    cache.put(0, b"b", None, &context(0));
    cache.flush(0, &mut flushed);
    cache.put(0, b"b", Some(b"w"), &context(0));
    assert_eq!(cache.get(0, b"b"), Some(Some(&b"w"[..])));
    cache.clear();
    assert_eq!(
        (cache.len(), cache.size_in_bytes(), cache.is_dirty(0)),
        (0, 0, false)
    );
}

#[test]
fn a_store_that_is_not_there_is_ignored() {
    let mut cache = RecordCache::new(1000, 1);
    cache.put(1, b"a", Some(b"v"), &context(0));
    cache.put_clean(7, b"a", b"v");
    let mut flushed = Vec::new();
    cache.flush(1, &mut flushed);
    cache.evict(1, &mut flushed);
    assert!(flushed.is_empty() && cache.is_empty() && cache.get(1, b"a").is_none());
}

/// Key, value, timestamp, and whether it is dirty.
type Used = (Vec<u8>, Option<Vec<u8>>, i64, bool);
/// Key, value, timestamp.
type Left = (Vec<u8>, Option<Vec<u8>>, i64);

/// Kafka Streams' `NamedCache`, as simply as possible: most recently used first, and keys in the order of their last update.
#[derive(Debug, Default)]
struct Model {
    used: Vec<Used>,
    dirty: Vec<Vec<u8>>,
    deleted: Vec<Vec<u8>>,
}

impl Model {
    fn size(&self) -> usize {
        self.used
            .iter()
            .map(|(k, v, ..)| k.len() + v.as_ref().map_or(0, Vec::len) + ENTRY_OVERHEAD)
            .sum()
    }
    fn purge(&mut self) {
        for key in std::mem::take(&mut self.deleted) {
            self.used
                .retain(|(k, v, _, dirty)| *k != key || v.is_some() || *dirty);
        }
    }
    fn put(&mut self, key: &[u8], value: Option<&[u8]>, time: i64, dirty: bool) {
        if !dirty && self.used.iter().any(|e| e.0 == key) {
            return;
        }
        self.purge();
        self.used.retain(|e| e.0 != key);
        self.used
            .insert(0, (key.to_vec(), value.map(<[u8]>::to_vec), time, dirty));
        if dirty {
            self.dirty.retain(|k| k != key);
            self.dirty.push(key.to_vec());
        }
    }
    fn get(&mut self, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let at = self.used.iter().position(|e| e.0 == key)?;
        let entry = self.used.remove(at);
        self.used.insert(0, entry.clone());
        Some(entry.1)
    }
    fn flush(&mut self, out: &mut Vec<Left>) {
        self.purge();
        for key in std::mem::take(&mut self.dirty) {
            let entry = self.used.iter_mut().find(|e| e.0 == key).unwrap();
            entry.3 = false;
            out.push((key.clone(), entry.1.clone(), entry.2));
            if entry.1.is_none() {
                self.deleted.push(key);
            }
        }
    }
    fn evict_one(&mut self, out: &mut Vec<Left>) {
        let (key, value, time, dirty) = self.used.pop().unwrap();
        if dirty {
            self.dirty.retain(|k| *k != key);
            out.push((key, value, time));
            self.flush(out);
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(
        limit in 0..700_usize,
        ops in proptest::collection::vec((0..6_u8, 0..2_usize, 0..9_u8, 0..40_usize), 0..120),
    ) {
        let mut cache = RecordCache::new(limit, 2);
        let mut models = [Model::default(), Model::default()];
        for (time, (op, store, key, length)) in (0_i64..).zip(ops) {
            // Keys and values beyond what lies inline, too.
            let key = vec![key; 1 + usize::from(key) * 4];
            let value = vec![1; length];
            let (mut flushed, mut expected) = (Vec::new(), Vec::new());
            match op {
                0 => cache.flush(store, &mut flushed),
                1 => cache.put_clean(store, &key, &value),
                2 => prop_assert_eq!(cache.get(store, &key).map(|v| v.map(<[u8]>::to_vec)), models[store].get(&key)),
                3 => cache.put(store, &key, None, &context(time)),
                _ => cache.put(store, &key, Some(&value), &context(time)),
            }
            match op {
                0 => models[store].flush(&mut expected),
                1 => models[store].put(&key, Some(&value), time, false),
                2 => {}
                3 => models[store].put(&key, None, time, true),
                _ => models[store].put(&key, Some(&value), time, true),
            }
            if op != 0 && op != 2 {
                cache.evict(store, &mut flushed);
                while models[0].size() + models[1].size() > limit && !models[store].used.is_empty() {
                    models[store].purge();
                    if models[store].used.is_empty() {
                        break;
                    }
                    models[store].evict_one(&mut expected);
                }
            }
            let flushed: Vec<_> = flushed
                .iter()
                .map(|e| (e.key().to_vec(), e.value().map(<[u8]>::to_vec), e.context.timestamp))
                .collect();
            prop_assert_eq!(flushed, expected);
            prop_assert_eq!(cache.size_in_bytes(), models[0].size() + models[1].size());
            prop_assert_eq!(cache.len(), models[0].used.len() + models[1].used.len());
            for (store, model) in models.iter().enumerate() {
                prop_assert_eq!(cache.is_dirty(store), !model.dirty.is_empty());
            }
        }
    }
}
