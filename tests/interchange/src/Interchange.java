import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Properties;

import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.state.ValueAndTimestamp;

/**
 * A topology of tests/interchange.rs in Java: same application, stores, internal topics. It is told what to do on
 * standard input ("dump", "close") and answers on standard output, a line each; its log goes to standard error.
 *
 * Arguments: "tables" or "windows", bootstrap servers, application id, prefix of the topics, state directory,
 * processing guarantee.
 */
public final class Interchange {
    public static void main(String[] args) throws Exception {
        boolean windows = args[0].equals("windows");
        Properties config = new Properties();
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[1]);
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, args[2]);
        config.put(StreamsConfig.STATE_DIR_CONFIG, args[4]);
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[5]);
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        // The repartition topic is compared too, so nothing of it may be purged.
        config.put(StreamsConfig.REPARTITION_PURGE_INTERVAL_MS_CONFIG, 600_000);
        // What has closed is sent by the records' times alone, not by the clock's.
        config.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_OUTER_JOIN_SPURIOUS_RESULTS_FIX, 0L);
        config.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0L);

        KafkaStreams streams = new KafkaStreams(windows ? Windows.topology(args[3]) : Tables.topology(args[3]), config);
        streams.setStateListener((now, before) -> say("state " + now));
        streams.start();
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String command = commands.readLine(); command != null; command = commands.readLine()) {
            if (command.equals("close")) {
                break;
            } else if (command.equals("dump")) {
                if (windows) {
                    Windows.dump(streams);
                } else {
                    Tables.dump(streams);
                }
                say("dumped");
            }
        }
        // Leaving tells the group at once, so that the other application need not wait for a session time-out.
        boolean closed = streams.close(CloseOptions.timeout(Duration.ofSeconds(20))
            .withGroupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
        say(closed ? "closed" : "close timed out");
    }

    /** A line per entry: store, key, timestamp, value; keys and values as the hexadecimal digits of their bytes. */
    static void entry(String store, byte[] key, ValueAndTimestamp<?> entry) {
        HexFormat hex = HexFormat.of();
        byte[] value = entry.value() instanceof Long number ? bytes("", number) : bytes((String) entry.value());
        say("entry " + store + " " + hex.formatHex(key) + " " + entry.timestamp() + " " + hex.formatHex(value));
    }

    /** A text and numbers behind it, as Kafka writes them. */
    static byte[] bytes(String text, long... numbers) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        ByteBuffer buffer = ByteBuffer.allocate(bytes.length + 8 * numbers.length).put(bytes);
        for (long number : numbers) {
            buffer.putLong(number);
        }
        return buffer.array();
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
