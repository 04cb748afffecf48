import java.util.List;

import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TableJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.ValueJoiner;
import org.apache.kafka.streams.state.Stores;

/** Joins of streams and tables with one another. */
final class JoinVariants extends Shorthands {
    private static final StreamJoined<String, String, String> JOINED =
        StreamJoined.with(STRING, STRING, STRING).withName("joined").withStoreName("joined");
    private static final List<String> FOREIGN = List.of("p", "q", "r");

    private JoinVariants() {
    }

    static void all() {
        streams();
        streamWithTable();
        globalTables();
        tables();
        foreignKeys();
    }

    private interface Join {
        KStream<String, String> of(KStream<String, String> left, KStream<String, String> right,
                                   ValueJoiner<String, String, String> joiner, JoinWindows windows,
                                   StreamJoined<String, String, String> joined);
    }

    private static Variants.Variant streamJoin(String name, Join join, JoinWindows windows, StreamJoined<String, String, String> joined) {
        return sides(Variants.variant(name, b -> join.of(b.stream("left", TEXTS), b.stream("right", TEXTS), PLUS, windows, joined).to("out", TEXT)));
    }

    private static Variants.Variant sides(Variants.Variant variant) {
        return variant.texts("left", "1", "2", "3").texts("right", "x", "y", "z");
    }

