//! The topologies that are measured, once for each guarantee: the application id is part of a topology.

use kstreams::{KafkaStreams, StreamsConfig};

use super::VALUE_BYTES;

/// The running application, whatever its topology.
pub(crate) struct Application {
    pub(crate) streams: KafkaStreams,
    _running: Box<dyn std::any::Any>,
}

/// As long as either, and no allocation of its own: what is measured is the join.
fn half_and_half(mut value: String, other: &str) -> String {
    value.truncate(VALUE_BYTES / 2);
    value.push_str(other.get(VALUE_BYTES / 2..).unwrap_or_default());
    value
}

macro_rules! works {
    ($module:ident: $pass:literal, $count:literal, $join:literal, $words:literal, $windowed:literal, $pairs:literal) => {
        mod $module {
            use super::*;
            use kstreams::prelude::*;

            /// A filter that keeps three of four, and a new value.
            #[topology(application_id = $pass)]
            struct PassThrough {
                #[source(topic = "in", partitions = 4)]
                input: KStream<String, String>,
                #[from(input
                                    .filter(|key, _| !key.ends_with('0'))
                                    .map_values(|value| value))]
                #[sink(topic = "out", partitions = 4)]
                output: KStream<String, String>,
            }

            #[topology(application_id = $count)]
            struct Count {
                #[source(topic = "in", partitions = 4)]
                input: KStream<String, String>,
                #[from(input.group_by_key().count())]
                #[sink(topic = "out", partitions = 4)]
                counts: KTable<String, i64>,
            }

            #[topology(application_id = $join)]
            struct Join {
                #[source(topic = "in", partitions = 4)]
                input: KStream<String, String>,
                #[source(topic = "table", partitions = 4)]
                table: KTable<String, String>,
                #[from(input.join(table, |value, other| half_and_half(value, other)))]
                #[sink(topic = "out", partitions = 4)]
                output: KStream<String, String>,
            }

            #[topology(application_id = $words)]
            struct Words {
                #[source(topic = "lines", partitions = 4)]
                lines: KStream<String, String>,
                #[from(lines
                                    .flat_map_values(|line| line.split(' ').map(str::to_owned))
                                    .group_by(|_, word| word.clone())
                                    .count())]
                #[sink(topic = "out", partitions = 4)]
                words: KTable<String, i64>,
            }

            #[topology(application_id = $windowed)]
            struct WindowedCount {
                #[source(topic = "in", partitions = 4)]
                input: KStream<String, String>,
                #[from(input.group_by_key().windowed_by(tumbling("10m")).count())]
                #[sink(topic = "out", partitions = 4)]
                counts: KTable<Windowed<String>, i64>,
            }

            /// A record meets the one of the other stream with its key, up to ten minutes earlier or later.
            #[topology(application_id = $pairs)]
            struct StreamJoin {
                #[source(topic = "in", partitions = 4)]
                input: KStream<String, String>,
                #[source(topic = "table", partitions = 4)]
                other: KStream<String, String>,
                #[from(input.join(other, |value, other| half_and_half(value.clone(), other), within("10m")))]
                #[sink(topic = "out", partitions = 4)]
                output: KStream<String, String>,
            }

            pub(super) fn start(
                work: &str,
                config: StreamsConfig,
            ) -> kstreams::Result<Application> {
                macro_rules! running {
                    ($topology:ident) => {{
                        let running = $topology::builder().start(config)?;
                        Ok(Application {
                            streams: running.streams().clone(),
                            _running: Box::new(running),
                        })
                    }};
                }
                match work {
                    "pass-through" => running!(PassThrough),
                    "count" => running!(Count),
                    "join" => running!(Join),
                    "windowed-count" => running!(WindowedCount),
                    "stream-join" => running!(StreamJoin),
                    _ => running!(Words),
                }
            }
        }
    };
}

works!(at_least_once: "at-least-once-pass-through", "at-least-once-count", "at-least-once-join", "at-least-once-words",
    "at-least-once-windowed-count", "at-least-once-stream-join");
works!(exactly_once: "exactly-once-pass-through", "exactly-once-count", "exactly-once-join", "exactly-once-words",
    "exactly-once-windowed-count", "exactly-once-stream-join");

/// Starts a work.
pub(crate) fn start(work: &str, config: StreamsConfig) -> kstreams::Result<Application> {
    match config.guarantee() {
        kstreams::ProcessingGuarantee::AtLeastOnce => at_least_once::start(work, config),
        kstreams::ProcessingGuarantee::ExactlyOnceV2 => exactly_once::start(work, config),
    }
}
