//! Layer 2. What librdkafka and brokers say is wrong, and what has to be done about it: the one place where codes are looked up.

use rdkafka::error::KafkaError;
pub(super) use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::types::RDKafkaRespErr;

use super::codes;
use crate::transport::TransportError;

/// What librdkafka or a broker says is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// A number, as it may be none of [`Code`].
    pub(super) code: i32,
    pub(super) text: String,
    /// The client is of no more use.
    pub(super) fatal: bool,
    /// The same call may be made again.
    pub(super) retriable: bool,
    /// The transaction has to be aborted.
    pub(super) abort: bool,
}

impl Failure {
    /// A bare code.
    pub(super) fn of(code: Code) -> Self {
        Failure::of_number(code as i32)
    }

    /// A bare code, as told by a call.
    pub(super) fn of_number(code: i32) -> Self {
        Failure::told(code, codes::meaning(code))
    }

    /// A code with the words of whoever told it.
    pub(super) fn told(code: i32, text: String) -> Self {
        Failure {
            code,
            text,
            fatal: false,
            retriable: false,
            abort: false,
        }
    }

    /// The error of one of rdkafka's calls.
    pub(super) fn of_rdkafka(error: &KafkaError) -> Self {
        let code = match error {
            // rdkafka keeps these ones' codes to itself.
            KafkaError::AdminOp(code) | KafkaError::OffsetFetch(code) => Some(*code),
            _ => error.rdkafka_error_code(),
        };
        match code {
            Some(code) => Failure::of(code),
            None => Failure::told(Code::Fail as i32, error.to_string()),
        }
    }

    /// The code, if rdkafka knows it.
    pub(super) fn known(&self) -> Option<Code> {
        RDKafkaRespErr::try_from(self.code).ok().map(Into::into)
    }

    pub(super) fn is(&self, code: Code) -> bool {
        self.code == code as i32
    }

    /// What has to be done about it, as far as its code alone tells. It is told with the words before it.
    pub(super) fn class(&self, what: &str) -> TransportError {
        classify(self.known(), self.report(what))
    }

    /// What it says, after what was being done.
    pub(super) fn report(&self, what: &str) -> String {
        format!("{what}: {} ({})", self.text, codes::name(self.code))
    }

    /// The same of a call about a topic.
    pub(super) fn class_of_topic(&self, what: &str, topic: &str) -> TransportError {
        match self.known() {
            _ if self.is_unknown_topic() => TransportError::UnknownTopic(topic.to_owned()),
            Some(
                Code::InvalidTopic
                | Code::InvalidPartitions
                | Code::InvalidReplicationFactor
                | Code::InvalidReplicaAssignment
                | Code::InvalidConfig
                | Code::PolicyViolation
                | Code::TopicDeletionDisabled,
            ) => TransportError::InvalidTopic {
                topic: topic.to_owned(),
                reason: format!("{what}: {}", self.text),
            },
            _ => self.class(&format!("{what}, topic `{topic}`")),
        }
    }

    /// Whether it is of no use to try again, with this client or another.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self.known(),
            Some(
                Code::InvalidTransactionTimeout
                    | Code::UnsupportedFeature
                    | Code::UnsupportedVersion
            )
        ) || matches!(
            classify(self.known(), String::new()),
            TransportError::Unauthorized(_) | TransportError::Unauthenticated(_)
        )
    }

    /// Whether no broker will ever let this client in.
    pub(super) fn shuts_out(&self) -> bool {
        matches!(
            classify(self.known(), String::new()),
            TransportError::Unauthenticated(_)
        )
    }

    /// Whether brokers do not know a topic.
    pub(super) fn is_unknown_topic(&self) -> bool {
        matches!(
            self.known(),
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownTopicId)
        )
    }

    /// Takes the place of what the client as a whole was told before, unless that says more: that brokers are away says less than
    /// that they refuse this client, or why they are away.
    pub(super) fn after(self, earlier: Option<Failure>) -> Failure {
        match earlier {
            Some(earlier) if earlier.is_refusal() && !self.is_refusal() => earlier,
            Some(earlier) if self.is(Code::AllBrokersDown) => earlier,
            _ => self,
        }
    }
}

/// A call's code as a result.
pub(super) fn checked(code: i32) -> Result<(), Failure> {
    match code {
        0 => Ok(()),
        code => Err(Failure::of_number(code)),
    }
}

/// The first topic that brokers say is not there any more; none where one tells nothing, as then it is the brokers that are away.
pub(super) fn first_unknown<T: Copy>(
    topics: impl IntoIterator<Item = T>,
    ask: impl Fn(T) -> Result<(), Failure>,
) -> Option<T> {
    for topic in topics {
        if let Err(failure) = ask(topic) {
            return failure.is_unknown_topic().then_some(topic);
        }
    }
    None
}

