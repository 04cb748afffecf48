//! Interactive queries through a table's handle: the last commit of every partition that is here, from any thread.

use std::sync::Arc;

use streams_core::handles::KTable;
use streams_core::query::{QueryError, QueryRegistry};
use streams_core::store::{StoreSettings, StoreSpec, TaskStores};
use streams_core::topology::{StoreBackend, StoreKind};

fn stores() -> TaskStores {
    let specs = [StoreSpec {
        name: "counts".into(),
        backend: StoreBackend::Memory,
        segments: None,
    }];
    TaskStores::in_memory(&specs, &StoreSettings::default()).unwrap()
}

fn put(stores: &mut TaskStores, key: &str, value: Option<i64>) {
    let stored = value.map(|n| [7_i64.to_be_bytes(), n.to_be_bytes()].concat());
    stores.put(0, key.as_bytes(), stored.as_deref()).unwrap();
}

fn commit(stores: &mut TaskStores) {
    let checkpoint = stores.checkpoint().clone();
    stores.commit(checkpoint).unwrap();
}

#[test]
fn a_query_sees_the_last_commit_of_every_partition() {
    let registry = QueryRegistry::new(1);
    let counts: KTable<String, i64> = KTable::of_node("counts", Some(0), &registry);
    let mut partitions = [stores(), stores()];
    for (partition, stores) in (0..).zip(&partitions) {
        registry.register(
            0,
            partition,
            Arc::new(stores.reader().single(0, StoreKind::TimestampedKeyValue)),
        );
    }
    registry.set_running(true);
    put(&mut partitions[0], "b", Some(2));
    assert_eq!(counts.get(&"b".into()).unwrap(), None, "not committed");
    put(&mut partitions[1], "a", Some(1));
    put(&mut partitions[1], "c", Some(3));
    partitions.iter_mut().for_each(commit);

    let all = |list: &[(&str, i64)]| -> Vec<(String, i64)> {
        list.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect()
    };
    assert_eq!(counts.get(&"b".into()).unwrap(), Some(2));
    assert_eq!(counts.get(&"x".into()).unwrap(), None);
    assert_eq!(counts.all().unwrap(), all(&[("a", 1), ("b", 2), ("c", 3)]));
    assert_eq!(
        counts.range("b".to_owned()..).unwrap(),
        all(&[("b", 2), ("c", 3)])
    );
    assert_eq!(
        counts.range("c".to_owned().."a".to_owned()).unwrap(),
        all(&[])
    );
    let upto_b = counts.range(..="b".to_owned()).unwrap();
    assert_eq!(upto_b, all(&[("a", 1), ("b", 2)]));
    let elsewhere = std::thread::scope(|s| s.spawn(|| counts.get(&"a".into()).unwrap()).join());
    assert_eq!(elsewhere.unwrap(), Some(1));

    put(&mut partitions[1], "a", None);
    commit(&mut partitions[1]);
    assert_eq!(counts.get(&"a".into()).unwrap(), None);
    registry.unregister(0, 1);
    assert_eq!(counts.all().unwrap(), all(&[("b", 2)]));
}

#[test]
fn a_query_without_an_answer_says_why() {
    let registry = QueryRegistry::new(1);
    let counts: KTable<String, i64> = KTable::of_node("counts", Some(0), &registry);
    assert!(matches!(
        counts.all(),
        Err(QueryError::NotRunning { node: "counts" })
    ));
    registry.set_running(true);
    assert!(matches!(
        counts.all(),
        Err(QueryError::NotHere { node: "counts" })
    ));
    let unstored: KTable<String, i64> = KTable::of_node("big", None, &registry);
    let error = unstored.get(&"a".into()).unwrap_err().to_string();
    assert!(
        error.contains("`big` has no store") && error.contains("#[store]"),
        "{error}"
    );

    let mut stores = stores();
    registry.register(
        0,
        0,
        Arc::new(stores.reader().single(0, StoreKind::TimestampedKeyValue)),
    );
    stores.put(0, b"a", Some(&[1, 2])).unwrap();
    commit(&mut stores);
    assert!(
        matches!(counts.get(&"a".into()), Err(QueryError::Serde { .. })),
        "damaged bytes"
    );
    drop(stores);
    assert!(
        matches!(counts.get(&"a".into()), Err(QueryError::Store { .. })),
        "the task has ended"
    );
}
