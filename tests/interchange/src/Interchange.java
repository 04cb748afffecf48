import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Properties;

import org.apache.kafka.common.serialization.LongSerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
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

/**
 * The topology of tests/interchange.rs in Java: same application, stores, internal topics. It is told what to do on
 * standard input ("dump", "close") and answers on standard output, a line each; its log goes to standard error.
 *
 * Arguments: bootstrap servers, application id, prefix of the topics, state directory, processing guarantee.
 */
public final class Interchange {
    private static final String[] STORES = {"counts", "words", "sums", "prices"};

    public static void main(String[] args) throws Exception {
        String topics = args[2];
        Properties config = new Properties();
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1]);
        config.put(StreamsConfig.STATE_DIR_CONFIG, args[3]);
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[4]);
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        // The repartition topic is compared too, so nothing of it may be purged.
        config.put(StreamsConfig.REPARTITION_PURGE_INTERVAL_MS_CONFIG, 600_000);

        KafkaStreams streams = new KafkaStreams(topology(topics), config);
        streams.setStateListener((now, before) -> say("state " + now));
        streams.start();
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String command = commands.readLine(); command != null; command = commands.readLine()) {
            if (command.equals("close")) {
                break;
            } else if (command.equals("dump")) {
                for (String store : STORES) {
                    dump(streams, store);
                }
                say("dumped");
            }
        }
        // Leaving tells the group at once, so that the other application need not wait for a session time-out.
        boolean closed = streams.close(CloseOptions.timeout(Duration.ofSeconds(20))
            .withGroupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
        say(closed ? "closed" : "close timed out");
    }

    private static org.apache.kafka.streams.Topology topology(String topics) {
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

    /** A line per entry: store, key, timestamp, value; keys and values as the hexadecimal digits of their bytes. */
    private static void dump(KafkaStreams streams, String name) {
        ReadOnlyKeyValueStore<String, ValueAndTimestamp<Object>> store = streams.store(
            StoreQueryParameters.fromNameAndType(name, QueryableStoreTypes.timestampedKeyValueStore()));
        try (var entries = store.all()) {
            while (entries.hasNext()) {
                KeyValue<String, ValueAndTimestamp<Object>> entry = entries.next();
                Object value = entry.value.value();
                byte[] bytes = value instanceof Long number
                    ? new LongSerializer().serialize("", number)
                    : new StringSerializer().serialize("", (String) value);
                HexFormat hex = HexFormat.of();
                say("entry " + name + " " + hex.formatHex(new StringSerializer().serialize("", entry.key))
                    + " " + entry.value.timestamp() + " " + hex.formatHex(bytes));
            }
        }
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
