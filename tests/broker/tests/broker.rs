//! Brokers start, are killed, come back, and leave nothing behind, whatever becomes of the test that started them.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use kafka_broker::{Case, ClassPath, Client, Cluster, Options, Program, temp_dir, unique};

/// Set for the child of [`dies_with_a_killed_test`].
const CHILD: &str = "KAFKA_BROKER_CHILD";
/// Nothing takes that long unless it hangs.
const SOON: Duration = Duration::from_secs(120);

fn main_of_child() -> ExitCode {
    let cluster = Cluster::start(1).expect("a broker starts");
    let pid = cluster.pid(0).expect("it is ours").expect("it runs");
    let data = cluster.data_dir(0).expect("it is ours");
    println!("{pid} {}", data.display());
    loop {
        std::thread::park();
    }
}

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return main_of_child();
    }
    kafka_broker::main(vec![
        Case::new("the_shared_broker_answers", the_shared_broker_answers),
        Case::new("a_client_writes_and_reads", a_client_writes_and_reads),
        Case::own(
            "any_one_of_three_may_be_killed",
            any_one_of_three_may_be_killed,
        ),
        Case::own("markers_come_late", markers_come_late),
        Case::own("dies_with_a_killed_test", dies_with_a_killed_test),
        Case::own(
            "a_broker_that_cannot_start_says_why",
            a_broker_that_cannot_start_says_why,
        ),
        Case::own(
            "java_classes_run_on_the_same_class_path",
            java_classes_run_on_the_same_class_path,
        ),
    ])
}

fn the_shared_broker_answers(cluster: &Cluster) {
    let bootstrap = cluster.bootstrap();
    let first = bootstrap.split(',').next().expect("there is one");
    TcpStream::connect(first).expect("it listens");
    assert_ne!(unique("a"), unique("a"));
}

fn a_client_writes_and_reads(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    let topic = unique("written");
    client.create_topic(&topic, 3).expect("it can be made");
    assert!(client.topics().expect("they are listed").contains(&topic));
    assert!(client.create_topic(&topic, 3).is_err());
    let written: Vec<(String, String)> = (0..100)
        .map(|n| (n.to_string(), format!("value {n}")))
        .collect();
    client
        .produce(&topic, written.clone())
        .expect("it can be written");
    client
        .produce_to(&topic, [(2, "last", "one")])
        .expect("it can be written");
    let read = client.read(&topic).expect("it can be read");
    assert_eq!(read.len(), 101);
    assert_eq!(read[100].partition, 2);
    assert_eq!(read[100].value_text(), "one");
    let mut pairs: Vec<_> = read[..100]
        .iter()
        .map(|m| (m.key_text(), m.value_text()))
        .collect();
    pairs.sort_by_key(|(k, _)| k.parse::<u32>().ok());
    assert_eq!(pairs, written);
    assert_eq!(
        client
            .committed(&unique("nobody"), &topic)
            .expect("it can be asked"),
        [None; 3]
    );
    client.delete_topic(&topic).expect("it can be deleted");
    assert!(client.read(&topic).is_err());
}

fn markers_come_late() {
    let cluster = Options::brokers(1)
        .slow_markers()
        .start()
        .expect("a broker starts");
    let client = Client::new(cluster.bootstrap());
    client.create_topic("late", 1).expect("it can be made");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap())
        .set("transactional.id", "late")
        .create()
        .expect("a producer");
    let within = SOON;
    producer.init_transactions(within).expect("it is the first");
    producer.begin_transaction().expect("it can begin");
    let record = BaseRecord::to("late").key("k").payload("v");
    producer.send(record).expect("it is queued");
    producer.flush(within).expect("it is written");
    // A broker that takes too long to answer is missing from the answers.
    let state = |wanted: &str| {
        let mut states = Vec::new();
        eventually("the coordinator answers", || {
            states = cluster.transactions();
            !states.is_empty()
        });
        assert_eq!(states, [("late".to_owned(), wanted.to_owned())]);
    };
    state("Ongoing");

    cluster
        .delay_markers(0, Duration::from_secs(3600))
        .expect("it has a proxy");
    producer
        .commit_transaction(within)
        .expect("it does not wait for markers");
    state("PrepareCommit");
    assert_eq!(client.read("late").expect("it can be read").len(), 0);
    // They are on their way only after the commit is answered.
    eventually("a marker is late", || cluster.delayed_markers() == 1);

    cluster
        .delay_markers(0, Duration::ZERO)
        .expect("it has a proxy");
    let mut reader = client.reader("late").expect("it can be read");
    assert_eq!(reader.poll(within).expect("it can be read").len(), 1);
}

