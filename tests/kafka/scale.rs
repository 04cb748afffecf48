//! Tasks are shared by threads and processes that come and go, and what belongs together stays together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_broker::{Client, Cluster, Member, temp_dir};
use kstreams::Running;

use crate::apps::Scale;
use crate::instances::{Instance, eventually, here, settings, wait_until_running};
use crate::records::{Feed, counted_exactly_once, fresh};
use crate::{Cases, shared};

pub(crate) fn cases() -> Cases {
    shared![three_tasks_are_shared_by_threads_and_by_processes].into()
}

const CUSTOMERS: u32 = 20;
const SOURCES: [&str; 3] = [
    "scale-orders",
    "scale-customers",
    "scale-counts-repartition",
];

fn three_tasks_are_shared_by_threads_and_by_processes(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    let topics = [
        ("scale-orders", 3),
        ("scale-customers", 3),
        ("scale-joined", 3),
        ("scale-counts", 3),
    ];
    fresh(&client, "scale", &topics);
    let customers = (0..CUSTOMERS).map(|n| (format!("key {n}"), format!("customer {n}")));
    client
        .produce("scale-customers", customers)
        .expect("it can be written");
    let dir = temp_dir().expect("a directory");

    // One thread has all of it.
    let config = here(cluster, &dir.path().join("first"), &[]);
    let app = Scale::builder().start(config).expect("it starts");
    wait_until_running(&app);
    shared_by(&client, &[3]);
    let feed = Feed::start(&client, "scale-orders");

    // Three threads have a task of each sub-topology each.
    add_thread(&app);
    shared_by(&client, &[1, 2]);
    add_thread(&app);
    shared_by(&client, &[1, 1, 1]);

    // Two more processes: of five members, two have nothing.
    let instance = |name: &str| {
        let dir = dir.path().join(name);
        let settings = settings(&cluster.bootstrap(), &dir.join("state"), &[]);
        let mut instance = Instance::start("scale", &dir, &settings);
        instance.wait_for("RUNNING");
        instance
    };
    let (second, third) = (instance("second"), instance("third"));
    shared_by(&client, &[0, 0, 1, 1, 1]);

    // Three processes of one thread.
    remove_thread(&app);
    remove_thread(&app);
    let members = shared_by(&client, &[1, 1, 1]);
    let processes: BTreeSet<_> = members.iter().map(|m| process_of(&m.client_id)).collect();
    assert_eq!(processes.len(), 3, "{members:#?}");

    // Who is left has all of it, at once: who closes leaves the group, whatever the session's time-out.
    second.close();
    shared_by(&client, &[1, 2]);
    third.close();
    shared_by(&client, &[3]);

    let orders = feed.stop_after(Duration::from_millis(500));
    let total: i64 = orders.values().sum();
    // Every order found its customer, and is counted once under its first two characters.
    let mut expected = BTreeMap::<String, i64>::new();
    for count in orders.values().flat_map(|n| 1..=*n) {
        let order: String = format!("{count} of").chars().take(2).collect();
        *expected.entry(order).or_default() += 1;
    }
    counted_exactly_once(&client, "scale-counts", &expected);
    let joined = client.read("scale-joined").expect("it can be read");
    assert_eq!(i64::try_from(joined.len()).ok(), Some(total));
    for message in joined {
        let customer = message.key_text().replace("key", "of customer");
        assert!(message.value_text().ends_with(&customer), "{message:?}");
    }

    app.close().expect("it ends in order");
    let group = client.group("scale").expect("it can be described");
    assert!(
        group.as_ref().is_none_or(|g| g.members.is_empty()),
        "{group:#?}"
    );
}

fn add_thread(app: &Running<Scale>) {
    app.streams().add_stream_thread().expect("it runs");
}

fn remove_thread(app: &Running<Scale>) {
    let removed = app.streams().remove_stream_thread().expect("it runs");
    assert!(removed.is_some());
}

/// Waits until the group's members have so many tasks of each sub-topology, and none has a part of one: partition `p` of
/// every source lies with the same member.
fn shared_by(client: &Client, tasks: &[usize]) -> Vec<Member> {
    let mut last = None;
    let mut members = Vec::new();
    let what = format!("tasks are shared as {tasks:?}");
    eventually(&what, || {
        let group = client.group("scale").expect("it can be described");
        let Some(group) = group.filter(|g| g.state == "Stable") else {
            return false;
        };
        let mut shares: Vec<usize> = group
            .members
            .iter()
            .map(|m| of_topic(m, SOURCES[0]).len())
            .collect();
        shares.sort_unstable();
        if last.as_ref() != Some(&shares) {
            println!("{what}: now {shares:?}");
            last = Some(shares.clone());
        }
        members = group.members;
        shares == tasks
    });
    let mut all = BTreeSet::new();
    for member in &members {
        let first = of_topic(member, SOURCES[0]);
        for source in SOURCES {
            assert_eq!(of_topic(member, source), first, "{source} of {member:#?}");
        }
        for partition in first {
            assert!(all.insert(partition), "twice: {members:#?}");
        }
    }
    assert_eq!(all, BTreeSet::from([0, 1, 2]));
    members
}

fn of_topic(member: &Member, topic: &str) -> BTreeSet<i32> {
    let of = member.partitions.iter().filter(|(t, _)| t == topic);
    of.map(|(_, p)| *p).collect()
}

/// The process of a client id, which is `<application>-<process id>-…`.
fn process_of(client_id: &str) -> String {
    let id = client_id.strip_prefix("scale-").unwrap_or(client_id);
    id.chars().take(36).collect()
}