/// An error of one of rdkafka's calls that is about no particular topic.
pub(super) fn client(what: &str, error: &KafkaError) -> TransportError {
    match error {
        KafkaError::ClientConfig(_, reason, key, value) => {
            let mend = match feature_for(reason) {
                Some(feature) => format!("build with the feature `{feature}` of `kstreams`"),
                None => "the keys are librdkafka's".to_owned(),
            };
            TransportError::Fatal(format!(
                "the client setting `{key} = {value}` is refused: {reason}; {mend}; see docs/kafka.md"
            ))
        }
        KafkaError::ClientCreation(reason) if let Some(feature) = feature_for(reason) => {
            TransportError::Fatal(format!(
                "{what}: {reason}; build with the feature `{feature}` of `kstreams`; see docs/kafka.md"
            ))
        }
        error => Failure::of_rdkafka(error).class(what),
    }
}

/// The cargo feature for what librdkafka says it was built without.
fn feature_for(reason: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 4] = [
        ("OpenSSL", "ssl"),
        ("libzstd", "zstd"),
        // GSSAPI is Kerberos; OpenSSL brings the other mechanisms.
        ("No provider for SASL mechanism GSSAPI", "gssapi"),
        ("No provider for SASL mechanism", "ssl"),
    ];
    let lacks = reason.contains("not available at build time") || reason.contains("recompile");
    let found = WORDS
        .iter()
        .find(|(word, _)| lacks && reason.contains(word));
    found.map(|(_, feature)| *feature)
}

/// The same error with what the client was told last, where the code alone does not say much. That it is not let in, a client
/// hears only there.
pub(super) fn because(error: TransportError, told: Option<Failure>) -> TransportError {
    match (error, told) {
        (TransportError::Retriable(what), Some(told)) if told.shuts_out() => {
            classify(told.known(), format!("{what}; {}", told.text))
        }
        (TransportError::Retriable(what), Some(told)) => {
            TransportError::Retriable(format!("{what}; {}", told.text))
        }
        (TransportError::Unauthorized(what), Some(told)) => {
            TransportError::Unauthorized(format!("{what}; {}", told.text))
        }
        (TransportError::Unauthenticated(what), Some(told)) => {
            TransportError::Unauthenticated(format!("{what}; {}", told.text))
        }
        (error, _) => error,
    }
}

/// What has to be done about a code, or about one that nobody here knows.
fn classify(code: Option<Code>, told: String) -> TransportError {
    let Some(code) = code else {
        return TransportError::Fatal(told);
    };
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
    use rdkafka::producer::BaseProducer;

    use super::*;

    #[test]
    fn an_administrators_error_is_what_its_code_is() {
        let slow = client("asking", &KafkaError::AdminOp(Code::OperationTimedOut));
        assert!(matches!(slow, TransportError::Retriable(_)), "{slow:?}");
        let code = Code::ClusterAuthorizationFailed;
        let forbidden = client("asking", &KafkaError::AdminOp(code));
        assert!(
            matches!(forbidden, TransportError::Unauthorized(_)),
            "{forbidden:?}"
        );
    }

    #[test]
    fn what_was_not_built_is_named_with_its_feature() {
        let cases = [
            ("compression.type", "zstd", "zstd", cfg!(feature = "zstd")),
            ("security.protocol", "SSL", "ssl", cfg!(feature = "ssl")),
            (
                "sasl.mechanism",
                "GSSAPI",
                "gssapi",
                cfg!(feature = "gssapi"),
            ),
            (
                "sasl.mechanism",
                "SCRAM-SHA-256",
                "ssl",
                cfg!(feature = "ssl"),
            ),
        ];
        let missing = cases.into_iter().filter(|(.., built)| !built);
        for (key, value, feature, _) in missing {
            let mut config = rdkafka::ClientConfig::new();
            if key == "sasl.mechanism" {
                config.set("security.protocol", "SASL_PLAINTEXT");
            }
            let config = config.set("sasl.username", "u").set("sasl.password", "p");
            let made = config.set(key, value).create::<BaseProducer>();
            let told = client("a client", &made.err().expect("not built")).to_string();
            assert!(told.contains(&format!("the feature `{feature}`")), "{told}");
            assert!(told.contains(value), "{told}");
        }
        let mut config = rdkafka::ClientConfig::new();
        let made = config
            .set("compression.type", "brotli")
            .create::<BaseProducer>();
        let told = client("a client", &made.err().expect("no such codec")).to_string();
        assert!(told.contains("the keys are librdkafka's"), "{told}");
    }

    #[test]
    fn a_code_that_nobody_knows_ends_the_client_and_is_told() {
        let unheard_of = Failure::of_number(12_345);
        assert_eq!(unheard_of.known(), None);
        match unheard_of.class("asking") {
            TransportError::Fatal(told) => assert!(told.contains("12345"), "{told}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_client_was_told_yields_only_to_what_says_more() {
        let away = Failure::of(Code::BrokerTransportFailure);
        let refused = Failure::of(Code::SaslAuthenticationFailed);
        let down = Failure::of(Code::AllBrokersDown);
        assert_eq!(away.clone().after(Some(refused.clone())), refused);
        assert_eq!(refused.clone().after(Some(away.clone())), refused);
        assert_eq!(down.clone().after(Some(away.clone())), away);
        assert_eq!(down.clone().after(None), down);
    }
}
