import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.internals.foreignkeyjoin.SubscriptionWrapper;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.state.AggregationWithHeaders;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.ValueAndTimestamp;
import org.apache.kafka.streams.state.ValueTimestampHeaders;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.state.internals.LeftOrRightValue;
import org.apache.kafka.streams.state.internals.TimeOrderedKeyValueBuffer;
import org.apache.kafka.streams.state.internals.TimestampedKeyAndJoinSide;
import org.apache.kafka.streams.state.internals.WrappedStateStore;

/** What the stores hold in the end, as scenarios tell it; nothing where there is a store that has no plain form. */
final class Contents {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Stores of stream-stream joins with names of their own. */
    private static final List<String> JOINED = List.of("ls", "rs");

    private Contents() {
    }

    static void of(TopologyTestDriver driver, ObjectNode stores) {
        ObjectNode all = JSON.createObjectNode();
        for (Map.Entry<String, StateStore> store : new TreeMap<>(driver.getAllStateStores()).entrySet()) {
            ObjectNode content;
            try {
                content = content(store.getValue());
            } catch (IllegalArgumentException windowsWithoutSize) {
                return;
            }
            if (content == null) {
                return;
            }
            all.set(store.getKey(), content);
        }
        stores.setAll(all);
    }

    private static ObjectNode content(StateStore store) {
        String kind = store.getClass().getSimpleName();
        StateStore innermost = store;
        // Whoever joins sees stores that know headers, over those that there are.
        boolean ofJoin = store.name().endsWith("-join-store") || JOINED.contains(store.name());
        boolean adapted = false;
        while (innermost instanceof WrappedStateStore<?, ?, ?> wrapper) {
            innermost = wrapper.wrapped();
            String adapter = innermost.getClass().getSimpleName();
            adapted |= adapter.contains("ToHeaders");
            ofJoin |= adapter.startsWith("PlainToHeaders");
        }
        String headers = kind.contains("WithHeaders") && !adapted && !store.name().endsWith("-subscription-store") ? "-with-headers" : "";
        ObjectNode content = JSON.createObjectNode();
        content.put("persistent", store.persistent());
        ArrayNode entries = content.putArray("entries");
        if (store instanceof TimeOrderedKeyValueBuffer<?, ?, ?> buffer) {
            content.put("type", "suppress-buffer").remove("entries");
            content.put("num_records", buffer.numRecords());
            if (buffer.numRecords() > 0) {
                content.put("min_timestamp", buffer.minTimestamp());
            } else {
                content.putNull("min_timestamp");
            }
            return content;
        }
        String plain = switch (kind.replace("WithHeaders", "")) {
            case "MeteredKeyValueStore" -> "key-value";
            case "MeteredTimestampedKeyValueStore" -> "timestamped-key-value";
            case "MeteredWindowStore" -> "window";
            case "MeteredTimestampedWindowStore" -> "timestamped-window";
            case "MeteredSessionStore" -> "session";
            default -> null;
        };
        if (plain == null) {
            return null;
        }
        if (ofJoin) {
            plain = plain.replace("timestamped-window", "window");
            headers = "";
        }
        // A session store is told without: its values have no timestamp.
        content.put("type", plain.equals("session") ? plain : plain + headers);
        boolean timestamps = !ofJoin;
        if (store instanceof KeyValueStore<?, ?> pairs) {
            try (KeyValueIterator<?, ?> all = pairs.all()) {
                all.forEachRemaining(row -> add(entries, row, timestamps));
            }
        } else if (store instanceof WindowStore<?, ?> windows) {
            try (KeyValueIterator<?, ?> all = windows.all()) {
                all.forEachRemaining(row -> add(entries, row, timestamps));
            }
        } else if (store instanceof SessionStore<?, ?> sessions) {
            try (KeyValueIterator<?, ?> all = sessions.fetch(null, null)) {
                all.forEachRemaining(row -> {
                    add(entries, row, timestamps);
                    long end = ((Windowed<?>) row.key).window().end();
                    ((ObjectNode) entries.get(entries.size() - 1)).put("end", end);
                });
            }
        }
        return content;
    }

    private static void add(ArrayNode entries, KeyValue<?, ?> row, boolean timestamps) {
        ObjectNode entry = entries.addObject();
        if (row.key instanceof Windowed<?> windowed) {
            entry.set("key", JSON.valueToTree(windowed.key()));
            entry.put("start", windowed.window().start());
        } else if (row.key instanceof Bytes bytes) {
            entry.putObject("key").put("b64", bytes.get());
        } else if (row.key instanceof TimestampedKeyAndJoinSide<?> side) {
            entry.putObject("key").put("ts", side.timestamp()).put("side", side.isLeftSide() ? "left" : "right")
                .set("key", JSON.valueToTree(side.key()));
        } else {
            entry.set("key", JSON.valueToTree(row.key));
        }
        Object value = row.value;
        if (value instanceof ValueTimestampHeaders<?> stamped) {
            entry.put("ts", stamped.timestamp());
            value = stamped.value();
        } else if (value instanceof AggregationWithHeaders<?> aggregation) {
            value = aggregation.aggregation();
        } else if (value instanceof ValueAndTimestamp<?> stamped) {
            entry.put("ts", stamped.timestamp());
            value = stamped.value();
        }
        if (value instanceof LeftOrRightValue<?, ?> one) {
            boolean left = one.leftValue() != null;
            entry.putObject("value").set(left ? "left" : "right", JSON.valueToTree(left ? one.leftValue() : one.rightValue()));
        } else if (value instanceof SubscriptionWrapper<?> wrapper) {
            entry.putObject("value").put("version", wrapper.version()).put("instruction", wrapper.instruction().name())
                .put("hash", hex(wrapper.hash())).put("primary_partition", wrapper.primaryPartition())
                .set("primary_key", JSON.valueToTree(wrapper.primaryKey()));
        } else {
            entry.set("value", JSON.valueToTree(value));
        }
        if (!timestamps) {
            entry.remove("ts");
        }
    }

    private static String hex(long[] hash) {
        return hash == null ? null : HexFormat.of().toHexDigits(hash[0]) + HexFormat.of().toHexDigits(hash[1]);
    }
}
