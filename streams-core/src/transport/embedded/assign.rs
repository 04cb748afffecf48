//! Layer 2. Which member of an embedded group gets which task: a pure function, balanced, sticky and deterministic.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::TaskId;

/// Shares tasks out. `current` lists every member with what it has; the result has the same members.
///
/// Balanced: counts differ by at most one. Sticky: among the balanced assignments, as few tasks as possible move. What a
/// member gets beyond what it had comes from the sub-topology that it has least of, so that heavy sub-topologies spread.
pub(super) fn assign(
    tasks: &BTreeSet<TaskId>,
    current: &BTreeMap<String, BTreeSet<TaskId>>,
) -> BTreeMap<String, BTreeSet<TaskId>> {
    let members = current.len();
    if members == 0 {
        return BTreeMap::new();
    }
    let (floor, larger) = (tasks.len() / members, tasks.len() % members);

    // Those who have most may keep one more; names decide between equals.
    let mut kept: BTreeMap<&str, BTreeSet<TaskId>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (member, had) in current {
        let mine = had
            .iter()
            .filter(|t| tasks.contains(t) && seen.insert(**t))
            .copied()
            .collect();
        kept.insert(member, mine);
    }
    let mut by_count: Vec<(usize, &str)> = kept.iter().map(|(m, t)| (t.len(), *m)).collect();
    by_count.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let quota: BTreeMap<&str, usize> = by_count
        .iter()
        .enumerate()
        .map(|(rank, (_, member))| (*member, floor + usize::from(rank < larger)))
        .collect();

    for (member, mine) in &mut kept {
        let most = quota.get(member).copied().unwrap_or(floor);
        while mine.len() > most {
            let Some(given) = heaviest(mine) else { break };
            mine.remove(&given);
        }
    }

    let taken: BTreeSet<TaskId> = kept.values().flatten().copied().collect();
    for task in tasks.difference(&taken) {
        let same = |mine: &BTreeSet<TaskId>| {
            mine.iter()
                .filter(|t| t.subtopology == task.subtopology)
                .count()
        };
        let least = kept
            .iter_mut()
            .filter(|(member, mine)| mine.len() < quota.get(*member).copied().unwrap_or(floor))
            .min_by_key(|(member, mine)| (same(mine), mine.len(), **member));
        if let Some((_, mine)) = least {
            mine.insert(*task);
        }
    }
    kept.into_iter()
        .map(|(member, mine)| (member.to_owned(), mine))
        .collect()
}

/// The last task of the sub-topology that a member has most of.
fn heaviest(mine: &BTreeSet<TaskId>) -> Option<TaskId> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for task in mine {
        *counts.entry(task.subtopology).or_default() += 1;
    }
    mine.iter()
        .max_by_key(|t| (counts.get(&t.subtopology).copied().unwrap_or_default(), **t))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tasks(counts: &[i32]) -> BTreeSet<TaskId> {
        (0..)
            .zip(counts)
            .flat_map(|(subtopology, n)| {
                (0..*n).map(move |partition| TaskId {
                    subtopology,
                    partition,
                })
            })
            .collect()
    }

    fn members(n: usize) -> BTreeMap<String, BTreeSet<TaskId>> {
        (0..n).map(|i| (format!("m{i}"), BTreeSet::new())).collect()
    }

    #[test]
    fn two_members_share_each_subtopology() {
        let shared = assign(&tasks(&[4, 2]), &members(2));
        for mine in shared.values() {
            assert_eq!(mine.iter().filter(|t| t.subtopology == 0).count(), 2);
            assert_eq!(mine.iter().filter(|t| t.subtopology == 1).count(), 1);
        }
    }

    proptest! {
        #[test]
        fn total_balanced_and_sticky(
            counts in proptest::collection::vec(1..7_i32, 1..4),
            steps in proptest::collection::vec((any::<bool>(), 0..6_usize), 1..12),
        ) {
            let tasks = tasks(&counts);
            let mut now = assign(&tasks, &members(1));
            for (join, who) in steps {
                let mut asked = now.clone();
                let name = format!("m{who}");
                if join { asked.entry(name).or_default(); } else { asked.remove(&name); }
                if asked.is_empty() { continue; }
                let next = assign(&tasks, &asked);
                let all: Vec<TaskId> = next.values().flatten().copied().collect();
                prop_assert_eq!(all.len(), tasks.len());
                prop_assert_eq!(&all.into_iter().collect::<BTreeSet<_>>(), &tasks);
                let (least, most) = (
                    next.values().map(BTreeSet::len).min().unwrap_or(0),
                    next.values().map(BTreeSet::len).max().unwrap_or(0),
                );
                prop_assert!(most - least <= 1);
                // Nobody gives up a task while below the fair share.
                for (member, had) in &asked {
                    let lost = had.difference(&next[member]).count();
                    prop_assert!(lost == 0 || had.len() - lost >= tasks.len() / next.len());
                }
                now = next;
            }
        }
    }
}
