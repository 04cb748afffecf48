//! One application written by one side, stopped, and taken over by the other; and everything that it left on the broker.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kstreams::{ProcessingGuarantee, State, StreamsConfig};
use streams_core::query::ByteReader;
use streams_core::store::ExternalStore;

use crate::client::{self, ByKey, Input, Metadata, Reader};
use crate::java::JavaApplication;
use crate::topology::{Application, Start};

const PARTITIONS: i32 = 2;
const KEYS: usize = 24;
const LINES: usize = 150;
const STORES: [&str; 4] = ["counts", "words", "sums", "prices"];
const SOON: Duration = Duration::from_secs(60);

/// Who runs the application.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Java,
    Rust(Start),
}

/// An application's life: who begins, and who takes over, if anybody does.
pub(crate) struct Scenario<'a> {
    pub(crate) bootstrap: &'a str,
    /// The application id, and the prefix of its topics.
    pub(crate) name: &'a str,
    pub(crate) guarantee: ProcessingGuarantee,
    pub(crate) first: Side,
    pub(crate) second: Option<Side>,
}

/// What an application left, by topic or store. None of it depends on who wrote it, how often it was stopped, or the guarantee.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) topics: BTreeMap<String, ByKey>,
    /// Store, key, timestamp and value of each entry.
    pub(crate) stores: BTreeSet<String>,
    /// What was committed beside the offsets of each input partition: its partition time.
    pub(crate) metadata: Metadata,
}

impl Scenario<'_> {
    /// Lives the life.
    pub(crate) fn run(&self, directory: &Path) -> Result<Outcome, String> {
        client::forget(self.bootstrap, self.name)?;
        client::create_topics(self.bootstrap, &self.external_topics(), PARTITIONS)?;
        let mut application = self.start(self.first, directory)?;
        let mut feed = Feed::new(self)?;
        feed.phase(self, 1)?;
        if let Some(second) = self.second {
            let left = self.stop(application, directory)?;
            application = self.start(second, directory)?;
            if matches!(second, Side::Rust(_)) {
                // Its files cannot be read while it runs in this process. It also has to find its own way back.
                equal(
                    "restored stores",
                    &left,
                    &self.stop(application, directory)?,
                )?;
                application = self.start(second, directory)?;
            } else {
                equal(
                    "restored stores",
                    &left,
                    &self.dump(&mut application, directory)?,
                )?;
            }
        }
        feed.phase(self, 2)?;
        let stores = self.stop(application, directory)?;
        feed.reader.read_to_end()?;
        let topics = feed.reader.topics.into_iter();
        let topics = topics.map(|(topic, records)| (self.unprefixed(&topic), records));
        let inputs = [
            self.topic("lines"),
            self.topic("prices"),
            self.topic("words-repartition"),
        ];
        let committed = client::committed(self.bootstrap, self.name, &inputs, PARTITIONS)?;
        let metadata = committed
            .into_iter()
            .map(|((topic, p), text)| ((self.unprefixed(&topic), p), text))
            .collect();
        Ok(Outcome {
            topics: topics.collect(),
            stores,
            metadata,
        })
    }

    fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    fn unprefixed(&self, topic: &str) -> String {
        let rest = topic.strip_prefix(self.name).unwrap_or(topic);
        rest.trim_start_matches('-').to_owned()
    }

    fn external_topics(&self) -> Vec<String> {
        let names = [
            "lines",
            "prices",
            "out-counts",
            "out-words",
            "out-sums",
            "out-priced",
        ];
        names.iter().map(|name| self.topic(name)).collect()
    }

    fn start(&self, side: Side, directory: &Path) -> Result<Running, String> {
        match side {
            Side::Java => {
                let state = directory.join("java").to_string_lossy().into_owned();
                let guarantee = match self.guarantee {
                    ProcessingGuarantee::AtLeastOnce => "at_least_once",
                    ProcessingGuarantee::ExactlyOnceV2 => "exactly_once_v2",
                };
                let topics = self.topic("");
                let arguments = [self.bootstrap, self.name, &topics, &state, guarantee];
                let mut java = JavaApplication::start("Interchange", "256m", &arguments)?;
                java.lines_until("state RUNNING")?;
                Ok(Running::Java(java))
            }
            Side::Rust(start) => {
                let config = StreamsConfig::new()
                    .with("bootstrap.servers", self.bootstrap)
                    .and_then(|c| c.with("repartition.purge.interval.ms", "600000"))
                    .and_then(|c| c.with("replication.factor", "1"))
                    .map_err(|e| e.to_string())?
                    .state_dir(directory.join("rust"))
                    .processing_guarantee(self.guarantee)
                    .commit_every(Duration::from_millis(100))
                    .cache_max_bytes(0);
                let rust = start(config).map_err(|e| format!("{e:?}"))?;
                if !rust.streams.wait_for(State::Running, SOON) {
                    return Err(format!("not running: {:?}", rust.streams.close()));
                }
                Ok(Running::Rust(rust))
            }
        }
    }

    /// Stops an application in order; what its stores held.
    fn stop(&self, mut application: Running, directory: &Path) -> Result<BTreeSet<String>, String> {
        if let Running::Rust(rust) = application {
            rust.streams.close().map_err(|e| format!("{e:?}"))?;
            drop(rust);
            return self.files(directory);
        }
        let entries = self.dump(&mut application, directory)?;
        if let Running::Java(java) = application {
            java.close()?;
        }
        Ok(entries)
    }

    /// What a running Java application's stores hold.
    fn dump(
        &self,
        application: &mut Running,
        directory: &Path,
    ) -> Result<BTreeSet<String>, String> {
        match application {
            Running::Rust(_) => self.files(directory),
            Running::Java(java) => {
                java.tell("dump")?;
                let lines = java.lines_until("dumped")?;
                let entry = |line: String| Some(line.strip_prefix("entry ")?.to_owned());
                Ok(lines.into_iter().filter_map(entry).collect())
            }
        }
    }

    /// What a stopped Rust application's state directory holds.
    fn files(&self, directory: &Path) -> Result<BTreeSet<String>, String> {
        let mut entries = BTreeSet::new();
        for name in STORES {
            let tasks = ExternalStore::open(&directory.join("rust"), self.name, name);
            for task in tasks.map_err(|e| e.to_string())? {
                let all = (Bound::Unbounded, Bound::Unbounded);
                let read = task.reader.range(all.0, all.1, &mut |key, stored| {
                    let (time, value) = stored.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
                    let time = i64::from_be_bytes(*time);
                    entries.insert(format!("{name} {} {time} {}", hex(key), hex(value)));
                    ControlFlow::Continue(())
                });
                read.map_err(|e| e.to_string())?;
            }
        }
        Ok(entries)
    }
}

