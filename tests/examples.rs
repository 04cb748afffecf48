//! The examples as a user meets them: programs with real input, and the generated commands beside a running one.

#[path = "support/programs.rs"]
mod programs;
#[path = "examples/windowed.rs"]
mod windowed;

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdout, Stdio};

use kstreams::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use kstreams::transport::{TopicInfo, Transport};
use programs::{Ended, Running, SOON, command, eventually, example, run, text};
use serde_json::Value;

#[test]
fn word_count_counts_a_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("text.txt");
    fs::write(
        &file,
        "To be, or not to be:\n\nthat is the question. Été 42 42\n",
    )
    .expect("a text");
    let ended = run(&example("word_count"), &[text(&file), "--all"]);
    assert_eq!(
        ended.stdout(),
        "2\t42\n2\tbe\n2\tto\n1\tis\n1\tnot\n1\tor\n1\tquestion\n1\tthat\n1\tthe\n1\tété\n"
    );
}

#[test]
fn word_count_counts_the_readme_and_prints_the_most_frequent_words() {
    let stdout = run(&example("word_count"), &["--top", "3"]).stdout();
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let readme = readme.expect("the README").to_lowercase();
    let count = |word: &str| {
        let words = readme.split(|c: char| !c.is_alphanumeric());
        words.filter(|w| *w == word).count()
    };
    let lines: Vec<(usize, &str)> = stdout
        .lines()
        .map(|line| {
            let (n, word) = line.split_once('\t').expect("`count<TAB>word`");
            (n.parse().expect("a number"), word)
        })
        .collect();
    assert_eq!(lines.len(), 3);
    assert!(lines.is_sorted_by(|a, b| a.0 >= b.0), "{lines:?}");
    for (n, word) in lines {
        assert_eq!(n, count(word), "`{word}`");
    }
}

#[test]
fn word_count_goes_on_where_it_was_and_adds_nothing_when_repeated() {
    let word_count = example("word_count");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (file, log) = (dir.path().join("text.txt"), dir.path().join("log"));
    let args = [text(&file), "--all", "--embedded", text(&log)];
    fs::write(&file, "one two two\n").expect("a text");
    for _ in 0..2 {
        assert_eq!(run(&word_count, &args).stdout(), "2\ttwo\n1\tone\n");
    }
    fs::write(&file, "one two two\none one\n").expect("a text");
    assert_eq!(run(&word_count, &args).stdout(), "3\tone\n2\ttwo\n");
    // Another file adds its words; a shorter one of the same name is another text.
    let other = dir.path().join("other.txt");
    fs::write(&other, "three").expect("a text");
    let both = [text(&file), text(&other), "--all", "--embedded", text(&log)];
    assert_eq!(
        run(&word_count, &both).stdout(),
        "3\tone\n2\ttwo\n1\tthree\n"
    );
    fs::write(&file, "x\n").expect("a text");
    let ended = run(&word_count, &args);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(
        ended.stderr.contains("take another --embedded DIR"),
        "{ended:#?}"
    );
}

