//! What a record costs on Kafka: CPU time and peak memory of whole processes, each alone, beside a bare librdkafka loop.
//!
//! `cargo bench --bench kafka` measures everything on a broker of its own; `-- count exactly-once` only what is named;
//! `--records=N` for how many records, `--java` for Kafka Streams beside it, `--perf=DIR` for profiles (the figures are then
//! the profiler's).

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use kafka_broker::{Cluster, Process, Program};
use kstreams::{ProcessingGuarantee, State, StreamsConfig};

#[path = "kafka/bare.rs"]
mod bare;
#[path = "../tests/interchange/class_path.rs"]
mod class_path;
mod support;
#[path = "kafka/works.rs"]
mod works;

use support::{Failure, Offsets, Random, Used, fill, wait_until};

const KEYS: u64 = 100_000;
pub(crate) const VALUE_BYTES: usize = 100;
const WORDS_PER_LINE: u64 = 10;
const SOON: Duration = Duration::from_secs(60);
/// For one work of one guarantee.
const LONG: Duration = Duration::from_secs(600);

/// A work, and what it has to reach: microseconds per record at least once and exactly once.
const WORKS: [(&str, f64, f64); 6] = [
    ("pass-through", 1.1, 1.1),
    ("count", 1.6, 2.0),
    ("join", 1.8, 2.0),
    ("words", 12.0, 14.0),
    ("windowed-count", 1.8, 2.2),
    ("stream-join", 3.5, 3.5),
];
const GUARANTEES: [(&str, ProcessingGuarantee); 2] = [
    ("at-least-once", ProcessingGuarantee::AtLeastOnce),
    ("exactly-once", ProcessingGuarantee::ExactlyOnceV2),
];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--child", bootstrap, work, guarantee, records, state] => {
            child(bootstrap, work, guarantee, records.parse()?, state)
        }
        // `cargo test --benches` only wants to know that it compiles.
        words if words.contains(&"--bench") => measure(words),
        _ => Ok(()),
    }
}

fn measure(arguments: &[&str]) -> Result<(), Failure> {
    let records = arguments
        .iter()
        .find_map(|a| a.strip_prefix("--records="))
        .map_or(Ok(2_000_000), str::parse::<u64>)?;
    let chosen: Vec<&str> = arguments
        .iter()
        .filter(|a| !a.starts_with('-'))
        .copied()
        .collect();
    let named = |names: &mut dyn Iterator<Item = &'static str>| -> Vec<&'static str> {
        let all: Vec<_> = names.collect();
        let some: Vec<_> = all.iter().filter(|n| chosen.contains(n)).copied().collect();
        if some.is_empty() { all } else { some }
    };
    let works = named(&mut WORKS.iter().map(|(name, ..)| *name));
    let guarantees = named(&mut GUARANTEES.iter().map(|(name, _)| *name));
    let with_java = arguments.contains(&"--java");

    let cluster = support::broker()?;
    let bootstrap = cluster.bootstrap();
    prepare(&bootstrap, records)?;
    let bench = Bench {
        cluster: &cluster,
        records,
        profiles: arguments.iter().find_map(|a| a.strip_prefix("--perf=")),
    };
    println!(
        "{:<16}{:<15}{:>12}{:>10}{:>8}{:>10}{:>9}{:>12}",
        "work", "guarantee", "us/record", "of bare", "target", "peak MiB", "wall s", "java us"
    );
    for guarantee in guarantees {
        let bare = bench.run("bare", guarantee)?;
        print("bare", guarantee, &bare, &bare, 0.86, None);
        for work in &works {
            let measured = bench.run(work, guarantee)?;
            let java = with_java.then(|| bench.java(work, guarantee)).transpose()?;
            let target = WORKS.iter().find(|(name, ..)| name == work);
            let target = target.map_or(0.0, |(_, at_least_once, exactly_once)| {
                if guarantee == "at-least-once" {
                    *at_least_once
                } else {
                    *exactly_once
                }
            });
            print(work, guarantee, &measured, &bare, target, java);
        }
    }
    Ok(())
}

fn print(
    work: &str,
    guarantee: &str,
    measured: &Measured,
    bare: &Measured,
    target: f64,
    java: Option<Measured>,
) {
    let java = java.map_or(String::new(), |java| {
        format!("{:.1}, {:.0} MiB", java.micros, java.peak_mib)
    });
    println!(
        "{work:<16}{guarantee:<15}{:>12.2}{:>10.2}{target:>8.1}{:>10.0}{:>9.1}  {java}",
        measured.micros,
        measured.micros / bare.micros,
        measured.peak_mib,
        measured.wall.as_secs_f64(),
    );
}

