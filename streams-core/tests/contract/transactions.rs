//! The contract's cases about transactions, fencing and offsets in transactions.

use streams_core::transport::{CommittedOffset, GroupMetadata};

use super::groups::{joined, spec};
use super::*;

fn offset(offset: i64, metadata: &str) -> CommittedOffset {
    CommittedOffset {
        offset,
        metadata: metadata.to_owned(),
    }
}

pub(crate) fn a_transaction_is_seen_whole_or_not_at_all(h: Box<dyn Harness>) {
    let t = h.transport();
    let (a, b) = (created(&*t, "whole-a", 1), created(&*t, "whole-b", 2));
    let mut producer = transactional_producer(&*t, &unique("whole"));
    patiently(|| producer.init());
    producer.begin().unwrap();
    producer
        .send(&outbox(0, &[("k", "1")]), std::slice::from_ref(&a))
        .unwrap();
    producer
        .send(
            &outbox(1, &[("k", "2"), ("k", "3")]),
            std::slice::from_ref(&b),
        )
        .unwrap();
    assert!(
        values(&*t, &a, 0).is_empty() && values(&*t, &b, 1).is_empty(),
        "not yet committed"
    );
    let ends = patiently(|| producer.commit());
    until(|| values(&*t, &a, 0) == ["1"] && values(&*t, &b, 1) == ["2", "3"]);
    for (partition, end) in &ends {
        let last = read_all(&*t, partition, 0).last().unwrap().offset;
        assert_eq!(*end, last + 1, "{partition}");
    }
    // And the next one.
    producer.begin().unwrap();
    producer
        .send(&outbox(0, &[("k", "4")]), std::slice::from_ref(&a))
        .unwrap();
    patiently(|| producer.commit());
    until(|| values(&*t, &a, 0) == ["1", "4"]);
}

pub(crate) fn an_aborted_transaction_leaves_nothing(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "abort", 1);
    let group = unique("abort-group");
    let mut producer = transactional_producer(&*t, &unique("abort"));
    patiently(|| producer.init());
    producer.begin().unwrap();
    producer
        .send(&outbox(0, &[("k", "lost")]), std::slice::from_ref(&name))
        .unwrap();
    producer
        .send_offsets(
            &GroupMetadata::outside(&*group),
            &[(at(&name, 0), offset(9, ""))],
        )
        .unwrap();
    producer.abort().unwrap();
    producer.begin().unwrap();
    producer
        .send(&outbox(0, &[("k", "kept")]), std::slice::from_ref(&name))
        .unwrap();
    patiently(|| producer.commit());
    until(|| values(&*t, &name, 0) == ["kept"]);
    assert_eq!(
        admin(&*t).committed(&group, &[at(&name, 0)]).unwrap(),
        [None]
    );
}

pub(crate) fn offsets_belong_to_the_transaction(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "offsets", 2);
    let spec = spec(&unique("offsets-group"), "m0", &[(0, &[&name])]);
    let mut member = joined(&*t, &spec);
    let mut producer = transactional_producer(&*t, &unique("offsets"));
    patiently(|| producer.init());
    producer.begin().unwrap();
    producer
        .send(&outbox(0, &[("k", "1")]), std::slice::from_ref(&name))
        .unwrap();
    let committed = [
        (at(&name, 0), offset(5, "time 77")),
        (at(&name, 1), offset(6, "")),
    ];
    producer
        .send_offsets(&member.group_metadata(), &committed)
        .unwrap();
    // A transaction that is open does not show in stable offsets; a broker may also make the reader wait.
    patiently(|| producer.commit());
    let partitions = [at(&name, 0), at(&name, 1)];
    until(|| {
        admin(&*t)
            .committed(&spec.group, &partitions)
            .is_ok_and(|found| found == [Some(offset(5, "time 77")), Some(offset(6, ""))])
    });
    assert_eq!(
        admin(&*t)
            .committed(&unique("nobody"), &partitions)
            .unwrap(),
        [None, None]
    );
    member.leave().unwrap();
}

