import java.util.Base64;
import java.util.List;
import java.util.Map;

import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.LogAndContinueExceptionHandler;
import org.apache.kafka.streams.errors.LogAndContinueProcessingExceptionHandler;
import org.apache.kafka.streams.errors.LogAndFailProcessingExceptionHandler;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TableJoined;
import org.apache.kafka.streams.kstream.ValueJoiner;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** Records that cannot be read or processed, and handlers that go on. */
final class ErrorVariants extends Shorthands {
    private static final Consumed<String, Long> LONGS = Consumed.with(STRING, LONG);

    private ErrorVariants() {
    }

    static void all() {
        processing();
        reading();
    }

    private static String checked(String value) {
        if ("x".equals(value)) {
            throw new IllegalStateException("x");
        }
        return value;
    }

    private static ValueJoiner<String, String, String> joiner() {
        return (left, right) -> checked(left) + "+" + checked(right);
    }

    private static Variants.Variant going(Variants.Variant variant) {
        return variant.config("processing.exception.handler", LogAndContinueProcessingExceptionHandler.class.getName());
    }

    private static void processing() {
        going(Variants.variant("err-v-filter", b -> b.stream("in", TEXTS).filter((k, v) -> checked(v) != null).to("out", TEXT)));
        going(Variants.variant("err-v-siblings", b -> {
            KStream<String, String> in = b.stream("in", TEXTS);
            in.mapValues(v -> checked(v) + "1").to("one", TEXT);
            in.groupByKey(GROUPED).count(as("n", LONG)).toStream().to("out", COUNT);
            in.map((k, v) -> KeyValue.pair(checked(v), k)).to("two", TEXT);
        }));
        going(Variants.variant("err-v-flat-map", b -> b.stream("in", TEXTS).flatMapValues(v -> v == null ? List.of() : List.of(v, "y", "z")).mapValues(ErrorVariants::checked)
            .groupByKey(GROUPED).count(as("n", LONG)).toStream().to("out", COUNT)));
        going(Variants.variant("err-v-aggregate", b -> grouped(b, "in").aggregate(() -> "", (k, v, a) -> last12(a + checked(v)), as("r", STRING)).toStream().to("out", TEXT)));
        going(Variants.variant("err-v-reduce", b -> grouped(b, "in").reduce((a, v) -> last12(a + checked(v)), as("r", STRING)).toStream().to("out", TEXT)));
        going(Variants.variant("err-v-tumbling", b -> windows(10, STRING, tumbling(b).aggregate(() -> "", (k, v, a) -> last12(a + checked(v)), windowsAs("w", STRING)))));
        going(Variants.variant("err-v-hopping", b -> windows(12, STRING, hopping(b).aggregate(() -> "", (k, v, a) -> a.length() > 2 && "x".equals(v) ? checked(v) : last12(a + v), windowsAs("w", STRING)))));
        going(Variants.variant("err-v-sliding", b -> windows(10, STRING, sliding(b).aggregate(() -> "", (k, v, a) -> last12(a + checked(v)), windowsAs("w", STRING)))));
        going(Variants.variant("err-v-table-map", b -> b.table("in", TEXTS, as("t", STRING)).mapValues(v -> checked(v) + "!").toStream().to("out", TEXT)));
        going(Variants.variant("err-v-table-filter", b -> b.table("in", TEXTS, as("t", STRING)).filter((k, v) -> checked(v) != null).toStream().to("out", TEXT)));
        going(Variants.variant("err-v-behind-count", b -> grouped(b, "in").count(as("n", LONG)).mapValues(n -> checked(n % 3 == 0 ? "x" : "n" + n)).toStream().to("out", TEXT)));
        going(Variants.variant("err-v-regrouped", b -> b.table("in", TEXTS, as("t", STRING)).groupBy((k, v) -> KeyValue.pair(k.compareTo("c") < 0 ? "low" : "high", v), Grouped.with("by", STRING, STRING))
            .aggregate(() -> "", (k, v, a) -> last12(a + "+" + checked(v)), (k, v, a) -> last12(a + "-" + v), as("r", STRING)).toStream().to("out", TEXT)));
        going(Variants.variant("err-v-stream-table", b -> b.stream("left", TEXTS).join(b.table("right", TEXTS, as("t", STRING)), joiner(), Joined.with(STRING, STRING, STRING, "j")).to("out", TEXT)))
            .texts("left", "1", "2", "x").texts("right", "3", "x", "4");
        going(Variants.variant("err-v-stream-stream", b -> b.stream("left", TEXTS).join(b.stream("right", TEXTS), joiner(), JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)),
            StreamJoined.with(STRING, STRING, STRING).withName("joined").withStoreName("joined")).to("out", TEXT)))
            .texts("left", "1", "2", "x").texts("right", "3", "x", "4");
        going(Variants.variant("err-v-table-table", b -> b.table("left", TEXTS, as("l", STRING)).leftJoin(b.table("right", TEXTS, as("r", STRING)), joiner()).toStream().to("out", TEXT)))
            .texts("left", "1", "2", "x").texts("right", "3", "x", "4");
        going(Variants.variant("err-v-table-table-store", b -> b.table("left", TEXTS, as("l", STRING)).join(b.table("right", TEXTS, as("r", STRING)), joiner(), as("j", STRING)).toStream().to("out", TEXT)))
            .texts("left", "1", "2", "x").texts("right", "3", "x", "4");
        going(Variants.variant("err-v-foreign-joiner", b -> b.table("left", TEXTS, as("l", STRING)).leftJoin(b.table("right", TEXTS, as("r", STRING)), (java.util.function.Function<String, String>) Shorthands::before, joiner(), TableJoined.as("joined"), as("j", STRING)).toStream().to("out", TEXT)))
            .texts("left", "p/1", "q/2", "x", "p/3").keyed("right", List.of("p", "q"), "3", "x", "4");
        going(Variants.variant("err-v-global", b -> {
            GlobalKTable<String, String> table = b.globalTable("right", TEXTS, as("gt", STRING));
            b.stream("left", TEXTS).join(table, (k, v) -> k, joiner()).to("out", TEXT);
        })).texts("left", "1", "2", "x").texts("right", "3", "x", "4");
        going(Variants.variant("err-v-processor", b -> b.stream("in", TEXTS).process(Failing::new).to("out", TEXT)));
        Variants.variant("err-v-processor-fail", b -> b.stream("in", TEXTS).process(Failing::new).to("out", TEXT)).texts("in", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "x");
        Variants.variant("err-v-aggregate-fail", b -> grouped(b, "in").aggregate(() -> "", (k, v, a) -> last12(a + checked(v)), as("r", STRING)).toStream().to("out", TEXT)).texts("in", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "x");
    }

    /** Fails on some records, after it forwarded something, and in some of its punctuations. */
    private static final class Failing implements Processor<String, String, String, String> {
        private ProcessorContext<String, String> context;
        private int fired;

        @Override
        public void init(ProcessorContext<String, String> context) {
            this.context = context;
            context.schedule(ms(20), PunctuationType.STREAM_TIME, now -> {
                context.forward(new Record<>("tick", "before" + fired, now));
                if (++fired % 3 == 0) {
                    throw new IllegalStateException("tick");
                }
                context.forward(new Record<>("tick", "after", now));
            });
        }

        @Override
        public void process(Record<String, String> record) {
            context.forward(record.withValue(record.value() + "?"));
            checked(record.value());
            context.forward(record.withValue(record.value() + "!"));
        }
    }

    private static Object bytes(int length) {
        return Map.of("b64", Base64.getEncoder().encodeToString(new byte[length]));
    }

    private static Variants.Variant reading(Variants.Variant variant, String topic) {
        return variant.config("deserialization.exception.handler", LogAndContinueExceptionHandler.class.getName()).bytes(topic, bytes(8), bytes(8), bytes(8), bytes(3));
    }

    private static void reading() {
        reading(Variants.variant("err-v-read-table", b -> b.table("in", LONGS, as("t", LONG)).toStream().to("out", COUNT)), "in");
        reading(Variants.variant("err-v-read-table-optimized", b -> b.table("in", LONGS, as("t", LONG)).toStream().to("out", COUNT)), "in").config("topology.optimization", "all");
        reading(Variants.variant("err-v-read-window", b -> windows(10, LONG, b.stream("in", LONGS).groupByKey(Grouped.with(STRING, LONG))
            .windowedBy(org.apache.kafka.streams.kstream.TimeWindows.ofSizeAndGrace(ms(10), ms(5))).count(windowsAs("w", LONG)))), "in");
        reading(Variants.variant("err-v-read-global", b -> {
            GlobalKTable<String, Long> table = b.globalTable("right", LONGS, org.apache.kafka.streams.kstream.Materialized.<String, Long, org.apache.kafka.streams.state.KeyValueStore<org.apache.kafka.common.utils.Bytes, byte[]>>as("gt").withKeySerde(STRING).withValueSerde(LONG));
            b.stream("left", TEXTS).leftJoin(table, (k, v) -> k, (v, n) -> v + "/" + n).to("out", TEXT);
        }), "right").texts("left", "1", "2");
        reading(Variants.variant("err-v-read-dead-letters", b -> b.stream("in", LONGS).groupByKey(Grouped.with(STRING, LONG)).count(as("n", LONG)).toStream().to("out", COUNT)), "in")
            .config("errors.dead.letter.queue.topic.name", "dlq");
        reading(Variants.variant("err-v-read-two-topics", b -> b.stream(List.of("in", "other"), LONGS).to("out", COUNT)), "in").bytes("other", bytes(8), bytes(1))
            .config("errors.dead.letter.queue.topic.name", "dlq");
    }
}
