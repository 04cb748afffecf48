//! What an application of the test reads, writes and keeps, and how what is left of it is compared.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::client::{ByKey, Input, Written};

/// A topology, and what is fed to it.
pub(crate) struct Work {
    /// The first argument of the Java program.
    pub(crate) name: &'static str,
    /// The topics that it reads, those of its own included, the upstream ones first.
    pub(crate) sources: &'static [&'static str],
    /// Which of them are its own.
    pub(crate) own_sources: &'static [&'static str],
    /// Everything else that it writes, and how it is compared.
    pub(crate) written: &'static [(&'static str, Compare)],
    /// Its stores that are read.
    pub(crate) stores: &'static [(&'static str, Kept)],
    /// The input of a phase: each wave is processed before the next one is written.
    pub(crate) waves: fn(phase: usize) -> Vec<Wave>,
}

/// Records of a topic.
pub(crate) struct Wave {
    pub(crate) topic: &'static str,
    pub(crate) records: Vec<Input>,
}

/// What is the same whoever wrote a topic.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    /// Each key's records, in their order.
    Records,
    /// The same, but for the sequence number at a key's end: Kafka Streams begins anew with each start.
    WithoutSequence,
    /// Each key's records in no order: they come from several tasks.
    Unordered,
    /// Each key's last record, without its time: how many there are depends on the commits, and the time is the producer's. It is an
    /// update of a buffer, and the topic that it came from is left out of it: each scenario has its own.
    Latest,
}

impl Compare {
    pub(crate) fn prepare(self, records: ByKey) -> ByKey {
        let mut prepared = ByKey::new();
        for ((mut partition, mut key), mut values) in records {
            match self {
                Compare::Records => {}
                Compare::WithoutSequence => {
                    if let Some(key) = &mut key {
                        key.truncate(key.len().saturating_sub(4));
                    }
                }
                // A record without a key lies anywhere.
                Compare::Unordered if key.is_none() => partition = -1,
                Compare::Unordered => {}
                Compare::Latest => {
                    values.drain(..values.len().saturating_sub(1));
                    values.iter_mut().for_each(without_time_and_topic);
                }
            }
            // Keys that differ in the sequence number alone come in its order.
            prepared.entry((partition, key)).or_default().extend(values);
        }
        if self == Compare::Unordered {
            prepared.values_mut().for_each(|values| values.sort());
        }
        prepared
    }
}

/// `timestamp:8 offset:8 length:4 topic …`
fn without_time_and_topic(update: &mut Written) {
    update.timestamp = 0;
    let Some(value) = &mut update.value else {
        return;
    };
    if let Some(length) = value.get(16..20).and_then(|l| l.first_chunk::<4>()) {
        let end = 20 + u32::from_be_bytes(*length) as usize;
        value.drain(16..end.min(value.len()));
    }
}

/// How a store of ours keeps an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Key; time and value.
    Timestamped,
    /// Segment and key; time and value.
    Windows,
    /// Segment and key; value.
    Sessions,
    /// A byte that marks the latest version and key; time and value. Other entries are older versions.
    Versions,
}

impl Kept {
    /// Key, time and value as Java tells them; `None` for what it does not tell.
    pub(crate) fn entry<'e>(
        self,
        key: &'e [u8],
        value: &'e [u8],
    ) -> Option<(&'e [u8], i64, &'e [u8])> {
        let key = match self {
            Kept::Timestamped => key,
            Kept::Windows | Kept::Sessions => key.get(8..)?,
            Kept::Versions => key.strip_prefix(&[0xff])?,
        };
        if self == Kept::Sessions {
            return Some((key, 0, value));
        }
        let (time, value) = value.split_first_chunk::<8>()?;
        Some((key, i64::from_be_bytes(*time), value))
    }
}

/// When the input begins, the same in all scenarios. Of today: brokers delete what is older than a week. A multiple of all windows'
/// sizes, so that each run has the same windows.
pub(crate) fn begin() -> i64 {
    static NOW: OnceLock<i64> = OnceLock::new();
    *NOW.get_or_init(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.map_or(0, |d| d.as_millis() as i64);
        now - now % 70_000
    })
}

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}
