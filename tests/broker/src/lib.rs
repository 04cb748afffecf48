//! Apache Kafka brokers for tests: resolved through Maven, started on loopback, gone afterwards.