fn any_one_of_three_may_be_killed() {
    let cluster = Cluster::start(3).expect("three brokers start");
    assert_eq!(cluster.bootstrap().split(',').count(), 3);
    let pids: Vec<u32> = (0..3).map(|b| pid(&cluster, b)).collect();
    for (broker, old) in pids.into_iter().enumerate() {
        let others = [(broker + 1) % 3, (broker + 2) % 3];
        cluster.kill(broker).expect("it can be killed");
        assert!(!alive(old));
        for other in others {
            cluster.ready(other).expect("the others go on");
        }
        cluster.restart(broker).expect("it comes back");
        assert_ne!(pid(&cluster, broker), old);
    }
    cluster.pause(1).expect("it can be paused");
    cluster.resume(1).expect("it can go on");
    cluster.ready(1).expect("it answers again");
    cluster.stop(2).expect("it can be stopped");
    cluster.restart(2).expect("it comes back");
    assert!(cluster.kill(3).is_err());

    let pids: Vec<u32> = (0..3).map(|b| pid(&cluster, b)).collect();
    let data = cluster.data_dir(0).expect("it is ours");
    drop(cluster);
    assert!(pids.into_iter().all(|pid| !alive(pid)));
    assert!(!data.exists());
}

fn dies_with_a_killed_test() {
    let this = std::env::current_exe().expect("a test has a path");
    let mut child = Program::new(this)
        .env(CHILD, "1")
        .piped()
        .start()
        .expect("it starts");
    let stdout = child.stdout().expect("it is piped");
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("it can be read");
    let (pid, data) = line.trim().split_once(' ').expect("a pid and a path");
    let (pid, data) = (pid.parse().expect("a pid"), Path::new(data));
    assert!(alive(pid));
    assert!(data.exists());
    child.kill().expect("it can be killed");
    eventually("the broker is gone", || !alive(pid));
    eventually("its directory is gone", || !data.exists());
}

fn a_broker_that_cannot_start_says_why() {
    let started = Options::brokers(1)
        .property("log.retention.ms", "yesterday")
        .start();
    let error = started.expect_err("that is not a number").to_string();
    assert!(error.contains("log.retention.ms"), "{error}");
}

fn java_classes_run_on_the_same_class_path() {
    let class_path = ClassPath::of_brokers().expect("it was resolved before");
    let dir = temp_dir().expect("a directory");
    let log = dir.path().join("log");
    let mut java = Program::java(&class_path, "64m", "kafka.tools.StorageTool")
        .expect("there is Java")
        .arg("random-uuid")
        .log_to(&log)
        .expect("it can be written")
        .start()
        .expect("it starts");
    let ended = java.wait(SOON).expect("it can be waited for");
    let printed = std::fs::read_to_string(&log).expect("it can be read");
    assert!(ended.is_some_and(|status| status.success()), "{printed}");
    // What was formatted, 16 bytes in Base64, is its last line.
    assert_eq!(printed.lines().last().map(str::len), Some(22), "{printed}");
}

fn pid(cluster: &Cluster, broker: usize) -> u32 {
    cluster.pid(broker).expect("it is ours").expect("it runs")
}

/// Whether there is such a process, or at least one that nobody has waited for.
fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which stands in brackets.
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {SOON:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
