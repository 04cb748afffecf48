import java.util.Arrays;

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;
import org.apache.kafka.streams.state.ValueAndTimestamp;

/** Tables, kept by key: tests/interchange/topology/tables.rs in Java. */
final class Tables {
    private static final String[] STORES = {"counts", "words", "sums", "prices"};

    private Tables() {
    }

    static Topology topology(String topics) {
        StreamsBuilder builder = new StreamsBuilder();
        var text = Serdes.String();
        var number = Serdes.Long();
        KStream<String, String> lines = builder.stream(topics + "lines", Consumed.with(text, text));
        KTable<String, Long> prices = builder.table(topics + "prices", Consumed.with(text, number),
            Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("prices")
                .withKeySerde(text).withValueSerde(number));

        // A count, kept by key.
        lines.groupByKey(Grouped.with(text, text))
            .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts")
                .withKeySerde(text).withValueSerde(number))
            .toStream().to(topics + "out-counts", Produced.with(text, number));

        // A reduce behind a repartition topic: a key's words in the order they came, one key for each first letter.
        KStream<String, String> words = lines.flatMapValues(line -> Arrays.asList(line.split(" ")));
        words.groupBy((key, word) -> key + "/" + word.charAt(0), Grouped.with("words", text, text))
            .reduce((all, word) -> all + "," + word,
                Materialized.<String, String, KeyValueStore<Bytes, byte[]>>as("words")
                    .withKeySerde(text).withValueSerde(text))
            .toStream().to(topics + "out-words", Produced.with(text, text));

        // An aggregate that a word can delete again.
        words.groupByKey(Grouped.with(text, text))
            .aggregate(() -> 0L, (key, word, sum) -> word.equals("reset") ? null : sum + word.length(),
                Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("sums")
                    .withKeySerde(text).withValueSerde(number))
            .toStream().to(topics + "out-sums", Produced.with(text, number));

        lines.join(prices, (line, price) -> line + " = " + price, Joined.with(text, text, number))
            .to(topics + "out-priced", Produced.with(text, text));
        return builder.build();
    }

    static void dump(KafkaStreams streams) {
        for (String name : STORES) {
            ReadOnlyKeyValueStore<String, ValueAndTimestamp<Object>> store = streams.store(
                StoreQueryParameters.fromNameAndType(name, QueryableStoreTypes.timestampedKeyValueStore()));
            try (var entries = store.all()) {
                entries.forEachRemaining(e -> Interchange.entry(name, Interchange.bytes(e.key), e.value));
            }
        }
    }
}
