//! State of processes that are killed, run out of disk, or are read by another process. Each test starts this binary again
//! as a child, which runs one of the ignored-by-default roles below instead of tests.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Bound;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use streams_core::lmdb::{Environment, EnvironmentOptions, LmdbError};
use streams_core::query::ByteReader as _;
use streams_core::record::{TaskId, TopicPartition};
use streams_core::state_dir::{Found, StateDirectory, StateDirectoryError};
use streams_core::store::{
    Checkpoint, Direction, ExternalStore, StoreError, StoreSettings, StoreSpec, TaskStores,
};
use streams_core::topology::StoreBackend;

const ROLE: &str = "KSTREAMS_TEST_ROLE";
const DIR: &str = "KSTREAMS_TEST_DIR";
const TASK: TaskId = TaskId {
    subtopology: 0,
    partition: 3,
};
/// Keys of each of the two stores.
const KEYS: u64 = 500;

fn open(dir: &Path) -> (StateDirectory, TaskStores) {
    let state = StateDirectory::open(dir, "app", uuid::Uuid::new_v4).unwrap();
    let specs = ["first", "second"].map(|name| StoreSpec {
        name: name.into(),
        backend: StoreBackend::Lmdb,
        segments: None,
    });
    // A map that has to grow, so that kills meet that, too.
    let settings = StoreSettings {
        map_size: 1 << 18,
        ..StoreSettings::default()
    };
    let stores = TaskStores::open(state.task(TASK).unwrap(), &specs, &settings).unwrap();
    (state, stores)
}

/// Commit number `n`: which keys of which store get the value `n`. The value is large enough for overflow pages now and then.
fn commit(stores: &mut TaskStores, n: u64) -> Result<(), StoreError> {
    let mut state = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for _ in 0..40 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let (store, key) = (usize::from(state & 1 == 1), (state >> 8) % KEYS);
        let mut value = n.to_be_bytes().to_vec();
        value.resize(if state.is_multiple_of(37) { 6000 } else { 40 }, 0);
        let value = (!state.is_multiple_of(11)).then_some(value);
        stores.put(store, &key.to_be_bytes(), value.as_deref())?;
    }
    let n = i64::try_from(n).unwrap();
    let mut checkpoint = stores.checkpoint().clone();
    checkpoint.changelog = vec![Some(n), Some(2 * n)];
    checkpoint.inputs.insert(TopicPartition::new("in", 3), n);
    stores.commit(checkpoint)
}

fn contents(stores: &mut TaskStores) -> Vec<BTreeMap<Vec<u8>, Vec<u8>>> {
    [0, 1]
        .map(|store| {
            let all = stores.range(
                store,
                Bound::Unbounded,
                Bound::Unbounded,
                Direction::Forward,
            );
            all.unwrap()
                .map(|e| e.map(|(k, v)| (k.to_vec(), v.to_vec())).unwrap())
                .collect()
        })
        .into()
}

/// What the stores hold after `n` commits.
struct Expected {
    stores: TaskStores,
    commits: u64,
}

impl Expected {
    fn after(&mut self, commits: u64) -> Vec<BTreeMap<Vec<u8>, Vec<u8>>> {
        while self.commits < commits {
            self.commits += 1;
            commit(&mut self.stores, self.commits).unwrap();
        }
        contents(&mut self.stores)
    }
}

fn expected() -> Expected {
    let specs = ["first", "second"].map(|name| StoreSpec {
        name: name.into(),
        backend: StoreBackend::Memory,
        segments: None,
    });
    let stores = TaskStores::in_memory(&specs, &StoreSettings::default()).unwrap();
    Expected { stores, commits: 0 }
}

