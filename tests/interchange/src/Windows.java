import java.time.Duration;
import java.util.Arrays;

import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.TableJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.query.StateQueryRequest;
import org.apache.kafka.streams.query.VersionedKeyQuery;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;
import org.apache.kafka.streams.state.ReadOnlySessionStore;
import org.apache.kafka.streams.state.ReadOnlyWindowStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.ValueAndTimestamp;
import org.apache.kafka.streams.state.VersionedRecord;
import org.apache.kafka.streams.state.WindowStore;

/** Every kind of store that keeps the past, and foreign keys: tests/interchange/topology/windows.rs in Java. */
final class Windows {
    private static final Serde<String> TEXT = Serdes.String();
    private static final Serde<Long> NUMBER = Serdes.Long();

    private Windows() {
    }

    static Topology topology(String topics) {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> clicks = builder.stream(topics + "clicks", Consumed.with(TEXT, TEXT));
        KStream<String, String> views = builder.stream(topics + "views", Consumed.with(TEXT, TEXT));
        KTable<String, String> profiles = builder.table(topics + "profiles", Consumed.with(TEXT, TEXT),
            Materialized.<String, String>as(Stores.persistentVersionedKeyValueStore("profiles", Duration.ofHours(1)))
                .withKeySerde(TEXT).withValueSerde(TEXT));
        aggregations(clicks.groupByKey(Grouped.with(TEXT, TEXT)), topics);
        joins(clicks, views, topics);
        clicks.join(profiles, (click, profile) -> click + " by " + profile, Joined.with(TEXT, TEXT, TEXT))
            .to(topics + "out-dressed", Produced.with(TEXT, TEXT));

        KTable<String, String> orders = builder.table(topics + "orders", Consumed.with(TEXT, TEXT), store("orders"));
        KTable<String, String> customers = builder.table(topics + "customers", Consumed.with(TEXT, TEXT), store("customers"));
        orders.leftJoin(customers,
                order -> order.contains("/") ? order.substring(0, order.indexOf('/')) : null,
                (order, customer) -> order + " to " + (customer == null ? "nobody" : customer),
                TableJoined.as("deliveries"), store("deliveries"))
            .toStream().to(topics + "out-deliveries", Produced.with(TEXT, TEXT));
        return builder.build();
    }

