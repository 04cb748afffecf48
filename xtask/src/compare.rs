//! Has Kafka Streams' own test driver answer random input, and compares ours with it: `tests/recorder`, `tests/conformance`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use kafka_broker::{ClassPath, temp_dir};
use xtask::torture::Failure;

#[derive(clap::Args)]
pub(crate) struct Compare {
    /// Repeats a run's input
    #[arg(long)]
    seed: Option<u64>,
    /// How many recordings of each topology
    #[arg(long, default_value_t = 1)]
    recordings: u32,
    /// Of how many steps
    #[arg(long, default_value_t = 150)]
    steps: u32,
    /// Only topologies with this in their names
    #[arg(long, default_value = "")]
    only: String,
    /// Where the recordings are kept; else they go with the run
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

impl Compare {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let class_path = ClassPath::of_project(&root.join("tests/recorder"))?;
        let scratch = temp_dir()?;
        let recordings = self.keep.unwrap_or_else(|| scratch.path().to_owned());
        std::fs::create_dir_all(&recordings)
            .map_err(|e| Failure::Environment(format!("{}: {e}", recordings.display())))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seed = self
            .seed
            .unwrap_or_else(|| now.map_or(1, |now| now.as_secs()));
        println!("seed {seed}");

        let record = |recordings_each: u32| {
            let mut java = Command::new("java");
            java.arg(format!("-Djava.io.tmpdir={}", scratch.path().display()))
                .args(["-Xmx1g", "-cp", class_path.as_str(), "Recorder"])
                .arg(root.join("tests/vectors"))
                .arg(&recordings)
                .args([seed.to_string(), recordings_each.to_string()])
                .args([&self.steps.to_string(), &self.only]);
            java
        };
        succeeds(
            "the recorder's topologies are not those of the scenarios",
            record(0),
        )?;
        succeeds("the recorder failed", record(self.recordings))?;
        let mut ours = Command::new(env!("CARGO"));
        ours.current_dir(&root)
            .args([
                "test",
                "--test",
                "conformance",
                "--",
                "--nocapture",
                "--exact",
            ])
            .args(["equals_kafka_streams", "equals_kafka_streams_on_disk"])
            .env("KSTREAMS_VECTORS", &recordings);
        succeeds("ours answers otherwise than Kafka Streams", ours)
    }
}

fn succeeds(what: &str, mut command: Command) -> Result<(), Failure> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|e| Failure::Environment(format!("{:?}: {e}", command.get_program())))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Wrong(what.to_owned()))
    }
}