pub(crate) fn a_newer_producer_fences_the_older(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "fence", 1);
    let id = unique("fence");
    let group = unique("fence-group");
    let offsets = [(at(&name, 0), offset(1, ""))];
    let mut old = transactional_producer(&*t, &id);
    patiently(|| old.init());
    old.begin().unwrap();
    old.send(&outbox(0, &[("k", "zombie")]), std::slice::from_ref(&name))
        .unwrap();
    let mut new = transactional_producer(&*t, &id);
    patiently(|| new.init());
    assert_fenced(old.commit());
    assert_fenced(old.begin());
    new.begin().unwrap();
    new.send(&outbox(0, &[("k", "living")]), std::slice::from_ref(&name))
        .unwrap();
    patiently(|| new.commit());
    until(|| values(&*t, &name, 0) == ["living"]);

    // Fenced between two calls: sending offsets finds it too, and aborting.
    new.begin().unwrap();
    let mut newest = transactional_producer(&*t, &id);
    patiently(|| newest.init());
    assert_fenced(new.send_offsets(&GroupMetadata::outside(&*group), &offsets));
    assert_eq!(
        admin(&*t).committed(&group, &[at(&name, 0)]).unwrap(),
        [None]
    );
    newest.begin().unwrap();
    transactional_producer(&*t, &id).init().unwrap();
    // With nothing sent there may be nothing to ask a broker about; then the next transaction finds it.
    if newest.abort().is_ok() {
        newest.begin().unwrap();
        newest
            .send(&outbox(0, &[("k", "zombie")]), std::slice::from_ref(&name))
            .unwrap();
        assert_fenced(newest.commit());
    }
    assert_fenced(newest.abort());
}

pub(crate) fn outsiders_commit_only_for_groups_without_members(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "outside", 1);
    let spec = spec(&unique("outside-group"), "m0", &[(0, &[&name])]);
    let outside = GroupMetadata::outside(&*spec.group);
    let mut producer = transactional_producer(&*t, &unique("outside"));
    patiently(|| producer.init());
    producer.begin().unwrap();
    producer
        .send_offsets(&outside, &[(at(&name, 0), offset(3, "line 3"))])
        .unwrap();
    patiently(|| producer.commit());
    until(|| {
        admin(&*t).committed(&spec.group, &[at(&name, 0)]).unwrap() == [Some(offset(3, "line 3"))]
    });
    let _member = joined(&*t, &spec);
    producer.begin().unwrap();
    assert_abortable(producer.send_offsets(&outside, &[(at(&name, 0), offset(9, ""))]));
    producer.abort().unwrap();
    assert_eq!(
        admin(&*t).committed(&spec.group, &[at(&name, 0)]).unwrap(),
        [Some(offset(3, "line 3"))]
    );
}

pub(crate) fn a_stale_generation_is_refused(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "stale", 2);
    let group = unique("stale-group");
    let mut first = joined(&*t, &spec(&group, "m0", &[(0, &[&name])]));
    let stale = first.group_metadata();
    let mut second = t.membership(&spec(&group, "m1", &[(0, &[&name])])).unwrap();
    until(|| {
        super::groups::settle(&mut *first);
        super::groups::settle(&mut *second);
        first.group_metadata().generation > stale.generation
    });
    let mut producer = transactional_producer(&*t, &unique("stale"));
    patiently(|| producer.init());
    producer.begin().unwrap();
    producer
        .send(&outbox(0, &[("k", "lost")]), std::slice::from_ref(&name))
        .unwrap();
    assert_abortable(producer.send_offsets(&stale, &[(at(&name, 0), offset(1, ""))]));
    assert_abortable(producer.commit());
    producer.abort().unwrap();
    // With what it was last told, the same goes through.
    producer.begin().unwrap();
    producer
        .send(&outbox(0, &[("k", "kept")]), std::slice::from_ref(&name))
        .unwrap();
    producer
        .send_offsets(&first.group_metadata(), &[(at(&name, 0), offset(1, ""))])
        .unwrap();
    patiently(|| producer.commit());
    until(|| values(&*t, &name, 0) == ["kept"]);
}

pub(crate) fn unknown_members_are_refused(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "unknown", 1);
    let spec = spec(&unique("unknown-group"), "m0", &[(0, &[&name])]);
    let mut member = joined(&*t, &spec);
    let metadata = member.group_metadata();
    let mut producer = transactional_producer(&*t, &unique("unknown"));
    patiently(|| producer.init());
    producer.begin().unwrap();
    let stranger = GroupMetadata {
        member: "stranger".to_owned(),
        instance: None,
        ..metadata.clone()
    };
    assert_abortable(producer.send_offsets(&stranger, &[(at(&name, 0), offset(1, ""))]));
    producer.abort().unwrap();
    // One that has left is a stranger too.
    member.leave().unwrap();
    drop(member);
    producer.begin().unwrap();
    assert_abortable(producer.send_offsets(&metadata, &[(at(&name, 0), offset(1, ""))]));
    producer.abort().unwrap();
    assert_eq!(
        admin(&*t).committed(&spec.group, &[at(&name, 0)]).unwrap(),
        [None]
    );
}

pub(crate) fn flush_makes_records_visible(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "flush", 1);
    let mut producer = plain_producer(&*t);
    assert!(patiently(|| producer.flush()).is_empty());
    producer
        .send(&outbox(0, &[("k", "1")]), std::slice::from_ref(&name))
        .unwrap();
    patiently(|| producer.flush());
    assert_eq!(values(&*t, &name, 0), ["1"]);
    patiently(|| producer.flush());
    assert_eq!(values(&*t, &name, 0), ["1"]);
}
