import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.kafka.streams.StreamsBuilder;

/**
 * Topologies that no scenario of tests/vectors has, by name, and what their input is drawn from. Everything that can have a
 * name has the one that it has in tests/conformance/topologies/variants.
 */
final class Variants {
    private static final Map<String, Variant> BY_NAME = new TreeMap<>();

    static {
        WindowVariants.all();
        SuppressVariants.all();
        JoinVariants.all();
        TableVariants.all();
        ProcessorVariants.all();
        ErrorVariants.all();
    }

    private Variants() {
    }

    static Set<String> names() {
        return BY_NAME.keySet();
    }

    static Variant get(String name) {
        return BY_NAME.get(name);
    }

    static Variant variant(String name, Consumer<StreamsBuilder> topology) {
        Variant variant = new Variant(name, topology);
        BY_NAME.put(name, variant);
        return variant;
    }

    /** A topology with what it is given: by default strings from the topic `in`. */
    static final class Variant {
        private static final List<String> KEYS = List.of("a", "b", "c", "d", "e", "f");
        private final String name;
        private final Consumer<StreamsBuilder> topology;
        private final Map<String, String> config = new HashMap<>(Map.of("statestore.cache.max.bytes", "0"));
        private final Map<String, Input> inputs = new TreeMap<>();
        private long gap = 5;
        private boolean nulls = true;
        private boolean jumps = true;
        private boolean clock;

        private record Input(String keySerde, List<?> keys, String valueSerde, List<?> values) {
        }

        private Variant(String name, Consumer<StreamsBuilder> topology) {
            this.name = name;
            this.topology = topology;
        }

        Variant texts(String topic, String... values) {
            inputs.put(topic, new Input("string", KEYS, "string", List.of(values)));
            return this;
        }

        Variant ints(String topic, Integer... values) {
            inputs.put(topic, new Input("string", KEYS, "int", List.of(values)));
            return this;
        }

        Variant bytes(String topic, Object... values) {
            inputs.put(topic, new Input("string", KEYS, "bytes", List.of(values)));
            return this;
        }

        Variant keyed(String topic, List<String> keys, String... values) {
            inputs.put(topic, new Input("string", keys, "string", List.of(values)));
            return this;
        }

        Variant config(String name, String value) {
            config.put(name, value);
            return this;
        }

        Variant cached() {
            return config("statestore.cache.max.bytes", "10485760");
        }

        /** The typical milliseconds from a record to the next. */
        Variant gap(long gap) {
            this.gap = gap;
            return this;
        }

        /** Its functions take no null. */
        Variant withoutNulls() {
            nulls = false;
            return this;
        }

        /** Stream time never makes a leap. */
        Variant withoutJumps() {
            jumps = false;
            return this;
        }

        Variant withClock() {
            clock = true;
            return this;
        }

        boolean nulls() {
            return nulls;
        }

        boolean jumps() {
            return jumps;
        }

        void build(StreamsBuilder builder) {
            topology.accept(builder);
        }

        /** Of the form of a scenario, with every key and value that input is drawn from. */
        ObjectNode scenario() {
            ObjectMapper json = new ObjectMapper();
            ObjectNode scenario = json.createObjectNode();
            scenario.put("name", name).put("category", "variants").put("initial_wall_clock_ms", 0);
            scenario.putObject("config").put("application.id", "vec").setAll((ObjectNode) json.valueToTree(config));
            ObjectNode topics = scenario.putObject("topics");
            ArrayNode steps = scenario.putArray("inputs");
            if (inputs.isEmpty()) {
                texts("in", "1", "2", "3", "4", "5", "x", "y", "z");
            }
            if (clock) {
                steps.addObject().put("advance_wall_clock_ms", 1);
            }
            long time = 0;
            for (Map.Entry<String, Input> entry : inputs.entrySet()) {
                Input input = entry.getValue();
                topics.putObject(entry.getKey()).put("role", "input").put("key", input.keySerde()).put("value", input.valueSerde());
                List<Object> keys = new ArrayList<>(input.keys());
                int length = keys.size() * input.values().size();
                for (int n = 0; n < length; n++) {
                    ObjectNode step = steps.addObject().put("topic", entry.getKey());
                    step.set("key", json.valueToTree(keys.get(n % keys.size())));
                    step.set("value", json.valueToTree(input.values().get(n % input.values().size())));
                    step.put("ts", time);
                    time += gap;
                }
            }
            return scenario;
        }
    }
}