enum Running {
    Java(JavaApplication),
    Rust(Application),
}

/// What was fed so far, how many records that makes in each topic, and what was read of them.
struct Feed {
    known: BTreeMap<String, bool>,
    lines: usize,
    words: usize,
    prices: usize,
    priced: usize,
    reader: Reader,
}

impl Feed {
    /// The application has made its topics.
    fn new(scenario: &Scenario<'_>) -> Result<Self, String> {
        let mut feed = Feed {
            known: BTreeMap::new(),
            lines: 0,
            words: 0,
            prices: 0,
            priced: 0,
            reader: Reader::new(scenario.bootstrap, &[], PARTITIONS)?,
        };
        let topics = feed.counts(scenario).map(|(topic, _)| topic);
        feed.reader = Reader::new(scenario.bootstrap, &topics, PARTITIONS)?;
        Ok(feed)
    }

    /// Feeds prices, waits until the application has them, feeds lines, and waits until everything is done.
    fn phase(&mut self, scenario: &Scenario<'_>, phase: usize) -> Result<(), String> {
        let (prices, lines) = (prices(phase), lines(phase));
        let feed = |topic: &str, records: &[Input]| {
            let topic = scenario.topic(topic);
            client::produce(scenario.bootstrap, &topic, PARTITIONS as u32, records)
        };
        feed("prices", &prices)?;
        self.prices += prices.len();
        for price in prices {
            self.known.insert(price.key, price.value.is_some());
        }
        self.reader.read_until(&self.counts(scenario))?;
        feed("lines", &lines)?;
        self.lines += lines.len();
        for line in lines {
            let text = line.value.unwrap_or_default();
            self.words += text.split(|byte| *byte == b' ').count();
            self.priced += usize::from(self.known.get(&line.key) == Some(&true));
        }
        self.reader.read_until(&self.counts(scenario))
    }

    /// Everything that the application writes, with the number of records after what was fed.
    fn counts(&self, scenario: &Scenario<'_>) -> [(String, usize); 9] {
        let counts = [
            ("out-counts", self.lines),
            ("out-words", self.words),
            ("out-sums", self.words),
            ("out-priced", self.priced),
            ("counts-changelog", self.lines),
            ("words-changelog", self.words),
            ("sums-changelog", self.words),
            ("prices-changelog", self.prices),
            ("words-repartition", self.words),
        ];
        counts.map(|(name, count)| (scenario.topic(name), count))
    }
}

/// When a phase of the input begins, the same in all scenarios. Of today: brokers delete what is older than a week.
fn begin(phase: usize) -> i64 {
    static NOW: OnceLock<i64> = OnceLock::new();
    let now = NOW.get_or_init(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |d| d.as_millis() as i64)
    });
    now + phase as i64 * 100_000
}

/// New prices, changed ones and deleted ones; some older than what they replace.
fn prices(phase: usize) -> Vec<Input> {
    let mut random = Random(phase as u64 * 77 + 5);
    let each = |_| Input {
        key: format!("key-{}", random.below(KEYS)),
        value: (random.below(5) > 0).then(|| (random.below(9_999) as i64).to_be_bytes().to_vec()),
        timestamp: begin(phase) + random.below(10_000) as i64,
        header: None,
    };
    (0..KEYS * 2).map(each).collect()
}

/// Lines of one to five words, in time order but for a jitter, some with a header.
fn lines(phase: usize) -> Vec<Input> {
    let mut random = Random(phase as u64 * 1_313 + 17);
    let vocabulary = [
        "alpha", "beta", "bravo", "reset", "delta", "a", "Zürich", "zulu",
    ];
    let each = |i| {
        let count = 1 + random.below(5);
        let mut word = || vocabulary[random.below(vocabulary.len())];
        let words: Vec<&str> = (0..count).map(|_| word()).collect();
        Input {
            value: Some(words.join(" ").into_bytes()),
            key: format!("key-{}", random.below(KEYS)),
            timestamp: begin(phase) + (20_000 + i * 10 + random.below(500)) as i64,
            header: (random.below(4) == 0).then_some("trace"),
        }
    };
    (0..LINES).map(each).collect()
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says where two sets differ, if they do.
pub(crate) fn equal(
    what: &str,
    one: &BTreeSet<String>,
    other: &BTreeSet<String>,
) -> Result<(), String> {
    if one.is_empty() {
        return Err(format!("{what}: nothing was compared"));
    }
    let missing: Vec<_> = one.difference(other).take(5).collect();
    let surplus: Vec<_> = other.difference(one).take(5).collect();
    if missing.is_empty() && surplus.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{what} differ: {missing:#?} are missing, {surplus:#?} are there instead"
    ))
}
