//! Queries as users ask them: of a running application from other threads, of the test driver with its record cache, and by the
//! command `query`, of stores of every kind.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser as _;
use kstreams::outbox::{Outbox, Outgoing};
use kstreams::prelude::*;
use kstreams::test_driver::{TestDriverOptions, TestState};
use kstreams::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use kstreams::transport::{ProducerSpec, TopicInfo, Transport};
use kstreams::{QueryError, Running, State};

#[topology(application_id = "visits")]
struct Visits {
    #[source(topic = "visits", partitions = 3)]
    visits: KStream<String, i64>,
    #[source(topic = "prices", partitions = 3)]
    #[store(versioned = "1h")]
    prices: KTable<String, i64>,

    #[from(visits.group_by_key().count())]
    per_page: KTable<String, i64>,
    #[from(visits.group_by_key().windowed_by(tumbling("10ms")).count())]
    #[store(retention = "100ms")]
    windows: KTable<Windowed<String>, i64>,
    #[from(visits.group_by_key().windowed_by(session("5ms")).count())]
    #[store(retention = "1h")]
    sessions: KTable<Windowed<String, SessionWindow>, i64>,
    #[from(windows.filter(|_, n| n % 2 == 0))]
    #[store]
    even: KTable<Windowed<String>, i64>,
    #[from(visits.join(visits, |left, right| left + right, within("20ms")))]
    #[sink(topic = "pairs")]
    pairs: KStream<String, i64>,

    #[store]
    largest: KeyValueStore<String, i64>,
    #[store(window_size = "10ms", retention = "100ms")]
    sums: WindowStore<String, i64>,
    #[store(retention = "1h")]
    stays: SessionStore<String, i64>,
    #[store(retention = "1h")]
    history: VersionedStore<String, i64>,
    #[from(visits.process(Largest::new(), stores(largest, sums, stays, history)))]
    #[sink(topic = "records")]
    records: KStream<String, i64>,
}

/// Forwards what is larger than all before, and keeps what it gets in stores of each kind.
#[processor(out = (String, i64))]
struct Largest {
    #[store(shared)]
    largest: KeyValueStore<String, i64>,
    #[store(shared)]
    sums: WindowStore<String, i64>,
    #[store(shared)]
    stays: SessionStore<String, i64>,
    #[store(shared)]
    history: VersionedStore<String, i64>,
}

impl Processor<String, i64> for Largest {
    fn process(
        &mut self,
        record: Record<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let (key, value, at) = (&record.key, record.value, record.timestamp);
        let start = at / 10 * 10;
        let sum = self.sums.fetch_at(key, start, cx)?.unwrap_or(0) + value;
        self.sums.put(key, &sum, start, cx)?;
        self.stays.put(key, at, at + value, &value, cx)?;
        self.history.put(key, &value, at, cx)?;
        let before = self.largest.get(&record.key, cx)?;
        if before.is_none_or(|before| before < record.value) {
            self.largest.put(&record.key, &record.value, cx)?;
            cx.forward(record)?;
        }
        Ok(())
    }
}

/// Key, value and time of each visit: out of order by some milliseconds.
fn visits() -> impl Iterator<Item = (String, i64, i64)> {
    (0..1_200_i64).map(|n| (format!("/{}", n * n % 23), n * 37 % 1000, n / 3 + n * 7 % 5))
}

fn prices() -> impl Iterator<Item = (String, i64, i64)> {
    (0..60_i64).map(|n| (format!("/{}", n % 7), n, n * 10 + n * 11 % 30))
}

