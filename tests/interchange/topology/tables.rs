//! The topology of `Tables.java` in Rust: tables, kept by key.

macro_rules! application {
    ($module:ident: $id:literal, $lines:literal, $prices:literal, $counts:literal, $words:literal, $sums:literal, $priced:literal) => {
        pub(crate) mod $module {
            use kstreams::prelude::*;

            #[topology(application_id = $id)]
            struct Interchange {
                #[source(topic = $lines, partitions = 2)]
                lines: KStream<String, String>,
                #[source(topic = $prices, partitions = 2)]
                #[store]
                prices: KTable<String, i64>,
                /// A count, kept by key.
                #[from(lines.group_by_key().count())]
                #[sink(topic = $counts, partitions = 2)]
                #[store]
                counts: KTable<String, i64>,
                #[from(lines.flat_map_values(|line| line.split(' ').map(str::to_owned)))]
                split: KStream<String, String>,
                /// A reduce behind a repartition topic: a key's words in the order they came, one key for each first letter.
                #[from(split
                    .group_by(|key, word| format!("{key}/{}", word.chars().next().unwrap_or_default()))
                    .reduce(|all, word| all + "," + &word))]
                #[sink(topic = $words, partitions = 2)]
                #[store]
                words: KTable<String, String>,
                /// An aggregate that a word can delete again.
                #[from(split.group_by_key().aggregate(
                    || 0,
                    |_, word, sum| (word != "reset").then_some(sum + word.chars().count() as i64)))]
                #[sink(topic = $sums, partitions = 2)]
                #[store]
                sums: KTable<String, Option<i64>>,
                #[from(lines.join(prices, |line, price| format!("{line} = {price}")))]
                #[sink(topic = $priced, partitions = 2)]
                priced: KStream<String, String>,
            }

            pub(crate) fn start(config: StreamsConfig) -> kstreams::Result<super::super::Application> {
                let running = Interchange::builder().start(config)?;
                Ok(super::super::Application {
                    streams: running.streams().clone(),
                    _running: Box::new(running),
                })
            }
        }
    };
}

application!(java_rust_at_least_once: "java-rust-alo", "java-rust-alo-lines", "java-rust-alo-prices",
    "java-rust-alo-out-counts", "java-rust-alo-out-words", "java-rust-alo-out-sums", "java-rust-alo-out-priced");
application!(java_rust_exactly_once: "java-rust-eos", "java-rust-eos-lines", "java-rust-eos-prices",
    "java-rust-eos-out-counts", "java-rust-eos-out-words", "java-rust-eos-out-sums", "java-rust-eos-out-priced");
application!(rust_java_at_least_once: "rust-java-alo", "rust-java-alo-lines", "rust-java-alo-prices",
    "rust-java-alo-out-counts", "rust-java-alo-out-words", "rust-java-alo-out-sums", "rust-java-alo-out-priced");
application!(rust_java_exactly_once: "rust-java-eos", "rust-java-eos-lines", "rust-java-eos-prices",
    "rust-java-eos-out-counts", "rust-java-eos-out-words", "rust-java-eos-out-sums", "rust-java-eos-out-priced");
