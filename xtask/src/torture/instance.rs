//! A process of the application, over all its deaths: started, killed, paused, and what it told.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ChildStdin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kafka_broker::{Process, Program};
use serde_json::Value;

use super::app;
use super::error::Failure;

const SIGTERM: i32 = 15;
/// An orderly end takes a commit, for which a broker may be missing.
const STOP: Duration = Duration::from_secs(180);
/// How much of a log is shown of a process that ended by itself.
const TAIL: usize = 40;

/// A place of the application: a state directory, and at most one process on it at a time.
#[derive(Debug)]
pub(crate) struct Instance {
    program: PathBuf,
    bootstrap: String,
    threads: usize,
    dir: PathBuf,
    running: Option<Running>,
    /// What its earlier processes counted.
    before: Counts,
    restored_before: Counts,
}

#[derive(Debug)]
struct Running {
    process: Process,
    stdin: Option<ChildStdin>,
    /// Since when it is asked to end.
    ending: Option<Instant>,
    told: Arc<Mutex<Told>>,
    readers: Vec<JoinHandle<()>>,
}

/// What a process told so far.
#[derive(Debug, Default)]
struct Told {
    counts: Counts,
    /// Stores that were restored, whole or the tail of their changelog, and those tails' records.
    restores: Counts,
    state: String,
    dump: Option<BTreeMap<String, i64>>,
}

/// An application's statistics, by their names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(BTreeMap<String, u64>);

impl Counts {
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn add(&mut self, other: &Counts) {
        for (name, n) in &other.0 {
            *self.0.entry(name.clone()).or_default() += n;
        }
    }

    fn read(value: &Value) -> Self {
        let fields = value.as_object().into_iter().flatten();
        Counts(
            fields
                .filter_map(|(name, n)| Some((name.clone(), n.as_u64()?)))
                .collect(),
        )
    }
}

impl Instance {
    pub(crate) fn new(
        program: &Path,
        bootstrap: &str,
        threads: usize,
        dir: PathBuf,
    ) -> Result<Self, Failure> {
        fs::create_dir_all(&dir).map_err(Failure::doing(dir.display()))?;
        Ok(Instance {
            program: program.to_owned(),
            bootstrap: bootstrap.to_owned(),
            threads,
            dir,
            running: None,
            before: Counts::default(),
            restored_before: Counts::default(),
        })
    }

