import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.function.Function;

import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.Cancellable;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.TimestampedKeyValueStore;
import org.apache.kafka.streams.state.ValueAndTimestamp;
import org.apache.kafka.streams.state.VersionedKeyValueStore;
import org.apache.kafka.streams.state.VersionedRecord;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.state.WindowStoreIterator;

/** Processors that read and write their stores as their input says, and processors with punctuators. */
final class ProcessorVariants extends Shorthands {
    private static final List<String> KEYS = List.of("a", "ab", "b", "ba", "c");

    private ProcessorVariants() {
    }

    static void all() {
        Random random = new Random(7);
        commands("papi-v-kv", keyValues(random), Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("s"), STRING, STRING), ProcessorVariants::keyValue);
        commands("papi-v-kv-memory", keyValues(random), Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("s"), STRING, STRING), ProcessorVariants::keyValue);
        commands("papi-v-timestamped", keyValues(random), Stores.timestampedKeyValueStoreBuilder(Stores.persistentTimestampedKeyValueStore("s"), STRING, STRING), ProcessorVariants::timestamped);
        commands("papi-v-window", windows(random), Stores.windowStoreBuilder(Stores.persistentWindowStore("s", ms(60_000), ms(10), false), STRING, STRING), ProcessorVariants::window);
        commands("papi-v-window-short", windows(random), Stores.windowStoreBuilder(Stores.persistentWindowStore("s", ms(30), ms(10), false), STRING, STRING), ProcessorVariants::window);
        commands("papi-v-window-memory", windows(random), Stores.windowStoreBuilder(Stores.inMemoryWindowStore("s", ms(30), ms(10), false), STRING, STRING), ProcessorVariants::window);
        commands("papi-v-session", sessions(random), Stores.sessionStoreBuilder(Stores.persistentSessionStore("s", ms(60_000)), STRING, STRING), ProcessorVariants::session);
        commands("papi-v-session-short", sessions(random), Stores.sessionStoreBuilder(Stores.persistentSessionStore("s", ms(30)), STRING, STRING), ProcessorVariants::session);
        commands("papi-v-session-memory", sessions(random), Stores.sessionStoreBuilder(Stores.inMemorySessionStore("s", ms(30)), STRING, STRING), ProcessorVariants::session);
        commands("papi-v-versioned", versions(random), Stores.versionedKeyValueStoreBuilder(Stores.persistentVersionedKeyValueStore("s", ms(1000)), STRING, STRING), ProcessorVariants::versioned);
        commands("papi-v-versioned-short", versions(random), Stores.versionedKeyValueStoreBuilder(Stores.persistentVersionedKeyValueStore("s", ms(20)), STRING, STRING), ProcessorVariants::versioned);
        commands("papi-v-versioned-zero", versions(random), Stores.versionedKeyValueStoreBuilder(Stores.persistentVersionedKeyValueStore("s", ms(0)), STRING, STRING), ProcessorVariants::versioned);
        punctuators();
    }

    private interface Command<S> {
        String run(S store, String key, String[] command, Record<String, String> record);
    }

    private static <S extends StateStore> void commands(String name, String[] values, StoreBuilder<S> store, Command<S> command) {
        ProcessorSupplier<String, String, String, String> supplier = () -> new Processor<>() {
            private ProcessorContext<String, String> context;

            @Override
            public void init(ProcessorContext<String, String> context) {
                this.context = context;
            }

            @Override
            public void process(Record<String, String> record) {
                S store = context.getStateStore("s");
                context.forward(record.withValue(command.run(store, record.key(), record.value().split(":"), record)));
            }
        };
        Variants.variant(name, b -> b.addStateStore(store).stream("in", TEXTS).process(supplier, "s").to("out", TEXT))
            .keyed("in", KEYS, values).withoutNulls().withoutJumps().gap(1);
    }

    private static String key(Random random) {
        return random.nextInt(5) == 0 ? "" : KEYS.get(random.nextInt(KEYS.size()));
    }

    private static String[] keyValues(Random random) {
        List<String> values = new ArrayList<>();
        for (int n = 0; n < 300; n++) {
            values.add(switch (random.nextInt(12)) {
                case 0 -> "get";
                case 1 -> "del";
                case 2 -> "pia:" + n;
                case 3 -> "range:" + key(random) + ":" + key(random) + ":";
                case 4 -> "rrange:" + key(random) + ":" + key(random) + ":";
                case 5 -> List.of("all", "rall", "count").get(random.nextInt(3));
                case 6 -> "prefix:" + List.of("a", "b", "c", "x").get(random.nextInt(4));
                default -> "put:" + n;
            });
        }
        return values.toArray(new String[0]);
    }

    private static String bound(String[] command, int at) {
        return command.length <= at || command[at].isEmpty() ? null : command[at];
    }

    private static <T> String shown(Iterator<T> found, Function<T, String> one) {
        List<String> shown = new ArrayList<>();
        found.forEachRemaining(row -> shown.add(one.apply(row)));
        if (found instanceof KeyValueIterator<?, ?> iterator) {
            iterator.close();
        }
        return String.join(";", shown);
    }

    private static String keyValue(KeyValueStore<String, String> store, String key, String[] command, Record<String, String> record) {
        Function<KeyValue<String, String>, String> row = kv -> kv.key + "=" + kv.value;
        switch (command[0]) {
            case "get":
                return store.get(key);
            case "del":
                return store.delete(key);
            case "pia":
                return store.putIfAbsent(key, command[1]);
            case "range":
                return shown(store.range(bound(command, 1), bound(command, 2)), row);
            case "rrange":
                return shown(store.reverseRange(bound(command, 1), bound(command, 2)), row);
            case "all":
                return shown(store.all(), row);
            case "rall":
                return shown(store.reverseAll(), row);
            case "count":
                return "" + shown(store.all(), row).chars().filter(c -> c == '=').count();
            case "prefix":
                return shown(store.prefixScan(command[1], STRING.serializer()), row);
            default:
                store.put(key, command[1]);
                return "ok";
        }
    }

    private static String timestamped(TimestampedKeyValueStore<String, String> store, String key, String[] command, Record<String, String> record) {
        Function<ValueAndTimestamp<String>, String> value = v -> v == null ? "null" : v.value() + "@" + v.timestamp();
        Function<KeyValue<String, ValueAndTimestamp<String>>, String> row = kv -> kv.key + "=" + value.apply(kv.value);
        switch (command[0]) {
            case "get":
                return value.apply(store.get(key));
            case "del":
                return value.apply(store.delete(key));
            case "pia":
                return value.apply(store.putIfAbsent(key, ValueAndTimestamp.make(command[1], record.timestamp())));
            case "range":
                return shown(store.range(bound(command, 1), bound(command, 2)), row);
            case "rrange":
                return shown(store.reverseRange(bound(command, 1), bound(command, 2)), row);
            case "all":
                return shown(store.all(), row);
            case "rall":
                return shown(store.reverseAll(), row);
            case "count":
                return "" + shown(store.all(), row).chars().filter(c -> c == '=').count();
            case "prefix":
                return shown(store.prefixScan(command[1], STRING.serializer()), row);
            default:
                store.put(key, ValueAndTimestamp.make(command[1], record.timestamp() + 3));
                return "ok";
        }
    }

    private static String times(Random random) {
        int from = random.nextInt(160);
        return from + ":" + (from + random.nextInt(60) - 5);
    }

    private static String[] windows(Random random) {
        List<String> values = new ArrayList<>();
        for (int n = 0; n < 400; n++) {
            values.add(switch (random.nextInt(22)) {
                case 0, 1 -> "fetch:" + times(random);
                case 2, 3 -> "back:" + times(random);
                case 4 -> "at:" + random.nextInt(160);
                case 5 -> List.of("all", "ball").get(random.nextInt(2));
                case 6 -> "range:" + key(random) + ":" + key(random) + ":" + times(random);
                case 7 -> "brange:" + key(random) + ":" + key(random) + ":" + times(random);
                case 8 -> "fetchall:" + times(random);
                case 9 -> "bfetchall:" + times(random);
                case 10 -> "del";
                default -> "put:" + n;
            });
        }
        return values.toArray(new String[0]);
    }

    private static Instant at(String[] command, int index) {
        return Instant.ofEpochMilli(Math.max(0, Long.parseLong(command[index])));
    }

    private static String window(WindowStore<String, String> store, String key, String[] command, Record<String, String> record) {
        Function<KeyValue<Long, String>, String> one = kv -> kv.key + "=" + kv.value;
        Function<KeyValue<Windowed<String>, String>, String> row = kv -> kv.key.key() + "@" + kv.key.window().start() + "=" + kv.value;
        switch (command[0]) {
            case "fetch":
                return shown(store.fetch(key, at(command, 1), at(command, 2)), one);
            case "back":
                return shown(store.backwardFetch(key, at(command, 1), at(command, 2)), one);
            case "at":
                return store.fetch(key, Long.parseLong(command[1]));
            case "all":
                return shown(store.all(), row);
            case "ball":
                return shown(store.backwardAll(), row);
            case "range":
                return shown(store.fetch(bound(command, 1), bound(command, 2), at(command, 3), at(command, 4)), row);
            case "brange":
                return shown(store.backwardFetch(bound(command, 1), bound(command, 2), at(command, 3), at(command, 4)), row);
            case "fetchall":
                return shown(store.fetchAll(at(command, 1), at(command, 2)), row);
            case "bfetchall":
                return shown(store.backwardFetchAll(at(command, 1), at(command, 2)), row);
            case "del":
                store.put(key, null, record.timestamp());
                return "ok";
            default:
                store.put(key, command[1], record.timestamp());
                return "ok";
        }
    }

    /** A range that is in order: stores of sessions in memory take no other. */
    private static String keys(Random random) {
        String from = key(random);
        String to = key(random);
        return to.isEmpty() || from.compareTo(to) <= 0 ? from + ":" + to + ":" : to + ":" + from + ":";
    }

    private static String[] sessions(Random random) {
        List<String> values = new ArrayList<>();
        for (int n = 0; n < 400; n++) {
            int from = random.nextInt(150);
            values.add(switch (random.nextInt(22)) {
                case 0, 1 -> "find:" + times(random);
                case 2, 3 -> "back:" + times(random);
                case 4 -> "one:" + from + ":" + (from + random.nextInt(4));
                case 5 -> List.of("key", "bkey").get(random.nextInt(2));
                case 6 -> "range:" + keys(random) + times(random);
                case 7 -> "brange:" + keys(random) + times(random);
                case 8 -> "keys:" + keys(random);
                case 9 -> "bkeys:" + keys(random);
                case 10 -> "del:" + from + ":" + (from + random.nextInt(4));
                default -> "put:" + from + ":" + (from + random.nextInt(random.nextBoolean() ? 4 : 20)) + ":" + n;
            });
        }
        return values.toArray(new String[0]);
    }

    private static String session(SessionStore<String, String> store, String key, String[] command, Record<String, String> record) {
        Function<KeyValue<Windowed<String>, String>, String> row =
            kv -> kv.key.key() + "[" + kv.key.window().start() + "," + kv.key.window().end() + "]=" + kv.value;
        switch (command[0]) {
            case "find":
                return shown(store.findSessions(key, at(command, 1), at(command, 2)), row);
            case "back":
                return shown(store.backwardFindSessions(key, at(command, 1), at(command, 2)), row);
            case "one":
                return store.fetchSession(key, at(command, 1), at(command, 2));
            case "key":
                return shown(store.fetch(key), row);
            case "bkey":
                return shown(store.backwardFetch(key), row);
            case "range":
                return shown(store.findSessions(bound(command, 1), bound(command, 2), at(command, 3), at(command, 4)), row);
            case "brange":
                return shown(store.backwardFindSessions(bound(command, 1), bound(command, 2), at(command, 3), at(command, 4)), row);
            case "keys":
                return shown(store.fetch(bound(command, 1), bound(command, 2)), row);
            case "bkeys":
                return shown(store.backwardFetch(bound(command, 1), bound(command, 2)), row);
            case "del":
                store.remove(sessionOf(key, command));
                return "ok";
            default:
                store.put(sessionOf(key, command), command[3]);
                return "ok";
        }
    }

    private static Windowed<String> sessionOf(String key, String[] command) {
        return new Windowed<>(key, new org.apache.kafka.streams.kstream.internals.SessionWindow(Long.parseLong(command[1]), Long.parseLong(command[2])));
    }

    private static String[] versions(Random random) {
        List<String> values = new ArrayList<>();
        for (int n = 0; n < 300; n++) {
            values.add(switch (random.nextInt(14)) {
                case 0, 1 -> "get";
                case 2, 3, 4 -> "asof:" + random.nextInt(160);
                case 5 -> "del:" + random.nextInt(160);
                case 6 -> "null";
                default -> "put:" + n;
            });
        }
        return values.toArray(new String[0]);
    }

    private static String versioned(VersionedKeyValueStore<String, String> store, String key, String[] command, Record<String, String> record) {
        Function<VersionedRecord<String>, String> one = v -> v == null ? "null" : v.value() + "@" + v.timestamp() + ".." + v.validTo().map(String::valueOf).orElse("");
        return switch (command[0]) {
            case "get" -> one.apply(store.get(key));
            case "asof" -> one.apply(store.get(key, Long.parseLong(command[1])));
            case "del" -> one.apply(store.delete(key, Long.parseLong(command[1])));
            case "null" -> "put:" + store.put(key, null, record.timestamp());
            default -> "put:" + store.put(key, command[1], record.timestamp());
        };
    }

    private static void punctuators() {
        Variants.variant("papi-v-punctuators", b -> b.stream("in", TEXTS).process(Clocks::new).to("out", TEXT))
            .texts("in", "s3", "s10", "w100", "w300", "x", "cancel", "again", "y", "z", "q", "q", "q").withClock().withoutNulls();
        Variants.variant("papi-v-repartition-then-punctuate", b -> {
            StoreBuilder<KeyValueStore<String, Long>> store = Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("kv"), STRING, LONG);
            b.addStateStore(store).stream("in", TEXTS).filter((k, v) -> v != null && v.compareTo("4") < 0).selectKey((k, v) -> v)
                .repartition(org.apache.kafka.streams.kstream.Repartitioned.with(STRING, STRING).withName("rp"))
                .process(Flushing::new, "kv").to("out", COUNT);
        }).withClock();
        Variants.variant("papi-v-punctuate-then-count", b -> {
            StoreBuilder<KeyValueStore<String, Long>> store = Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("kv"), STRING, LONG);
            b.addStateStore(store).stream("in", TEXTS).process(Flushing::new, "kv")
                .groupByKey(org.apache.kafka.streams.kstream.Grouped.with("g", STRING, LONG)).reduce(Long::sum, as("sum", LONG)).toStream().to("out", COUNT);
        }).withClock();
    }

    /** Schedules as it is told. */
    private static final class Clocks implements Processor<String, String, String, String> {
        private final List<Cancellable> scheduled = new ArrayList<>();
        private ProcessorContext<String, String> context;
        private int count;

        @Override
        public void init(ProcessorContext<String, String> context) {
            this.context = context;
            schedule(7, PunctuationType.STREAM_TIME);
            schedule(200, PunctuationType.WALL_CLOCK_TIME);
        }

        private void schedule(long interval, PunctuationType type) {
            int id = count++;
            scheduled.add(context.schedule(ms(interval), type, now -> context.forward(
                new Record<>("p" + id, now + "/" + context.currentStreamTimeMs() + "/" + context.currentSystemTimeMs(), now))));
        }

        @Override
        public void process(Record<String, String> record) {
            String value = record.value();
            if (scheduled.size() < 12) {
                if (value.startsWith("s")) {
                    schedule(Long.parseLong(value.substring(1)), PunctuationType.STREAM_TIME);
                } else if (value.startsWith("w")) {
                    schedule(Long.parseLong(value.substring(1)), PunctuationType.WALL_CLOCK_TIME);
                }
            }
            if (value.equals("cancel") && !scheduled.isEmpty()) {
                scheduled.remove(0).cancel();
            }
            context.forward(record);
        }
    }

    /** Counts keys, and sends and forgets the counts from time to time. */
    private static final class Flushing implements Processor<String, String, String, Long> {
        private ProcessorContext<String, Long> context;
        private KeyValueStore<String, Long> counts;

        @Override
        public void init(ProcessorContext<String, Long> context) {
            this.context = context;
            counts = context.getStateStore("kv");
            context.schedule(ms(25), PunctuationType.STREAM_TIME, this::flush);
            context.schedule(ms(500), PunctuationType.WALL_CLOCK_TIME, this::flush);
        }

        private void flush(long now) {
            List<KeyValue<String, Long>> all = new ArrayList<>();
            try (KeyValueIterator<String, Long> entries = counts.all()) {
                entries.forEachRemaining(all::add);
            }
            for (KeyValue<String, Long> entry : all) {
                counts.delete(entry.key);
                context.forward(new Record<>(entry.key, entry.value, now));
            }
        }

        @Override
        public void process(Record<String, String> record) {
            if (record.key() == null) {
                context.forward(new Record<>("nokey", 1L, record.timestamp(), record.headers()));
                return;
            }
            Long before = counts.get(record.key());
            counts.put(record.key(), before == null ? 1 : before + 1);
        }
    }
}
