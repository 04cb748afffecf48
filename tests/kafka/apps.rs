//! The applications of these tests. Each case has its own, as names of topics and groups are the topology's.

use kstreams::prelude::*;

/// Counts per key; every update is written when nothing is cached.
macro_rules! counting {
    ($app:ident, $id:tt, $input:tt, $output:tt) => {
        #[topology(application_id = $id)]
        pub(crate) struct $app {
            #[source(topic = $input, partitions = 3)]
            input: KStream<String, String>,
            #[from(input.group_by_key().count())]
            #[sink(topic = $output, partitions = 3)]
            #[store]
            counts: KTable<String, i64>,
        }
    };
}

counting!(Restarted, "restarted", "restarted-in", "restarted-out");
counting!(Expired, "expired", "expired-in", "expired-out");
counting!(Repeated, "repeated", "repeated-in", "repeated-out");
counting!(Late, "late", "late-in", "late-out");
counting!(Away, "away", "away-in", "away-out");
counting!(Gone, "gone", "gone-in", "gone-out");
counting!(Deleted, "deleted", "deleted-in", "deleted-out");
counting!(Dismissed, "dismissed", "dismissed-in", "dismissed-out");
counting!(CutOff, "cutoff", "cutoff-in", "cutoff-out");
counting!(Forbidden, "forbidden", "forbidden-in", "forbidden-out");
counting!(Start, "start", "start-in", "start-out");

/// The same where a record may hold the thread up.
macro_rules! held_up {
    ($app:ident, $id:tt, $input:tt, $output:tt) => {
        #[topology(application_id = $id)]
        pub(crate) struct $app {
            #[source(topic = $input, partitions = 3)]
            input: KStream<String, String>,
            #[from(input.map_values(|text| crate::recovery::hold(text)).group_by_key().count())]
            #[sink(topic = $output, partitions = 3)]
            #[store]
            counts: KTable<String, i64>,
        }
    };
}

held_up!(Outlasted, "outlasted", "outlasted-in", "outlasted-out");
held_up!(Evicted, "evicted", "evicted-in", "evicted-out");
counting!(Robbed, "robbed", "robbed-in", "robbed-out");
counting!(Succeeded, "succeeded", "succeeded-in", "succeeded-out");

/// A join, whose two topics must stay together, and behind a repartition a count.
#[topology(application_id = "scale")]
pub(crate) struct Scale {
    #[source(topic = "scale-orders", partitions = 3)]
    orders: KStream<String, String>,
    #[source(topic = "scale-customers", partitions = 3)]
    customers: KTable<String, String>,
    #[from(orders.join(customers, |order, customer| format!("{order} of {customer}")))]
    #[sink(topic = "scale-joined", partitions = 3)]
    joined: KStream<String, String>,
    #[from(joined.group_by(|_, order| order.chars().take(2).collect::<String>()).count())]
    #[sink(topic = "scale-counts", partitions = 3)]
    #[store]
    counts: KTable<String, i64>,
}

/// Passes on what is read: for records that the output does not take.
#[topology(application_id = "large")]
pub(crate) struct Large {
    #[source(topic = "large-in", partitions = 1)]
    input: KStream<String, String>,
    #[from(input.map_values(|text| text.repeat(1_000)))]
    #[sink(topic = "large-out", partitions = 1)]
    output: KStream<String, String>,
}

/// A join whose partition counts are only known at start-up.
#[topology(application_id = "uneven")]
pub(crate) struct Uneven {
    #[source(topic = "uneven-left", partitions = runtime)]
    left: KStream<String, String>,
    #[source(topic = "uneven-right", partitions = runtime)]
    right: KTable<String, String>,
    #[from(left.join(right, |left, right| format!("{left}{right}")))]
    #[sink(topic = "uneven-out")]
    output: KStream<String, String>,
}
