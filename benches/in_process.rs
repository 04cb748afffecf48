//! What a record costs in process: CPU nanoseconds and allocations of decode, operators, state and encode, without a disk or a
//! broker. `cargo bench` runs all; `cargo bench -- count --records=N` one. CONTRIBUTING.md tells how to count instructions.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use kstreams::prelude::*;
use kstreams::test_driver::{TestDriver, TestDriverOptions, TestState};

const KEYS: u64 = 100_000;
const VALUE_BYTES: usize = 100;
const CACHE_BYTES: usize = 10 * 1024 * 1024;

/// Counts allocations; growing in place counts as one.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "an allocator can only be measured from within")]
// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A filter that keeps three of four, and a new value.
#[topology(application_id = "pass-through")]
struct PassThrough {
    #[source(topic = "in", partitions = 4)]
    input: KStream<String, String>,
    #[from(input.filter(|key, _| !key.ends_with(['0', '4', '8'])).map_values(|value| value))]
    #[sink(topic = "out", partitions = 4)]
    output: KStream<String, String>,
}

/// A count by key, as it comes.
#[topology(application_id = "count")]
struct Count {
    #[source(topic = "in", partitions = 4)]
    input: KStream<String, String>,
    #[from(input.group_by_key().count())]
    #[sink(topic = "out", partitions = 4)]
    counts: KTable<String, i64>,
}

/// A stream joined with a table of every key.
#[topology(application_id = "join")]
struct Join {
    #[source(topic = "in", partitions = 4)]
    input: KStream<String, String>,
    #[source(topic = "table", partitions = 4)]
    table: KTable<String, String>,
    #[from(input.join(table, |value, other| half_and_half(value, other)))]
    #[sink(topic = "out", partitions = 4)]
    output: KStream<String, String>,
}

/// A count by key and window of ten minutes. Records are a millisecond apart.
#[topology(application_id = "windowed-count")]
struct WindowedCount {
    #[source(topic = "in", partitions = 4)]
    input: KStream<String, String>,
    #[from(input.group_by_key().windowed_by(tumbling("10m")).count())]
    #[sink(topic = "out", partitions = 4)]
    counts: KTable<Windowed<String>, i64>,
}

/// Two streams that take turns: a record meets those of the other with its key that are up to 100 seconds older, one half of one on
/// average.
#[topology(application_id = "stream-join")]
struct StreamJoin {
    #[source(topic = "in", partitions = 4)]
    input: KStream<String, String>,
    #[source(topic = "other", partitions = 4)]
    other: KStream<String, String>,
    #[from(input.join(other, |value, other| half_and_half(value.clone(), other), within("100s")))]
    #[sink(topic = "out", partitions = 4)]
    output: KStream<String, String>,
}

/// As long as either, and no allocation of its own: what is measured is the join.
fn half_and_half(mut value: String, other: &str) -> String {
    value.truncate(VALUE_BYTES / 2);
    value.push_str(other.get(VALUE_BYTES / 2..).unwrap_or_default());
    value
}

fn main() -> kstreams::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = arguments
        .iter()
        .find_map(|a| a.strip_prefix("--records=")?.parse().ok());
    // `cargo test --benches` only wants to know that it works.
    let usual = if arguments.iter().any(|a| a == "--bench") {
        1_000_000
    } else {
        1_000
    };
    let records = given.unwrap_or(usual);
    let chosen: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|c| *c == name);

    println!(
        "{:<16}{:>12}{:>16}{:>20}",
        "work", "records", "ns/record", "allocations/record"
    );
    if wanted("pass-through") {
        let test = PassThrough::builder().test_driver()?;
        measure("pass-through", &test, records)?;
    }
    if wanted("count") {
        let test = Count::builder().test_driver()?;
        measure("count", &test, records)?;
    }
    if wanted("join") {
        let test = Join::builder().test_driver()?;
        measure("join", &test, records)?;
    }
    if wanted("windowed-count") {
        let test = WindowedCount::builder().test_driver()?;
        measure("windowed-count", &test, records)?;
        state_size(&test, &["counts"], records)?;
    }
    if wanted("stream-join") {
        let test = StreamJoin::builder().test_driver()?;
        measure("stream-join", &test, records)?;
        let stores = ["output-this-join-store", "output-other-join-store"];
        state_size(&test, &stores, records)?;
    }
    Ok(())
}