    private static void streams() {
        streamJoin("join-v-ss-left-before-after", KStream::leftJoin, JoinWindows.ofTimeDifferenceAndGrace(ms(0), ms(6)).before(ms(10)).after(ms(3)), JOINED);
        streamJoin("join-v-ss-outer-before-after", KStream::outerJoin, JoinWindows.ofTimeDifferenceAndGrace(ms(0), ms(6)).before(ms(3)).after(ms(12)), JOINED);
        streamJoin("join-v-ss-outer-before-only", KStream::outerJoin, JoinWindows.ofTimeDifferenceWithNoGrace(ms(0)).before(ms(9)), JOINED);
        streamJoin("join-v-ss-inner-future-only", KStream::join, JoinWindows.ofTimeDifferenceAndGrace(ms(0), ms(5)).after(ms(9)), JOINED);
        streamJoin("join-v-ss-outer-zero", KStream::outerJoin, JoinWindows.ofTimeDifferenceAndGrace(ms(0), ms(3)), JOINED).gap(1);
        streamJoin("join-v-ss-outer-huge-grace", KStream::outerJoin, JoinWindows.ofTimeDifferenceAndGrace(ms(5), ms(100_000)), JOINED);
        streamJoin("join-v-ss-left-in-memory", KStream::leftJoin, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(10)),
            StreamJoined.<String, String, String>with(Stores.inMemoryWindowStore("ls", ms(30), ms(20), true), Stores.inMemoryWindowStore("rs", ms(30), ms(20), true))
                .withKeySerde(STRING).withValueSerde(STRING).withOtherValueSerde(STRING).withName("joined"));
        streamJoin("join-v-ss-headers", KStream::leftJoin, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)), JOINED).config("dsl.store.format", "headers");
        streamJoin("join-v-ss-left-clock", KStream::leftJoin, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)), JOINED).withClock();
        streamJoin("join-v-ss-logging-off", KStream::outerJoin, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)), JOINED.withLoggingDisabled());
        sides(Variants.variant("join-v-ss-outer-rekeyed", b -> {
            KStream<String, String> left = b.stream("left", TEXTS).selectKey((k, v) -> v);
            KStream<String, String> right = b.stream("right", TEXTS).selectKey((k, v) -> v);
            left.outerJoin(right, PLUS, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)), JOINED).to("out", TEXT);
        })).texts("left", "1", "2", "3", "4").texts("right", "1", "2", "3");
        sides(Variants.variant("join-v-ss-left-rekeyed-right", b -> {
            KStream<String, String> left = b.stream("left", TEXTS);
            KStream<String, String> right = b.stream("right", TEXTS).map((k, v) -> KeyValue.pair(v, k));
            left.leftJoin(right, PLUS, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)), JOINED).to("out", TEXT);
        })).texts("right", "a", "b", "c", "d");
        sides(Variants.variant("join-v-ss-outer-then-count", b -> b.stream("left", TEXTS)
            .outerJoin(b.stream("right", TEXTS), PLUS, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)), JOINED)
            .groupByKey(Grouped.with("grouped", STRING, STRING)).count(as("n", LONG)).toStream().to("out", COUNT)));
        sides(Variants.variant("join-v-ss-left-then-window", b -> windows(10, STRING, b.stream("left", TEXTS)
            .leftJoin(b.stream("right", TEXTS), PLUS, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)), JOINED)
            .groupByKey(Grouped.with("grouped", STRING, STRING)).windowedBy(TimeWindows.ofSizeAndGrace(ms(10), ms(20)))
            .reduce((x, y) -> last12(x + y), windowsAs("w", STRING)))));
        Variants.variant("join-v-ss-self-left", b -> {
            KStream<String, String> in = b.stream("in", TEXTS);
            in.leftJoin(in, PLUS, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)), JOINED).to("out", TEXT);
        });
        Variants.variant("join-v-ss-self-outer-mapped", b -> {
            KStream<String, String> in = b.stream("in", TEXTS);
            KStream<String, String> mapped = in.mapValues(v -> v + "!");
            in.filter((k, v) -> v == null || v.compareTo("5") < 0).outerJoin(mapped, PLUS, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)), JOINED).to("out", TEXT);
        });
        sides(Variants.variant("join-v-ss-chain", b -> b.stream("left", TEXTS)
            .join(b.stream("right", TEXTS), PLUS, JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(10)), StreamJoined.with(STRING, STRING, STRING).withName("first").withStoreName("first"))
            .leftJoin(b.stream("third", TEXTS), PLUS, JoinWindows.ofTimeDifferenceAndGrace(ms(5), ms(10)), JOINED).to("out", TEXT)))
            .texts("third", "T", "U");
        sides(Variants.variant("join-v-ss-self-before-after", b -> {
            KStream<String, String> in = b.stream("left", TEXTS).merge(b.stream("right", TEXTS));
            in.join(in, PLUS, JoinWindows.ofTimeDifferenceAndGrace(ms(0), ms(5)).before(ms(8)).after(ms(3)), JOINED).to("out", TEXT);
        }));
    }

    private static void streamWithTable() {
        Joined<String, String, String> texts = Joined.with(STRING, STRING, STRING, "j");
        Variants.variant("join-v-st-count", b -> {
            KTable<String, Long> counts = grouped(b, "right").count(as("n", LONG));
            b.stream("left", TEXTS).join(counts, (v, n) -> v + "/" + n, Joined.with(STRING, STRING, LONG, "j")).to("out", TEXT);
        }).texts("left", "1", "2").texts("right", "x", "y");
        Variants.variant("join-v-st-left-reduced-cached", b -> {
            KTable<String, String> sums = grouped(b, "right").reduce((x, y) -> last12(x + y), as("r", STRING));
            b.stream("left", TEXTS).leftJoin(sums, PLUS, texts).to("out", TEXT);
        }).texts("left", "1", "2").texts("right", "x", "y").cached();
        Variants.variant("join-v-st-own-count", b -> {
            KStream<String, String> in = b.stream("in", TEXTS);
            KTable<String, Long> counts = in.groupByKey(GROUPED).count(as("n", LONG));
            in.leftJoin(counts, (v, n) -> v + "/" + n, Joined.with(STRING, STRING, LONG, "j")).to("out", TEXT);
        });
        Variants.variant("join-v-st-own-count-cached", b -> {
            KStream<String, String> in = b.stream("in", TEXTS);
            KTable<String, Long> counts = in.groupByKey(GROUPED).count(as("n", LONG));
            in.leftJoin(counts, (v, n) -> v + "/" + n, Joined.with(STRING, STRING, LONG, "j")).to("out", TEXT);
        }).cached();
        Variants.variant("join-v-st-to-table", b -> {
            KTable<String, String> table = b.stream("right", TEXTS).mapValues(v -> "x".equals(v) ? null : v).toTable(as("t", STRING));
            b.stream("left", TEXTS).join(table, PLUS, texts).to("out", TEXT);
        }).texts("left", "1", "2").texts("right", "x", "y", "z");
        Variants.variant("join-v-st-filtered-store", b -> {
            KTable<String, String> table = b.table("right", TEXTS, as("r", STRING)).filter((k, v) -> !v.equals("x"), as("t", STRING));
            b.stream("left", TEXTS).leftJoin(table, PLUS, texts).to("out", TEXT);
        }).texts("left", "1", "2").texts("right", "x", "y", "z");
        Variants.variant("join-v-st-rekeyed-inner", b -> {
            KTable<String, String> table = b.table("right", TEXTS, as("t", STRING));
            b.stream("left", TEXTS).map((k, v) -> KeyValue.pair("1".equals(v) ? null : v, k)).join(table, PLUS, texts).to("out", TEXT);
        }).texts("left", "1", "a", "b", "c").texts("right", "x", "y", "z");
        Variants.variant("join-v-st-twice", b -> {
            KTable<String, String> table = b.table("right", TEXTS, as("t", STRING));
            KTable<String, String> other = b.table("other", TEXTS, as("o", STRING));
            b.stream("left", TEXTS).join(table, PLUS, texts).leftJoin(other, PLUS, Joined.with(STRING, STRING, STRING, "j2")).to("out", TEXT);
        }).texts("left", "1", "2").texts("right", "x", "y", "z").texts("other", "o", "p");
        Variants.variant("join-v-st-versioned-left-grace", b -> {
            KTable<String, String> table = b.table("right", TEXTS, versionedAs("t", 1000, STRING));
            b.stream("left", TEXTS).leftJoin(table, PLUS, texts.withGracePeriod(ms(20))).to("out", TEXT);
        }).keyed("left", List.of("a", "b", "c"), "1", "2").texts("right", "x", "y", "z").withoutNulls();
        Variants.variant("join-v-st-versioned-grace-rekeyed", b -> {
            KTable<String, String> table = b.table("right", TEXTS, versionedAs("t", 1000, STRING));
            b.stream("left", TEXTS).selectKey((k, v) -> v).join(table, PLUS, texts.withGracePeriod(ms(20))).to("out", TEXT);
        }).texts("left", "a", "b", "c").texts("right", "x", "y", "z");
        Variants.variant("join-v-st-versioned-short", b -> {
            KTable<String, String> table = b.table("right", TEXTS, versionedAs("t", 30, STRING));
            b.stream("left", TEXTS).leftJoin(table, PLUS, texts).to("out", TEXT);
        }).texts("left", "1", "2").texts("right", "x", "y", "z");
        Variants.variant("join-v-st-versioned-grace-zero", b -> {
            KTable<String, String> table = b.table("right", TEXTS, versionedAs("t", 100, STRING));
            b.stream("left", TEXTS).join(table, PLUS, texts.withGracePeriod(ms(0))).to("out", TEXT);
        }).texts("left", "1", "2").texts("right", "x", "y", "z");
        Variants.variant("join-v-st-joined-table", b -> {
            KTable<String, String> table = b.table("right", TEXTS, as("r", STRING)).outerJoin(b.table("other", TEXTS, as("o", STRING)), PLUS, as("t", STRING));
            b.stream("left", TEXTS).join(table, PLUS, texts).to("out", TEXT);
        }).texts("left", "1", "2").texts("right", "x", "y", "z").texts("other", "o", "p");
        Variants.variant("join-v-st-then-count", b -> {
            KTable<String, String> table = b.table("right", TEXTS, as("t", STRING));
            b.stream("left", TEXTS).join(table, PLUS, texts).groupBy((k, v) -> v.substring(v.indexOf('+') + 1), Grouped.with("by", STRING, STRING))
                .count(as("n", LONG)).toStream().to("out", COUNT);
        }).texts("left", "1", "2").texts("right", "x", "y", "z");
        Variants.variant("join-v-st-headers", b -> {
            KTable<String, String> table = b.table("right", TEXTS, as("t", STRING));
            b.stream("left", TEXTS).join(table, PLUS, texts).to("out", TEXT);
        }).texts("left", "1", "2").texts("right", "x", "y", "z").config("dsl.store.format", "headers");
    }

    private static void globalTables() {
        Variants.variant("join-v-gk-key", b -> {
            GlobalKTable<String, String> table = b.globalTable("right", TEXTS, as("gt", STRING));
            b.stream("left", TEXTS).leftJoin(table, (k, v) -> k, PLUS).to("out", TEXT);
        }).texts("left", "1", "2").texts("right", "x", "y");
        Variants.variant("join-v-gk-null-mapped", b -> {
            GlobalKTable<String, String> table = b.globalTable("right", TEXTS, as("gt", STRING));
            b.stream("left", TEXTS).leftJoin(table, (k, v) -> "1".equals(v) ? null : v, KEY_PLUS).to("out", TEXT);
        }).texts("left", "1", "a", "b", "c").texts("right", "x", "y");
        Variants.variant("join-v-gk-twice-then-count", b -> {
            GlobalKTable<String, String> table = b.globalTable("right", TEXTS, as("gt", STRING));
            GlobalKTable<String, String> other = b.globalTable("other", TEXTS, as("go", STRING));
            b.stream("left", TEXTS).join(table, (k, v) -> v, PLUS).leftJoin(other, (k, v) -> k, KEY_PLUS)
                .groupByKey(Grouped.with("grouped", STRING, STRING)).count(as("n", LONG)).toStream().to("out", COUNT);
        }).texts("left", "1", "a", "b", "c").texts("right", "x", "y").texts("other", "o");
        Variants.variant("join-v-gk-rekeyed", b -> {
            GlobalKTable<String, String> table = b.globalTable("right", TEXTS, as("gt", STRING));
            b.stream("left", TEXTS).selectKey((k, v) -> v).join(table, (k, v) -> k, PLUS).to("out", TEXT);
        }).texts("left", "1", "a", "b", "c").texts("right", "x", "y");
    }

    private static void tables() {
        ValueJoiner<Long, Long, String> slash = (x, y) -> x + "/" + y;
        Variants.variant("join-v-tt-counts", b -> grouped(b, "left").count(as("l", LONG))
            .outerJoin(grouped(b, "right").count(as("r", LONG)), slash).toStream().to("out", TEXT)).texts("left", "1").texts("right", "x");
        Variants.variant("join-v-tt-counts-cached", b -> grouped(b, "left").count(as("l", LONG))
            .leftJoin(grouped(b, "right").count(as("r", LONG)), slash, as("j", STRING)).toStream().to("out", TEXT)).texts("left", "1").texts("right", "x").cached();
        Variants.variant("join-v-tt-chain", b -> {
            KTable<String, String> a = b.table("a", TEXTS, as("ta", STRING));
            KTable<String, String> c = b.table("c", TEXTS, as("tc", STRING));
            KTable<String, String> d = b.table("d", TEXTS, as("td", STRING));
            a.leftJoin(c, PLUS).outerJoin(d, PLUS).join(b.table("e", TEXTS, as("te", STRING)), PLUS).toStream().to("out", TEXT);
        }).texts("a", "1", "2").texts("c", "3", "4").texts("d", "5", "6").texts("e", "7", "8");
        Variants.variant("join-v-tt-versioned", b -> b.table("left", TEXTS, versionedAs("l", 1000, STRING))
            .outerJoin(b.table("right", TEXTS, versionedAs("r", 1000, STRING)), PLUS).toStream().to("out", TEXT)).texts("left", "1", "2").texts("right", "x", "y");
        Variants.variant("join-v-tt-half-versioned", b -> b.table("left", TEXTS, versionedAs("l", 1000, STRING))
            .leftJoin(b.table("right", TEXTS, as("r", STRING)), PLUS).toStream().to("out", TEXT)).texts("left", "1", "2").texts("right", "x", "y");
        Variants.variant("join-v-tt-versioned-store", b -> b.table("left", TEXTS, versionedAs("l", 1000, STRING))
            .join(b.table("right", TEXTS, versionedAs("r", 1000, STRING)), PLUS, versionedAs("j", 1000, STRING)).toStream().to("out", TEXT)).texts("left", "1", "2").texts("right", "x", "y");
        Variants.variant("join-v-tt-itself", b -> {
            KTable<String, String> table = b.table("in", TEXTS, as("t", STRING));
            table.leftJoin(table.mapValues(v -> v.equals("x") ? null : v + "!"), PLUS).toStream().to("out", TEXT);
        });
        Variants.variant("join-v-tt-mapped-both", b -> b.table("left", TEXTS, as("l", STRING)).mapValues(v -> v + "!")
            .outerJoin(b.table("right", TEXTS, as("r", STRING)).filter((k, v) -> !v.equals("x")), PLUS).toStream().to("out", TEXT)).texts("left", "1", "2").texts("right", "x", "y");
        Variants.variant("join-v-tt-mapped-both-cached", b -> b.table("left", TEXTS, as("l", STRING)).mapValues(v -> v + "!")
            .outerJoin(b.table("right", TEXTS, as("r", STRING)).filter((k, v) -> !v.equals("x")), PLUS, as("j", STRING)).toStream().to("out", TEXT)).texts("left", "1", "2").texts("right", "x", "y").cached();
        Variants.variant("join-v-tt-stores-both", b -> b.table("left", TEXTS, as("l", STRING)).mapValues(v -> v + "!", as("m", STRING))
            .join(b.table("right", TEXTS, as("r", STRING)).filter((k, v) -> !v.equals("x"), as("f", STRING)), PLUS, as("j", STRING))
            .filter((k, v) -> !v.startsWith("2")).toStream().to("out", TEXT)).texts("left", "1", "2").texts("right", "x", "y");
        Variants.variant("join-v-tt-then-groupby", b -> b.table("left", TEXTS, as("l", STRING))
            .outerJoin(b.table("right", TEXTS, as("r", STRING)), PLUS)
            .groupBy((k, v) -> KeyValue.pair(v.substring(v.indexOf('+') + 1), v), Grouped.with("by", STRING, STRING))
            .aggregate(() -> "", (k, v, a) -> last12(a + "+" + v), (k, v, a) -> last12(a + "-" + v), as("agg", STRING)).toStream().to("out", TEXT)).texts("left", "1", "2").texts("right", "x", "y");
        Variants.variant("join-v-tt-then-groupby-cached", b -> b.table("left", TEXTS, as("l", STRING))
            .outerJoin(b.table("right", TEXTS, as("r", STRING)), PLUS, as("j", STRING))
            .groupBy((k, v) -> KeyValue.pair(v.substring(v.indexOf('+') + 1), v), Grouped.with("by", STRING, STRING))
            .aggregate(() -> "", (k, v, a) -> last12(a + "+" + v), (k, v, a) -> last12(a + "-" + v), as("agg", STRING)).toStream().to("out", TEXT)).texts("left", "1", "2").texts("right", "x", "y").cached();
        Variants.variant("join-v-tt-regrouped", b -> {
            KTable<String, String> table = b.table("in", TEXTS, as("t", STRING));
            KTable<String, Long> per = table.groupBy((k, v) -> KeyValue.pair(v, k), Grouped.with("by", STRING, STRING)).count(as("per", LONG));
            table.leftJoin(per, (v, n) -> v + "/" + n).toStream().to("out", TEXT);
        }).texts("in", "a", "b", "c", "d");
        Variants.variant("join-v-tt-to-tables", b -> b.stream("left", TEXTS).selectKey((k, v) -> v).repartition(org.apache.kafka.streams.kstream.Repartitioned.with(STRING, STRING).withName("rp")).toTable(as("l", STRING))
            .outerJoin(b.stream("right", TEXTS).toTable(as("r", STRING)), PLUS).toStream().to("out", TEXT)).texts("left", "a", "b").texts("right", "x", "y");
        Variants.variant("join-v-tt-headers", b -> b.table("left", TEXTS, as("l", STRING))
            .outerJoin(b.table("right", TEXTS, as("r", STRING)), PLUS, as("j", STRING)).toStream().to("out", TEXT)).texts("left", "1", "2").texts("right", "x", "y").config("dsl.store.format", "headers");
        Variants.variant("join-v-tt-optimized", b -> b.table("left", TEXTS, as("l", STRING))
            .leftJoin(b.table("right", TEXTS, as("r", STRING)), PLUS, as("j", STRING)).toStream().to("out", TEXT)).texts("left", "1", "2").texts("right", "x", "y").config("topology.optimization", "all");
    }

    private static Variants.Variant foreign(Variants.Variant variant) {
        return variant.texts("left", "p/1", "p/2", "q/1", "r/3", "nokey", "q/2").keyed("right", FOREIGN, "x", "y", "z");
    }

    private static void foreignKeys() {
        java.util.function.Function<String, String> key = Shorthands::before;
        TableJoined<String, String> named = TableJoined.as("joined");
        foreign(Variants.variant("join-v-fk-left-aggregated", b -> grouped(b, "left").reduce((x, y) -> y, as("l", STRING))
            .leftJoin(grouped(b, "right").reduce((x, y) -> last12(x + y), as("r", STRING)), key, PLUS, named, as("j", STRING)).toStream().to("out", TEXT)));
        foreign(Variants.variant("join-v-fk-filtered-stores", b -> b.table("left", TEXTS, as("l", STRING)).filter((k, v) -> !v.equals("q/1"), as("lf", STRING))
            .join(b.table("right", TEXTS, as("r", STRING)).mapValues(v -> v.equals("x") ? null : v + "!", as("rm", STRING)), key, PLUS, named, as("j", STRING)).toStream().to("out", TEXT)));
        Variants.variant("join-v-fk-self", b -> {
            KTable<String, String> table = b.table("in", TEXTS, as("t", STRING));
            table.leftJoin(table, key, PLUS, named, as("j", STRING)).toStream().to("out", TEXT);
        }).texts("in", "a/1", "b/2", "c/3", "nokey", "d/4");
        foreign(Variants.variant("join-v-fk-left-cached", b -> b.table("left", TEXTS, as("l", STRING))
            .leftJoin(b.table("right", TEXTS, as("r", STRING)), key, PLUS, named, as("j", STRING)).toStream().to("out", TEXT))).cached();
        foreign(Variants.variant("join-v-fk-inner-cached", b -> b.table("left", TEXTS, as("l", STRING))
            .join(b.table("right", TEXTS, as("r", STRING)), key, PLUS, named).toStream().to("out", TEXT))).cached();
        foreign(Variants.variant("join-v-fk-versioned-right", b -> b.table("left", TEXTS, as("l", STRING))
            .leftJoin(b.table("right", TEXTS, versionedAs("r", 1000, STRING)), key, PLUS, named, as("j", STRING)).toStream().to("out", TEXT)));
        foreign(Variants.variant("join-v-fk-versioned-both", b -> b.table("left", TEXTS, versionedAs("l", 1000, STRING))
            .join(b.table("right", TEXTS, versionedAs("r", 1000, STRING)), key, PLUS, named, as("j", STRING)).toStream().to("out", TEXT)));
        foreign(Variants.variant("join-v-fk-chain", b -> b.table("left", TEXTS, as("l", STRING))
            .join(b.table("right", TEXTS, as("r", STRING)), key, PLUS, TableJoined.as("one"), as("o", STRING))
            .leftJoin(b.table("other", TEXTS, as("t", STRING)), (java.util.function.Function<String, String>) v -> v.substring(v.length() - 1), PLUS, TableJoined.as("two"), as("j", STRING)).toStream().to("out", TEXT)))
            .keyed("other", List.of("x", "y"), "A", "B");
        foreign(Variants.variant("join-v-fk-then-filter", b -> b.table("left", TEXTS, as("l", STRING))
            .leftJoin(b.table("right", TEXTS, as("r", STRING)), key, PLUS, named).filter((k, v) -> !v.endsWith("x")).mapValues(v -> v + "!").toStream().to("out", TEXT)));
        foreign(Variants.variant("join-v-fk-then-reduce", b -> b.table("left", TEXTS, as("l", STRING))
            .leftJoin(b.table("right", TEXTS, as("r", STRING)), key, PLUS, named, as("j", STRING))
            .groupBy((k, v) -> KeyValue.pair(v.substring(v.indexOf('+') + 1), v), Grouped.with("by", STRING, STRING))
            .aggregate(() -> "", (k, v, a) -> last12(a + "+" + v), (k, v, a) -> last12(a + "-" + v), as("agg", STRING)).toStream().to("out", TEXT)));
        foreign(Variants.variant("join-v-fk-then-join", b -> b.table("left", TEXTS, as("l", STRING))
            .join(b.table("right", TEXTS, as("r", STRING)), key, PLUS, named, as("j", STRING))
            .leftJoin(b.table("other", TEXTS, as("o", STRING)), PLUS).toStream().to("out", TEXT))).texts("other", "A", "B");
        foreign(Variants.variant("join-v-fk-headers", b -> b.table("left", TEXTS, as("l", STRING))
            .leftJoin(b.table("right", TEXTS, as("r", STRING)), key, PLUS, named, as("j", STRING)).toStream().to("out", TEXT))).config("dsl.store.format", "headers");
        foreign(Variants.variant("join-v-fk-of-joined", b -> b.table("left", TEXTS, as("l", STRING)).join(b.table("other", TEXTS, as("o", STRING)), PLUS, as("lo", STRING))
            .leftJoin(b.table("right", TEXTS, as("r", STRING)), key, PLUS, named, as("j", STRING)).toStream().to("out", TEXT))).texts("other", "A", "B");
        foreign(Variants.variant("join-v-fk-optimized", b -> b.table("left", TEXTS, as("l", STRING))
            .leftJoin(b.table("right", TEXTS, as("r", STRING)), key, PLUS, named, as("j", STRING)).toStream().to("out", TEXT))).config("topology.optimization", "all");
        foreign(Variants.variant("join-v-fk-by-key", b -> b.table("left", TEXTS, as("l", STRING))
            .leftJoin(b.table("right", TEXTS, as("r", STRING)), (k, v) -> v.equals("nokey") ? null : k.equals("a") ? "p" : "q", PLUS, named, as("j", STRING)).toStream().to("out", TEXT)));
    }
}
