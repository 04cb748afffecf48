//! Tests of the LMDB wrapper: bounds, growing, closing, errors.

use std::ops::Bound;

use super::*;

fn tiny() -> EnvironmentOptions {
    EnvironmentOptions {
        map_size: 1 << 17,
        durability: Durability::NoSync,
        ..EnvironmentOptions::default()
    }
}

fn keys(range: Range<'_>) -> Vec<Vec<u8>> {
    range.map(|e| e.unwrap().0.to_vec()).collect()
}

#[test]
fn reads_what_it_wrote_in_both_directions() {
    let dir = tempfile::tempdir().unwrap();
    let env = Environment::open(dir.path(), &EnvironmentOptions::default()).unwrap();
    let db = env.create_database("s").unwrap();
    env.write::<_, LmdbError>(|w| {
        for key in ["a1", "a2", "b1", "c"] {
            w.append(db, key.as_bytes(), b"v")?;
        }
        // Not the highest: written all the same.
        w.append(db, b"a15", b"v")?;
        assert_eq!(w.get(db, b"a15")?, Some(&b"v"[..]));
        Ok(())
    })
    .unwrap();
    let snapshot = env.snapshot().unwrap();
    let view = snapshot.view().unwrap();
    assert_eq!(
        keys(view.prefix(db, b"a", Direction::Forward).unwrap()),
        [&b"a1"[..], b"a15", b"a2"]
    );
    assert_eq!(
        keys(view.prefix(db, b"a", Direction::Backward).unwrap()),
        [&b"a2"[..], b"a15", b"a1"]
    );
    assert_eq!(view.last_with_prefix(db, b"b").unwrap().unwrap().0, b"b1");
    assert_eq!(view.last_with_prefix(db, b"bb").unwrap(), None);
    assert_eq!(view.seek(db, b"b").unwrap().unwrap().0, b"b1");
    assert_eq!(view.seek(db, b"d").unwrap(), None);
    assert_eq!(view.len(db).unwrap(), 5);
    let between = |from, to| keys(view.range(db, from, to, Direction::Backward).unwrap()).len();
    assert_eq!(
        between(Bound::Excluded(&b"a1"[..]), Bound::Excluded(&b"c"[..])),
        3
    );
    assert_eq!(
        between(Bound::Included(&b"a1"[..]), Bound::Included(&b"c"[..])),
        5
    );
    assert_eq!(
        between(Bound::Included(&b"c"[..]), Bound::Included(&b"a"[..])),
        0
    );
    assert_eq!(
        between(Bound::Included(&b"c"[..]), Bound::Excluded(&b"c"[..])),
        0
    );
    assert_eq!(between(Bound::Included(&b""[..]), Bound::Unbounded), 5);
    assert_eq!(between(Bound::Unbounded, Bound::Included(&b""[..])), 0);
    let long = vec![b'b'; MAX_KEY_LENGTH + 1];
    assert_eq!(between(Bound::Included(&long), Bound::Unbounded), 1);
    assert_eq!(between(Bound::Unbounded, Bound::Included(&long)), 4);
    drop(snapshot);
    let deleted = env.write::<_, LmdbError>(|w| {
        w.delete_range(db, Bound::Included(b"a15"), Bound::Excluded(b"b2"))
    });
    assert_eq!(deleted.unwrap(), 3);
    assert_eq!(env.database_names().unwrap(), ["s"]);
    assert!(env.database("t").unwrap().is_none());
}

#[test]
fn a_full_map_grows_under_the_same_write() {
    let dir = tempfile::tempdir().unwrap();
    let env = Environment::open(dir.path(), &tiny()).unwrap();
    let db = env.create_database("s").unwrap();
    let before = env.map_size().unwrap();
    let mut attempts = 0;
    env.write::<_, LmdbError>(|w| {
        attempts += 1;
        for i in 0..2000_u32 {
            w.put(db, &i.to_be_bytes(), &[7; 1000])?;
        }
        Ok(())
    })
    .unwrap();
    assert!(attempts > 1, "the map was meant to be too small");
    assert!(env.map_size().unwrap() > before);
    assert_eq!(
        env.snapshot().unwrap().view().unwrap().len(db).unwrap(),
        2000
    );
}

#[test]
fn growing_waits_for_readers_on_other_threads() {
    let dir = tempfile::tempdir().unwrap();
    let env = Environment::open(dir.path(), &tiny()).unwrap();
    let db = env.create_database("s").unwrap();
    env.write::<_, LmdbError>(|w| w.put(db, b"k", b"v"))
        .unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let ready = std::sync::Barrier::new(3);
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                ready.wait();
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let snapshot = env.snapshot().unwrap();
                    for _ in 0..20 {
                        assert_eq!(snapshot.get(db, b"k").unwrap(), Some(&b"v"[..]));
                    }
                }
            });
        }
        ready.wait();
        for round in 0..12_u32 {
            env.write::<_, LmdbError>(|w| {
                for i in 0..200_u32 {
                    w.put(db, &(round * 200 + i).to_be_bytes(), &[7; 1000])?;
                }
                Ok(())
            })
            .unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(
        env.snapshot().unwrap().view().unwrap().len(db).unwrap(),
        2401
    );
}

