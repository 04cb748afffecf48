import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.TreeMap;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyConfig;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.errors.StreamsException;
import org.apache.kafka.streams.test.TestRecord;

/**
 * Records what Kafka Streams' own test driver answers to random input: scenario files in the format of
 * tests/vectors/README.md, without the contents of stores, as the changelogs tell as much.
 *
 * Arguments: the folder of the scenarios that input is drawn after, the folder to write to, the seed, how many recordings of
 * each, of how many steps, and a part of the names of those that are wanted. With no recordings it plays each
 * scenario's own input instead, and says what differs from what the scenario holds: that the topologies here are the same.
 */
public final class Recorder {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final List<String> WRITTEN = List.of("outputs", "repartitions", "changelogs");
    private static final JsonNode OMITTED = JSON.getNodeFactory().textNode("(omitted)");
    /** Their functions take no null. */
    private static final List<String> WITHOUT_NULL = List.of("agg-count-cached-flatmap", "join-ss-types-in-memory",
        "win-session-aggregate-merger", "win-session-reduce-no-grace", "win-suppress-hopping");

    public static void main(String[] args) throws IOException {
        Path scenarios = Path.of(args[0]);
        Path target = Path.of(args[1]);
        long seed = Long.parseLong(args[2]);
        int recordings = Integer.parseInt(args[3]);
        int steps = Integer.parseInt(args[4]);
        boolean same = true;
        List<String> names = new ArrayList<>(Topologies.names());
        names.addAll(Variants.names());
        for (String name : names) {
            if (!name.contains(args[5])) {
                continue;
            }
            Variants.Variant variant = Variants.get(name);
            ObjectNode scenario = variant != null ? variant.scenario()
                : (ObjectNode) JSON.readTree(scenarios.resolve(name + ".json").toFile());
            if (recordings == 0 && variant == null) {
                same &= isSame(name, scenario, play(scenario, (ArrayNode) scenario.get("inputs")));
            }
            for (int recording = 0; recording < recordings; recording++) {
                long own = seed + recording;
                ObjectNode played = play(scenario, draw(scenario, new Random(own * 31 + name.hashCode()), steps));
                played.put("description", name + ", seed " + own);
                Files.writeString(target.resolve(name + "_" + own + ".json"), JSON.writeValueAsString(played));
            }
        }
        System.exit(same ? 0 : 1);
    }

    /** Random steps with the keys and values of a scenario: out of order, late, with jumps of time, nulls and headers. */
    private static ArrayNode draw(ObjectNode scenario, Random random, int steps) {
        List<String> topics = new ArrayList<>();
        Map<String, LinkedHashSet<JsonNode>> keys = new TreeMap<>();
        Map<String, List<JsonNode>> values = new TreeMap<>();
        List<Long> gaps = new ArrayList<>();
        boolean clock = false;
        long first = Long.MAX_VALUE;
        long before = -1;
        for (JsonNode step : scenario.get("inputs")) {
            if (step.has("advance_wall_clock_ms")) {
                clock = true;
                continue;
            }
            String topic = step.get("topic").asText();
            topics.add(topic);
            keys.computeIfAbsent(topic, t -> new LinkedHashSet<>()).add(step.get("key"));
            values.computeIfAbsent(topic, t -> new ArrayList<>()).add(step.get("value"));
            long time = step.get("ts").asLong();
            if (before >= 0) {
                gaps.add(Math.abs(time - before));
            }
            before = time;
            first = Math.min(first, time);
        }
        gaps.sort(null);
        long gap = Math.max(1, gaps.get(gaps.size() / 2));
        long disorder = gap * List.of(2, 6, 20).get(random.nextInt(3));
        int keysUsed = 3 + random.nextInt(4);
        Variants.Variant variant = Variants.get(scenario.get("name").asText());
        boolean nulls = variant != null ? variant.nulls() : !WITHOUT_NULL.contains(scenario.get("name").asText());
        boolean jumps = variant == null || variant.jumps();
        ArrayNode drawn = JSON.createArrayNode();
        long now = first;
        for (int n = 0; n < steps; n++) {
            if (clock && random.nextInt(6) == 0) {
                drawn.addObject().put("advance_wall_clock_ms", 300 * (1 + random.nextInt(4)));
                continue;
            }
            String topic = topics.get(random.nextInt(topics.size()));
            ObjectNode step = drawn.addObject().put("topic", topic);
            List<JsonNode> some = new ArrayList<>(keys.get(topic));
            JsonNode key = some.get(random.nextInt(Math.min(some.size(), keysUsed)));
            step.set("key", nulls && random.nextInt(25) == 0 ? NullNode.instance : key);
            JsonNode value = values.get(topic).get(random.nextInt(values.get(topic).size()));
            step.set("value", nulls && random.nextInt(20) == 0 ? NullNode.instance : value);
            now += random.nextLong(gap * 2 + 1) / (random.nextBoolean() ? 1 : 2);
            if (jumps && random.nextInt(60) == 0) {
                // Beyond windows, and sometimes beyond a segment of a store.
                now += random.nextLong(gap * 50) + List.of(0, 0, 0, 70_000, 200_000).get(random.nextInt(5));
            }
            boolean inOrder = random.nextInt(10) < 6;
            step.put("ts", inOrder ? now : Math.max(0, now - random.nextLong(disorder + 1)));
            if (random.nextInt(7) == 0) {
                step.putArray("headers").addObject().put("key", "h").put("value", String.valueOf(n));
            }
        }
        return drawn;
    }

