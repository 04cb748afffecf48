//! The contract's cases about groups: who has which task, and when it moves.

use std::collections::{BTreeMap, BTreeSet};

use streams_core::record::TaskId;
use streams_core::topology::OffsetReset;
use streams_core::transport::{
    CommittedOffset, Membership, MembershipEvent, MembershipSpec, SubtopologySources,
};

use super::*;

pub(crate) fn spec(
    group: &str,
    member: &str,
    subtopologies: &[(usize, &[&Arc<str>])],
) -> MembershipSpec {
    MembershipSpec {
        group: group.to_owned(),
        member: member.to_owned(),
        subtopologies: subtopologies
            .iter()
            .map(|(subtopology, topics)| SubtopologySources {
                subtopology: *subtopology,
                topics: topics
                    .iter()
                    .map(|t| ((*t).clone(), OffsetReset::Earliest))
                    .collect(),
            })
            .collect(),
    }
}

/// A member that has been told its first assignment.
pub(crate) fn joined(transport: &dyn Transport, spec: &MembershipSpec) -> Box<dyn Membership> {
    let mut member = transport.membership(spec).unwrap();
    until(|| {
        member
            .poll()
            .unwrap()
            .iter()
            .any(|e| matches!(e, MembershipEvent::Assigned(_)))
    });
    member
}

/// Polls once and at once releases what is revoked.
pub(crate) fn settle(member: &mut dyn Membership) {
    for event in member.poll().unwrap() {
        if let MembershipEvent::Revoked(tasks) = event {
            member.released(&tasks).unwrap();
        }
    }
}

/// Members and what each has, kept as a runtime would.
struct Crew {
    members: BTreeMap<String, (Box<dyn Membership>, BTreeSet<TaskId>)>,
}

impl Crew {
    fn new() -> Self {
        Crew {
            members: BTreeMap::new(),
        }
    }

    fn add(&mut self, transport: &dyn Transport, spec: &MembershipSpec) {
        let member = transport.membership(spec).unwrap();
        self.members
            .insert(spec.member.clone(), (member, BTreeSet::new()));
    }

    /// Polls everybody once; no task may ever be with two of them.
    fn step(&mut self) {
        for (member, tasks) in self.members.values_mut() {
            for event in member.poll().unwrap() {
                match event {
                    MembershipEvent::Assigned(new) => tasks.extend(new),
                    MembershipEvent::Revoked(gone) => {
                        tasks.retain(|t| !gone.contains(t));
                        member.released(&gone).unwrap();
                    }
                    MembershipEvent::Lost(gone) => tasks.retain(|t| !gone.contains(t)),
                }
            }
        }
        let mut seen = BTreeSet::new();
        for task in self.members.values().flat_map(|(_, tasks)| tasks) {
            assert!(seen.insert(*task), "{task} is with two members");
        }
    }

    /// Steps until every task is with somebody, as evenly as can be: all of them, or those of each sub-topology.
    fn settle(&mut self, tasks: &BTreeSet<TaskId>) {
        let subtopologies: BTreeSet<usize> = tasks.iter().map(|t| t.subtopology).collect();
        until(|| {
            self.step();
            let even = |counted: &dyn Fn(&TaskId) -> bool| {
                let counts = self.members.values();
                let counts: Vec<usize> = counts
                    .map(|(_, t)| t.iter().filter(|t| counted(t)).count())
                    .collect();
                counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0) <= 1
            };
            let all: usize = self.members.values().map(|(_, t)| t.len()).sum();
            let of_each = |s: &usize| even(&|t: &TaskId| t.subtopology == *s);
            all == tasks.len() && (even(&|_| true) || subtopologies.iter().all(of_each))
        });
        let all: BTreeSet<TaskId> = self
            .members
            .values()
            .flat_map(|(_, t)| t)
            .copied()
            .collect();
        assert_eq!(&all, tasks);
    }
}

