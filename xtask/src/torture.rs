//! Exactly-once torture: an application counts events while its processes and the brokers are killed; afterwards every
//! key's updates must be 1, 2, 3 … to the number of its events, and the state must be the plain fold of the input.

pub mod app;
mod error;
mod instance;
mod report;
mod schedule;
mod traffic;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kafka_broker::{Client, Cluster, Options as Brokers, temp_dir};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer as _};

pub use error::Failure;
pub use report::Report;
pub use schedule::{Fault, Kind, Random, Schedule};

use instance::Instance;
use traffic::{Checker, Feeder};

const BROKERS: usize = 3;
const APPS: usize = 2;
const THREADS: usize = 2;
/// Between looks at processes and updates.
const TICK: Duration = Duration::from_millis(50);
/// After the last fault everything has to come out within this; a fenced broker, sessions and transactions take their time.
const DRAIN: Duration = Duration::from_secs(300);
/// A slow machine may take long until the first update.
const BEGIN: Duration = Duration::from_secs(300);
/// What the markers of transactions are delayed by: longer than it takes from a process's last commit to the restore of its tasks
/// by one that starts.
const LATE: Duration = Duration::from_millis(2_500);
/// After that delay has begun, until the hand-over: time for a commit.
const UNTIL_HAND_OVER: Duration = Duration::from_millis(500);
/// A step of the hand-over takes so long at most; it is gone on with then.
const HAND_OVER: Duration = Duration::from_secs(15);
/// A process that has just been started has a transaction open after a while.
const OPENS: Duration = Duration::from_secs(5);
/// Somebody whose place is taken notices with the next call.
const NOTICES: Duration = Duration::from_secs(3);
const OUTSIDE: Duration = Duration::from_secs(10);

/// How to torture.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides faults and events.
    pub seed: u64,
    /// Goes on for so long …
    pub lasts: Duration,
    /// … and until there were so many faults.
    pub faults: u64,
    /// Events a second.
    pub rate: u64,
    /// How many keys they are of.
    pub keys: u64,
    /// The program that runs the application when its first argument is [`app::WORD`].
    pub program: PathBuf,
    /// Where logs and state are kept; else they go with the run.
    pub keep: Option<PathBuf>,
}

/// Runs it and tells what was hit.
///
/// # Errors
/// [`Failure::Wrong`] when the application lost or doubled something or wiped a store, [`Failure::Ended`] when a process ended
/// by itself or got stuck; others when the run could not find out.
pub fn run(options: &Options) -> Result<Report, Failure> {
    println!("torture: seed {}", options.seed);
    let mut torture = Torture::begin(options)?;
    let result = torture.torment(options).and_then(|()| torture.verify());
    torture.look_into_logs();
    let report = torture.report.clone();
    println!("{report}");
    result.and_then(|()| report.check(options.faults))?;
    Ok(report)
}

struct Torture {
    began: Instant,
    cluster: Arc<Cluster>,
    /// A broker that is being started.
    starting: Option<JoinHandle<Result<(), kafka_broker::Error>>>,
    feeder: Feeder,
    checker: Checker,
    apps: Vec<Instance>,
    /// What is to be undone, and when.
    pending: Vec<(Instant, Undo)>,
    report: Report,
    _dir: Option<tempfile::TempDir>,
}

/// The end of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Undo {
    StartApp(usize),
    ResumeApp(usize),
    StartBroker(usize),
    ResumeBroker(usize),
}

impl Undo {
    fn of_app(self) -> Option<usize> {
        match self {
            Undo::StartApp(app) | Undo::ResumeApp(app) => Some(app),
            Undo::StartBroker(_) | Undo::ResumeBroker(_) => None,
        }
    }

    fn of_broker(self) -> bool {
        matches!(self, Undo::StartBroker(_) | Undo::ResumeBroker(_))
    }
}