    private static ObjectNode play(ObjectNode scenario, ArrayNode steps) throws IOException {
        Properties config = new Properties();
        scenario.get("config").properties().stream()
            .filter(setting -> !setting.getKey().endsWith(".serde"))
            .forEach(setting -> config.put(setting.getKey(), setting.getValue().asText()));
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "none:1");
        config.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("recorder").toString());
        config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class.getName());
        config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class.getName());
        StreamsBuilder builder = new StreamsBuilder(new TopologyConfig(new StreamsConfig(config)));
        String name = scenario.get("name").asText();
        Variants.Variant variant = Variants.get(name);
        if (variant != null) {
            variant.build(builder);
        } else {
            Topologies.build(name, builder);
        }
        Topology topology = builder.build(config);
        if (variant == null && !topology.describe().toString().equals(scenario.get("topology").asText())) {
            throw new IllegalStateException(scenario.get("name") + " is another topology:\n" + topology.describe());
        }
        config.putIfAbsent(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0L);
        config.putIfAbsent(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_OUTER_JOIN_SPURIOUS_RESULTS_FIX, 0L);

        ObjectNode played = scenario.deepCopy();
        for (String kind : WRITTEN) {
            played.putObject(kind);
        }
        scenario.get("topics").properties().stream()
            .filter(topic -> topic.getValue().get("role").asText().equals("output"))
            .forEach(topic -> played.withObject("/outputs").putArray(topic.getKey()));
        played.set("inputs", steps);
        ObjectNode stores = played.putObject("stores");
        played.remove(List.of("side_effects", "error"));
        Instant start = Instant.ofEpochMilli(scenario.get("initial_wall_clock_ms").asLong());
        try (TopologyTestDriver driver = new TopologyTestDriver(topology, config, start)) {
            Map<String, TestInputTopic<byte[], byte[]>> inputs = new HashMap<>();
            for (int step = 0; step < steps.size() && !played.has("error"); step++) {
                try {
                    pipe(driver, inputs, scenario, steps.get(step));
                } catch (StreamsException e) {
                    fail(played, step, e);
                }
                for (String topic : List.copyOf(driver.producedTopicNames())) {
                    collect(driver, topic, step, played);
                }
            }
            if (!played.has("error")) {
                Contents.of(driver, stores);
            }
            if (variant != null) {
                played.set("internal_topics", InternalTopics.of(topology));
            }
            double dropped = driver.metrics().entrySet().stream()
                .filter(metric -> metric.getKey().name().equals("dropped-records-total"))
                .mapToDouble(metric -> ((Number) metric.getValue().metricValue()).doubleValue())
                .sum();
            played.put("dropped_records_total", (long) dropped);
        }
        return played;
    }

    private static void pipe(TopologyTestDriver driver, Map<String, TestInputTopic<byte[], byte[]>> inputs,
                             ObjectNode scenario, JsonNode step) {
        if (step.has("advance_wall_clock_ms")) {
            driver.advanceWallClockTime(Duration.ofMillis(step.get("advance_wall_clock_ms").asLong()));
            return;
        }
        String topic = step.get("topic").asText();
        JsonNode serdes = scenario.get("topics").get(topic);
        Headers headers = new RecordHeaders();
        for (JsonNode header : step.path("headers")) {
            headers.add(header.get("key").asText(), bytes("string", header.get("value")));
        }
        inputs.computeIfAbsent(topic,
                t -> driver.createInputTopic(t, new ByteArraySerializer(), new ByteArraySerializer()))
            .pipeInput(new TestRecord<>(bytes(serdes.get("key").asText(), step.get("key")),
                bytes(serdes.get("value").asText(), step.get("value")), headers, step.get("ts").asLong()));
    }

    private static byte[] bytes(String serde, JsonNode value) {
        if (value.isNull()) {
            return null;
        }
        return switch (serde) {
            case "string" -> value.asText().getBytes(StandardCharsets.UTF_8);
            case "int" -> ByteBuffer.allocate(Integer.BYTES).putInt(value.asInt()).array();
            case "long" -> ByteBuffer.allocate(Long.BYTES).putLong(value.asLong()).array();
            case "bytes" -> Base64.getDecoder().decode(value.get("b64").asText());
            default -> throw new IllegalArgumentException(serde);
        };
    }

    private static void collect(TopologyTestDriver driver, String topic, int step, ObjectNode played) {
        String kind = !topic.startsWith("vec-") ? "outputs"
            : topic.endsWith("-changelog") ? "changelogs" : "repartitions";
        ArrayNode written = played.withObject("/" + kind).withArray("/" + topic);
        for (TestRecord<byte[], byte[]> record : driver
            .createOutputTopic(topic, new ByteArrayDeserializer(), new ByteArrayDeserializer()).readRecordsToList()) {
            ObjectNode json = written.addObject().put("after_step", step);
            json.put("key_b64", record.getKey()).put("value_b64", record.getValue()).put("ts", record.timestamp());
            ArrayNode headers = json.putArray("headers");
            for (Header header : record.headers()) {
                byte[] value = header.key().equals("__streams.errors.stacktrace") ? bytes("string", OMITTED) : header.value();
                headers.addObject().put("key", header.key()).put("value_b64", value);
            }
        }
    }

    private static void fail(ObjectNode played, int step, StreamsException error) {
        ObjectNode json = played.putObject("error").put("after_step", step);
        json.put("class", error.getClass().getName()).put("message", error.getMessage());
        Throwable root = error;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        if (root != error) {
            json.put("root_cause_class", root.getClass().getName()).put("root_cause_message", root.getMessage());
        }
    }

    private static boolean isSame(String name, ObjectNode theirs, ObjectNode ours) {
        boolean same = theirs.get("dropped_records_total").asLong() == ours.get("dropped_records_total").asLong();
        for (String kind : WRITTEN) {
            Map<String, List<String>> expected = new TreeMap<>();
            Map<String, List<String>> played = new TreeMap<>();
            theirs.get(kind).properties().forEach(t -> expected.put(t.getKey(), lines(t.getValue())));
            ours.get(kind).properties().forEach(t -> played.put(t.getKey(), lines(t.getValue())));
            same &= expected.equals(played);
        }
        if (!same) {
            System.out.println(name + " differs from the scenario");
        }
        return same;
    }

    private static List<String> lines(JsonNode records) {
        List<String> lines = new ArrayList<>();
        for (JsonNode record : records) {
            lines.add(List.of("after_step", "key_b64", "value_b64", "ts").stream()
                .map(field -> record.get(field).asText()).toList().toString());
        }
        return lines;
    }
}
