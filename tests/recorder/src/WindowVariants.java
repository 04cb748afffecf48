import java.time.Duration;
import java.time.Instant;

import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindowedKStream;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.TimeWindowedKStream;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.UnlimitedWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** Aggregations by windows and sessions. */
final class WindowVariants extends Shorthands {
    private static final EmitStrategy CLOSE = EmitStrategy.onWindowClose();

    private WindowVariants() {
    }

    static void all() {
        onUpdate();
        sessions();
        onClose();
        tablesOfWindows();
        cogroups();
    }

    private static void onUpdate() {
        Variants.variant("win-v-tumbling-reduce", b -> windows(10, STRING, tumbling(b).reduce(PLUS::apply, windowsAs("w", STRING))));
        Variants.variant("win-v-hopping-reduce-cached", b -> windows(12, STRING, hopping(b).reduce(PLUS::apply, windowsAs("w", STRING)))).cached();
        Variants.variant("win-v-sliding-reduce-cached", b -> windows(10, STRING, sliding(b).reduce(PLUS::apply, windowsAs("w", STRING)))).cached();
        Variants.variant("win-v-sliding-aggregate-null", b -> windows(10, STRING, sliding(b)
            .aggregate(() -> "", (k, v, a) -> v.equals("x") ? null : last12(a + v), windowsAs("w", STRING))));
        Variants.variant("win-v-tumbling-aggregate-null", b -> windows(10, STRING, tumbling(b)
            .aggregate(() -> "", (k, v, a) -> v == null || v.equals("x") ? null : last12(a + v), windowsAs("w", STRING)))).cached();
        Variants.variant("win-v-sliding-in-memory", b -> windows(10, LONG, sliding(b)
            .count(inMemory(windowsAs("w", LONG), 60))));
        Variants.variant("win-v-sliding-retention", b -> windows(10, LONG, sliding(b)
            .count(windowsAs("w", LONG).withRetention(ms(70_000)))));
        Variants.variant("win-v-sliding-huge-grace", b -> windows(10, STRING, grouped(b, "in")
            .windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(10), ms(100_000))).aggregate(() -> "", (k, v, a) -> last12(a + v), windowsAs("w", STRING))));
        Variants.variant("win-v-unlimited-reduce-cached", b -> windows(Long.MAX_VALUE, STRING, grouped(b, "in")
            .windowedBy(UnlimitedWindows.of()).reduce((x, y) -> last12(x + y), windowsAs("w", STRING)))).cached();
        Variants.variant("win-v-headers-tumbling", b -> windows(10, LONG, tumbling(b).count(windowsAs("w", LONG)))).config("dsl.store.format", "headers");
        Variants.variant("win-v-headers-sliding", b -> windows(10, STRING, sliding(b)
            .aggregate(() -> "", (k, v, a) -> v.equals("x") ? null : last12(a + v), windowsAs("w", STRING)))).config("dsl.store.format", "headers").cached();
        Variants.variant("win-v-logging-off", b -> windows(10, LONG, tumbling(b).count(windowsAs("w", LONG).withLoggingDisabled())));
        Variants.variant("win-v-sliding-repartition", b -> windows(10, LONG, b.stream("in", TEXTS)
            .groupBy((k, v) -> v, Grouped.with("gv", STRING, STRING))
            .windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(10), ms(5))).count(windowsAs("w", LONG))));
        Variants.variant("win-v-two-of-one", b -> {
            var grouped = grouped(b, "in");
            windows(10, LONG, grouped.windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(5))).count(windowsAs("w", LONG)));
            grouped.windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(10), ms(5))).count(sessionsAs("s", LONG)).toStream()
                .to("sessions", Produced.with(new WindowedSerdes.SessionWindowedSerde<>(STRING), LONG));
        });
    }

    private static void sessions() {
        Variants.variant("win-v-session-in-memory", b -> sessions(LONG, session(b)
            .count(inMemory(sessionsAs("s", LONG), 60))));
        Variants.variant("win-v-session-in-memory-cached", b -> sessions(STRING, session(b)
            .reduce((x, y) -> last12(x + y), inMemory(sessionsAs("s", STRING), 60)))).cached();
        Variants.variant("win-v-session-aggregate-cached", b -> sessions(STRING, session(b)
            .aggregate(() -> "i", (k, v, a) -> last12(a + v), (k, x, y) -> last12(x + "|" + y), sessionsAs("s", STRING)))).cached();
        Variants.variant("win-v-session-aggregate-null", b -> sessions(STRING, session(b)
            .aggregate(() -> "", (k, v, a) -> "x".equals(v) ? null : last12(a + v),
                (k, x, y) -> last12(x + "|" + y), sessionsAs("s", STRING)))).withoutNulls();
        Variants.variant("win-v-session-reduce-repartition", b -> sessions(STRING, b.stream("in", TEXTS)
            .groupBy((k, v) -> v, Grouped.with("gv", STRING, STRING))
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(10), ms(15))).reduce((x, y) -> last12(x + y), sessionsAs("s", STRING))));
        Variants.variant("win-v-session-gap-zero", b -> sessions(LONG, grouped(b, "in")
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(0), ms(10))).count(sessionsAs("s", LONG)))).gap(2);
        Variants.variant("win-v-session-headers", b -> sessions(LONG, session(b).count(sessionsAs("s", LONG)))).config("dsl.store.format", "headers");
        Variants.variant("win-v-session-retention", b -> sessions(LONG, session(b).count(sessionsAs("s", LONG).withRetention(ms(200_000)))));
    }

    private static void onClose() {
        Variants.variant("win-v-close-tumbling-reduce", b -> windows(10, STRING, tumbling(b).emitStrategy(CLOSE).reduce(PLUS::apply, windowsAs("w", STRING)))).gap(1).withoutJumps();
        Variants.variant("win-v-close-hopping-cached", b -> windows(12, LONG, hopping(b).emitStrategy(CLOSE).count(windowsAs("w", LONG)))).gap(1).withoutJumps().cached();
        Variants.variant("win-v-close-sliding-reduce", b -> windows(10, STRING, sliding(b).emitStrategy(CLOSE).reduce(PLUS::apply, windowsAs("w", STRING)))).gap(1).withoutJumps();
        Variants.variant("win-v-close-sliding-no-grace", b -> windows(10, LONG, grouped(b, "in")
            .windowedBy(SlidingWindows.ofTimeDifferenceWithNoGrace(ms(10))).emitStrategy(CLOSE).count(windowsAs("w", LONG)))).gap(1).withoutJumps();
        Variants.variant("win-v-close-session-reduce", b -> sessions(STRING, session(b).emitStrategy(CLOSE).reduce(PLUS::apply, sessionsAs("s", STRING)))).gap(1).withoutJumps();
        Variants.variant("win-v-close-session-cached", b -> sessions(LONG, session(b).emitStrategy(CLOSE).count(sessionsAs("s", LONG)))).gap(1).withoutJumps().cached();
        Variants.variant("win-v-close-repartition", b -> windows(10, LONG, b.stream("in", TEXTS)
            .groupBy((k, v) -> v, Grouped.with("gv", STRING, STRING))
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(5))).emitStrategy(CLOSE).count(windowsAs("w", LONG)))).gap(1).withoutJumps();
        Variants.variant("win-v-close-then-filter", b -> windows(10, STRING, tumbling(b).emitStrategy(CLOSE).count(windowsAs("w", LONG))
            .filter((k, n) -> n > 1).mapValues(n -> "n" + n))).gap(1).withoutJumps();
        Variants.variant("win-v-close-then-groupby", b -> tumbling(b).emitStrategy(CLOSE).count(windowsAs("w", LONG))
            .groupBy((k, n) -> KeyValue.pair(k.key(), n), Grouped.with("by-key", STRING, LONG))
            .reduce(Long::sum, (x, y) -> x - y, as("sum", LONG)).toStream().to("out", COUNT)).gap(1).withoutJumps();
        Variants.variant("win-v-close-headers", b -> windows(10, LONG, tumbling(b).emitStrategy(CLOSE).count(windowsAs("w", LONG))))
            .gap(1).withoutJumps().config("dsl.store.format", "headers");
        Variants.variant("win-v-close-in-memory", b -> windows(10, LONG, tumbling(b).emitStrategy(CLOSE)
            .count(inMemory(windowsAs("w", LONG), 60))))
            .gap(1).withoutJumps();
    }

    private static void tablesOfWindows() {
        Variants.variant("win-v-then-filter", b -> windows(10, STRING, tumbling(b).count(windowsAs("w", LONG))
            .filter((k, n) -> n % 2 == 0).mapValues(n -> "n" + n)));
        Variants.variant("win-v-then-filter-cached", b -> windows(10, STRING, tumbling(b).count(windowsAs("w", LONG))
            .filter((k, n) -> n % 2 == 0).mapValues(n -> "n" + n))).cached();
        Variants.variant("win-v-then-groupby", b -> tumbling(b).count(windowsAs("w", LONG))
            .groupBy((k, n) -> KeyValue.pair(k.key(), n), Grouped.with("by-key", STRING, LONG))
            .aggregate(() -> "", (k, n, a) -> last12(a + "+" + n), (k, n, a) -> last12(a + "-" + n), as("agg", STRING)).toStream().to("out", TEXT));
        Variants.variant("win-v-session-then-groupby", b -> session(b).count(sessionsAs("s", LONG))
            .groupBy((k, n) -> KeyValue.pair(k.key(), n), Grouped.with("by-key", STRING, LONG))
            .aggregate(() -> "", (k, n, a) -> last12(a + "+" + n), (k, n, a) -> last12(a + "-" + n), as("agg", STRING)).toStream().to("out", TEXT));
        Variants.variant("win-v-sliding-then-groupby-cached", b -> sliding(b).count(windowsAs("w", LONG))
            .groupBy((k, n) -> KeyValue.pair(k.key(), n), Grouped.with("by-key", STRING, LONG))
            .aggregate(() -> "", (k, n, a) -> last12(a + "+" + n), (k, n, a) -> last12(a + "-" + n), as("agg", STRING)).toStream().to("out", TEXT)).cached();
        Variants.variant("win-v-joined", b -> windows(10, STRING, tumbling(b, "a").count(windowsAs("wa", LONG))
            .join(tumbling(b, "b").count(windowsAs("wb", LONG)), (x, y) -> x + "/" + y))).texts("a", "1", "2").texts("b", "3", "4");
        Variants.variant("win-v-outer-joined", b -> windows(10, STRING, tumbling(b, "a").count(windowsAs("wa", LONG))
            .outerJoin(tumbling(b, "b").count(windowsAs("wb", LONG)), (x, y) -> x + "/" + y))).texts("a", "1", "2").texts("b", "3", "4");
        Variants.variant("win-v-again", b -> tumbling(b).count(windowsAs("w", LONG)).toStream()
            .map((k, n) -> KeyValue.pair(k.key(), String.valueOf(n)))
            .groupByKey(Grouped.with("again", STRING, STRING))
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(30), ms(10))).reduce((x, y) -> last12(x + y), windowsAs("w2", STRING))
            .toStream().to("out", Produced.with(new WindowedSerdes.TimeWindowedSerde<>(STRING, 30), STRING)));
    }

    private static void cogroups() {
        Variants.variant("cogroup-v-hopping-cached", b -> windows(12, STRING, cogrouped(b)
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(12), ms(6)).advanceBy(ms(5))).aggregate(() -> "", windowsAs("cg", STRING))))
            .texts("a", "1", "2").texts("b", "3", "4").texts("c", "5", "6").cached();
        Variants.variant("cogroup-v-sliding", b -> windows(10, STRING, cogrouped(b)
            .windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(10), ms(20))).aggregate(() -> "", windowsAs("cg", STRING))))
            .texts("a", "1", "2").texts("b", "3", "4").texts("c", "5", "6");
        Variants.variant("cogroup-v-session-cached", b -> sessions(STRING, cogrouped(b)
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(10), ms(20))).aggregate(() -> "", (k, x, y) -> last12(x + "|" + y), sessionsAs("cg", STRING))))
            .texts("a", "1", "2").texts("b", "3", "4").texts("c", "5", "6").cached();
        Variants.variant("cogroup-v-three", b -> cogrouped(b).aggregate(() -> "", as("cg", STRING)).toStream().to("out", TEXT))
            .texts("a", "1", "2").texts("b", "3", "4").texts("c", "5", "6");
        Variants.variant("cogroup-v-cached", b -> cogrouped(b).aggregate(() -> "", as("cg", STRING)).toStream().to("out", TEXT))
            .texts("a", "1", "2").texts("b", "3", "4").texts("c", "5", "6").cached();
        Variants.variant("cogroup-v-null", b -> grouped(b, "a").<String>cogroup((k, v, a) -> v.equals("x") ? null : last12(a + "a" + v))
            .cogroup(grouped(b, "b"), (k, v, a) -> v.equals("x") ? null : last12(a + "b" + v))
            .aggregate(() -> "i", as("cg", STRING)).toStream().to("out", TEXT))
            .texts("a", "1", "2", "x").texts("b", "3", "4", "x");
        Variants.variant("cogroup-v-both-repartitioned", b -> windows(10, STRING, b.stream("a", TEXTS).groupBy((k, v) -> v, Grouped.with("ga", STRING, STRING))
            .<String>cogroup((k, v, a) -> last12(a + "a" + v))
            .cogroup(b.stream("b", TEXTS).groupBy((k, v) -> v, Grouped.with("gb", STRING, STRING)), (k, v, a) -> last12(a + "b" + v))
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(5))).aggregate(() -> "", windowsAs("cg", STRING))))
            .texts("a", "1", "2", "3").texts("b", "1", "2", "3");
        Variants.variant("cogroup-v-one", b -> grouped(b, "in").<String>cogroup((k, v, a) -> last12(a + v))
            .aggregate(() -> "", as("cg", STRING)).toStream().to("out", TEXT));
        Variants.variant("cogroup-v-suppressed", b -> windows(10, STRING, cogrouped(b)
            .windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(5))).aggregate(() -> "", windowsAs("cg", STRING))
            .suppress(org.apache.kafka.streams.kstream.Suppressed.untilWindowCloses(org.apache.kafka.streams.kstream.Suppressed.BufferConfig.unbounded()).withName("sup"))))
            .texts("a", "1", "2").texts("b", "3", "4").texts("c", "5", "6");
    }
}
