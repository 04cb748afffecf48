//! What an embedded log says to a directory that it cannot use. Each text names the path and what to do, nothing panics, and
//! what was there stays there.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use streams_core::lmdb::{Environment, EnvironmentOptions, LmdbError};
use streams_core::outbox::{Outbox, Outgoing};
use streams_core::record::{Headers, TopicPartition};
use streams_core::topology::OffsetReset;
use streams_core::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use streams_core::transport::{
    MembershipSpec, ProducerSpec, SubtopologySources, TopicInfo, Transport, TransportError,
};

fn open(dir: &Path) -> Result<EmbeddedLog, TransportError> {
    EmbeddedLog::open(dir, EmbeddedLogOptions::default())
}

/// The text of the error that opening gives, which must name the path.
fn refusal(dir: &Path) -> String {
    let text = open(dir).unwrap_err().to_string();
    assert!(text.contains(&dir.display().to_string()), "{text}");
    text
}

fn create(log: &EmbeddedLog) {
    let info = TopicInfo {
        name: "t".to_owned(),
        partitions: 1,
        config: Default::default(),
    };
    log.admin().unwrap().create_topic(&info).unwrap();
}

fn write(log: &EmbeddedLog, count: usize, size: usize) -> Result<(), TransportError> {
    let spec = ProducerSpec {
        client_id: String::new(),
        transactional_id: None,
    };
    let mut producer = log.producer(&spec).unwrap();
    for _ in 0..count {
        let mut out = Outbox::default();
        out.push(Outgoing {
            topic: 0,
            partition: Some(0),
            key: None,
            value: Some(&vec![0x5A; size]),
            timestamp: Some(0),
            headers: &Headers::new(),
        });
        producer.send(&out, &[Arc::from("t")])?;
        producer.flush()?;
    }
    Ok(())
}

/// Reads all records, or fails at the first that cannot be read.
fn read(log: &EmbeddedLog) -> Result<usize, TransportError> {
    let mut consumer = log.consumer("").unwrap();
    consumer.assign(&[(TopicPartition::new("t", 0), 0)])?;
    let mut count = 0;
    loop {
        let mut fetched = Vec::new();
        consumer.poll(Duration::ZERO, 1, &mut fetched)?;
        count += fetched.iter().map(|f| f.records.len()).sum::<usize>();
        if fetched.iter().any(|f| f.at_end) {
            return Ok(count);
        }
    }
}

fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    create(&log);
    write(&log, 40, 20_000).unwrap();
    dir
}

#[test]
fn a_truncated_file() {
    let dir = filled();
    let path = dir.path().join("data.mdb");
    let length = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(length / 2)
        .unwrap();
    let text = refusal(dir.path());
    assert!(
        text.contains("truncated") && text.contains("backup"),
        "{text}"
    );
    assert_eq!(
        fs::metadata(&path).unwrap().len(),
        length / 2,
        "it is left as it was"
    );
}

#[test]
fn an_overwritten_file() {
    let dir = filled();
    fs::write(dir.path().join("data.mdb"), [0xAB; 100_000]).unwrap();
    assert!(refusal(dir.path()).contains("damaged"));
    fs::write(dir.path().join("data.mdb"), b"hello").unwrap();
    assert!(refusal(dir.path()).contains("damaged"));
}

#[test]
fn garbage_anywhere_is_an_error_or_harmless() {
    let dir = filled();
    let path = dir.path().join("data.mdb");
    let whole = fs::read(&path).unwrap();
    let mut damaged = 0;
    for page in 2..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096 + 100..page * 4096 + 140].fill(0xEE);
        if page % 3 == 0 {
            bytes[page * 4096..page * 4096 + 40].fill(0xEE);
        }
        fs::write(&path, &bytes).unwrap();
        // Whatever was hit: all records, or an error that says so. Never a wrong record, never a panic.
        match open(dir.path()).and_then(|log| read(&log)) {
            Ok(count) => assert_eq!(count, 40, "page {page}"),
            Err(e) => {
                damaged += 1;
                assert!(
                    e.to_string().contains(&dir.path().display().to_string()),
                    "{e}"
                );
            }
        }
    }
    assert!(damaged > 100, "most pages hold records: {damaged}");
}

#[test]
fn a_newer_format() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let env = Environment::open(dir.path(), &EnvironmentOptions::default()).unwrap();
    let meta = env.database("log-meta").unwrap().unwrap();
    env.write::<_, LmdbError>(|w| w.put(meta, b"format", b"kstreams-log\0\0\0\x09"))
        .unwrap();
    drop(env);
    let text = refusal(dir.path());
    assert!(
        text.contains("format 9") && text.contains("newer program"),
        "{text}"
    );
}