impl Torture {
    fn begin(options: &Options) -> Result<Self, Failure> {
        let began = Instant::now();
        let cluster = Brokers::brokers(BROKERS).slow_markers().start()?;
        let client = Client::new(cluster.bootstrap());
        let partitions = i32::try_from(app::PARTITIONS).unwrap_or(i32::MAX);
        for topic in [app::INPUT, app::OUTPUT] {
            client.create_topic(topic, partitions)?;
        }
        let temporary = temp_dir()?;
        let dir = match &options.keep {
            Some(dir) => dir.clone(),
            None => temporary.path().to_owned(),
        };
        // Builds may replace the program while it is started again and again.
        let program = temporary.path().join("app");
        fs::hard_link(&options.program, &program)
            .or_else(|_| fs::copy(&options.program, &program).map(drop))
            .map_err(Failure::doing("the program cannot be copied"))?;
        let mut apps = Vec::new();
        for index in 0..APPS {
            let dir = dir.join(format!("app-{index}"));
            apps.push(Instance::new(&program, &cluster.bootstrap(), THREADS, dir)?);
        }
        let mut torture = Torture {
            began,
            feeder: Feeder::start(&client, options.seed, options.rate, options.keys)?,
            checker: Checker::start(&client)?,
            cluster: Arc::new(cluster),
            starting: None,
            apps,
            pending: Vec::new(),
            report: Report {
                seed: options.seed,
                ..Report::default()
            },
            _dir: Some(temporary),
        };
        for app in &mut torture.apps {
            app.start()?;
        }
        let deadline = Instant::now() + BEGIN;
        while torture.checker.seen()?.updates == 0 || !torture.apps.iter().all(Instance::is_running)
        {
            torture.tick()?;
            if Instant::now() > deadline {
                return Err(Failure::Ended(format!("no update within {BEGIN:?}")));
            }
        }
        torture.say("the application is running");
        Ok(torture)
    }

    fn say(&self, what: impl std::fmt::Display) {
        println!("{:7.2} {what}", self.began.elapsed().as_secs_f64());
    }

    /// Faults, one after the other; they may overlap.
    fn torment(&mut self, options: &Options) -> Result<(), Failure> {
        let began = Instant::now();
        for fault in Schedule::new(options.seed, APPS, BROKERS) {
            self.wait(fault.after)?;
            if self.report.faults() >= options.faults && began.elapsed() >= options.lasts {
                // What faults meet is chance, an open transaction say: a short run goes on until each has met what it is to meet.
                self.look_into_logs();
                let missed = self.report.missed();
                if missed.is_empty() || self.report.faults() >= 3 * options.faults {
                    break;
                }
                self.say(format_args!("not yet hit: {}", missed.join(", ")));
            }
            self.wait_until_free(fault)?;
            self.say(fault);
            self.make(fault)?;
            *self.report.faults.entry(fault.kind).or_default() += 1;
        }
        while !self.pending.is_empty() || self.starting.is_some() {
            self.tick()?;
        }
        self.report.lasted = began.elapsed();
        Ok(())
    }

    fn make(&mut self, fault: Fault) -> Result<(), Failure> {
        let target = fault.target;
        match fault.kind {
            Kind::KillApp | Kind::KillAppForLong => {
                // Half of the kills wait for a transaction to be open, the others come when they come.
                if fault.kind == Kind::KillApp {
                    self.wait_for(OPENS, |t| t.is_in_transaction(target))?;
                }
                self.kill_app(target)?;
                self.later(fault.lasts, Undo::StartApp(target));
            }
            Kind::PauseApp => {
                self.apps[target].pause()?;
                self.later(fault.lasts, Undo::ResumeApp(target));
            }
            Kind::RestartApp => {
                self.apps[target].end()?;
                self.later(fault.lasts, Undo::StartApp(target));
            }
            Kind::Fence => self.fence(target)?,
            Kind::KillBroker => {
                self.cluster.kill(target)?;
                self.later(fault.lasts, Undo::StartBroker(target));
            }
            Kind::PauseBroker => {
                self.cluster.pause(target)?;
                self.later(fault.lasts, Undo::ResumeBroker(target));
            }
            Kind::LateMarkers => self.hand_over_late(target)?,
        }
        Ok(())
    }

