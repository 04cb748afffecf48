//! Faults by a seed: several workers, crashes, zombies and time at random, against a plain fold of the input.

use super::*;

/// A small generator of numbers: the same seed, the same run.
#[derive(Debug)]
struct Seeded(u64);

impl Seeded {
    fn new(seed: u64) -> Self {
        Seeded(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// The seeds of a simulation. `SIMULATION_SEEDS=1000` runs more of them.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let asked = std::env::var("SIMULATION_SEEDS").ok();
    0..asked.and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// Steps, crashes, zombies, failing calls and commits at random; then everything comes to rest.
fn simulate(seed: u64, options: TestDriverOptions) -> Outcome {
    let mut random = Seeded::new(seed);
    let mut options = options.on_demand();
    options.purge = true;
    options.config.repartition_purge_interval = Duration::from_millis(200);
    let mut engine = engine(options);
    let faults = Faults::seeded(seed ^ 0xabcd, RATES);
    engine.wrap_transport(|inner| FaultTransport::new(inner, faults.clone()));
    let mut fold: BTreeMap<String, i64> = BTreeMap::new();
    for now in 0..400 {
        let workers = engine.worker_count() as u64;
        match random.below(100) {
            0..25 => {
                let words: Vec<String> = (0..1 + random.below(4))
                    .map(|_| format!("w{}", random.below(9)))
                    .collect();
                for word in &words {
                    *fold.entry(word.clone()).or_default() += 1;
                }
                let partition = random.below(3) as i32;
                send(&mut engine, &words.join(" "), now, partition);
            }
            25..80 => {
                let worker = random.below(workers) as usize;
                let stepped = engine.step_worker(worker);
                if faults.crashed() {
                    engine.crash_worker(worker);
                    faults.revive();
                } else {
                    stepped.unwrap();
                }
            }
            80..90 => engine.tick(Duration::from_millis(random.below(70))),
            90..93 => engine.crash_worker(random.below(workers) as usize),
            93..94 => engine.replace_worker(random.below(workers) as usize),
            94..96 => {
                engine.step_zombies();
                faults.revive();
            }
            96..97 => engine.add_worker(),
            97..98 if workers > 1 => {
                engine.remove_worker();
                faults.revive();
            }
            98 => engine.crash_all(),
            _ => {}
        }
    }
    // Those cut off are gone by now, as after a session timeout.
    engine.drop_zombies();
    faults.set_rates(FaultRates::default());
    for _ in 0..4 {
        engine.run().unwrap();
        engine.tick(Duration::from_secs(30));
    }
    Outcome {
        counts: counts(&mut engine),
        written: written(&mut engine),
        fold,
        stats: engine.stats(),
        injected: faults.injected(),
    }
}

struct Outcome {
    counts: BTreeMap<String, i64>,
    written: BTreeMap<String, Vec<i64>>,
    fold: BTreeMap<String, i64>,
    stats: crate::runtime::Statistics,
    injected: BTreeMap<Fault, u64>,
}

#[test]
fn exactly_once_every_record_counts_once_whatever_crashes() {
    let mut total = crate::runtime::Statistics::default();
    let mut injected: BTreeMap<Fault, u64> = BTreeMap::new();
    for seed in seeds(40) {
        let state = if seed % 3 == 2 {
            TestState::Lmdb
        } else {
            TestState::Memory
        };
        let outcome = simulate(
            seed,
            TestDriverOptions::new()
                .guarantee(EOS)
                .state(state)
                .workers(3),
        );
        assert_eq!(outcome.counts, outcome.fold, "seed {seed}");
        let sequences = outcome
            .fold
            .iter()
            .map(|(word, n)| (word.clone(), (1..=*n).collect()))
            .collect();
        assert_eq!(outcome.written, sequences, "seed {seed}");
        total = total.and(&outcome.stats);
        for (fault, n) in outcome.injected {
            *injected.entry(fault).or_insert(0) += n;
        }
    }
    println!("{total:?}, {injected:?}");
    assert_eq!(total.wiped, 0, "no crash costs a store its state");
    assert!(
        total.restored > 0 && total.rollbacks > 0 && total.aborts > 0 && total.fenced > 0,
        "{total:?}"
    );
    assert_eq!(injected.len(), 7, "each kind of fault: {injected:?}");
}

#[test]
fn exactly_once_a_cache_loses_nothing_either() {
    for seed in seeds(20).map(|seed| seed + 10_000) {
        let state = if seed % 5 == 4 {
            TestState::Lmdb
        } else {
            TestState::Memory
        };
        let options = TestDriverOptions::new()
            .guarantee(EOS)
            .state(state)
            .workers(2);
        // Small enough to be full now and then.
        let outcome = simulate(seed, options.cache_max_bytes(2_000));
        assert_eq!(outcome.counts, outcome.fold, "seed {seed}");
        for (word, counts) in &outcome.written {
            assert!(
                counts.is_sorted_by(|a, b| a < b),
                "seed {seed}: {word} {counts:?}"
            );
            assert_eq!(counts.last(), outcome.fold.get(word), "seed {seed}: {word}");
        }
        assert_eq!(outcome.written.len(), outcome.fold.len(), "seed {seed}");
    }
}

#[test]
fn at_least_once_no_record_is_lost_whatever_crashes() {
    for seed in seeds(20) {
        let state = if seed % 3 == 2 {
            TestState::Lmdb
        } else {
            TestState::Memory
        };
        let outcome = simulate(seed, TestDriverOptions::new().state(state).workers(2));
        for (word, n) in &outcome.fold {
            let counted = outcome.counts.get(word).copied().unwrap_or_default();
            assert!(
                counted >= *n,
                "seed {seed}: {word} counted {counted} times, sent {n} times"
            );
        }
    }
}

#[test]
fn at_least_once_without_crashes_is_exact() {
    let mut engine = engine(TestDriverOptions::new().workers(3).on_demand());
    let mut random = Seeded::new(7);
    for now in 0..200 {
        send(
            &mut engine,
            &format!("w{}", random.below(5)),
            now,
            random.below(3) as i32,
        );
        match random.below(12) {
            0 => engine.add_worker(),
            1 if engine.worker_count() > 1 => engine.remove_worker(),
            2 => engine.tick(Duration::from_secs(31)),
            _ => {
                let workers = engine.worker_count() as u64;
                engine.step_worker(random.below(workers) as usize).unwrap();
            }
        }
    }
    engine.run().unwrap();
    assert_eq!(
        counts(&mut engine).values().sum::<i64>(),
        200,
        "threads come and go without losing or doubling"
    );
}
