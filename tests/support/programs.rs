//! Runs the examples as programs: builds them if need be, and gives each test a directory of its own.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Nothing that programs do takes that long unless they hang.
pub(crate) const SOON: Duration = Duration::from_secs(180);

/// The program of an example, built as this test was.
pub(crate) fn example(name: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let test = std::env::current_exe().expect("a test has a path");
    // target/<profile>/deps/<test> beside target/<profile>/examples/<example>
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps");
    let built = {
        let _one_at_a_time = BUILDING.lock().expect("no build panics");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--workspace", "--example", name]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs")
    };
    assert!(built.success(), "example `{name}` does not build");
    let program = profile.join("examples").join(name);
    assert!(program.exists(), "{} is not there", program.display());
    program
}

/// A command whose output is read, and that cannot hang on input.
pub(crate) fn command(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The output of a program that must have done its work.
    pub(crate) fn stdout(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("programs print UTF-8");
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// Runs a program to its end.
pub(crate) fn run(program: &Path, args: &[&str]) -> Ended {
    command(program, args)
        .output()
        .expect("the program starts")
        .into()
}

/// A program that is ended, whatever happens to the test.
pub(crate) struct Running(pub(crate) Option<Child>);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Running(Some(command.spawn().expect("the program starts")))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().map(Child::id).expect("it runs")
    }

    /// Asks it to end, as a terminal or a service manager would, once it listens to that.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let listens = || listens_to_signals(&format!("/proc/{id}/status"));
        eventually("the program listens to signals", listens);
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(
            sent.expect("`kill` runs").success(),
            "signal {name} could not be sent"
        );
    }

    /// Waits for its end; a program that does not end in time is killed and fails the test.
    pub(crate) fn ended(mut self, within: Duration) -> Ended {
        let mut child = self.0.take().expect("it runs");
        let deadline = Instant::now() + within;
        while child.try_wait().expect("it can be waited for").is_none() {
            if Instant::now() > deadline {
                child.kill().expect("it can be killed");
                let ended = Ended::from(child.wait_with_output().expect("it has ended"));
                panic!("it did not end within {within:?}: {ended:#?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        child.wait_with_output().expect("it has ended").into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether a process catches SIGTERM, which the system tells as a set of bits: a program may do its work before it listens.
fn listens_to_signals(status: &str) -> bool {
    const TERM: u32 = 15;
    let status = std::fs::read_to_string(status).unwrap_or_default();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|l| l.strip_prefix(name))
            .map(str::trim)
    };
    let has_ended = field("State:").is_some_and(|state| state.starts_with('Z'));
    let caught = field("SigCgt:").and_then(|bits| u64::from_str_radix(bits, 16).ok());
    // Where the system does not tell, it is given the benefit of the doubt.
    has_ended || caught.is_none_or(|bits| bits & (1 << (TERM - 1)) != 0)
}

/// Repeats until it holds, for what another process does in its own time.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {SOON:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}
