//! Layer 2. From librdkafka's error codes to what has to be done about them: the one place where that is decided.

use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode};

use crate::transport::TransportError;

/// An error of a call that is about no particular topic.
pub(super) fn client(what: &str, error: &KafkaError) -> TransportError {
    match error {
        KafkaError::Transaction(error) => transaction(what, error),
        KafkaError::ClientConfig(_, reason, key, value) => TransportError::Fatal(format!(
            "the client setting `{key} = {value}` is refused: {reason}. The keys are librdkafka's; see docs/kafka.md"
        )),
        // rdkafka keeps this one's code to itself.
        KafkaError::AdminOp(code) => of(what, *code),
        _ => match error.rdkafka_error_code() {
            Some(code) => of(what, code),
            None => TransportError::Fatal(format!("{what}: {error}")),
        },
    }
}

/// An error of a call that belongs to a transaction, which says itself what it asks for.
pub(super) fn transaction(what: &str, error: &RDKafkaError) -> TransportError {
    let told = format!("{what}: {} ({:?})", error.string(), error.code());
    if error.is_fatal() {
        // Fenced, or a transaction that timed out at the broker: this client can do nothing more.
        return TransportError::Fenced(told);
    }
    if error.txn_requires_abort() {
        return TransportError::Abortable(told);
    }
    if error.is_retriable() {
        return TransportError::Retriable(told);
    }
    classify(error.code(), told)
}

/// What a client was told last, about no call in particular: a connection that failed, a log-in that was refused.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) code: RDKafkaErrorCode,
    pub(super) reason: String,
}

impl Told {
    /// Whether no broker will ever let this client in.
    pub(super) fn is_final(&self) -> bool {
        use RDKafkaErrorCode as Code;
        matches!(
            self.code,
            Code::Authentication
                | Code::SaslAuthenticationFailed
                | Code::UnsupportedSASLMechanism
                | Code::IllegalSASLState
        )
    }

    /// Takes the later one's place, unless that says only that no broker is left, which is no reason.
    pub(super) fn after(self, earlier: Option<Told>) -> Told {
        match earlier {
            Some(earlier) if earlier.is_final() && !self.is_final() => earlier,
            Some(earlier) if self.code == RDKafkaErrorCode::AllBrokersDown => earlier,
            _ => self,
        }
    }
}

/// The same error with what the client was told last, where the code alone does not say much. That it is not let in, a client
/// hears only there.
pub(super) fn because(error: TransportError, told: Option<Told>) -> TransportError {
    match (error, told) {
        (TransportError::Retriable(what), Some(told)) if told.is_final() => {
            classify(told.code, format!("{what}; {}", told.reason))
        }
        (TransportError::Retriable(what), Some(told)) => {
            TransportError::Retriable(format!("{what}; {}", told.reason))
        }
        (TransportError::Unauthorized(what), Some(told)) => {
            TransportError::Unauthorized(format!("{what}; {}", told.reason))
        }
        (TransportError::Unauthenticated(what), Some(told)) => {
            TransportError::Unauthenticated(format!("{what}; {}", told.reason))
        }
        (error, _) => error,
    }
}

/// An error code of a call that is about no particular topic.
pub(super) fn of(what: &str, code: RDKafkaErrorCode) -> TransportError {
    classify(code, format!("{what}: {code} ({code:?})"))
}

/// An error code of a call about a topic.
pub(super) fn of_topic(what: &str, topic: &str, code: RDKafkaErrorCode) -> TransportError {
    of_topic_told(what, topic, code, &code.to_string())
}

/// The same in the broker's words.
pub(super) fn of_topic_told(
    what: &str,
    topic: &str,
    code: RDKafkaErrorCode,
    reason: &str,
) -> TransportError {
    use RDKafkaErrorCode as Code;
    match code {
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownTopicId => {
            TransportError::UnknownTopic(topic.to_owned())
        }
        Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidReplicaAssignment
        | Code::InvalidConfig
        | Code::PolicyViolation
        | Code::TopicDeletionDisabled => TransportError::InvalidTopic {
            topic: topic.to_owned(),
            reason: format!("{what}: {reason}"),
        },
        _ => classify(
            code,
            format!("{what}, topic `{topic}`: {reason} ({code:?})"),
        ),
    }
}

/// What has to be done about a code.
pub(super) fn classify(code: RDKafkaErrorCode, told: String) -> TransportError {
    use RDKafkaErrorCode as Code;
    match code {
        Code::Fenced
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::FencedInstanceId
        | Code::InvalidProducerIdMapping
        | Code::UnknownProducerId
        | Code::OutOfOrderSequenceNumber
        | Code::TransactionCoordinatorFenced
        | Code::Fatal => TransportError::Fenced(told),
        Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::RebalanceInProgress
        | Code::AssignmentLost
        | Code::FencedMemberEpoch
        | Code::StaleMemberEpoch
        | Code::PurgeQueue
        | Code::PurgeInflight
        | Code::MessageTimedOut
        | Code::GaplessGuarantee => TransportError::Abortable(told),
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::DelegationTokenAuthorizationFailed => TransportError::Unauthorized(told),
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => TransportError::Unauthenticated(told),
        Code::BrokerTransportFailure
        | Code::Resolve
        | Code::AllBrokersDown
        | Code::OperationTimedOut
        | Code::TimedOutQueue
        | Code::QueueFull
        | Code::ISRInsufficient
        | Code::WaitingForCoordinator
        | Code::InProgress
        | Code::PreviousInProgress
        | Code::WaitCache
        | Code::Interrupted
        | Code::Retry
        | Code::Outdated
        | Code::UnknownBroker
        | Code::DestroyBroker
        | Code::BrokerDestroy
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::RequestTimedOut
        | Code::BrokerNotAvailable
        | Code::ReplicaNotAvailable
        | Code::StaleControllerEpoch
        | Code::NetworkException
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::NotController
        | Code::ConcurrentTransactions
        | Code::KafkaStorageError
        | Code::FetchSessionIdNotFound
        | Code::InvalidFetchSessionEpoch
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::OffsetNotAvailable
        | Code::PreferredLeaderNotAvailable
        | Code::EligibleLeadersNotAvailable
        | Code::UnstableOffsetCommit
        | Code::ThrottlingQuotaExceeded
        | Code::MemberIdRequired
        | Code::StaleBrokerEpoch
        | Code::ListenerNotFound
        | Code::RebootstrapRequired
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopicId => TransportError::Retriable(told),
        _ => TransportError::Fatal(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrators_error_is_what_its_code_is() {
        let slow = client(
            "asking",
            &KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut),
        );
        assert!(matches!(slow, TransportError::Retriable(_)), "{slow:?}");
        let code = RDKafkaErrorCode::ClusterAuthorizationFailed;
        let forbidden = client("asking", &KafkaError::AdminOp(code));
        assert!(
            matches!(forbidden, TransportError::Unauthorized(_)),
            "{forbidden:?}"
        );
    }
}
