import java.lang.reflect.Field;
import java.util.Map;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.internals.InternalTopicConfig;
import org.apache.kafka.streams.processor.internals.InternalTopologyBuilder;

/** The topics that Kafka Streams would make for a topology, as scenarios tell them. */
final class InternalTopics {
    /** `windowstore.changelog.additional.retention.ms`, where nothing else is said. */
    private static final long ADDITIONAL_RETENTION = 86_400_000;

    private InternalTopics() {
    }

    /** Of a topology that a driver has been made for. */
    static ObjectNode of(Topology topology) {
        ObjectNode topics = new ObjectMapper().createObjectNode();
        try {
            Field field = Topology.class.getDeclaredField("internalTopologyBuilder");
            field.setAccessible(true);
            InternalTopologyBuilder builder = (InternalTopologyBuilder) field.get(topology);
            builder.subtopologyToTopicsInfo().values().forEach(info -> {
                info.repartitionSourceTopics.forEach((name, config) -> add(topics, name, "repartition", config));
                info.stateChangelogTopics.forEach((name, config) -> add(topics, name, "changelog", config));
            });
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
        return topics;
    }

    private static void add(ObjectNode topics, String name, String kind, InternalTopicConfig config) {
        ObjectNode topic = topics.putObject(name).put("kind", kind);
        for (Map.Entry<String, String> setting : config.properties(Map.of(), ADDITIONAL_RETENTION).entrySet()) {
            topic.put(setting.getKey(), setting.getValue());
        }
        if (config.hasEnforcedNumberOfPartitions()) {
            topic.put("partitions", config.numberOfPartitions().orElse(0));
        }
    }
}