#[test]
fn word_count_says_which_file_is_not_there() {
    let ended = run(&example("word_count"), &["no/such/file.txt"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("no/such/file.txt"), "{ended:#?}");
}

#[test]
fn order_enrichment_joins_and_routes() {
    let stdout = run(&example("order_enrichment"), &[]).stdout();
    assert_eq!(
        stdout,
        "large-orders\t1\t2500.00\t1 × Punched-card loom\tAda, London\n\
         small-orders\t2\t198.00\t2 × Calculator\tBlaise, Paris\n\
         small-orders\t3\t125.00\t10 × Abacus\tGrace, New York\n\
         small-orders\t5\t102.00\t3 × Slide rule\tAlan, Manchester\n\
         small-orders\t6\t0.00\t1 × p-enigma\tEdsger, Rotterdam\n\
         small-orders\t7\t12.50\t1 × Abacus\tAda, London\n\
         large-orders\t8\t396.00\t4 × Calculator\tGrace, New York\n\
         small-orders\t9\t34.00\t1 × Slide rule\tBlaise, Paris\n\
         large-orders\t10\t5000.00\t2 × Punched-card loom\tEdsger, Rotterdam\n\
         small-orders\t11\t100.00\t8 × Abacus\tAlan, Manchester\n\
         small-orders\t12\t99.00\t1 × Calculator\tAda, London\n"
    );
}

#[test]
fn ad_clicks_joins_impressions_with_the_clicks_of_ten_minutes() {
    let stdout = run(&example("ad_clicks"), &[]).stdout();
    assert_eq!(
        stdout,
        "ad-bikes\t3 shown\t1 clicked\n\
         ad-books\t4 shown\t4 clicked\n\
         ad-shoes\t5 shown\t4 clicked\n"
    );
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("a file");
    data(
        "impressions.jsonl",
        "{\"id\":\"i\",\"ad\":\"a\",\"user\":\"u\",\"at\":0}\n",
    );
    data(
        "clicks.jsonl",
        "{\"impression\":\"i\",\"at\":600000}\n\n{\"impression\":\"i\",\"at\":600001}\nno click\n",
    );
    let ended = run(&example("ad_clicks"), &["--data", text(dir.path())]);
    assert!(ended.stderr.contains("`no click`"), "{ended:#?}");
    assert_eq!(ended.stdout(), "a\t1 shown\t1 clicked\n");
}

#[test]
fn currency_orders_follows_its_rates() {
    let stdout = run(&example("currency_orders"), &[]).stdout();
    assert_eq!(
        stdout,
        "o1\t100.00 USD\t95.00 EUR\n\
         o2\t30000.00 JPY\t180.00 EUR\n\
         o3\t50.50 USD\t47.97 EUR\n\
         o4\t800.00 CHF\t840.00 EUR\n\
         o5\t9900.00 JPY\t59.40 EUR\n\
         total\tCHF\t840.00 EUR\n\
         total\tJPY\t239.40 EUR\n\
         total\tUSD\t142.97 EUR\n"
    );
}

#[test]
fn page_views_counts_pages_and_clients() {
    let stdout = run(&example("page_views"), &[]).stdout();
    let log = include_str!("../examples/data/access.log");
    let views: Vec<(&str, &str)> = log
        .lines()
        .filter(|l| l.contains("HTTP/1.1\" 200 "))
        .map(|l| {
            let client = l.split(' ').next().expect("a client");
            let request = l.split('"').nth(1).expect("a request");
            (client, request.split(' ').nth(1).expect("a page"))
        })
        .collect();
    let mut lines = stdout.lines();
    let clients: std::collections::BTreeSet<&str> = views.iter().map(|v| v.0).collect();
    assert_eq!(
        lines.next_back(),
        Some(format!("{} clients", clients.len()).as_str())
    );
    let mut total = 0;
    for line in lines {
        let (n, page) = line.split_once('\t').expect("`count<TAB>page`");
        let expected = views.iter().filter(|v| v.1 == page).count();
        assert_eq!(n.parse(), Ok(expected), "{page}");
        total += expected;
    }
    assert_eq!(total, views.len());
}

#[test]
fn dead_letters_lists_what_is_good_and_what_is_bad() {
    let stdout = run(&example("dead_letters"), &[]).stdout();
    let lines: Vec<&str> = stdout.lines().collect();
    let (good, bad) = lines.split_at(5.min(lines.len()));
    let expected = [
        "s-1\t71 °F",
        "s-2\t66 °F",
        "s-2\t67 °F",
        "s-3\t72 °F",
        "s-1\t73 °F",
    ];
    assert_eq!(good, expected);
    let expected = [
        "record 2\tthe value cannot be read: ",
        "record 3\t-300 °C is below absolute zero",
        "record 5\tthe value cannot be read: ",
        "record 7\tno sensor outlives that",
    ];
    assert_eq!(bad.len(), expected.len(), "{stdout}");
    for (line, begin) in bad.iter().zip(expected) {
        assert!(line.starts_with(begin), "{line}");
    }
}

#[test]
fn type_router_sends_each_type_to_its_topic() {
    let stdout = run(&example("type_router"), &[]).stdout();
    assert_eq!(
        stdout,
        r#"order-events	{"type":"order","id":"o1","customer":"ann","cents":1250}
order-events	{"type":"order","id":"o2","customer":"bob","cents":9900}
payment-events	{"type":"payment","order":"o1","cents":1250}
payment-events	{"type":"payment","order":"o2","cents":9900}
shipment-events	{"type":"shipment","order":"o1","parcels":1}
other-events	{"code":"SPRING","percent":10,"type":"voucher"}
other-events	{"order":"o2","type":"payment"}
other-events	{"cents":900,"order":"o2","type":"refund"}
dead-events	{"type":"payment",
"#
    );
}

#[test]
fn heartbeat_monitor_tells_once_of_each_silence() {
    let monitor = example("heartbeat_monitor");
    assert_eq!(
        run(&monitor, &[]).stdout(),
        "80 s\tpump-2\tsilent since 1 s\n\
         130 s\tpump-2\tback after 129 s\n\
         160 s\tvalve\tsilent since 95 s\n"
    );
    let patient = run(&monitor, &["--silence", "100000"]).stdout();
    assert_eq!(
        patient,
        "120 s\tpump-2\tsilent since 1 s\n\
         130 s\tpump-2\tback after 129 s\n\
         200 s\tvalve\tsilent since 95 s\n"
    );
}

#[test]
fn describe_prints_kafkas_text_and_pictures() {
    let word_count = example("word_count");
    let described = run(&word_count, &["describe"]).stdout();
    assert!(
        described
            .starts_with("Topologies:\n   Sub-topology: 0\n    Source: lines (topics: [lines])\n")
    );
    assert!(described.contains("(stores: [counts])"), "{described}");
    let mermaid = run(&word_count, &["describe", "--format", "mermaid"]).stdout();
    assert!(mermaid.starts_with("flowchart TD\n"), "{mermaid}");
    let dot = run(&word_count, &["describe", "--format", "dot"]).stdout();
    assert!(dot.starts_with("digraph \"word-count\" {\n"), "{dot}");
    let json: Value = serde_json::from_str(&run(&word_count, &["describe", "--json"]).stdout())
        .expect("`--json` prints JSON");
    assert_eq!(json["application_id"], "word-count");
}

#[test]
fn produce_consume_and_query_work_beside_a_running_program() {
    let word_count = example("word_count");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = dir.path().join("log");
    let at = ["--embedded", text(&log)];
    let ask = |args: &[&str]| run(&word_count, &[args, &at].concat());
    let running = Running::start(&mut command(&word_count, &["run", at[0], at[1]]));

    produce(
        &word_count,
        &["produce", "lines", at[0], at[1]],
        "to be or\nnot to be\n",
    );
    let mut seen = Ended {
        code: None,
        stdout: String::new(),
        stderr: String::new(),
    };
    eventually("`query` sees both lines", || {
        seen = ask(&["query", "counts"]);
        seen.code == Some(0) && seen.stdout == "be\t2\nnot\t1\nor\t1\nto\t2\n"
    });
    assert_eq!(ask(&["query", "counts", "be"]).stdout(), "be\t2\n");
    assert_eq!(
        ask(&["query", "counts", "--from", "c", "--to", "p"]).stdout(),
        "not\t1\nor\t1\n"
    );
    let json = ask(&["query", "counts", "be", "--json"]).stdout();
    let json: Value = serde_json::from_str(&json).expect("a line of JSON");
    assert_eq!(
        (&json["key"], &json["value"]),
        (&"be".into(), &2.into()),
        "{json}"
    );
    let absent = ask(&["query", "counts", "xyz"]);
    assert_eq!(absent.code, Some(1), "{absent:#?}");

    let lines = ask(&["consume", "lines", "--from-beginning"]).stdout();
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["null\tnot to be", "null\tto be or"]);
    let one = ask(&[
        "consume",
        "counts",
        "--from-beginning",
        "--max",
        "1",
        "--json",
    ])
    .stdout();
    let one: Value = serde_json::from_str(&one).expect("a line of JSON");
    assert_eq!(one["topic"], "counts");
    assert!(one["timestamp"].as_i64().is_some_and(|t| t > 0), "{one}");

    let second = ask(&["run"]);
    assert_eq!(
        second.code,
        Some(1),
        "a second `run` is refused: {second:#?}"
    );

    running.signal("INT");
    let ended = running.ended(SOON);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    // What is on disk can be asked without a running program.
    assert_eq!(ask(&["query", "counts", "to"]).stdout(), "to\t2\n");
}

#[test]
fn programs_that_make_the_log_at_the_same_moment_share_it() {
    let word_count = example("word_count");
    for _ in 0..10 {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let args = ["produce", "lines", "--embedded", text(dir.path())];
        let makers: Vec<Running> = (0..4)
            .map(|_| Running::start(&mut command(&word_count, &args)))
            .collect();
        for maker in makers {
            let ended = maker.ended(SOON);
            assert_eq!(ended.code, Some(0), "{ended:#?}");
        }
    }
}

#[test]
fn run_ends_cleanly_on_sigterm_and_goes_on_later() {
    let word_count = example("word_count");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = dir.path().join("log");
    let at = ["--embedded", text(&log)];
    for expected in 1..=2 {
        let args = ["run", at[0], at[1], "--json", "--threads", "2"];
        let mut running = Running::start(&mut command(&word_count, &args));
        let mut states = lines_of(&mut running);
        // A state that is over before anybody looks is not told.
        let is = |line: std::io::Result<String>, state| line.expect("text").contains(state);
        assert!(states.by_ref().any(|line| is(line, "\"RUNNING\"")));
        produce(&word_count, &["produce", "lines", at[0], at[1]], "again\n");
        eventually("the line is counted", || {
            let ended = run(&word_count, &["query", "counts", "again", at[0], at[1]]);
            ended.stdout == format!("again\t{expected}\n")
        });
        running.signal("TERM");
        assert!(
            states
                .last()
                .is_some_and(|line| is(line, "\"NOT_RUNNING\""))
        );
        assert_eq!(running.ended(SOON).code, Some(0));
    }
}

#[test]
fn run_without_a_directory_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let word_count = example("word_count");
    let mut run = command(&word_count, &["run", "--json"]);
    let mut running = Running::start(run.env("TMPDIR", dir.path()));
    let mut states = lines_of(&mut running);
    assert!(
        states
            .by_ref()
            .any(|l| l.expect("text").contains("\"RUNNING\""))
    );
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
    running.signal("INT");
    assert!(
        states
            .last()
            .is_some_and(|l| l.expect("text").contains("\"NOT_RUNNING\""))
    );
    assert_eq!(running.ended(SOON).code, Some(0));
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
}

