//! What goes in and what must come out: every key counted from 1 on, without a gap and without a repetition.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kafka_broker::{Client, Message};

use crate::instances::{SOON, eventually};

/// How often each key was written.
pub(crate) type Counts = BTreeMap<String, i64>;

const KEYS: u32 = 20;

/// Makes the topics of an application anew: a cluster that was there before may have them.
pub(crate) fn fresh(client: &Client, app: &str, topics: &[(&str, i32)]) {
    let prefix = format!("{app}-");
    let there = client.topics().expect("they can be listed");
    for topic in there.iter().filter(|t| t.starts_with(&prefix)) {
        client.delete_topic(topic).expect("it can be deleted");
    }
    for (topic, partitions) in topics {
        client
            .create_topic(topic, *partitions)
            .expect("it can be made");
    }
}

/// Writes at a steady rate until it is told to stop.
pub(crate) struct Feed {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Counts>,
}

impl Feed {
    /// About four hundred records a second, over twenty keys, each with its number as the value.
    pub(crate) fn start(client: &Client, topic: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (client, topic, stop) = (client.clone(), topic.to_owned(), stop.clone());
            move || {
                let mut writer = client.writer(&topic).expect("there is a client");
                let mut counts = Counts::new();
                while !stop.load(Ordering::Relaxed) {
                    let batch: Vec<_> = (0..KEYS)
                        .map(|n| {
                            let key = format!("key {n}");
                            let count = counts.entry(key.clone()).or_default();
                            *count += 1;
                            (None, key, count.to_string())
                        })
                        .collect();
                    writer.write(batch).expect("it can be written");
                    std::thread::sleep(Duration::from_millis(50));
                }
                counts
            }
        });
        Feed { stop, thread }
    }

    /// Lets so many more go in, and ends. Tells what went in altogether.
    pub(crate) fn stop(self) -> Counts {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it could write")
    }

    /// Ends after a moment.
    pub(crate) fn stop_after(self, moment: Duration) -> Counts {
        std::thread::sleep(moment);
        self.stop()
    }
}

/// The key and the number of every update in a topic, in the order of each partition.
fn updates(messages: &[Message]) -> BTreeMap<String, Vec<i64>> {
    let mut found = BTreeMap::<String, Vec<i64>>::new();
    for message in messages {
        let count = message.value_long().expect("a count is a Long");
        found.entry(message.key_text()).or_default().push(count);
    }
    found
}

/// Waits until everything that went in has come out of a count, and checks that each key's updates are exactly 1..n.
pub(crate) fn counted_exactly_once(client: &Client, topic: &str, expected: &Counts) {
    let wanted: i64 = expected.values().sum();
    let wanted = usize::try_from(wanted).expect("a count is positive");
    let deadline = Instant::now() + SOON;
    let mut reader = client.reader(topic).expect("it can be read");
    let mut came = 0;
    while came < wanted && Instant::now() < deadline {
        let more = reader.poll(Duration::from_millis(200));
        came += more.expect("it can be read").len();
    }
    // From the beginning, as whatever came twice may have come late.
    let all = client.read(topic).expect("it can be read");
    for (key, updates) in updates(&all) {
        let right: Vec<i64> = (1..=expected.get(&key).copied().unwrap_or(0)).collect();
        assert_eq!(updates, right, "`{key}` in {topic}");
    }
    assert_eq!(all.len(), wanted, "records in {topic}");
}

/// Waits until each key's count has reached what went in. It may be more, and skip numbers: after a kill the changelog may
/// have an update whose output was not sent, and the record is counted again.
pub(crate) fn counted_at_least_once(client: &Client, topic: &str, expected: &Counts) {
    let mut reader = client.reader(topic).expect("it can be read");
    let mut last = Counts::new();
    let too_low = |last: &Counts| -> Vec<String> {
        let reached = |key: &String| last.get(key).copied().unwrap_or(0);
        let low = expected.iter().filter(|(key, n)| reached(key) < **n);
        low.map(|(key, n)| format!("{key}: {} of {n}", reached(key)))
            .collect()
    };
    let deadline = Instant::now() + SOON;
    while !too_low(&last).is_empty() && Instant::now() < deadline {
        let more = reader.poll(Duration::from_millis(500));
        for message in more.expect("it can be read") {
            let count = message.value_long().expect("a count is a Long");
            last.insert(message.key_text(), count);
        }
    }
    let low = too_low(&last);
    assert!(low.is_empty(), "counts in {topic} are too low: {low:?}");
}

/// Waits until so many records are committed in a topic.
pub(crate) fn wait_for_records(client: &Client, topic: &str, count: usize) {
    let mut reader = client.reader(topic).expect("it can be read");
    let mut came = 0;
    eventually(&format!("{count} records in {topic}"), || {
        let more = reader.poll(Duration::from_millis(100));
        came += more.expect("it can be read").len();
        came >= count
    });
}
