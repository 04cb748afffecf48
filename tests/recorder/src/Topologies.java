import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Function;

import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.CogroupedKStream;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.GlobalKTable;
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
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TableJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.UnlimitedWindows;
import org.apache.kafka.streams.kstream.ValueJoiner;
import org.apache.kafka.streams.kstream.ValueJoinerWithKey;
import org.apache.kafka.streams.kstream.ValueTransformerWithKey;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.processor.ProcessorContext;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/** The topologies of scenarios, by the scenario's name, as their descriptions say. */
final class Topologies {
    private static final Serde<String> STRING = Serdes.String();
    private static final Serde<Long> LONG = Serdes.Long();
    private static final Serde<Integer> INT = Serdes.Integer();
    private static final Consumed<String, String> TEXTS = Consumed.with(STRING, STRING);
    private static final Consumed<String, Integer> INTS = Consumed.with(STRING, INT);
    private static final Produced<String, String> TEXT = Produced.with(STRING, STRING);
    private static final Produced<String, Long> COUNT = Produced.with(STRING, LONG);
    private static final Grouped<String, String> GROUPED = Grouped.with(STRING, STRING);
    private static final ValueJoiner<String, String, String> PLUS = (left, right) -> left + "+" + right;
    private static final ValueJoinerWithKey<String, String, String, String> KEY_PLUS =
        (key, left, right) -> key + ":" + left + "+" + right;

    private static final Map<String, Consumer<StreamsBuilder>> BY_NAME = new TreeMap<>();

    static {
        aggregations();
        cogroups();
        foreignKeyJoins();
        joinsOfDerivedTables();
        streamJoins();
        tableJoins();
        tables();
        windows();
        sessions();
        suppressions();
    }

    private Topologies() {
    }

    static Set<String> names() {
        return BY_NAME.keySet();
    }

    static void build(String name, StreamsBuilder builder) {
        BY_NAME.get(name).accept(builder);
    }

    private static void aggregations() {
        BY_NAME.put("agg-aggregate", b -> grouped(b, "in")
            .aggregate(() -> "0", (k, v, a) -> v.equals("reset") ? null : a + "+" + v, as("agg", STRING))
            .toStream().to("out", TEXT));
        BY_NAME.put("agg-count", b -> grouped(b, "in").count(as("counts", LONG)).toStream().to("out", COUNT));
        BY_NAME.put("agg-count-unnamed", b -> grouped(b, "in").count().toStream().to("out", COUNT));
        BY_NAME.put("agg-count-cached-flatmap", b -> b.stream("in", TEXTS)
            .flatMapValues(v -> Arrays.asList(v.split(" ")))
            .groupByKey(GROUPED).count(as("counts", LONG)).toStream().to("out", COUNT));
        BY_NAME.put("agg-groupby-repartition", b -> b.stream("in", TEXTS)
            .groupBy((k, v) -> v == null ? "n" : v.equals("nokey") ? null : v.substring(0, 1),
                Grouped.with("by-first", STRING, STRING))
            .count(as("counts", LONG)).toStream().to("out", COUNT));
        BY_NAME.put("agg-map-then-group", b -> b.stream("in", TEXTS)
            .map((k, v) -> KeyValue.pair(v, k))
            .groupByKey(Grouped.with("gk", STRING, STRING))
            .aggregate(() -> "", (k, v, a) -> a + v + ";", as("agg", STRING))
            .toStream().mapValues(v -> v == null ? null : v.toUpperCase()).to("out", TEXT));
        BY_NAME.put("agg-merged-repartition-optimized", b -> {
            KStream<String, String> stream = b.stream("in", TEXTS).selectKey((k, v) -> v);
            stream.groupByKey(Grouped.with("one", STRING, STRING)).count(as("c1", LONG)).toStream().to("c", COUNT);
            stream.groupByKey(Grouped.with("two", STRING, STRING))
                .reduce(PLUS::apply, as("r1", STRING)).toStream().to("r", TEXT);
        });
        BY_NAME.put("agg-reduce", b -> grouped(b, "in").reduce(PLUS::apply, as("r", STRING)).toStream().to("out", TEXT));
        alias("err-null-key-groupbykey", "agg-reduce");
        BY_NAME.put("agg-two-stage", b -> grouped(b, "in").count(as("c1", LONG))
            .groupBy((k, n) -> KeyValue.pair("n" + n, n), Grouped.with(STRING, LONG))
            .count(as("c2", LONG)).toStream().to("out", COUNT));
    }

