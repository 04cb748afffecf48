//! The topology of `Windows.java` in Rust: every kind of store that keeps the past, and foreign keys.

macro_rules! application {
    ($module:ident: $id:literal, $clicks:literal, $views:literal, $profiles:literal, $orders:literal, $customers:literal,
        $counted:literal, $hopped:literal, $slid:literal, $visits:literal, $closed:literal, $finals:literal, $paired:literal,
        $kept:literal, $either:literal, $dressed:literal, $deliveries:literal) => {
        pub(crate) mod $module {
            use kstreams::prelude::*;

            #[topology(application_id = $id)]
            struct Interchange {
                #[source(topic = $clicks, partitions = 2)]
                clicks: KStream<String, String>,
                #[source(topic = $views, partitions = 2)]
                views: KStream<String, String>,
                #[source(topic = $profiles, partitions = 2)]
                #[store(versioned = "1h")]
                profiles: KTable<String, String>,
                #[source(topic = $orders, partitions = 2)]
                #[store]
                orders: KTable<String, String>,
                #[source(topic = $customers, partitions = 2)]
                #[store]
                customers: KTable<String, String>,

                #[from(clicks.group_by_key().windowed_by(tumbling("10s").grace("5s")).count())]
                #[store(retention = "1h")]
                #[sink(topic = $counted, partitions = 2)]
                counted: KTable<Windowed<String>, i64>,
                #[from(clicks
                    .group_by_key()
                    .windowed_by(hopping("10s").advance_by("5s").grace("5s"))
                    .reduce(|all, click| all + "+" + &click))]
                #[store(retention = "1h")]
                #[sink(topic = $hopped, partitions = 2)]
                hopped: KTable<Windowed<String>, String>,
                /// Its store forgets: it has the shortest retention that there may be.
                #[from(clicks
                    .group_by_key()
                    .windowed_by(sliding("4s").grace("5s"))
                    .aggregate(String::new, |_, click, all| all + "|" + &click))]
                #[sink(topic = $slid, partitions = 2)]
                slid: KTable<Windowed<String>, String>,
                #[from(clicks
                    .group_by_key()
                    .windowed_by(session("6s").grace("5s"))
                    .aggregate(String::new, |_, click, all| all + "|" + &click, |_, one, other| one + &other))]
                #[store(retention = "1h")]
                #[sink(topic = $visits, partitions = 2)]
                visits: KTable<Windowed<String, SessionWindow>, String>,
                #[from(clicks
                    .group_by_key()
                    .windowed_by(tumbling("7s").grace("2s"))
                    .emit(on_window_close)
                    .count())]
                #[sink(topic = $closed, partitions = 2)]
                closed: KTable<Windowed<String>, i64>,
                #[from(counted.suppress(until_window_closes()))]
                #[sink(topic = $finals, partitions = 2)]
                finals: KTable<Windowed<String>, i64>,

                #[from(clicks.join(views, |click, view| format!("{click}&{view}"), within("6s").grace("4s")))]
                #[sink(topic = $paired, partitions = 2)]
                paired: KStream<String, String>,
                #[from(clicks.left_join(
                    views,
                    |click, view| format!("{click}&{}", view.map_or("-", String::as_str)),
                    within("1s").grace("1s"),
                ))]
                #[sink(topic = $kept, partitions = 2)]
                kept: KStream<String, String>,
                #[from(clicks.outer_join(
                    views,
                    |click, view| format!("{}&{}", click.map_or("-", String::as_str), view.map_or("-", String::as_str)),
                    within("1s").after("2s").grace("3s"),
                ))]
                #[sink(topic = $either, partitions = 2)]
                either: KStream<String, String>,
                #[from(clicks.join(profiles, |click, profile| format!("{click} by {profile}")))]
                #[sink(topic = $dressed, partitions = 2)]
                dressed: KStream<String, String>,

                #[from(orders.left_join_on(
                    customers,
                    |_, order| order.split_once('/').map(|(customer, _)| customer.to_owned()),
                    |order, customer| format!("{order} to {}", customer.map_or("nobody", String::as_str)),
                ))]
                #[store]
                #[sink(topic = $deliveries, partitions = 2)]
                deliveries: KTable<String, String>,
            }

            pub(crate) fn start(config: StreamsConfig) -> kstreams::Result<super::super::Application> {
                let running = Interchange::builder().start(config)?;
                Ok(super::super::Application {
                    streams: running.streams().clone(),
                    _running: Box::new(running),
                })
            }
        }
    };
}

application!(java_rust_at_least_once: "win-java-rust-alo",
    "win-java-rust-alo-clicks", "win-java-rust-alo-views", "win-java-rust-alo-profiles", "win-java-rust-alo-orders",
    "win-java-rust-alo-customers", "win-java-rust-alo-out-counted", "win-java-rust-alo-out-hopped",
    "win-java-rust-alo-out-slid", "win-java-rust-alo-out-visits", "win-java-rust-alo-out-closed",
    "win-java-rust-alo-out-finals", "win-java-rust-alo-out-paired", "win-java-rust-alo-out-kept",
    "win-java-rust-alo-out-either", "win-java-rust-alo-out-dressed", "win-java-rust-alo-out-deliveries");

application!(java_rust_exactly_once: "win-java-rust-eos",
    "win-java-rust-eos-clicks", "win-java-rust-eos-views", "win-java-rust-eos-profiles", "win-java-rust-eos-orders",
    "win-java-rust-eos-customers", "win-java-rust-eos-out-counted", "win-java-rust-eos-out-hopped",
    "win-java-rust-eos-out-slid", "win-java-rust-eos-out-visits", "win-java-rust-eos-out-closed",
    "win-java-rust-eos-out-finals", "win-java-rust-eos-out-paired", "win-java-rust-eos-out-kept",
    "win-java-rust-eos-out-either", "win-java-rust-eos-out-dressed", "win-java-rust-eos-out-deliveries");

application!(rust_java_at_least_once: "win-rust-java-alo",
    "win-rust-java-alo-clicks", "win-rust-java-alo-views", "win-rust-java-alo-profiles", "win-rust-java-alo-orders",
    "win-rust-java-alo-customers", "win-rust-java-alo-out-counted", "win-rust-java-alo-out-hopped",
    "win-rust-java-alo-out-slid", "win-rust-java-alo-out-visits", "win-rust-java-alo-out-closed",
    "win-rust-java-alo-out-finals", "win-rust-java-alo-out-paired", "win-rust-java-alo-out-kept",
    "win-rust-java-alo-out-either", "win-rust-java-alo-out-dressed", "win-rust-java-alo-out-deliveries");

application!(rust_java_exactly_once: "win-rust-java-eos",
    "win-rust-java-eos-clicks", "win-rust-java-eos-views", "win-rust-java-eos-profiles", "win-rust-java-eos-orders",
    "win-rust-java-eos-customers", "win-rust-java-eos-out-counted", "win-rust-java-eos-out-hopped",
    "win-rust-java-eos-out-slid", "win-rust-java-eos-out-visits", "win-rust-java-eos-out-closed",
    "win-rust-java-eos-out-finals", "win-rust-java-eos-out-paired", "win-rust-java-eos-out-kept",
    "win-rust-java-eos-out-either", "win-rust-java-eos-out-dressed", "win-rust-java-eos-out-deliveries");