#[test]
fn consume_follows_and_a_closed_pipe_is_quiet() {
    let word_count = example("word_count");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = dir.path().join("log");
    let at = ["--embedded", text(&log)];
    produce(&word_count, &["produce", "lines", at[0], at[1]], "first\n");
    let args = [
        "consume",
        "lines",
        "--from-beginning",
        "--follow",
        at[0],
        at[1],
    ];
    let mut following = command(&word_count, &args);
    let mut following = Running::start(&mut following);
    let mut lines = lines_of(&mut following);
    assert_eq!(lines.next().expect("a line").expect("text"), "null\tfirst");
    produce(&word_count, &["produce", "lines", at[0], at[1]], "second\n");
    assert_eq!(lines.next().expect("a line").expect("text"), "null\tsecond");
    drop(lines);
    produce(&word_count, &["produce", "lines", at[0], at[1]], "third\n");
    let ended = following.ended(SOON);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn keyed_topics_take_keys_from_the_line_and_tombstones() {
    let orders = example("order_enrichment");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = dir.path().join("log");
    let at = ["--embedded", text(&log)];
    let customer = r#"c-7|{"id":"c-7","name":"Niklaus","city":"Zürich"}"#;
    produce(
        &orders,
        &["produce", "customers", "--separator", "|", at[0], at[1]],
        customer,
    );
    run(
        &orders,
        &[
            "produce",
            "customers",
            "--key",
            "c-7",
            "--tombstone",
            at[0],
            at[1],
        ],
    )
    .stdout();
    let consumed = run(
        &orders,
        &["consume", "customers", "--from-beginning", at[0], at[1]],
    );
    let consumed = consumed.stdout();
    let mut lines = consumed.lines();
    assert!(
        lines
            .next()
            .is_some_and(|l| l.starts_with("c-7\t{") && l.contains("Zürich")),
        "{consumed}"
    );
    assert_eq!(lines.next(), Some("c-7\tnull"));

    let keyless = run(&orders, &["produce", "customers", at[0], at[1]]);
    assert_eq!(keyless.code, Some(2), "{keyless:#?}");
    assert!(keyless.stderr.contains("--key"), "{keyless:#?}");
    let no_json = ["produce", "customers", "--separator", "|", at[0], at[1]];
    let refused = produce_ends(&orders, &no_json, "c-8|not json\n");
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("line 1"), "{refused:#?}");
}

