//! How late wall-clock punctuators fire on Kafka: while nothing comes, and while an application counts as fast as it can.
//!
//! `cargo bench --bench punctuation` does it on a broker of its own, under both guarantees; `--records=N` for how many records are
//! counted. A firing is late by the time since the moment that its interval names; one that is left out because the one before
//! was late by more than an interval counts with the next.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kstreams::prelude::*;
use kstreams::{ProcessingGuarantee, Running, State};

mod support;

use support::{Failure, Offsets, Random, fill, wait_until};

const EVERY: Duration = Duration::from_millis(50);
const IDLE: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(600);
const KEYS: u64 = 100_000;

/// How late each firing was.
static LATE: Mutex<Vec<Duration>> = Mutex::new(Vec::new());

/// Fires at every twentieth of a second since 1970, in each task.
#[processor(out = (String, String), punctuate(wall_clock = "50ms", call = fire, start = 0))]
struct Punctual {
    /// The interval that the last firing was for.
    #[default]
    last: Option<u128>,
}

impl Punctual {
    fn fire(&mut self, _: Timestamp, _: &mut Context<'_, Self>) -> ProcessingResult {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let interval = now.as_nanos() / EVERY.as_nanos();
        let due = self.last.map_or(interval, |last| interval.min(last + 1));
        self.last = Some(interval);
        let late = now.as_nanos() - due * EVERY.as_nanos();
        let late = Duration::from_nanos(u64::try_from(late).unwrap_or(u64::MAX));
        let mut all = LATE.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(late);
        Ok(())
    }
}

impl Processor<String, String> for Punctual {
    fn process(
        &mut self,
        _: Record<String, String>,
        _: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        Ok(())
    }
}

#[topology(application_id = "punctual")]
struct Punctuality {
    #[source(topic = "punctual-in", partitions = 4)]
    input: KStream<String, String>,
    #[from(input.group_by_key().count())]
    #[sink(topic = "punctual-out", partitions = 4)]
    counts: KTable<String, i64>,
    #[from(input.process(Punctual::new()).for_each(|_, _| {}))]
    fired: (),
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it compiles.
    if !arguments.iter().any(|a| a == "--bench") {
        return Ok(());
    }
    let records = arguments.iter().find_map(|a| a.strip_prefix("--records="));
    let records = records.map_or(Ok(2_000_000), str::parse::<u64>)?;
    let cluster = support::broker()?;
    let bootstrap = cluster.bootstrap();
    support::create_topics(&bootstrap, &["punctual-in", "punctual-out"])?;
    println!(
        "{:<15}{:<7}{:>9}{:>12}{:>10}{:>10}",
        "guarantee", "work", "firings", "median ms", "p99 ms", "max ms"
    );
    for guarantee in [
        ProcessingGuarantee::AtLeastOnce,
        ProcessingGuarantee::ExactlyOnceV2,
    ] {
        measure(&bootstrap, guarantee, records)?;
    }
    Ok(())
}

fn measure(bootstrap: &str, guarantee: ProcessingGuarantee, records: u64) -> Result<(), Failure> {
    let state = tempfile::tempdir()?;
    let config = StreamsConfig::kafka(bootstrap)
        .processing_guarantee(guarantee)
        .state_dir(state.path());
    let app: Running<Punctuality> = Punctuality::builder().start(config)?;
    if !app.streams().wait_for(State::Running, LONG) {
        return Err(format!("it is {}", app.state()).into());
    }
    // The first firing of a task is late by no interval of its own.
    std::thread::sleep(Duration::from_secs(1));
    drop(take());
    std::thread::sleep(IDLE);
    print(guarantee, "idle", take());

    let mut random = Random::new();
    let value = "v".repeat(100);
    let before = app.streams().statistics().processed;
    fill(bootstrap, "punctual-in", records, |_| {
        (format!("key {}", random.below(KEYS)), value.clone())
    })?;
    wait_until("all is counted", Duration::from_millis(50), LONG, || {
        Ok(app.streams().statistics().processed - before >= records)
    })?;
    print(guarantee, "load", take());
    wait_until("all is committed", Duration::from_millis(200), LONG, || {
        Ok(Offsets::new(bootstrap, "punctual")?.lag("punctual-in")? == 0)
    })?;
    app.close()?;
    Ok(())
}

fn take() -> Vec<Duration> {
    std::mem::take(&mut *LATE.lock().unwrap_or_else(PoisonError::into_inner))
}

fn print(guarantee: ProcessingGuarantee, work: &str, mut late: Vec<Duration>) {
    late.sort_unstable();
    let ms = |share: f64| {
        let at = (late.len() as f64 * share) as usize;
        let found = late.get(at.min(late.len().saturating_sub(1)));
        found.map_or(0.0, |late| late.as_secs_f64() * 1e3)
    };
    println!(
        "{:<15}{work:<7}{:>9}{:>12.2}{:>10.2}{:>10.2}",
        match guarantee {
            ProcessingGuarantee::AtLeastOnce => "at-least-once",
            ProcessingGuarantee::ExactlyOnceV2 => "exactly-once",
        },
        late.len(),
        ms(0.5),
        ms(0.99),
        ms(1.0),
    );
}
