//! The short exactly-once torture: three brokers, two processes, a fault of each kind at least. `KSTREAMS_SEED=N` repeats
//! a run's faults (though not what the machine did at them).

use std::process::ExitCode;
use std::time::Duration;

use kafka_broker::Case;
use xtask::torture::{self, Kind, Options};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    // The processes of the application are this program too.
    if args.get(1).is_some_and(|word| word == torture::app::WORD) {
        return torture::app::main(&args[2..]);
    }
    kafka_broker::main(vec![Case::own(
        "exactly_once_whatever_dies",
        exactly_once_whatever_dies,
    )])
}

fn exactly_once_whatever_dies() {
    let seed = match std::env::var("KSTREAMS_SEED") {
        Ok(seed) => seed.parse().expect("KSTREAMS_SEED is a number"),
        // The same faults each time, so that two failures can be compared.
        Err(_) => 538_224_973,
    };
    let options = Options {
        seed,
        lasts: Duration::ZERO,
        faults: 2 * Kind::ALL.len() as u64,
        rate: 200,
        keys: 60,
        program: std::env::current_exe().expect("this program has a path"),
        keep: std::env::var_os("KSTREAMS_KEEP").map(Into::into),
    };
    if let Err(failure) = torture::run(&options) {
        panic!("seed {seed}: {failure}");
    }
}
