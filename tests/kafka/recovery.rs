//! What a stream thread does when its place is taken, its transaction expires or the group gives it up: it goes on from the
//! last commit, and every record counts once.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kafka_broker::{Client, Cluster, temp_dir, unique};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::apps::{Evicted, Outlasted, Robbed, Succeeded};
use crate::instances::{SOON, eventually, here, wait_until_running};
use crate::records::{Feed, counted_exactly_once, fresh, wait_for_records};
use crate::{Cases, shared};

pub(crate) fn cases() -> Cases {
    shared![
        a_transaction_that_expires_is_done_again,
        a_member_that_takes_too_long_begins_anew,
        a_producer_that_is_fenced_begins_anew,
        a_member_that_is_fenced_begins_anew,
    ]
    .into()
}

/// Feeds an application, has something done to it, and looks whether all is counted. Tells what it did.
macro_rules! disturbed {
    ($cluster:expr, $app:ident, $name:literal, $settings:expr, $disturb:expr) => {{
        let client = Client::new($cluster.bootstrap());
        let (input, output) = (concat!($name, "-in"), concat!($name, "-out"));
        fresh(&client, $name, &[(input, 3), (output, 3)]);
        let dir = temp_dir().expect("a directory");
        let config = here($cluster, dir.path(), $settings);
        let app = $app::builder().start(config).expect("it starts");
        wait_until_running(&app);
        let feed = Feed::start(&client, input);
        wait_for_records(&client, output, 100);
        let before = app.streams().statistics();
        // Again, where it found nothing to disturb: between two transactions, say.
        eventually("it has begun anew", || {
            $disturb(&client, dir.path());
            within(Duration::from_secs(10), || {
                let did = app.streams().statistics().since(&before);
                did.rollbacks + did.fenced > 0
            })
        });
        let mut written = feed.stop();
        written.extend(held(&client, input));
        counted_exactly_once(&client, output, &written);
        let did = app.streams().statistics().since(&before);
        app.close().expect("it ends in order");
        did
    }};
}

fn a_transaction_that_expires_is_done_again(cluster: &Cluster) {
    let settings = [
        ("producer.transaction.timeout.ms", "3000"),
        // So that the transaction is open when the thread is held up.
        ("commit.interval.ms", "300"),
    ];
    let did = disturbed!(
        cluster,
        Outlasted,
        "outlasted",
        &settings,
        |client: &Client, _| {
            hold_up(client, "outlasted-in", 6_000);
        }
    );
    assert!(did.rollbacks > 0, "{did:?}");
    assert_eq!(did.fenced, 0, "nobody took its place: {did:?}");
}

fn a_member_that_takes_too_long_begins_anew(cluster: &Cluster) {
    let settings = [
        ("consumer.max.poll.interval.ms", "3000"),
        ("consumer.session.timeout.ms", "3000"),
        ("producer.transaction.timeout.ms", "60000"),
    ];
    let did = disturbed!(
        cluster,
        Evicted,
        "evicted",
        &settings,
        |client: &Client, _| {
            hold_up(client, "evicted-in", 8_000);
        }
    );
    assert!(did.rollbacks > 0, "{did:?}");
}

fn a_producer_that_is_fenced_begins_anew(cluster: &Cluster) {
    let bootstrap = cluster.bootstrap();
    let did = disturbed!(
        cluster,
        Robbed,
        "robbed",
        &[],
        |_: &Client, state: &Path| {
            let id = format!("robbed-{}", member(state, "robbed"));
            let thief: BaseProducer = ClientConfig::new()
                .set("bootstrap.servers", &bootstrap)
                .set("transactional.id", id)
                .create()
                .expect("a producer");
            thief.init_transactions(SOON).expect("it takes the name");
        }
    );
    assert!(did.fenced > 0, "{did:?}");
}

fn a_member_that_is_fenced_begins_anew(cluster: &Cluster) {
    let bootstrap = cluster.bootstrap();
    let did = disturbed!(
        cluster,
        Succeeded,
        "succeeded",
        &[],
        |_: &Client, state: &Path| {
            let thief: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", &bootstrap)
                .set("group.id", "succeeded")
                .set("group.instance.id", member(state, "succeeded"))
                .set("partition.assignment.strategy", "range")
                .create()
                .expect("a consumer");
            thief.subscribe(&["succeeded-in"]).expect("it joins");
            eventually("it has the place", || {
                let _ = thief.poll(Duration::from_millis(50));
                // The member may have taken it back already.
                let was_fenced = thief.client().fatal_error().is_some();
                was_fenced || thief.assignment().is_ok_and(|a| a.count() > 0)
            });
        }
    );
    assert!(did.fenced > 0, "{did:?}");
}

/// The name of an application's first thread in its group.
fn member(state: &Path, app: &str) -> String {
    let file = state.join(app).join("kafka-streams-process-metadata");
    let text = std::fs::read_to_string(file).expect("the process has a name");
    let id = text.split('"').nth(3).expect("its name").to_owned();
    format!("{id}-1")
}

/// Whether it comes to hold so soon.
fn within(moment: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + moment;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Holds a thread up where a record says so, once: as it is processed again it passes.
pub(crate) fn hold(text: String) -> String {
    static HELD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if let Some((ms, _)) = text.strip_prefix("hold ").and_then(|t| t.split_once(' ')) {
        let ms = ms.parse().expect("milliseconds");
        let first = HELD.lock().expect("nobody panics").insert(text.clone());
        if first {
            std::thread::sleep(Duration::from_millis(ms));
        }
    }
    text
}

/// What holds threads up, as far as it was written.
fn held(client: &Client, topic: &str) -> Option<(String, i64)> {
    let messages = client.read(topic).expect("it can be read");
    let held = messages.iter().filter(|m| m.key_text() == "held").count();
    let held = i64::try_from(held).expect("they are few");
    (held > 0).then(|| ("held".to_owned(), held))
}

/// Has the thread that reads a topic do nothing for a while, in the middle of a record.
fn hold_up(client: &Client, topic: &str, ms: u32) {
    let hold = format!("hold {ms} {}", unique("once"));
    client
        .produce(topic, [("held", hold.as_str())])
        .expect("it can be written");
}
