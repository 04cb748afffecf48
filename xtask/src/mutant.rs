//! Builds of the application that are wrong on purpose, to show that the torture finds them out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use xtask::torture::Failure;

/// Which mistake the application makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mutant {
    /// Commits its state before the log's transaction.
    #[value(name = "lmdb_first")]
    LmdbFirst,
    /// Restores a store only as far as can be read, which is short of a transaction whose marker is on its way.
    #[value(name = "restore_to_lso")]
    RestoreToLso,
}

impl Mutant {
    /// The value of `--cfg kstreams_mutant`.
    fn name(self) -> &'static str {
        match self {
            Mutant::LmdbFirst => "lmdb_first",
            Mutant::RestoreToLso => "restore_to_lso",
        }
    }

    /// Builds the torture's test, which is the application too, and tells where it is.
    ///
    /// The flag reaches this workspace's crates alone, so that librdkafka is not built again, and they lie beside the right
    /// ones, as Cargo tells them apart by the wrapper's path.
    pub(crate) fn build(self) -> Result<PathBuf, Failure> {
        let wrong = |what: &'static str| {
            move |error: std::io::Error| Failure::Environment(format!("{what}: {error}"))
        };
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
        let dir = target.join("mutants").join(self.name());
        fs::create_dir_all(&dir).map_err(wrong("a directory for the mutant"))?;
        let wrapper = dir.join("rustc");
        let script = format!(
            "#!/bin/sh\nexec \"$@\" --cfg 'kstreams_mutant=\"{}\"'\n",
            self.name()
        );
        fs::write(&wrapper, script)
            .and_then(|()| fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)))
            .map_err(wrong("a wrapper of the compiler"))?;
        let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["test", "--no-run", "-p", "xtask", "--test", "torture"])
            .args(["--message-format", "json-render-diagnostics"])
            .current_dir(&root)
            .env("RUSTC_WORKSPACE_WRAPPER", &wrapper)
            .stderr(Stdio::inherit())
            .output()
            .map_err(wrong("cargo"))?;
        let lines = String::from_utf8_lossy(&built.stdout).into_owned();
        let messages = lines
            .lines()
            .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok());
        let mut programs = messages
            .filter(|m| m["target"]["name"] == "torture")
            .filter_map(|m| m["executable"].as_str().map(PathBuf::from));
        match programs.next().filter(|_| built.status.success()) {
            Some(program) => Ok(program),
            None => Err(Failure::Environment(
                "the mutant could not be built".to_owned(),
            )),
        }
    }
}
