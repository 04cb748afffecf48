//! Apache Kafka brokers for tests: resolved through Maven, started on loopback, gone afterwards.
//!
//! A test file with `harness = false` hands its cases to [`main`]: they share one broker, and without Java each is
//! reported as ignored, with the reason. `KAFKA_BOOTSTRAP` names a cluster to use instead of an own broker,
//! `KAFKA_VERSION` another version than that of `pom.xml`, `KAFKA_LOGS` a directory in which to keep the brokers' logs.

mod certificates;
mod class_path;
mod client;
mod cluster;
mod error;
mod markers;
mod process;
mod properties;
mod runner;
mod wire;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub use class_path::ClassPath;
pub use client::{Client, Group, Member, Message, Reader, Writer};
pub use cluster::{Cluster, Options, Right};
pub use error::Error;
pub use process::{Process, Program, temp_dir};
pub use runner::{Case, ignore, main, main_with};

/// A name for a topic, a group or an application that no other test and no other run has.
pub fn unique(prefix: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    // Only to tell apart runs against one cluster.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_micros());
    let now = now & 0xff_ffff_ffff;
    format!("{prefix}-{now:x}-{:x}-{number}", std::process::id())
}
