//! What goes in and comes out, by outside clients: the feeder knows what it sent, the checker looks at every update.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kafka_broker::{Client, Message};

use super::app;
use super::error::Failure;
use super::schedule::Random;

/// So often events are sent.
const BEAT: Duration = Duration::from_millis(20);
/// Violations beyond these are counted, not told.
const SHOWN: usize = 10;

/// Sends events at a steady rate.
#[derive(Debug)]
pub(crate) struct Feeder {
    shared: Arc<Mutex<Fed>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What was sent so far, and acknowledged by all replicas.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fed {
    pub(crate) events: u64,
    /// The plain fold of the input: how many events each key has.
    pub(crate) fold: BTreeMap<String, i64>,
    failed: Option<String>,
}

impl Feeder {
    /// Sends `rate` events a second, of so many keys.
    pub(crate) fn start(client: &Client, seed: u64, rate: u64, keys: u64) -> Result<Self, Failure> {
        let mut writer = client.writer(app::INPUT)?;
        let shared = Arc::new(Mutex::new(Fed::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (fed, ended) = (Arc::clone(&shared), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut random = Random::new(seed ^ 0xfeed);
            let (began, mut sent) = (Instant::now(), 0_u64);
            while !ended.load(Ordering::Relaxed) {
                let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                let due = (millis * rate / 1000).saturating_sub(sent);
                // After brokers were away, not everything at once.
                let events: Vec<(Option<i32>, String, String)> = (0..due.min(rate))
                    .map(|n| {
                        let key = format!("key-{}", random.below(keys));
                        (None, format!("event-{}", sent + n), key)
                    })
                    .collect();
                let written = writer.write(events.iter().map(|(p, k, v)| (*p, k, v)));
                let mut fed = lock(&fed);
                if let Err(error) = written {
                    fed.failed = Some(error.to_string());
                    break;
                }
                sent += due;
                fed.events += events.len() as u64;
                for (_, _, key) in events {
                    *fed.fold.entry(key).or_default() += 1;
                }
                drop(fed);
                thread::sleep(BEAT);
            }
        });
        Ok(Feeder {
            shared,
            stop,
            thread: Some(thread),
        })
    }

    /// What it has sent; an error if it cannot know.
    pub(crate) fn fed(&self) -> Result<Fed, Failure> {
        let fed = lock(&self.shared);
        match &fed.failed {
            None => Ok(fed.clone()),
            Some(error) => Err(Failure::Environment(error.clone())),
        }
    }

    /// Sends no more.
    pub(crate) fn end(&mut self) -> Result<Fed, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of it leaves less counted than is in the topic, which fails the run.
            let _ = thread.join();
        }
        self.fed()
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Reads every committed update: for each key they must be 1, 2, 3 …
#[derive(Debug)]
pub(crate) struct Checker {
    shared: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
}

/// What came out so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Updates.
    pub(crate) updates: u64,
    /// The last update of each key.
    pub(crate) last: BTreeMap<String, i64>,
    /// Updates that were not the one after the last.
    pub(crate) wrong: u64,
    /// The first of them.
    pub(crate) examples: Vec<String>,
    offsets: BTreeMap<i32, i64>,
    failed: Option<String>,
}

impl Checker {
    pub(crate) fn start(client: &Client) -> Result<Self, Failure> {
        let mut reader = client.reader(app::OUTPUT)?;
        let shared = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, ended) = (Arc::clone(&shared), Arc::clone(&stop));
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                match reader.poll(Duration::from_millis(200)) {
                    Ok(messages) => {
                        let mut seen = lock(&seen);
                        for message in messages {
                            seen.look_at(&message);
                        }
                    }
                    Err(error) => {
                        lock(&seen).failed = Some(error.to_string());
                        break;
                    }
                }
            }
        });
        Ok(Checker { shared, stop })
    }

    /// What it has seen; an error if it cannot see.
    pub(crate) fn seen(&self) -> Result<Seen, Failure> {
        let seen = lock(&self.shared);
        match &seen.failed {
            None => Ok(seen.clone()),
            Some(error) => Err(Failure::Environment(error.clone())),
        }
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Seen {
    fn look_at(&mut self, message: &Message) {
        let before = self.offsets.insert(message.partition, message.offset);
        if before.is_some_and(|before| before >= message.offset) {
            // The client went back after a change of leaders and reads the same records again; they are no others.
            self.offsets.extend(before.map(|b| (message.partition, b)));
            return;
        }
        self.updates += 1;
        let key = message.key_text();
        let place = || format!("partition {} offset {}", message.partition, message.offset);
        let Some(count) = message.value_long() else {
            return self.tell(|| format!("`{key}` has no count at {}", place()));
        };
        let before = self.last.insert(key.clone(), count).unwrap_or_default();
        if count != before + 1 {
            self.tell(|| format!("`{key}` went from {before} to {count} at {}", place()));
        }
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        self.wrong += 1;
        if self.examples.len() < SHOWN {
            self.examples.push(what());
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
