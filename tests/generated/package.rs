//! A package of its own beside the workspace, for sources that a test writes: built offline, with the workspace's lock and target
//! directory, so that only the crate itself and the drawn source are compiled.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An error that rustc printed.
pub(crate) struct CompileError {
    pub(crate) message: String,
    /// Of its primary span, counted from 0.
    pub(crate) line: usize,
}

impl CompileError {
    /// The code at the end of the message's first line.
    pub(crate) fn code(&self) -> Option<String> {
        let first = self.message.lines().next()?;
        let code = first.rsplit_once('[')?.1.strip_suffix(']')?;
        code.starts_with("KS").then(|| code.to_owned())
    }
}

/// Where the source of a program lies.
pub(crate) fn source_of(name: &str) -> PathBuf {
    package(name).join("src/main.rs")
}

fn package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("generated")
        .join(name)
}

/// Compiles and runs a program.
pub(crate) fn run(name: &str, program: &str) -> Output {
    write(name, program);
    cargo(name, &["run", "--quiet"])
}

/// Compiles a program that has mistakes.
pub(crate) fn errors(name: &str, program: &str) -> Vec<CompileError> {
    write(name, program);
    let output = cargo(name, &["check", "--quiet", "--message-format=json"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let mut errors = Vec::new();
    for line in stdout.lines() {
        let message: serde_json::Value = serde_json::from_str(line).expect("cargo prints JSON");
        let message = &message["message"];
        if message["level"] != "error" {
            continue;
        }
        let primary = message["spans"]
            .as_array()
            .and_then(|spans| spans.iter().find(|span| span["is_primary"] == true));
        // "aborting due to 3 previous errors" has no place.
        let Some(line) = primary.and_then(|span| span["line_start"].as_u64()) else {
            continue;
        };
        errors.push(CompileError {
            message: message["message"].as_str().unwrap_or_default().to_owned(),
            line: line as usize - 1,
        });
    }
    assert!(
        !errors.is_empty(),
        "no errors: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    errors
}

fn write(name: &str, program: &str) {
    let root = env!("CARGO_MANIFEST_DIR");
    let dir = package(name);
    std::fs::create_dir_all(dir.join("src")).expect("the target directory can be written");
    let manifest = format!(
        "[package]\nname = \"generated-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\nkstreams = {{ path = {root:?} }}\n\n\
         [profile.dev.package.generated-{name}]\ndebug = false\n\n[workspace]\n"
    );
    std::fs::write(dir.join("Cargo.toml"), manifest).expect("the manifest can be written");
    std::fs::copy(Path::new(root).join("Cargo.lock"), dir.join("Cargo.lock"))
        .expect("the workspace has a lock");
    std::fs::write(dir.join("src/main.rs"), program).expect("the source can be written");
}

fn cargo(name: &str, args: &[&str]) -> Output {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("it lies in the target directory");
    Command::new(env!("CARGO"))
        .args(args)
        .arg("--offline")
        .arg("--target-dir")
        .arg(target)
        .current_dir(package(name))
        .output()
        .expect("cargo runs")
}