fn child(role: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--nocapture", "child_process"])
        .env(ROLE, role)
        .env(DIR, dir);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The next line of a child that begins with `prefix`; the rest of it.
fn next(lines: &mut impl Iterator<Item = std::io::Result<String>>, prefix: &str) -> Option<String> {
    lines
        .map_while(Result::ok)
        .find_map(|l| l.strip_prefix(prefix).map(str::to_owned))
}

/// Not a test of its own: what a child does. Without a role it has nothing to do.
#[test]
fn child_process() {
    let (Ok(role), Ok(dir)) = (std::env::var(ROLE), std::env::var(DIR)) else {
        return;
    };
    let dir = Path::new(&dir);
    let mut out = std::io::stdout();
    match role.as_str() {
        // Commits for ever, and says so after each.
        "commit" => {
            let (_state, mut stores) = open(dir);
            let mut n = stores.checkpoint().changelog_offset(0).unwrap_or(0);
            loop {
                n += 1;
                commit(&mut stores, u64::try_from(n).unwrap()).unwrap();
                writeln!(out, "\ncommitted {n}").unwrap();
                out.flush().unwrap();
            }
        }
        // Commits until the disk is full, and once more with what was not committed.
        "fill" => {
            let (_state, mut stores) = open(dir);
            let mut n = stores.checkpoint().changelog_offset(0).unwrap_or(0);
            let error = loop {
                n += 1;
                stores
                    .put(0, format!("fill-{n}").as_bytes(), Some(&[1; 5000]))
                    .unwrap();
                let mut checkpoint = stores.checkpoint().clone();
                checkpoint.changelog = vec![Some(n), None];
                if let Err(e) = stores.commit(checkpoint) {
                    break e;
                }
            };
            assert!(stores.has_uncommitted(), "what was not written is kept");
            assert!(
                stores
                    .get(0, format!("fill-{n}").as_bytes())
                    .unwrap()
                    .is_some()
            );
            assert_eq!(stores.checkpoint().changelog_offset(0), Some(n - 1));
            assert!(
                stores
                    .get(0, format!("fill-{}", n - 1).as_bytes())
                    .unwrap()
                    .is_some()
            );
            writeln!(out, "\nfull {} {error}", n - 1).unwrap();
        }
        // Holds the lock until its input ends.
        "hold" => {
            let (_state, mut stores) = open(dir);
            commit(&mut stores, 1).unwrap();
            writeln!(out, "\nready").unwrap();
            out.flush().unwrap();
            let _ = std::io::stdin().read_line(&mut String::new());
            commit(&mut stores, 2).unwrap();
            writeln!(out, "\nagain").unwrap();
            out.flush().unwrap();
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        // Makes an environment larger than others have mapped it.
        "grow" => {
            let options = EnvironmentOptions {
                map_size: 1 << 16,
                ..EnvironmentOptions::default()
            };
            let env = Environment::open(dir, &options).unwrap();
            let db = env.create_database("db").unwrap();
            let entry = [7; 100_000];
            env.write::<_, LmdbError>(|w| {
                let next = w.view().len(db)?;
                (next..next + 10).try_for_each(|i| w.put(db, &i.to_be_bytes(), &entry))
            })
            .unwrap();
        }
        other => panic!("no role {other}"),
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn every_acknowledged_commit_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = expected();
    let mut acknowledged = 0;
    for round in 0..20_u64 {
        let mut child = child("commit", dir.path()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed a random while after its first commit: somewhere in put, flush, commit, or in growing the map.
        let commits = 1 + (round * 7919) % 40;
        for _ in 0..commits {
            acknowledged = next(&mut lines, "committed ").unwrap().parse().unwrap();
        }
        let busy = (0..(round * 104_729) % 300_000).fold(round, |a, b| std::hint::black_box(a ^ b));
        std::hint::black_box(busy);
        kill(child);
        while let Some(n) = next(&mut lines, "committed ") {
            acknowledged = n.parse().unwrap();
        }
        let (state, mut stores) = open(dir.path());
        let n = u64::try_from(stores.checkpoint().changelog_offset(0).unwrap()).unwrap();
        assert!(
            n == acknowledged || n == acknowledged + 1,
            "{n} after {acknowledged}"
        );
        let offset = i64::try_from(n).unwrap();
        let mut checkpoint = Checkpoint {
            changelog: vec![Some(offset), Some(2 * offset)],
            ..Checkpoint::default()
        };
        checkpoint
            .inputs
            .insert(TopicPartition::new("in", 3), offset);
        assert_eq!(
            stores.checkpoint(),
            &checkpoint,
            "state and offsets are of one commit"
        );
        assert_eq!(contents(&mut stores), expected.after(n));
        drop((stores, state));
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_told_and_damages_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (state, mut stores) = open(dir.path());
    for n in 1..20 {
        commit(&mut stores, n).unwrap();
    }
    let before = contents(&mut stores);
    stores.close().unwrap();
    drop(state);
    // A file size limit stands in for the full disk; ignoring SIGXFSZ makes the write fail instead of killing.
    let inner = child("fill", dir.path());
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(r#"trap '' XFSZ; ulimit -f 2000; exec "$@""#)
        .arg("sh")
        .arg(inner.get_program());
    command
        .args(inner.get_args())
        .env(ROLE, "fill")
        .env(DIR, dir.path());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let line = text.lines().find_map(|l| l.strip_prefix("full ")).unwrap();
    let (n, error) = line.split_once(' ').unwrap();
    assert!(
        error.starts_with("no space left for ") && error.contains("app/0_3"),
        "{error}"
    );
    let (_state, mut stores) = open(dir.path());
    assert_eq!(
        stores.checkpoint().changelog_offset(0),
        Some(n.parse().unwrap())
    );
    let mut after = contents(&mut stores);
    after[0].retain(|k, _| !k.starts_with(b"fill-"));
    assert_eq!(after, before);
    commit(&mut stores, 20).unwrap();
}

#[test]
fn another_process_is_refused_but_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = child("hold", dir.path()).spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(next(&mut lines, "ready").is_some());
    let second = StateDirectory::open(dir.path(), "app", uuid::Uuid::new_v4);
    assert!(
        matches!(second, Err(StateDirectoryError::Locked { .. })),
        "{second:?}"
    );

    let mut expected = expected();
    let read = |number: usize| {
        let name = ["first", "second"][number];
        let stores = ExternalStore::open(dir.path(), "app", name).unwrap();
        assert_eq!(
            stores.iter().map(|s| s.task).collect::<Vec<_>>(),
            [Some(TASK)]
        );
        let mut all = BTreeMap::new();
        stores[0]
            .reader
            .range(Bound::Unbounded, Bound::Unbounded, &mut |k, v| {
                all.insert(k.to_vec(), v.to_vec());
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        all
    };
    assert_eq!([read(0), read(1)], *expected.after(1));
    assert_eq!(
        ExternalStore::names(dir.path(), "app").unwrap(),
        ["first", "second"]
    );
    assert!(
        ExternalStore::open(dir.path(), "app", "third")
            .unwrap()
            .is_empty()
    );
    writeln!(holder.stdin.as_mut().unwrap()).unwrap();
    assert!(next(&mut lines, "again").is_some());
    assert_eq!([read(0), read(1)], *expected.after(2));
    kill(holder);
    assert_eq!(
        [read(0), read(1)],
        *expected.after(2),
        "also when nobody runs"
    );

    // The lock dies with its process.
    let (state, mut stores) = open(dir.path());
    assert_eq!(contents(&mut stores), expected.after(2));
    assert!(
        ExternalStore::open(dir.path(), "app", "first").is_err(),
        "open in this very process"
    );
    drop((state, stores));
}

#[test]
fn a_process_follows_another_that_grows_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let grow = || assert!(child("grow", dir.path()).status().unwrap().success());
    let options = EnvironmentOptions {
        map_size: 1 << 16,
        ..EnvironmentOptions::default()
    };
    let env = Environment::open(dir.path(), &options).unwrap();
    let db = env.create_database("db").unwrap();
    let length = || env.snapshot().unwrap().view().unwrap().len(db).unwrap();
    for round in 1..4 {
        grow();
        if round == 2 {
            env.write::<_, LmdbError>(|w| w.put(db, b"from here", b""))
                .unwrap();
            assert_eq!(length(), 21);
            env.write::<_, LmdbError>(|w| w.delete(db, b"from here"))
                .unwrap();
        }
        assert_eq!(length(), 10 * round);
        assert_eq!(env.database_names().unwrap(), ["db"]);
    }
}

#[test]
fn damaged_state_is_told_and_can_be_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let (state, mut stores) = open(dir.path());
    for n in 1..50 {
        commit(&mut stores, n).unwrap();
    }
    stores.close().unwrap();
    let file = state.path().join("0_3/data.mdb");
    let sound = std::fs::read(&file).unwrap();
    let specs = [StoreSpec {
        name: "first".into(),
        backend: StoreBackend::Lmdb,
        segments: None,
    }];
    let reopen = || TaskStores::open(state.task(TASK).unwrap(), &specs, &StoreSettings::default());
    for (what, bytes) in [
        ("cut off in the middle", sound[..sound.len() / 2].to_vec()),
        ("cut off in the first page", sound[..1000].to_vec()),
        ("overwritten", vec![0xAB; sound.len()]),
        (
            "zeroed after the first pages",
            [&sound[..8192], &vec![0; sound.len() - 8192]].concat(),
        ),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let error = reopen().unwrap_err();
        assert!(error.is_damage(), "{what}: {error:?}");
        assert!(
            error.to_string().contains("0_3 is damaged"),
            "{what}: {error}"
        );
    }
    state.remove_task(TASK).unwrap();
    let directory = state.task(TASK).unwrap();
    assert_eq!(directory.found(), Found::Nothing);
    let stores = TaskStores::open(directory, &specs, &StoreSettings::default()).unwrap();
    assert_eq!(stores.checkpoint().changelog_offset(0), None);
}