#[test]
fn what_cannot_be_is_said_with_what_to_do() {
    let word_count = example("word_count");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = dir.path().join("log");
    let at = ["--embedded", text(&log)];
    let cases: [(&[&str], i32, &str); 9] = [
        (&["frobnicate", "--embedded"], 2, "--embedded"),
        (
            &["run", "--set", "procesing.guarantee=exactly_once_v2"],
            2,
            "processing.guarantee",
        ),
        (&["run", "--set", "num.stream.threads"], 2, "KEY=VALUE"),
        (&["run", "--config", "no/such.toml"], 2, "no/such.toml"),
        (
            &["run", "--bootstrap", "h:1", at[0], at[1]],
            2,
            "cannot be used with",
        ),
        (
            &["produce", "linse", at[0], at[1]],
            2,
            "did you mean `lines`?",
        ),
        (
            &["query", "cuonts", at[0], at[1]],
            2,
            "did you mean `counts`?",
        ),
        (
            &["consume", "counts", at[0], at[1]],
            1,
            "there is no log in",
        ),
        (&["produce", "lines"], 2, "--embedded DIR"),
    ];
    for (args, code, says) in cases {
        let ended = run(&word_count, args);
        assert_eq!(ended.code, Some(code), "{args:?}: {ended:#?}");
        assert!(
            ended.stderr.contains(says),
            "{args:?} should say `{says}`: {ended:#?}"
        );
    }
}