    fn undo(&mut self, undo: Undo) -> Result<(), Failure> {
        match undo {
            // It is still ending.
            Undo::StartApp(app) if self.apps[app].is_there() => self.later(TICK, undo),
            Undo::StartApp(app) => self.apps[app].start()?,
            Undo::ResumeApp(app) => self.apps[app].resume()?,
            // It takes seconds, in which other things are to happen.
            Undo::StartBroker(broker) => {
                let cluster = Arc::clone(&self.cluster);
                self.starting = Some(thread::spawn(move || cluster.restart(broker)));
            }
            Undo::ResumeBroker(broker) => self.cluster.resume(broker)?,
        }
        Ok(())
    }

    fn later(&mut self, after: Duration, undo: Undo) {
        self.pending.push((Instant::now() + after, undo));
    }

    /// One broker at a time: of two only the third would be left, and two must have what is acknowledged. A process that is
    /// down or paused cannot be hit again.
    fn wait_until_free(&mut self, fault: Fault) -> Result<(), Failure> {
        let busy = |undo: Undo| match fault.kind {
            kind if kind.of_broker() => undo.of_broker(),
            Kind::LateMarkers => undo.of_app().is_some(),
            _ => undo.of_app() == Some(fault.target),
        };
        loop {
            let starting = self.starting.is_some() && fault.kind.of_broker();
            if !starting && !self.pending.iter().any(|(_, undo)| busy(*undo)) {
                return Ok(());
            }
            self.tick()?;
        }
    }

    fn wait(&mut self, duration: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + duration;
        while Instant::now() < deadline {
            self.tick()?;
        }
        Ok(())
    }

