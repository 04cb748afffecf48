import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.Windowed;

/** Tables whose updates are held back. */
final class SuppressVariants extends Shorthands {
    private SuppressVariants() {
    }

    @SuppressWarnings("rawtypes")
    static void all() {
        Suppressed<Windowed> closes = closes(BufferConfig.unbounded());
        Variants.variant("win-v-suppress-hopping-cached", b -> windows(12, LONG, hopping(b).count(windowsAs("w", LONG)).suppress(closes))).cached();
        Variants.variant("win-v-suppress-session-aggregate", b -> sessions(STRING, session(b)
            .aggregate(() -> "", (k, v, a) -> last12(a + v), (k, x, y) -> last12(x + "|" + y), sessionsAs("s", STRING)).suppress(closes)));
        Variants.variant("win-v-suppress-session-cached", b -> sessions(LONG, session(b).count(sessionsAs("s", LONG)).suppress(closes))).cached();
        Variants.variant("win-v-suppress-sliding", b -> windows(10, LONG, sliding(b).count(windowsAs("w", LONG)).suppress(closes)));
        Variants.variant("win-v-suppress-headers", b -> windows(10, LONG, tumbling(b).count(windowsAs("w", LONG)).suppress(closes))).config("dsl.store.format", "headers");
        Variants.variant("win-v-suppress-repartition", b -> windows(10, LONG, b.stream("in", TEXTS).groupBy((k, v) -> v, Grouped.with("gv", STRING, STRING))
            .windowedBy(org.apache.kafka.streams.kstream.TimeWindows.ofSizeWithNoGrace(ms(10))).count(windowsAs("w", LONG)).suppress(closes)));
        Variants.variant("win-v-suppress-after-filter", b -> windows(10, STRING, tumbling(b).count(windowsAs("w", LONG))
            .filter((k, n) -> n % 2 == 1).mapValues(n -> "n" + n).suppress(closes)));
        Variants.variant("win-v-suppress-then-filter", b -> windows(10, STRING, tumbling(b).count(windowsAs("w", LONG)).suppress(closes)
            .filter((k, n) -> n % 2 == 1).mapValues(n -> "n" + n)));
        Variants.variant("win-v-suppress-then-groupby", b -> tumbling(b).count(windowsAs("w", LONG)).suppress(closes)
            .groupBy((k, n) -> KeyValue.pair(k.key(), n), Grouped.with("by-key", STRING, LONG))
            .aggregate(() -> "", (k, n, a) -> last12(a + "+" + n), (k, n, a) -> last12(a + "-" + n), as("agg", STRING)).toStream().to("out", TEXT));
        Variants.variant("win-v-suppress-early", b -> windows(10, LONG, tumbling(b).count(windowsAs("w", LONG))
            .suppress(Suppressed.<Windowed>untilTimeLimit(ms(12), BufferConfig.maxRecords(3).emitEarlyWhenFull()).withName("sup"))));
        Variants.variant("win-v-suppress-early-session", b -> sessions(LONG, session(b).count(sessionsAs("s", LONG))
            .suppress(Suppressed.<Windowed>untilTimeLimit(ms(30), BufferConfig.maxBytes(400).emitEarlyWhenFull()).withName("sup"))));
        Variants.variant("win-v-suppress-logging-off", b -> windows(10, LONG, tumbling(b).count(windowsAs("w", LONG))
            .suppress(closes(BufferConfig.unbounded().withLoggingDisabled()))));
        Variants.variant("win-v-suppress-then-join", b -> {
            KTable<String, String> table = b.table("t", TEXTS, as("t", STRING));
            KStream<String, Long> closed = tumbling(b).count(windowsAs("w", LONG)).suppress(closes).toStream().selectKey((k, n) -> k.key());
            closed.join(table, (n, t) -> n + "/" + t, org.apache.kafka.streams.kstream.Joined.with(STRING, LONG, STRING, "j")).to("out", TEXT);
        }).texts("in", "1", "2").texts("t", "x", "y");

        Variants.variant("table-v-suppress-bytes", b -> b.table("in", TEXTS, as("t", STRING))
            .suppress(limit(1000, BufferConfig.maxBytes(300).emitEarlyWhenFull())).toStream().to("out", TEXT)).texts("in", "1", "four", "a longer value", "a value that is longer still, by far");
        Variants.variant("table-v-suppress-bytes-and-records", b -> b.table("in", TEXTS, as("t", STRING))
            .suppress(limit(20, BufferConfig.maxBytes(300).withMaxRecords(3).emitEarlyWhenFull())).toStream().to("out", TEXT)).texts("in", "1", "four", "a longer value", "a value that is longer still, by far");
        Variants.variant("table-v-suppress-zero-records", b -> b.table("in", TEXTS, as("t", STRING))
            .suppress(limit(20, BufferConfig.maxRecords(0).emitEarlyWhenFull())).toStream().to("out", TEXT));
        Variants.variant("table-v-suppress-fail", b -> b.table("in", TEXTS, as("t", STRING))
            .suppress(limit(20, BufferConfig.maxRecords(4).shutDownWhenFull())).toStream().to("out", TEXT));
        Variants.variant("table-v-suppress-fail-bytes", b -> b.table("in", TEXTS, as("t", STRING))
            .suppress(limit(20, BufferConfig.maxBytes(500).shutDownWhenFull())).toStream().to("out", TEXT));
        Variants.variant("table-v-suppress-count", b -> grouped(b, "in").count(as("n", LONG)).suppress(limit(12, BufferConfig.unbounded())).toStream().to("out", COUNT));
        Variants.variant("table-v-suppress-count-cached", b -> grouped(b, "in").count(as("n", LONG)).suppress(limit(12, BufferConfig.unbounded())).toStream().to("out", COUNT)).cached();
        Variants.variant("table-v-suppress-then-groupby", b -> b.table("in", TEXTS, as("t", STRING)).suppress(limit(12, BufferConfig.unbounded()))
            .groupBy((k, v) -> KeyValue.pair(v, v), Grouped.with("by", STRING, STRING)).count(as("n", LONG)).toStream().to("out", COUNT));
        Variants.variant("table-v-suppress-unmaterialized", b -> b.table("in", TEXTS).suppress(limit(12, BufferConfig.unbounded())).toStream().to("out", TEXT));
        Variants.variant("table-v-suppress-filtered", b -> b.table("in", TEXTS, as("t", STRING)).filter((k, v) -> !v.equals("x"))
            .suppress(limit(12, BufferConfig.unbounded())).toStream().to("out", TEXT));
        Variants.variant("table-v-suppress-mapped-store", b -> b.table("in", TEXTS, as("t", STRING)).mapValues(v -> v.equals("x") ? null : v + "!", as("m", STRING))
            .suppress(limit(12, BufferConfig.maxRecords(2).emitEarlyWhenFull())).toStream().to("out", TEXT));
        Variants.variant("table-v-suppress-joined", b -> b.table("a", TEXTS, as("a", STRING)).leftJoin(b.table("b", TEXTS, as("b", STRING)), PLUS)
            .suppress(limit(12, BufferConfig.unbounded())).toStream().to("out", TEXT)).texts("a", "1", "2").texts("b", "3", "4");
        Variants.variant("table-v-suppress-join", b -> b.table("a", TEXTS, as("a", STRING)).suppress(limit(12, BufferConfig.unbounded()))
            .join(b.table("b", TEXTS, as("b", STRING)), PLUS).toStream().to("out", TEXT)).texts("a", "1", "2").texts("b", "3", "4");
        Variants.variant("table-v-suppress-twice", b -> b.table("in", TEXTS, as("t", STRING)).suppress(limit(12, BufferConfig.unbounded()))
            .mapValues(v -> v + "!").suppress(Suppressed.<String>untilTimeLimit(ms(20), BufferConfig.maxRecords(2).emitEarlyWhenFull()).withName("again")).toStream().to("out", TEXT));
        Variants.variant("table-v-suppress-two-readers", b -> {
            KTable<String, String> held = b.table("in", TEXTS, as("t", STRING)).suppress(limit(12, BufferConfig.unbounded()));
            held.toStream().to("out", TEXT);
            held.filter((k, v) -> v.compareTo("3") > 0).toStream().to("large", TEXT);
        });
        Variants.variant("table-v-suppress-headers", b -> b.table("in", TEXTS, as("t", STRING)).suppress(limit(12, BufferConfig.unbounded())).toStream().to("out", TEXT)).config("dsl.store.format", "headers");
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Suppressed<Windowed> closes(Suppressed.StrictBufferConfig buffer) {
        return (Suppressed<Windowed>) (Suppressed) Suppressed.untilWindowCloses(buffer).withName("sup");
    }

    private static Suppressed<String> limit(long time, BufferConfig<?> buffer) {
        return Suppressed.<String>untilTimeLimit(ms(time), buffer).withName("sup");
    }
}