#[test]
fn topics_are_created_as_declared_and_checked() {
    let word_count = example("word_count");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = dir.path().join("log");
    let at = ["--embedded", text(&log)];
    let ask = |args: &[&str]| run(&word_count, &[args, &at].concat());
    let created = "lines: created, 2 partitions\ncounts: created, 2 partitions\n";
    assert_eq!(ask(&["topics", "create"]).stdout(), created);
    let again = "lines: is there, 2 partitions\ncounts: is there, 2 partitions\n";
    assert_eq!(ask(&["topics", "create"]).stdout(), again);
    let checked = ask(&["topics", "check", "--json"]).stdout();
    let checked: Value = serde_json::from_str(&checked).expect("a JSON object");
    assert_eq!(checked["ok"], true, "{checked}");
    assert_eq!(checked["topics"][2]["status"], "`run` creates it");

    // The same names, other counts: of another application.
    let orders = example("order_enrichment");
    let other = dir.path().join("other");
    let at = ["--embedded", text(&other)];
    let args = ["topics", "create", "--json", at[0], at[1]];
    let lines = run(&orders, &args).stdout();
    assert!(
        lines.lines().all(|l| l.contains("\"created\":true")),
        "{lines}"
    );
    run(&orders, &["topics", "check", at[0], at[1]]).stdout();
}