    pub(crate) fn start(&mut self) -> Result<(), Failure> {
        self.gone();
        let mut process = Program::new(&self.program)
            .arg(app::WORD)
            .args(["--bootstrap", &self.bootstrap])
            .args(["--threads", &self.threads.to_string()])
            .arg("--state-dir")
            .arg(self.dir.join("state"))
            // Where a core would be left.
            .current_dir(&self.dir)
            .piped()
            .start()?;
        let told = Arc::new(Mutex::new(Told::default()));
        let mut readers = Vec::new();
        if let Some(stdout) = process.stdout() {
            let told = Arc::clone(&told);
            readers.push(thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    lock(&told).hear(&line);
                }
            }));
        }
        if let Some(mut stderr) = process.stderr() {
            let log = File::options()
                .create(true)
                .append(true)
                .open(self.log())
                .map_err(Failure::doing(self.log().display()))?;
            readers.push(thread::spawn(move || {
                let mut log = log;
                // A full disk shows elsewhere.
                let _ = io::copy(&mut stderr, &mut log);
            }));
        }
        self.running = Some(Running {
            stdin: process.stdin(),
            ending: None,
            process,
            told,
            readers,
        });
        Ok(())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        if let Some(running) = &mut self.running {
            running.process.kill()?;
        }
        self.gone();
        Ok(())
    }

    /// Asks it to end, which it has to do in order: [`check`](Self::check) looks after it.
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
        if let Some(running) = &mut self.running {
            running.process.signal("TERM")?;
            running.ending = Some(Instant::now());
        }
        Ok(())
    }

    pub(crate) fn pause(&mut self) -> Result<(), Failure> {
        match &mut self.running {
            Some(running) => Ok(running.process.pause()?),
            None => Ok(()),
        }
    }

    pub(crate) fn resume(&mut self) -> Result<(), Failure> {
        match &mut self.running {
            Some(running) => Ok(running.process.resume()?),
            None => Ok(()),
        }
    }

    /// An application ends when it is asked to, and never by itself, whatever the brokers do.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let asked = running.ending;
        let why = match (running.process.try_wait()?, asked) {
            (None, Some(since)) if since.elapsed() > STOP => {
                // A core shows where it hangs, if the machine keeps any.
                running.process.signal("ABRT")?;
                running.process.wait(Duration::from_secs(10))?;
                format!("was asked to end and did not within {STOP:?}")
            }
            (None, _) => return Ok(()),
            // By the signal itself, where it did not yet listen to signals.
            (Some(status), Some(_)) if status.success() || status.signal() == Some(SIGTERM) => {
                self.gone();
                return Ok(());
            }
            (Some(status), Some(_)) => format!("was asked to end and did so with {status}"),
            (Some(status), None) => format!("ended by itself with {status}"),
        };
        Err(Failure::Ended(format!(
            "an application {why}:\n{}",
            self.tail()
        )))
    }

    pub(crate) fn is_there(&self) -> bool {
        self.running.is_some()
    }

    /// Whether every one of its tasks is processing.
    pub(crate) fn is_running(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|r| lock(&r.told).state == "RUNNING")
    }

    /// What its processes counted, all together.
    pub(crate) fn counts(&self) -> Counts {
        let mut sum = self.before.clone();
        if let Some(running) = &self.running {
            sum.add(&lock(&running.told).counts);
        }
        sum
    }

    /// What their stores lacked, all together.
    pub(crate) fn restores(&self) -> Counts {
        let mut sum = self.restored_before.clone();
        if let Some(running) = &self.running {
            sum.add(&lock(&running.told).restores);
        }
        sum
    }

    /// Asks for the entries of its store; they come by [`dumped`](Self::dumped).
    pub(crate) fn ask_for_dump(&mut self) -> Result<(), Failure> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        lock(&running.told).dump = None;
        match &mut running.stdin {
            Some(stdin) => writeln!(stdin, "dump").map_err(Failure::doing("telling a process")),
            None => Ok(()),
        }
    }

    pub(crate) fn dumped(&self) -> Option<BTreeMap<String, i64>> {
        let running = self.running.as_ref()?;
        lock(&running.told).dump.clone()
    }

    /// The transactional ids of its threads: what they have in common.
    pub(crate) fn process_id(&self) -> Option<String> {
        let file = self
            .dir
            .join("state")
            .join(app::APPLICATION)
            .join("kafka-streams-process-metadata");
        let text = fs::read_to_string(file).ok()?;
        let value: Value = serde_json::from_str(&text).ok()?;
        value["processId"].as_str().map(str::to_owned)
    }

    /// What its processes logged.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("log.txt")
    }

    fn tail(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// Takes what a process that has ended left behind.
    fn gone(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        let Running {
            process,
            stdin,
            told,
            readers,
            ..
        } = running;
        drop((process, stdin));
        for reader in readers {
            // It reads until the pipe ends.
            let _ = reader.join();
        }
        let told = lock(&told);
        self.before.add(&told.counts);
        self.restored_before.add(&told.restores);
    }
}

impl Told {
    fn hear(&mut self, line: &str) {
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            // Half a line of a process that was killed.
            return;
        };
        if value["statistics"].is_object() {
            self.counts = Counts::read(&value["statistics"]);
        }
        if value["restore"].is_object() {
            self.restores.add(&Counts::read(&value["restore"]));
        }
        if let Some(state) = value["state"].as_str() {
            state.clone_into(&mut self.state);
        }
        if let Some(entries) = value["dump"].as_object() {
            let entries = entries.iter();
            self.dump = Some(
                entries
                    .filter_map(|(key, n)| Some((key.clone(), n.as_i64()?)))
                    .collect(),
            );
        }
        if value["nodump"].is_string() {
            self.dump = Some(BTreeMap::new());
        }
    }
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
