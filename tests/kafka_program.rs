//! The generated commands and the examples on a real broker, as programs that a person starts.

#[path = "support/programs.rs"]
mod programs;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kafka_broker::{Case, Client, Cluster};
use programs::{Ended, Running, SOON, command, eventually, example, run, text};
use serde_json::Value;

/// The examples' topics and groups have fixed names: one case at a time.
static ONE: Mutex<()> = Mutex::new(());

fn main() -> ExitCode {
    kafka_broker::main(vec![
        Case::new("commands_work_beside_a_running_program", commands),
        Case::new("examples_do_their_bounded_job", bounded_jobs),
        Case::new("programs_that_start_at_once_share_the_work", race),
        Case::new("what_does_not_fit_is_told_all_at_once", misfits),
        Case::new("doctor_tells_that_nobody_answers", |_| nobody_answers()),
    ])
}

/// A broker without anything of the examples.
fn fresh(cluster: &Cluster) -> (MutexGuard<'static, ()>, Client) {
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let client = Client::new(cluster.bootstrap());
    clear(&client);
    (guard, client)
}

/// Deletes the examples' topics, some of which have one name and differ in what they hold.
fn clear(client: &Client) {
    let ours = [
        "lines",
        "counts",
        "orders",
        "customers",
        "products",
        "enriched-orders",
        "large-orders",
        "small-orders",
        "access-log",
        "views",
        "views-per-page",
        "clients",
    ];
    let prefixes = ["word-count-", "order-enrichment-", "page-views-"];
    for topic in client.topics().expect("topics") {
        let internal = prefixes.iter().any(|prefix| topic.starts_with(prefix));
        if internal || ours.contains(&topic.as_str()) {
            client.delete_topic(&topic).expect("it can be deleted");
        }
    }
}

/// A program on the broker, with a state directory of its own.
struct Program<'c> {
    path: std::path::PathBuf,
    at: [&'c str; 4],
}

impl Program<'_> {
    fn ask(&self, args: &[&str]) -> Ended {
        // A command that never ends is ended.
        Running::start(&mut command(&self.path, &[args, &self.at].concat())).ended(SOON)
    }

    fn ask_json(&self, args: &[&str]) -> Value {
        let ended = self.ask(args);
        serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:#?}"))
    }

    fn start(&self, args: &[&str]) -> Running {
        Running::start(&mut command(&self.path, &[args, &self.at].concat()))
    }

    fn produce(&self, topic: &str, lines: &str) {
        let args = [&["produce", topic], &self.at[..]].concat();
        let mut producing = Running::start(command(&self.path, &args).stdin(Stdio::piped()));
        let stdin = producing.0.as_mut().and_then(|c| c.stdin.take());
        let mut stdin = stdin.expect("piped");
        stdin.write_all(lines.as_bytes()).expect("it reads");
        drop(stdin);
        assert_eq!(producing.ended(SOON).code, Some(0));
    }

    /// Until a run has counted a word so often.
    fn counted(&self, word: &str, expected: i64) {
        eventually("the word is counted", || {
            self.ask(&["query", "counts", word]).stdout == format!("{word}\t{expected}\n")
        });
    }
}

fn state(dir: &Path) -> String {
    format!("state.dir={}", text(dir))
}

fn stop(running: Running) {
    running.signal("INT");
    let ended = running.ended(SOON);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}

