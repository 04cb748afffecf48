//! Input of the windows: clicks and views of some people, in waves that are four seconds apart and five long, so that much comes
//! out of order, some of it too late; profiles with a past; and orders that name a customer.

use crate::client::Input;
use crate::work::{Compare, Kept, Random, Wave, Work, begin};

const KEYS: usize = 12;
const WAVES: usize = 3;
const APART: i64 = 4_000;
const LENGTH: usize = 5_000;
const PHASE: i64 = 18_300;

pub(crate) static WINDOWS: Work = Work {
    name: "windows",
    sources: &[
        "clicks",
        "views",
        "profiles",
        "orders",
        "customers",
        "deliveries-subscription-registration-topic",
        "deliveries-subscription-response-topic",
    ],
    own_sources: &[
        "deliveries-subscription-registration-topic",
        "deliveries-subscription-response-topic",
    ],
    written: &[
        ("out-counted", Compare::Records),
        ("out-hopped", Compare::Records),
        ("out-slid", Compare::Records),
        ("out-visits", Compare::Records),
        ("out-closed", Compare::Records),
        ("out-finals", Compare::Records),
        ("out-paired", Compare::Records),
        ("out-kept", Compare::Records),
        ("out-either", Compare::Records),
        ("out-dressed", Compare::Records),
        ("out-deliveries", Compare::Records),
        ("counted-changelog", Compare::Records),
        ("hopped-changelog", Compare::Records),
        ("slid-changelog", Compare::Records),
        ("visits-changelog", Compare::Records),
        ("closed-changelog", Compare::Records),
        ("finals-store-changelog", Compare::Latest),
        ("profiles-changelog", Compare::Records),
        ("paired-this-join-store-changelog", Compare::WithoutSequence),
        (
            "paired-other-join-store-changelog",
            Compare::WithoutSequence,
        ),
        ("kept-this-join-store-changelog", Compare::WithoutSequence),
        (
            "kept-outer-other-join-store-changelog",
            Compare::WithoutSequence,
        ),
        ("kept-left-shared-join-store-changelog", Compare::Records),
        (
            "either-outer-this-join-store-changelog",
            Compare::WithoutSequence,
        ),
        (
            "either-outer-other-join-store-changelog",
            Compare::WithoutSequence,
        ),
        ("either-outer-shared-join-store-changelog", Compare::Records),
        ("orders-changelog", Compare::Records),
        ("customers-changelog", Compare::Records),
        ("deliveries-changelog", Compare::Records),
        ("deliveries-subscription-store-changelog", Compare::Records),
        (
            "deliveries-subscription-registration-topic",
            Compare::Unordered,
        ),
        ("deliveries-subscription-response-topic", Compare::Records),
    ],
    stores: &[
        ("counted", Kept::Windows),
        ("hopped", Kept::Windows),
        ("visits", Kept::Sessions),
        ("profiles", Kept::Versions),
        ("orders", Kept::Timestamped),
        ("customers", Kept::Timestamped),
        ("deliveries", Kept::Timestamped),
    ],
    waves,
};

/// The first wave of a phase moves each operator's time to where it is already: Kafka Streams forgets it when it stops, and would
/// take late records of the next ones. It is late enough that a join of streams looks for all that had no partner before: Kafka
/// Streams forgets how far it looked, too, and looks anew.
fn waves(phase: usize) -> Vec<Wave> {
    let mut random = Random(phase as u64 * 977 + 3);
    let start = begin() + phase as i64 * PHASE;
    let ticks = (0..KEYS).map(|key| input(key, Some(format!("tick{phase}")), start, None));
    let mut waves = vec![Wave {
        topic: "clicks",
        records: ticks.collect(),
    }];
    for nth in 0..WAVES {
        let start = start + nth as i64 * APART;
        let mut some = |count: usize, name: &str, deletes: usize| {
            let record = |i| {
                let value = random.below(100) >= deletes;
                let value = value.then(|| format!("{name}{phase}{nth}.{i}"));
                let time = start + random.below(LENGTH) as i64;
                let header = (random.below(4) == 0).then_some("trace");
                input(random.below(KEYS), value, time, header)
            };
            (0..count).map(record).collect::<Vec<_>>()
        };
        let mut wave = |topic, records| waves.push(Wave { topic, records });
        wave("profiles", some(8, "p", 20));
        wave("views", some(14, "v", 0));
        wave("clicks", some(24, "c", 0));
        wave("views", some(10, "w", 0));
        // Each key once at most: two answers to one row, asked of two partitions, come in no order.
        let orders = (0..KEYS).map(|key| {
            let value = match random.below(6) {
                0 => None,
                1 => Some("nameless".to_owned()),
                _ => Some(format!("key-{}/{phase}{nth}", random.below(KEYS / 2))),
            };
            input(key, value, start + key as i64, None)
        });
        wave("orders", orders.collect());
        let customers = (0..KEYS / 2).map(|key| {
            let value = (random.below(5) > 0).then(|| format!("city{phase}{nth}"));
            input(key, value, start + random.below(LENGTH) as i64, None)
        });
        wave("customers", customers.collect());
    }
    waves
}

fn input(key: usize, value: Option<String>, timestamp: i64, header: Option<&'static str>) -> Input {
    Input {
        key: format!("key-{key}"),
        value: value.map(String::into_bytes),
        timestamp,
        header,
    }
}