    /// Waits until something holds, so long at most; tells whether it does.
    fn wait_for(
        &mut self,
        at_most: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<bool, Failure> {
        let deadline = Instant::now() + at_most;
        while !holds(self) {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.tick()?;
        }
        Ok(true)
    }

    /// Ends the faults whose time has come, and looks whether something went wrong.
    fn tick(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        let due: Vec<Undo> = self
            .pending
            .extract_if(.., |(at, _)| *at <= now)
            .map(|(_, undo)| undo)
            .collect();
        for undo in due {
            self.undo(undo)?;
        }
        if self.starting.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(starting) = self.starting.take()
        {
            let panicked = |_| Failure::Environment("a broker's start panicked".to_owned());
            starting.join().map_err(panicked)??;
        }
        for app in &mut self.apps {
            app.check()?;
        }
        self.feeder.fed()?;
        self.check_updates()?;
        thread::sleep(TICK);
        Ok(())
    }

    fn check_updates(&mut self) -> Result<(), Failure> {
        let seen = self.checker.seen()?;
        if seen.wrong == 0 {
            return Ok(());
        }
        Err(Failure::Wrong(format!(
            "{} of {} updates are not the one after the last:\n  {}",
            seen.wrong,
            seen.updates,
            seen.examples.join("\n  ")
        )))
    }

    /// `kill -9`, and asks the brokers whether one of its transactions was open. Nobody else could have ended it meanwhile.
    fn kill_app(&mut self, app: usize) -> Result<(), Failure> {
        if !self.apps[app].is_there() {
            return Ok(());
        }
        self.apps[app].kill()?;
        self.report.kills += 1;
        self.report.kills_in_transaction += u64::from(self.is_in_transaction(app));
        Ok(())
    }

    /// Whether the brokers that answer have an open transaction of one of a process's threads.
    fn is_in_transaction(&self, app: usize) -> bool {
        let Some(id) = self.apps[app].process_id() else {
            return false;
        };
        let transactions = self.cluster.transactions();
        transactions
            .iter()
            .any(|(name, state)| name.contains(&id) && state == "Ongoing")
    }

    /// Takes the place of the producer of one of a process's threads, as its successor would, until the process has noticed.
    fn fence(&mut self, app: usize) -> Result<(), Failure> {
        let before = self.apps[app].counts().get("fenced");
        for _ in 0..5 {
            if let Some(name) = self.open_transaction(app)? {
                let producer: BaseProducer = ClientConfig::new()
                    .set("bootstrap.servers", self.cluster.bootstrap())
                    .set("transactional.id", name)
                    .create()
                    .map_err(Failure::doing("there is no client"))?;
                if let Err(error) = producer.init_transactions(OUTSIDE) {
                    // A broker that is away; its transaction may have been aborted all the same.
                    self.say(format_args!("could not fence: {error}"));
                }
            }
            let noticed = |t: &Self| t.apps[app].counts().get("fenced") > before;
            if self.wait_for(NOTICES, noticed)? {
                break;
            }
        }
        Ok(())
    }

    /// A transactional id of one of a process's threads, with an open transaction if that comes soon.
    fn open_transaction(&mut self, app: usize) -> Result<Option<String>, Failure> {
        self.wait_for(OPENS, |t| t.is_in_transaction(app))?;
        let Some(id) = self.apps[app].process_id() else {
            return Ok(None);
        };
        let mut own = self.cluster.transactions();
        own.retain(|(name, _)| name.contains(&id));
        let open = own.iter().find(|(_, state)| state == "Ongoing");
        Ok(open.or(own.first()).map(|(name, _)| name.clone()))
    }

    /// One process ends in order, then the other, and the first one has the tasks while the markers of the last commit are on
    /// their way: it must not begin before it has read what they commit.
    fn hand_over_late(&mut self, from: usize) -> Result<(), Failure> {
        let to = (from + 1) % APPS;
        self.apps[to].end()?;
        self.wait_for(HAND_OVER, |t| !t.apps[to].is_there())?;
        self.wait_for(HAND_OVER, |t| t.apps[from].is_running())?;
        self.delay_markers(LATE)?;
        self.wait(UNTIL_HAND_OVER)?;
        self.apps[from].end()?;
        self.wait_for(HAND_OVER, |t| !t.apps[from].is_there())?;
        // One that is still ending is started when it has.
        self.undo(Undo::StartApp(to))?;
        self.wait_for(HAND_OVER, |t| t.apps[to].is_running())?;
        self.delay_markers(Duration::ZERO)?;
        self.undo(Undo::StartApp(from))
    }

    fn delay_markers(&self, delay: Duration) -> Result<(), Failure> {
        for broker in 0..BROKERS {
            self.cluster.delay_markers(broker, delay)?;
        }
        Ok(())
    }

    /// Everything that went in has come out, once, and is in the state.
    fn verify(&mut self) -> Result<(), Failure> {
        let fed = self.feeder.end()?;
        self.say(format_args!("{} events were sent", fed.events));
        let mut since = (Instant::now(), 0);
        loop {
            let seen = self.checker.seen()?;
            if seen.updates >= fed.events && self.apps.iter().all(Instance::is_running) {
                break;
            }
            if seen.updates > since.1 {
                since = (Instant::now(), seen.updates);
            }
            if since.0.elapsed() > DRAIN {
                let updates = seen.updates;
                return Err(Failure::Ended(format!(
                    "{updates} updates came of {} events, and no more within {DRAIN:?}",
                    fed.events
                )));
            }
            self.tick()?;
        }
        // What is doubled may come later.
        self.wait(Duration::from_secs(2))?;
        let seen = self.checker.seen()?;
        differs("the last updates differ from", &seen.last, &fed.fold)?;
        let client = Client::new(self.cluster.bootstrap());
        let mut logged = BTreeMap::new();
        for message in client.read(app::CHANGELOG)? {
            if let Some(count) = message.value_long() {
                logged.insert(message.key_text(), count);
            }
        }
        differs("the changelog differs from", &logged, &fed.fold)?;
        differs("the state differs from", &self.state()?, &fed.fold)?;
        self.say("updates, changelog and state equal the fold of the input");
        Ok(())
    }

    /// The entries of all stores; each key is in one.
    fn state(&mut self) -> Result<BTreeMap<String, i64>, Failure> {
        let deadline = Instant::now() + DRAIN;
        for app in &mut self.apps {
            app.ask_for_dump()?;
        }
        let mut state = BTreeMap::new();
        for index in 0..self.apps.len() {
            let entries = loop {
                if let Some(entries) = self.apps[index].dumped() {
                    break entries;
                }
                self.tick()?;
                if Instant::now() > deadline {
                    return Err(Failure::Wrong(
                        "an application does not tell its state".to_owned(),
                    ));
                }
            };
            for (key, count) in entries {
                if state.insert(key.clone(), count).is_some() {
                    return Err(Failure::Wrong(format!(
                        "`{key}` is in two processes' state"
                    )));
                }
            }
        }
        Ok(state)
    }

    /// What the processes and the brokers say about the run so far, whatever becomes of it.
    fn look_into_logs(&mut self) {
        let report = &mut self.report;
        report.forget_logs();
        if let Ok(seen) = self.checker.seen() {
            report.updates = seen.updates;
        }
        if let Ok(fed) = self.feeder.fed() {
            report.events = fed.events;
        }
        for app in &self.apps {
            let counts = app.counts();
            report.aborts += counts.get("aborts");
            report.rollbacks += counts.get("rollbacks");
            report.fenced += counts.get("fenced");
            report.commits += counts.get("commits");
            report.wiped += counts.get("wiped");
            let restores = app.restores();
            report.tails += restores.get("tails");
            report.tail_records += restores.get("tail_records");
            report.whole += restores.get("whole");
        }
        report.late_markers = self.cluster.delayed_markers();
        let brokers = (0..BROKERS).filter_map(|broker| self.cluster.data_dir(broker).ok());
        // Every broker has all partitions; the one that has seen most is right.
        report.aborted_in_topics = brokers.map(|dir| aborted(&dir)).max().unwrap_or(0);
    }
}

/// How many aborted transactions a broker's data has in the partitions of output and changelog.
fn aborted(dir: &Path) -> u64 {
    /// An entry of Kafka's index of aborted transactions.
    const ENTRY: u64 = 34;
    let mut found = 0;
    for partition in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = partition.file_name().to_string_lossy().into_owned();
        if ![app::OUTPUT, app::CHANGELOG]
            .iter()
            .any(|t| name.starts_with(t))
        {
            continue;
        }
        for file in fs::read_dir(partition.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            if file.path().extension().is_some_and(|e| e == "txnindex") {
                found += file.metadata().map_or(0, |m| m.len()) / ENTRY;
            }
        }
    }
    found
}

fn differs(
    what: &str,
    found: &BTreeMap<String, i64>,
    fold: &BTreeMap<String, i64>,
) -> Result<(), Failure> {
    if found == fold {
        return Ok(());
    }
    let keys = fold.keys().chain(found.keys());
    let wrong = keys.filter(|key| found.get(*key) != fold.get(*key));
    let examples: Vec<String> = wrong
        .take(5)
        .map(|key| {
            let n = |map: &BTreeMap<String, i64>| map.get(key).copied().unwrap_or_default();
            format!("`{key}`: {} instead of {}", n(found), n(fold))
        })
        .collect();
    Err(Failure::Wrong(format!(
        "{what} the plain fold of the input:\n  {}",
        examples.join("\n  ")
    )))
}