#[test]
fn what_does_not_fit_is_told_all_at_once_and_nothing_is_created_beside_it() {
    let word_count = example("word_count");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let topic = |name: &str, partitions: u32, config: &[(&str, &str)]| TopicInfo {
        name: name.to_owned(),
        partitions,
        config: config
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    };
    {
        let log = EmbeddedLog::open(dir.path(), EmbeddedLogOptions::default()).expect("a log");
        let mut admin = log.admin().expect("an admin client");
        let lost = [("cleanup.policy", "delete")];
        for topic in [
            topic("lines", 3, &[]),
            topic("word-count-counts-changelog", 9, &lost),
        ] {
            admin.create_topic(&topic).expect("a topic");
        }
    }
    let at = ["--embedded", text(dir.path())];
    let problems = [
        "`lines` has 3 partitions, but the topology declares `partitions = 2`",
        "`word-count-counts-changelog` has 9 partitions, but the topology needs 3",
        "`word-count-counts-changelog` has `cleanup.policy=delete`",
    ];
    for command in [
        &["topics", "check"][..],
        &["run"],
        &["topics", "check", "--json"],
    ] {
        let ended = run(&word_count, &[command, &at].concat());
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        for problem in problems {
            assert!(ended.stderr.contains(problem), "{problem}: {ended:#?}");
        }
    }
    let refused = run(&word_count, &["topics", "create", at[0], at[1]]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains(problems[0]), "{refused:#?}");
    let doctor = run(&word_count, &["doctor", "--json", at[0], at[1]]);
    assert_eq!(doctor.code, Some(1), "{doctor:#?}");
    let report: Value = serde_json::from_str(&doctor.stdout).expect("a JSON object");
    assert_eq!(report["problems"].as_array().map(Vec::len), Some(3));
    let log = EmbeddedLog::open(dir.path(), EmbeddedLogOptions::default()).expect("a log");
    let topics = log.admin().and_then(|mut admin| admin.list_topics());
    assert_eq!(topics.expect("a list").len(), 2);
}

