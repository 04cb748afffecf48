//! Layer 6. A worker's clients, and which of them a failure takes down.

use std::fmt;

use super::application::Application;
use crate::error::TaskResult;
use crate::transport::{Admin, Consumer, Membership, MembershipSpec, Producer, ProducerSpec};

/// What a worker talks to the log with.
pub(crate) struct Clients {
    pub(crate) membership: Box<dyn Membership>,
    pub(crate) consumer: Box<dyn Consumer>,
    pub(crate) restore_consumer: Box<dyn Consumer>,
    pub(crate) producer: Box<dyn Producer>,
    pub(crate) admin: Box<dyn Admin>,
    /// Whether a transaction is open.
    pub(crate) in_transaction: bool,
    /// Whether something was sent that no flush or commit has made durable.
    pub(crate) unflushed: bool,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients")
            .field("in_transaction", &self.in_transaction)
            .field("unflushed", &self.unflushed)
            .finish_non_exhaustive()
    }
}

impl Clients {
    /// Connects everything. Under exactly-once this fences the producer that had this member's name before, and ends what
    /// it left open, so that the state restored afterwards is final.
    pub(crate) fn connect(app: &Application, member: &str) -> TaskResult<Clients> {
        let client_id = format!("{}-{member}", app.client_id());
        let transactional_id = app.exactly_once().then(|| format!("{}-{member}", app.id()));
        let transactional = transactional_id.is_some();
        let spec = ProducerSpec {
            client_id: format!("{client_id}-producer"),
            transactional_id,
        };
        let mut producer = app.transport.producer(&spec)?;
        if transactional {
            producer.init()?;
        }
        let spec = MembershipSpec {
            group: app.id().to_owned(),
            member: member.to_owned(),
            subtopologies: app.topology.subscriptions(),
        };
        Ok(Clients {
            membership: app.transport.membership(&spec)?,
            consumer: app.transport.consumer(&format!("{client_id}-consumer"))?,
            restore_consumer: app
                .transport
                .consumer(&format!("{client_id}-restore-consumer"))?,
            producer,
            admin: app.transport.admin()?,
            in_transaction: false,
            unflushed: false,
        })
    }
}
