//! Tests of the state directory: each thing that can be wrong is told, and nothing is changed by it.

use super::*;

const ID: Uuid = Uuid::from_u128(7);

fn open(dir: &Path) -> Result<StateDirectory> {
    StateDirectory::open(dir, "app", || ID)
}

fn listing(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.display().to_string(), fs::read(&p).unwrap_or_default()))
        .collect();
    all.sort();
    all
}

#[test]
fn the_process_id_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path()).unwrap();
    assert_eq!(state.process_id(), ID);
    assert_eq!(
        fs::read_to_string(dir.path().join("app/kafka-streams-process-metadata")).unwrap(),
        format!(r#"{{"processId":"{ID}"}}"#)
    );
    drop(state);
    let state = StateDirectory::open(dir.path(), "app", Uuid::new_v4).unwrap();
    assert_eq!(state.process_id(), ID);
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path()).unwrap();
    let second = open(dir.path());
    assert!(
        matches!(second, Err(StateDirectoryError::Locked { .. })),
        "{second:?}"
    );
    assert!(open(&dir.path().join("elsewhere")).is_ok());
    drop(state);
    open(dir.path()).unwrap();
}

#[test]
fn another_applications_state_is_refused_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    fs::rename(dir.path().join("app"), dir.path().join("other")).unwrap();
    let before = listing(&dir.path().join("other"));
    let other = StateDirectory::open(dir.path(), "other", || ID);
    let Err(StateDirectoryError::OtherApplication {
        found, expected, ..
    }) = other
    else {
        panic!("{other:?}")
    };
    assert_eq!((found.as_str(), expected.as_str()), ("app", "other"));
    assert_eq!(listing(&dir.path().join("other")), before);
}

#[test]
fn a_later_version_is_refused_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let format = dir.path().join("app").join(FORMAT_FILE);
    fs::write(&format, r#"{"version":2,"somethingNew":[]}"#).unwrap();
    let before = listing(&dir.path().join("app"));
    let later = open(dir.path());
    assert!(
        matches!(
            later,
            Err(StateDirectoryError::NewerVersion { found: 2, .. })
        ),
        "{later:?}"
    );
    assert!(matches!(
        readable_tasks(dir.path(), "app"),
        Err(StateDirectoryError::NewerVersion { .. })
    ));
    assert_eq!(listing(&dir.path().join("app")), before);
}

#[test]
fn what_kstreams_did_not_write_is_refused_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    // As Kafka Streams for Java leaves it.
    fs::create_dir_all(dir.path().join("app/0_0/rocksdb/counts")).unwrap();
    fs::write(dir.path().join("app/.lock"), "").unwrap();
    let before = listing(&dir.path().join("app"));
    let result = open(dir.path());
    assert!(
        matches!(result, Err(StateDirectoryError::NotOurs { .. })),
        "{result:?}"
    );
    assert_eq!(listing(&dir.path().join("app")), before);
}