    private static void cogroups() {
        BY_NAME.put("cogroup-plain", b -> grouped(b, "a").<String>cogroup((k, v, a) -> a + "a" + v)
            .cogroup(b.stream("b", INTS).groupByKey(Grouped.with(STRING, INT)), (k, v, a) -> a + "b" + v)
            .aggregate(() -> "", as("cg", STRING)).toStream().to("out", TEXT));
        BY_NAME.put("cogroup-repartitioned", b -> b.stream("a", TEXTS)
            .groupBy((k, v) -> first(v), Grouped.with("ga", STRING, STRING))
            .<String>cogroup((k, v, a) -> a + "a" + v)
            .cogroup(grouped(b, "b"), (k, v, a) -> a + "b" + v)
            .aggregate(() -> "", as("cg", STRING)).toStream().to("out", TEXT));
        BY_NAME.put("cogroup-session", b -> sessions(STRING, cogrouped(b)
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(10), ms(20)))
            .aggregate(() -> "", (k, x, y) -> x + "|" + y, sessionsAs("cg", STRING))));
        BY_NAME.put("cogroup-tumbling", b -> windows(10, STRING, cogrouped(b)
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(5)))
            .aggregate(() -> "", windowsAs("cg", STRING))));
    }

    private static CogroupedKStream<String, String> cogrouped(StreamsBuilder b) {
        return grouped(b, "a").<String>cogroup((k, v, a) -> a + "a" + v)
            .cogroup(grouped(b, "b"), (k, v, a) -> a + "b" + v);
    }

    private static void foreignKeyJoins() {
        Function<String, String> foreignKey = Topologies::before;
        BY_NAME.put("join-fk-inner", b -> b.table("left", TEXTS, as("lt", STRING))
            .join(b.table("right", TEXTS, as("rt", STRING)), foreignKey, PLUS).toStream().to("out", TEXT));
        BY_NAME.put("join-fk-left", b -> b.table("left", TEXTS, as("lt", STRING))
            .leftJoin(b.table("right", TEXTS, as("rt", STRING)), foreignKey, PLUS, as("jt", STRING))
            .toStream().to("out", TEXT));
        alias("long-fk-left", "join-fk-left");
        BY_NAME.put("join-fk-left-unmaterialized", b -> b.table("left", TEXTS)
            .leftJoin(b.table("right", TEXTS), foreignKey, PLUS, TableJoined.as("fkj")).toStream().to("out", TEXT));
        BY_NAME.put("join-fk-then-groupby", b -> b.table("left", TEXTS, as("lt", STRING))
            .join(b.table("right", TEXTS, as("rt", STRING)), foreignKey, PLUS)
            .groupBy((k, v) -> KeyValue.pair(v.substring(v.indexOf('+') + 1), v), GROUPED)
            .count(as("per", LONG)).toStream().mapValues(n -> n == null ? null : n.toString()).to("out", TEXT));
    }

    /** Tables without a store: whoever looks up their rows makes them of the rows of the tables behind. */
    private static void joinsOfDerivedTables() {
        Function<String, String> foreignKey = Topologies::before;
        Joined<String, String, String> texts = Joined.with(STRING, STRING, STRING);
        BY_NAME.put("join-st-derived", b -> {
            KStream<String, String> left = b.stream("left", TEXTS);
            left.leftJoin(derived(b.table("right", TEXTS, as("t", STRING))), KEY_PLUS, texts).to("out", TEXT);
        });
        BY_NAME.put("join-st-derived-versioned", b -> {
            KStream<String, String> left = b.stream("left", TEXTS);
            left.leftJoin(derived(b.table("right", TEXTS, versionedAs("v", 1000, STRING))), PLUS, texts)
                .to("out", TEXT);
        });
        BY_NAME.put("join-st-derived-versioned-grace", b -> {
            KStream<String, String> left = b.stream("left", TEXTS);
            left.join(derived(b.table("right", TEXTS, versionedAs("v", 1000, STRING))), PLUS,
                Joined.with(STRING, STRING, STRING, "jg").withGracePeriod(ms(50))).to("out", TEXT);
        });
        BY_NAME.put("join-st-transformed", b -> {
            KStream<String, String> left = b.stream("left", TEXTS);
            left.leftJoin(transformed(b.table("right", TEXTS, as("t", STRING))), PLUS, texts).to("out", TEXT);
        });
        BY_NAME.put("join-st-suppressed", b -> {
            KStream<String, String> left = b.stream("left", TEXTS);
            KTable<String, String> held = b.table("right", TEXTS, as("t", STRING))
                .suppress(Suppressed.<String>untilTimeLimit(ms(20), BufferConfig.unbounded()).withName("sup"));
            left.leftJoin(held, PLUS, texts).to("out", TEXT);
        });
        BY_NAME.put("join-tt-transformed", b -> b.table("left", TEXTS, as("lt", STRING))
            .leftJoin(transformed(b.table("right", TEXTS, as("rt", STRING))), PLUS).toStream().to("out", TEXT));
        BY_NAME.put("join-fk-derived", b -> derived(b.table("left", TEXTS, as("lt", STRING)))
            .leftJoin(derived(b.table("right", TEXTS, as("rt", STRING))), foreignKey, PLUS, TableJoined.as("fkj"))
            .toStream().to("out", TEXT));
        BY_NAME.put("join-fk-of-joined", b -> b.table("a", TEXTS, as("at", STRING))
            .join(b.table("b", TEXTS, as("bt", STRING)), PLUS)
            .join(b.table("c", TEXTS, as("ct", STRING)).outerJoin(b.table("d", TEXTS, as("dt", STRING)), PLUS),
                foreignKey, PLUS, TableJoined.as("fkj"))
            .toStream().to("out", TEXT));
        BY_NAME.put("join-fk-transformed", b -> transformed(b.table("left", TEXTS, as("lt", STRING)))
            .leftJoin(transformed(b.table("right", TEXTS, as("rt", STRING))), foreignKey, PLUS, TableJoined.as("fkj"))
            .toStream().to("out", TEXT));
    }

    private static KTable<String, String> derived(KTable<String, String> table) {
        return table.filter((k, v) -> !v.contains("x")).mapValues((k, v) -> v.contains("nil") ? null : v + "." + k);
    }

    /** With a value where the table has none. */
    private static KTable<String, String> transformed(KTable<String, String> table) {
        return table.transformValues(() -> new ValueTransformerWithKey<>() {
            @Override
            public void init(ProcessorContext context) {
            }

            @Override
            public String transform(String key, String value) {
                return value == null ? "c1/none" : value.contains("nil") ? null : value + "." + key;
            }

            @Override
            public void close() {
            }
        });
    }

    private static void streamJoins() {
        streamJoin("join-ss-inner", KStream::join, JoinWindows.ofTimeDifferenceWithNoGrace(ms(10)));
        streamJoin("join-ss-inner-before-after", KStream::join,
            JoinWindows.ofTimeDifferenceWithNoGrace(ms(0)).before(ms(4)).after(ms(8)));
        streamJoin("join-ss-left", KStream::leftJoin, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)));
        streamJoin("join-ss-left-no-grace-after", KStream::leftJoin,
            JoinWindows.ofTimeDifferenceWithNoGrace(ms(0)).after(ms(20)));
        streamJoin("long-ss-left", KStream::leftJoin,
            JoinWindows.ofTimeDifferenceAndGrace(ms(0), ms(10)).before(ms(8)).after(ms(8)));
        streamJoin("join-ss-outer", KStream::outerJoin, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)));
        streamJoin("join-ss-outer-headers", KStream::outerJoin, JoinWindows.ofTimeDifferenceAndGrace(ms(5), ms(5)));
        streamJoin("join-ss-outer-interval", KStream::outerJoin, JoinWindows.ofTimeDifferenceWithNoGrace(ms(10)));
        alias("join-ss-outer-matched-then-late", "join-ss-outer-interval");
        BY_NAME.put("join-ss-null-keys-left", b -> {
            KStream<String, String> left = b.stream("left", TEXTS);
            left.leftJoin(b.stream("right", TEXTS), KEY_PLUS, JoinWindows.ofTimeDifferenceWithNoGrace(ms(10)),
                StreamJoined.with(STRING, STRING, STRING)).to("out", TEXT);
        });
        BY_NAME.put("join-ss-repartitioned", b -> {
            KStream<String, String> left = b.stream("left", TEXTS).selectKey((k, v) -> first(v));
            KStream<String, String> right = b.stream("right", TEXTS).map((k, v) -> KeyValue.pair(first(v), v));
            left.join(right, PLUS, JoinWindows.ofTimeDifferenceWithNoGrace(ms(10)),
                StreamJoined.with(STRING, STRING, STRING).withName("jn").withStoreName("st")).to("out", TEXT);
        });
        BY_NAME.put("join-ss-self", b -> {
            KStream<String, String> stream = b.stream("in", TEXTS);
            stream.join(stream, PLUS, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(10)),
                StreamJoined.with(STRING, STRING, STRING)).to("out", TEXT);
        });
        alias("join-ss-self-optimized", "join-ss-self");
        BY_NAME.put("join-ss-types-in-memory", b -> {
            KStream<Integer, Long> left = b.stream("left", Consumed.with(INT, LONG));
            KStream<Integer, String> right = b.stream("right", Consumed.with(INT, STRING));
            ValueJoinerWithKey<Integer, Long, String, String> joiner = (k, l, r) -> k + "/" + l + "/" + r;
            left.join(right, joiner, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(10)),
                StreamJoined.<Integer, Long, String>with(Stores.inMemoryWindowStore("ls", ms(30), ms(20), true),
                        Stores.inMemoryWindowStore("rs", ms(30), ms(20), true))
                    .withKeySerde(INT).withValueSerde(LONG).withOtherValueSerde(STRING).withLoggingDisabled())
                .to("out", Produced.with(INT, STRING));
        });
    }

    private interface StreamJoin {
        KStream<String, String> of(KStream<String, String> left, KStream<String, String> right,
                                   ValueJoiner<String, String, String> joiner, JoinWindows windows,
                                   StreamJoined<String, String, String> joined);
    }

    private static void streamJoin(String name, StreamJoin join, JoinWindows windows) {
        BY_NAME.put(name, b -> join.of(b.stream("left", TEXTS), b.stream("right", TEXTS), PLUS, windows,
            StreamJoined.with(STRING, STRING, STRING)).to("out", TEXT));
    }

    private static void tableJoins() {
        Joined<String, String, String> texts = Joined.with(STRING, STRING, STRING);
        BY_NAME.put("join-gk-inner", b -> {
            GlobalKTable<String, String> customers = b.globalTable("customers", TEXTS, as("gt", STRING));
            b.stream("orders", TEXTS).join(customers, (k, v) -> before(v), PLUS).to("out", TEXT);
        });
        BY_NAME.put("join-gk-left", b -> {
            GlobalKTable<String, String> customers = b.globalTable("customers", TEXTS, as("gt", STRING));
            b.stream("orders", TEXTS).leftJoin(customers, (k, v) -> before(v), KEY_PLUS).to("out", TEXT);
        });
        BY_NAME.put("join-st-inner", b -> {
            KStream<String, String> left = b.stream("left", TEXTS);
            left.join(b.table("right", TEXTS, as("t", STRING)), PLUS, texts).to("out", TEXT);
        });
        BY_NAME.put("join-st-left", b -> {
            KStream<String, String> left = b.stream("left", TEXTS);
            left.leftJoin(b.table("right", TEXTS, as("t", STRING)), KEY_PLUS, texts).to("out", TEXT);
        });
        BY_NAME.put("join-st-left-rekeyed", b -> {
            KStream<String, String> left = b.stream("left", TEXTS).selectKey((k, v) -> before(v));
            left.leftJoin(b.table("right", TEXTS, as("t", STRING)), PLUS, texts.withName("j1")).to("out", TEXT);
        });
        BY_NAME.put("join-st-versioned", b -> {
            KStream<String, String> left = b.stream("left", TEXTS);
            left.join(b.table("right", TEXTS, versionedAs("v", 1000, STRING)), PLUS, texts).to("out", TEXT);
        });
        BY_NAME.put("join-st-versioned-grace", b -> {
            KStream<String, String> left = b.stream("left", TEXTS);
            left.join(b.table("right", TEXTS, versionedAs("v", 1000, STRING)), PLUS,
                Joined.with(STRING, STRING, STRING, "jg").withGracePeriod(ms(50))).to("out", TEXT);
        });
        BY_NAME.put("join-tt-inner", b -> b.table("left", TEXTS, as("lt", STRING))
            .join(b.table("right", TEXTS, as("rt", STRING)), PLUS).toStream().to("out", TEXT));
        BY_NAME.put("join-tt-left", b -> b.table("left", TEXTS, as("lt", STRING))
            .leftJoin(b.table("right", TEXTS, as("rt", STRING)), PLUS).toStream().to("out", TEXT));
        BY_NAME.put("join-tt-outer", b -> b.table("left", TEXTS, as("lt", STRING))
            .outerJoin(b.table("right", TEXTS, as("rt", STRING)), PLUS).toStream().to("out", TEXT));
        BY_NAME.put("join-tt-inner-materialized", b -> b.table("left", TEXTS)
            .join(b.table("right", TEXTS), PLUS, as("jt", STRING)).toStream().to("out", TEXT));
        BY_NAME.put("join-tt-cached", b -> b.table("left", TEXTS, as("lt", STRING))
            .join(b.table("right", TEXTS, as("rt", STRING)), PLUS, as("jt", STRING)).toStream().to("out", TEXT));
        BY_NAME.put("join-tt-self-derived", b -> {
            KTable<String, Integer> table = b.table("in", INTS, as("t", INT));
            ValueJoiner<Integer, Integer, String> joiner = (l, r) -> l + "/" + r;
            table.outerJoin(table.filter((k, v) -> v > 5), joiner).toStream().to("out", TEXT);
        });
        BY_NAME.put("join-tt-three", b -> {
            KTable<String, String> two = b.table("a", TEXTS).join(b.table("b", TEXTS), PLUS);
            two.leftJoin(b.table("c", TEXTS), PLUS).filter((k, v) -> !v.contains("x")).toStream().to("out", TEXT);
        });
    }

    private static void tables() {
        Produced<String, Integer> ints = Produced.with(STRING, INT);
        BY_NAME.put("table-filter", b -> b.table("in", INTS).filter((k, v) -> v > 3).toStream().to("out", ints));
        BY_NAME.put("table-filter-materialized", b -> b.table("in", INTS, as("src", INT))
            .filter((k, v) -> v > 3, as("big", INT)).toStream().to("out", ints));
        BY_NAME.put("table-groupby-aggregate", b -> b.table("in", TEXTS)
            .groupBy((k, v) -> {
                String[] parts = v.split("-", 2);
                return KeyValue.pair(parts[0].equals("x") ? null : parts[0], parts[1]);
            }, GROUPED)
            .aggregate(() -> "", (k, v, a) -> a + "+" + v, (k, v, a) -> a + "-" + v, as("agg", STRING))
            .toStream().to("out", TEXT));
        BY_NAME.put("table-groupby-count", b -> b.table("in", TEXTS)
            .groupBy((k, v) -> KeyValue.pair(v, v), GROUPED).count(as("n", LONG)).toStream().to("out", COUNT));
        BY_NAME.put("table-headers-format", b -> b.table("in", TEXTS, as("t", STRING))
            .groupBy((k, v) -> KeyValue.pair(v, v), GROUPED).count(as("n", LONG)).toStream().to("out", COUNT));
        BY_NAME.put("table-groupby-reduce", b -> b.table("in", INTS)
            .groupBy((k, v) -> KeyValue.pair(k.substring(0, 1), v), Grouped.with(STRING, INT))
            .reduce(Integer::sum, (a, v) -> a - v, as("sum", INT)).toStream().to("out", ints));
        BY_NAME.put("long-table-groupby", b -> b.table("in", TEXTS, as("t", STRING))
            .groupBy((k, v) -> KeyValue.pair("g" + Integer.parseInt(v) % 3, v), GROUPED)
            .aggregate(() -> "", (k, v, a) -> {
                List<String> list = list(a);
                list.add(v);
                list.sort(Comparator.comparingInt(Integer::parseInt));
                return String.join(",", list);
            }, (k, v, a) -> {
                List<String> list = list(a);
                list.remove(v);
                return list.isEmpty() ? null : String.join(",", list);
            }, as("agg", STRING)).toStream().to("out", TEXT));
        BY_NAME.put("table-map-values", b -> b.table("in", TEXTS)
            .mapValues((k, v) -> v.equals("nil") ? null : k + ":" + v).toStream().to("out", TEXT));
        BY_NAME.put("table-map-values-materialized", b -> b.table("in", TEXTS)
            .mapValues(v -> v.equals("nil") ? null : (Long) (long) v.length(), as("len", LONG))
            .toStream().to("out", COUNT));
        BY_NAME.put("table-source", b -> b.table("in", TEXTS, as("t", STRING)).toStream().to("out", TEXT));
        alias("table-source-optimized", "table-source");
        BY_NAME.put("table-source-unmaterialized", b -> b.table("in", TEXTS).toStream().to("out", TEXT));
        BY_NAME.put("table-to-stream-rekey", b -> {
            KStream<String, String> stream = b.table("in", TEXTS).toStream((k, v) -> v);
            stream.to("out", TEXT);
            stream.groupByKey(GROUPED).count(as("cnt", LONG)).toStream().to("counts", COUNT);
        });
        BY_NAME.put("table-versioned-source", b -> b.table("in", TEXTS, versionedAs("v", 100, STRING))
            .toStream().to("out", TEXT));
        BY_NAME.put("table-versioned-filter", b -> b.table("in", INTS, versionedAs("v", 1000, INT))
            .filter((k, v) -> v > 3, versionedAs("f", 1000, INT)).toStream().to("out", ints));
    }

    private static void windows() {
        BY_NAME.put("win-tumbling-count-grace", b -> windows(10, LONG, grouped(b, "in")
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(5))).count(windowsAs("w", LONG))));
        BY_NAME.put("win-tumbling-count-no-grace", b -> windows(10, LONG, grouped(b, "in")
            .windowedBy(TimeWindows.ofSizeWithNoGrace(ms(10))).count(windowsAs("w", LONG))));
        BY_NAME.put("long-tumbling-count", b -> windows(10, LONG, grouped(b, "in")
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(8))).count(windowsAs("w", LONG))));
        BY_NAME.put("win-large-timestamps", b -> windows(3_600_000, LONG, grouped(b, "in")
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofHours(1), Duration.ofMinutes(10)))
            .count(windowsAs("w", LONG))));
        BY_NAME.put("win-retention", b -> windows(10, LONG, grouped(b, "in")
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(5)))
            .count(windowsAs("w", LONG).withRetention(ms(60)))));
        BY_NAME.put("win-in-memory", b -> windows(10, STRING, grouped(b, "in")
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(20)))
            .aggregate(() -> "", (k, v, a) -> a + v,
                Materialized.<String, String>as(Stores.inMemoryWindowStore("m", ms(30), ms(10), false))
                    .withKeySerde(STRING).withValueSerde(STRING))));
        BY_NAME.put("win-groupby-repartition", b -> b.stream("in", TEXTS)
            .groupBy((k, v) -> v, Grouped.with("gv", STRING, STRING))
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(100))).count(windowsAs("w", LONG))
            .toStream((key, n) -> key.key() + "@" + key.window().start()).to("out", COUNT));
        BY_NAME.put("win-hopping-aggregate-exact", b -> windows(12, INT, b.stream("in", INTS)
            .groupByKey(Grouped.with(STRING, INT))
            .windowedBy(TimeWindows.ofSizeWithNoGrace(ms(12)).advanceBy(ms(4)))
            .aggregate(() -> 100, (k, v, a) -> {
                if (v == null) {
                    return a + 1000;
                }
                return v == -1 ? null : (Integer) (a + v);
            }, windowsAs("agg", INT))));
        BY_NAME.put("win-hopping-cached", b -> windows(10, LONG, grouped(b, "in")
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(5)).advanceBy(ms(5))).count(windowsAs("w", LONG))));
        BY_NAME.put("win-hopping-count", b -> windows(10, LONG, grouped(b, "in")
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(2)).advanceBy(ms(3))).count(windowsAs("w", LONG))));
        BY_NAME.put("long-hopping-reduce", b -> windows(12, STRING, grouped(b, "in")
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(12), ms(6)).advanceBy(ms(5)))
            .aggregate(() -> "", (k, v, a) -> last12(a + "." + v), windowsAs("w", STRING))));
        BY_NAME.put("win-sliding-count", b -> windows(10, LONG, grouped(b, "in")
            .windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(10), ms(20))).count(windowsAs("s", LONG))));
        alias("win-sliding-cached", "win-sliding-count");
        BY_NAME.put("win-sliding-early", b -> windows(10, STRING, grouped(b, "in")
            .windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(10), ms(100)))
            .reduce(PLUS::apply, windowsAs("s", STRING))));
        BY_NAME.put("win-sliding-no-grace", b -> windows(5, INT, b.stream("in", INTS)
            .groupByKey(Grouped.with(STRING, INT))
            .windowedBy(SlidingWindows.ofTimeDifferenceWithNoGrace(ms(5)))
            .reduce(Integer::sum, windowsAs("s", INT))));
        BY_NAME.put("long-sliding-aggregate", b -> windows(10, STRING, grouped(b, "in")
            .windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(10), ms(15)))
            .aggregate(() -> "", (k, v, a) -> last12(a + "." + v), windowsAs("s", STRING))));
        BY_NAME.put("win-unlimited-count", b -> windows(Long.MAX_VALUE, LONG, grouped(b, "in")
            .windowedBy(UnlimitedWindows.of().startOn(Instant.ofEpochMilli(100))).count(windowsAs("w", LONG))));
    }

    private static void sessions() {
        BY_NAME.put("win-session-count", b -> sessions(LONG, grouped(b, "in")
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(10), ms(20))).count(sessionsAs("s", LONG))));
        BY_NAME.put("win-session-cached", b -> sessions(LONG, grouped(b, "in")
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(10), ms(50))).count(sessionsAs("s", LONG))));
        BY_NAME.put("win-session-gap-one", b -> sessions(LONG, b.stream("in", TEXTS)
            .groupBy((k, v) -> v, Grouped.with("gv", STRING, STRING))
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(1), ms(0))).count(sessionsAs("s", LONG))));
        BY_NAME.put("win-session-reduce-no-grace", b -> sessions(STRING, grouped(b, "in")
            .windowedBy(SessionWindows.ofInactivityGapWithNoGrace(ms(5)))
            .reduce(PLUS::apply, sessionsAs("s", STRING))));
        BY_NAME.put("win-session-aggregate-merger", b -> sessions(STRING, grouped(b, "in")
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(10), ms(1000)))
            .aggregate(() -> "", (k, v, a) -> v.equals("nul") ? null : a + v,
                (k, x, y) -> "(" + x + "|" + y + ")", sessionsAs("s", STRING))));
        BY_NAME.put("long-session-aggregate", b -> sessions(STRING, grouped(b, "in")
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(6), ms(25)))
            .aggregate(() -> "", (k, v, a) -> last12(a + v), (k, x, y) -> last12(x + "|" + y),
                sessionsAs("s", STRING))));
    }

    private static void suppressions() {
        BY_NAME.put("win-suppress-tumbling", b -> windows(10, LONG, grouped(b, "in")
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(5))).count(windowsAs("w", LONG))
            .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()).withName("sup"))));
        alias("long-suppress-window-closes", "win-suppress-tumbling");
        BY_NAME.put("win-suppress-hopping", b -> windows(12, INT, b.stream("in", INTS)
            .groupByKey(Grouped.with(STRING, INT))
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(12), ms(3)).advanceBy(ms(6)))
            .reduce(Integer::sum, windowsAs("w", INT))
            .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded())).mapValues(v -> -v)));
        BY_NAME.put("win-suppress-session", b -> sessions(LONG, grouped(b, "in")
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(10), ms(5))).count(sessionsAs("s", LONG))
            .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()).withName("sup"))));
        BY_NAME.put("win-suppress-time-limit", b -> windows(10, LONG, grouped(b, "in")
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(50))).count(windowsAs("w", LONG))
            .suppress(Suppressed.untilTimeLimit(ms(15), BufferConfig.unbounded()))));
        BY_NAME.put("table-suppress-max-records", b -> b.table("in", TEXTS, as("t", STRING))
            .suppress(Suppressed.untilTimeLimit(ms(1000), BufferConfig.maxRecords(2).emitEarlyWhenFull()))
            .toStream().to("out", TEXT));
        BY_NAME.put("table-suppress-time-limit", b -> b.table("in", TEXTS, as("t", STRING))
            .suppress(Suppressed.<String>untilTimeLimit(ms(100), BufferConfig.unbounded()).withName("sup"))
            .toStream().to("out", TEXT));
        BY_NAME.put("table-suppress-zero-limit", b -> b.table("in", TEXTS, as("t", STRING))
            .suppress(Suppressed.untilTimeLimit(ms(0), BufferConfig.maxBytes(100_000))).toStream().to("out", TEXT));
    }

    private static void alias(String name, String of) {
        BY_NAME.put(name, BY_NAME.get(of));
    }

    private static KGroupedStream<String, String> grouped(StreamsBuilder b, String topic) {
        return b.stream(topic, TEXTS).groupByKey(GROUPED);
    }

    private static <V> Materialized<String, V, KeyValueStore<Bytes, byte[]>> as(String name, Serde<V> values) {
        return Materialized.<String, V, KeyValueStore<Bytes, byte[]>>as(name)
            .withKeySerde(STRING).withValueSerde(values);
    }

    private static <V> Materialized<String, V, WindowStore<Bytes, byte[]>> windowsAs(String name, Serde<V> values) {
        return Materialized.<String, V, WindowStore<Bytes, byte[]>>as(name).withKeySerde(STRING).withValueSerde(values);
    }

    private static <V> Materialized<String, V, SessionStore<Bytes, byte[]>> sessionsAs(String name, Serde<V> values) {
        return Materialized.<String, V, SessionStore<Bytes, byte[]>>as(name).withKeySerde(STRING).withValueSerde(values);
    }

    private static <V> Materialized<String, V, KeyValueStore<Bytes, byte[]>> versionedAs(String name, long retention,
                                                                                        Serde<V> values) {
        return Materialized.<String, V>as(Stores.persistentVersionedKeyValueStore(name, ms(retention)))
            .withKeySerde(STRING).withValueSerde(values);
    }

    private static <V> void windows(long size, Serde<V> values, KTable<Windowed<String>, V> table) {
        table.toStream()
            .to("out", Produced.with(new WindowedSerdes.TimeWindowedSerde<>(STRING, size), values));
    }

    private static <V> void sessions(Serde<V> values, KTable<Windowed<String>, V> table) {
        table.toStream().to("out", Produced.with(new WindowedSerdes.SessionWindowedSerde<>(STRING), values));
    }

    private static Duration ms(long milliseconds) {
        return Duration.ofMillis(milliseconds);
    }

    private static String first(String value) {
        return value == null || value.isEmpty() ? null : value.substring(0, 1);
    }

    private static String before(String value) {
        return value == null || value.indexOf('/') < 0 ? null : value.substring(0, value.indexOf('/'));
    }

    private static String last12(String value) {
        return value.substring(Math.max(0, value.length() - 12));
    }

    private static List<String> list(String text) {
        return text.isEmpty() ? new ArrayList<>() : new ArrayList<>(Arrays.asList(text.split(",")));
    }
}
