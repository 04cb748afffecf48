//! The transport contract, on the embedded log in a directory; and what only a directory can do: close, be damaged, be shared.

mod contract;

use std::sync::Arc;

use contract::Harness;
use streams_core::lmdb::Durability;
use streams_core::transport::Transport;
use streams_core::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use tempfile::TempDir;

struct Disk {
    log: EmbeddedLog,
    dir: TempDir,
}

/// Without waiting for the disk: these tests are about what is written, not about power.
fn options() -> EmbeddedLogOptions {
    EmbeddedLogOptions {
        durability: Durability::NoSync,
        ..EmbeddedLogOptions::default()
    }
}

fn disk() -> Disk {
    let dir = tempfile::tempdir().unwrap();
    Disk {
        log: EmbeddedLog::open(dir.path(), options()).unwrap(),
        dir,
    }
}

impl Harness for Disk {
    fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(self.log.clone())
    }

    fn reopened(self: Box<Self>) -> Option<Box<dyn Harness>> {
        let Disk { log, dir } = *self;
        drop(log);
        let log = EmbeddedLog::open(dir.path(), options()).unwrap();
        Some(Box::new(Disk { log, dir }))
    }

    fn clean_up(&self, topic: &str) -> bool {
        contract::write_tombstones(&*self.transport(), topic);
        true
    }
}

contract_tests!(disk);