#[test]
fn damaged_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    for file in [PROCESS_FILE, FORMAT_FILE] {
        for content in ["", "{", r#"{"version":1}"#, "[1]"] {
            fs::write(dir.path().join("app").join(file), content).unwrap();
            match open(dir.path()) {
                Err(StateDirectoryError::Damaged { path, .. }) => assert!(path.ends_with(file)),
                other => panic!("{file} {content:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_start_cut_short_is_continued() {
    let dir = tempfile::tempdir().unwrap();
    let app = dir.path().join("app");
    fs::create_dir(&app).unwrap();
    fs::write(app.join(LOCK_FILE), "").unwrap();
    fs::write(app.join(format!("{FORMAT_FILE}.tmp")), "{\"ver").unwrap();
    open(dir.path()).unwrap();
}

#[test]
fn no_directory_and_bad_names_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let result = open(&file);
    assert!(
        matches!(result, Err(StateDirectoryError::NotADirectory { .. })),
        "{result:?}"
    );
    fs::write(dir.path().join("app"), "x").unwrap();
    let result = open(dir.path());
    assert!(
        matches!(result, Err(StateDirectoryError::NotADirectory { .. })),
        "{result:?}"
    );
    for id in ["", "..", "a/b"] {
        let result = StateDirectory::open(dir.path(), id, || ID);
        assert!(
            matches!(result, Err(StateDirectoryError::BadApplicationId { .. })),
            "{result:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_read_only_directory_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    match open(dir.path()) {
        Err(StateDirectoryError::PermissionDenied { .. }) => {}
        // The superuser may write everywhere.
        Ok(_) => assert!(fs::write(dir.path().join("probe"), "").is_ok()),
        Err(other) => panic!("{other:?}"),
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path();
    let read_only = StateDirectoryError::from_io(path, io::ErrorKind::ReadOnlyFilesystem.into());
    assert!(
        read_only.to_string().contains("read-only file system"),
        "{read_only}"
    );
    let full = StateDirectoryError::from_io(path, io::ErrorKind::StorageFull.into());
    assert!(full.to_string().starts_with("no space left"), "{full}");
}

#[test]
fn unsynced_state_is_removed_if_the_machine_went_down() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0_1");
    let open = |boot| TaskDirectory::open(path.clone(), boot).unwrap();
    assert_eq!(open(Some("first")).found(), Found::Nothing);
    fs::write(path.join("data.mdb"), "x").unwrap();
    assert_eq!(
        open(Some("first")).found(),
        Found::State,
        "only the process died"
    );
    let task = open(Some("second"));
    assert_eq!(task.found(), Found::RemovedAfterPowerLoss);
    assert!(!path.join("data.mdb").exists());
    fs::write(path.join("data.mdb"), "x").unwrap();
    task.close_cleanly().unwrap();
    let task = open(Some("third"));
    assert_eq!(task.found(), Found::State, "it was synced and closed");
    assert_eq!(task.durability(), Durability::NoSync);
    // Where boots cannot be told apart nothing unsynced is trusted, and every commit is synced.
    let task = open(None);
    assert_eq!(
        (task.found(), task.durability()),
        (Found::RemovedAfterPowerLoss, Durability::Sync)
    );
    fs::write(path.join("data.mdb"), "x").unwrap();
    assert_eq!(
        open(None).found(),
        Found::State,
        "it was written with every commit synced"
    );
}

#[test]
fn tasks_are_listed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path()).unwrap();
    let task = |subtopology, partition| TaskId {
        subtopology,
        partition,
    };
    for id in [task(1, 0), task(0, 10), task(0, 2)] {
        fs::write(state.task(id).unwrap().path().join("data.mdb"), "").unwrap();
    }
    fs::create_dir(state.path().join("0_02")).unwrap();
    assert_eq!(
        state.tasks().unwrap(),
        [task(0, 2), task(0, 10), task(1, 0)]
    );
    state.remove_task(task(0, 2)).unwrap();
    state.remove_task(task(0, 2)).unwrap();
    assert_eq!(readable_tasks(dir.path(), "app").unwrap().len(), 2);
    assert!(matches!(
        readable_tasks(dir.path(), "none"),
        Err(StateDirectoryError::Missing { .. })
    ));
}

#[test]
fn state_is_removed_by_the_age_of_its_last_write() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path()).unwrap();
    let task = |partition| TaskId {
        subtopology: 0,
        partition,
    };
    let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
    let (mut used, now_ms) = (Vec::new(), 1_000_000_000);
    for (partition, age) in [(0, 599), (1, 601), (2, 601)] {
        let directory = state.task(task(partition)).unwrap();
        let data = File::create(directory.path().join("data.mdb")).unwrap();
        data.set_modified(now - Duration::from_secs(age)).unwrap();
        if partition == 2 {
            used.push(directory);
        }
    }
    let removed = state
        .remove_older(now_ms, Duration::from_secs(600))
        .unwrap();
    assert_eq!(removed, [task(1)], "neither what is young nor what is used");
    assert_eq!(state.tasks().unwrap(), [task(0), task(2)]);
}
