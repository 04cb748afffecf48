//! State on real brokers: restored to the end whatever is still on its way, global tables read once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kafka_broker::{Client, Cluster, Options, temp_dir};
use kstreams::prelude::*;
use kstreams::{State, StateRestoreListener, TopicPartition};

use crate::apps::Late;
use crate::instances::{eventually, here, wait_until_running};
use crate::records::{Counts, Feed, counted_exactly_once, fresh, wait_for_records};
use crate::{Cases, own};

pub(crate) fn cases() -> Cases {
    own![
        a_restore_waits_for_the_markers_of_the_last_transaction,
        a_global_table_is_read_once_and_follows_its_topic,
    ]
    .into()
}

/// A transaction is committed, the group's offsets count it, and its records cannot be read yet. Who takes over then must
/// have them.
fn a_restore_waits_for_the_markers_of_the_last_transaction() {
    // The markers for the group's offsets are not late, nor those that go to the same broker: so there are two, and a
    // record for each partition.
    let cluster = Options::brokers(2).slow_markers().start();
    let cluster = cluster.expect("brokers start");
    let delay = |delay: Duration| {
        for broker in 0..2 {
            let delayed = cluster.delay_markers(broker, delay);
            delayed.expect("markers can be delayed");
        }
    };
    let client = Client::new(cluster.bootstrap());
    fresh(&client, "late", &[("late-in", 3), ("late-out", 3)]);
    let dir = temp_dir().expect("a directory");
    let start = |name: &str| {
        // Long enough for all of a batch to be in one transaction.
        let more = [("commit.interval.ms", "1000")];
        let config = here(&cluster, &dir.path().join(name), &more);
        Late::builder().start(config).expect("it starts")
    };
    let first = start("first");
    wait_until_running(&first);
    let feed = Feed::start(&client, "late-in");
    let mut counts = feed.stop_after(Duration::from_secs(1));
    counted_exactly_once(&client, "late-out", &counts);
    let committed = || {
        let committed = client.committed("late", "late-in");
        let committed = committed.expect("it can be read").into_iter().flatten();
        committed.sum::<i64>()
    };
    let one_more = |counts: &mut Counts| {
        let batch: Vec<_> = counts.keys().map(|key| (key.clone(), "one more")).collect();
        let written = client.produce("late-in", batch);
        written.expect("it can be written");
        counts.values_mut().for_each(|count| *count += 1);
    };
    let all = |counts: &Counts| counts.values().sum::<i64>();
    // A batch that falls into two transactions shows nothing: the first one's records may all lie with its coordinator, where no
    // marker is late, and the second one cannot begin. Then another batch is tried.
    eventually("a batch is in one transaction", || {
        delay(Duration::ZERO);
        eventually("nothing is on its way", || committed() == all(&counts));
        counted_exactly_once(&client, "late-out", &counts);
        delay(Duration::from_secs(600));
        let before = all(&counts);
        one_more(&mut counts);
        eventually("the group has committed it", || committed() > before);
        committed() == all(&counts)
    });
    drop(first.close());
    let second = start("second");
    eventually("a store lacks what cannot be read yet", || {
        let restoring = second.streams().restoring();
        !restoring.is_empty() && restoring.iter().any(|r| r.offset > r.starting_offset)
    });
    let streams = second.streams();
    let ended = streams.wait_for(State::Running, Duration::from_secs(2));
    assert!(!ended, "it did not wait for the markers");
    assert!(cluster.delayed_markers() > 0);
    delay(Duration::ZERO);
    wait_until_running(&second);
    one_more(&mut counts);
    counted_exactly_once(&client, "late-out", &counts);
    assert_eq!(second.streams().statistics().wiped, 0);
    second.close().expect("it ends in order");
}

#[topology(application_id = "global")]
struct Global {
    #[source(topic = "global-names", partitions = 2)]
    names: GlobalKTable<String, String>,
    #[source(topic = "global-in", partitions = 1)]
    input: KStream<String, String>,
    #[from(input.join(names, |_, id| id.clone(), |id, name| format!("{id} is {name}")))]
    #[sink(topic = "global-out", partitions = 1)]
    output: KStream<String, String>,
}

/// Counts what is restored.
#[derive(Default)]
struct Restored(AtomicU64);

impl StateRestoreListener for Restored {
    fn on_batch_restored(&self, _: &TopicPartition, store: &str, _: i64, restored: u64) {
        assert_eq!(store, "names");
        self.0.fetch_add(restored, Ordering::Relaxed);
    }
}

fn a_global_table_is_read_once_and_follows_its_topic() {
    let cluster = Cluster::start(1).expect("a broker starts");
    let client = Client::new(cluster.bootstrap());
    let topics = [("global-names", 2), ("global-in", 1), ("global-out", 1)];
    fresh(&client, "global", &topics);
    let names = |range: std::ops::Range<u32>| {
        let names = range.map(|n| (format!("id {n}"), format!("name {n}")));
        client
            .produce("global-names", names)
            .expect("it can be written");
    };
    let dir = temp_dir().expect("a directory");
    let start = || {
        let restored = Arc::new(Restored::default());
        let config = here(&cluster, dir.path(), &[]).on_restore(restored.clone());
        let app = Global::builder().start(config).expect("it starts");
        (app, restored)
    };
    names(0..1_000);
    let (app, restored) = start();
    assert_eq!(restored.0.load(Ordering::Relaxed), 1_000);
    let name =
        |app: &kstreams::Running<Global>, id: &str| app.names.get(&id.to_owned()).ok().flatten();
    assert_eq!(name(&app, "id 999").as_deref(), Some("name 999"));
    wait_until_running(&app);
    client
        .produce("global-in", [("key", "id 7")])
        .expect("it can be written");
    wait_for_records(&client, "global-out", 1);
    let out = client.read("global-out").expect("it can be read");
    assert_eq!(out[0].value_text(), "id 7 is name 7");
    app.close().expect("it ends in order");

    names(1_000..1_010);
    let (app, restored) = start();
    assert_eq!(
        restored.0.load(Ordering::Relaxed),
        10,
        "what is in the state is not read again"
    );
    assert_eq!(name(&app, "id 1009").as_deref(), Some("name 1009"));
    wait_until_running(&app);
    cluster.kill(0).expect("it can be killed");
    std::thread::sleep(Duration::from_secs(2));
    cluster.restart(0).expect("it comes back");
    names(1_010..1_011);
    eventually("the table follows", || name(&app, "id 1010").is_some());
    assert_eq!(app.streams().statistics().wiped, 0);
    app.close().expect("it ends in order");
}