/// Everything that can be asked, of the running application or of the test driver: as text, by question.
macro_rules! answers {
    ($of:expr) => {{
        let of = $of;
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        let mut tell =
            |question: String, answer: String| assert!(all.insert(question, answer).is_none());
        let pages = of.per_page.snapshot()?;
        let windows = of.windows.snapshot()?;
        let sessions = of.sessions.snapshot()?;
        let even = of.even.snapshot()?;
        let prices = of.prices.snapshot()?;
        let largest = of.largest.snapshot()?;
        let sums = of.sums.snapshot()?;
        let stays = of.stays.snapshot()?;
        let history = of.history.snapshot()?;
        tell("sums".into(), lines(sums.all()?));
        tell(
            "stays".into(),
            lines(stays.find_sessions_of(.., 350, 360)?.rev()),
        );
        tell("history".into(), lines(history.all()?));
        tell("pages".into(), lines(pages.all()?.with_timestamps()));
        tell("windows".into(), lines(windows.all()?.with_timestamps()));
        tell("windows backward".into(), lines(windows.all()?.rev()));
        tell("sessions".into(), lines(sessions.all()?));
        tell("even".into(), lines(even.all()?.with_timestamps()));
        tell("prices".into(), lines(prices.all()?));
        tell("largest".into(), lines(largest.all()?));
        tell("pages 1".into(), lines(pages.prefix(&"/1".to_owned())?));
        tell(
            "pages 2-4".into(),
            lines(pages.range("/2".to_owned().."/4".to_owned())?.rev()),
        );
        tell("windows 310".into(), lines(windows.fetch_all(310..330)?));
        tell(
            "windows 2-4".into(),
            lines(windows.fetch_range("/2".to_owned()..="/4".to_owned(), 350..)?),
        );
        tell(
            "sessions 350".into(),
            lines(sessions.find_sessions_of(.., 350, 360)?.rev()),
        );
        for key in (0..23).map(|n| format!("/{n}")) {
            tell(format!("page {key}"), format!("{:?}", pages.get(&key)?));
            tell(
                format!("window {key}"),
                format!("{:?}", windows.fetch_at(&key, 350)?),
            );
            tell(
                format!("windows {key}"),
                lines(windows.fetch(&key, 310..=390)?),
            );
            tell(format!("sessions {key}"), lines(sessions.fetch(&key)?));
            tell(
                format!("price {key}"),
                format!("{:?}", prices.get_as_of(&key, 215)?),
            );
            tell(
                format!("prices {key}"),
                format!("{:?}", prices.get_versions(&key, 100..300)?),
            );
            tell(
                format!("largest {key}"),
                format!("{:?}", largest.get(&key)?),
            );
        }
        Ok::<_, kstreams::Error>(all)
    }};
}

fn lines<T: std::fmt::Debug>(
    entries: impl Iterator<Item = Result<T, kstreams::QueryError>>,
) -> String {
    entries.map(|entry| format!("{entry:?}\n")).collect()
}

type Answers = BTreeMap<String, String>;

/// What the test driver answers before a commit, and after it.
fn expected(options: TestDriverOptions) -> kstreams::Result<[Answers; 2]> {
    let t = Visits::builder().test_driver_with(options.partitions_of_all(3))?;
    for (key, price, at) in prices() {
        t.prices.send(key, price).at(at);
    }
    for (key, value, at) in visits() {
        t.visits.send(key, value).at(at);
    }
    let before = answers!(&t)?;
    let window = TimeWindow {
        start: 390,
        end: 400,
    };
    let counted = t.windows.get(Windowed::new("/0".to_owned(), window))?;
    assert_eq!(
        counted,
        t.windows.snapshot()?.fetch_at(&"/0".to_owned(), 390)?
    );
    assert!(counted.is_some());
    t.commit()?;
    Ok([before, answers!(&t)?])
}

