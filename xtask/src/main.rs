//! Tasks of this repository: `cargo run -p xtask -- <task>`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod compare;
mod mutant;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use compare::Compare;
use mutant::Mutant;
use xtask::torture::{self, Failure, Options};

/// Tasks that are too long or too big for the tests
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Kills processes and brokers while an application counts, and checks that it counted exactly
    Torture(Torture),
    /// Compares ours with Kafka Streams' own test driver on random input
    Compare(Compare),
}

#[derive(clap::Args)]
struct Torture {
    /// How long faults are made
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Repeats a run's faults and events
    #[arg(long)]
    seed: Option<u64>,
    /// At least so many faults
    #[arg(long, default_value_t = 30)]
    faults: u64,
    /// Events a second
    #[arg(long, default_value_t = 200)]
    rate: u64,
    /// How many keys they are of
    #[arg(long, default_value_t = 100)]
    keys: u64,
    /// Where logs and state are kept; else they go with the run
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Tortures an application that is wrong on purpose; it has to be found out
    #[arg(long)]
    mutant: Option<Mutant>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    // The processes of the application are this program too.
    if args.get(1).is_some_and(|word| word == torture::app::WORD) {
        return torture::app::main(&args[2..]);
    }
    let done = match Args::parse().task {
        Task::Torture(task) => task.run(),
        Task::Compare(task) => task.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}

impl Torture {
    fn run(self) -> Result<(), Failure> {
        let program = match self.mutant {
            Some(mutant) => mutant.build()?,
            None => std::env::current_exe()
                .map_err(|error| Failure::Environment(format!("this program: {error}")))?,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seed = self
            .seed
            .unwrap_or_else(|| now.map_or(1, |now| now.subsec_nanos().into()));
        let result = torture::run(&Options {
            seed,
            lasts: Duration::from_secs(60 * self.minutes),
            faults: self.faults,
            rate: self.rate,
            keys: self.keys,
            program,
            keep: self.keep,
        });
        match (self.mutant, result) {
            (None, result) => result.map(drop),
            (Some(mutant), Err(Failure::Wrong(what))) => {
                println!("found out, as it has to be: {mutant:?}: {what}");
                Ok(())
            }
            (Some(mutant), Ok(_)) => Err(Failure::Missed(format!("{mutant:?} was not found out"))),
            (Some(_), Err(other)) => Err(other),
        }
    }
}
