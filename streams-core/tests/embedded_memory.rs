//! The transport contract, on the embedded log in memory.

mod contract;

use std::sync::Arc;

use contract::Harness;
use streams_core::transport::Transport;
use streams_core::transport::embedded::EmbeddedLog;

struct Memory(EmbeddedLog);

impl Harness for Memory {
    fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(self.0.clone())
    }

    fn reopened(self: Box<Self>) -> Option<Box<dyn Harness>> {
        None
    }

    fn clean_up(&self, topic: &str) -> bool {
        contract::write_tombstones(&*self.transport(), topic);
        true
    }
}

fn memory() -> Memory {
    Memory(EmbeddedLog::in_memory())
}

contract_tests!(memory);
