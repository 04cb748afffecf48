//! Who is killed takes its place again at once, and what it left open is thrown away.

use std::time::Duration;

use kafka_broker::{Client, Cluster, temp_dir};

use crate::instances::{Instance, eventually, last_transaction, settings};
use crate::records::{Feed, counted_at_least_once, counted_exactly_once, fresh, wait_for_records};
use crate::{Cases, shared};

pub(crate) fn cases() -> Cases {
    shared![
        a_killed_instance_takes_its_place_and_its_transaction_is_aborted,
        a_transaction_that_expires_is_done_again,
        at_least_once_loses_nothing,
    ]
    .into()
}

/// The session's time-out is five minutes, and so is the transaction's: whoever waited for either would be too late.
fn a_killed_instance_takes_its_place_and_its_transaction_is_aborted(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    let (input, output) = ("restarted-in", "restarted-out");
    fresh(&client, "restarted", &[(input, 3), (output, 3)]);
    let dir = temp_dir().expect("a directory");
    let start = |name: &str, commit: &str| {
        let dir = dir.path().join(name);
        let more = [
            ("commit.interval.ms", commit),
            ("producer.transaction.timeout.ms", "300000"),
        ];
        let settings = settings(&cluster.bootstrap(), &dir.join("state"), &more);
        Instance::start("restarted", &dir, &settings)
    };
    let mut first = start("first", "50");
    first.wait_for("RUNNING");
    let mut second = start("second", "250000");
    second.wait_for("RUNNING");
    let before = assignment(&client);
    assert_eq!(before.len(), 2);

    let feed = Feed::start(&client, input);
    // Of the first one, which has taken what was left to it.
    wait_for_records(&client, output, 100);
    // The second has written, and committed nothing.
    eventually("a transaction is open", || {
        let mut reader = client.uncommitted_reader(output).expect("it can be read");
        let all = reader.poll(Duration::from_secs(1)).expect("it can be read");
        let committed = client.read(output).expect("it can be read");
        all.len() > committed.len() + 20
    });
    first.wait_for("RUNNING");
    let states = first.states();
    second.process.kill().expect("it can be killed");
    let mut second = start("second", "50");
    second.wait_for("RUNNING");
    let counts = feed.stop_after(Duration::from_millis(500));
    counted_exactly_once(&client, output, &counts);

    assert_eq!(assignment(&client), before, "it has its own tasks again");
    assert_eq!(first.states(), states, "the other one noticed nothing");
    first.close();
    second.close();
}

/// Who has which partitions, by the name that outlives a restart.
fn assignment(client: &Client) -> Vec<(String, Vec<(String, i32)>)> {
    let mut found = Vec::new();
    eventually("the group is stable", || {
        let group = client.group("restarted").expect("it can be described");
        let Some(group) = group.filter(|g| g.state == "Stable") else {
            return false;
        };
        let members = group.members.into_iter();
        found = members
            .map(|m| (m.client_id, m.partitions.into_iter().collect()))
            .collect();
        true
    });
    found.sort();
    found
}

/// The process stands still for longer than its transaction may last, and then goes on.
fn a_transaction_that_expires_is_done_again(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    let (input, output) = ("expired-in", "expired-out");
    fresh(&client, "expired", &[(input, 3), (output, 3)]);
    let dir = temp_dir().expect("a directory");
    let more = [
        ("commit.interval.ms", "500"),
        ("producer.transaction.timeout.ms", "3000"),
    ];
    let settings = settings(&cluster.bootstrap(), &dir.path().join("state"), &more);
    let mut instance = Instance::start("expired", dir.path(), &settings);
    instance.wait_for("RUNNING");
    let feed = Feed::start(&client, input);
    for _ in 0..2 {
        // Between two of them nothing expires; then it is tried again.
        eventually("it stands still in a transaction", || {
            instance.process.pause().expect("it runs");
            let mut state = last_transaction(cluster, "expired");
            let was_open = state == "Ongoing";
            if was_open {
                eventually("the broker ends it", || {
                    state = last_transaction(cluster, "expired");
                    state.starts_with("Complete")
                });
            }
            instance.process.resume().expect("it is there");
            was_open && state == "CompleteAbort"
        });
        std::thread::sleep(Duration::from_millis(700));
    }
    counted_exactly_once(&client, output, &feed.stop());
    let log = instance.log();
    assert!(
        log.contains("joining anew") || log.contains("rolling back"),
        "no transaction was open when it stood still:\n{log}"
    );
    instance.close();
}

/// Killed between its commits: some records are counted twice, none is left out.
fn at_least_once_loses_nothing(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    let (input, output) = ("repeated-in", "repeated-out");
    fresh(&client, "repeated", &[(input, 3), (output, 3)]);
    let dir = temp_dir().expect("a directory");
    let more = [
        ("processing.guarantee", "at_least_once"),
        ("commit.interval.ms", "300"),
    ];
    let settings = settings(&cluster.bootstrap(), &dir.path().join("state"), &more);
    let mut instance = Instance::start("repeated", dir.path(), &settings);
    let feed = Feed::start(&client, input);
    for _ in 0..3 {
        let so_far = client.read(output).expect("it can be read").len();
        wait_for_records(&client, output, so_far + 200);
        instance.process.kill().expect("it can be killed");
        instance = Instance::start("repeated", dir.path(), &settings);
    }
    counted_at_least_once(&client, output, &feed.stop());
    // What the killed ones wrote may have been enough.
    instance.wait_for("RUNNING");
    instance.close();
}
