//! Tests of the configuration.

use super::*;

fn error(key: &str, value: &str) -> String {
    StreamsConfig::new()
        .set(key, value)
        .unwrap_err()
        .to_string()
}

#[test]
fn defaults_are_kafka_streams() {
    let config = StreamsConfig::new();
    assert_eq!(config.commit_interval(), Duration::from_secs(30));
    assert_eq!(config.cache_max_bytes, 10_485_760);
    assert_eq!(config.poll, Duration::from_millis(100));
    assert_eq!(config.buffered_records_per_partition, 1_000);
    assert_eq!(config.max_task_idle, Some(Duration::ZERO));
    let eos = config.processing_guarantee(ProcessingGuarantee::ExactlyOnceV2);
    assert_eq!(eos.commit_interval(), Duration::from_millis(100));
    assert_eq!(
        eos.commit_every(Duration::from_secs(1)).commit_interval(),
        Duration::from_secs(1)
    );
}

#[test]
fn every_key_takes_what_it_shows() {
    let mut config = StreamsConfig::embedded("somewhere");
    for (key, value) in config.entries() {
        if !value.is_empty() {
            config
                .set(key, &value)
                .unwrap_or_else(|e| panic!("{key}: {e}"));
        }
    }
    assert!(StreamsConfig::keys().iter().all(|k| !k.help.is_empty()));
}

#[test]
fn an_unknown_key_names_the_nearest() {
    assert_eq!(
        error("procesing.guarantee", "x"),
        "unknown configuration key `procesing.guarantee`: did you mean `processing.guarantee`?"
    );
    assert_eq!(error("zzz", "x"), "unknown configuration key `zzz`");
    assert!(error("state.dirs", "x").contains("`state.dir`"));
}

#[test]
fn what_the_topology_decides_says_where_it_belongs() {
    assert!(error("application.id", "x").contains("#[topology(application_id"));
    assert!(error("topology.optimization", "all").contains("#[topology(optimization"));
    assert!(error("default.key.serde", "x").contains("a type carries its wire format"));
}

#[test]
fn what_would_be_ignored_is_refused_by_name() {
    assert!(error("num.standby.replicas", "1").contains("no standby tasks yet"));
    assert!(error("application.server", "x:1").contains("not supported in this version"));
    assert!(error("consumer.isolation.level", "read_uncommitted").contains("is never read"));
}

#[test]
fn values_are_checked_and_may_have_units() {
    let mut config = StreamsConfig::new();
    config.set("commit.interval.ms", "5s").unwrap();
    config.set("statestore.cache.max.bytes", "2MiB").unwrap();
    config.set("cache.max.bytes.buffering", "17").unwrap();
    config.set("max.task.idle.ms", "-1").unwrap();
    config.set("consumer.fetch.min.bytes", "1").unwrap();
    assert_eq!(
        (config.commit_interval(), config.cache_max_bytes),
        (Duration::from_secs(5), 17)
    );
    assert_eq!(config.max_task_idle, None);
    assert!(
        error("commit.interval.ms", "-5")
            .starts_with("`commit.interval.ms = -5`: a number of milliseconds")
    );
    assert!(error("commit.interval.ms", "99999999999999999999").contains("milliseconds"));
    assert!(error("num.stream.threads", "0").contains("above 0"));
    assert!(error("processing.guarantee", "exactly_once").contains("`exactly_once_v2`"));
    assert!(error("create.topics", "yes").contains("`true` or `false`"));
}

#[test]
fn environment_lies_over_files_and_is_named_in_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.toml");
    std::fs::write(
        &path,
        "processing.guarantee = \"exactly_once_v2\"\npoll.ms = 7\n",
    )
    .unwrap();
    let config = StreamsConfig::new().with_file(&path).unwrap();
    let config = config
        .with_env([
            ("KSTREAMS_POLL_MS", "9"),
            ("OTHER", "x"),
            ("KSTREAMS_LOCK", "accept"),
        ])
        .unwrap();
    assert_eq!(config.guarantee(), ProcessingGuarantee::ExactlyOnceV2);
    assert_eq!(config.poll, Duration::from_millis(9));
    let wrong = config
        .with_env([("KSTREAMS_POL_MS", "9")])
        .unwrap_err()
        .to_string();
    assert_eq!(
        wrong,
        "unknown configuration key `pol.ms`: did you mean `poll.ms`? (in KSTREAMS_POL_MS)"
    );

    std::fs::write(&path, "pol.ms = 7\n").unwrap();
    assert!(
        StreamsConfig::new()
            .with_file(&path)
            .unwrap_err()
            .to_string()
            .ends_with("app.toml)")
    );
    std::fs::write(&path, "= 7\n").unwrap();
    assert!(
        StreamsConfig::new()
            .with_file(&path)
            .unwrap_err()
            .to_string()
            .contains("line 1")
    );
    let missing = StreamsConfig::new()
        .with_file(dir.path().join("none.properties"))
        .unwrap_err();
    assert!(matches!(missing, ConfigError::File { .. }));
}

