//! Input of the tables: prices, then lines of words that are counted, gathered, summed up and joined with prices.

use crate::client::Input;
use crate::work::{Compare, Kept, Random, Wave, Work, begin};

const KEYS: usize = 24;
const LINES: usize = 150;

pub(crate) static TABLES: Work = Work {
    name: "tables",
    sources: &["lines", "prices", "words-repartition"],
    own_sources: &["words-repartition"],
    written: &[
        ("out-counts", Compare::Records),
        ("out-words", Compare::Records),
        ("out-sums", Compare::Records),
        ("out-priced", Compare::Records),
        ("counts-changelog", Compare::Records),
        ("words-changelog", Compare::Records),
        ("sums-changelog", Compare::Records),
        ("prices-changelog", Compare::Records),
        ("words-repartition", Compare::Records),
    ],
    stores: &[
        ("counts", Kept::Timestamped),
        ("words", Kept::Timestamped),
        ("sums", Kept::Timestamped),
        ("prices", Kept::Timestamped),
    ],
    waves,
};

fn waves(phase: usize) -> Vec<Wave> {
    let wave = |topic, records| Wave { topic, records };
    vec![wave("prices", prices(phase)), wave("lines", lines(phase))]
}

fn start(phase: usize) -> i64 {
    begin() + phase as i64 * 100_000
}

/// New prices, changed ones and deleted ones; some older than what they replace.
fn prices(phase: usize) -> Vec<Input> {
    let mut random = Random(phase as u64 * 77 + 5);
    let each = |_| Input {
        key: format!("key-{}", random.below(KEYS)),
        value: (random.below(5) > 0).then(|| (random.below(9_999) as i64).to_be_bytes().to_vec()),
        timestamp: start(phase) + random.below(10_000) as i64,
        header: None,
    };
    (0..KEYS * 2).map(each).collect()
}

/// Lines of one to five words, in time order but for a jitter, some with a header.
fn lines(phase: usize) -> Vec<Input> {
    let mut random = Random(phase as u64 * 1_313 + 17);
    let vocabulary = [
        "alpha", "beta", "bravo", "reset", "delta", "a", "Zürich", "zulu",
    ];
    let each = |i| {
        let count = 1 + random.below(5);
        let mut word = || vocabulary[random.below(vocabulary.len())];
        let words: Vec<&str> = (0..count).map(|_| word()).collect();
        Input {
            value: Some(words.join(" ").into_bytes()),
            key: format!("key-{}", random.below(KEYS)),
            timestamp: start(phase) + (20_000 + i * 10 + random.below(500)) as i64,
            header: (random.below(4) == 0).then_some("trace"),
        }
    };
    (0..LINES).map(each).collect()
}
