//! What a run did and what it hit.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::error::Failure;
use super::schedule::Kind;

/// The figures of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What decided the faults and the events.
    pub seed: u64,
    /// How long faults were made.
    pub lasted: Duration,
    /// How many of each kind.
    pub faults: BTreeMap<Kind, u64>,
    /// Events sent.
    pub events: u64,
    /// Updates read.
    pub updates: u64,
    /// Processes killed.
    pub kills: u64,
    /// Processes killed while one of their threads had a transaction open, as the brokers said right after.
    pub kills_in_transaction: u64,
    /// Aborted transactions in the partitions of the output and the changelog, as the brokers index them.
    pub aborted_in_topics: u64,
    /// Transactions that the application aborted, of those processes that lived to tell it.
    pub aborts: u64,
    /// Returns to the last commit.
    pub rollbacks: u64,
    /// Producers and members whose place another took.
    pub fenced: u64,
    /// Stores that were opened at an earlier commit and brought up to date by the rest of their changelog.
    pub tails: u64,
    /// The records of those.
    pub tail_records: u64,
    /// Stores that were restored from their changelog's beginning, where a process had none.
    pub whole: u64,
    /// Requests with markers that came late.
    pub late_markers: u64,
    /// Stores whose state was thrown away.
    pub wiped: u64,
    /// Commits, of those processes that lived to tell it.
    pub commits: u64,
}

impl Report {
    /// How many faults there were.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Forgets what processes and brokers said, to ask them again.
    pub(crate) fn forget_logs(&mut self) {
        *self = Report {
            seed: self.seed,
            lasted: self.lasted,
            faults: std::mem::take(&mut self.faults),
            kills: self.kills,
            kills_in_transaction: self.kills_in_transaction,
            ..Report::default()
        };
    }

    /// What a run has to hit, and this one has not.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        let hit = [
            (
                "kills inside an open transaction",
                self.kills_in_transaction,
            ),
            ("aborted transactions", self.aborted_in_topics),
            ("fenced producers", self.fenced),
            ("tail records replayed", self.tail_records),
            ("late markers", self.late_markers),
        ];
        let missed = hit.into_iter().filter(|(_, n)| *n == 0);
        missed.map(|(what, _)| what).collect()
    }

    /// Whether everything was hit that a run has to hit, and no store wiped.
    pub(crate) fn check(&self, faults: u64) -> Result<(), Failure> {
        let missed = self.missed();
        if !missed.is_empty() {
            return Err(Failure::Missed(format!("never hit: {}", missed.join(", "))));
        }
        if self.faults() < faults || self.faults.len() < Kind::ALL.len() {
            return Err(Failure::Missed(format!(
                "{} faults of {} kinds, where {faults} of {} were wanted",
                self.faults(),
                self.faults.len(),
                Kind::ALL.len()
            )));
        }
        if self.wiped > 0 {
            let wiped = self.wiped;
            return Err(Failure::Wrong(format!(
                "{wiped} stores were wiped: a crash must never cost more than a changelog's tail"
            )));
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "torture: seed {}, {} faults in {:.0?}",
            self.seed,
            self.faults(),
            self.lasted
        )?;
        for (kind, n) in &self.faults {
            writeln!(f, "  {kind:?}: {n}")?;
        }
        for (what, n) in [
            ("events sent", self.events),
            ("updates read, committed", self.updates),
            ("processes killed", self.kills),
            (
                "kills inside an open transaction",
                self.kills_in_transaction,
            ),
            (
                "aborted transactions in output and changelog",
                self.aborted_in_topics,
            ),
            ("transactions aborted by the application", self.aborts),
            ("rollbacks", self.rollbacks),
            ("fenced producers and members", self.fenced),
            ("tails replayed", self.tails),
            ("tail records replayed", self.tail_records),
            ("stores restored whole, where there was none", self.whole),
            ("late markers", self.late_markers),
            ("commits", self.commits),
            ("stores wiped", self.wiped),
        ] {
            writeln!(f, "  {what}: {n}")?;
        }
        Ok(())
    }
}