/// The input of all works: 100,000 uniform keys, values of 100 bytes, a table of every key, lines of ten words.
fn prepare(bootstrap: &str, records: u64) -> Result<(), Failure> {
    support::create_topics(bootstrap, &["in", "table", "lines", "out"])?;
    let value = "v".repeat(VALUE_BYTES);
    // The last digit is for the filter that keeps three of four.
    let key = |key: u64| format!("key-{key:08}-{}", key % 4);
    let mut random = Random::new();
    fill(bootstrap, "table", KEYS, |i| (key(i), value.clone()))?;
    fill(bootstrap, "in", records, |_| {
        (key(random.below(KEYS)), value.clone())
    })?;
    fill(bootstrap, "lines", records / WORDS_PER_LINE, |i| {
        let words = (0..WORDS_PER_LINE).map(|_| format!("word-{:05}", random.below(KEYS)));
        (format!("line-{i}"), words.collect::<Vec<_>>().join(" "))
    })
}

struct Bench<'a> {
    cluster: &'a Cluster,
    records: u64,
    /// Where profiles go.
    profiles: Option<&'a str>,
}

struct Measured {
    micros: f64,
    peak_mib: f64,
    wall: Duration,
}

impl Bench<'_> {
    /// A work in a process of its own.
    fn run(&self, work: &str, guarantee: &str) -> Result<Measured, Failure> {
        let state = kafka_broker::temp_dir()?;
        let bootstrap = self.cluster.bootstrap();
        let records = self.records.to_string();
        let program = std::env::current_exe()?;
        let child = match self.profiles {
            None => Program::new(program),
            Some(directory) => Program::new("perf")
                .args(["record", "-q", "-g", "-F", "997", "-o"])
                .args([&format!("{directory}/{work}-{guarantee}"), "--"])
                .arg(program),
        };
        let mut process = child
            .args(["--child", &bootstrap, work, guarantee, &records])
            .arg(state.path())
            .start()?;
        let measured = self.watch(&mut process, work, &format!("{guarantee}-{work}"));
        // The end of its input ends it, and then what watches it.
        drop(process.stdin());
        process.wait(SOON)?;
        measured
    }

    /// The same work by Kafka Streams.
    fn java(&self, work: &str, guarantee: &str) -> Result<Measured, Failure> {
        let state = kafka_broker::temp_dir()?;
        let group = format!("java-{guarantee}-{work}");
        let name = match guarantee {
            "at-least-once" => "at_least_once",
            _ => "exactly_once_v2",
        };
        let mut process = Program::java_machine(class_path::class_path()?, "2g")?
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error")
            .arg("Bench")
            .args([&self.cluster.bootstrap(), &group])
            .arg(state.path())
            .args([name, work])
            .log_to(&state.path().join("java.log"))?
            .start()?;
        self.watch(&mut process, work, &group)
    }

    /// Waits until a group has committed all of a work's input, and tells what the process used.
    fn watch(&self, process: &mut Process, work: &str, group: &str) -> Result<Measured, Failure> {
        let began = Instant::now();
        let offsets = Offsets::new(&self.cluster.bootstrap(), group)?;
        let ended = |process: &mut Process| match process.try_wait()? {
            Some(status) => Err(Failure::from(format!("{group} ended: {status}"))),
            None => Ok(()),
        };
        let inputs: &[&str] = match work {
            "words" => &["lines"],
            "join" | "stream-join" => &["in", "table"],
            _ => &["in"],
        };
        for input in inputs {
            wait_until(group, Duration::from_millis(100), LONG, || {
                ended(process)?;
                Ok(offsets.lag(input)? == 0)
            })?;
        }
        if work == "words" {
            let repartition = kafka_broker::Client::new(self.cluster.bootstrap())
                .topics()?
                .into_iter()
                .find(|t| t.starts_with(group) && t.ends_with("-repartition"))
                .ok_or("no repartition topic")?;
            // Behind the last record of each partition may be the marker of its transaction.
            wait_until(group, Duration::from_millis(100), LONG, || {
                ended(process)?;
                Ok(offsets.lag(&repartition)? <= i64::from(support::PARTITIONS))
            })?;
        }
        let (wall, used) = (began.elapsed(), Used::by(process.id())?);
        let records = match work {
            "words" => self.records / WORDS_PER_LINE,
            _ => self.records,
        };
        Ok(Measured {
            micros: used.cpu.as_micros() as f64 / records as f64,
            peak_mib: used.peak as f64 / f64::from(1 << 20),
            wall,
        })
    }
}

/// The process that is measured. Ends when its input is closed.
fn child(
    bootstrap: &str,
    work: &str,
    guarantee: &str,
    records: u64,
    state: &str,
) -> Result<(), Failure> {
    let found = GUARANTEES.iter().find(|(name, _)| *name == guarantee);
    let (name, guarantee) = found.ok_or("no such guarantee")?;
    if work == "bare" {
        bare::run(bootstrap, &format!("{name}-bare"), *guarantee, records)?;
        return wait_for_end();
    }
    let config = StreamsConfig::new()
        .with("bootstrap.servers", bootstrap)?
        .with("replication.factor", "1")?
        .state_dir(Path::new(state))
        .processing_guarantee(*guarantee);
    let application = works::start(work, config)?;
    if !application.streams.wait_for(State::Running, SOON) {
        application.streams.close()?;
        return Err("not running".into());
    }
    wait_for_end()?;
    Ok(application.streams.close()?)
}

fn wait_for_end() -> Result<(), Failure> {
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