fn tasks(counts: &[(usize, i32)]) -> BTreeSet<TaskId> {
    counts
        .iter()
        .flat_map(|(s, n)| {
            (0..*n).map(|partition| TaskId {
                subtopology: *s,
                partition,
            })
        })
        .collect()
}

pub(crate) fn tasks_cover_all_partitions_and_stay_together(h: Box<dyn Harness>) {
    let t = h.transport();
    // A join's two topics are one sub-topology: task i has partition i of both, so they cannot part.
    let (a, b, c) = (
        created(&*t, "aaa", 3),
        created(&*t, "zzz", 3),
        created(&*t, "mmm", 5),
    );
    let group = unique("cover");
    let all = tasks(&[(0, 3), (2, 5)]);
    let mut crew = Crew::new();
    for n in 0..3 {
        crew.add(
            &*t,
            &spec(&group, &format!("m{n}"), &[(0, &[&a, &b]), (2, &[&c])]),
        );
        crew.settle(&all);
    }
    // As many tasks as the largest topic of a sub-topology has partitions.
    let mut crew = Crew::new();
    crew.add(&*t, &spec(&unique("largest"), "m", &[(7, &[&a, &c])]));
    crew.settle(&tasks(&[(7, 5)]));
}

pub(crate) fn a_second_member_gets_its_share_after_the_release(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "share", 4);
    let group = unique("share-group");
    let mut first = t.membership(&spec(&group, "m0", &[(0, &[&name])])).unwrap();
    let mut mine = BTreeSet::new();
    until(|| {
        for event in first.poll().unwrap() {
            if let MembershipEvent::Assigned(new) = event {
                mine.extend(new);
            }
        }
        mine.len() == 4
    });
    let mut second = t.membership(&spec(&group, "m1", &[(0, &[&name])])).unwrap();
    let mut theirs = BTreeSet::new();
    let mut revoked = Vec::new();
    until(|| {
        for event in second.poll().unwrap() {
            if let MembershipEvent::Assigned(new) = event {
                theirs.extend(new);
            }
        }
        for event in first.poll().unwrap() {
            if let MembershipEvent::Revoked(gone) = event {
                revoked.extend(gone);
            }
        }
        !revoked.is_empty()
    });
    for _ in 0..10 {
        for event in second.poll().unwrap() {
            assert_eq!(
                event,
                MembershipEvent::Assigned(Vec::new()),
                "before the release"
            );
        }
    }
    // It may commit until it lets go.
    first
        .commit(&[(
            at(&name, 0),
            CommittedOffset {
                offset: 0,
                metadata: String::new(),
            },
        )])
        .unwrap();
    first.released(&revoked).unwrap();
    until(|| {
        for event in second.poll().unwrap() {
            if let MembershipEvent::Assigned(new) = event {
                theirs.extend(new);
            }
        }
        first.poll().unwrap();
        theirs.len() == 2
    });
    assert!(theirs.iter().all(|t| revoked.contains(t)));
}

pub(crate) fn a_member_that_leaves_gives_its_tasks_back(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "leave", 6);
    let group = unique("leave-group");
    let all = tasks(&[(0, 6)]);
    let mut crew = Crew::new();
    for n in 0..3 {
        crew.add(&*t, &spec(&group, &format!("m{n}"), &[(0, &[&name])]));
    }
    crew.settle(&all);
    let kept = crew.members["m0"].1.clone();
    let (mut gone, _) = crew.members.remove("m1").unwrap();
    gone.leave().unwrap();
    drop(gone);
    crew.settle(&all);
    assert!(
        crew.members["m0"].1.is_superset(&kept),
        "nobody gives up what it may keep"
    );
}

pub(crate) fn a_member_that_vanishes_gives_its_tasks_back(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "vanish", 4);
    let group = unique("vanish-group");
    let all = tasks(&[(0, 4)]);
    let mut crew = Crew::new();
    for n in 0..2 {
        crew.add(&*t, &spec(&group, &format!("m{n}"), &[(0, &[&name])]));
    }
    crew.settle(&all);
    drop(crew.members.remove("m0"));
    crew.settle(&all);
}

