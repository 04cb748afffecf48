import java.time.Duration;

import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.CogroupedKStream;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindowedKStream;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.TimeWindowedKStream;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.ValueJoiner;
import org.apache.kafka.streams.kstream.ValueJoinerWithKey;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/** What the variants' topologies are made of. */
class Shorthands {
    static final Serde<String> STRING = Serdes.String();
    static final Serde<Long> LONG = Serdes.Long();
    static final Serde<Integer> INT = Serdes.Integer();
    static final Consumed<String, String> TEXTS = Consumed.with(STRING, STRING);
    static final Consumed<String, Integer> INTS = Consumed.with(STRING, INT);
    static final Produced<String, String> TEXT = Produced.with(STRING, STRING);
    static final Produced<String, Long> COUNT = Produced.with(STRING, LONG);
    static final Produced<String, Integer> NUMBER = Produced.with(STRING, INT);
    static final Grouped<String, String> GROUPED = Grouped.with(STRING, STRING);
    static final ValueJoiner<String, String, String> PLUS = (left, right) -> left + "+" + right;
    static final ValueJoinerWithKey<String, String, String, String> KEY_PLUS =
        (key, left, right) -> key + ":" + left + "+" + right;

    static KGroupedStream<String, String> grouped(StreamsBuilder b, String topic) {
        return b.stream(topic, TEXTS).groupByKey(GROUPED);
    }

    /** Of 10 ms, with 5 ms of grace. */
    static TimeWindowedKStream<String, String> tumbling(StreamsBuilder b, String topic) {
        return grouped(b, topic).windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(5)));
    }

    static TimeWindowedKStream<String, String> tumbling(StreamsBuilder b) {
        return tumbling(b, "in");
    }

    static TimeWindowedKStream<String, String> hopping(StreamsBuilder b) {
        return grouped(b, "in").windowedBy(TimeWindows.ofSizeAndGrace(ms(12), ms(6)).advanceBy(ms(5)));
    }

    static TimeWindowedKStream<String, String> sliding(StreamsBuilder b) {
        return grouped(b, "in").windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(10), ms(20)));
    }

    static SessionWindowedKStream<String, String> session(StreamsBuilder b) {
        return grouped(b, "in").windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(10), ms(15)));
    }

    static CogroupedKStream<String, String> cogrouped(StreamsBuilder b) {
        return grouped(b, "a").<String>cogroup((k, v, a) -> last12(a + "a" + v))
            .cogroup(grouped(b, "b"), (k, v, a) -> last12(a + "b" + v))
            .cogroup(grouped(b, "c"), (k, v, a) -> last12(a + "c" + v));
    }

    static <V> Materialized<String, V, KeyValueStore<Bytes, byte[]>> as(String name, Serde<V> values) {
        return Materialized.<String, V, KeyValueStore<Bytes, byte[]>>as(name).withKeySerde(STRING).withValueSerde(values);
    }

    static <V> Materialized<String, V, WindowStore<Bytes, byte[]>> windowsAs(String name, Serde<V> values) {
        return Materialized.<String, V, WindowStore<Bytes, byte[]>>as(name).withKeySerde(STRING).withValueSerde(values);
    }

    static <V> Materialized<String, V, SessionStore<Bytes, byte[]>> sessionsAs(String name, Serde<V> values) {
        return Materialized.<String, V, SessionStore<Bytes, byte[]>>as(name).withKeySerde(STRING).withValueSerde(values);
    }

    static <V> Materialized<String, V, KeyValueStore<Bytes, byte[]>> versionedAs(String name, long retention, Serde<V> values) {
        return Materialized.<String, V>as(Stores.persistentVersionedKeyValueStore(name, ms(retention)))
            .withKeySerde(STRING).withValueSerde(values);
    }

    static <V, S extends StateStore> Materialized<String, V, S> inMemory(Materialized<String, V, S> store, long retention) {
        return store.withStoreType(Materialized.StoreType.IN_MEMORY).withRetention(ms(retention));
    }

    static <V> void windows(long size, Serde<V> values, KTable<Windowed<String>, V> table) {
        table.toStream().to("out", Produced.with(new WindowedSerdes.TimeWindowedSerde<>(STRING, size), values));
    }

    static <V> void sessions(Serde<V> values, KTable<Windowed<String>, V> table) {
        table.toStream().to("out", Produced.with(new WindowedSerdes.SessionWindowedSerde<>(STRING), values));
    }

    static Duration ms(long milliseconds) {
        return Duration.ofMillis(milliseconds);
    }

    static String last12(String value) {
        return value.substring(Math.max(0, value.length() - 12));
    }

    static String before(String value) {
        return value == null || value.indexOf('/') < 0 ? null : value.substring(0, value.indexOf('/'));
    }
}