#[test]
fn state_lies_beside_the_embedded_log_unless_said_otherwise() {
    assert_eq!(
        StreamsConfig::embedded("a").state_path(),
        Path::new("a/state")
    );
    assert_eq!(
        StreamsConfig::embedded("a").state_dir("b").state_path(),
        Path::new("b")
    );
    assert!(StreamsConfig::new().state_path().ends_with("kafka-streams"));
}

#[test]
fn keys_of_all_clients_need_no_prefix_and_have_librdkafkas_names() {
    let config = StreamsConfig::kafka("a:9092,b:9092")
        .with("security.protocol", "SASL_SSL")
        .and_then(|c| c.with("sasl.password", "geheim"))
        .and_then(|c| c.with("request.timeout.ms", "5000"))
        .and_then(|c| c.with("producer.linger.ms", "5"))
        .unwrap();
    let keys: Vec<&str> = config.clients.keys().map(String::as_str).collect();
    let expected = [
        "producer.linger.ms",
        "sasl.password",
        "security.protocol",
        "socket.timeout.ms",
    ];
    assert_eq!(keys, expected);
    assert!(!format!("{config:?}").contains("geheim"), "{config:?}");
    assert!(error("sasl.jaas.config", "x").contains("`sasl.username`"));
    assert!(error("ssl.truststore.location", "x").contains("`ssl.ca.location`"));
    assert!(error("securty.protocol", "x").contains("`security.protocol`"));
    assert!(error("consumer.auto.offset.reset", "latest").contains("#[source(offset_reset"));
    assert!(error("producer.bootstrap.servers", "x").contains("one cluster"));
    assert!(
        error(
            "consumer.partition.assignment.strategy",
            "cooperative-sticky"
        )
        .contains("`range`")
    );
    assert!(error("group.protocol", "streams").contains("`classic`"));
    assert!(error("topic.cleanup.policy", "delete").contains("changelogs are compacted"));
    assert!(error("replication.factor", "0").contains("between 1 and 32767"));
}

#[test]
fn every_value_says_where_it_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.properties");
    std::fs::write(&path, "cache.max.bytes.buffering=5\nssl.key.password=x\n").unwrap();
    let mut config = StreamsConfig::new()
        .num_stream_threads(3)
        .with_file(&path)
        .and_then(|c| c.with_env([("KSTREAMS_POLL_MS", "9")]))
        .unwrap();
    config.set_from("topic.segment.ms", "7", "--set").unwrap();
    let entries = config.all_entries();
    let of = |key: &str| {
        let found = entries.iter().find(|e| e.key == key).unwrap();
        (found.value.as_str(), found.origin.clone())
    };
    let file = path.display().to_string();
    assert_eq!(of("statestore.cache.max.bytes"), ("5", file.clone()));
    assert_eq!(of("ssl.key.password"), ("(hidden)", file));
    assert_eq!(of("poll.ms"), ("9", "KSTREAMS_POLL_MS".to_owned()));
    assert_eq!(of("topic.segment.ms"), ("7", "--set".to_owned()));
    assert_eq!(of("num.stream.threads"), ("3", "program".to_owned()));
    assert_eq!(of("task.timeout.ms"), ("300000", "default".to_owned()));
}

#[test]
fn a_transaction_may_be_open_as_long_as_a_commit_takes_to_come() {
    let config = StreamsConfig::kafka("a:9092")
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .commit_every(Duration::from_secs(11));
    let refused = config.validate().unwrap_err().to_string();
    assert!(
        refused.contains("`producer.transaction.timeout.ms = 10000`"),
        "{refused}"
    );
    let config = config
        .with("producer.transaction.timeout.ms", "11000")
        .unwrap();
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn built_in_handlers_go_by_word_or_class_and_others_by_code() {
    use crate::exceptions::{LogAndContinue, LogAndFail};
    let mut config = StreamsConfig::new();
    let value = |config: &StreamsConfig, key: &str| {
        let entries = config.entries();
        let found = entries.into_iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| value).unwrap()
    };
    for key in [
        "deserialization.exception.handler",
        "processing.exception.handler",
        "production.exception.handler",
    ] {
        assert_eq!(value(&config, key), "fail");
        config.set(key, "continue").unwrap();
        assert_eq!(value(&config, key), "continue");
        assert!(error(key, "com.example.Mine").contains("of your own is given in code"));
    }
    let class = "org.apache.kafka.streams.errors.LogAndFailProcessingExceptionHandler";
    config.set("processing.exception.handler", class).unwrap();
    assert_eq!(value(&config, "processing.exception.handler"), "fail");
    assert!(!config.errors.need_source());
    config
        .set("errors.dead.letter.queue.topic.name", "dlq")
        .unwrap();
    assert!(config.errors.need_source());
    let same = StreamsConfig::new()
        .deserialization_exception_handler(LogAndContinue)
        .production_exception_handler(LogAndContinue)
        .processing_exception_handler(LogAndFail)
        .dead_letter_queue("dlq");
    assert_eq!(config.errors, same.errors);
    let class = "org.apache.kafka.streams.processor.WallclockTimestampExtractor";
    config.set("default.timestamp.extractor", class).unwrap();
    assert_eq!(
        value(&config, "default.timestamp.extractor"),
        "wallclock_timestamp_extractor"
    );
    assert!(error("default.timestamp.extractor", "now").contains("`fail_on_invalid_timestamp`"));
}