pub(crate) fn a_restarted_member_takes_its_place(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "static", 4);
    let group = unique("static-group");
    let all = tasks(&[(0, 4)]);
    let mut crew = Crew::new();
    for n in 0..2 {
        crew.add(&*t, &spec(&group, &format!("m{n}"), &[(0, &[&name])]));
    }
    crew.settle(&all);
    let (mut old, had) = crew.members.remove("m0").unwrap();
    let metadata = old.group_metadata();
    // Its successor comes while the old one is still there, as after a kill that nobody noticed.
    crew.add(&*t, &spec(&group, "m0", &[(0, &[&name])]));
    crew.settle(&all);
    assert_eq!(crew.members["m0"].1, had, "the same tasks");
    let mut told = Ok(Vec::new());
    until(|| {
        told = old.poll();
        told.is_err()
    });
    assert_fenced(told);
    let mut producer = transactional_producer(&*t, &unique("static"));
    patiently(|| producer.init());
    producer.begin().unwrap();
    let offset = CommittedOffset {
        offset: 1,
        metadata: String::new(),
    };
    let refused = producer.send_offsets(&metadata, &[(at(&name, 0), offset)]);
    assert!(
        matches!(
            refused,
            Err(TransportError::Abortable(_) | TransportError::Fenced(_))
        ),
        "{refused:?}"
    );
}

pub(crate) fn offsets_outlive_the_members(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "outlive", 1);
    let group = unique("outlive-group");
    let offset = CommittedOffset {
        offset: 3,
        metadata: "m".to_owned(),
    };
    let mut member = joined(&*t, &spec(&group, "m0", &[(0, &[&name])]));
    member.commit(&[(at(&name, 0), offset.clone())]).unwrap();
    member.leave().unwrap();
    drop(member);
    assert_eq!(
        admin(&*t).committed(&group, &[at(&name, 0)]).unwrap(),
        [Some(offset.clone())]
    );
    drop(t);
    let Some(h) = h.reopened() else { return };
    let t = h.transport();
    assert_eq!(
        admin(&*t).committed(&group, &[at(&name, 0)]).unwrap(),
        [Some(offset)]
    );
}

pub(crate) fn offsets_are_altered_only_without_members(h: Box<dyn Harness>) {
    let t = h.transport();
    let mut admin = admin(&*t);
    let name = created(&*t, "alter", 2);
    let group = unique("alter-group");
    assert_eq!(admin.describe_group(&group).unwrap().members, []);
    produce(&*t, &name, 0, &[("k", "1"), ("k", "2")]);
    let mut member = joined(&*t, &spec(&group, "m0", &[(0, &[&name])]));
    until(|| {
        member.poll().unwrap();
        admin.describe_group(&group).unwrap().state == "Stable"
    });
    assert_eq!(admin.describe_group(&group).unwrap().members.len(), 1);
    let wanted = [(at(&name, 0), 2), (at(&name, 1), 0)];
    assert_abortable(admin.alter_committed(&group, &wanted));
    assert_eq!(
        admin
            .committed(&group, &[at(&name, 0), at(&name, 1)])
            .unwrap(),
        [None, None]
    );
    member.leave().unwrap();
    until(|| admin.describe_group(&group).unwrap().members.is_empty());
    admin.alter_committed(&group, &wanted).unwrap();
    admin.alter_committed(&group, &[(at(&name, 0), 1)]).unwrap();
    let committed = admin
        .committed(&group, &[at(&name, 0), at(&name, 1)])
        .unwrap();
    let offsets: Vec<_> = committed.into_iter().flatten().map(|c| c.offset).collect();
    assert_eq!(offsets, [1, 0]);
    let unknown = admin.alter_committed(&group, &[(at(&"no-such-topic".into(), 0), 0)]);
    assert!(unknown.is_err(), "{unknown:?}");
}
