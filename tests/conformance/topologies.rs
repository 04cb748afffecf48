//! The topologies by the scenarios' names, as a user writes them. Nothing here knows what a scenario expects.

mod aggregate;
mod cogroup;
mod derived;
mod errors;
mod foreign_key;
mod join;
mod joined_tables;
mod processor;
mod regroup;
mod seed;
mod stateless;
mod stream_join;
mod suppress;
mod table;
mod variants;
mod versioned;
mod windows;

use kstreams::descriptor::{Changelog, TopologyDescriptor};
use kstreams::test_driver::{TestDriver, TestDriverOptions};

use crate::names::Names;

/// A scenario's topology.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) scenario: &'static str,
    pub(crate) names: Names,
    pub(crate) topology: &'static TopologyDescriptor,
    pub(crate) start: fn(TestDriverOptions) -> kstreams::Result<TestDriver>,
    forgets: bool,
}

impl Entry {
    /// With names that Kafka Streams generated, and ours.
    pub(crate) fn names(mut self, pairs: &'static [(&'static str, &'static str)]) -> Self {
        self.names = Names(pairs);
        self
    }

    /// With punctuators, or fields of processors, that begin anew with their task, as in Kafka Streams: a kill is to be seen.
    pub(crate) fn forgetting(mut self) -> Self {
        self.forgets = true;
        self
    }

    /// Whether it goes on after a kill as if nothing had been, state on disk at least.
    pub(crate) fn survives_a_kill(&self) -> bool {
        !self.forgets
    }

    /// Whether it has a store without a changelog, which has nothing to come back from when it lies in memory.
    pub(crate) fn forgets_on_a_kill(&self) -> bool {
        self.topology
            .stores
            .iter()
            .any(|store| store.changelog == Changelog::None)
    }
}

/// `entry!("name of the scenario", Struct)`
macro_rules! entry {
    ($scenario:literal, $topology:ty) => {
        $crate::topologies::Entry {
            scenario: $scenario,
            names: $crate::names::Names::default(),
            topology: <$topology as ::kstreams::Topology>::TOPOLOGY,
            start: |options| {
                let t = <$topology>::builder().test_driver()?;
                t.reset(options)?;
                Ok(::std::clone::Clone::clone(&*t))
            },
            forgets: false,
        }
    };
}
pub(crate) use entry;

pub(crate) fn all() -> impl Iterator<Item = Entry> {
    [
        stateless::entries(),
        aggregate::entries(),
        cogroup::entries(),
        table::entries(),
        join::entries(),
        processor::entries(),
        joined_tables::entries(),
        foreign_key::entries(),
        derived::entries(),
        regroup::entries(),
        stream_join::entries(),
        seed::entries(),
        errors::entries(),
        versioned::entries(),
        suppress::entries(),
        windows::entries(),
    ]
    .into_iter()
    .flatten()
}

pub(crate) fn by_name(scenario: &str) -> Option<Entry> {
    all()
        .chain(variants::all())
        .find(|entry| entry.scenario == scenario)
}
