//! What a record costs in process: nanoseconds and allocations of decode, operators, state and encode, without a disk or a
//! broker. `cargo bench` runs all; `cargo bench -- count --records=N` one. CONTRIBUTING.md tells how to count instructions.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use kstreams::prelude::*;
use kstreams::{TestDriver, TestDriverOptions};

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
        "{:<14}{:>12}{:>16}{:>20}",
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
    Ok(())
}

fn measure(name: &str, driver: &TestDriver, records: u64) -> kstreams::Result<()> {
    driver.reset(
        TestDriverOptions::new()
            .on_demand()
            .cache_max_bytes(CACHE_BYTES),
    )?;
    let value = "v".repeat(VALUE_BYTES);
    let send = |topic: &str, key: u64, time: u64| {
        let key = format!("key-{key:08}");
        driver.pipe_raw(
            topic,
            Some(key.as_bytes()),
            Some(value.as_bytes()),
            time as i64,
            Headers::new(),
        )
    };
    if name == "join" {
        for key in 0..KEYS.min(records) {
            send("table", key, 0)?;
        }
    }
    // Once over every key first, so that what is measured is the steady state.
    for key in 0..KEYS.min(records) {
        send("in", key, 1)?;
    }
    driver.run()?;
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for time in 0..records {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        send("in", random % KEYS.min(records), 2 + time)?;
    }
    let (allocations, began) = (ALLOCATIONS.load(Relaxed), Instant::now());
    measured(driver)?;
    let (ns, allocations) = (
        began.elapsed().as_nanos(),
        ALLOCATIONS.load(Relaxed) - allocations,
    );
    println!(
        "{name:<14}{records:>12}{:>16.0}{:>20.2}",
        ns as f64 / records as f64,
        allocations as f64 / records as f64
    );
    Ok(())
}

/// A frame of its own, for `callgrind --toggle-collect`.
#[inline(never)]
fn measured(driver: &TestDriver) -> kstreams::Result<()> {
    driver.run()
}