    private static void aggregations(KGroupedStream<String, String> clicks, String topics) {
        KTable<Windowed<String>, Long> counted = clicks
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(10), Duration.ofSeconds(5)))
            .count(Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("counted")
                .withKeySerde(TEXT).withValueSerde(NUMBER).withRetention(Duration.ofHours(1)));
        counted.toStream().to(topics + "out-counted", windowed(10_000, NUMBER));
        clicks.windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(10), Duration.ofSeconds(5))
                .advanceBy(Duration.ofSeconds(5)))
            .reduce((all, click) -> all + "+" + click,
                Materialized.<String, String, WindowStore<Bytes, byte[]>>as("hopped")
                    .withKeySerde(TEXT).withValueSerde(TEXT).withRetention(Duration.ofHours(1)))
            .toStream().to(topics + "out-hopped", windowed(10_000, TEXT));
        clicks.windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(4), Duration.ofSeconds(5)))
            .aggregate(() -> "", (key, click, all) -> all + "|" + click,
                Materialized.<String, String, WindowStore<Bytes, byte[]>>as("slid")
                    .withKeySerde(TEXT).withValueSerde(TEXT))
            .toStream().to(topics + "out-slid", windowed(4_000, TEXT));
        clicks.windowedBy(SessionWindows.ofInactivityGapAndGrace(Duration.ofSeconds(6), Duration.ofSeconds(5)))
            .aggregate(() -> "", (key, click, all) -> all + "|" + click, (key, one, other) -> one + other,
                Materialized.<String, String, SessionStore<Bytes, byte[]>>as("visits")
                    .withKeySerde(TEXT).withValueSerde(TEXT).withRetention(Duration.ofHours(1)))
            .toStream().to(topics + "out-visits",
                Produced.with(WindowedSerdes.sessionWindowedSerdeFrom(String.class), TEXT));
        clicks.windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(7), Duration.ofSeconds(2)))
            .emitStrategy(EmitStrategy.onWindowClose())
            .count(Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("closed")
                .withKeySerde(TEXT).withValueSerde(NUMBER))
            .toStream().to(topics + "out-closed", windowed(7_000, NUMBER));
        counted.suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded()).withName("finals"))
            .toStream().to(topics + "out-finals", windowed(10_000, NUMBER));
    }

    private static void joins(KStream<String, String> clicks, KStream<String, String> views, String topics) {
        clicks.join(views, (click, view) -> click + "&" + view,
                JoinWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(6), Duration.ofSeconds(4)), stores("paired"))
            .to(topics + "out-paired", Produced.with(TEXT, TEXT));
        clicks.leftJoin(views, (click, view) -> click + "&" + (view == null ? "-" : view),
                JoinWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(1), Duration.ofSeconds(1)), stores("kept"))
            .to(topics + "out-kept", Produced.with(TEXT, TEXT));
        clicks.outerJoin(views,
                (click, view) -> (click == null ? "-" : click) + "&" + (view == null ? "-" : view),
                JoinWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(1), Duration.ofSeconds(3))
                    .after(Duration.ofSeconds(2)),
                stores("either"))
            .to(topics + "out-either", Produced.with(TEXT, TEXT));
    }

    private static Materialized<String, String, KeyValueStore<Bytes, byte[]>> store(String name) {
        return Materialized.<String, String, KeyValueStore<Bytes, byte[]>>as(name)
            .withKeySerde(TEXT).withValueSerde(TEXT);
    }

    private static StreamJoined<String, String, String> stores(String name) {
        return StreamJoined.with(TEXT, TEXT, TEXT).withName(name).withStoreName(name);
    }

    private static <V> Produced<Windowed<String>, V> windowed(long size, Serde<V> values) {
        return Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, size), values);
    }

    static void dump(KafkaStreams streams) {
        windows(streams, "counted");
        windows(streams, "hopped");
        ReadOnlySessionStore<String, Object> visits = streams.store(
            StoreQueryParameters.fromNameAndType("visits", QueryableStoreTypes.sessionStore()));
        try (var entries = visits.fetch(null, null)) {
            entries.forEachRemaining(e -> {
                byte[] key = Interchange.bytes(e.key.key(), e.key.window().end(), e.key.window().start());
                Interchange.entry("visits", key, ValueAndTimestamp.make(e.value, 0));
            });
        }
        for (int key = 0; key < 12; key++) {
            version(streams, "key-" + key);
        }
        for (String name : new String[] {"orders", "customers", "deliveries"}) {
            ReadOnlyKeyValueStore<String, ValueAndTimestamp<Object>> store = streams.store(
                StoreQueryParameters.fromNameAndType(name, QueryableStoreTypes.timestampedKeyValueStore()));
            try (var entries = store.all()) {
                entries.forEachRemaining(e -> Interchange.entry(name, Interchange.bytes(e.key), e.value));
            }
        }
    }

    private static void windows(KafkaStreams streams, String name) {
        ReadOnlyWindowStore<String, ValueAndTimestamp<Object>> store = streams.store(
            StoreQueryParameters.fromNameAndType(name, QueryableStoreTypes.timestampedWindowStore()));
        try (var entries = store.all()) {
            entries.forEachRemaining(e -> {
                byte[] start = Interchange.bytes(e.key.key(), e.key.window().start());
                // The sequence number, which stores without duplicates do not use.
                Interchange.entry(name, Arrays.copyOf(start, start.length + 4), e.value);
            });
        }
    }

    /** The latest version of a key: older ones show in what is joined with them. */
    private static void version(KafkaStreams streams, String key) {
        var query = StateQueryRequest.inStore("profiles").withQuery(VersionedKeyQuery.<String, String>withKey(key));
        for (var result : streams.query(query).getPartitionResults().values()) {
            if (result.isSuccess() && result.getResult() != null) {
                VersionedRecord<String> found = result.getResult();
                Interchange.entry("profiles", Interchange.bytes(key),
                    ValueAndTimestamp.make(found.value(), found.timestamp()));
            }
        }
    }
}