#[test]
fn a_directory_of_somebody_else() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("Cargo.toml"), "").unwrap();
    let text = refusal(dir.path());
    assert!(
        text.contains("Cargo.toml") && text.contains("new directory"),
        "{text}"
    );
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing was put there"
    );

    let dir = tempfile::tempdir().unwrap();
    let env = Environment::open(dir.path(), &EnvironmentOptions::default()).unwrap();
    env.create_database("counts").unwrap();
    drop(env);
    assert!(refusal(dir.path()).contains("`counts`"));

    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(refusal(file.path()).contains("not a directory"));

    // Directories beside the log, as for state, and hidden files are welcome.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("state")).unwrap();
    fs::write(dir.path().join(".gitignore"), "").unwrap();
    open(dir.path()).unwrap();
}

#[cfg(unix)]
#[test]
fn a_directory_without_rights() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let locked = dir.path().join("log");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
    // The superuser may write everywhere.
    if fs::write(locked.join("probe"), "").is_err() {
        assert!(refusal(&locked).contains("permission"));
    }
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
}

fn spec(application: &str) -> MembershipSpec {
    MembershipSpec {
        group: application.to_owned(),
        member: "m".to_owned(),
        subtopologies: vec![SubtopologySources {
            subtopology: 0,
            topics: vec![(Arc::from("t"), OffsetReset::Earliest)],
        }],
    }
}

/// The other process of the test below.
const OTHER: &str = "KSTREAMS_TEST_OTHER_PROCESS";

#[test]
fn other_process() {
    let Some(dir) = std::env::var_os(OTHER) else {
        return;
    };
    let log = open(Path::new(&dir)).unwrap();
    let refused = log.membership(&spec("app")).err().unwrap();
    println!("\nrefused: {refused}");
    // Another application, and everything else, works beside it.
    log.membership(&spec("other")).unwrap().poll().unwrap();
    println!("read: {}", read(&log).unwrap());
    write(&log, 3, 10).unwrap();
}

#[test]
fn a_second_run_is_refused_and_all_else_works_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    create(&log);
    write(&log, 2, 10).unwrap();
    let mut member = log.membership(&spec("app")).unwrap();
    member.poll().unwrap();
    let mut consumer = log.consumer("").unwrap();
    consumer
        .assign(&[(TopicPartition::new("t", 0), 2)])
        .unwrap();
    consumer.poll(Duration::ZERO, 10, &mut Vec::new()).unwrap();

    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "other_process", "--nocapture"])
        .env(OTHER, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // What the other process writes wakes a waiting reader here.
    let mut fetched = Vec::new();
    while fetched
        .iter()
        .map(|f: &streams_core::transport::Fetched| f.records.len())
        .sum::<usize>()
        < 3
    {
        let before = fetched.len();
        consumer
            .poll(Duration::from_secs(120), 10, &mut fetched)
            .unwrap();
        assert!(fetched.len() > before, "nothing came");
    }
    let mut output = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut output).unwrap();
    assert!(child.wait().unwrap().success(), "{output}");
    let refused = output
        .lines()
        .find_map(|l| l.strip_prefix("refused: "))
        .unwrap();
    assert!(
        refused.contains(&dir.path().display().to_string()),
        "{refused}"
    );
    assert!(
        refused.contains(&format!("process {}", std::process::id())),
        "{refused}"
    );
    assert!(refused.contains("Stop it first"), "{refused}");
    assert!(output.contains("read: 2"), "{output}");

    // When the last member is gone, the place is free.
    drop(member);
    log.membership(&spec("app")).unwrap();
}

/// The child of the test below: its files may not grow beyond a limit, as if the disk were full.
const FULL: &str = "KSTREAMS_TEST_FULL_DISK";

#[test]
fn full_disk_process() {
    let Some(dir) = std::env::var_os(FULL) else {
        return;
    };
    let log = open(Path::new(&dir)).unwrap();
    let error = write(&log, 10_000, 100_000).unwrap_err();
    println!("\nerror: {error}");
    let there = read(&log).unwrap();
    println!("there: {there}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing_that_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    create(&log);
    drop(log);
    // SIGXFSZ is ignored, so that the limit is an error of the write.
    let script = r#"trap "" XFSZ; ulimit -f 4000; exec "$0" --exact full_disk_process --nocapture"#;
    let output = Command::new("bash")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(FULL, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let error = text
        .lines()
        .find_map(|l| l.strip_prefix("error: "))
        .unwrap();
    assert!(
        error.contains("no space left") && error.contains(&dir.path().display().to_string()),
        "{error}"
    );
    let there: usize = text
        .lines()
        .find_map(|l| l.strip_prefix("there: "))
        .unwrap()
        .parse()
        .unwrap();
    assert!(there > 5);
    // With room again, it goes on where it was.
    let log = open(dir.path()).unwrap();
    assert_eq!(read(&log).unwrap(), there);
    write(&log, 1, 100_000).unwrap();
    assert_eq!(read(&log).unwrap(), there + 1);
}