#[test]
fn reset_begins_anew_and_is_refused_while_the_application_runs() {
    let word_count = example("word_count");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = dir.path().join("log");
    let at = ["--embedded", text(&log)];
    let ask = |args: &[&str]| run(&word_count, &[args, &at].concat());
    let counted = |expected: &str| {
        eventually("the lines are counted", || {
            ask(&["query", "counts", "be"]).stdout == format!("be\t{expected}\n")
        });
    };
    let running = Running::start(&mut command(&word_count, &["run", at[0], at[1]]));
    produce(
        &word_count,
        &["produce", "lines", at[0], at[1]],
        "to be or\nnot to be\n",
    );
    counted("2");
    let refused = ask(&["reset", "--yes"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("is running"), "{refused:#?}");
    let doctor = ask(&["doctor", "--json"]).stdout();
    let doctor: Value = serde_json::from_str(&doctor).expect("a JSON object");
    assert_eq!(doctor["group"]["state"], "Stable", "{doctor}");
    running.signal("INT");
    assert_eq!(running.ended(SOON).code, Some(0));

    let unasked = ask(&["reset"]);
    assert_eq!(unasked.code, Some(2), "{unasked:#?}");
    assert!(unasked.stderr.contains("--yes"), "{unasked:#?}");
    let dry = ask(&["reset", "--dry-run", "--json"]).stdout();
    let dry: Value = serde_json::from_str(&dry).expect("a JSON object");
    assert_eq!(
        dry["deleted_topics"].as_array().map(Vec::len),
        Some(2),
        "{dry}"
    );
    assert_eq!(ask(&["query", "counts", "be"]).stdout(), "be\t2\n");

    let told = ask(&["reset", "--yes"]).stdout();
    assert!(told.contains("word-count-counts-changelog"), "{told}");
    assert_eq!(ask(&["query", "counts", "be"]).code, Some(1));
    let idle = ask(&["reset", "--yes"]).stdout();
    assert!(idle.contains("nothing that could be reset"), "{idle}");
    // Everything is counted once more, from nothing.
    let running = Running::start(&mut command(&word_count, &["run", at[0], at[1]]));
    counted("2");
    running.signal("INT");
    assert_eq!(running.ended(SOON).code, Some(0));
    // And from now on only what is new.
    ask(&["reset", "--yes", "--to-latest"]).stdout();
    let running = Running::start(&mut command(&word_count, &["run", at[0], at[1]]));
    produce(&word_count, &["produce", "lines", at[0], at[1]], "be\n");
    counted("1");
    running.signal("INT");
    assert_eq!(running.ended(SOON).code, Some(0));
}

#[test]
fn doctor_tells_every_mistake_and_where_each_value_comes_from() {
    let word_count = example("word_count");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("app.toml");
    let settings = "pol.ms = 7\n\"poll.ms\" = 8\nsasl.password = \"geheim\"\n";
    fs::write(&file, settings).expect("a file");
    let log = dir.path().join("log");
    let at = ["--embedded", text(&log), "--config", text(&file)];
    run(&word_count, &["topics", "create", at[0], at[1]]).stdout();
    let mut doctor = command(
        &word_count,
        &[
            "doctor",
            at[0],
            at[1],
            at[2],
            at[3],
            "--set",
            "num.stream.threads=x",
        ],
    );
    let doctor = Running::start(doctor.env("KSTREAMS_TASK_TIMEOUT_MS", "9")).ended(SOON);
    assert_eq!(doctor.code, Some(1), "{doctor:#?}");
    for says in [
        "did you mean `poll.ms`?",
        "`num.stream.threads = x`",
        "(KSTREAMS_TASK_TIMEOUT_MS)",
        "(hidden)",
        "lines-1",
    ] {
        assert!(doctor.stdout.contains(says), "{says}: {doctor:#?}");
    }
    assert!(!doctor.stdout.contains("geheim"), "{doctor:#?}");
    let healthy = run(&word_count, &["doctor", at[0], at[1]]);
    assert_eq!(healthy.code, Some(0), "{healthy:#?}");
    let nowhere = run(&word_count, &["doctor"]);
    assert_eq!(nowhere.code, Some(2), "{nowhere:#?}");
}

/// What a program prints, as it comes.
fn lines_of(running: &mut Running) -> std::io::Lines<BufReader<ChildStdout>> {
    let stdout = running.0.as_mut().and_then(|c| c.stdout.take());
    BufReader::new(stdout.expect("piped")).lines()
}

/// Runs a program with lines on its standard input.
fn produce_ends(program: &Path, args: &[&str], lines: &str) -> Ended {
    let mut running = Running::start(command(program, args).stdin(Stdio::piped()));
    let stdin = running.0.as_mut().and_then(|c| c.stdin.take());
    // It may end before it has read all.
    let _ = stdin.expect("piped").write_all(lines.as_bytes());
    running.ended(SOON)
}

fn produce(program: &Path, args: &[&str], lines: &str) {
    let ended = produce_ends(program, args, lines);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}
