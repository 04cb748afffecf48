import java.util.Arrays;
import java.util.List;

import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Branched;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.Repartitioned;

/** Tables, aggregations and what has no state. */
final class TableVariants extends Shorthands {
    private TableVariants() {
    }

    static void all() {
        tables();
        regrouped();
        aggregations();
        stateless();
    }

    private static KTable<String, String> source(StreamsBuilder b) {
        return b.table("in", TEXTS, as("t", STRING));
    }

    private static void tables() {
        Variants.variant("table-v-chain", b -> source(b).filter((k, v) -> !v.equals("x")).mapValues(v -> v + "!").filterNot((k, v) -> v.equals("1!")).toStream().to("out", TEXT));
        Variants.variant("table-v-chain-cached", b -> source(b).filter((k, v) -> !v.equals("x")).mapValues(v -> v + "!").filterNot((k, v) -> v.equals("1!")).toStream().to("out", TEXT)).cached();
        Variants.variant("table-v-chain-stores", b -> source(b).filter((k, v) -> !v.equals("x"), as("f", STRING)).mapValues(v -> v.equals("1") ? null : v + "!", as("m", STRING))
            .filterNot((k, v) -> v.equals("2!"), as("g", STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-chain-stores-cached", b -> source(b).filter((k, v) -> !v.equals("x"), as("f", STRING)).mapValues(v -> v.equals("1") ? null : v + "!", as("m", STRING))
            .filterNot((k, v) -> v.equals("2!"), as("g", STRING)).toStream().to("out", TEXT)).cached();
        Variants.variant("table-v-last-store", b -> source(b).filter((k, v) -> !v.equals("x")).mapValues(v -> v.equals("1") ? null : v + "!", as("m", STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-unmaterialized-chain", b -> b.table("in", TEXTS).filter((k, v) -> !v.equals("x")).mapValues(v -> v.equals("1") ? null : v + "!").toStream().to("out", TEXT));
        Variants.variant("table-v-filter-not-store", b -> source(b).filterNot((k, v) -> v.equals("x"), as("f", STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-two-readers", b -> {
            KTable<String, String> table = source(b);
            table.filter((k, v) -> !v.equals("x")).toStream().to("out", TEXT);
            table.mapValues(v -> v + "!").toStream().to("mapped", TEXT);
            table.toStream().filter((k, v) -> v == null).to("gone", TEXT);
        });
        Variants.variant("table-v-versioned-chain", b -> b.table("in", TEXTS, versionedAs("t", 1000, STRING)).filter((k, v) -> !v.equals("x")).mapValues(v -> v + "!").toStream().to("out", TEXT));
        Variants.variant("table-v-versioned-groupby", b -> b.table("in", TEXTS, versionedAs("t", 1000, STRING))
            .groupBy((k, v) -> KeyValue.pair(v, v), Grouped.with("by", STRING, STRING)).count(as("n", LONG)).toStream().to("out", COUNT));
        Variants.variant("table-v-versioned-map-store", b -> b.table("in", TEXTS, versionedAs("t", 1000, STRING)).mapValues(v -> v.equals("x") ? null : v + "!", as("m", STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-versioned-short", b -> b.table("in", TEXTS, versionedAs("t", 10, STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-versioned-zero", b -> b.table("in", TEXTS, versionedAs("t", 0, STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-versioned-to-table", b -> b.stream("in", TEXTS).toTable(versionedAs("t", 1000, STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-versioned-count", b -> grouped(b, "in").count(versionedAs("n", 1000, LONG)).toStream().to("out", COUNT));
        Variants.variant("table-v-versioned-reduce", b -> grouped(b, "in").reduce((x, y) -> last12(x + y), versionedAs("n", 1000, STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-to-table-again", b -> grouped(b, "in").count(as("n", LONG)).toStream().mapValues(String::valueOf).toTable(as("again", STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-to-table-unnamed-filter", b -> b.stream("in", TEXTS).toTable(as("t", STRING)).filter((k, v) -> v.compareTo("3") > 0).toStream().to("out", TEXT));
        Variants.variant("table-v-to-table-cached", b -> b.stream("in", TEXTS).toTable(as("t", STRING)).filter((k, v) -> v.compareTo("3") > 0).toStream().to("out", TEXT)).cached();
        Variants.variant("table-v-logging-off", b -> b.table("in", TEXTS, as("t", STRING).withLoggingDisabled()).filter((k, v) -> !v.equals("x")).toStream().to("out", TEXT));
        Variants.variant("table-v-in-memory", b -> b.table("in", TEXTS, as("t", STRING).withStoreType(org.apache.kafka.streams.kstream.Materialized.StoreType.IN_MEMORY)).mapValues(v -> v + "!").toStream().to("out", TEXT));
        Variants.variant("table-v-caching-off", b -> b.table("in", TEXTS, as("t", STRING).withCachingDisabled()).filter((k, v) -> !v.equals("x")).toStream().to("out", TEXT)).cached();
        Variants.variant("table-v-headers-chain", b -> source(b).filter((k, v) -> !v.equals("x"), as("f", STRING)).mapValues(v -> v.equals("1") ? null : v + "!", as("m", STRING)).toStream().to("out", TEXT)).config("dsl.store.format", "headers");
        Variants.variant("table-v-headers-cached", b -> source(b).filter((k, v) -> !v.equals("x"), as("f", STRING)).toStream().to("out", TEXT)).config("dsl.store.format", "headers").cached();
        Variants.variant("table-v-optimized-chain", b -> source(b).filter((k, v) -> !v.equals("x"), as("f", STRING)).toStream().to("out", TEXT)).config("topology.optimization", "all");
        Variants.variant("table-v-rekeyed-back", b -> source(b).toStream().map((k, v) -> KeyValue.pair(v, k)).toTable(Named.as("back"), as("back", STRING)).toStream().to("out", TEXT));
    }

    private static void regrouped() {
        Variants.variant("table-v-groupby-reduce-text", b -> source(b).groupBy((k, v) -> KeyValue.pair(v.equals("x") ? null : k.compareTo("c") < 0 ? "low" : "high", v), Grouped.with("by", STRING, STRING))
            .reduce((a, v) -> last12(a + "+" + v), (a, v) -> last12(a + "-" + v), as("r", STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-groupby-reduce-cached", b -> source(b).groupBy((k, v) -> KeyValue.pair(v.equals("x") ? null : k.compareTo("c") < 0 ? "low" : "high", v), Grouped.with("by", STRING, STRING))
            .reduce((a, v) -> last12(a + "+" + v), (a, v) -> last12(a + "-" + v), as("r", STRING)).toStream().to("out", TEXT)).cached();
        Variants.variant("table-v-groupby-reduce-null", b -> source(b).groupBy((k, v) -> KeyValue.pair(k.compareTo("c") < 0 ? "low" : "high", v), Grouped.with("by", STRING, STRING))
            .reduce((a, v) -> v.equals("3") ? null : last12(a + "+" + v), (a, v) -> v.equals("5") ? null : last12(a + "-" + v), as("r", STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-groupby-aggregate-null", b -> source(b).groupBy((k, v) -> KeyValue.pair(k.compareTo("c") < 0 ? "low" : "high", v), Grouped.with("by", STRING, STRING))
            .aggregate(() -> "i", (k, v, a) -> v.equals("3") ? null : last12(a + "+" + v), (k, v, a) -> v.equals("5") ? null : last12(a + "-" + v), as("r", STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-groupby-of-filter", b -> source(b).filter((k, v) -> !v.equals("x")).groupBy((k, v) -> KeyValue.pair(v, k), Grouped.with("by", STRING, STRING))
            .aggregate(() -> "", (k, v, a) -> last12(a + "+" + v), (k, v, a) -> last12(a + "-" + v), as("r", STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-groupby-of-map-store", b -> source(b).mapValues(v -> v.equals("x") ? null : v + "!", as("m", STRING)).groupBy((k, v) -> KeyValue.pair(v, k), Grouped.with("by", STRING, STRING))
            .aggregate(() -> "", (k, v, a) -> last12(a + "+" + v), (k, v, a) -> last12(a + "-" + v), as("r", STRING)).toStream().to("out", TEXT)).cached();
        Variants.variant("table-v-groupby-unmaterialized", b -> b.table("in", TEXTS).mapValues(v -> v.equals("x") ? null : v + "!").groupBy((k, v) -> KeyValue.pair(v, k), Grouped.with("by", STRING, STRING))
            .count(as("n", LONG)).toStream().to("out", COUNT));
        Variants.variant("table-v-groupby-twice", b -> source(b).groupBy((k, v) -> KeyValue.pair(v, k), Grouped.with("by", STRING, STRING)).count(as("n", LONG))
            .groupBy((k, n) -> KeyValue.pair("n" + n, k), Grouped.with("by-n", STRING, STRING))
            .aggregate(() -> "", (k, v, a) -> last12(a + "+" + v), (k, v, a) -> last12(a + "-" + v), as("r", STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-groupby-twice-cached", b -> source(b).groupBy((k, v) -> KeyValue.pair(v, k), Grouped.with("by", STRING, STRING)).count(as("n", LONG))
            .groupBy((k, n) -> KeyValue.pair("n" + n, k), Grouped.with("by-n", STRING, STRING))
            .aggregate(() -> "", (k, v, a) -> last12(a + "+" + v), (k, v, a) -> last12(a + "-" + v), as("r", STRING)).toStream().to("out", TEXT)).cached();
        Variants.variant("table-v-groupby-same-key", b -> source(b).groupBy((k, v) -> KeyValue.pair(k, v + "!"), Grouped.with("by", STRING, STRING))
            .aggregate(() -> "", (k, v, a) -> last12(a + "+" + v), (k, v, a) -> last12(a + "-" + v), as("r", STRING)).toStream().to("out", TEXT));
        Variants.variant("table-v-groupby-two", b -> {
            var grouped = source(b).groupBy((k, v) -> KeyValue.pair(v, k), Grouped.with("by", STRING, STRING));
            grouped.count(as("n", LONG)).toStream().to("out", COUNT);
        });
        Variants.variant("table-v-groupby-count-null-value", b -> source(b).groupBy((k, v) -> KeyValue.pair("g", v.equals("x") ? null : v), Grouped.with("by", STRING, STRING))
            .count(as("n", LONG)).toStream().to("out", COUNT));
        Variants.variant("table-v-aggregate-groupby", b -> grouped(b, "in").aggregate(() -> "", (k, v, a) -> v.equals("x") ? null : last12(a + v), as("agg", STRING))
            .groupBy((k, v) -> KeyValue.pair(v.isEmpty() ? null : v.substring(v.length() - 1), v), Grouped.with("by", STRING, STRING)).count(as("n", LONG)).toStream().to("out", COUNT)).withoutNulls().texts("in", "1", "2", "3", "x");
        Variants.variant("table-v-groupby-suppressed-store", b -> source(b).groupBy((k, v) -> KeyValue.pair(v, k), Grouped.with("by", STRING, STRING)).count(as("n", LONG))
            .filter((k, n) -> n > 1, as("f", LONG)).toStream().to("out", COUNT));
    }

    private static void aggregations() {
        Variants.variant("agg-v-reduce-cached", b -> grouped(b, "in").reduce((x, y) -> last12(x + y), as("r", STRING)).toStream().to("out", TEXT)).cached();
        Variants.variant("agg-v-reduce-null", b -> grouped(b, "in").reduce((x, y) -> y.equals("x") ? null : last12(x + y), as("r", STRING)).toStream().to("out", TEXT));
        Variants.variant("agg-v-aggregate-null-cached", b -> grouped(b, "in").aggregate(() -> "i", (k, v, a) -> v.equals("x") ? null : last12(a + v), as("r", STRING)).toStream().to("out", TEXT)).cached();
        Variants.variant("agg-v-merge-three", b -> b.stream("a", TEXTS).merge(b.stream("b", TEXTS)).merge(b.stream("c", TEXTS)).groupByKey(GROUPED).count(as("n", LONG)).toStream().to("out", COUNT))
            .texts("a", "1").texts("b", "2").texts("c", "3");
        Variants.variant("agg-v-flat-map", b -> b.stream("in", TEXTS).flatMap((k, v) -> v == null ? List.of() : List.of(KeyValue.pair(v, k), KeyValue.pair("all", v))).groupByKey(Grouped.with("g", STRING, STRING))
            .reduce((x, y) -> last12(x + y), as("r", STRING)).toStream().to("out", TEXT));
        Variants.variant("agg-v-flat-map-cached", b -> b.stream("in", TEXTS).flatMapValues(v -> v == null ? List.of() : Arrays.asList(v, v + "!", v)).groupByKey(GROUPED)
            .reduce((x, y) -> last12(x + y), as("r", STRING)).toStream().to("out", TEXT)).cached();
        Variants.variant("agg-v-repartition", b -> b.stream("in", TEXTS).selectKey((k, v) -> v).repartition(Repartitioned.with(STRING, STRING).withName("rp").withNumberOfPartitions(1)).groupByKey(GROUPED).count(as("n", LONG)).toStream().to("out", COUNT));
        Variants.variant("agg-v-two-aggregates", b -> {
            var grouped = b.stream("in", TEXTS).groupBy((k, v) -> v, Grouped.with("by", STRING, STRING));
            grouped.count(as("n", LONG)).toStream().to("out", COUNT);
            grouped.reduce((x, y) -> last12(x + y), as("r", STRING)).toStream().to("sums", TEXT);
        });
        Variants.variant("agg-v-two-aggregates-optimized", b -> {
            var grouped = b.stream("in", TEXTS).groupBy((k, v) -> v, Grouped.with("by", STRING, STRING));
            grouped.count(as("n", LONG)).toStream().to("out", COUNT);
            grouped.reduce((x, y) -> last12(x + y), as("r", STRING)).toStream().to("sums", TEXT);
        }).config("topology.optimization", "all");
        Variants.variant("agg-v-then-filter-cached", b -> grouped(b, "in").count(as("n", LONG)).filter((k, n) -> n % 2 == 0).mapValues(n -> "n" + n).toStream().to("out", TEXT)).cached();
        Variants.variant("agg-v-then-filter", b -> grouped(b, "in").count(as("n", LONG)).filter((k, n) -> n % 2 == 0).mapValues(n -> "n" + n).toStream().to("out", TEXT));
        Variants.variant("agg-v-filtered-to-stream-count", b -> grouped(b, "in").count(as("n", LONG)).filter((k, n) -> n % 2 == 0).toStream().groupByKey(Grouped.with("again", STRING, LONG)).count(as("n2", LONG)).toStream().to("out", COUNT));
        Variants.variant("agg-v-in-memory", b -> grouped(b, "in").count(as("n", LONG).withStoreType(org.apache.kafka.streams.kstream.Materialized.StoreType.IN_MEMORY)).toStream().to("out", COUNT)).cached();
        Variants.variant("agg-v-headers-cached", b -> grouped(b, "in").aggregate(() -> "i", (k, v, a) -> v.equals("x") ? null : last12(a + v), as("r", STRING)).toStream().to("out", TEXT)).cached().config("dsl.store.format", "headers");
        Variants.variant("agg-v-headers", b -> grouped(b, "in").aggregate(() -> "i", (k, v, a) -> v.equals("x") ? null : last12(a + v), as("r", STRING)).toStream().to("out", TEXT)).config("dsl.store.format", "headers");
        Variants.variant("agg-v-small-cache", b -> b.stream("in", TEXTS).flatMap((k, v) -> v == null ? List.of() : List.of(KeyValue.pair(k, v), KeyValue.pair("all", v), KeyValue.pair(k, v + "!"))).groupByKey(Grouped.with("g", STRING, STRING))
            .reduce((x, y) -> last12(x + y), as("r", STRING)).toStream().to("out", TEXT)).config("statestore.cache.max.bytes", "300");
    }

    private static void stateless() {
        Variants.variant("stateless-v-merge-three", b -> b.stream("a", TEXTS).mapValues(v -> "A" + v).merge(b.stream("b", TEXTS)).merge(b.stream("c", TEXTS).filter((k, v) -> v != null)).to("out", TEXT))
            .texts("a", "1").texts("b", "2").texts("c", "3");
        Variants.variant("stateless-v-split", b -> {
            var branches = b.stream("in", TEXTS).split(Named.as("s-")).branch((k, v) -> v != null && v.compareTo("3") < 0, Branched.as("low"))
                .branch((k, v) -> "c".equals(k), Branched.as("c")).noDefaultBranch();
            branches.get("s-low").mapValues(v -> v + "!").to("low", TEXT);
            branches.get("s-c").to("c", TEXT);
        });
        Variants.variant("stateless-v-split-nested", b -> b.stream("in", TEXTS).split().branch((k, v) -> v != null, Branched.withConsumer(s -> s.split()
                .branch((k, v) -> v.compareTo("3") < 0, Branched.withConsumer(t -> t.to("low", TEXT)))
                .defaultBranch(Branched.withConsumer(t -> t.to("high", TEXT)))))
            .defaultBranch(Branched.withConsumer(s -> s.to("nulls", TEXT))));
        Variants.variant("stateless-v-dynamic-headers", b -> b.stream("in", TEXTS).mapValues(v -> v + "!").to((k, v, context) -> context.headers().lastHeader("h") == null ? "plain" : "with-header", TEXT));
        Variants.variant("stateless-v-dynamic-context", TableVariants::byContext).texts("a", "1").texts("b", "2");
        Variants.variant("stateless-v-dynamic-context-cached", TableVariants::byContext).texts("a", "1").texts("b", "2").cached();
        Variants.variant("stateless-v-diamond", b -> {
            KStream<String, String> in = b.stream("in", TEXTS);
            in.mapValues(v -> v + "1").merge(in.mapValues(v -> v + "2")).to("out", TEXT);
        });
        Variants.variant("stateless-v-two-sinks", b -> {
            KStream<String, String> in = b.stream("in", TEXTS);
            in.to("copy", TEXT);
            in.filter((k, v) -> v != null).selectKey((k, v) -> v).to("out", TEXT);
        });
        Variants.variant("stateless-v-two-topics", b -> b.stream(List.of("a", "b"), TEXTS).mapValues(v -> v + "!").to("out", TEXT)).texts("a", "1").texts("b", "2");
        Variants.variant("stateless-v-repartition-twice", b -> b.stream("in", TEXTS).selectKey((k, v) -> v).repartition(Repartitioned.with(STRING, STRING).withName("one"))
            .map((k, v) -> KeyValue.pair(v, k)).repartition(Repartitioned.with(STRING, STRING).withName("two")).to("out", TEXT));
        Variants.variant("stateless-v-repartition-nulls", b -> b.stream("in", TEXTS).mapValues(v -> "x".equals(v) ? null : v).repartition(Repartitioned.with(STRING, STRING).withName("one")).to("out", TEXT));
        Variants.variant("stateless-v-through-own-topic", b -> {
            b.stream("in", TEXTS).mapValues(v -> v + "!").to("middle", TEXT);
            b.stream("middle", TEXTS).groupByKey(GROUPED).count(as("n", LONG)).toStream().to("out", COUNT);
        });
    }

    private static void byContext(StreamsBuilder b) {
        b.stream(List.of("a", "b"), TEXTS).groupByKey(GROUPED).count(as("n", LONG)).toStream()
            .to((k, n, context) -> context.topic() + "-" + (context.timestamp() % 3 + context.offset() % 2) + "-" + k, COUNT);
    }
}
