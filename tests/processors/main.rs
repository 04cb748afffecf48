//! The Processor API: processors alone, then in topologies.

mod alone;
mod look_ups;
mod shared;
