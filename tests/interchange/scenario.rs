//! One application written by one side, stopped, and taken over by the other; and everything that it left on the broker.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::time::Duration;

use kstreams::{ProcessingGuarantee, State, StreamsConfig};
use streams_core::query::ByteReader;
use streams_core::store::ExternalStore;

use crate::client::{self, ByKey, Metadata, Reader, Settings};
use crate::java::JavaApplication;
use crate::topology::{Application, Start};
use crate::work::{Compare, Work};

const PARTITIONS: i32 = 2;
const SOON: Duration = Duration::from_secs(240);

/// Who runs the application.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Java,
    Rust(Start),
}

/// An application's life: who begins, and who takes over, if anybody does.
pub(crate) struct Scenario<'a> {
    pub(crate) work: &'static Work,
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
    /// What was committed beside the offsets of each input partition.
    pub(crate) metadata: Metadata,
    /// How the topics of its own are set.
    pub(crate) settings: Settings,
}

impl Scenario<'_> {
    /// Lives the life.
    pub(crate) fn run(&self, directory: &Path) -> Result<Outcome, String> {
        client::forget(self.bootstrap, self.name)?;
        client::create_topics(self.bootstrap, &self.external_topics(), PARTITIONS)?;
        let mut application = self.start(self.first, directory)?;
        self.phase(1)?;
        if let Some(second) = self.second {
            let left = self.stop(application, directory)?;
            application = self.start(second, directory)?;
            let restored = if matches!(second, Side::Rust(_)) {
                // Its files cannot be read while it runs in this process. It also has to find its own way back.
                let restored = self.stop(application, directory)?;
                application = self.start(second, directory)?;
                restored
            } else {
                self.dump(&mut application, directory)?
            };
            equal("restored stores", &left, &restored)?;
        }
        self.phase(2)?;
        let stores = self.stop(application, directory)?;
        let written: Vec<String> = self.written().map(|(topic, _)| self.topic(topic)).collect();
        let mut reader = Reader::new(self.bootstrap, &written, PARTITIONS)?;
        reader.read_to_end()?;
        let topics = self.written().map(|(name, compare)| {
            let records = reader.topics.remove(&self.topic(name));
            (
                name.to_owned(),
                compare.prepare(records.unwrap_or_default()),
            )
        });
        let committed = client::committed(self.bootstrap, self.name, &self.sources(), PARTITIONS)?;
        let metadata = committed
            .into_iter()
            .map(|((topic, p), found)| ((self.unprefixed(&topic), p), found))
            .collect();
        let own: Vec<String> = written
            .into_iter()
            .filter(|t| !t.contains("-out-"))
            .collect();
        let settings = client::settings(self.bootstrap, &own)?;
        Ok(Outcome {
            topics: topics.collect(),
            stores,
            metadata,
            settings: settings
                .into_iter()
                .map(|(topic, set)| (self.unprefixed(&topic), set))
                .collect(),
        })
    }

    /// Feeds a phase's input, wave by wave, and waits until all of it is done.
    fn phase(&self, phase: usize) -> Result<(), String> {
        for wave in (self.work.waves)(phase) {
            let topic = self.topic(wave.topic);
            client::produce(self.bootstrap, &topic, PARTITIONS as u32, &wave.records)?;
            client::caught_up(self.bootstrap, self.name, &self.sources(), PARTITIONS)?;
        }
        Ok(())
    }

    fn sources(&self) -> Vec<String> {
        self.work
            .sources
            .iter()
            .map(|name| self.topic(name))
            .collect()
    }

    fn written(&self) -> impl Iterator<Item = (&'static str, Compare)> {
        self.work.written.iter().copied()
    }

    fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    fn unprefixed(&self, topic: &str) -> String {
        let rest = topic.strip_prefix(self.name).unwrap_or(topic);
        rest.trim_start_matches('-').to_owned()
    }

    fn external_topics(&self) -> Vec<String> {
        let read = self.work.sources.iter();
        let read = read.filter(|name| !self.work.own_sources.contains(name));
        let written = self.written().map(|(name, _)| name);
        let written = written.filter(|name| name.starts_with("out-"));
        read.copied()
            .chain(written)
            .map(|name| self.topic(name))
            .collect()
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
                let arguments = [
                    self.work.name,
                    self.bootstrap,
                    self.name,
                    &topics,
                    &state,
                    guarantee,
                ];
                let mut java = JavaApplication::start("Interchange", "256m", &arguments)?;
                java.lines_until("state RUNNING")?;
                Ok(Running::Java(java))
            }
            Side::Rust(start) => {
                let config = StreamsConfig::new()
                    .with("bootstrap.servers", self.bootstrap)
                    .and_then(|c| c.with("repartition.purge.interval.ms", "600000"))
                    .and_then(|c| c.with("replication.factor", "1"))
                    // What has closed is sent by the records' times alone, not by the clock's.
                    .and_then(|c| {
                        c.with(
                            "__emit.interval.ms.kstreams.outer.join.spurious.results.fix__",
                            "0",
                        )
                    })
                    .and_then(|c| c.with("__emit.interval.ms.kstreams.windowed.aggregation__", "0"))
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
        for (name, kept) in self.work.stores {
            let tasks = ExternalStore::open(&directory.join("rust"), self.name, name);
            for task in tasks.map_err(|e| e.to_string())? {
                let all = (Bound::Unbounded, Bound::Unbounded);
                let read = task.reader.range(all.0, all.1, &mut |key, stored| {
                    if let Some((key, time, value)) = kept.entry(key, stored) {
                        entries.insert(format!("{name} {} {time} {}", hex(key), hex(value)));
                    }
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
