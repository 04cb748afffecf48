//! Layer 2. Groups inside one process: members, generations, and tasks that move only once they were released.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
};

use super::Shared;
use super::assign::assign;
use super::log::Transaction;
use super::run_lock::RunLock;
use crate::record::{TaskId, TopicPartition};
use crate::transport::{
    CommittedOffset, GroupMetadata, Membership, MembershipEvent, MembershipSpec,
    SubtopologySources, TransportError,
};

type Result<T> = std::result::Result<T, TransportError>;

/// All groups of this process.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Mutex<BTreeMap<String, Group>>,
    /// Held for reading by a commit from its check of the generation to its write. A member goes only when none is held,
    /// so whoever gets its tasks next sees what it committed.
    commits: RwLock<()>,
    /// Who keeps other processes from running the same application.
    run_locks: Mutex<BTreeMap<String, Weak<RunLock>>>,
}

/// The members of an application. It stays without them, so that a generation never comes twice.
#[derive(Debug, Default)]
struct Group {
    generation: i64,
    incarnations: u64,
    members: BTreeMap<String, Member>,
}

#[derive(Debug)]
struct Member {
    /// Tells this member from a later one of the same name.
    incarnation: u64,
    /// The generation that it was last told.
    told: i64,
    subtopologies: Vec<SubtopologySources>,
    /// What it was told to be its own, and has not released.
    owned: BTreeSet<TaskId>,
    /// What it was told to release, and has not.
    revoking: BTreeSet<TaskId>,
    /// What it is to have.
    target: BTreeSet<TaskId>,
}

impl Groups {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held by a commit from its check to the end of its write.
    pub(super) fn committing(&self) -> RwLockReadGuard<'_, ()> {
        self.commits.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn nobody_commits(&self) -> RwLockWriteGuard<'_, ()> {
        self.commits.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses whoever may not commit for the group.
    pub(super) fn check(&self, metadata: &GroupMetadata) -> Result<()> {
        let GroupMetadata {
            group,
            member,
            generation,
            ..
        } = metadata;
        let groups = self.lock();
        let members = groups.get(group).map(|g| &g.members);
        if *metadata == GroupMetadata::outside(group.as_str()) {
            return if members.is_none_or(BTreeMap::is_empty) {
                Ok(())
            } else {
                Err(TransportError::Abortable(format!(
                    "group `{group}` has members; only they may commit for it"
                )))
            };
        }
        match members.and_then(|m| m.get(member)) {
            None => Err(TransportError::Abortable(format!(
                "`{member}` is no member of group `{group}`"
            ))),
            Some(found) if found.told != *generation => Err(TransportError::Abortable(format!(
                "generation {generation} of `{member}` in group `{group}` is over; it is {} now",
                found.told
            ))),
            Some(_) => Ok(()),
        }
    }

    /// The names of a group's members in this process.
    pub(super) fn members(&self, group: &str) -> Vec<String> {
        let groups = self.lock();
        let found = groups.get(group);
        found.map_or_else(Vec::new, |g| g.members.keys().cloned().collect())
    }

    /// Whether this process holds the application's lock.
    pub(super) fn is_run_here(&self, group: &str) -> bool {
        let held = self
            .run_locks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        held.get(group).is_some_and(|lock| lock.strong_count() > 0)
    }

    /// Adds a member; one of the same name loses its place to it.
    fn join(&self, spec: &MembershipSpec, tasks: &BTreeSet<TaskId>) -> Result<u64> {
        let _guard = self.nobody_commits();
        let mut groups = self.lock();
        let group = groups.entry(spec.group.clone()).or_default();
        let others = || {
            group
                .members
                .iter()
                .filter(|(name, _)| **name != spec.member)
        };
        if let Some((other, _)) = others().find(|(_, m)| m.subtopologies != spec.subtopologies) {
            return Err(TransportError::Fatal(format!(
                "`{}` and `{other}` of group `{}` run different topologies; give one another application id, or stop it first",
                spec.member, spec.group
            )));
        }
        group.incarnations += 1;
        let incarnation = group.incarnations;
        let target = group
            .members
            .remove(&spec.member)
            .map(|old| old.target)
            .unwrap_or_default();
        group.members.insert(
            spec.member.clone(),
            Member {
                incarnation,
                told: -1,
                subtopologies: spec.subtopologies.clone(),
                owned: BTreeSet::new(),
                revoking: BTreeSet::new(),
                target,
            },
        );
        group.rebalance(tasks);
        Ok(incarnation)
    }

    /// Takes a member out. Tells whether it was there.
    fn remove(&self, spec: &MembershipSpec, incarnation: u64) -> bool {
        let _guard = self.nobody_commits();
        let mut groups = self.lock();
        let Some(group) = groups.get_mut(&spec.group) else {
            return false;
        };
        if group
            .members
            .get(&spec.member)
            .is_none_or(|m| m.incarnation != incarnation)
        {
            return false;
        }
        let tasks = group
            .members
            .values()
            .flat_map(|m| m.target.iter().copied())
            .collect();
        group.members.remove(&spec.member);
        group.rebalance(&tasks);
        true
    }

