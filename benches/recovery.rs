//! What a `kill -9` under exactly-once costs an application with a million keys of state: the time from the start of the new
//! process to its first new output, and what it reads of the changelog. Kafka Streams, which wipes and restores, beside it.
//!
//! `cargo bench --bench recovery` runs both on a broker of its own; `-- rust` or `-- java` one; `--keys=N` for another size.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kafka_broker::{Client, Process, Program};
use kstreams::prelude::*;
use kstreams::{ProcessingGuarantee, State};

#[path = "../tests/interchange/class_path.rs"]
mod class_path;
mod support;

use support::{Failure, Offsets, Random, Used, fill, wait_until};

/// How often each key is counted before the kill: so many changelog records it has.
const ROUNDS: u64 = 3;
const SOON: Duration = Duration::from_secs(120);
const LONG: Duration = Duration::from_secs(900);

/// A count by key that forwards and logs every update.
#[topology(application_id = "recovery-rust")]
struct Recovery {
    #[source(topic = "in-rust", partitions = 4)]
    input: KStream<String, String>,
    #[from(input.group_by_key().count())]
    #[sink(topic = "out-rust", partitions = 4)]
    #[store(name = "counts")]
    counts: KTable<String, i64>,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--child", bootstrap, state] => child(bootstrap, state),
        // `cargo test --benches` only wants to know that it compiles.
        words if words.contains(&"--bench") => measure(words),
        _ => Ok(()),
    }
}

fn measure(arguments: &[&str]) -> Result<(), Failure> {
    let keys = arguments
        .iter()
        .find_map(|a| a.strip_prefix("--keys="))
        .map_or(Ok(1_000_000), str::parse::<u64>)?;
    let all = !arguments.contains(&"rust") && !arguments.contains(&"java");
    let cluster = support::broker()?;
    println!(
        "{:<14}{:>10}{:>12}{:>17}{:>24}{:>16}{:>10}",
        "application",
        "keys",
        "logged",
        "first output s",
        "changelog records read",
        "received MiB",
        "peak MiB"
    );
    for side in ["rust", "java"] {
        if all || arguments.contains(&side) {
            recover(&cluster.bootstrap(), side, keys)?;
        }
    }
    Ok(())
}

/// Fills the state, kills the process in the middle of its work, starts another, and prints what that took.
fn recover(bootstrap: &str, side: &'static str, keys: u64) -> Result<(), Failure> {
    let (input, output) = (format!("in-{side}"), format!("out-{side}"));
    support::create_topics(bootstrap, &[&input, &output])?;
    let key = |key: u64| format!("key-{key:08}");
    fill(bootstrap, &input, keys * ROUNDS, |i| {
        (key(i % keys), "a value of twenty b.".to_owned())
    })?;

    let state = kafka_broker::temp_dir()?;
    let group = format!("recovery-{side}");
    let offsets = Offsets::new(bootstrap, &group)?;
    let mut application = Application::start(bootstrap, side, state.path())?;
    wait_until(&group, Duration::from_millis(200), LONG, || {
        application.is_alive()?;
        Ok(offsets.lag(&input)? == 0)
    })?;

    // From now on there is always something to do, and a transaction open.
    let done = Arc::new(AtomicBool::new(false));
    let feeder = feed(bootstrap, &input, keys, Arc::clone(&done));
    thread::sleep(Duration::from_secs(3));
    let mut reader = Client::new(bootstrap).reader(&output)?;
    application.process.kill()?;
    // What was committed before the kill is no new output.
    while !reader.poll(Duration::from_secs(2))?.is_empty() {}

    let began = Instant::now();
    let mut application = Application::start(bootstrap, side, state.path())?;
    while reader.poll(Duration::from_millis(1))?.is_empty() {
        application.is_alive()?;
        if began.elapsed() > SOON {
            return Err(format!("{side}: no output within {SOON:?}").into());
        }
    }
    let first = began.elapsed();
    let received = received_by(application.process.id())?;
    let used = Used::by(application.process.id())?;
    // It has told what it restored before it was running.
    thread::sleep(Duration::from_secs(1));
    let restored = application.restored();
    done.store(true, Ordering::Relaxed);
    application.process.kill()?;
    feeder.join().map_err(|_| "the feeder failed")??;

    let logged = offsets.end(&format!("{group}-counts-changelog"))?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{side:<14}{keys:>10}{logged:>12}{:>17.2}{restored:>24}{:>16.1}{:>10.0}",
        first.as_secs_f64(),
        mib(received),
        mib(used.peak)
    );
    Ok(())
}

/// A process that runs the application.
struct Application {
    process: Process,
    lines: Receiver<String>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Application {
    fn start(bootstrap: &str, side: &str, state: &Path) -> Result<Self, Failure> {
        let program = match side {
            "java" => Program::java_machine(class_path::class_path()?, "2g")?
                .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error")
                .arg("Recovery"),
            _ => Program::new(std::env::current_exe()?).arg("--child"),
        };
        let mut process = program.arg(bootstrap).arg(state).piped().start()?;
        let (sender, lines) = channel();
        if let Some(output) = process.stdout() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let log = Arc::new(Mutex::new(Vec::new()));
        if let Some(errors) = process.stderr() {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                for line in BufReader::new(errors).lines().map_while(Result::ok) {
                    log.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(line);
                }
            });
        }
        Ok(Application {
            process,
            lines,
            log,
        })
    }

    fn is_alive(&mut self) -> Result<(), Failure> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                Err(format!("ended: {status}: {}", log.join("\n")).into())
            }
        }
    }

    /// The sum of what it said it restored.
    fn restored(&self) -> u64 {
        let numbers = self.lines.try_iter().filter_map(|line| {
            let number = line.strip_prefix("restored ")?;
            number.parse::<u64>().ok()
        });
        numbers.sum()
    }
}

/// Writes a record every few milliseconds until it is told to end.
fn feed(
    bootstrap: &str,
    input: &str,
    keys: u64,
    done: Arc<AtomicBool>,
) -> thread::JoinHandle<Result<(), String>> {
    let (bootstrap, input) = (bootstrap.to_owned(), input.to_owned());
    thread::spawn(move || {
        let mut random = Random::new();
        while !done.load(Ordering::Relaxed) {
            let record = |_| (format!("key-{:08}", random.below(keys)), "new".to_owned());
            fill(&bootstrap, &input, 20, record).map_err(|e| e.to_string())?;
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    })
}

/// The bytes that a process's connections have received so far.
fn received_by(pid: u32) -> Result<u64, Failure> {
    let output = Command::new("ss").args(["-tinpH"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    let marker = format!("pid={pid},");
    let mut bytes = 0;
    // A line for the connection, an indented one for its numbers.
    for pair in lines.windows(2).filter(|pair| pair[0].contains(&marker)) {
        let number = pair[1]
            .split_whitespace()
            .find_map(|word| word.strip_prefix("bytes_received:"));
        bytes += number.map_or(Ok(0), str::parse::<u64>)?;
    }
    Ok(bytes)
}

/// The process that is killed.
fn child(bootstrap: &str, state: &str) -> Result<(), Failure> {
    let config = StreamsConfig::new()
        .with("bootstrap.servers", bootstrap)?
        .with("replication.factor", "1")?
        .state_dir(Path::new(state))
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .cache_max_bytes(0);
    let application = Recovery::builder().start(config)?;
    if !application.streams().wait_for(State::Running, SOON) {
        application.close()?;
        return Err("not running".into());
    }
    let statistics = application.streams().statistics();
    println!("wiped {}", statistics.wiped);
    println!("restored {}", statistics.restored);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(application.close()?)
}
