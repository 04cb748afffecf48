//! Instances of the applications: configuration, and processes of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use kafka_broker::{Cluster, Process, Program};
use kstreams::{Running, State, StreamsConfig, Topology};

use crate::apps;

/// Which application a process is.
pub(crate) const APP: &str = "KAFKA_TEST_APP";
/// Its settings, `key=value` a line.
const SETTINGS: &str = "KAFKA_TEST_SETTINGS";
/// Nothing here takes that long unless it hangs.
pub(crate) const SOON: Duration = Duration::from_secs(300);

pub(crate) type Settings = Vec<(String, String)>;

/// What the cases have in common: exactly once, no cache, quick commits, and a group that notices quickly who comes and
/// goes in order, but waits long for those that vanish.
pub(crate) fn settings(bootstrap: &str, state: &Path, more: &[(&str, &str)]) -> Settings {
    let state = state.to_str().expect("temporary paths are UTF-8");
    let common = [
        ("bootstrap.servers", bootstrap),
        ("state.dir", state),
        ("processing.guarantee", "exactly_once_v2"),
        ("commit.interval.ms", "50"),
        ("statestore.cache.max.bytes", "0"),
        ("poll.ms", "20"),
        ("consumer.heartbeat.interval.ms", "200"),
        ("consumer.session.timeout.ms", "300000"),
    ];
    let all = common.iter().chain(more);
    all.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

pub(crate) fn config(settings: &Settings) -> StreamsConfig {
    let mut config = StreamsConfig::new();
    for (key, value) in settings {
        config
            .set(key, value)
            .unwrap_or_else(|error| panic!("{error}"));
    }
    config
}

/// [`settings`] as a configuration, for an application in this process.
pub(crate) fn here(cluster: &Cluster, state: &Path, more: &[(&str, &str)]) -> StreamsConfig {
    config(&settings(&cluster.bootstrap(), state, more))
}

/// An application in a process of its own.
pub(crate) struct Instance {
    pub(crate) process: Process,
    log: PathBuf,
    /// How long the log was when it was started.
    begun: usize,
}

impl Instance {
    /// Starts one. `prefix` is put before its command, to run it in another network say.
    pub(crate) fn start_in(prefix: &[&str], app: &str, dir: &Path, settings: &Settings) -> Self {
        let this = std::env::current_exe().expect("a test has a path");
        let lines: Vec<String> = settings.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let log = dir.join("log");
        let begun = fs::read(&log).map_or(0, |before| before.len());
        let program = match prefix {
            [] => Program::new(this),
            [first, rest @ ..] => Program::new(first).args(rest).arg(this),
        };
        fs::create_dir_all(dir).expect("it can be made");
        let process = program
            .env(APP, app)
            .env(SETTINGS, lines.join("\n"))
            .log_to(&log)
            .and_then(Program::start)
            .unwrap_or_else(|error| panic!("{error}"));
        Instance {
            process,
            log,
            begun,
        }
    }

    pub(crate) fn start(app: &str, dir: &Path, settings: &Settings) -> Self {
        Self::start_in(&[], app, dir, settings)
    }

    /// What it has printed; later starts with the same directory append to it.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The states that it has been in, in order, over all its starts.
    pub(crate) fn states(&self) -> Vec<String> {
        states(&self.log())
    }

    /// Waits until this start of it is in a state; it listens to signals then.
    pub(crate) fn wait_for(&mut self, state: &str) {
        eventually(&format!("an instance is {state}"), || {
            let log = self.log();
            let own = states(log.get(self.begun..).unwrap_or_default());
            let there = own.last().is_some_and(|s| s == state);
            let ended = self.process.try_wait().expect("it can be waited for");
            assert!(there || ended.is_none(), "it ended:\n{}", self.log());
            there
        });
    }

    /// Ends it in order.
    pub(crate) fn close(mut self) {
        let status = self.process.stop(SOON).expect("it can be stopped");
        assert!(status.success(), "{status}:\n{}", self.log());
    }
}

fn states(log: &str) -> Vec<String> {
    let states = log.lines().filter_map(|l| l.strip_prefix("state "));
    states.map(str::to_owned).collect()
}

/// The process itself: prints each state, ends when it is told to.
pub(crate) fn run(app: &str) -> ExitCode {
    let settings = std::env::var(SETTINGS).unwrap_or_default();
    let settings = settings.lines().filter_map(|l| l.split_once('='));
    let settings: Settings = settings
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    show_log();
    let config = config(&settings);
    match app {
        "scale" => until_told(apps::Scale::builder().start(config)),
        "restarted" => until_told(apps::Restarted::builder().start(config)),
        "expired" => until_told(apps::Expired::builder().start(config)),
        "repeated" => until_told(apps::Repeated::builder().start(config)),
        "cutoff" => until_told(apps::CutOff::builder().start(config)),
        other => panic!("there is no application `{other}`"),
    }
}

/// Warnings and errors; more by `KSTREAMS_LOG`, as in `KSTREAMS_LOG=debug`.
pub(crate) fn show_log() {
    let filter = std::env::var("KSTREAMS_LOG").unwrap_or_else(|_| "warn".to_owned());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
}

fn until_told<A: Topology>(started: kstreams::Result<Running<A>>) -> ExitCode {
    let ended = started.and_then(|app| {
        let streams = app.streams().clone();
        // Only once signals are listened to is it said to be in a state: a test may end it then.
        let told = std::thread::spawn(move || streams.run_until_signal());
        while !listens_to_signals() && !told.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        app.streams()
            .on_state_change(|_, state| println!("state {state}"));
        println!("state {}", app.state());
        told.join().expect("it does not panic")
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether this process catches SIGTERM, which the system tells as a set of bits.
fn listens_to_signals() -> bool {
    const TERM: u32 = 15;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let caught = status.lines().find_map(|l| l.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    // Where the system does not tell, it is given the benefit of the doubt.
    caught.is_none_or(|bits| bits & (1 << (TERM - 1)) != 0)
}

/// Waits until an application in this process runs, and says why if it does not.
pub(crate) fn wait_until_running<A>(app: &Running<A>) {
    if !app.streams().wait_for(State::Running, SOON) {
        let state = app.state();
        let why = app.streams().close_within(Duration::from_secs(5));
        panic!("it is {state} and not RUNNING: {why:?}");
    }
}

/// What the coordinator says of the last transaction of an application with one thread.
pub(crate) fn last_transaction(cluster: &Cluster, app: &str) -> String {
    let prefix = format!("{app}-");
    let mut state = None;
    eventually("a coordinator tells of a transaction", || {
        let mut transactions = cluster.transactions().into_iter();
        state = transactions.find(|(id, _)| id.starts_with(&prefix));
        state.is_some()
    });
    state.map(|(_, state)| state).unwrap_or_default()
}

/// Waits until an application has stopped by itself, and tells why.
pub(crate) fn error_of<A>(app: Running<A>) -> String {
    let stopped = app.streams().wait_for(State::Error, SOON);
    assert!(stopped, "it is {} and not ERROR", app.state());
    app.close().expect_err("it has failed").to_string()
}

/// Repeats until it holds, for what others do in their own time.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {SOON:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