#[test]
fn an_error_in_the_work_aborts_it() {
    let dir = tempfile::tempdir().unwrap();
    let env = Environment::open(dir.path(), &tiny()).unwrap();
    let db = env.create_database("s").unwrap();
    let result = env.write::<(), LmdbError>(|w| {
        w.put(db, b"k", b"v")?;
        w.put(db, &vec![1; MAX_KEY_LENGTH + 1], b"v")
    });
    assert!(
        matches!(result, Err(LmdbError::KeyTooLong { length: 1983, .. })),
        "{result:?}"
    );
    assert!(matches!(
        env.write::<(), LmdbError>(|w| w.put(db, b"", b"v")),
        Err(LmdbError::EmptyKey { .. })
    ));
    assert!(
        env.snapshot()
            .unwrap()
            .view()
            .unwrap()
            .is_empty(db)
            .unwrap()
    );
    env.write::<(), LmdbError>(|w| w.put(db, &vec![1; MAX_KEY_LENGTH], b"v"))
        .unwrap();
}

#[test]
fn a_write_inside_a_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let env = Environment::open(dir.path(), &tiny()).unwrap();
    let result = env.write::<(), LmdbError>(|_| env.write(|_| Ok(())));
    assert!(
        matches!(result, Err(LmdbError::NestedWrite { .. })),
        "{result:?}"
    );
    let result = env.write::<(), LmdbError>(|_| env.create_database("x").map(|_| ()));
    assert!(
        matches!(result, Err(LmdbError::NestedWrite { .. })),
        "{result:?}"
    );
    env.write::<(), LmdbError>(|_| Ok(())).unwrap();
}

#[test]
fn closing_lets_the_directory_be_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let env = Environment::open(dir.path(), &tiny()).unwrap();
    let db = env.create_database("s").unwrap();
    env.write::<_, LmdbError>(|w| w.put(db, b"k", b"v"))
        .unwrap();
    assert!(matches!(
        Environment::open(dir.path(), &tiny()),
        Err(LmdbError::AlreadyOpen { .. })
    ));
    let clone = env.clone();
    env.close();
    assert!(matches!(clone.snapshot(), Err(LmdbError::Closed { .. })));
    assert!(matches!(
        clone.write::<(), LmdbError>(|_| Ok(())),
        Err(LmdbError::Closed { .. })
    ));
    let again = Environment::open(dir.path(), &tiny()).unwrap();
    let db = again.database("s").unwrap().unwrap();
    assert_eq!(
        again.snapshot().unwrap().get(db, b"k").unwrap(),
        Some(&b"v"[..])
    );
}

#[test]
fn reading_only_neither_creates_nor_writes() {
    let dir = tempfile::tempdir().unwrap();
    let options = EnvironmentOptions {
        access: Access::ReadOnly,
        ..tiny()
    };
    let missing = Environment::open(dir.path(), &options);
    assert!(
        matches!(missing, Err(LmdbError::Missing { .. })),
        "{missing:?}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    Environment::open(dir.path(), &tiny())
        .unwrap()
        .create_database("s")
        .unwrap();
    let env = Environment::open(dir.path(), &options).unwrap();
    assert!(env.database("s").unwrap().is_some());
    assert!(matches!(
        env.write::<(), LmdbError>(|_| Ok(())),
        Err(LmdbError::ReadOnly { .. })
    ));
    assert!(matches!(
        env.create_database("t"),
        Err(LmdbError::ReadOnly { .. })
    ));
}

#[test]
fn what_is_no_directory_or_no_environment_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    let result = Environment::open(&file, &tiny());
    assert!(
        matches!(result, Err(LmdbError::NotADirectory { .. })),
        "{result:?}"
    );
    let result = Environment::open(&file.join("below"), &tiny());
    assert!(
        matches!(result, Err(LmdbError::NotADirectory { .. })),
        "{result:?}"
    );
    let garbage = dir.path().join("garbage");
    std::fs::create_dir(&garbage).unwrap();
    std::fs::write(garbage.join("data.mdb"), [0xAB; 20_000]).unwrap();
    let result = Environment::open(&garbage, &tiny());
    assert!(
        matches!(result, Err(LmdbError::Damaged { .. })),
        "{result:?}"
    );
}
