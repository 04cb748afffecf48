//! Two machines: one is cut off and comes back, the other is killed; who is left takes over.
//!
//! The machines are network namespaces, behind a cable each that can be pulled. All of it lies in a namespace of its own,
//! so that nothing of it is seen from outside and nothing is left. Where namespaces cannot be made, instance and broker
//! share the loopback device, and an instance that stands still stands for one that is cut off.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use kafka_broker::{Client, Cluster, Options, Process, Program, temp_dir};

use crate::instances::{Instance, eventually, settings};
use crate::records::{Feed, counted_exactly_once, fresh, wait_for_records};
use crate::{Cases, own};

/// Set for the process that has a network of its own.
pub(crate) const INSIDE: &str = "KAFKA_TEST_NETWORK";
/// Where the broker is, on neither cable.
const BROKER: &str = "10.77.0.1";
const TIMEOUT: Duration = Duration::from_secs(1_800);

pub(crate) fn cases() -> Cases {
    own![of_two_machines_one_is_cut_off_and_one_is_killed].into()
}

fn of_two_machines_one_is_cut_off_and_one_is_killed() {
    if !can_make_namespaces() {
        println!("no namespaces here: an instance that is cut off is one that stands still");
        let cluster = Cluster::start(1).expect("a broker starts");
        return scenario(&cluster, &Machines::OnLoopback);
    }
    let this = std::env::current_exe().expect("a test has a path");
    let dir = temp_dir().expect("a directory");
    let log = dir.path().join("log");
    let mut inside = Program::new("unshare")
        .arg("--net")
        .arg(this)
        .env(INSIDE, "1")
        .log_to(&log)
        .and_then(Program::start)
        .expect("it starts");
    let ended = inside.wait(TIMEOUT).expect("it can be waited for");
    let log = std::fs::read_to_string(log).unwrap_or_default();
    assert!(ended.is_some_and(|s| s.success()), "{ended:?}:\n{log}");
}

fn can_make_namespaces() -> bool {
    // `true` needs no network, so whatever fails is the making of one.
    let tried = Command::new("unshare")
        .args(["--net", "ip", "link", "set", "lo", "up"])
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

/// The process with a network of its own.
pub(crate) fn inside() -> ExitCode {
    ip("link set lo up");
    ip(&format!("addr add {BROKER}/32 dev lo"));
    let machines = Machines::Namespaces([machine(1), machine(2)]);
    let cluster = Options::brokers(1)
        .host(BROKER)
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    scenario(&cluster, &machines);
    ExitCode::SUCCESS
}

/// A namespace at the other end of a cable, and the process that keeps it there.
fn machine(number: u32) -> Process {
    let holder = Program::new("unshare")
        .args(["--net", "sleep", "infinity"])
        .start()
        .expect("it starts");
    let network = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let pid = holder.id().to_string();
    eventually("a namespace is there", || {
        let theirs = network(&pid);
        theirs.is_some() && theirs != network("self")
    });
    ip(&format!(
        "link add near{number} type veth peer name far{number}"
    ));
    ip(&format!("link set far{number} netns {pid}"));
    ip(&format!("addr add 10.77.{number}.1/24 dev near{number}"));
    ip(&format!("link set near{number} up"));
    let within = |args: &str| {
        let nsenter = Command::new("nsenter")
            .args(["-t", &pid, "-n", "ip"])
            .args(args.split(' '))
            .status();
        assert!(nsenter.is_ok_and(|s| s.success()), "ip {args}");
    };
    within("link set lo up");
    within(&format!("addr add 10.77.{number}.2/24 dev far{number}"));
    within(&format!("link set far{number} up"));
    within(&format!("route add default via 10.77.{number}.1"));
    holder
}

fn ip(args: &str) {
    let status = Command::new("ip").args(args.split(' ')).status();
    assert!(status.is_ok_and(|s| s.success()), "ip {args}");
}

enum Machines {
    Namespaces([Process; 2]),
    OnLoopback,
}

impl Machines {
    fn start(&self, number: usize, cluster: &Cluster, dir: &Path) -> Instance {
        let dir = dir.join(number.to_string());
        let more = [
            ("consumer.session.timeout.ms", "3000"),
            ("producer.transaction.timeout.ms", "3000"),
        ];
        let settings = settings(&cluster.bootstrap(), &dir.join("state"), &more);
        match self {
            Machines::OnLoopback => Instance::start("cutoff", &dir, &settings),
            Machines::Namespaces(machines) => {
                let pid = machines[number - 1].id().to_string();
                let prefix = ["nsenter", "-t", &pid, "-n"];
                Instance::start_in(&prefix, "cutoff", &dir, &settings)
            }
        }
    }

    fn cut_off(&self, number: usize, instance: &mut Instance) {
        match self {
            Machines::OnLoopback => instance.process.pause().expect("it runs"),
            Machines::Namespaces(_) => ip(&format!("link set near{number} down")),
        }
    }

    fn connect(&self, number: usize, instance: &mut Instance) {
        match self {
            Machines::OnLoopback => instance.process.resume().expect("it is there"),
            Machines::Namespaces(_) => ip(&format!("link set near{number} up")),
        }
    }
}

fn scenario(cluster: &Cluster, machines: &Machines) {
    let client = Client::new(cluster.bootstrap());
    let (input, output) = ("cutoff-in", "cutoff-out");
    fresh(&client, "cutoff", &[(input, 3), (output, 3)]);
    let dir = temp_dir().expect("a directory");
    let mut first = machines.start(1, cluster, dir.path());
    let mut second = machines.start(2, cluster, dir.path());
    first.wait_for("RUNNING");
    second.wait_for("RUNNING");
    let both = shared_by(&client, 2);
    let feed = Feed::start(&client, input);
    wait_for_records(&client, output, 200);

    machines.cut_off(1, &mut first);
    let left = shared_by(&client, 1);
    assert!(left.is_subset(&both), "the one that is left: {left:?}");
    let so_far = client.read(output).expect("it can be read").len();
    wait_for_records(&client, output, so_far + 500);

    machines.connect(1, &mut first);
    shared_by(&client, 2);
    let so_far = client.read(output).expect("it can be read").len();
    wait_for_records(&client, output, so_far + 200);

    second.process.kill().expect("it can be killed");
    let alone = shared_by(&client, 1);
    assert_ne!(alone, left, "the first one has come back");
    let counts = feed.stop_after(Duration::from_secs(1));
    counted_exactly_once(&client, output, &counts);
    first.close();
}

/// Waits until all tasks are shared by so many members, and tells who they are.
fn shared_by(client: &Client, count: usize) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    eventually(&format!("{count} share the tasks"), || {
        let group = client.group("cutoff").expect("it can be described");
        let Some(group) = group.filter(|g| g.state == "Stable") else {
            return false;
        };
        let partitions: usize = group.members.iter().map(|m| m.partitions.len()).sum();
        names = group.members.into_iter().map(|m| m.client_id).collect();
        names.len() == count && partitions == 3
    });
    names
}
