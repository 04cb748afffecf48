//! Nanoseconds of what a table does per record: record cache, write buffer, commit, LMDB. `cargo bench -p streams-core --bench state`.

use std::hint::black_box;
use std::time::Instant;

use streams_core::record::TaskId;
use streams_core::state_dir::StateDirectory;
use streams_core::store::{CacheContext, RecordCache, StoreSettings, StoreSpec, TaskStores};
use streams_core::topology::StoreBackend;

const OPERATIONS: usize = 2_000_000;

struct Keys {
    keys: Vec<[u8; 16]>,
    state: u64,
}

impl Keys {
    fn new(count: u64) -> Self {
        let hex = |i: u64| format!("{:016x}", i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let keys = (0..count)
            .filter_map(|i| hex(i).as_bytes().try_into().ok())
            .collect();
        Keys {
            keys,
            state: 88_172_645_463_325_252,
        }
    }

    /// A uniformly random key.
    fn next(&mut self) -> [u8; 16] {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let count = self.keys.len() as u64;
        usize::try_from(self.state % count)
            .ok()
            .and_then(|i| self.keys.get(i))
            .copied()
            .unwrap_or_default()
    }
}

/// Nanoseconds that this thread was on a processor, so that a busy machine disturbs less; elapsed ones where they are not told.
fn now(start: Instant) -> u128 {
    let on_cpu = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_cpu = on_cpu.and_then(|s| s.split(' ').next()?.parse().ok());
    on_cpu.unwrap_or_else(|| start.elapsed().as_nanos())
}

fn measure(what: &str, operations: usize, mut run: impl FnMut()) {
    let start = Instant::now();
    let before = now(start);
    run();
    let nanoseconds = (now(start) - before) as f64 / operations as f64;
    println!("{what:56} {nanoseconds:8.1} ns");
}

fn cache(count: u64) {
    let mut keys = Keys::new(count);
    let mut cache = RecordCache::new(1 << 30, 1);
    let context = CacheContext::default();
    for key in keys.keys.clone() {
        cache.put(0, &key, Some(&[0; 16]), &context);
    }
    measure(
        &format!("cache: get, hit, {count} keys"),
        OPERATIONS,
        || {
            for _ in 0..OPERATIONS {
                black_box(cache.get(0, &keys.next()));
            }
        },
    );
    measure(
        &format!("cache: get and put, hit, {count} keys"),
        OPERATIONS,
        || {
            for i in 0..OPERATIONS {
                let key = keys.next();
                black_box(cache.get(0, &key));
                cache.put(0, &key, Some(&(i as u128).to_be_bytes()), &context);
            }
        },
    );
    let mut flushed = Vec::new();
    measure(
        &format!("cache: flush, {count} keys"),
        usize::try_from(count).unwrap_or(1),
        || {
            cache.flush(0, &mut flushed);
        },
    );
}

fn stores(count: u64, backend: StoreBackend) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let Ok(state) = StateDirectory::open(dir.path(), "bench", uuid::Uuid::new_v4) else {
        return;
    };
    let Ok(directory) = state.task(TaskId {
        subtopology: 0,
        partition: 0,
    }) else {
        return;
    };
    let specs = [StoreSpec {
        name: "counts".into(),
        backend,
        segments: None,
    }];
    let Ok(mut stores) = TaskStores::open(directory, &specs, &StoreSettings::default()) else {
        return;
    };
    let mut keys = Keys::new(count);
    let n = keys.keys.len();
    let name = format!("{backend:?}, {count} keys");
    let all = keys.keys.clone();
    measure(&format!("{name}: restore, batches of 10,000"), n, || {
        for batch in all.chunks(10_000) {
            let entries = batch.iter().map(|k| (&k[..], Some(&[0; 16][..])));
            let _ = black_box(stores.restore(0, entries, 1));
        }
    });
    measure(&format!("{name}: get from the backend"), OPERATIONS, || {
        for _ in 0..OPERATIONS {
            let _ = black_box(stores.get(0, &keys.next()));
        }
    });
    let dirty = 50_000;
    let (mut put, mut commit) = (0, 0);
    let start = Instant::now();
    for round in 0..10_u128 {
        let before = now(start);
        for _ in 0..dirty {
            let key = keys.next();
            let _ = black_box(stores.get(0, &key));
            let _ = black_box(stores.put(0, &key, Some(&round.to_be_bytes())));
        }
        put += now(start) - before;
        let mut checkpoint = stores.checkpoint().clone();
        checkpoint.set_changelog_offset(0, i64::try_from(round).ok());
        let before = now(start);
        let _ = black_box(stores.commit(checkpoint));
        commit += now(start) - before;
    }
    let per = |total: u128| total as f64 / 10.0 / f64::from(dirty);
    println!(
        "{:56} {:8.1} ns",
        format!("{name}: get and put into the buffer"),
        per(put)
    );
    println!(
        "{:56} {:8.1} ns",
        format!("{name}: commit of {dirty} puts, per put"),
        per(commit)
    );
}

fn main() {
    for count in [10_000, 100_000, 1_000_000] {
        cache(count);
    }
    for count in [100_000, 1_000_000] {
        stores(count, StoreBackend::Lmdb);
        stores(count, StoreBackend::Memory);
    }
}
