//! The Processor API: processors alone, then in topologies.

mod alone;
mod global;
mod kinds;
mod life;
mod look_ups;
mod panics;
mod rows;
mod shared;