#[test]
fn the_test_driver_sees_what_its_record_cache_and_its_write_buffer_hold() -> kstreams::Result {
    let [plain, committed] = expected(TestDriverOptions::new())?;
    assert!(plain == committed);
    assert!(plain["windows"].contains("start: 390, end: 400"));
    assert!(!plain["windows"].contains("start: 200,"), "expired");
    for state in [TestState::Memory, TestState::Lmdb] {
        for cache in [0, 300, 1 << 20] {
            let options = TestDriverOptions::new().state(state).cache_max_bytes(cache);
            let [before, after] = expected(options)?;
            for (question, answer) in &plain {
                let at = format!("{question}, {state:?}, a cache of {cache}");
                // What has expired in the store is seen as long as it lies in the cache; a filter gets what the cache lets go.
                let by_cache = ["even", "windows", "windows backward"].contains(&&**question);
                if cache == 0 || !by_cache {
                    assert!(answer == &before[question], "{at}");
                    assert!(answer == &after[question], "{at}, committed");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_running_application_is_asked_from_other_threads() -> kstreams::Result {
    let [expected, _] = expected(TestDriverOptions::new())?;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = log(dir.path());
    produce(&log, "prices", prices());
    let config = config(dir.path())
        .num_stream_threads(2)
        .commit_every(Duration::from_millis(5));
    let app = Visits::builder().start(config)?;
    assert!(app.streams().wait_for(State::Running, SOON));
    wait(|| {
        app.prices
            .snapshot()
            .is_ok_and(|s| s.partitions().count() == 3 && s.all().is_ok_and(|all| all.count() == 7))
    });
    let (finished, rounds) = (AtomicBool::new(false), [const { AtomicUsize::new(0) }; 3]);
    std::thread::scope(|scope| {
        let (app, finished) = (&app, &finished);
        let over = Over(finished);
        let askers = rounds
            .each_ref()
            .map(|rounds| scope.spawn(move || ask(app, finished, rounds)));
        for part in 0..12 {
            let visits: Vec<_> = visits().skip(part * 100).take(100).collect();
            produce(&log, "visits", visits.into_iter());
            wait(|| total(app) == i64::try_from(part + 1).unwrap_or(0) * 100);
            // So that each asks while records are processed, and sees the state between two parts.
            let before = rounds
                .each_ref()
                .map(|rounds| rounds.load(Ordering::Acquire));
            wait(|| {
                (rounds.iter().zip(before))
                    .all(|(now, before)| now.load(Ordering::Acquire) > before + 1)
            });
        }
        drop(over);
        for asker in askers {
            let states = asker
                .join()
                .expect("an asking thread")
                .expect("its answers");
            assert!(states >= 12, "saw {states} states");
        }
    });
    let answers: Answers = answers!(&app)?;
    for (question, answer) in &expected {
        assert!(answer == &answers[question], "{question}");
    }
    app.close()
}

#[test]
fn closing_waits_for_a_snapshot_and_then_nothing_is_answered() -> kstreams::Result {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = log(dir.path());
    let visits: Vec<_> = visits().take(100).collect();
    produce(&log, "visits", visits.into_iter());
    let app = Visits::builder().start(config(dir.path()))?;
    assert!(matches!(
        app.per_page.get(&"/nowhere".to_owned()),
        Ok(None) | Err(QueryError::NotHere { .. } | QueryError::KeyNotHere { .. })
    ));
    wait(|| total(&app) == 100);
    let pages = app.per_page.snapshot()?;
    let mut entries = pages.all()?;
    let (_, first) = entries.next().expect("a page")?;
    let streams = app.streams().clone();
    let closed = std::thread::spawn(move || streams.close());
    wait(|| app.state() != State::Running);
    let rest = entries.map(|entry| entry.map(|(_, n)| n));
    let rest: i64 = rest.sum::<Result<_, _>>()?;
    assert_eq!(first + rest, 100, "what the snapshot saw stays");
    drop(pages);
    closed.join().expect("a thread")?;
    for refused in [
        app.per_page.all().map(drop),
        app.largest.snapshot().map(drop),
    ] {
        let error = refused.expect_err("it does not run").to_string();
        assert!(
            error.contains("not running") && error.contains("RUNNING"),
            "{error}"
        );
    }
    // The state can be opened again at once.
    app.close()?;
    let app = Visits::builder().start(config(dir.path()))?;
    wait(|| total(&app) == 100);
    app.close()
}

fn total(app: &Running<Visits>) -> i64 {
    app.per_page
        .all()
        .map_or(0, |all| all.iter().map(|(_, n)| n).sum())
}

/// Ends the asking, also where something fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Asks until it is over. Each snapshot is one state, whichever way it is read, and states only go on.
fn ask(
    app: &Running<Visits>,
    finished: &AtomicBool,
    rounds: &AtomicUsize,
) -> kstreams::Result<usize> {
    let (mut states, mut before) = (0, 0);
    while !finished.load(Ordering::Acquire) {
        let pages = app.per_page.snapshot()?;
        let forward: Vec<(String, i64)> = pages.all()?.collect::<Result<_, _>>()?;
        std::thread::yield_now();
        let mut backward: Vec<(String, i64)> = pages.all()?.rev().collect::<Result<_, _>>()?;
        backward.reverse();
        assert_eq!(forward, backward);
        for (key, n) in &forward {
            assert_eq!(pages.get(key)?, Some(*n));
        }
        let now = forward.iter().map(|(_, n)| n).sum();
        assert!(now >= before && now <= 1_200, "{now} after {before}");
        states += usize::from(now > before);
        before = now;
        drop(pages);

        let windows = app.windows.snapshot()?;
        let all: Vec<_> = windows.all()?.collect::<Result<_, _>>()?;
        for (window, n) in &all {
            assert_eq!(windows.fetch_at(&window.key, window.start())?, Some(*n));
            let found = windows
                .fetch(&window.key, window.start()..window.end())?
                .next();
            assert_eq!(found.transpose()?, Some((window.clone(), *n)));
        }
        let sessions = app.sessions.snapshot()?;
        for session in sessions.all()? {
            let (session, n) = session?;
            let (start, end) = (session.start(), session.end());
            assert_eq!(sessions.fetch_session(&session.key, start, end)?, Some(n));
        }
        rounds.fetch_add(1, Ordering::Release);
    }
    Ok(states)
}

/// Nothing here takes that long unless it hangs.
const SOON: Duration = Duration::from_secs(120);

fn wait(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(
            Instant::now() < deadline,
            "it did not come to that within {SOON:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn config(dir: &Path) -> StreamsConfig {
    StreamsConfig::embedded(dir.join("log"))
        .create_topics(true)
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .cache_max_bytes(0)
}

fn log(dir: &Path) -> EmbeddedLog {
    let log = EmbeddedLog::open(dir.join("log"), EmbeddedLogOptions::default()).expect("a log");
    for name in ["visits", "prices"] {
        let topic = TopicInfo {
            name: name.to_owned(),
            partitions: 3,
            config: BTreeMap::new(),
        };
        log.admin()
            .expect("an admin")
            .create_topic(&topic)
            .expect("a topic");
    }
    log
}

fn produce(log: &EmbeddedLog, topic: &str, records: impl Iterator<Item = (String, i64, i64)>) {
    let spec = ProducerSpec {
        client_id: "test".to_owned(),
        transactional_id: None,
    };
    let mut producer = log.producer(&spec).expect("a producer");
    let (mut outbox, headers) = (Outbox::default(), Headers::new());
    for (key, value, at) in records {
        outbox.push(Outgoing {
            topic: 0,
            partition: None,
            key: Some(key.as_bytes()),
            value: Some(&value.to_be_bytes()),
            timestamp: Some(at),
            headers: &headers,
        });
    }
    producer.send(&outbox, &[topic.into()]).expect("to send");
    producer.flush().expect("to flush");
}

const ARGUMENTS: &str = "KSTREAMS_TEST_ARGUMENTS";
const MARK: &str = "-- program --";

/// The generated program, when this binary is started by [`program`].
#[test]
fn child_process() {
    #[derive(clap::Parser)]
    struct Program {
        #[command(subcommand)]
        command: kstreams::program::Command,
    }
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    println!("\n{MARK}");
    let arguments = std::iter::once("visits").chain(arguments.split('\n'));
    match Program::try_parse_from(arguments) {
        Ok(program) => {
            let start = |config| Visits::builder().start(config);
            program.command.execute(start).expect("it ends the process");
        }
        Err(error) => error.exit(),
    }
    println!("{MARK}");
}

fn program(dir: &Path, arguments: &[&str]) -> (Output, String) {
    let log = dir.join("log");
    let log = log.to_str().expect("a path of text");
    let arguments = [arguments, &["--embedded", log]].concat().join("\n");
    let mut child = Command::new(std::env::current_exe().expect("this binary"));
    child.args(["--exact", "--nocapture", "child_process"]);
    let output = child.env(ARGUMENTS, arguments).output().expect("a process");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let printed = stdout.split(&format!("{MARK}\n")).nth(1);
    (output, printed.unwrap_or_default().to_owned())
}

#[test]
fn the_command_asks_stores_of_every_kind() -> kstreams::Result {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = log(dir.path());
    let day = |key: &str, value, at| (key.to_owned(), value, at);
    produce(
        &log,
        "prices",
        [day("tea", 5, 100), day("tea", 6, 200), day("rum", 9, 150)].into_iter(),
    );
    let records = [
        day("ada", 1, 3),
        day("ada", 2, 4),
        day("bob", 3, 14),
        day("ada", 4, 25),
    ];
    produce(&log, "visits", records.into_iter());
    let app = Visits::builder().start(config(dir.path()))?;
    wait(|| total(&app) == 4 && app.prices.all().is_ok_and(|all| all.len() == 2));
    app.close()?;
    let ask = |arguments: &[&str]| program(dir.path(), &[&["query"], arguments].concat()).1;

    assert_eq!(ask(&["per_page"]), "ada\t3\nbob\t1\n");
    assert_eq!(ask(&["per_page", "--reverse"]), "bob\t1\nada\t3\n");
    assert_eq!(ask(&["per_page", "--prefix", "a"]), "ada\t3\n");
    assert_eq!(ask(&["per_page", "--from", "b"]), "bob\t1\n");
    assert_eq!(ask(&["largest", "ada"]), "ada\t4\n");
    assert_eq!(
        ask(&["sums", "ada", "--time-to", "9"]),
        "{\"end\":10,\"key\":\"ada\",\"start\":0}\t3\n"
    );
    let stay = ask(&["stays", "ada", "--time-from", "5", "--time-to", "3"]);
    assert_eq!(stay, "", "one ended before, the others began later");
    assert_eq!(
        ask(&["stays", "bob"]),
        "{\"end\":17,\"key\":\"bob\",\"start\":14}\t3\n"
    );
    assert_eq!(
        ask(&["history", "ada", "--as-of", "4"]),
        "{\"valid_from\":4,\"valid_to\":25}\t2\n"
    );

    let [first, bob, second] =
        [("ada", 0, 2), ("bob", 10, 1), ("ada", 20, 1)].map(|(key, start, n)| {
            format!(
                "{{\"end\":{},\"key\":\"{key}\",\"start\":{start}}}\t{n}\n",
                start + 10
            )
        });
    let all = ask(&["windows"]);
    assert_eq!(
        all,
        format!("{first}{second}{bob}"),
        "a segment, in it keys"
    );
    assert_eq!(ask(&["windows", "ada"]), format!("{first}{second}"));
    assert_eq!(
        ask(&["windows", "ada", "--reverse"]),
        format!("{second}{first}")
    );
    assert_eq!(
        ask(&["windows", "--time-from", "5", "--time-to", "10"]),
        bob
    );
    assert_eq!(ask(&["windows", "ada", "--time-from", "1"]), second);
    assert_eq!(ask(&["windows", "--from", "b", "--to", "c"]), bob);
    assert_eq!(ask(&["windows", r#"{"key":"ada","start":20}"#]), second);
    let json = ask(&["windows", "bob", "--json"]);
    assert_eq!(
        json,
        "{\"key\":{\"end\":20,\"key\":\"bob\",\"start\":10},\"timestamp\":14,\"value\":1}\n"
    );

    let session = ask(&["sessions", "ada", "--time-from", "4", "--time-to", "4"]);
    assert_eq!(session, "{\"end\":4,\"key\":\"ada\",\"start\":3}\t2\n");
    assert_eq!(ask(&["sessions"]).lines().count(), 3);
    let printed = r#"{"end":25,"key":"ada","start":25}"#;
    assert_eq!(ask(&["sessions", printed]), format!("{printed}\t1\n"));
    // A filtered table of windows has them as keys.
    assert_eq!(
        ask(&["even", r#"{"key":"ada","start":0}"#]).lines().count(),
        1
    );

    assert_eq!(ask(&["prices"]), "rum\t9\ntea\t6\n");
    assert_eq!(
        ask(&["prices", "tea", "--as-of", "150"]),
        "{\"valid_from\":100,\"valid_to\":200}\t5\n"
    );
    let versions = ask(&["prices", "tea", "--versions", "--json"]);
    let [latest, before] = [(6, 200, "null"), (5, 100, "200")].map(|(value, from, to)| {
        format!("{{\"key\":\"tea\",\"valid_from\":{from},\"valid_to\":{to},\"value\":{value}}}\n")
    });
    assert_eq!(versions, format!("{latest}{before}"));
    assert_eq!(
        ask(&["prices", "tea", "--versions", "--time-to", "150", "--json"]),
        before
    );

    // A join keeps its records, several of one key and time.
    let joined = ask(&["pairs-this-join-store", "ada"]);
    assert_eq!(joined.lines().count(), 3, "{joined}");

    let refused = |arguments: &[&str], code: i32, why: &str| {
        let (output, _) = program(dir.path(), &[&["query"], arguments].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(why), "{arguments:?}: {stderr}");
    };
    refused(&["windows", "eve"], 1, "`windows` has no `eve`");
    refused(&["windows", "ada", "--time-from", "500"], 1, "at that time");
    refused(&["windows", "--prefix", "a"], 2, "kept by windows");
    refused(&["per_page", "--time-from", "5"], 2, "no times");
    refused(&["per_page", "ada", "--as-of", "5"], 2, "not versioned");
    refused(&["prices", "tea", "--time-from", "5"], 2, "`--as-of`");
    Ok(())
}