fn commands(cluster: &Cluster) {
    let (_one, client) = fresh(cluster);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (bootstrap, state) = (cluster.bootstrap(), state(dir.path()));
    let program = Program {
        path: example("word_count"),
        at: ["--bootstrap", &bootstrap, "--set", &state],
    };

    // Kafka's topics are not made by the way.
    for args in [&["topics", "check"][..], &["run"]] {
        let refused = program.ask(args);
        assert_eq!(refused.code, Some(1), "{refused:#?}");
        for missing in ["`lines`", "`counts`", "KS0305"] {
            assert!(refused.stderr.contains(missing), "{refused:#?}");
        }
    }
    let created = program.ask(&["topics", "create", "--replication-factor", "1"]);
    let told = "lines: created, 2 partitions\ncounts: created, 2 partitions\n";
    assert_eq!(created.stdout(), told);
    assert_eq!(client.partitions("lines").expect("metadata"), Some(2));
    let again = program.ask(&["topics", "create"]).stdout();
    assert_eq!(again.matches("is there").count(), 2, "{again}");
    assert_eq!(program.ask(&["topics", "check"]).code, Some(0));

    let exactly_once = ["--set", "processing.guarantee=exactly_once_v2"];
    let running = program.start(&[&["run"], &exactly_once[..]].concat());
    program.produce("lines", "to be or\nnot to be\n");
    program.counted("be", 2);
    // The transaction is committed before its markers are written.
    eventually("the count can be read", || {
        let consumed = program.ask(&["consume", "counts", "--from-beginning"]);
        consumed.stdout().lines().any(|l| l == "be\t2")
    });
    let doctor = program.ask_json(&["doctor", "--json"]);
    assert_eq!(doctor["ok"], true, "{doctor}");
    assert_eq!(doctor["group"]["state"], "Stable", "{doctor}");
    assert_eq!(doctor["group"]["members"].as_array().map(Vec::len), Some(1));
    let refused = program.ask(&["reset", "--yes"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("is running"), "{refused:#?}");
    running.signal("INT");
    let ended = running.ended(SOON);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let first = ended.stderr.lines().next().unwrap_or_default();
    assert!(
        first.contains(&bootstrap) && first.contains("exactly once"),
        "{first}"
    );

    let internal = |client: &Client| {
        let topics = client.topics().expect("topics");
        topics
            .iter()
            .filter(|t| t.starts_with("word-count-"))
            .count()
    };
    let dry = program.ask_json(&["reset", "--dry-run", "--json"]);
    assert_eq!(
        dry["deleted_topics"].as_array().map(Vec::len),
        Some(2),
        "{dry}"
    );
    assert_eq!(internal(&client), 2);
    program.ask(&["reset", "--yes"]).stdout();
    eventually("the internal topics are gone", || internal(&client) == 0);
    let committed = client.committed("word-count", "lines").expect("offsets");
    assert_eq!(committed, [Some(0), Some(0)]);
    assert_eq!(program.ask(&["query", "counts", "be"]).code, Some(1));

    // At least once, as Kafka Streams has it unless told otherwise; from the beginning, on new internal topics.
    let running = program.start(&["run", "--set", "commit.interval.ms=100"]);
    program.counted("be", 2);
    running.signal("INT");
    let ended = running.ended(SOON);
    let first = ended.stderr.lines().next().unwrap_or_default().to_owned();
    assert!(first.contains("at least once"), "{ended:#?}");
    program.ask(&["reset", "--yes", "--to-latest"]).stdout();
    let running = program.start(&["run", "--set", "commit.interval.ms=100"]);
    program.produce("lines", "be\n");
    program.counted("be", 1);
    stop(running);
}

/// Each finds no internal topics, and makes them.
fn race(cluster: &Cluster) {
    let (_one, client) = fresh(cluster);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bootstrap = cluster.bootstrap();
    let states: Vec<String> = ["a", "b"].map(|name| state(&dir.path().join(name))).into();
    let program = |state| Program {
        path: example("word_count"),
        at: ["--bootstrap", &bootstrap, "--set", state],
    };
    program(&states[0]).ask(&["topics", "create"]).stdout();
    let args = ["run", "--set", "processing.guarantee=exactly_once_v2"];
    let both: Vec<Running> = states.iter().map(|s| program(s).start(&args)).collect();
    eventually("both are members", || {
        let doctor = program(&states[0]).ask_json(&["doctor", "--json"]);
        doctor["group"]["members"].as_array().map(Vec::len) == Some(2)
    });
    for topic in ["counts-repartition", "counts-changelog"] {
        let topic = format!("word-count-{topic}");
        assert_eq!(client.partitions(&topic).expect("metadata"), Some(2));
    }
    program(&states[0]).produce("lines", "to be or\nnot to be\n");
    eventually("every line is counted once", || {
        let doctor = program(&states[0]).ask_json(&["doctor", "--json"]);
        let lag = doctor["lag"].as_array().expect("a list");
        !lag.is_empty() && lag.iter().all(|l| l["behind"] == 0)
    });
    let mut consumed = String::new();
    // What is committed can be read when the transactions' markers are written. Of each word the records are 1, 2 …
    eventually("all counts can be read", || {
        let all = program(&states[0]).ask(&["consume", "counts", "--from-beginning"]);
        consumed = all.stdout();
        ["be\t2", "to\t2", "or\t1", "not\t1"]
            .iter()
            .all(|word| consumed.lines().any(|l| l == *word))
    });
    for word in ["be\t2", "to\t2", "or\t1", "not\t1"] {
        assert_eq!(
            consumed.lines().filter(|l| *l == word).count(),
            1,
            "{consumed}"
        );
    }
    both.into_iter().for_each(stop);
}

fn bounded_jobs(cluster: &Cluster) {
    let (_one, client) = fresh(cluster);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (bootstrap, state) = (cluster.bootstrap(), state(dir.path()));
    let on_kafka = ["--bootstrap", bootstrap.as_str(), "--set", &state];
    let file = dir.path().join("text.txt");
    fs::write(&file, "one two two\n").expect("a text");
    let word_count = example("word_count");
    let count = || {
        let args = [&[text(&file), "--all"], &on_kafka[..]].concat();
        Running::start(&mut command(&word_count, &args))
            .ended(SOON)
            .stdout()
    };
    for _ in 0..2 {
        assert_eq!(count(), "2\ttwo\n1\tone\n");
    }
    fs::write(&file, "one two two\none one\n").expect("a text");
    assert_eq!(count(), "3\tone\n2\ttwo\n");
    // The same program prints the same on either log.
    for name in [
        "order_enrichment",
        "page_views",
        "ten_minute_counts",
        "clickstream_sessions",
        "type_router",
        "heartbeat_monitor",
        "currency_orders",
        "ad_clicks",
        "dead_letters",
    ] {
        clear(&client);
        let program = example(name);
        let here = run(&program, &[]).stdout();
        let there = Running::start(&mut command(&program, &on_kafka))
            .ended(SOON)
            .stdout();
        assert_eq!(here, there, "{name}");
    }
}

fn misfits(cluster: &Cluster) {
    let (_one, client) = fresh(cluster);
    let dir = tempfile::tempdir().expect("a temporary directory");
    // What others made: another count, and a changelog that is not compacted.
    client.create_topic("lines", 3).expect("it can be made");
    client
        .create_topic("word-count-counts-changelog", 3)
        .expect("it can be made");
    let file = dir.path().join("app.toml");
    let settings = format!(
        "bootstrap.servers = \"{}\"\n\"state.dir\" = \"{}\"\n",
        cluster.bootstrap(),
        text(dir.path())
    );
    fs::write(&file, settings).expect("a file");
    let program = Program {
        path: example("word_count"),
        at: ["--config", text(&file), "--set", "commit.interval.ms=100"],
    };
    let problems = [
        "`lines` has 3 partitions, but the topology declares `partitions = 2`",
        "`counts`, written by the topology, does not exist",
        "`word-count-counts-changelog` has `cleanup.policy=delete`",
    ];
    for args in [&["run"][..], &["topics", "check"]] {
        let refused = program.ask(args);
        assert_eq!(refused.code, Some(1), "{refused:#?}");
        for problem in problems {
            assert!(refused.stderr.contains(problem), "{problem}: {refused:#?}");
        }
    }
    let refused = program.ask(&["topics", "create"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert_eq!(client.partitions("counts").expect("metadata"), None);
    let doctor = program.ask_json(&["doctor", "--json"]);
    assert_eq!(doctor["ok"], false, "{doctor}");
    let told = doctor["problems"].to_string();
    assert!(problems.iter().all(|p| told.contains(p)), "{told}");
}

fn nobody_answers() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = state(dir.path());
    let program = Program {
        path: example("word_count"),
        at: ["--bootstrap", "127.0.0.1:9", "--set", &state],
    };
    let doctor = program.ask_json(&["doctor", "--json"]);
    assert_eq!(doctor["ok"], false, "{doctor}");
    assert!(
        doctor["problems"].to_string().contains("127.0.0.1:9"),
        "{doctor}"
    );
    let run = program.ask(&["run"]);
    assert_eq!(run.code, Some(1), "{run:#?}");
    assert!(
        run.stderr.contains("KS0310") && run.stderr.contains("127.0.0.1:9"),
        "{run:#?}"
    );
}
