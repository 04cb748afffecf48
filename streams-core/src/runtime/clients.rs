//! Layer 6. A worker's clients, and which of them a failure takes down.

use std::fmt;

use super::application::Application;
use crate::error::TaskResult;
use crate::transport::{Admin, Consumer, Membership, MembershipSpec, Producer, ProducerSpec};

/// What a worker talks to the log with.
pub(crate) struct Clients {
    pub(crate) membership: Box<dyn Membership>,
    pub(crate) consumer: Box<dyn Consumer>,
    pub(crate) producer: Box<dyn Producer>,
    pub(crate) admin: Box<dyn Admin>,
    /// Whether a transaction is open.
    pub(crate) in_transaction: bool,
    /// Whether something was sent that no flush or commit has made durable.
    pub(crate) unflushed: bool,
    /// Whether the producer is of no more use.
    pub(crate) producer_is_lost: bool,
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
    /// A producer. Under exactly-once it fences the one that had this member's name before, and ends what that left open, so
    /// that the state restored afterwards is final.
    fn producer(app: &Application, member: &str) -> TaskResult<Box<dyn Producer>> {
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
        Ok(producer)
    }

    /// Puts a new producer in the place of one that is of no more use. What the old one had not made durable is gone.
    pub(crate) fn replace_producer(&mut self, app: &Application, member: &str) -> TaskResult {
        self.producer = Self::producer(app, member)?;
        self.producer_is_lost = false;
        self.in_transaction = false;
        self.unflushed = false;
        Ok(())
    }

    /// Connects everything.
    pub(crate) fn connect(app: &Application, member: &str) -> TaskResult<Clients> {
        let client_id = format!("{}-{member}", app.client_id());
        let producer = Self::producer(app, member)?;
        let spec = MembershipSpec {
            group: app.id().to_owned(),
            member: member.to_owned(),
            subtopologies: app.topology.subscriptions(),
        };
        Ok(Clients {
            membership: app.transport.membership(&spec)?,
            consumer: app.transport.consumer(&format!("{client_id}-consumer"))?,
            producer,
            admin: app.transport.admin()?,
            in_transaction: false,
            unflushed: false,
            producer_is_lost: false,
        })
    }
}
