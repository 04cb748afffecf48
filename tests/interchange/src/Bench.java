import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;

/**
 * The topologies of benches/kafka in Java, with default settings. Runs until it is killed.
 *
 * Arguments: bootstrap servers, application id, state directory, processing guarantee, work.
 */
public final class Bench {
    public static void main(String[] args) {
        Properties config = new Properties();
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1]);
        config.put(StreamsConfig.STATE_DIR_CONFIG, args[2]);
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[3]);
        config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.String().getClass());
        config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.String().getClass());
        KafkaStreams streams = new KafkaStreams(topology(args[4]), config);
        streams.setStateListener((now, before) -> System.out.println("state " + now));
        streams.start();
    }

    private static Topology topology(String work) {
        StreamsBuilder builder = new StreamsBuilder();
        var counts = Produced.with(Serdes.String(), Serdes.Long());
        switch (work) {
            case "pass-through" -> builder.<String, String>stream("in")
                .filter((key, value) -> !key.endsWith("0"))
                .mapValues(value -> value).to("out");
            case "count" -> builder.<String, String>stream("in").groupByKey().count().toStream().to("out", counts);
            case "join" -> builder.<String, String>stream("in")
                .join(builder.<String, String>table("table"),
                    (value, other) -> value.substring(0, value.length() / 2) + other.substring(other.length() / 2))
                .to("out");
            case "windowed-count" -> builder.<String, String>stream("in").groupByKey()
                .windowedBy(TimeWindows.ofSizeWithNoGrace(Duration.ofMinutes(10))).count().toStream()
                .to("out", Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, 600_000), Serdes.Long()));
            case "stream-join" -> builder.<String, String>stream("in")
                .join(builder.<String, String>stream("table"),
                    (value, other) -> value.substring(0, value.length() / 2) + other.substring(other.length() / 2),
                    JoinWindows.ofTimeDifferenceWithNoGrace(Duration.ofMinutes(10)))
                .to("out");
            default -> {
                KStream<String, String> lines = builder.stream("lines");
                lines.flatMapValues(line -> Arrays.asList(line.split(" ")))
                    .groupBy((key, word) -> word).count().toStream().to("out", counts);
            }
        }
        return builder.build();
    }
}