/// The same with state in LMDB: how many bytes an entry of the stores takes.
fn state_size(driver: &TestDriver, stores: &[&str], records: u64) -> kstreams::Result<()> {
    let options = TestDriverOptions::new().on_demand();
    driver.reset(options.cache_max_bytes(CACHE_BYTES).state(TestState::Lmdb))?;
    feed(driver, if stores.len() > 1 { BOTH } else { ONE }, records)?;
    driver.run()?;
    driver.commit()?;
    let (mut bytes, mut entries) = (0, 0);
    for store in stores {
        bytes += driver.store_size(store)?;
        entries += driver.store_entries(store)?.len() as u64;
    }
    println!(
        "{:<16}{entries:>12} windows, {:.1} bytes of state each",
        "",
        bytes as f64 / entries as f64
    );
    Ok(())
}

const ONE: &[&str] = &["in"];
const BOTH: &[&str] = &["in", "other"];

fn measure(name: &str, driver: &TestDriver, records: u64) -> kstreams::Result<()> {
    driver.reset(
        TestDriverOptions::new()
            .on_demand()
            .cache_max_bytes(CACHE_BYTES),
    )?;
    if name == "join" {
        for key in 0..KEYS.min(records) {
            send(driver, "table", key, 0)?;
        }
    }
    // Once over every key first, so that what is measured is the steady state.
    for key in 0..KEYS.min(records) {
        send(driver, "in", key, 1)?;
    }
    driver.run()?;
    let topics = if name == "stream-join" { BOTH } else { ONE };
    feed(driver, topics, records)?;
    let (allocations, began) = (ALLOCATIONS.load(Relaxed), Began::now());
    measured(driver)?;
    let (ns, allocations) = (began.elapsed_ns(), ALLOCATIONS.load(Relaxed) - allocations);
    println!(
        "{name:<16}{records:>12}{:>16.0}{:>20.2}",
        ns as f64 / records as f64,
        allocations as f64 / records as f64
    );
    Ok(())
}

/// When a measurement began: by the time that this thread had on a processor, which other programs do not lengthen, where the system
/// counts it.
struct Began {
    on_processor: Option<u64>,
    at: Instant,
}

impl Began {
    fn now() -> Self {
        Began {
            on_processor: on_processor_ns(),
            at: Instant::now(),
        }
    }

    fn elapsed_ns(&self) -> u64 {
        match (self.on_processor, on_processor_ns()) {
            (Some(began), Some(now)) => now - began,
            _ => self.at.elapsed().as_nanos() as u64,
        }
    }
}

fn on_processor_ns() -> Option<u64> {
    let all = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    all.split(' ').next()?.parse().ok()
}

/// Records of random keys, the topics in turns.
fn feed(driver: &TestDriver, topics: &[&str], records: u64) -> kstreams::Result<()> {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for (time, topic) in (0..records).zip(topics.iter().cycle()) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        send(driver, topic, random % KEYS.min(records), 2 + time)?;
    }
    Ok(())
}

fn send(driver: &TestDriver, topic: &str, key: u64, time: u64) -> kstreams::Result<()> {
    const VALUE: &[u8] = &[b'v'; VALUE_BYTES];
    let key = format!("key-{key:08}");
    driver.pipe_raw(
        topic,
        Some(key.as_bytes()),
        Some(VALUE),
        time as i64,
        Headers::new(),
    )
}

/// A frame of its own, for `callgrind --toggle-collect`.
#[inline(never)]
fn measured(driver: &TestDriver) -> kstreams::Result<()> {
    driver.run()
}
