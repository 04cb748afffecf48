//! Which faults come when: decided by a seed alone.

use std::fmt;
use std::time::Duration;

/// A small generator (splitmix64): the same seed, the same numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }

    fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap_or(0)
    }

    fn between(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// What is done to the cluster or to the application's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `kill -9` to a process, which is started again at once: it takes its place in the group.
    KillApp,
    /// `kill -9` to a process, which is started again after its session has ended: others had its tasks meanwhile.
    KillAppForLong,
    /// A process is stopped (`SIGSTOP`) until its session has ended, and goes on as a zombie.
    PauseApp,
    /// A process ends in order and is started again: two hand-overs.
    RestartApp,
    /// Another producer takes the transactional id of one of a process's threads.
    Fence,
    /// `kill -9` to a broker, which is started again.
    KillBroker,
    /// A broker is stopped (`SIGSTOP`) for a while.
    PauseBroker,
    /// The markers of transactions come late, and meanwhile a process ends in order and another takes its tasks.
    LateMarkers,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 8] = [
        Kind::KillApp,
        Kind::KillAppForLong,
        Kind::PauseApp,
        Kind::RestartApp,
        Kind::Fence,
        Kind::KillBroker,
        Kind::PauseBroker,
        Kind::LateMarkers,
    ];

    /// Whether it hits a broker, not a process.
    #[must_use]
    pub fn of_broker(self) -> bool {
        matches!(self, Kind::KillBroker | Kind::PauseBroker)
    }

    /// How long it lasts. A session ends after two seconds, a transaction after five.
    fn lasts(self, random: &mut Random) -> Duration {
        match self {
            Kind::KillApp => random.between(0, 300),
            Kind::KillAppForLong => random.between(2_500, 4_000),
            Kind::PauseApp => random.between(2_500, 7_000),
            Kind::RestartApp => random.between(0, 1_500),
            Kind::Fence | Kind::LateMarkers => Duration::ZERO,
            Kind::KillBroker => random.between(200, 3_000),
            Kind::PauseBroker => random.between(300, 4_000),
        }
    }
}

/// One fault of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Since the fault before it.
    pub after: Duration,
    /// What is done.
    pub kind: Kind,
    /// To which process or broker.
    pub target: usize,
    /// For how long.
    pub lasts: Duration,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = if self.kind.of_broker() {
            "broker"
        } else {
            "app"
        };
        write!(f, "{:?} {target} {}", self.kind, self.target)?;
        if self.lasts > Duration::ZERO {
            write!(f, " for {} ms", self.lasts.as_millis())?;
        }
        Ok(())
    }
}

/// An endless series of faults: each kind once before any comes again.
#[derive(Debug)]
pub struct Schedule {
    random: Random,
    deck: Vec<Kind>,
    apps: usize,
    brokers: usize,
}

impl Schedule {
    /// Of a seed, for so many processes and brokers.
    #[must_use]
    pub fn new(seed: u64, apps: usize, brokers: usize) -> Self {
        Schedule {
            random: Random::new(seed),
            deck: Vec::new(),
            apps,
            brokers,
        }
    }
}

impl Iterator for Schedule {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        if self.deck.is_empty() {
            self.deck = Kind::ALL.to_vec();
        }
        let drawn = self.random.index(self.deck.len());
        let kind = self.deck.swap_remove(drawn);
        let among = if kind.of_broker() {
            self.brokers
        } else {
            self.apps
        };
        Some(Fault {
            after: self.random.between(300, 2_500),
            kind,
            target: self.random.index(among),
            lasts: kind.lasts(&mut self.random),
        })
    }
}