    /// What a member is to be told: its generation, what it loses, what it gets. `None` if it is no member any more.
    fn tell(&self, spec: &MembershipSpec, incarnation: u64) -> Option<Told> {
        let mut groups = self.lock();
        let group = groups.get_mut(&spec.group)?;
        let member = group
            .members
            .get(&spec.member)
            .filter(|m| m.incarnation == incarnation)?;
        let revoked: Vec<TaskId> = member
            .owned
            .iter()
            .filter(|t| !member.target.contains(t) && !member.revoking.contains(t))
            .copied()
            .collect();
        let held = |task: &TaskId| group.members.values().any(|m| m.owned.contains(task));
        let assigned: Vec<TaskId> = member.target.iter().filter(|t| !held(t)).copied().collect();
        let generation = group.generation;
        let member = group.members.get_mut(&spec.member)?;
        let first = member.told < 0;
        member.told = generation;
        member.revoking.extend(revoked.iter().copied());
        member.owned.extend(assigned.iter().copied());
        let mut events = Vec::new();
        if !revoked.is_empty() {
            events.push(MembershipEvent::Revoked(revoked));
        }
        if first || !assigned.is_empty() {
            events.push(MembershipEvent::Assigned(assigned));
        }
        Some(Told { generation, events })
    }

    fn released(&self, spec: &MembershipSpec, incarnation: u64, tasks: &[TaskId]) {
        let mut groups = self.lock();
        let member = groups
            .get_mut(&spec.group)
            .and_then(|g| g.members.get_mut(&spec.member));
        if let Some(member) = member.filter(|m| m.incarnation == incarnation) {
            for task in tasks {
                member.owned.remove(task);
                member.revoking.remove(task);
            }
        }
    }
}

struct Told {
    generation: i64,
    events: Vec<MembershipEvent>,
}

impl Group {
    /// Shares the tasks out anew.
    fn rebalance(&mut self, tasks: &BTreeSet<TaskId>) {
        self.generation += 1;
        let current = self
            .members
            .iter()
            .map(|(name, m)| (name.clone(), m.target.clone()))
            .collect();
        for (name, target) in assign(tasks, &current) {
            if let Some(member) = self.members.get_mut(&name) {
                member.target = target;
            }
        }
    }
}

/// A member of an embedded group. Dropping it is leaving.
#[derive(Debug)]
pub(super) struct EmbeddedMembership {
    shared: Arc<Shared>,
    spec: MembershipSpec,
    incarnation: Option<u64>,
    generation: i64,
    /// Held as long as anybody of this process may join.
    _run_lock: Option<Arc<RunLock>>,
}

impl EmbeddedMembership {
    pub(super) fn new(shared: Arc<Shared>, spec: &MembershipSpec) -> Result<Self> {
        let run_lock = match &shared.dir {
            None => None,
            Some(dir) => {
                let mut held = shared
                    .groups
                    .run_locks
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                Some(match held.get(&spec.group).and_then(Weak::upgrade) {
                    Some(lock) => lock,
                    None => {
                        let lock = Arc::new(RunLock::acquire(dir, &spec.group, &*shared.clock)?);
                        held.insert(spec.group.clone(), Arc::downgrade(&lock));
                        lock
                    }
                })
            }
        };
        Ok(EmbeddedMembership {
            shared,
            spec: spec.clone(),
            incarnation: None,
            generation: -1,
            _run_lock: run_lock,
        })
    }

    /// Every partition of every sub-topology: as many tasks as the largest of its topics has partitions.
    fn tasks(&self) -> Result<BTreeSet<TaskId>> {
        let mut tasks = BTreeSet::new();
        for sources in &self.spec.subtopologies {
            let mut largest = 0;
            for (topic, _) in &sources.topics {
                largest = largest.max(self.shared.log.known_topic(topic)?.partitions);
            }
            let partitions = i32::try_from(largest).unwrap_or(i32::MAX);
            tasks.extend((0..partitions).map(|partition| TaskId {
                subtopology: sources.subtopology,
                partition,
            }));
        }
        Ok(tasks)
    }

    fn quit(&mut self) {
        if let Some(incarnation) = self.incarnation.take()
            && self.shared.groups.remove(&self.spec, incarnation)
        {
            self.shared.changed.group();
        }
        self.generation = -1;
    }
}

impl Membership for EmbeddedMembership {
    fn poll(&mut self) -> Result<Vec<MembershipEvent>> {
        let incarnation = match self.incarnation {
            Some(incarnation) => incarnation,
            None => {
                let incarnation = self.shared.groups.join(&self.spec, &self.tasks()?)?;
                self.shared.changed.group();
                *self.incarnation.insert(incarnation)
            }
        };
        match self.shared.groups.tell(&self.spec, incarnation) {
            Some(told) => {
                self.generation = told.generation;
                Ok(told.events)
            }
            None => {
                self.incarnation = None;
                self.generation = -1;
                Err(TransportError::Fenced(format!(
                    "another `{}` has joined group `{}`",
                    self.spec.member, self.spec.group
                )))
            }
        }
    }

    fn released(&mut self, tasks: &[TaskId]) -> Result<()> {
        if let Some(incarnation) = self.incarnation {
            self.shared.groups.released(&self.spec, incarnation, tasks);
            self.shared.changed.group();
        }
        Ok(())
    }

    fn group_metadata(&self) -> GroupMetadata {
        GroupMetadata {
            group: self.spec.group.clone(),
            member: self.spec.member.clone(),
            generation: self.generation,
            instance: None,
        }
    }

    fn commit(&mut self, offsets: &[(TopicPartition, CommittedOffset)]) -> Result<()> {
        let metadata = self.group_metadata();
        let offsets = self.shared.group_offsets(&metadata, offsets)?;
        let _guard = self.shared.groups.committing();
        let transaction = Transaction {
            offsets: &offsets,
            ..Transaction::default()
        };
        self.shared
            .log
            .commit(&transaction, &|| self.shared.groups.check(&metadata))
            .map(drop)
    }

    fn leave(&mut self) -> Result<()> {
        self.quit();
        Ok(())
    }
}

impl Drop for EmbeddedMembership {
    fn drop(&mut self) {
        self.quit();
    }
}
